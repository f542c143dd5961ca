"""``palmette search`` without options: its time, memory and result, on as many cores as there are."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        command = [sys.executable, "-c", "import sys; from palmette.cli.main import main; sys.exit(main())"]
        began = time.perf_counter()
        subprocess.run([*command, "search", "--out", str(out)], check=True)
        seconds = time.perf_counter() - began
        result = json.loads((out / "result.json").read_text())
    gigabytes = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
    winner, random = (100 * result[arm]["test"]["accuracy"] for arm in ("winner", "random"))
    print(f"peak memory: {gigabytes:.2f} GB (target 4 GB)")
    print(f"test accuracy: {winner:.2f}% (target 97%); random search at equal cost: {random:.2f}%")
    print(f"default search: {seconds:.0f} s (target 120 s)")


if __name__ == "__main__":
    main()
