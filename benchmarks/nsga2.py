"""NSGA-II on true accuracies: hypervolume beside pymoo's NSGA-II and random search, and time per evaluation.

NAS-Bench-Macro, objectives accuracy and FLOPs, 500 evaluations in generations of 50, 10 seeds, 95% intervals. pymoo
runs in two ways: as it is (on codes), and helped by mapping every code to its canonical one, so that it too spends no
evaluation on a network it has seen. Hypervolume is of all evaluated networks, below (20% error, the largest FLOPs), as
a share of what the true front covers.

    python benchmarks/nsga2.py [FOLDER OF THE SHARED DATA]
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable

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
from true_accuracies import Table, everything

from palmette.searches.nsga2 import NSGA2, NSGA2Options
from palmette.searches.pareto import hypervolume
from palmette.searches.random import RandomSearch, RandomSearchOptions

EVALUATIONS, SEEDS, POPULATION = 500, 10, 50
LAYERS = 8
REFERENCE = (0.2, 1.0)
WARM = 1000
"""A seed that is not measured."""


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
    warnings.simplefilter("ignore")
    table = Table.named_on_the_command_line()
    decisions, whole = table.decisions, hypervolume(np.array(list(table.points.values())), REFERENCE)
    searches: dict[str, Callable[[int], np.ndarray]] = {
        "ours": lambda seed: table.search(NSGA2(decisions, everything, NSGA2Options()), seed, EVALUATIONS),
        "pymoo": lambda seed: pymoo(table, RoundingRepair(), seed),
        "pymoo, canonical codes": lambda seed: pymoo(table, Canonical(), seed),
        "random": lambda seed: table.search(
            RandomSearch(decisions, everything, RandomSearchOptions()), seed, EVALUATIONS
        ),
    }
    took: dict[str, list[float]] = {name: [] for name in searches}
    shares: dict[str, list[float]] = {name: [] for name in searches}
    for seed in (WARM, *range(SEEDS)):
        for name, search in searches.items():
            began = time.process_time()  # of this process alone, whatever else runs on the machine
            points = search(seed)
            if seed != WARM:
                took[name].append(1e3 * (time.process_time() - began) / len(points))
                shares[name].append(100 * hypervolume(points[:EVALUATIONS], REFERENCE) / whole)
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
