"""The empirical bootstrap: closed form by hand, against simulation, and the figures of the notes."""

from __future__ import annotations

import numpy as np
import pytest

from palmette.design_spaces.best_range import best_range, draws_of, simulated, value_weights
from palmette.design_spaces.error_distribution import lowest_of
from palmette.errors import PalmetteError


@pytest.mark.parametrize("count", [100, 500, 2000])
def test_the_best_network_is_kept_in_22_percent_and_15_hold_the_rest(count: int) -> None:
    weights = lowest_of(count, draws_of(0.25, count))
    assert weights.sum() == pytest.approx(1)
    assert weights[0] == pytest.approx(0.22, abs=0.005)
    assert np.searchsorted(weights.cumsum(), 0.975) + 1 in (14, 15)


def test_four_networks_by_hand() -> None:
    # one draw of four: each is kept with 1/4
    assert value_weights([1, 1, 2, 4], [0.4, 0.3, 0.2, 0.1]) == {1: 0.5, 2: 0.25, 4: 0.25}
    # two draws: the best with 7/16, then 5/16, 3/16, 1/16
    assert value_weights([1, 1, 2, 4], [0.4, 0.3, 0.2, 0.1], share=2) == {1: 4 / 16, 2: 5 / 16, 4: 7 / 16}
    found = best_range([1, 1, 2, 4], [0.4, 0.3, 0.2, 0.1], share=2)
    assert (found.low, found.median, found.high) == (1, 2, 4)


def test_equal_errors_share_their_weight() -> None:
    assert value_weights([1, 2, 3], [0.1, 0.1, 0.2], share=2) == pytest.approx({1: 4 / 9, 2: 4 / 9, 3: 1 / 9})


@pytest.mark.parametrize("share", [0.25, 40])
def test_closed_form_equals_simulation(share: float) -> None:
    generator = np.random.default_rng(0)
    values = generator.permutation(200) / 10
    errors = 30 + (values - 8) ** 2 / 20 + generator.normal(0, 1, 200)
    found = best_range(values, errors, share=share)
    kept = simulated(values, errors, share=share, repeats=40_000)
    for end, level in ((found.low, 0.025), (found.median, 0.5), (found.high, 0.975)):  # a percentile of a step curve
        spread = 4 * (level * (1 - level) / 40_000) ** 0.5
        assert np.mean(kept < end) - spread <= level <= np.mean(kept <= end) + spread
    weights = value_weights(values, errors, share=share)
    for value, weight in weights.items():
        assert np.mean(kept == value) == pytest.approx(weight, abs=5 * (weight / 40_000) ** 0.5 + 1e-9)


def test_the_range_finds_the_value_that_makes_networks_good() -> None:
    generator = np.random.default_rng(1)
    bottlenecks = generator.choice([1, 2, 4], 500)
    errors = 40 + 3 * (bottlenecks == 4) + generator.normal(0, 1, 500)
    found = best_range(bottlenecks, errors)
    assert found.high == 2  # "b <= 2 with 95% confidence"


def test_one_value_for_each_network_is_needed() -> None:
    with pytest.raises(PalmetteError, match="give one of each per network"):
        best_range([1, 2], [1.0])
