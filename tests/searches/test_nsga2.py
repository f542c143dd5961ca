"""NSGA-II: survival worked out by hand, its promises, and its front against that of random search."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from known import Macro

from palmette.architecture import Architecture
from palmette.decision import Categorical
from palmette.decisions import Decisions
from palmette.errors import PalmetteError
from palmette.searches.driver import Arm, Memory, run_search
from palmette.searches.nsga2 import FIRSTS, MATES, NSGA2, NSGA2Options, couples, survivors
from palmette.searches.pareto import hypervolume
from palmette.searches.random import RandomSearch, RandomSearchOptions
from palmette.searches.trial import Trial

LARGE = Decisions("large", [Categorical(f"d{i}", tuple("abcd")) for i in range(20)])
ONE = NSGA2Options(objectives=("accuracy",), generations=4)


def everything(architecture: Architecture) -> bool:
    return True


def count_of(letter: str, architecture: Architecture) -> float:
    return float(sum(value == letter for _, value in architecture.values))


def searched(algorithm: NSGA2, seed: int = 0) -> list[Trial]:
    def evaluate(architectures: Sequence[Architecture]) -> list[Mapping[str, float]]:
        return [{"accuracy": count_of("d", a), "latency": count_of("c", a)} for a in architectures]

    return run_search(algorithm, evaluate, Memory(), arm=Arm(name="nsga2", seed=seed), costs=lambda a: {"flops": 1.0})


def test_survivors_are_taken_by_front_and_then_by_crowding() -> None:
    """Of the first front (0,10), (2,6), (3,4), (4,0) the ends are first, then (2,6) with 1.35 before (3,4) with 1.1."""
    values = np.array([[3.0, 4.0], [0.0, 10.0], [2.0, 6.0], [4.0, 0.0], [5.0, 5.0]])
    assert survivors(values, None, 3).tolist() == [1, 3, 2]
    assert survivors(values, None, 5).tolist() == [1, 3, 2, 0, 4]


def test_survivors_within_the_limits_come_before_all_others() -> None:
    values = np.array([[1.0, 1.0], [9.0, 9.0], [2.0, 2.0], [3.0, 3.0]])
    assert survivors(values, np.array([2.0, 0.0, 1.0, 0.0]), 3).tolist() == [3, 1, 2]


class Drawn:
    """A generator whose tournaments are given: contestants by candidate, the same for every child."""

    def __init__(self, *candidates: tuple[int, int]) -> None:
        self.candidates = candidates

    def integers(self, high: int, *, size: tuple[int, int, int]) -> np.ndarray:
        assert size == (high, FIRSTS + MATES, 2)
        return np.array([self.candidates] * high)


def couple(values: Sequence[Sequence[float]], firsts: Sequence[int], mates: Sequence[int]) -> tuple[int, int]:
    """Return the couple among these winners; what is missing is filled with the last winner."""
    padded = [*firsts, *[firsts[-1]] * (FIRSTS - len(firsts)), *mates, *[mates[-1]] * (MATES - len(mates))]
    drawn: Any = Drawn(*((one, one) for one in padded))
    return next(couples(np.array(values, dtype=float), drawn))


def test_the_first_parent_is_far_from_the_middle_and_the_second_near_the_first() -> None:
    """Shares of the ranges: (0, 1), (0.1, 0.5), (0.4, 0.2), (1, 0); their mean is (0.375, 0.425)."""
    values = [[0, 100], [1, 50], [4, 20], [10, 0]]
    assert couple(values, [2, 0], [3, 1, 2]) == (0, 1)  # 0 lies 0.69 from the middle, 2 only 0.23
    assert couple(values, [1, 2], [0, 3]) == (1, 0)  # 0.28 against 0.23; then 0.51 against 1.03
    assert couple(values, [3, 3], [3, 0, 3, 2]) == (3, 2)  # never itself, while there is another


def test_a_parent_that_meets_only_itself_is_crossed_with_itself() -> None:
    assert couple([[0, 1], [1, 0]], [1], [1]) == (1, 1)
    assert couple([[3, 3]], [0], [0]) == (0, 0)


def test_of_two_contestants_the_better_one_becomes_the_candidate() -> None:
    drawn: Any = Drawn(*[(3, 0), (2, 0)], *[(3, 2), (2, 3), (2, 2)], *[(3, 3)] * (MATES - 3))
    assert next(couples(np.array([[0.0, 3], [1, 2], [2, 1], [3, 0]]), drawn)) == (0, 2)


def test_parents_without_a_finite_objective_count_as_the_worst_of_the_others() -> None:
    """An accuracy that is not a number is infinite when minimised: 1 then lies at (1, 0), beside 2."""
    values = [[0, 4], [np.inf, 0], [1, 1]]
    assert couple(values, [1], [0, 2]) == (1, 2)
    assert couple([[np.inf, 0], [np.inf, 1], [np.inf, 5]], [0], [1, 2]) == (0, 1)


def test_generations_have_the_size_of_the_population_and_no_architecture_comes_twice() -> None:
    trials = searched(NSGA2(LARGE, everything, NSGA2Options(objectives=("accuracy", "latency"), generations=4)))
    assert [t.generation for t in trials] == [g for g in range(5) for _ in range(50)]
    assert len({t.architecture for t in trials}) == 250


def test_no_proposal_breaks_the_limits_on_costs() -> None:
    trials = searched(NSGA2(LARGE, lambda a: count_of("d", a) <= 9, ONE))
    assert max(t.metrics["accuracy"] for t in trials) == 9


def test_limits_on_measured_metrics_are_approached_from_outside() -> None:
    """Every 'c' costs latency and random architectures have 5 of 20: at most 1 is met by breeding the nearest."""
    options = NSGA2Options(objectives=("accuracy",), generations=20)
    search = NSGA2(LARGE, everything, options, violation=lambda t: max(0.0, t.metrics["latency"] - 1))
    trials = searched(search)
    within = [t for t in trials if t.metrics["latency"] <= 1]
    assert sum(t.metrics["latency"] <= 1 for t in trials[:50]) <= 5
    assert sum(t.metrics["latency"] <= 1 for t in trials[-50:]) >= 20
    assert max(t.metrics["accuracy"] for t in within) >= 12


def test_the_first_generation_begins_with_the_given_start() -> None:
    start = [LARGE.parse("3" * 20), LARGE.parse("2" * 20)]
    search = NSGA2(LARGE, lambda a: a != start[1], ONE, start=start)
    first = search.propose([], 10, np.random.default_rng(0))
    assert first[0] == start[0]
    assert start[1] not in first
    assert len(first) == 10


def test_a_small_space_is_exhausted_without_repeats_and_then_ends() -> None:
    decisions = Decisions("small", [Categorical(name, tuple("abcd")) for name in "xyz"])
    trials = searched(NSGA2(decisions, everything, NSGA2Options(objectives=("accuracy", "latency"))))
    assert {t.architecture for t in trials} == set(decisions.enumerate())


@pytest.mark.parametrize(
    "wrong", [{"population": 1}, {"generations": -1}, {"mutation_probability": 2.0}, {"objectives": ("flops", "flops")}]
)
def test_impossible_options_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(PalmetteError, match=r"nsga2|objectives"):
        NSGA2Options(**wrong)  # type: ignore[arg-type]


def test_its_front_on_true_accuracies_covers_more_than_that_of_random_search(shared_data: Path) -> None:
    """Hypervolume of (error, GFLOPs) below (0.2, 0.106) after 300 evaluations: better in each of 5 seeds."""
    macro = Macro(shared_data)

    def covered(trials: Sequence[Trial]) -> float:
        return hypervolume(macro.points([t.architecture for t in trials]), (0.2, 0.106))

    for seed in range(5):
        bred = macro.search(NSGA2(macro.decisions, everything, NSGA2Options()), seed, 300)
        drawn = macro.search(RandomSearch(macro.decisions, everything, RandomSearchOptions()), seed, 300)
        assert covered(bred) > covered(drawn)
