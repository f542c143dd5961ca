"""The laws that numbers are drawn from, against their distributions."""

from __future__ import annotations

import numpy as np
import pytest

from palmette.design_spaces.quantities import LogUniform, OneOf, PowerOfTwoOrLogUniform, Uniform
from palmette.errors import ArchitectureError

DRAWS = 40_000
BAND = (np.log(2000) / (2 * DRAWS)) ** 0.5
"""99.9% band of Dvoretzky, Kiefer and Wolfowitz."""


def drawn(quantity: OneOf | Uniform | LogUniform | PowerOfTwoOrLogUniform) -> np.ndarray:
    return quantity.draw(DRAWS, np.random.default_rng(0))


def test_uniform_draws_lie_on_a_line_and_take_both_ends() -> None:
    values = drawn(Uniform(12, 28))
    assert (values.min(), values.max()) == (12, 28)
    expected = np.arange(1, 18) / 17
    assert np.abs((values[:, None] <= np.arange(12, 29)).mean(0) - expected).max() < BAND


@pytest.mark.parametrize("quantity", [LogUniform(1, 16), LogUniform(8, 1024, 8), LogUniform(8, 256, 0.1)])
def test_log_uniform_draws_are_linear_in_the_logarithm(quantity: LogUniform) -> None:
    values = drawn(quantity)
    assert (values.min(), values.max()) == (quantity.low, quantity.high)
    points = np.linspace(quantity.low, quantity.high, quantity.count())
    below = quantity.low - min(quantity.step, quantity.low / 2)
    expected = np.log(points / below) / np.log(quantity.high / below)
    assert np.abs(np.searchsorted(np.sort(values), points + 1e-9) / DRAWS - expected).max() < BAND
    assert np.allclose(np.cumsum(quantity.shares()), expected)


def test_widths_from_8_start_their_lowest_bin_at_4() -> None:
    assert LogUniform(8, 1024, 8).shares()[0] == pytest.approx(np.log(2) / np.log(256))


def test_decimal_steps_give_the_decimal_numbers() -> None:
    values = drawn(LogUniform(1.5, 3, 0.001))
    assert {float(f"{value:.3f}") for value in values} == set(values.tolist())


def test_group_widths_are_powers_of_two_then_multiples_of_eight() -> None:
    quantity = PowerOfTwoOrLogUniform(1, 32)
    values, counts = np.unique(drawn(quantity), return_counts=True)
    assert values.tolist() == [1, 2, 4, 8, 16, 24, 32]
    assert quantity.count() == 7
    assert np.abs(counts[:3] / DRAWS - 1 / 6).max() < 0.01
    assert counts[3:].sum() / DRAWS == pytest.approx(0.5, abs=0.01)


def test_listed_numbers_are_equally_likely() -> None:
    _, counts = np.unique(drawn(OneOf((1, 2, 4))), return_counts=True)
    assert np.abs(counts / DRAWS - 1 / 3).max() < 0.01


@pytest.mark.parametrize(("low", "high", "step"), [(4, 16, 8), (8, 20, 8), (16, 8, 8), (0, 1, 0.3)])
def test_ends_off_the_step_are_refused(low: float, high: float, step: float) -> None:
    with pytest.raises(ArchitectureError, match="ends must be multiples of the step"):
        Uniform(low, high, step)
