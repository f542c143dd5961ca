"""Epochs at which a method costs what another does."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from palmette.comparison.equal_cost import equal_epochs, next_epochs


def counted(cost: Callable[[int], float]) -> tuple[Callable[[int], float], list[int]]:
    asked: list[int] = []

    def ask(epochs: int) -> float:
        asked.append(epochs)
        return cost(epochs)

    return ask, asked


def test_equal_costs_are_measured_once() -> None:
    ask, asked = counted(lambda epochs: 100.0 * epochs)
    assert equal_epochs(ask, 1050.0, start=10) == 10
    assert asked == [10]


def test_a_method_twice_as_dear_gets_half_the_epochs() -> None:
    ask, asked = counted(lambda epochs: 200.0 * epochs)
    assert equal_epochs(ask, 1000.0, start=10) == 5
    assert asked == [10, 5]


def test_fixed_costs_are_found_by_the_second_measurement() -> None:
    ask, asked = counted(lambda epochs: 600.0 + 50.0 * epochs)  # evaluations cost 600 whatever is trained
    assert equal_epochs(ask, 1000.0, start=20) == 8
    assert asked == [20, 12, 8]  # 20 * 1000 / 1600 = 12.5, then along the line


def test_a_method_that_cannot_cost_as_little_gets_the_least() -> None:
    assert equal_epochs(lambda epochs: 5000.0 + epochs, 1000.0, start=10) == 1


def test_a_cost_that_does_not_move_is_measured_once_more_at_most() -> None:
    ask, asked = counted(lambda epochs: 5000.0)
    equal_epochs(ask, 1000.0, start=10)
    assert len(asked) == 2
    assert next_epochs({10: 5000.0, 2: 5000.0}, 1000.0) == 2


def test_the_first_guess_is_proportional() -> None:
    assert next_epochs({10: 400.0}, 1000.0) == 25
    assert next_epochs({10: 1e9}, 1.0) == 1


@pytest.mark.parametrize("start", [1, 3, 100])
def test_the_nearest_of_those_measured_is_taken(start: int) -> None:
    ask, asked = counted(lambda epochs: float(epochs**2))
    epochs = equal_epochs(ask, 400.0, start=start)
    assert abs(epochs**2 - 400) == min(abs(e**2 - 400) for e in asked)
