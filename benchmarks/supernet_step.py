"""What a supernet's training step costs beside that of the plain network of the same path, in time and in memory.

NAS-Bench-Macro, one path, batch 32 and 128, one thread; the two take turns and each figure is a median of 20. Peak
memory is the median of 5 processes of their own for each.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from palmette.spaces.nas_bench_macro import nas_bench_macro
from palmette.training.loop import _optimizer, place
from palmette.training.recipe import Recipe

CODE = "11121210"
REPEATS = 20


def main() -> None:
    torch.set_num_threads(1)
    ratios = {batch: _ratio(batch) for batch in (32, 128)}
    peaks = [[_peak(which) for which in ("plain", "supernet")] for _ in range(5)]
    plain, supernet = np.median(peaks, axis=0)
    unused = _unused_megabytes()
    print(f"peak memory at batch 128: supernet {supernet:.0f} MB, plain {plain:.0f} MB, unused weights {unused:.0f} MB")
    print(f"memory ratio less the unused weights: {(supernet - unused) / plain:.3f} (target 1.1)")
    for batch, ratio in ratios.items():
        print(f"batch {batch}: {ratio:.3f}")
    print(f"supernet step: {max(ratios.values()):.3f}x the plain step (target 1.05x)")


def _ratio(batch: int) -> float:
    steps = {which: _stepper(which, batch) for which in ("plain", "supernet")}
    seconds: dict[str, list[float]] = {which: [] for which in steps}
    for repeat in range(REPEATS + 2):
        for which in sorted(steps, reverse=repeat % 2 == 1):
            began = time.perf_counter()
            steps[which]()
            seconds[which].append(time.perf_counter() - began)
    medians = {which: float(np.median(times[2:])) for which, times in seconds.items()}
    print(f"batch {batch}: supernet {1e3 * medians['supernet']:.1f} ms, plain {1e3 * medians['plain']:.1f} ms")
    return medians["supernet"] / medians["plain"]


def _stepper(which: str, batch: int) -> Callable[[], None]:
    """Return a function that does one training step."""
    space = nas_bench_macro()
    architecture = space.decisions.parse(CODE)
    choice = space.choice(architecture)
    network = space.supernet(seed=0) if which == "supernet" else space.build(architecture, seed=0)
    module: torch.nn.Module = place(network, torch.device("cpu"))
    optimizer = _optimizer(module, Recipe())
    x = torch.randn(batch, 3, 32, 32).contiguous(memory_format=torch.channels_last)
    labels = torch.arange(batch) % 10

    def step() -> None:
        logits: Tensor = module(x, choice) if which == "supernet" else module(x)
        optimizer.zero_grad(set_to_none=True)
        cross_entropy(logits, labels).backward()
        optimizer.step()

    return step


def _peak(which: str) -> float:
    """Return the peak resident memory in MB of a process that does 3 steps at batch 128, less that before them."""
    command = [sys.executable, __file__, which]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def _measure_peak(which: str) -> None:
    torch.set_num_threads(1)
    before = _peak_kilobytes()
    step = _stepper(which, 128)
    for _ in range(3):
        step()
    print((_peak_kilobytes() - before) / 1024)


def _peak_kilobytes() -> int:
    """Return the peak resident memory of this process since it began (Linux)."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0])


def _unused_megabytes() -> float:
    space = nas_bench_macro()
    architecture = space.decisions.parse(CODE)
    everything = sum(p.numel() for p in space.supernet(seed=0).parameters())
    used = sum(p.numel() for p in space.build(architecture, seed=0).parameters())
    return 4 * (everything - used) / 2**20


if __name__ == "__main__":
    _measure_peak(sys.argv[1]) if len(sys.argv) > 1 else main()
