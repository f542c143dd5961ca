"""How many AnyNetX_A candidates a second are drawn, made compatible, counted and checked against a flop range.

One core, closed form, nothing built. Prints also the share within 360 to 400 MF for every space of the ladder.
"""

from __future__ import annotations

import time

import numpy as np

from palmette.design_spaces.ladder import ladder
from palmette.design_spaces.population import candidates
from palmette.design_spaces.space import DesignSpace

RANGES = {"flops": (360e6, 400e6)}
DRAWS = 200_000
REPEATS = 5


def main() -> None:
    spaces = ladder()
    for space in spaces.values():
        seconds, valid, within = checked(space)
        shares = f"{within:.2%} of draws in 360-400 MF, {valid:.1%} networks"
        print(f"{space.name}: {shares}, {DRAWS / seconds:,.0f} a second")
    best = min(checked(spaces["AnyNetX_A"])[0] for _ in range(REPEATS))
    print(f"design-space sampling: {DRAWS / best:,.0f} candidates/s (target 200,000)")


def checked(space: DesignSpace) -> tuple[float, float, float]:
    """Return the seconds, and the shares of draws that are networks and that lie within the range."""
    generator = np.random.default_rng(0)
    began = time.perf_counter()
    networks = within = 0
    for _ in range(DRAWS // space.chunk):
        found, valid, _, _ = candidates(space, space.chunk, ranges=RANGES, resolution=224, generator=generator)
        networks += int(valid.sum())
        within += len(found)
    return time.perf_counter() - began, networks / DRAWS, within / DRAWS


if __name__ == "__main__":
    main()
