"""Ranking: how far a score can be trusted to order architectures, and whether it beats a trivial baseline.

Rank statistics as defined in sampling.md section 6, with bootstrap intervals over architectures (Efron, 1979). A
difference between two scores is bootstrapped in pairs: both see the same resamples. Correlation over all
architectures is decided by the bad ones, so the top is reported too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
from scipy import stats

from palmette.errors import PalmetteError
from palmette.evaluation import resampled
from palmette.evaluation.metric import ACCURACY, Metric
from palmette.evaluation.resampled import Array, Counts, Resampled
from palmette.evaluation.trust import Statistic

RESAMPLES = 2000
PAIRS = 1e11
"""Kendall's tau costs ``resamples * n**2``; beyond this (n = 7,071 at 2,000 resamples) there are fewer resamples."""
FEWEST = 200
FEW = 20
"""Below so many architectures the verdict warns of its own intervals."""
CHUNK = 4_000_000
"""Entries of ``counts`` held at once."""

STATISTICS: Mapping[str, Resampled] = {
    "kendall_tau_b": resampled.kendall_tau_b,
    "spearman": resampled.spearman,
    "top_precision": resampled.top_precision,
    "regret": resampled.regret,
}
"""What an audit reports of every score, by name."""


@dataclass(frozen=True)
class Interval:
    """A 95% percentile interval; NaN where the statistic is undefined."""

    low: float
    high: float
    resamples: int
    """How many it rests on."""


def kendall_tau_b(scores: npt.ArrayLike, truth: npt.ArrayLike) -> float:
    """Return Kendall's tau-b, in -1 to 1; NaN if all scores, or all truths, are equal."""
    x, y = _checked(scores, truth)
    return float("nan") if _constant(x) or _constant(y) else float(stats.kendalltau(x, y).statistic)


def spearman(scores: npt.ArrayLike, truth: npt.ArrayLike) -> float:
    """Return Spearman's rho of average ranks, in -1 to 1; NaN if all scores, or all truths, are equal."""
    return _once(resampled.spearman, scores, truth)


def top_precision(scores: npt.ArrayLike, truth: npt.ArrayLike, *, fraction: float = 0.1) -> float:
    """Return the share, 0 to 1, of the best ``fraction`` by score (rounded up) that is among the best by truth."""
    return _once(partial(resampled.top_precision, fraction=fraction), scores, truth)


def regret(scores: npt.ArrayLike, truth: npt.ArrayLike) -> float:
    """Return the best truth less the truth of the best score (the first of several), in units of truth."""
    return _once(resampled.regret, scores, truth)


def top_rank(scores: npt.ArrayLike, truth: npt.ArrayLike, *, count: int = 10) -> int:
    """Return the best true rank (1 is best) among the ``count`` best by score."""
    return int(_once(partial(resampled.top_rank, count=count), scores, truth))


def bootstrap(
    statistic: Resampled, scores: npt.ArrayLike, truth: npt.ArrayLike, *, n: int = RESAMPLES, seed: int = 0
) -> Interval:
    """Return the percentile interval of a statistic of ``resampled`` over ``n`` resamples of the architectures."""
    x, y = _checked(scores, truth)
    return _interval([statistic(x, y, counts) for counts in _resamples(len(x), n, seed)])


def bootstrap_difference(
    statistic: Resampled,
    scores: npt.ArrayLike,
    others: npt.ArrayLike,
    truth: npt.ArrayLike,
    *,
    n: int = RESAMPLES,
    seed: int = 0,
) -> Interval:
    """Return the interval of the statistic of ``scores`` less that of ``others``, on the same resamples."""
    (x, y), (z, _) = _checked(scores, truth), _checked(others, truth)
    return _interval([statistic(x, y, counts) - statistic(z, y, counts) for counts in _resamples(len(x), n, seed)])


def audit_statistics(
    scores: Mapping[str, npt.ArrayLike], truth: npt.ArrayLike, baseline: str = "flops"
) -> list[Statistic]:
    """Return ``STATISTICS`` of every score with 95% intervals, and their differences to the baseline.

    A difference is named ``kendall_tau_b_minus_flops`` and stands under the score that is compared. All statistics
    rest on the same resamples: 2,000 up to 7,071 architectures, then ``PAIRS / n**2``, at least 200.

    Args:
        scores: ``[n]`` each; higher is better (give the negative loss).
        truth: stand-alone accuracies ``[n]``, 0 to 1.
        baseline: the score that others must beat.

    Raises:
        PalmetteError: fewer than 3 architectures, values that are not finite, or no such baseline.
    """
    if baseline not in scores:
        raise PalmetteError(f"audit: no score is named {baseline!r}; there are {', '.join(scores)}")
    pairs = {name: _checked(values, truth) for name, values in scores.items()}
    n = len(next(iter(pairs.values()))[1])
    resamples = _affordable(n)
    whole: Counts = np.ones((1, n), dtype=np.int64)
    found: list[Statistic] = []
    for name, statistic in STATISTICS.items():
        points = {score: statistic(x, y, whole)[0] for score, (x, y) in pairs.items()}
        chunks = list(_resamples(n, resamples, seed=0))
        spread = {s: np.concatenate([statistic(x, y, counts) for counts in chunks]) for s, (x, y) in pairs.items()}
        for score, value in points.items():
            found.append(_statistic(score, name, value, spread[score]))
            if score != baseline:
                difference = spread[score] - spread[baseline]
                found.append(_statistic(score, f"{name}_minus_{baseline}", value - points[baseline], difference))
    return found


