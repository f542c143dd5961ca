"""The best range of a parameter, by the empirical bootstrap: which values do the best networks have?

Radosavovic et al., 2020, section 3.2: draw a quarter of the networks with replacement, keep the parameter of the best,
repeat; the percentiles of what was kept are the range. Here the probability to be kept is exact, no draws are needed:
rank r of n is kept with ``(1 - (r - 1) / n)^m - (1 - r / n)^m`` for m draws. It is 22% for the best network, and
97.5% of it lies on the best 14 or 15, whatever n: the range describes those.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from palmette.design_spaces.error_distribution import Reals, lowest_of
from palmette.errors import PalmetteError

SHARE = 0.25
ALPHA = 0.05


@dataclass(frozen=True)
class BestRange:
    """Where the parameter of the best networks lies."""

    low: float
    median: float
    high: float


def best_range(
    values: npt.ArrayLike, errors: npt.ArrayLike, *, share: float = SHARE, alpha: float = ALPHA
) -> BestRange:
    """Return the 2.5, 50 and 97.5 percentiles of the parameter of the best of a drawn quarter, exactly.

    Args:
        values: of the parameter, one for each network.
        errors: of the networks.
        share: of the networks that is drawn; above 1 it is a number of networks.
        alpha: what lies outside the range.
    """
    numbers, weights = _kept(values, errors, share)
    order = np.argsort(numbers, kind="stable")
    below = np.cumsum(weights[order])
    places = np.searchsorted(below, np.array([alpha / 2, 0.5, 1 - alpha / 2]) - 1e-12)
    low, median, high = numbers[order][places.clip(max=len(numbers) - 1)]
    return BestRange(float(low), float(median), float(high))


def value_weights(values: npt.ArrayLike, errors: npt.ArrayLike, *, share: float = SHARE) -> dict[float, float]:
    """Return the probability that the best of a drawn quarter has each value; for b, g and other short lists."""
    numbers, weights = _kept(values, errors, share)
    return {float(value): float(weights[numbers == value].sum()) for value in np.unique(numbers)}


def simulated(
    values: npt.ArrayLike, errors: npt.ArrayLike, *, share: float = SHARE, repeats: int = 10_000, seed: int = 0
) -> Reals:
    """Return the values kept in a simulation of the procedure, ``[repeats]``; for checks of the closed form."""
    numbers, sample = _checked(values, errors)
    drawn = np.random.default_rng(seed).integers(len(sample), size=(repeats, draws_of(share, len(sample))))
    kept: Reals = numbers[drawn[np.arange(repeats), sample[drawn].argmin(1)]]
    return kept


def draws_of(share: float, count: int) -> int:
    """Return how many networks are drawn."""
    return max(1, round(share * count)) if share <= 1 else round(share)


def _kept(values: npt.ArrayLike, errors: npt.ArrayLike, share: float) -> tuple[Reals, Reals]:
    """Return the values by rising error and the probability of each to be kept; equal errors share theirs."""
    numbers, sample = _checked(values, errors)
    order = np.argsort(sample, kind="stable")
    weights = lowest_of(len(sample), draws_of(share, len(sample)))
    _, group, sizes = np.unique(sample[order], return_inverse=True, return_counts=True)
    return numbers[order], (np.bincount(group, weights) / sizes)[group]


def _checked(values: npt.ArrayLike, errors: npt.ArrayLike) -> tuple[Reals, Reals]:
    numbers, sample = np.asarray(values, dtype=np.float64), np.asarray(errors, dtype=np.float64)
    if numbers.shape != sample.shape or numbers.ndim != 1 or not len(numbers) or not np.isfinite(sample).all():
        raise PalmetteError(
            f"best range: {numbers.shape} values and {sample.shape} errors were given; give one of each per network, "
            "errors finite"
        )
    return numbers, sample
