"""What share of a training step generating all weights takes: SMASH at CIFAR-10 settings (target: at most 15%).

Random full-budget networks of the ``memory-bank`` space, the paper's hypernetwork, 32x32 images in batches of 50, Adam.
Timed in one run, per network: the whole step, and the hypernetwork alone, forward and backward. On a CPU the time of
one thread, so that other work on the machine does not count; with a GPU there, on it.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from palmette.choice import Choice
from palmette.methods.generated_weights import with_generated_weights
from palmette.spaces.memory_bank import memory_bank
from palmette.supernets.generated import GeneratedWeights
from palmette.supernets.options import HyperNetOptions
from palmette.training.loop import place

NETWORKS = 3
BATCH = 50
TARGET = 15


def main() -> None:
    torch.set_num_threads(1)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    space = memory_bank()
    supernet = place(space.supernet(seed=0), device).train()
    generated = with_generated_weights(space, supernet, HyperNetOptions(), seed=0)
    optimizer = torch.optim.Adam(generated.parameters(), lr=1e-3, betas=(0.5, 0.999), eps=1e-4)
    images = torch.randn(BATCH, 3, 32, 32, device=device).contiguous(memory_format=torch.channels_last)
    labels = torch.arange(BATCH, device=device) % 10
    generator, shares = np.random.default_rng(0), []
    step(
        generated, optimizer, images[:2], labels[:2], space.choice(space.decisions.sample(generator))
    )  # sets things up
    for number in range(1, NETWORKS + 1):
        choice = space.choice(space.decisions.sample(generator))
        whole = seconds(lambda: step(generated, optimizer, images, labels, choice), device)  # noqa: B023  # called at once
        own = seconds(lambda: generation(generated, choice), device)  # noqa: B023  # called at once
        shares.append(100 * own / whole)
        line = f"network {number}: step {whole:.2f} s, generation forward and backward {own:.3f} s, {shares[-1]:.1f}%"
        print(line, flush=True)
    print(f"hypernetwork: {np.median(shares):.1f}% of a training step on {device.type} (target at most {TARGET}%)")


def step(
    generated: GeneratedWeights, optimizer: torch.optim.Optimizer, images: Tensor, labels: Tensor, choice: Choice
) -> None:
    """Do what one training step does."""
    optimizer.zero_grad(set_to_none=True)
    cross_entropy(generated(images, choice), labels).backward()
    optimizer.step()


def generation(generated: GeneratedWeights, choice: Choice) -> None:
    """Generate all weights and carry a gradient back through them."""
    weights = generated.hypernetwork(choice)
    torch.autograd.backward(weights, [torch.ones_like(weight) for weight in weights])


def seconds(work: Callable[[], None], device: torch.device) -> float:
    clock = time.perf_counter if device.type == "cuda" else time.thread_time
    began = clock()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return clock() - began


if __name__ == "__main__":
    main()
