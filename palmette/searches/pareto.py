"""Pareto: which trials no other one beats in every objective, how they are ranked, and how much they cover.

An objective is a metric or a cost with a direction. Ranking and crowding are those of NSGA-II (Deb et al., 2002,
sections III.A, III.B and, for limits, VI.A). Inside, all objectives are minimised: arrays ``[n, objectives]``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from palmette.errors import PalmetteError
from palmette.searches.trial import Trial

Array = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

GAINS = ("accuracy",)
"""Metrics of which more is better; of every other metric and cost less is."""


@dataclass(frozen=True)
class Objective:
    """A metric or a cost of trials, and which of its values are better."""

    name: str
    better: Literal["higher", "lower"]

    @staticmethod
    def parse(text: str) -> Objective:
        """Read ``accuracy`` or ``flops``, or with a direction ``psnr:higher``.

        Raises:
            PalmetteError: no name, or another direction.
        """
        name, _, better = text.partition(":")
        if not name or better not in ("", "higher", "lower"):
            raise PalmetteError(f"objective {text!r}: give a metric or cost, as accuracy, flops or psnr:higher")
        if better:
            return Objective(name, "higher" if better == "higher" else "lower")
        return Objective(name, "higher" if name in GAINS else "lower")


def objectives(texts: Sequence[str]) -> tuple[Objective, ...]:
    """Read several objectives; raises PalmetteError for none, or one named twice."""
    parsed = tuple(Objective.parse(text) for text in texts)
    names = [objective.name for objective in parsed]
    if not names or len(set(names)) < len(names):
        raise PalmetteError(f"objectives {', '.join(texts) or '(none)'}: give at least one, and each only once")
    return parsed


def minimised(trials: Sequence[Trial], wanted: Sequence[Objective]) -> Array:
    """Return the trials' objectives as numbers to be minimised, ``[trials, objectives]``; NaN is worst, infinity.

    Raises:
        PalmetteError: an objective that is neither a metric nor a cost of the trials.
    """
    columns = [_column(trials, objective) for objective in wanted]
    return np.array(columns, dtype=np.float64).T.reshape(len(trials), len(wanted))


def pareto_front(trials: Sequence[Trial], wanted: Sequence[Objective]) -> list[Trial]:
    """Return the trials that no other one dominates, in their order; of those equal in all objectives the first."""
    values = minimised(trials, wanted)
    _, firsts = np.unique(values, axis=0, return_index=True)
    kept = np.sort(firsts)
    return [trials[i] for i in kept[ranks(values[kept], enough=1) == 0]]


def ranks(values: Array, violations: Array | None = None, *, enough: int | None = None) -> Integers:
    """Return the number of each point's front, from 0, by constrained domination, ``[n]``.

    A point dominates another that it equals or beats in every objective and beats in one. Points that violate a limit
    follow after all that do not, by their violation alone.

    Args:
        values: ``[n, objectives]``, to be minimised.
        violations: ``[n]``, 0 where all limits are met; default: all are.
        enough: stop when so many points have their front; the others get the number after the last one.
    """
    n = len(values)
    outside = np.zeros(n) if violations is None else violations
    rank = np.full(n, -1, dtype=np.int64)
    front, ranked = 0, 0
    order = np.lexsort(values.T[::-1])  # a point stands after all that dominate it
    waiting = order[outside[order] <= 0]
    while len(waiting) and (enough is None or ranked < enough):
        first = _non_dominated(values[waiting])
        rank[waiting[first]] = front
        front, ranked, waiting = front + 1, ranked + int(first.sum()), waiting[~first]
    rank[waiting] = front
    front += bool(len(waiting))
    beyond = outside > 0
    if beyond.any():
        _, groups = np.unique(outside[beyond], return_inverse=True)
        rank[beyond] = front + groups
    return rank


def crowding(values: Array) -> Array:
    """Return each point's crowding distance within one front, ``[n]``: infinite at the ends of every objective.

    It adds up, over the objectives, the gap between a point's two neighbours as a share of the objective's range.
    """
    distance = np.zeros(len(values))
    for column in values.T:
        finite = column[np.isfinite(column)]
        column = np.where(np.isfinite(column), column, finite.max() if len(finite) else 0.0)
        order = np.argsort(column, kind="stable")
        ordered = column[order]
        distance[order[[0, -1]]] = np.inf
        if ordered[-1] > ordered[0]:
            distance[order[1:-1]] += (ordered[2:] - ordered[:-2]) / (ordered[-1] - ordered[0])
    return distance


def hypervolume(values: Array, reference: Sequence[float]) -> float:
    """Return the volume that the points dominate below ``reference``, for any number of objectives, exactly."""
    corner = np.asarray(reference, dtype=np.float64)
    points = values[(values < corner).all(axis=1)]
    if not len(points):
        return 0.0
    if len(corner) == 1:
        return float(corner[0] - points.min())
    points = points[ranks(points, enough=1) == 0]
    points = points[np.argsort(points[:, -1], kind="stable")]
    heights = np.diff(np.append(points[:, -1], corner[-1]))
    slices = (hypervolume(points[: i + 1, :-1], reference[:-1]) for i in range(len(points)))
    return float(sum(height * area for height, area in zip(heights, slices, strict=True)))


def _column(trials: Sequence[Trial], objective: Objective) -> list[float]:
    name, sign = objective.name, -1.0 if objective.better == "higher" else 1.0
    try:
        found = [trial.metrics[name] if name in trial.metrics else trial.costs[name] for trial in trials]
    except KeyError:
        there = ", ".join([*trials[0].metrics, *trials[0].costs])
        raise PalmetteError(f"objective {name!r}: trials have no such metric or cost; allowed are {there}") from None
    return [sign * value if value == value else float("inf") for value in found]


def _non_dominated(values: Array) -> npt.NDArray[np.bool_]:
    """Say which points no other dominates; ``values`` are sorted so that dominated points follow their dominators."""
    if values.shape[1] == 2:
        return _non_dominated_pairs(values)
    first = np.zeros(len(values), dtype=bool)
    left = np.arange(len(values))
    while len(left):
        best, rest = values[left[0]], values[left]
        first[left[0]] = True
        beaten = (rest >= best).all(axis=1) & (rest > best).any(axis=1)
        left = left[1:][~beaten[1:]]
    return first


def _non_dominated_pairs(values: Array) -> npt.NDArray[np.bool_]:
    """The same for two objectives in one pass: a point stays if its second one is a new low, or equals its bearer."""
    lows = np.minimum.accumulate(values[:, 1])
    new = np.append(True, values[1:, 1] < lows[:-1])
    bearer = np.maximum.accumulate(np.where(new, np.arange(len(values)), 0))
    return np.asarray((values == values[bearer]).all(axis=1))
