"""Every search, 20 seeds, on NAS-Bench-Macro's true accuracies: how long the whole comparison takes, and what it says.

One process, one thread. Shown with the supernet's cost excluded and included. Writes into results/compare_searches/
only with ``--write``.

    python benchmarks/compare_on_table.py [FOLDER OF THE SHARED DATA] [--write]
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from palmette.cli.compare_searches import ALL
from palmette.cli.main import main as palmette

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
SEARCHES = (*ALL, "optuna:TPESampler")


def main() -> None:
    given = [argument for argument in sys.argv[1:] if argument != "--write"]
    table = (Path(given[0]) if given else SHARED) / "nas_bench_macro" / "nas_bench_macro_cifar10.csv"
    if not table.exists():
        raise SystemExit(f"needed is {table}; give the folder that holds nas_bench_macro/")
    with tempfile.TemporaryDirectory() as temporary:
        out = Path("results/compare_searches") if "--write" in sys.argv else Path(temporary) / "comparison"
        began = time.monotonic()
        code = palmette(
            ["compare", "--table", str(table), "--searches", ",".join(SEARCHES), "--workers", "0", "--out", str(out)]
        )
        took = time.monotonic() - began
    if code:
        raise SystemExit(code)
    print(f"compare: {took:.0f} s (target under 300)")


if __name__ == "__main__":
    main()
