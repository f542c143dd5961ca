"""Error distributions by hand-worked cases, and SciPy as oracle."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from palmette.design_spaces.error_distribution import (
    bootstrap_band,
    compare,
    complexity_weights,
    dkw_band,
    dkw_half_width,
    error_distribution,
    expected_best,
    ks_threshold,
    lowest_of,
    paired,
    summary,
)
from palmette.errors import PalmetteError

ERRORS = [30.0, 10.0, 20.0, 20.0]


def test_the_share_strictly_below_an_error() -> None:
    assert error_distribution(ERRORS, [9, 10, 10.1, 20, 20.1, 30, 31]).tolist() == [0, 0, 0.25, 0.25, 0.75, 0.75, 1]


def test_it_equals_scipys_distribution_between_the_errors() -> None:
    sample = np.random.default_rng(0).normal(40, 5, 300).round(1)
    theirs = stats.ecdf(sample).cdf
    between = np.arange(20, 60, 0.1) + 0.05
    np.testing.assert_allclose(error_distribution(sample, between), theirs.evaluate(between), rtol=0, atol=1e-15)
    steps = theirs.quantiles
    np.testing.assert_allclose(
        error_distribution(sample, steps), theirs.evaluate(np.nextafter(steps, -np.inf)), rtol=0, atol=1e-15
    )


def test_mean_error_is_the_area_left_of_the_curve() -> None:
    at = np.linspace(0, 40, 40_001)
    assert (1 - error_distribution(ERRORS, at)).sum() / 1000 == pytest.approx(np.mean(ERRORS), abs=2e-3)


def test_the_band_of_the_whole_curve_is_the_one_of_the_notes() -> None:
    assert dkw_half_width(500) == pytest.approx(0.061, abs=5e-4)
    assert dkw_half_width(100) == pytest.approx(0.136, abs=5e-4)
    assert ks_threshold(500, 500) == pytest.approx(0.086, abs=5e-4)
    assert ks_threshold(100, 100) == pytest.approx(0.192, abs=5e-4)


@pytest.mark.parametrize("count", [20, 100, 500])
def test_the_band_equals_scipys_limit_law_and_covers_its_exact_one(count: int) -> None:
    half = dkw_half_width(count)
    assert half == pytest.approx(stats.kstwobign.isf(0.05) / count**0.5, rel=1e-4)
    exact = stats.kstwo.isf(0.05, count)
    assert exact <= half <= 1.04 * exact


def test_band_ends_stay_within_zero_and_one() -> None:
    low, high = dkw_band(ERRORS, [5, 20.1, 40])
    half = (np.log(40) / 8) ** 0.5
    np.testing.assert_allclose(low, [0, 0.75 - half, 1 - half])
    np.testing.assert_allclose(high, [half, 1, 1])


def test_the_bootstrap_band_is_that_of_resampling() -> None:
    generator = np.random.default_rng(1)
    sample, at = generator.normal(40, 5, 80), np.array([33.0, 40.0, 47.0])
    resampled = [error_distribution(generator.choice(sample, 80), at) for _ in range(4000)]
    expected = np.quantile(resampled, [0.025, 0.975], axis=0)
    np.testing.assert_allclose(bootstrap_band(sample, at, resamples=4000), expected, atol=0.0126)  # one network in 80


def test_weights_make_complexity_uniform() -> None:
    weights = complexity_weights([0.5, 1, 1, 1, 2.5, 3, 9], 1, 3, bins=2)
    assert weights.tolist() == [0, 1 / 6, 1 / 6, 1 / 6, 0.25, 0.25, 0]
    assert weights.sum() == pytest.approx(1)
    weighted = error_distribution([9, 1, 2, 3, 4, 5, 0], [2.5, 10], weights=weights)
    np.testing.assert_allclose(weighted, [1 / 3, 1])


def test_an_empty_bin_is_refused() -> None:
    with pytest.raises(PalmetteError, match="bin 2 of 2 from 1 to 3 holds no network"):
        complexity_weights([1, 1.5], 1, 3, bins=2)


def test_the_best_of_two_draws_by_hand() -> None:
    # of (10, 20) with replacement: 10 with probability 3/4
    assert expected_best([20, 10], 2) == (12.5, pytest.approx((0.75 * 2.5**2 + 0.25 * 7.5**2) ** 0.5))
    assert lowest_of(2, 2).tolist() == [0.75, 0.25]
    assert expected_best(ERRORS, 1)[0] == pytest.approx(np.mean(ERRORS))


def test_the_best_of_many_draws_equals_simulation() -> None:
    generator = np.random.default_rng(0)
    sample = generator.normal(40, 5, 200)
    simulated = generator.choice(sample, (20_000, 32)).min(1)
    mean, deviation = expected_best(sample, 32)
    assert mean == pytest.approx(simulated.mean(), abs=4 * deviation / 20_000**0.5)
    assert deviation == pytest.approx(simulated.std(), rel=0.03)


def test_pairs_have_equal_ranks_of_complexity() -> None:
    first, second = paired(2, 4, ([5, 3], [1, 4, 2, 3]))
    assert first.tolist() == [1, 0]
    assert second.tolist() == [2, 1]  # ranks 1 and 3 of 0..3


def test_two_spaces_compared_by_hand() -> None:
    found = compare([1, 2, 3], [2, 3, 4])
    assert found.distance == pytest.approx(1 / 3)
    assert found.mean.value == -1
    assert found.wins.value == pytest.approx((3 + 2.5 + 1.5) / 9)
    assert found.pairs == 3
    assert (found.paired_mean.value, found.paired_mean.low, found.paired_mean.high) == (-1, -1, -1)


def test_comparison_agrees_with_scipy() -> None:
    generator = np.random.default_rng(0)
    a, b = generator.normal(40, 5, 120), generator.normal(42, 5, 150)
    found = compare(a, b)
    assert found.p_value == stats.ks_2samp(a, b).pvalue
    assert found.wins.value == pytest.approx(1 - stats.mannwhitneyu(a, b).statistic / (120 * 150))
    first, second = paired(120, 150, None)
    assert found.paired_p_value == stats.wilcoxon(a[first] - b[second]).pvalue
    assert found.mean.low < found.mean.value < found.mean.high
    welch = stats.ttest_ind(a, b, equal_var=False).confidence_interval()
    assert found.mean.low == pytest.approx(welch.low, abs=0.15)
    assert found.mean.high == pytest.approx(welch.high, abs=0.15)


def test_a_space_does_not_differ_from_itself() -> None:
    found = compare(ERRORS, ERRORS)
    assert (found.distance, found.wins.value, found.paired_p_value) == (0, 0.5, 1)


def test_errors_that_are_no_numbers_are_refused() -> None:
    with pytest.raises(PalmetteError, match="give at least one error, all finite"):
        error_distribution([1, float("nan")], [1])
    with pytest.raises(PalmetteError, match="shape"):
        summary([])


def test_published_regnets_lie_below_resnets_of_equal_complexity(shared_data: Path) -> None:
    with open(shared_data / "imagenet_model_results" / "pycls_baselines.csv", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if float(row["flops"]) > 3e9]
    errors = {
        name: [float(row["top1_err"]) for row in rows if row["model"].startswith(name)] for name in ("RegNetY", "Res")
    }
    flops = {name: [float(r["flops"]) for r in rows if r["model"].startswith(name)] for name in errors}
    found = compare(errors["RegNetY"], errors["Res"], complexity=(flops["RegNetY"], flops["Res"]))
    assert found.pairs == 6
    assert found.paired_mean.high < 0
    assert found.wins.low > 0.5
