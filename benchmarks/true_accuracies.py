"""What the benchmarks of searches share: NAS-Bench-Macro with its true accuracies, and a search on them in memory."""

from __future__ import annotations

import csv
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from palmette.architecture import Architecture
from palmette.searches.driver import Arm, Memory, run_search
from palmette.searches.trial import SearchAlgorithm
from palmette.spaces.nas_bench_macro import nas_bench_macro

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


class Table:
    """True error (0 to 1) and FLOPs as a share of the largest, by code and by architecture."""

    def __init__(self, path: Path) -> None:
        self.decisions = nas_bench_macro().decisions
        with path.open(newline="") as file:
            rows = list(csv.DictReader(file))
        largest = max(float(row["flops"]) for row in rows)
        mean = {row["arch"]: sum(float(row[f"test_acc_{i}"]) for i in range(3)) / 300 for row in rows}
        self.points = {row["arch"]: (1 - mean[row["arch"]], float(row["flops"]) / largest) for row in rows}
        self.of = {self.decisions.parse(code): point for code, point in self.points.items()}
        self.canonical = {code: self.decisions.code(self.decisions.parse(code)) for code in self.points}

    @staticmethod
    def named_on_the_command_line() -> Table:
        """Read ``nas_bench_macro/...csv`` in the folder given as the first argument, or in the shared data."""
        folder = Path(sys.argv[1]) if len(sys.argv) > 1 else SHARED
        path = folder / "nas_bench_macro" / "nas_bench_macro_cifar10.csv"
        if not path.exists():
            raise SystemExit(f"needed is {path}; give the folder that holds nas_bench_macro/")
        return Table(path)

    def search(self, algorithm: SearchAlgorithm, seed: int, evaluations: int) -> np.ndarray:
        """Return what was evaluated, in order: error and share of FLOPs, ``[evaluations, 2]``."""

        def evaluate(architectures: Sequence[Architecture]) -> list[Mapping[str, float]]:
            return [{"accuracy": 1 - self.of[a][0]} for a in architectures]

        def costs(architecture: Architecture) -> dict[str, float]:
            return {"flops": self.of[architecture][1]}

        arm = Arm(name="arm", seed=seed, evaluations=evaluations)
        trials = run_search(algorithm, evaluate, Memory(), arm=arm, costs=costs)
        return np.array([self.of[t.architecture] for t in trials])


def everything(architecture: Architecture) -> bool:
    """Set no limits."""
    return True
