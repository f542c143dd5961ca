"""NSGA-II on true accuracies: hypervolume beside pymoo's NSGA-II and random search, and time per evaluation.

NAS-Bench-Macro, objectives accuracy and FLOPs, 500 evaluations in generations of 50, 10 seeds, 95% intervals. pymoo
runs in two ways: as it is (on codes), and helped by mapping every code to its canonical one, so that it too spends no
evaluation on a network it has seen. Hypervolume is of all evaluated networks, below (20% error, the largest FLOPs), as
a share of what the true front covers.

    python benchmarks/nsga2.py [FOLDER OF THE SHARED DATA]
"""

from __future__ import annotations

import csv
import sys
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from pymoo.algorithms.moo.nsga2 import NSGA2 as PymooNSGA2
from pymoo.core.problem import Problem
from pymoo.core.repair import Repair
from pymoo.operators.crossover.ux import UniformCrossover
from pymoo.operators.mutation.pm import PM
from pymoo.operators.repair.rounding import RoundingRepair
from pymoo.operators.sampling.rnd import IntegerRandomSampling
from pymoo.optimize import minimize
from scipy import stats

from palmette.architecture import Architecture
from palmette.decisions import Decisions
from palmette.searches.driver import Arm, run_search
from palmette.searches.nsga2 import NSGA2, NSGA2Options
from palmette.searches.pareto import hypervolume
from palmette.searches.random import RandomSearch, RandomSearchOptions
from palmette.searches.trial import SearchAlgorithm, Trial
from palmette.spaces.nas_bench_macro import nas_bench_macro

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
EVALUATIONS, SEEDS, POPULATION = 500, 10, 50
LAYERS = 8
REFERENCE = (0.2, 1.0)
WARM = 1000
"""A seed that is not measured."""


class Table:
    """True error (0 to 1) and FLOPs as a share of the largest, by code."""

    def __init__(self, path: Path, decisions: Decisions) -> None:
        self.decisions = decisions
        with path.open(newline="") as file:
            rows = [
                (r["arch"], [float(r[f"test_acc_{i}"]) for i in range(3)], float(r["flops"]))
                for r in csv.DictReader(file)
            ]
        largest = max(flops for _, _, flops in rows)
        self.points = {code: (1 - sum(acc) / 300, flops / largest) for code, acc, flops in rows}
        self.of = {decisions.parse(code): point for code, point in self.points.items()}
        self.canonical = {code: decisions.code(decisions.parse(code)) for code in self.points}
        self.best = hypervolume(np.array(list(self.points.values())), REFERENCE)

    def share(self, points: np.ndarray) -> float:
        return hypervolume(points, REFERENCE) / self.best


class Memory:
    """A journal in memory."""

    def __init__(self) -> None:
        self.rows: list[Trial] = []

    def trials(self) -> list[Trial]:
        return list(self.rows)

    def append(self, trials: Sequence[Trial]) -> None:
        self.rows += trials


def ours(table: Table, algorithm: SearchAlgorithm, seed: int) -> np.ndarray:
    def evaluate(architectures: Sequence[Architecture]) -> list[Mapping[str, float]]:
        return [{"accuracy": 1 - table.of[a][0]} for a in architectures]

    def costs(architecture: Architecture) -> dict[str, float]:
        return {"flops": table.of[architecture][1]}

    arm = Arm(name="arm", seed=seed, evaluations=EVALUATIONS)
    trials = run_search(algorithm, evaluate, Memory(), arm=arm, costs=costs)
    return np.array([table.of[t.architecture] for t in trials])


class Codes(Problem):
    """The table as pymoo sees a problem: 8 integers in, 2 objectives out."""

    def __init__(self, table: Table) -> None:
        super().__init__(n_var=LAYERS, n_obj=2, xl=0, xu=2, vtype=int)
        self.table = table
        self.seen: list[tuple[float, float]] = []

    def _evaluate(self, x: np.ndarray, out: dict[str, object], *args: object, **kwargs: object) -> None:
        found = [self.table.points["".join(map(str, row))] for row in x.tolist()]
        self.seen += found
        out["F"] = np.array(found)


class Canonical(Repair):
    """Rounds and maps codes to their canonical ones."""

    def _do(self, problem: Codes, x: np.ndarray, **kwargs: object) -> np.ndarray:
        codes = (problem.table.canonical["".join(map(str, row))] for row in np.around(x).astype(int).tolist())
        return np.array([[int(digit) for digit in code] for code in codes])


def pymoo(table: Table, repair: Repair, seed: int) -> np.ndarray:
    problem = Codes(table)
    algorithm = PymooNSGA2(
        pop_size=POPULATION,
        sampling=IntegerRandomSampling(),
        crossover=UniformCrossover(prob=0.9, repair=repair),
        mutation=PM(prob=1.0, prob_var=1 / LAYERS, eta=3.0, vtype=float, repair=repair),
        eliminate_duplicates=True,
    )
    minimize(problem, algorithm, ("n_eval", EVALUATIONS), seed=seed, verbose=False)
    return np.array(problem.seen)


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else SHARED
    warnings.simplefilter("ignore")
    decisions = nas_bench_macro().decisions
    table = Table(folder / "nas_bench_macro" / "nas_bench_macro_cifar10.csv", decisions)

    def everything(architecture: Architecture) -> bool:
        return True

    searches: dict[str, Callable[[int], np.ndarray]] = {
        "ours": lambda seed: ours(table, NSGA2(decisions, everything, NSGA2Options()), seed),
        "pymoo": lambda seed: pymoo(table, RoundingRepair(), seed),
        "pymoo, canonical codes": lambda seed: pymoo(table, Canonical(), seed),
        "random": lambda seed: ours(table, RandomSearch(decisions, everything, RandomSearchOptions()), seed),
    }
    took: dict[str, list[float]] = {name: [] for name in searches}
    shares: dict[str, list[float]] = {name: [] for name in searches}
    for seed in (WARM, *range(SEEDS)):
        for name, search in searches.items():
            began = time.process_time()  # of this process alone, whatever else runs on the machine
            points = search(seed)
            if seed != WARM:
                took[name].append(1e3 * (time.process_time() - began) / len(points))
                shares[name].append(100 * table.share(points[:EVALUATIONS]))
    for name in searches:
        mean, half = np.mean(shares[name]), stats.t.ppf(0.975, SEEDS - 1) * stats.sem(shares[name])
        print(
            f"{name:<23} {np.median(took[name]):.3f} ms per evaluation; hypervolume {mean:.3f}% of the true front's "
            f"(95% interval {mean - half:.3f} to {mean + half:.3f})"
        )
    print(f"nsga2 hypervolume: {np.mean(shares['ours']):.3f}% (target pymoo's {np.mean(shares['pymoo']):.3f}%)")
    print(f"nsga2 time per evaluation: {np.median(took['ours']):.3f} ms (target < 0.1 ms)")


if __name__ == "__main__":
    main()
