"""Does a search under "at most X ms" return a network that takes X ms? Table, search and measurement on this machine.

The latency table of NAS-Bench-Macro (32x32, batch 1, one thread) is made and checked, evolution searches by the table
of true accuracies under three limits, and the three winners are measured again, after the search. True accuracy grows
with latency here, so a good search goes up to the limit. Measured is at
the pace that the machine had when the table was made, which networks of the table's check tell.

    python benchmarks/latency_limit.py [TABLE.csv]
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from palmette.architecture import Architecture
from palmette.costs.latency import Conditions, measured_beside, measured_table
from palmette.costs.limits import Limits
from palmette.evaluation.audit import read_table
from palmette.searches.driver import Arm, run_search
from palmette.searches.evolution import Evolution, EvolutionOptions
from palmette.searches.trial import Trial, best_first
from palmette.spaces.nas_bench_macro import nas_bench_macro

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
TABLE = SHARED / "nas_bench_macro" / "nas_bench_macro_cifar10.csv"
QUANTILES = (0.25, 0.5, 0.75)
"""Of the latencies of random networks: where the limits are."""


class Memory:
    """The trials of one search."""

    def __init__(self) -> None:
        self.kept: list[Trial] = []

    def trials(self) -> list[Trial]:
        return list(self.kept)

    def append(self, trials: Sequence[Trial]) -> None:
        self.kept += trials


def main() -> None:
    space, conditions = nas_bench_macro(), Conditions(input_shape=(3, 32, 32))
    truth = read_table(Path(sys.argv[1]) if len(sys.argv) > 1 else TABLE, space.decisions)
    table = measured_table(space, conditions, rounds=20)
    found = table.agreement
    print(f"table: R2 {found.r2:.4f}, RMSE {found.rmse:.4f} ms over {len(table.codes)} networks it was not made of")

    def evaluate(architectures: Sequence[Architecture]) -> list[dict[str, float]]:
        return [{"accuracy": truth[architecture]} for architecture in architectures]

    limits = [round(float(limit), 2) for limit in np.quantile(table.measured, QUANTILES)]
    winners = []
    for limit in limits:
        bounds = Limits.from_mapping({"latency": limit})
        options = EvolutionOptions(population=40, generations=9, mutants=20, crossovers=20)
        search = Evolution(space.decisions, lambda a, b=bounds: b.allows(table.table(a)), _accuracy, options)
        arm = Arm(name="evolution", seed=0, evaluations=options.evaluations)
        winners.append(best_first(run_search(search, evaluate, Memory(), arm=arm, costs=table.table), _accuracy)[0])
    chosen = [winner.architecture for winner in winners]
    generator = np.random.default_rng(0)
    times = measured_beside(table, space, chosen, rounds=50, generator=generator)
    for limit, winner, milliseconds in zip(limits, winners, times, strict=True):
        code, accuracy = space.decisions.code(winner.architecture), 100 * winner.metrics["accuracy"]
        print(
            f"at most {limit} ms: {code}, {accuracy:.2f}%, by the table {winner.costs['latency']:.3f} ms, "
            f"measured {milliseconds:.3f} ms, "
            f"{100 * (milliseconds / limit - 1):+.1f}% of the limit"
        )
    worst = max(abs(milliseconds / limit - 1) for limit, milliseconds in zip(limits, times, strict=True))
    print(f"latency limit: {100 * worst:.1f}% from the limit at worst (target at most 10%)")


def _accuracy(trial: Trial) -> float:
    return trial.metrics["accuracy"]


if __name__ == "__main__":
    main()
