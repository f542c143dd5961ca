"""How long the exact costs of all 6,561 codes of NAS-Bench-Macro take in a new process, after the imports."""

from __future__ import annotations

import time

from palmette.architecture import Architecture
from palmette.costs.complexity import CostTable
from palmette.spaces.nas_bench_macro import nas_bench_macro


def main() -> None:
    start = time.perf_counter()
    space = nas_bench_macro()
    codes = [Architecture(space.name, tuple(values.items())) for values in space.decisions.encodings()]
    costs = CostTable(space, (3, 32, 32)).all(codes)
    seconds = time.perf_counter() - start
    print(f"cost table of {len(costs):,} architectures: {seconds:.2f} s (target < 1 s)")


if __name__ == "__main__":
    main()
