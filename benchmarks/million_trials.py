"""The driver of a search at scale: a million trials by a thousand simulated workers, nothing trained.

A generation is what a thousand workers give back; metrics and costs are made up from the architecture. Measured are
trials a second, from the proposal to the journal on disk, and the largest memory of the process, which holds no torch.
The space has 20 decisions of 4 options, as SPOS's.

    python benchmarks/million_trials.py [TRIALS]
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from palmette.architecture import Architecture
from palmette.decision import Categorical
from palmette.decisions import Decisions
from palmette.searches.driver import Arm, run_search
from palmette.searches.random import RandomSearch, RandomSearchOptions
from palmette.storage.journal import Journal

TRIALS, WORKERS = 1_000_000, 1_000
OPTIONS = ("k3", "k5", "k7", "x")
COSTS = {"k3": 1.0, "k5": 2.0, "k7": 3.0, "x": 4.0}


def main() -> None:
    trials = int(sys.argv[1]) if len(sys.argv) > 1 else TRIALS
    decisions = Decisions("simulated", [Categorical(f"layer{i}", OPTIONS) for i in range(20)])
    options = RandomSearchOptions(evaluations=trials, generation=WORKERS)
    algorithm = RandomSearch(decisions, lambda architecture: True, options)
    with tempfile.TemporaryDirectory() as folder, Journal(Path(folder) / "trials.sqlite") as journal:
        began = time.perf_counter()
        arm = Arm(name="random", seed=0, evaluations=trials)
        found = run_search(algorithm, evaluated, journal, arm=arm, costs=costs)
        seconds = time.perf_counter() - began
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    assert len({trial.architecture for trial in found}) == trials
    print(f"{trials:,} trials in {seconds:.0f} s; largest memory {memory:.2f} GiB (target: below 0.93, 1 GB)")
    print(f"trials a second: {trials / seconds:.0f} (target 2000)")


def evaluated(architectures: Sequence[Architecture]) -> list[dict[str, float]]:
    return [{"accuracy": hash(architecture) % 10_007 / 10_007, "loss": 1.0} for architecture in architectures]


def costs(architecture: Architecture) -> dict[str, float]:
    total = sum(COSTS[str(value)] for _, value in architecture.values)
    return {"flops": total, "params": 2 * total, "acts": 3 * total}


if __name__ == "__main__":
    main()
