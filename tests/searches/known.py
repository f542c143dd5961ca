"""Searches on known accuracies: a journal in memory, the table of NAS-Bench-Macro, one search on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from palmette.architecture import Architecture
from palmette.costs.complexity import CostTable
from palmette.evaluation.audit import read_table
from palmette.searches.driver import Arm, Memory, run_search
from palmette.searches.trial import SearchAlgorithm, Trial
from palmette.spaces.nas_bench_macro import nas_bench_macro


class Macro:
    """NAS-Bench-Macro with its true accuracies (0 to 1) and FLOPs."""

    def __init__(self, folder: Path) -> None:
        space = nas_bench_macro()
        self.decisions = space.decisions
        self.truth = read_table(folder / "nas_bench_macro" / "nas_bench_macro_cifar10.csv", space.decisions)
        rows = CostTable(space, (3, 32, 32)).all(list(self.truth))
        self.flops = dict(zip(self.truth, rows[:, 0].astype(float).tolist(), strict=True))

    def points(self, architectures: Sequence[Architecture]) -> np.ndarray:
        """Return ``[n, 2]``: error (0 to 1) and GFLOPs, both to be minimised."""
        return np.array([[1 - self.truth[a], self.flops[a] / 1e9] for a in architectures])

    def search(self, algorithm: SearchAlgorithm, seed: int, evaluations: int) -> list[Trial]:
        def evaluate(architectures: Sequence[Architecture]) -> list[Mapping[str, float]]:
            return [{"accuracy": self.truth[a]} for a in architectures]

        def costs(architecture: Architecture) -> dict[str, float]:
            return {"flops": self.flops[architecture]}

        arm = Arm(name="arm", seed=seed, evaluations=evaluations)
        return run_search(algorithm, evaluate, Memory(), arm=arm, costs=costs)
