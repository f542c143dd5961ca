"""Peak memory of a step of ProxylessNAS beside that of one path and of the mixture of all options, by their number.

Six layers of MobileNetV2 blocks, 16 channels, batch 8 at 32 x 32, one thread. A step of ProxylessNAS is one of the
weights, which is that of one path, or one of the architecture, by two paths or by all. Each figure is the peak
resident memory (Linux) of 2 steps in a process of their own, less what it held before the supernet was made, less the
weights of the options that do not run.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from palmette.blocks.convolution import conv_bn
from palmette.relaxations.binary_gate import all_paths, two_paths
from palmette.slots import OneOf
from palmette.space import Space, Supernet
from palmette.spaces.mobile_choice import mobile_blocks
from palmette.supernets.architecture_parameters import ArchitectureParameters

LAYERS, WIDTH, BATCH = 6, 16, 8
OPTIONS = (2, 4, 6)
STEPS = ("one path", "two paths", "all paths", "mixture")


def main() -> None:
    ratios: dict[tuple[str, int], float] = {}
    for count in OPTIONS:
        unused = _unused_megabytes(count)
        peaks = {step: _peak(step, count) - unused for step in STEPS}
        ratios |= {(step, count): peaks[step] / peaks["one path"] for step in STEPS}
        shown = ", ".join(f"{step} {peaks[step]:.0f} MB ({ratios[step, count]:.2f}x)" for step in STEPS)
        print(f"{count} options: {shown}; weights of unused options {unused:.1f} MB")
    gates = max(ratios[step, count] for step in ("two paths", "all paths") for count in OPTIONS)
    mixtures = ", ".join(f"{ratios['mixture', count]:.2f}x with {count}" for count in OPTIONS)
    print(f"mixture: {mixtures} options")
    print(f"gate memory: {gates:.3f}x one path (target 1.25x)")


def _network(count: int) -> nn.Module:
    options = dict(list(mobile_blocks(WIDTH, WIDTH, 1, partial(nn.ReLU6, inplace=True)).items())[-count:])
    layers = [OneOf(f"layer{i}", **options) for i in range(LAYERS)]
    return nn.Sequential(conv_bn(3, WIDTH, 3), *layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(WIDTH, 10))


def _step(step: str, count: int) -> Callable[[], None]:
    """Return a function that does one step; the path that runs is the last option's, the largest, throughout."""
    space = Space(lambda: _network(count))
    supernet = space.supernet(seed=0).train()
    parameters = ArchitectureParameters(space.mixtures.options(), seed=0)
    for logits in parameters.values:
        logits.data[-1] = 30.0
    generator = torch.Generator().manual_seed(0)
    x, labels = torch.randn(BATCH, 3, 32, 32), torch.arange(BATCH) % 10
    match step:
        case "one path":
            return lambda: _weights(supernet, x, labels, dict.fromkeys(parameters.options, count - 1))
        case "mixture":
            return lambda: _weights(supernet, x, labels, parameters.probabilities())
        case _:
            relaxation = two_paths if step == "two paths" else all_paths
            logits = list(parameters.parameters())

            def architecture() -> None:
                choice = parameters.choice(relaxation, generator)
                torch.autograd.grad(cross_entropy(supernet(x, choice), labels), logits)

            return architecture


def _weights(supernet: Supernet, x: Tensor, labels: Tensor, choice: dict[str, int] | dict[str, Tensor]) -> None:
    supernet.zero_grad(set_to_none=True)
    cross_entropy(supernet(x, choice), labels).backward()


def _peak(step: str, count: int) -> float:
    """Return the peak resident memory in MB of 2 steps in a process of their own, less that before them."""
    command = [sys.executable, __file__, step, str(count)]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def _measure(step: str, count: int) -> None:
    torch.set_num_threads(1)
    before = _peak_kilobytes()
    run = _step(step, count)
    for _ in range(2):
        run()
    print((_peak_kilobytes() - before) / 1024)


def _peak_kilobytes() -> int:
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0])


def _unused_megabytes(count: int) -> float:
    space = Space(lambda: _network(count))
    used = space.build(space.decisions.parse(str(count - 1) * LAYERS), seed=0)
    everything = sum(p.numel() for p in space.supernet(seed=0).parameters())
    return 4 * (everything - sum(p.numel() for p in used.parameters())) / 2**20


if __name__ == "__main__":
    _measure(sys.argv[1], int(sys.argv[2])) if len(sys.argv) > 1 else main()
