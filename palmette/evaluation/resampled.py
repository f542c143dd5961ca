"""Rank statistics of many bootstrap resamples at once.

A resample is given by how often each architecture is in it, so that 2,000 resamples are one integer array
``counts [B, n]`` and each statistic a few array operations. ``counts`` of ones is the sample itself. All are exact,
ties included (definitions in sampling.md section 6). Higher scores and higher truth are better.

Letters: ``n`` architectures, ``B`` resamples.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]

Resampled = Callable[[Array, Array, Counts], Array]
"""``(scores [n], truth [n], counts [B, n]) -> values [B]``; NaN where undefined."""

BLOCK = 1024
"""Rows of the sign matrix held at once: ``4 * BLOCK * n`` bytes."""


def kendall_tau_b(scores: Array, truth: Array, counts: Counts) -> Array:
    """Return Kendall's tau-b: concordant less discordant pairs over the geometric mean of untied pairs."""
    weights = counts.astype(np.float32)  # integers below 2**24 and their sums: exact, and twice as fast
    total = np.zeros(len(counts))
    for start in range(0, len(scores), BLOCK):
        rows = slice(start, start + BLOCK)
        signs = _signs(scores[rows], scores) * _signs(truth[rows], truth)
        total += ((weights[:, rows] @ signs).astype(np.float64) * counts).sum(axis=1)
    return _ratio(total, np.sqrt(_untied(scores, counts) * _untied(truth, counts)))


def spearman(scores: Array, truth: Array, counts: Counts) -> Array:
    """Return Spearman's rho: Pearson's correlation of average ranks."""
    x, y = _centred_ranks(scores, counts), _centred_ranks(truth, counts)
    covariance = (counts * x * y).sum(axis=1)
    return _ratio(covariance, np.sqrt((counts * x * x).sum(axis=1) * (counts * y * y).sum(axis=1)))


def top_precision(scores: Array, truth: Array, counts: Counts, *, fraction: float = 0.1) -> Array:
    """Return the share of the best ``fraction`` by score (rounded up) that is among the best by truth.

    Ties at the cut are broken by position: the earlier architecture is in.
    """
    size = max(1, math.ceil(round(fraction * int(counts[0].sum()), 9)))
    both = np.minimum(_top(scores, counts, size), _top(truth, counts, size))
    return np.asarray(both.sum(axis=1) / size)


def regret(scores: Array, truth: Array, counts: Counts) -> Array:
    """Return the best truth less the truth of the best score (the first of several), in units of truth."""
    present = counts > 0
    best = np.where(present, truth, -np.inf).max(axis=1)
    return np.asarray(best - truth[np.where(present, scores, -np.inf).argmax(axis=1)])


def top_rank(scores: Array, truth: Array, counts: Counts, *, count: int = 10) -> Array:
    """Return the best true rank (1 is best) among the ``count`` best by score."""
    chosen = _top(scores, counts, count) > 0
    best = np.where(chosen, truth, -np.inf).max(axis=1)
    return np.asarray(1.0 + (counts * (truth > best[:, None])).sum(axis=1))


def _signs(rows: Array, columns: Array) -> npt.NDArray[np.float32]:
    """Return the signs of all differences, ``[rows, columns]``."""
    greater = rows[:, None] > columns
    return np.subtract(greater, rows[:, None] < columns, dtype=np.float32)


def _untied(values: Array, counts: Counts) -> Array:
    """Return twice the number of pairs that differ in ``values``, ``[B]``."""
    groups = _group_sums(values, counts).astype(np.float64)
    size = counts.sum(axis=1).astype(np.float64)
    return np.asarray(size**2 - (groups**2).sum(axis=1))


def _centred_ranks(values: Array, counts: Counts) -> Array:
    """Return each architecture's average rank less the mean rank, ``[B, n]``."""
    groups = _group_sums(values, counts)
    last = groups.cumsum(axis=1)
    ranks = last - (groups - 1) / 2
    _, group = np.unique(values, return_inverse=True)
    return np.asarray(ranks[:, group] - (last[:, -1:] + 1) / 2)


def _group_sums(values: Array, counts: Counts) -> Counts:
    """Return how many of a resample have each distinct value, by rising value, ``[B, distinct]``."""
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    starts = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1]))
    return np.asarray(np.add.reduceat(counts[:, order], starts, axis=1))


def _top(values: Array, counts: Counts, size: int) -> Counts:
    """Return how many copies of each architecture are among the ``size`` highest, ``[B, n]``."""
    order = np.argsort(-values, kind="stable")
    ordered = counts[:, order]
    before = ordered.cumsum(axis=1) - ordered
    taken = np.empty_like(counts)
    taken[:, order] = np.clip(size - before, 0, ordered)
    return taken


def _ratio(numerator: Array, denominator: Array) -> Array:
    """Return the quotient, NaN where all architectures of a resample are tied."""
    safe = np.where(denominator > 0, denominator, 1.0)
    return np.where(denominator > 0, numerator / safe, np.nan)
