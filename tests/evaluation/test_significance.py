"""Intervals, permutation tests and Holm's correction, by hand and against SciPy."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from palmette.evaluation.significance import difference_of, holm, least_p, mean_of, paired_p, unpaired_p


def test_the_interval_of_a_mean_is_students() -> None:
    estimate = mean_of([1.0, 2.0, 3.0])
    assert estimate.value == 2.0
    assert estimate.high - 2.0 == pytest.approx(4.302653 / math.sqrt(3), rel=1e-6)  # t(2), standard deviation 1


def test_one_value_has_no_interval() -> None:
    estimate = mean_of([0.5])
    assert estimate.value == 0.5
    assert math.isnan(estimate.low)


def test_the_interval_of_a_difference_is_welchs() -> None:
    generator = np.random.default_rng(1)
    x, y = generator.normal(1.0, 1.0, 7), generator.normal(0.0, 3.0, 12)
    wanted = stats.ttest_ind(x, y, equal_var=False).confidence_interval()
    found = difference_of(x, y)
    assert (found.low, found.high) == pytest.approx((wanted.low, wanted.high))


def test_constant_samples_differ_by_exactly_that() -> None:
    assert difference_of([2.0, 2.0], [1.0, 1.0]).low == 1.0


def test_three_equal_signs_give_a_quarter() -> None:
    assert paired_p([0.1, 0.2, 0.3]) == 0.25
    assert least_p(3, 3, paired=True) == 0.25


def test_pairs_without_a_difference_say_nothing() -> None:
    assert paired_p([0.0, 0.0]) == 1.0
    assert paired_p([0.0, 1.0, 2.0]) == paired_p([1.0, 2.0]) == 0.5


@pytest.mark.parametrize("n", [4, 9, 13])
def test_the_paired_test_is_that_of_scipy(n: int) -> None:
    d = np.random.default_rng(n).integers(-2, 4, n) / 10  # with ties, also of the sums
    wanted = stats.permutation_test((d,), np.mean, permutation_type="samples", n_resamples=np.inf)
    assert paired_p(d) == pytest.approx(wanted.pvalue)


def test_the_paired_test_of_many_pairs_is_near_the_exact_one() -> None:
    d = np.random.default_rng(0).normal(0.25, 1.0, 41)
    drawn, exact = paired_p(d), paired_p(d[:40])
    assert 0 < drawn < 1
    assert exact == pytest.approx(stats.ttest_1samp(d[:40], 0.0).pvalue, abs=0.02)
    assert drawn == pytest.approx(stats.ttest_1samp(d, 0.0).pvalue, abs=0.02)


def test_two_apart_from_two_give_a_third() -> None:
    assert unpaired_p([5.0, 6.0], [1.0, 2.0]) == pytest.approx(2 / 6)  # of 6 splits, this one and its mirror image
    assert least_p(2, 2, paired=False) == pytest.approx(2 / 6)
    assert unpaired_p([10.0], [1.0, 2.0, 3.0]) == 1 / 4  # 10 is 6 from the mean of all, the others at most 3


def test_the_unpaired_test_is_that_of_scipy() -> None:
    generator = np.random.default_rng(3)
    x, y = generator.integers(0, 6, 6).astype(float), generator.integers(2, 8, 6).astype(float)
    wanted = stats.permutation_test(
        (x, y), lambda a, b, axis: a.mean(axis) - b.mean(axis), vectorized=True, n_resamples=np.inf
    )
    assert unpaired_p(x, y) == pytest.approx(wanted.pvalue)


def test_large_samples_are_split_at_random_and_never_give_zero() -> None:
    generator = np.random.default_rng(0)
    x, y = generator.normal(0, 1, 20), generator.normal(0.6, 1, 20)
    assert unpaired_p(x, y) == pytest.approx(stats.ttest_ind(x, y).pvalue, abs=0.01)
    assert unpaired_p(x, y + 100) == 1 / 100_000
    assert unpaired_p(x, y) == unpaired_p(x, y)


def test_equal_samples_are_not_told_apart() -> None:
    assert unpaired_p([1.0] * 20, [1.0] * 20) == 1.0


def test_holm_multiplies_the_smallest_by_all_and_never_falls() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])  # by hand
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []
