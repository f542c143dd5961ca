"""Significance over seeds: intervals of means and of differences, permutation tests, Holm's correction.

Few seeds carry little: n pairs can never give a p below ``2 / 2**n``. Tests are two-sided, of the difference of means;
they are exact where all assignments can be gone through, else drawn, in a way that keeps the error rate (Phipson and
Smyth, "Permutation p-values should never be zero", 2010).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

SIGNIFICANT = 0.05
MOST_SIGNS = 40
"""Pairs up to which all ``2**n`` signs are gone through."""
MOST_SPLITS = 200_000
"""Ways to split two samples that are gone through; where there are more, ``DRAWS`` of them are drawn."""
DRAWS = 99_999
TIE = 1e-9
"""Relative; rounding must not tell equal differences apart."""


@dataclass(frozen=True)
class Estimate:
    """A mean and its 95% interval by Student's t; of one value the interval is not known (NaN)."""

    value: float
    low: float
    high: float


def mean_of(values: npt.ArrayLike) -> Estimate:
    """Return the mean of values ``[n]`` that do not depend on each other."""
    x = np.asarray(values, dtype=np.float64)
    if len(x) < 2:
        return Estimate(float(x.mean()), math.nan, math.nan)
    return _around(float(x.mean()), float(x.std(ddof=1)) / math.sqrt(len(x)), len(x) - 1.0)


def difference_of(one: npt.ArrayLike, other: npt.ArrayLike) -> Estimate:
    """Return the difference of the means of two independent samples, by Welch's interval."""
    x, y = np.asarray(one, dtype=np.float64), np.asarray(other, dtype=np.float64)
    value = float(x.mean() - y.mean())
    if min(len(x), len(y)) < 2:
        return Estimate(value, math.nan, math.nan)
    a, b = float(x.var(ddof=1)) / len(x), float(y.var(ddof=1)) / len(y)
    if a + b == 0:
        return Estimate(value, value, value)
    freedom = (a + b) ** 2 / (a**2 / (len(x) - 1) + b**2 / (len(y) - 1))
    return _around(value, math.sqrt(a + b), freedom)


def paired_p(differences: npt.ArrayLike) -> float:
    """Return the p of the mean difference: how often random signs give one as far from zero.

    Exact up to ``MOST_SIGNS`` pairs: the sums of either half are sorted and counted against each other.
    """
    d = np.asarray(differences, dtype=np.float64)
    d = d[d != 0]  # pairs without a difference say nothing, whatever their sign
    if not len(d):
        return 1.0
    least = abs(float(d.sum())) - TIE * float(np.abs(d).sum())
    if np.ptp(np.abs(d)) == 0:  # right or wrong: the exact test of McNemar
        from scipy import stats

        return float(stats.binomtest(int((d > 0).sum()), len(d)).pvalue)
    if len(d) > MOST_SIGNS:
        signs = np.random.default_rng(0).choice((-1.0, 1.0), size=(DRAWS, len(d)))
        return (1 + int((np.abs(signs @ d) >= least).sum())) / (1 + DRAWS)
    left, right = _sums(d[: len(d) // 2]), np.sort(_sums(d[len(d) // 2 :]))
    above = len(right) - np.searchsorted(right, least - left, side="left")
    below = np.searchsorted(right, -least - left, side="right")
    return min(1.0, float(above.sum() + below.sum()) / 2.0 ** len(d)) if least > 0 else 1.0


def unpaired_p(one: npt.ArrayLike, other: npt.ArrayLike) -> float:
    """Return the p of the difference of two means: how often a random split of all values gives one as large."""
    x, y = np.asarray(one, dtype=np.float64), np.asarray(other, dtype=np.float64)
    everything, n = np.concatenate([x, y]), len(x)
    scale = float(np.abs(everything - everything.mean()).sum())
    if scale == 0:
        return 1.0
    share = n * float(everything.mean())
    least = abs(float(x.sum()) - share) - TIE * scale
    if math.comb(len(everything), n) <= MOST_SPLITS:
        picks = np.array(list(itertools.combinations(range(len(everything)), n)))
        return float((np.abs(everything[picks].sum(axis=1) - share) >= least).mean())
    generator, hits = np.random.default_rng(0), 0
    for _ in range(9):
        orders = generator.random((DRAWS // 9, len(everything))).argpartition(n - 1, axis=1)[:, :n]
        hits += int((np.abs(everything[orders].sum(axis=1) - share) >= least).sum())
    return (1 + hits) / (1 + DRAWS)


def least_p(one: int, other: int, *, paired: bool) -> float:
    """Return the smallest p that samples of these sizes can give."""
    return 2.0 ** (1 - one) if paired else min(1.0, 2.0 / math.comb(one + other, one))


def holm(ps: Sequence[float]) -> list[float]:
    """Return the p-values corrected for being several (Holm, 1979): any below 0.05 may be claimed together."""
    order = sorted(range(len(ps)), key=lambda i: ps[i])
    corrected, largest = [0.0] * len(ps), 0.0
    for rank, i in enumerate(order):
        largest = max(largest, min(1.0, (len(ps) - rank) * ps[i]))
        corrected[i] = largest
    return corrected


def _around(value: float, error: float, freedom: float) -> Estimate:
    from scipy import stats

    half = float(stats.t.ppf(0.975, freedom)) * error
    return Estimate(value, value - half, value + half)


def _sums(d: Array) -> Array:
    """Return the sums of ``d`` with every choice of signs, ``[2**n]``."""
    sums = np.zeros(1)
    for each in d:
        sums = np.concatenate([sums - each, sums + each])
    return sums
