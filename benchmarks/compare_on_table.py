"""Every search, 20 seeds, on NAS-Bench-Macro's true accuracies: how long the whole comparison takes, and what it says.

One process, one thread, so that its CPU time is what it takes on a machine that does nothing else. Costs are shown with
the supernet excluded and included. Nothing is kept.

    python benchmarks/compare_on_table.py [FOLDER OF THE SHARED DATA]
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
    table = (Path(sys.argv[1]) if len(sys.argv) > 1 else SHARED) / "nas_bench_macro" / "nas_bench_macro_cifar10.csv"
    if not table.exists():
        raise SystemExit(f"needed is {table}; give the folder that holds nas_bench_macro/")
    with tempfile.TemporaryDirectory() as temporary:
        out = Path(temporary) / "comparison"
        began, worked = time.monotonic(), time.process_time()
        code = palmette(
            ["compare", "--table", str(table), "--searches", ",".join(SEARCHES), "--workers", "0", "--out", str(out)]
        )
        took, worked = time.monotonic() - began, time.process_time() - worked
    if code:
        raise SystemExit(code)
    print(f"on the clock of this machine, whatever else runs on it: {took:.0f} s")
    print(f"compare: {worked:.0f} s of one core (target under 300)")


if __name__ == "__main__":
    main()
