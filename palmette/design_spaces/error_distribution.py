"""Error distributions: how good a space is as a whole, with bands, and whether one space is better than another.

F(e) is the share of networks with an error below e (Radosavovic et al., 2020, equation 1). Bands: Dvoretzky, Kiefer
and Wolfowitz (1956, constant by Massart, 1990) holds for the whole curve, the bootstrap (Efron, 1979) at each error.
Populations of different complexity are compared with weights (Radosavovic et al., 2019, section 3.3) or in pairs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import stats

from palmette.errors import PalmetteError

Reals = npt.NDArray[np.float64]
RESAMPLES = 2000
ALPHA = 0.05


@dataclass(frozen=True)
class Interval:
    """A value and its 95% percentile interval by the bootstrap."""

    value: float
    low: float
    high: float


def error_distribution(errors: npt.ArrayLike, at: npt.ArrayLike, *, weights: npt.ArrayLike | None = None) -> Reals:
    """Return F at each error of ``at``: the share (or weight) of networks strictly below it, ``[len(at)]``."""
    sample = _checked(errors)
    order = np.argsort(sample, kind="stable")
    shares = np.full(len(sample), 1 / len(sample)) if weights is None else np.asarray(weights, dtype=np.float64)
    below = np.concatenate([[0.0], np.cumsum(shares[order])])
    if weights is None:
        below = np.arange(len(sample) + 1) / len(sample)
    found: Reals = below[np.searchsorted(sample[order], np.asarray(at, dtype=np.float64), side="left")]
    return found


def dkw_half_width(count: int, *, alpha: float = ALPHA) -> float:
    """Return the half-width of the band that holds the whole true curve with probability ``1 - alpha``."""
    return math.sqrt(math.log(2 / alpha) / (2 * count))


def dkw_band(errors: npt.ArrayLike, at: npt.ArrayLike, *, alpha: float = ALPHA) -> tuple[Reals, Reals]:
    """Return the lower and upper ends of the band at each error of ``at``, within 0 to 1."""
    middle, half = error_distribution(errors, at), dkw_half_width(len(np.asarray(errors)), alpha=alpha)
    return np.maximum(middle - half, 0), np.minimum(middle + half, 1)


def bootstrap_band(
    errors: npt.ArrayLike, at: npt.ArrayLike, *, alpha: float = ALPHA, resamples: int = RESAMPLES, seed: int = 0
) -> tuple[Reals, Reals]:
    """Return pointwise percentile ends over resamples of the networks.

    A resample's F at one error is a binomial share, so its percentiles are drawn from that law and not by resampling.
    """
    middle, count = error_distribution(errors, at), len(np.asarray(errors))
    drawn = np.random.default_rng(seed).binomial(count, middle, size=(resamples, len(middle))) / count
    low, high = np.quantile(drawn, [alpha / 2, 1 - alpha / 2], axis=0)
    return low, high


def complexity_weights(complexity: npt.ArrayLike, low: float, high: float, *, bins: int) -> Reals:
    """Return a weight for each network such that complexity is uniform over ``low`` to ``high``; they sum to 1.

    The range is cut into equal bins, each of weight ``1 / bins``; networks outside weigh nothing, and the upper end
    belongs to the last bin.

    Raises:
        PalmetteError: a bin without a network.
    """
    values = np.asarray(complexity, dtype=np.float64)
    inside = (values >= low) & (values <= high)
    place = np.minimum(((values - low) / (high - low) * bins).astype(np.int64), bins - 1)
    counts = np.bincount(place[inside], minlength=bins)
    if not counts.all():
        raise PalmetteError(
            f"complexity: bin {int(counts.argmin()) + 1} of {bins} from {low:g} to {high:g} holds no network; "
            "use fewer bins, a narrower range or more networks"
        )
    return np.where(inside, 1 / (bins * counts[place.clip(0, bins - 1)]), 0.0)


def expected_best(errors: npt.ArrayLike, draws: int) -> tuple[float, float]:
    """Return mean and standard deviation of the lowest error among ``draws`` networks drawn with replacement.

    Random-search efficiency in closed form: rank r of n is the lowest with ``(1 - (r - 1) / n)^k - (1 - r / n)^k``.
    """
    ordered = np.sort(_checked(errors))
    weights = lowest_of(len(ordered), draws)
    mean = float(weights @ ordered)
    return mean, math.sqrt(max(0.0, float(weights @ (ordered - mean) ** 2)))


def lowest_of(count: int, draws: int) -> Reals:
    """Return the probability of each rank to be the best of ``draws`` draws with replacement, ``[count]``."""
    beyond = (1 - np.arange(count + 1) / count) ** draws
    return beyond[:-1] - beyond[1:]


@dataclass(frozen=True)
class Comparison:
    """How the errors of one space differ from those of another; negative differences favour the first."""

    distance: float
    """Kolmogorov and Smirnov's: the largest vertical distance of the two curves."""
    threshold: float
    """Distance that two samples of one space exceed with probability 5%, for large samples."""
    p_value: float
    """Of that distance, exact (SciPy)."""
    mean: Interval
    """Mean error of the first less that of the second."""
    wins: Interval
    """Probability that a network of the first has a lower error than one of the second; ties count half."""
    pairs: int
    paired_mean: Interval
    """Mean difference of networks paired by complexity."""
    paired_p_value: float
    """Wilcoxon's signed-rank test of those differences, two-sided."""


