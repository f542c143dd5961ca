"""Rank statistics: against SciPy, against values worked out by hand, and against the published table."""

from __future__ import annotations

import csv
import itertools
import math
import time
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from palmette.errors import PalmetteError
from palmette.evaluation import ranking, resampled
from palmette.evaluation.trust import Statistic


@pytest.fixture(scope="module")
def tied() -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(0)
    truth = generator.integers(0, 12, 60).astype(float)
    return truth + generator.integers(0, 8, 60), truth


def expanded(counts: np.ndarray, values: np.ndarray) -> np.ndarray:
    return np.repeat(values, counts)


def test_resampled_correlations_equal_scipy_on_the_written_out_resamples(
    tied: tuple[np.ndarray, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resampled, "BLOCK", 17)  # several blocks
    scores, truth = tied
    counts = np.random.default_rng(1).multinomial(60, np.full(60, 1 / 60), size=20)
    taus = resampled.kendall_tau_b(scores, truth, counts)
    rhos = resampled.spearman(scores, truth, counts)
    for row, tau, rho in zip(counts, taus, rhos, strict=True):
        x, y = expanded(row, scores), expanded(row, truth)
        assert tau == pytest.approx(stats.kendalltau(x, y).statistic, abs=1e-12)
        assert rho == pytest.approx(stats.spearmanr(x, y).statistic, abs=1e-12)


def test_resampled_top_statistics_equal_the_plain_ones_on_the_written_out_resamples(
    tied: tuple[np.ndarray, np.ndarray],
) -> None:
    scores, truth = tied
    scores = scores + np.linspace(0, 0.1, 60)  # without ties the written-out order is the same
    truth = truth + np.linspace(0, 0.1, 60)
    counts = np.random.default_rng(1).multinomial(60, np.full(60, 1 / 60), size=20)
    precision = resampled.top_precision(scores, truth, counts)
    lost = resampled.regret(scores, truth, counts)
    rank = resampled.top_rank(scores, truth, counts, count=5)
    for i, row in enumerate(counts):
        x, y = expanded(row, scores), expanded(row, truth)
        assert precision[i] == ranking.top_precision(x, y)
        assert lost[i] == ranking.regret(x, y)
        assert rank[i] == ranking.top_rank(x, y, count=5)


def test_tau_b_spearman_and_top_statistics_of_a_case_worked_out_by_hand() -> None:
    scores, truth = [1, 2, 2, 3], [1, 3, 2, 4]
    # pairs: 5 concordant, 0 discordant, one tied in the scores only -> 5 / sqrt(5 * 6)
    assert ranking.kendall_tau_b(scores, truth) == pytest.approx(5 / math.sqrt(30))
    # ranks 1, 2.5, 2.5, 4 and 1, 3, 2, 4: covariance 4.5, variances 4.5 and 5
    assert ranking.spearman(scores, truth) == pytest.approx(4.5 / math.sqrt(4.5 * 5))
    assert ranking.regret([9, 1, 9, 2], [0.5, 0.9, 0.8, 0.1]) == pytest.approx(0.4)  # the first of the two best
    assert ranking.top_rank([9, 1, 9, 2], [0.5, 0.9, 0.8, 0.1], count=1) == 3
    assert ranking.top_rank([9, 1, 9, 2], [0.5, 0.9, 0.8, 0.1], count=2) == 2
    assert ranking.top_precision([4, 3, 2, 1], [4, 1, 3, 2], fraction=0.5) == 0.5
    assert ranking.top_precision(range(10), range(10)) == 1
    assert ranking.top_precision(range(10), range(10, 0, -1)) == 0


def test_the_top_fraction_is_rounded_up_and_holds_one_at_least() -> None:
    scores = np.arange(30.0)
    truth = np.where(scores == 28, 100, scores)
    assert ranking.top_precision(scores, truth, fraction=0.01) == 0
    assert ranking.top_precision(scores, truth, fraction=2 / 30) == 1
    assert ranking.top_precision(scores, truth) == 1  # 3 of 30, not 4 for 0.1 * 30 = 3.0000000000000004


def test_a_constant_score_has_no_correlation_and_no_warning() -> None:
    assert math.isnan(ranking.kendall_tau_b([1, 1, 1], [1, 2, 3]))
    assert math.isnan(ranking.spearman([1, 1, 1], [1, 2, 3]))
    interval = ranking.bootstrap(resampled.kendall_tau_b, [1, 1, 1], [1, 2, 3])
    assert math.isnan(interval.low)
    assert interval.resamples == 0


@pytest.mark.parametrize(
    ("scores", "truth"),
    [([1, 2], [1, 2]), ([1, 2, 3], [1, 2]), ([1, 2, math.nan], [1, 2, 3]), ([[1, 2, 3]], [[1, 2, 3]])],
)
def test_unusable_numbers_are_refused(scores: list[float], truth: list[float]) -> None:
    with pytest.raises(PalmetteError, match="ranking"):
        ranking.kendall_tau_b(scores, truth)


def test_bootstrap_intervals_equal_scipys_within_sampling_error(tied: tuple[np.ndarray, np.ndarray]) -> None:
    scores, truth = tied
    ours = ranking.bootstrap(resampled.spearman, scores, truth, n=4000)
    theirs = stats.bootstrap(
        (scores, truth),
        lambda x, y: stats.spearmanr(x, y).statistic,
        paired=True,
        vectorized=False,
        n_resamples=2000,
        method="percentile",
        rng=np.random.default_rng(0),
    ).confidence_interval
    assert ours.low == pytest.approx(theirs.low, abs=0.02)
    assert ours.high == pytest.approx(theirs.high, abs=0.02)


def test_the_bootstrap_is_a_function_of_its_seed(tied: tuple[np.ndarray, np.ndarray]) -> None:
    def interval(seed: int) -> ranking.Interval:
        return ranking.bootstrap(resampled.spearman, *tied, n=200, seed=seed)

    assert interval(1) == interval(1)
    assert interval(1) != interval(2)


def test_a_paired_difference_of_a_score_to_itself_is_exactly_zero(tied: tuple[np.ndarray, np.ndarray]) -> None:
    scores, truth = tied
    assert ranking.bootstrap_difference(resampled.kendall_tau_b, scores, scores, truth) == ranking.Interval(0, 0, 2000)


def test_a_paired_difference_is_sharper_than_two_separate_intervals(tied: tuple[np.ndarray, np.ndarray]) -> None:
    scores, truth = tied
    near = scores + np.random.default_rng(5).normal(0, 0.5, len(scores))
    paired = ranking.bootstrap_difference(resampled.kendall_tau_b, near, scores, truth)
    alone = ranking.bootstrap(resampled.kendall_tau_b, scores, truth)
    assert paired.high - paired.low < 0.5 * (alone.high - alone.low)


def found(statistics: list[Statistic], score: str, name: str) -> Statistic:
    return next(s for s in statistics if (s.score, s.name) == (score, name))


def test_an_audit_says_when_the_difference_to_the_baseline_may_be_zero() -> None:
    generator = np.random.default_rng(3)
    truth = generator.uniform(0.8, 0.9, 12)
    scores = {name: truth + generator.normal(0, 0.03, 12) for name in ("accuracy", "flops")}
    statistics = ranking.audit_statistics(scores, truth)
    difference = found(statistics, "accuracy", "kendall_tau_b_minus_flops")
    assert difference.low < 0 < difference.high
    text = " ".join(ranking.verdict(statistics, 12))
    assert "contains zero: it is not shown to rank better than flops" in text
    assert text.startswith("Over 12 architectures, ordering by flops alone")


def test_an_audit_says_when_a_score_ranks_better_or_worse_than_the_baseline() -> None:
    truth = np.linspace(0.8, 0.9, 100)
    noise = np.random.default_rng(0).normal(0, 1, 100)
    scores = {"accuracy": truth, "loss": -truth, "flops": truth + 0.1 * noise, "random": noise}
    statistics = ranking.audit_statistics(scores, truth)
    assert found(statistics, "accuracy", "kendall_tau_b") == Statistic("accuracy", "kendall_tau_b", 1, 1, 1)
    assert found(statistics, "loss", "regret").value == pytest.approx(0.1)
    text = " ".join(ranking.verdict(statistics, 100))
    assert "Ordering by accuracy reaches 1.000 (95% interval 1.000 to 1.000)" in text
    assert "is above zero: it ranks better than flops." in text
    assert "is below zero: it ranks worse than flops, so do not trust it." in text
    assert "random" not in text


def test_an_audit_of_a_constant_baseline_says_that_nothing_can_be_compared() -> None:
    truth = np.linspace(0.8, 0.9, 10)
    statistics = ranking.audit_statistics({"accuracy": truth, "flops": np.ones(10)}, truth)
    text = " ".join(ranking.verdict(statistics, 10))
    assert "undefined (all values are equal)" in text
    assert "a comparison with flops is undefined" in text


def test_an_audit_without_its_baseline_is_refused() -> None:
    with pytest.raises(PalmetteError, match="no score is named 'flops'; there are accuracy"):
        ranking.audit_statistics({"accuracy": [1, 2, 3]}, [1, 2, 3])


@pytest.fixture(scope="module")
def table(shared_data: Path) -> dict[str, np.ndarray]:
    """The 3,969 distinct networks of NAS-Bench-Macro: accuracies in percent ``[n, 3]`` and FLOPs ``[n]``."""
    with open(shared_data / "nas_bench_macro" / "nas_bench_macro_cifar10.csv", newline="") as file:
        rows = [row for row in csv.DictReader(file) if _is_canonical(row["arch"])]
    accuracies = np.array([[float(row[f"test_acc_{i}"]) for i in range(3)] for row in rows])
    return {"accuracies": accuracies, "flops": np.array([float(row["flops"]) for row in rows])}


def _is_canonical(code: str) -> bool:
    """Say whether no identity stands before another option after the first layer of a stage."""
    return not any("0" in stage.rstrip("0") for stage in (code[1:2], code[3:5], code[6:8]))


def test_the_known_correlations_of_nas_bench_macro_are_met(table: dict[str, np.ndarray]) -> None:
    mean = table["accuracies"].mean(axis=1).round(6)  # so that equal sums are equal means
    assert len(mean) == 3969
    assert ranking.kendall_tau_b(table["flops"], mean) == pytest.approx(0.546, abs=5e-4)
    assert ranking.spearman(table["flops"], mean) == pytest.approx(0.738, abs=5e-4)
    for one, other in itertools.combinations(table["accuracies"].T, 2):
        assert 0.878 <= ranking.kendall_tau_b(one, other) < 0.8805
        assert 0.978 <= ranking.spearman(one, other) < 0.9795
    assert ranking.top_rank(table["flops"], mean, count=1) > 1
    assert ranking.regret(table["accuracies"][:, 0], mean) < 0.15


def test_two_thousand_resamples_of_3969_architectures_take_seconds(table: dict[str, np.ndarray]) -> None:
    mean = table["accuracies"].mean(axis=1).round(6)
    begin = time.perf_counter()
    interval = ranking.bootstrap(resampled.kendall_tau_b, table["flops"], mean)
    seconds = time.perf_counter() - begin
    print(f"tau-b of flops: {interval}, {seconds:.1f} s")
    assert interval.resamples == 2000
    assert interval.low == pytest.approx(0.531, abs=0.003)
    assert interval.high == pytest.approx(0.561, abs=0.003)
    assert seconds < 30
