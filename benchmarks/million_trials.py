"""The driver of a search at scale: a million trials by a thousand simulated workers, nothing trained.

A generation is what a thousand workers give back; each trial's metrics are made up from its architecture. Measured are
trials a second, from proposal to journal on disk, and the largest memory of the process. The space is SPOS's, 4^20.

    python benchmarks/million_trials.py
"""

from __future__ import annotations

import resource
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from palmette.architecture import Architecture
from palmette.costs.complexity import CostTable
from palmette.searches.driver import Arm, run_search
from palmette.searches.random import RandomSearch, RandomSearchOptions
from palmette.spaces.shuffle_choice import shuffle_choice
from palmette.storage.journal import Journal

TRIALS, WORKERS = 1_000_000, 1_000


def main() -> None:
    space = shuffle_choice()
    table = CostTable(space, (3, 224, 224))

    def evaluate(architectures: Sequence[Architecture]) -> list[dict[str, float]]:
        return [{"accuracy": (hash(a.values) % 10_007) / 10_007, "loss": 1.0} for a in architectures]

    algorithm = RandomSearch(
        space.decisions, lambda architecture: True, RandomSearchOptions(evaluations=TRIALS, generation=WORKERS)
    )
    with tempfile.TemporaryDirectory() as folder, Journal(Path(folder) / "trials.sqlite") as journal:
        began = time.perf_counter()
        arm = Arm(name="random", seed=0, evaluations=TRIALS)
        trials = run_search(algorithm, evaluate, journal, arm=arm, costs=table)
        seconds = time.perf_counter() - began
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"{len(trials):,} trials in {seconds:.0f} s; largest memory {memory:.2f} GiB (target 1)")
    print(f"trials a second: {len(trials) / seconds:.0f} (target 2000)")


if __name__ == "__main__":
    main()
