"""One shared step of the recurrent space against its matrix products alone, in one run.

12 nodes, batch 64, 35 steps, 1000 units, a vocabulary of 10,000, fp32, one thread: forward, loss and backward of a
sampled cell with shared weights. Beside it the same products and their gradients and nothing else, those of the cell
one time step after another, the decoder's, which waits for no step, at once; and a plain loop over time, by autograd.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, linear

from palmette.blocks.recurrent_cell import Cell, plain_cell
from palmette.sequences import Segment
from palmette.spaces.recurrent_cell import CellSpace, enas_cells

NODES, BATCH, STEPS, UNITS, WORDS = 12, 64, 35, 1000, 10_000
TARGET, REPEATS = 1.2, 3


def main() -> None:
    torch.set_num_threads(1)
    space = enas_cells(WORDS, CellSpace(nodes=NODES, hidden=UNITS))
    supernet = space.supernet(seed=0).train()
    architecture = space.decisions.sample(np.random.default_rng(0))
    choice = space.choice(architecture)
    tokens = torch.randint(WORDS, (STEPS, BATCH), generator=torch.Generator().manual_seed(0))
    targets = tokens.flatten().flip(0)
    hidden = torch.zeros(BATCH, UNITS)
    layer = space.build(architecture, seed=0)

    def ours() -> None:
        supernet.zero_grad(set_to_none=True)
        logits = supernet(Segment(tokens, hidden), choice).logits
        cross_entropy(logits.view(-1, WORDS), targets).backward()

    def plain_loop() -> None:
        layer.zero_grad(set_to_none=True)
        cell = layer.get_submodule("recurrent")
        embedding = layer.get_parameter("embedding.weight")
        graph = cell.cell
        assert isinstance(graph, Cell)
        outputs = plain_cell(graph, embedding[tokens], hidden, list(cell.parameters()), mask=None)
        cross_entropy(linear(outputs, embedding).view(-1, WORDS), targets).backward()

    times = timed({"matrix products alone": products(), "plain loop": plain_loop, "shared step": ours})
    alone = times["matrix products alone"]
    for name, seconds in times.items():
        print(f"{name:<24} {seconds:6.2f} s   {seconds / alone:.2f}x")
    print(f"recurrent step: {times['shared step'] / alone:.2f} of its matrix products (target <= {TARGET})")


def products() -> Callable[[], None]:
    """Return what runs all products of a step and their gradients, time step by time step, and nothing else."""
    generator = torch.Generator().manual_seed(1)

    def made(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    def product(rows: int, inputs: int, outputs: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        weight = made(inputs, outputs)
        return made(rows, inputs), weight, made(rows, outputs), torch.zeros_like(weight)

    cell = [product(BATCH, 2 * UNITS, 2 * UNITS), *(product(BATCH, UNITS, 2 * UNITS) for _ in range(NODES - 1))]
    decoder = product(STEPS * BATCH, UNITS, WORDS)

    def run() -> None:
        for x, weight, gradient, total in [*cell * STEPS, decoder]:
            x @ weight
            gradient @ weight.t()
            total.addmm_(x.t(), gradient)

    return run


def timed(runs: dict[str, Callable[[], None]]) -> dict[str, float]:
    """Return the median time of each, run in turns, in seconds."""
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for repeat in range(REPEATS + 1):
        for name, run in runs.items():
            began = time.perf_counter()
            run()
            if repeat:  # the first one warms up
                seconds[name].append(time.perf_counter() - began)
    return {name: statistics.median(values) for name, values in seconds.items()}


if __name__ == "__main__":
    main()
