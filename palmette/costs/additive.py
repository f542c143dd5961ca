"""Additive costs: a fixed part plus one entry per active decision, fitted to whole networks; and tables side by side.

Latency on a processor that does one thing after another is such a sum (FBNet, Wu et al., CVPR 2019, section 3.2;
gradient.md 7.4), but the time of a layer alone is not its share of a network: caches are warm or cold, and calls cost
something too. Fitting to whole networks measures every option between the neighbours it really has, and finds the fixed
layers and the overhead of a call without timing either. No torch here.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from palmette.architecture import Architecture
from palmette.costs.limits import SummedCosts
from palmette.decision import Subset
from palmette.decisions import Decisions
from palmette.errors import PalmetteError

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class AdditiveTable:
    """Costs that are sums; see ``costs.limits.SummedCosts``."""

    decisions: Decisions
    names: tuple[str, ...]
    fixed: Array
    """``[costs]``."""
    options: Mapping[str, Array]
    """By decision, ``[options, costs]``."""
    joint: Mapping[tuple[str, ...], Array] = field(default_factory=dict)
    """Empty: nothing here depends on several decisions together."""
    check: tuple[tuple[float, float], ...] = ()
    """Sum and measurement of networks that took no part in the fit, as far as they are known."""

    def __call__(self, architecture: Architecture) -> dict[str, float]:
        """Return the costs of one architecture by name."""
        total = self.fixed.copy()
        for name, value in architecture.values:
            total += self.options[name][self.decisions.index(name, value)]
        return dict(zip(self.names, total.tolist(), strict=True))

    def all(self, architectures: Sequence[Architecture]) -> Array:
        """Return the costs of many architectures, ``[architectures, costs]``."""
        rows = np.concatenate([self.options[name] for name in self.decisions.decisions])
        return np.asarray(self.decisions.encode_all(architectures) @ rows + self.fixed)


def fit_additive(
    decisions: Decisions,
    architectures: Sequence[Architecture],
    values: npt.ArrayLike,
    *,
    name: str,
    reads: Sequence[Collection[str]] | None = None,
) -> AdditiveTable:
    """Return the table whose sums come closest, in least squares, to the values of these architectures.

    Only sums are determined: what all options of a decision have in common may as well lie in the fixed part, so the
    cheapest option of every unconditional decision is 0 here. Of a decision that takes any of its options, each option
    has one share.

    Args:
        decisions: of the space.
        architectures: several times as many as ``free_entries`` where values are noisy.
        values: ``[architectures]``, for example milliseconds; or ``[architectures, parts]``, where the parts of a
            network were measured: each is fitted by itself, and the table is the sum.
        name: of the cost.
        reads: of each part, the decisions that it depends on; by default on all.

    Raises:
        PalmetteError: an option that none of the architectures takes, or numbers that do not match.
    """
    y = np.asarray(values, dtype=np.float64)
    if len(y) != len(architectures) or not np.isfinite(y).all():
        raise PalmetteError(f"{name}: {len(architectures)} architectures need as many finite values; got {y.shape}")
    shares = {decision: _shares(decisions, decision) for decision in decisions.decisions}
    shown = _shown(decisions, architectures, shares, name)
    fixed, options = 0.0, {decision: np.zeros(len(share)) for decision, share in shares.items()}
    y = y.reshape(len(y), -1)
    for part, read in zip(y.T, [tuple(shares)] * y.shape[1] if reads is None else reads, strict=True):
        design = np.concatenate([*(shown[decision] for decision in read), np.ones((len(y), 1))], axis=1)
        solution = np.linalg.lstsq(design, part, rcond=1e-9)[0]
        ends = np.cumsum([shares[decision].shape[1] for decision in read]).astype(int)
        *entries, (constant,) = np.split(solution, ends)
        fixed += float(constant)
        for decision, entry in zip(read, entries, strict=True):
            options[decision] += shares[decision] @ entry
    for decision, rows in options.items():
        least = 0.0 if decisions.decisions[decision].active_if else float(rows.min())
        rows -= least
        fixed += least
    columns = {decision: rows[:, None] for decision, rows in options.items()}
    return AdditiveTable(decisions, (name,), np.array([fixed]), columns)


def free_entries(decisions: Decisions, read: Collection[str] | None = None) -> int:
    """Return how many numbers such a table has, counted without what only moves a constant about: 177 for FBNet.

    With ``read``, those of a part that depends on these decisions only.
    """
    names = [name for name in decisions.decisions if read is None or name in read]
    sizes = {name: int(_shares(decisions, name).shape[1]) for name in names}
    return 1 + sum(n if isinstance(decisions.decisions[name], Subset) else n - 1 for name, n in sizes.items())


def _shown(
    decisions: Decisions, architectures: Sequence[Architecture], shares: Mapping[str, Array], name: str
) -> dict[str, Array]:
    """Return by decision what the architectures take, ``[architectures, options]``; raise if one is never taken."""
    ends = np.cumsum([len(share) for share in shares.values()])[:-1]
    taken = np.split(decisions.encode_all(architectures), ends, axis=1)
    shown = {d: hot @ share for hot, (d, share) in zip(taken, shares.items(), strict=True)}
    for decision, columns in shown.items():
        if not columns.any(axis=0).all():
            raise PalmetteError(
                f"{name}: option {int(columns.any(axis=0).argmin())} of decision {decision!r} is in none of the "
                f"{len(architectures):,} architectures; give more of them"
            )
    return shown


@dataclass(frozen=True)
class Agreement:
    """How well sums predict values that they were not fitted to."""

    r2: float
    """1 less the share of the variance that is not explained; NaN if all values are equal."""
    rmse: float
    """Root of the mean squared difference, in the unit of the values."""
    worst: float
    """The largest difference, as a share of the value."""

    @staticmethod
    def of(predicted: npt.ArrayLike, values: npt.ArrayLike) -> Agreement:
        """Compare ``[n]`` predictions with ``[n]`` values."""
        p, y = np.asarray(predicted, dtype=np.float64), np.asarray(values, dtype=np.float64)
        spread = float(((y - y.mean()) ** 2).sum())
        missed = float(((p - y) ** 2).sum())
        r2 = 1 - missed / spread if spread else float("nan")
        return Agreement(r2, float(np.sqrt(missed / len(y))), float(np.abs(p / y - 1).max()))


class SideBySide:
    """The costs of two tables of one space as those of one; in a call each keeps its numbers and their types."""

    def __init__(self, one: SummedCosts, other: SummedCosts) -> None:
        self.one, self.other = one, other
        self.decisions = one.decisions
        self.names = (*one.names, *other.names)
        self.fixed: npt.NDArray[Any] = np.concatenate([one.fixed, other.fixed])
        self.options: dict[str, npt.NDArray[Any]] = {
            name: np.concatenate([one.options[name], other.options[name]], axis=1) for name in one.options
        }
        self.joint = _padded(one, after=len(other.names))
        for names, rows in _padded(other, before=len(one.names)).items():
            self.joint[names] = self.joint[names] + rows if names in self.joint else rows

    def __call__(self, architecture: Architecture) -> dict[str, float]:
        """Return the costs of one architecture by name."""
        return {**self.one(architecture), **self.other(architecture)}


def _padded(table: SummedCosts, *, before: int = 0, after: int = 0) -> dict[tuple[str, ...], npt.NDArray[Any]]:
    """Return the joint costs of a table with so many columns of zeros around them."""
    return {names: np.pad(rows, [(0, 0)] * len(names) + [(before, after)]) for names, rows in table.joint.items()}


def _shares(decisions: Decisions, name: str) -> Array:
    """Return how the options of a decision make up its values, ``[values, options]``: each alone, or several."""
    decision, values = decisions.decisions[name], decisions.values(name)
    if not isinstance(decision, Subset):
        return np.eye(len(values))
    subsets = [value if isinstance(value, tuple) else (value,) for value in values]
    return np.array([[float(option in subset) for option in decision.options] for subset in subsets])