def verdict(
    statistics: Sequence[Statistic], architectures: int, baseline: str = "flops", *, metric: Metric = ACCURACY
) -> list[str]:
    """Return plain sentences on what ``audit_statistics`` of so many architectures shows."""
    by = {(s.score, s.name): s for s in statistics}
    base = by[baseline, "kendall_tau_b"]
    sentences = [
        f"Over {architectures:,} architectures, ordering by {baseline} alone agrees with the true order "
        f"to Kendall tau-b {_with_interval(base)}."
    ]
    for score in dict.fromkeys(s.score for s in statistics):
        if score not in (baseline, "random"):
            tau, difference = by[score, "kendall_tau_b"], by[score, f"kendall_tau_b_minus_{baseline}"]
            lost = by[score, "regret"]
            sentences.append(
                f"Ordering by {score} reaches {_with_interval(tau)}; {_compared(difference, baseline)} "
                f"Its first choice is {metric.factor * lost.value:.2f} points of {metric.name} {metric.worse_side} "
                f"the best of them (95% interval {metric.factor * lost.low:.2f} to {metric.factor * lost.high:.2f})."
            )
    if architectures < FEW:
        sentences.append(f"With {architectures} architectures these intervals are rough, and rather too narrow.")
    return sentences


def _compared(difference: Statistic, baseline: str) -> str:
    if not np.isfinite([difference.value, difference.low, difference.high]).all():
        return f"a comparison with {baseline} is undefined, for all values of one of them are equal."
    shown = f"the difference, {_with_interval(difference)},"
    if difference.low > 0:
        return f"{shown} is above zero: it ranks better than {baseline}."
    if difference.high < 0:
        return f"{shown} is below zero: it ranks worse than {baseline}, so do not trust it."
    return f"{shown} has an interval that contains zero: it is not shown to rank better than {baseline}."


def _with_interval(statistic: Statistic) -> str:
    if not np.isfinite(statistic.value):
        return "undefined (all values are equal)"
    return f"{statistic.value:.3f} (95% interval {statistic.low:.3f} to {statistic.high:.3f})"


def _statistic(score: str, name: str, value: float, spread: Array) -> Statistic:
    interval = _interval([spread])
    return Statistic(score, name, float(value), interval.low, interval.high)


def _affordable(n: int) -> int:
    return int(min(RESAMPLES, max(FEWEST, PAIRS // n**2)))


def _resamples(n: int, resamples: int, seed: int) -> Iterator[Counts]:
    """Yield ``resamples`` rows of counts in chunks, each row ``n`` draws with replacement; fixed by the seed."""
    generator = np.random.default_rng(seed)
    rows = max(1, min(resamples, CHUNK // n))
    for start in range(0, resamples, rows):
        size = min(rows, resamples - start)
        draws = generator.integers(n, size=(size, n)) + n * np.arange(size)[:, None]
        yield np.bincount(draws.ravel(), minlength=size * n).reshape(size, n).astype(np.int64)


def _interval(values: Sequence[Array]) -> Interval:
    """Return the interval of the defined values: a resample of one architecture only has no order."""
    everything = np.concatenate(values)
    defined = everything[np.isfinite(everything)]
    if not len(defined):
        return Interval(float("nan"), float("nan"), 0)
    low, high = np.percentile(defined, [2.5, 97.5])
    return Interval(float(low), float(high), len(defined))


def _once(statistic: Resampled, scores: npt.ArrayLike, truth: npt.ArrayLike) -> float:
    x, y = _checked(scores, truth)
    return float(statistic(x, y, np.ones((1, len(x)), dtype=np.int64))[0])


def _checked(scores: npt.ArrayLike, truth: npt.ArrayLike) -> tuple[Array, Array]:
    x, y = np.asarray(scores, dtype=np.float64), np.asarray(truth, dtype=np.float64)
    if x.ndim != 1 or x.shape != y.shape or len(x) < 3:
        raise PalmetteError(
            f"ranking: scores of shape {x.shape} and truth of shape {y.shape}; "
            "give one number per architecture for both, of at least 3 architectures"
        )
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise PalmetteError("ranking: a score or truth is not finite; leave out architectures that failed to train")
    return x, y


def _constant(values: Array) -> bool:
    return bool((values == values[0]).all())
