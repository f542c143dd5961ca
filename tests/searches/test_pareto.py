"""Pareto ranking, crowding and hypervolume, worked out by hand and against pymoo."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from pymoo.indicators.hv import HV
from pymoo.operators.survival.rank_and_crowding.metrics import calc_crowding_distance
from pymoo.util.nds.non_dominated_sorting import NonDominatedSorting

from palmette.architecture import Architecture
from palmette.errors import PalmetteError
from palmette.searches.pareto import Objective, crowding, hypervolume, minimised, objectives, pareto_front, ranks
from palmette.searches.trial import Trial

SIX = np.array([[1.0, 5.0], [2.0, 3.0], [4.0, 1.0], [3.0, 4.0], [4.0, 4.0], [5.0, 5.0]])
SMALL = arrays(np.float64, array_shapes(min_dims=2, max_dims=2, max_side=12), elements=st.integers(0, 4).map(float))


def trial(number: int, accuracy: float, flops: float) -> Trial:
    return Trial(number, 0, "arm", Architecture("s", (("d", number),)), {"accuracy": accuracy}, {"flops": flops})


def test_ranks_equal_a_hand_worked_case() -> None:
    """(1,5), (2,3), (4,1) are not dominated; without them (3,4) leads, then (4,4), then (5,5)."""
    assert ranks(SIX).tolist() == [0, 0, 0, 1, 2, 3]


def test_equal_points_share_a_front_and_ties_in_one_objective_dominate() -> None:
    values = np.array([[1.0, 2.0], [1.0, 2.0], [1.0, 3.0], [2.0, 2.0], [0.0, 9.0]])
    assert ranks(values).tolist() == [0, 0, 1, 1, 0]


def test_points_outside_the_limits_follow_by_their_violation_alone() -> None:
    violations = np.array([0.0, 0.5, 0.0, 0.1, 0.5, 0.0])
    assert ranks(SIX, violations).tolist() == [0, 3, 0, 2, 3, 1]


def test_ranking_stops_when_enough_points_have_a_front() -> None:
    assert ranks(SIX, enough=3).tolist() == [0, 0, 0, 1, 1, 1]
    assert ranks(SIX, enough=4).tolist() == [0, 0, 0, 1, 2, 2]


def test_three_objectives_are_ranked_too() -> None:
    values = np.array([[1.0, 1.0, 3.0], [1.0, 2.0, 2.0], [2.0, 2.0, 2.0], [1.0, 1.0, 4.0], [3.0, 3.0, 3.0]])
    assert ranks(values).tolist() == [0, 0, 1, 1, 2]


def test_crowding_distance_is_infinite_at_the_ends_and_adds_up_relative_gaps_between() -> None:
    """Ranges are 4 and 10; (2,6): (3-0)/4 + (10-4)/10; (3,4): (4-2)/4 + (6-0)/10."""
    values = np.array([[3.0, 4.0], [0.0, 10.0], [2.0, 6.0], [4.0, 0.0]])
    assert crowding(values) == pytest.approx([0.5 + 0.6, math.inf, 0.75 + 0.6, math.inf])


def test_crowding_of_equal_points_and_of_few_points_is_defined() -> None:
    assert crowding(np.ones((1, 2))).tolist() == [math.inf]
    assert crowding(np.ones((4, 2))).tolist() == [math.inf, 0.0, 0.0, math.inf]
    assert np.isfinite(crowding(np.array([[0.0, 1.0], [1.0, math.inf], [2.0, 0.5], [1.5, 0.7]]))).sum() == 1


def test_hypervolume_equals_a_hand_worked_case() -> None:
    """Below (6, 6): 1 x 1 above (1,5), then 4 x 3 in all from (2,3) less what is counted, then (4,1)."""
    assert hypervolume(SIX, (6.0, 6.0)) == pytest.approx(5 * 1 + 4 * 2 + 2 * 2)
    assert hypervolume(np.array([[1.0, 1.0, 1.0]]), (2.0, 3.0, 4.0)) == pytest.approx(6.0)
    assert hypervolume(SIX, (0.5, 6.0)) == 0.0


@given(SMALL)
def test_ranks_equal_pymoo(values: np.ndarray) -> None:
    expected = NonDominatedSorting().do(values, return_rank=True)[1]
    assert ranks(values).tolist() == expected.tolist()


@given(arrays(np.float64, (9, 3), elements=st.floats(0, 1), unique=True))
def test_crowding_equals_pymoo(values: np.ndarray) -> None:
    """Where no two values are equal; pymoo averages over the objectives where the paper adds up."""
    assert crowding(values) / 3 == pytest.approx(calc_crowding_distance(values))


@given(arrays(np.float64, st.tuples(st.integers(1, 8), st.integers(2, 4)), elements=st.integers(0, 5).map(float)))
def test_hypervolume_equals_pymoo(values: np.ndarray) -> None:
    reference = np.full(values.shape[1], 5.0)
    assert hypervolume(values, reference.tolist()) == pytest.approx(float(HV(reference)(values)))


def test_objectives_read_metrics_and_costs_with_their_direction() -> None:
    trials = [trial(0, 0.9, 30.0), trial(1, float("nan"), 10.0)]
    assert objectives(["accuracy", "flops"]) == (Objective("accuracy", "higher"), Objective("flops", "lower"))
    assert minimised(trials, objectives(["accuracy", "flops:higher"])).tolist() == [[-0.9, -30.0], [math.inf, -10.0]]


def test_the_front_of_trials_has_one_of_those_that_are_equal() -> None:
    trials = [trial(0, 0.9, 30.0), trial(1, 0.8, 30.0), trial(2, 0.7, 10.0), trial(3, 0.9, 30.0)]
    assert [t.number for t in pareto_front(trials, objectives(["accuracy", "flops"]))] == [0, 2]


@pytest.mark.parametrize("wrong", [["accuracy", "accuracy:lower"], [], ["accuracy:more"], [":lower"]])
def test_objectives_named_twice_or_in_no_direction_are_refused(wrong: list[str]) -> None:
    with pytest.raises(PalmetteError, match="objective"):
        objectives(wrong)


def test_an_unknown_objective_is_refused_with_what_there_is() -> None:
    with pytest.raises(PalmetteError, match="allowed are accuracy, flops"):
        minimised([trial(0, 0.9, 1.0)], objectives(["latency"]))
