"""Contrasts: what several methods found, each beside random search, in figures that claim no more than they show.

An ``Entry`` is one method, search or run with what it found by seed. A ``Contrast`` is its difference to a rival, with
its interval, the p of a permutation test, and that p corrected for all entries that are held against this rival.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from palmette.evaluation.metric import Metric
from palmette.evaluation.significance import (
    SIGNIFICANT,
    Estimate,
    difference_of,
    holm,
    least_p,
    mean_of,
    paired_p,
    unpaired_p,
)


@dataclass(frozen=True)
class Rival:
    """What an entry is held against."""

    name: str
    figures: tuple[float, ...]
    """In the metric, by seed."""
    paired: bool
    """Each figure belongs to that of the entry at the same position: same seed, same split, same weights."""


@dataclass(frozen=True)
class Entry:
    """What one method found."""

    name: str
    figures: tuple[float, ...]
    """In the metric, by seed."""
    costs: Mapping[str, float]
    """Means over the seeds, by what they count."""
    rivals: tuple[Rival, ...] = ()
    unit: str = "seed"
    """What each figure belongs to."""


@dataclass(frozen=True)
class Contrast:
    """An entry beside one rival; differences are such that positive is better for the entry."""

    rival: str
    difference: Estimate
    p: float
    corrected: float
    """After Holm's correction over all entries beside this rival."""
    attainable: float
    """The smallest corrected p that so many seeds could give."""
    rival_mean: float


@dataclass(frozen=True)
class Row:
    """An entry with its statistics."""

    entry: Entry
    mean: Estimate
    contrasts: tuple[Contrast, ...]


def contrasted(entries: Sequence[Entry], metric: Metric) -> list[Row]:
    """Return the entries with their statistics, in their order."""
    names = dict.fromkeys(rival.name for entry in entries for rival in entry.rivals)
    ps = {(e.name, r.name): _p(e, r) for e in entries for r in e.rivals}
    corrected: dict[tuple[str, str], float] = {}
    family: dict[str, int] = {}
    for name in names:
        keys = [key for key in ps if key[1] == name]
        family[name] = len(keys)
        corrected |= dict(zip(keys, holm([ps[key] for key in keys]), strict=True))
    return [
        Row(
            entry,
            mean_of(entry.figures),
            tuple(
                Contrast(
                    rival=rival.name,
                    difference=_difference(entry, rival, metric),
                    p=ps[entry.name, rival.name],
                    corrected=corrected[entry.name, rival.name],
                    attainable=min(1.0, family[rival.name] * _least(entry, rival)),
                    rival_mean=float(np.mean(rival.figures)),
                )
                for rival in entry.rivals
            ),
        )
        for entry in entries
    ]


def verdict(row: Row, contrast: Contrast, metric: Metric) -> str:
    """Return in one sentence what is shown of an entry beside a rival, and what is not."""
    difference, name = contrast.difference, row.entry.name
    size = f"{metric.factor * difference.value:+.2f} points of {metric.name}"
    if not metric.higher_is_better:
        size += " (positive is better)"
    if math.isfinite(difference.low):
        size += f", 95% interval {metric.factor * difference.low:+.2f} to {metric.factor * difference.high:+.2f}"
    size += f", p {show_p(contrast.corrected)} after correction"
    if contrast.corrected < SIGNIFICANT:
        return f"{name} is {'better' if difference.value > 0 else 'worse'} than {contrast.rival}: {size}."
    if contrast.attainable >= SIGNIFICANT:
        count = len(row.entry.figures)
        return (
            f"{name} cannot be told apart from {contrast.rival}: {size}. With {count} {row.entry.unit}"
            f"{'s' if count > 1 else ''} the test could show nothing, whatever was found."
        )
    return f"{name} cannot be told apart from {contrast.rival}: {size}."


def show_p(p: float) -> str:
    """Return ``= 0.03`` or ``< 0.001``."""
    return "< 0.001" if p < 0.001 else f"= {p:.2g}"


def _p(entry: Entry, rival: Rival) -> float:
    if rival.paired:
        return paired_p(np.subtract(entry.figures, rival.figures))
    return unpaired_p(entry.figures, rival.figures)


def _least(entry: Entry, rival: Rival) -> float:
    return least_p(len(entry.figures), len(rival.figures), paired=rival.paired)


def _difference(entry: Entry, rival: Rival, metric: Metric) -> Estimate:
    sign = 1.0 if metric.higher_is_better else -1.0
    one, other = sign * np.asarray(entry.figures), sign * np.asarray(rival.figures)
    return mean_of(one - other) if rival.paired else difference_of(one, other)