def compare(
    errors: npt.ArrayLike,
    others: npt.ArrayLike,
    *,
    complexity: tuple[npt.ArrayLike, npt.ArrayLike] | None = None,
    seed: int = 0,
) -> Comparison:
    """Compare the errors of two spaces.

    Args:
        errors: of the first space.
        others: of the second.
        complexity: of the networks of each, by which they are paired; without it they are paired as they come.
        seed: of the resamples.
    """
    a, b = _checked(errors), _checked(others)
    first, second = paired(len(a), len(b), complexity)
    differences = a[first] - b[second]
    generator = np.random.default_rng(seed)
    resampled = [(_resample(a, generator), _resample(b, generator)) for _ in range(RESAMPLES)]
    tested = stats.ks_2samp(a, b)
    chosen = generator.integers(len(differences), size=(RESAMPLES, len(differences)))
    return Comparison(
        distance=float(tested.statistic),
        threshold=ks_threshold(len(a), len(b)),
        p_value=float(tested.pvalue),
        mean=_interval(float(a.mean() - b.mean()), [x.mean() - y.mean() for x, y in resampled]),
        wins=_interval(_wins(a, b), [_wins(x, y) for x, y in resampled]),
        pairs=len(differences),
        paired_mean=_interval(float(differences.mean()), differences[chosen].mean(1)),
        paired_p_value=float(stats.wilcoxon(differences).pvalue) if differences.any() else 1.0,
    )


def paired(
    count: int, other: int, complexity: tuple[npt.ArrayLike, npt.ArrayLike] | None
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the indices of networks of equal rank in complexity; of a larger population, evenly spaced ranks."""
    pairs = min(count, other)
    found = []
    for position, size in enumerate((count, other)):
        order = np.arange(size)
        if complexity is not None:
            order = np.argsort(np.asarray(complexity[position]), kind="stable")
        found.append(order[((np.arange(pairs) + 0.5) * size / pairs).astype(np.int64)])
    return found[0], found[1]


def ks_threshold(count: int, other: int, *, alpha: float = ALPHA) -> float:
    """Return the distance of two samples of one space that has probability ``alpha``: 0.086 for 500 each."""
    return math.sqrt(-math.log(alpha / 2) / 2) * math.sqrt((count + other) / (count * other))


def summary(errors: npt.ArrayLike) -> Mapping[str, float]:
    """Return the number of networks and their least, mean and median error."""
    sample = _checked(errors)
    return {
        "networks": float(len(sample)),
        "min": float(sample.min()),
        "mean": float(sample.mean()),
        "median": float(np.median(sample)),
    }


def _resample(sample: Reals, generator: np.random.Generator) -> Reals:
    return sample[generator.integers(len(sample), size=len(sample))]


def _wins(a: Reals, b: Reals) -> float:
    ordered = np.sort(b)
    above = len(b) - np.searchsorted(ordered, a, side="right")
    ties = np.searchsorted(ordered, a, side="right") - np.searchsorted(ordered, a, side="left")
    return float((above + ties / 2).mean() / len(b))


def _interval(value: float, resampled: Any) -> Interval:
    low, high = np.quantile(np.asarray(resampled), [ALPHA / 2, 1 - ALPHA / 2])
    return Interval(value, float(low), float(high))


def _checked(errors: npt.ArrayLike) -> Reals:
    sample = np.asarray(errors, dtype=np.float64)
    if sample.ndim != 1 or not len(sample) or not np.isfinite(sample).all():
        raise PalmetteError(f"errors: an array of shape {sample.shape} was given; give at least one error, all finite")
    return sample
