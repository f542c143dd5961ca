"""Evolution: the published settings, its promises, and whether it beats random search on known accuracies."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from palmette.architecture import Architecture
from palmette.decision import Categorical
from palmette.decisions import Decisions
from palmette.errors import PalmetteError
from palmette.searches.driver import Arm, Memory, run_search
from palmette.searches.evolution import Evolution, EvolutionOptions
from palmette.searches.random import RandomSearch, RandomSearchOptions
from palmette.searches.trial import SearchAlgorithm, Trial, best_first
from palmette.spaces.nas_bench_macro import nas_bench_macro

LARGE = Decisions("large", [Categorical(f"d{i}", tuple("abcd")) for i in range(20)])


def everything(architecture: Architecture) -> bool:
    return True


def letters(architecture: Architecture) -> float:
    """A score that is best, 60, where all letters are d."""
    return float(sum("abcd".index(str(value)) for _, value in architecture.values))


def accuracy(trial: Trial) -> float:
    return trial.metrics["accuracy"]


def searched(algorithm: SearchAlgorithm, seed: int, evaluations: int | None = None) -> list[Trial]:
    def evaluate(architectures: Sequence[Architecture]) -> list[Mapping[str, float]]:
        return [{"accuracy": letters(a)} for a in architectures]

    return run_search(
        algorithm, evaluate, Memory(), arm=Arm(name="e", seed=seed, evaluations=evaluations), costs=lambda a: {}
    )


def test_the_published_settings_give_one_random_and_twenty_bred_generations_of_50() -> None:
    options = EvolutionOptions()
    assert options.evaluations == 1050
    trials = searched(Evolution(LARGE, everything, accuracy, options), seed=0)
    assert [t.generation for t in trials] == [g for g in range(21) for _ in range(50)]
    assert len({t.architecture for t in trials}) == 1050
    assert [t.number for t in trials] == list(range(1050))


def test_no_proposal_ever_breaks_the_limits() -> None:
    def allows(architecture: Architecture) -> bool:
        return letters(architecture) <= 30

    trials = searched(Evolution(LARGE, allows, accuracy, EvolutionOptions(generations=5)), seed=0)
    assert all(allows(t.architecture) for t in trials)
    assert max(map(accuracy, trials)) == 30


def test_children_come_from_the_ten_best_trials_so_far() -> None:
    parents = [LARGE.parse("0" * 20), LARGE.parse("1" * 20)]
    history = [Trial(0, 0, "e", parents[0], {"accuracy": 1.0}, {}), Trial(1, 0, "e", parents[1], {"accuracy": 2.0}, {})]
    options = EvolutionOptions(parents=1, population=20, mutants=10, crossovers=10, mutation_probability=0.05)
    children = Evolution(LARGE, everything, accuracy, options).propose(history, 20, np.random.default_rng(0))
    changes = [sum(value != "b" for _, value in child.values) for child in children]
    assert len(children) == 20
    assert max(changes[:10]) <= 5  # mutants of the best trial; a random architecture differs in 15 places
    assert min(changes[10:]) >= 8  # crossovers of one parent give nothing new, so random ones fill up


def test_the_first_generation_begins_with_the_given_start() -> None:
    start = [LARGE.parse("3" * 20), LARGE.parse("2" * 20)]
    evolution = Evolution(LARGE, lambda a: a != start[1], accuracy, EvolutionOptions(), start)
    first = evolution.propose([], 10, np.random.default_rng(0))
    assert first[0] == start[0]
    assert start[1] not in first
    assert len(first) == 10


def test_a_small_space_is_exhausted_without_repeats_and_then_ends() -> None:
    decisions = Decisions("small", [Categorical(name, tuple("abc")) for name in "xyzw"])
    trials = searched(Evolution(decisions, everything, accuracy, EvolutionOptions()), seed=0)
    assert {t.architecture for t in trials} == set(decisions.enumerate())
    assert len(trials) == 81


def test_the_budget_cuts_the_last_generation() -> None:
    trials = searched(Evolution(LARGE, everything, accuracy, EvolutionOptions()), seed=0, evaluations=120)
    assert [t.generation for t in trials] == [0] * 50 + [1] * 50 + [2] * 20


def test_trials_without_a_score_rank_last_and_ties_by_age() -> None:
    scores = [0.5, float("nan"), 0.7, 0.5, float("-inf")]
    history = [Trial(i, 0, "e", LARGE.parse("0" * 20), {"accuracy": s}, {}) for i, s in enumerate(scores)]
    assert [t.number for t in best_first(history, accuracy)] == [2, 0, 3, 1, 4]


@pytest.mark.parametrize(
    "wrong",
    [{"population": 0}, {"mutants": -1}, {"mutants": 40}, {"mutation_probability": 1.5}, {"parents": 0}],
)
def test_impossible_options_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(PalmetteError, match="evolution"):
        EvolutionOptions(**wrong)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def table(shared_data: Path) -> dict[str, tuple[float, float]]:
    """Mean accuracy (percent) and FLOPs by code."""
    with open(shared_data / "nas_bench_macro" / "nas_bench_macro_cifar10.csv", newline="") as file:
        return {
            row["arch"]: (sum(float(row[f"test_acc_{i}"]) for i in range(3)) / 3, float(row["flops"]))
            for row in csv.DictReader(file)
        }


@pytest.mark.parametrize("cap", [float("inf"), 60e6])
def test_evolution_beats_random_search_on_true_accuracies(table: dict[str, tuple[float, float]], cap: float) -> None:
    """Mean regret in percentage points over 50 seeds, 300 evaluations of 3,969 (fewer under the cap)."""
    decisions = nas_bench_macro().decisions
    best = max(accuracy for accuracy, flops in table.values() if flops <= cap)

    def allows(architecture: Architecture) -> bool:
        return table[decisions.code(architecture)][1] <= cap

    def evaluate(architectures: Sequence[Architecture]) -> list[Mapping[str, float]]:
        return [{"accuracy": table[decisions.code(a)][0]} for a in architectures]

    def mean_regret(algorithm: SearchAlgorithm) -> float:
        regrets = []
        for seed in range(50):
            arm = Arm(name="arm", seed=seed)
            trials = run_search(algorithm, evaluate, Memory(), arm=arm, costs=lambda a: {})
            assert len({t.architecture for t in trials}) == 300
            assert all(allows(t.architecture) for t in trials)
            regrets.append(best - max(map(accuracy, trials)))
        return float(np.mean(regrets))

    bred = mean_regret(Evolution(decisions, allows, accuracy, EvolutionOptions(generations=5)))
    drawn = mean_regret(RandomSearch(decisions, allows, RandomSearchOptions(evaluations=300)))
    print(f"mean regret over 50 seeds, cap {cap:g}: evolution {bred:.4f}, random {drawn:.4f} points")
    assert bred < 0.6 * drawn
