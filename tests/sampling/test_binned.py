"""Uniform-constraint sampling: cost uniform over a range, and how often that failed."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from palmette.architecture import Architecture
from palmette.costs.complexity import CostTable
from palmette.decision import Categorical
from palmette.decisions import Decisions
from palmette.errors import LimitError
from palmette.sampling.binned import BinnedSampler
from palmette.spaces.shuffle_choice import shuffle_choice

COINS = Decisions("coins", [Categorical(f"d{i}", ("0", "1")) for i in range(6)])


def heads(architecture: Architecture) -> float:
    return float(sum(value == "1" for _, value in architecture.values))


def test_every_bin_of_a_binomial_cost_is_drawn_equally_often() -> None:
    """Costs 0 to 6 with 1, 6, 15, 20, 15, 6, 1 of 64 architectures: bins of width 1 hold one cost each."""
    sampler = BinnedSampler(COINS, heads, low=-0.5, high=6.5, bins=7, tries=2000)
    generator = np.random.default_rng(0)
    counts = np.bincount([int(heads(sampler.sample(generator))) for _ in range(2100)], minlength=7)
    assert stats.chisquare(counts).pvalue > 0.001
    assert (sampler.draws, sampler.fallbacks) == (2100, 0)


def test_fallbacks_are_counted_and_come_as_often_as_the_rarest_bin_is_missed() -> None:
    """One bin, cost 6 alone: a try succeeds with 1/64, ten tries fail with (63/64)^10 = 0.854."""
    sampler = BinnedSampler(COINS, heads, low=5.5, high=6.5, bins=1, tries=10)
    generator = np.random.default_rng(0)
    drawn = [heads(sampler.sample(generator)) for _ in range(1000)]
    assert sampler.fallbacks == sum(cost != 6 for cost in drawn)
    assert sampler.fallbacks / sampler.draws == pytest.approx((63 / 64) ** 10, abs=0.04)


def test_spos_bins_of_flops_are_uniform_with_about_25_tries_and_rare_fallbacks() -> None:
    """7 bins of 10M over 290M to 360M FLOPs, at most 500 tries; the rarest bin holds 1% of uniform draws."""
    space = shuffle_choice()
    table, tried = CostTable(space, (3, 224, 224)), [0]

    def flops(architecture: Architecture) -> float:
        tried[0] += 1
        return table(architecture)["flops"]

    sampler = BinnedSampler(space.decisions, flops, low=290e6, high=360e6)
    generator = np.random.default_rng(0)
    drawn = [sampler.sample(generator) for _ in range(700)]
    costs = np.array([table(a)["flops"] for a in drawn])
    counts, _ = np.histogram(costs, sampler.edges)
    assert stats.chisquare(counts).pvalue > 0.001
    assert sampler.fallbacks / 700 < 0.01
    assert 15 < tried[0] / 700 < 40


def test_the_share_of_fallbacks_is_a_figure_of_the_sampler_and_counts_nothing() -> None:
    sampler = BinnedSampler(COINS, heads, low=5.5, high=6.5, bins=1, tries=10)
    assert sampler.fallback_share() == sampler.fallback_share() == pytest.approx((63 / 64) ** 10, abs=0.04)
    assert sampler.draws == 0


def test_draws_depend_on_the_generator_alone() -> None:
    one, other = (BinnedSampler(COINS, heads, low=0, high=6) for _ in range(2))
    other.sample(np.random.default_rng(9))
    assert one.sample(np.random.default_rng(3)) == other.sample(np.random.default_rng(3))


@pytest.mark.parametrize(
    "wrong", [{"low": 3.0, "high": 3.0}, {"low": 0.0, "high": math.inf}, {"bins": 0}, {"tries": 0}]
)
def test_impossible_ranges_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(LimitError, match="binned"):
        BinnedSampler(COINS, heads, **{"low": 0.0, "high": 6.0, **wrong})  # type: ignore[arg-type]
