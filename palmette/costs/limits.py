"""Limits: ranges that the costs of an architecture must lie in, and proof before training that they can be met.

A limit is "at most" or "at least" a value, or both; ends are inclusive. ``check_feasible`` finds an architecture
that meets all limits or says by how much the nearest one misses them, so that nobody trains a supernet for limits
that nothing meets. SPOS calls this ``Cost(a) <= C_max`` (Guo et al., 2020, section 3; sampling.md 1.3).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from palmette.architecture import Architecture
from palmette.costs.extremes import extreme
from palmette.decisions import Decisions
from palmette.errors import LimitError

Costs = Callable[[Architecture], Mapping[str, float]]
"""The costs of an architecture by name; always the same names, in one order."""

ENUMERABLE = 200_000
"""Spaces with at most this many encodings are searched completely."""
DRAWS = 1000
RESTARTS = 10
STEPS = 100

UNITS: Mapping[str, str] = {"latency": "ms"}
"""Of the costs that are no counts."""
_SUFFIXES = {"K": 1e3, "k": 1e3, "M": 1e6, "G": 1e9}
_FORMS = 'allowed are 50e6 or "50M" (at most), "40M:50M" (a range), "40M:" (at least)'


@dataclass(frozen=True)
class Limit:
    """An inclusive range of one cost, in the unit of that cost; ``None`` is an open end.

    Raises:
        LimitError: no end, an end that is negative or not finite, or ``low`` above ``high``.
    """

    low: float | None
    high: float | None

    def __post_init__(self) -> None:
        ends = [end for end in (self.low, self.high) if end is not None]
        if not ends or not all(math.isfinite(end) and end >= 0 for end in ends):
            raise LimitError(f"limit ({self.low}, {self.high}): give at least one end, finite and not negative")
        if len(ends) == 2 and ends[0] > ends[1]:
            raise LimitError(f"limit ({self.low}, {self.high}): the low end lies above the high end; exchange them")

    @staticmethod
    def parse(text: str) -> Limit:
        """Read ``"50e6"`` or ``":50e6"`` (at most), ``"40M:50M"`` (a range) or ``"40M:"`` (at least).

        Raises:
            LimitError: anything else.
        """
        low, separator, high = text.partition(":")
        if not separator:
            low, high = "", low
        if not low.strip() and not high.strip():
            raise LimitError(f"limit {text!r}: it has no value; {_FORMS}")
        return Limit(_end(low, text), _end(high, text))

    @property
    def text(self) -> str:
        """The limit in the form that ``parse`` reads back to an equal one."""
        return f"{'' if self.low is None else self.low}:{'' if self.high is None else self.high}"

    def excess(self, cost: float) -> float:
        """Return how far ``cost`` lies outside, as a fraction of the end it misses; 0 inside."""
        if self.high is not None and cost > self.high:
            return (cost - self.high) / max(self.high, 1.0)
        if self.low is not None and cost < self.low:
            return (self.low - cost) / max(self.low, 1.0)
        return 0.0

    def __str__(self) -> str:
        if self.low is None or self.high is None:
            return f"at most {number(self.high)}" if self.high is not None else f"at least {number(self.low)}"
        return f"between {number(self.low)} and {number(self.high)}"


class Limits(Mapping[str, Limit]):
    """Limits by cost name; none at all allows everything.

    Args:
        limits: by name.
        measured: costs beside those that every network has, as a table of latencies; limits can be on them, and losses.
    """

    def __init__(self, limits: Mapping[str, Limit], measured: SummedCosts | None = None) -> None:
        self._limits = dict(limits)
        self.measured = measured

    @staticmethod
    def from_mapping(
        given: Mapping[str, Limit | float | str | tuple[float | None, float | None]],
        measured: SummedCosts | None = None,
    ) -> Limits:
        """Read ``{"flops": 50e6, "params": (1e6, 2e6), "acts": "40K:"}``; a bare number means at most.

        Raises:
            LimitError: a value of another kind, or a range that is malformed.
        """
        return Limits({name: _limit(name, value) for name, value in given.items()}, measured)

    def __getitem__(self, name: str) -> Limit:
        return self._limits[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._limits)

    def __len__(self) -> int:
        return len(self._limits)

    def __str__(self) -> str:
        return " and ".join(f"{name} {limit}{unit(name)}" for name, limit in self.items())

    def pairs(self) -> dict[str, tuple[float | None, float | None]]:
        """Return ``{name: (low, high)}``, which ``from_mapping`` reads back; None is an open end."""
        return {name: (limit.low, limit.high) for name, limit in self.items()}

    def check_names(self, costs: Mapping[str, float]) -> None:
        """Raise LimitError if a limit is on a cost that ``costs`` does not have."""
        for name in self:
            if name not in costs:
                raise LimitError(f"limit on {name!r}: no such cost is known here; allowed are {', '.join(costs)}")

    def allows(self, costs: Mapping[str, float]) -> bool:
        """Say whether all costs lie inside their limits; raise LimitError where a limited cost is missing."""
        self.check_names(costs)
        return all(limit.excess(costs[name]) == 0 for name, limit in self.items())

    def excess(self, costs: Mapping[str, float]) -> float:
        """Return the sum of relative excesses over all limits; 0 when all are met."""
        return sum(limit.excess(costs[name]) for name, limit in self.items())


@runtime_checkable
class SummedCosts(Protocol):
    """Costs that are a fixed part plus entries per active decision, or group of them, as ``complexity.CostTable``."""

    @property
    def decisions(self) -> Decisions: ...

    @property
    def names(self) -> Sequence[str]:
        """Of the costs, in the order of the columns below and of what the call returns."""
        ...

    @property
    def fixed(self) -> npt.NDArray[Any]:
        """``[costs]``."""
        ...

    @property
    def options(self) -> Mapping[str, npt.NDArray[Any]]:
        """By decision, ``[options, costs]``."""
        ...

    @property
    def joint(self) -> Mapping[tuple[str, ...], npt.NDArray[Any]]:
        """By decisions that cost together while all of them are active, ``[options, options, ..., costs]``."""
        ...

    def __call__(self, architecture: Architecture) -> Mapping[str, float]: ...


def check_feasible(limits: Limits, decisions: Decisions, costs: Costs, generator: np.random.Generator) -> Architecture:
    """Return an architecture that meets the limits.

    Exact where costs are ``SummedCosts`` and one end of one cost is limited, and in every space of at most
    ``ENUMERABLE`` encodings. Otherwise up to ``DRAWS`` architectures are drawn and ``RESTARTS`` of the best improved
    over their neighbours, at most ``STEPS`` times each: then a failure means that none was found.

    Raises:
        LimitError: a limit on an unknown cost, or limits that no architecture meets, with the nearest that exists.
    """
    drawn = [decisions.sample(generator)]
    limits.check_names(costs(drawn[0]))
    while not limits.allows(costs(drawn[-1])):
        if len(drawn) == DRAWS:
            break
        drawn.append(decisions.sample(generator))
    else:
        return drawn[-1]
    if isinstance(costs, SummedCosts):
        found = _within_reach(limits, decisions, costs)
        if found is not None:
            return found
    if decisions.is_listable(ENUMERABLE):
        nearest = min(decisions.enumerate(), key=lambda a: limits.excess(costs(a)))
        tried = f"no architecture of space {decisions.space!r} does"
    else:
        nearest = _improved(limits, decisions, costs, drawn)
        tried = f"none was found in space {decisions.space!r} ({DRAWS} draws and {RESTARTS} local searches)"
    reached = costs(nearest)
    if limits.allows(reached):
        return nearest
    values = ", ".join(f"{name} {amount(name, reached[name])}" for name in limits)
    raise LimitError(
        f"limits {limits}: {tried}; the nearest, {decisions.code(nearest)}, has {values}; "
        "widen the limits to include it"
    )


def _within_reach(limits: Limits, decisions: Decisions, costs: SummedCosts) -> Architecture | None:
    """Return an extreme architecture that meets the limits, if any; raise where an extreme misses a limit's end."""
    for name, limit in limits.items():
        for end, sign in ((limit.high, 1), (limit.low, -1)):
            values = None if end is None else extreme(decisions, costs, name, sign)
            if end is None or values is None:
                continue
            architecture = decisions.architecture(values)
            reached = costs(architecture)
            if limits.allows(reached):
                return architecture
            if sign * reached[name] > sign * end:
                size, cure = ("smallest", "raise") if sign > 0 else ("largest", "lower")
                bound = "at most" if sign > 0 else "at least"
                raise LimitError(
                    f"{name} {bound} {amount(name, end)}: the {size} architecture of space {decisions.space!r} has "
                    f"{amount(name, reached[name])}; {cure} the limit to {'at least' if sign > 0 else 'at most'} that"
                )
    return None


def _improved(limits: Limits, decisions: Decisions, costs: Costs, drawn: list[Architecture]) -> Architecture:
    """Return the best end of steepest descents in total excess, from the best drawn architectures.

    Under a grammar there are no neighbours to descend to, and the best drawn one it is.
    """

    def excess(architecture: Architecture) -> float:
        return limits.excess(costs(architecture))

    ends = []
    if decisions.grammar is not None:
        return min(drawn, key=excess)
    for current in sorted(drawn, key=excess)[:RESTARTS]:
        for _ in range(STEPS):
            step = min(decisions.neighbours(current), key=excess, default=current)
            if excess(step) >= excess(current):
                break
            current = step
        ends.append(current)
        if excess(current) == 0:
            break
    return min(ends, key=excess)


def _limit(name: str, value: Limit | float | str | tuple[float | None, float | None]) -> Limit:
    try:
        if isinstance(value, Limit):
            return value
        if isinstance(value, str):
            return Limit.parse(value)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return Limit(None, float(value))
        if isinstance(value, (tuple, list)) and len(value) == 2 and all(_is_end(end) for end in value):
            return Limit(*(None if end is None else float(end) for end in value))
    except LimitError as error:
        raise LimitError(f"{name}: {error}") from None
    raise LimitError(f"{name}: limit {value!r} is not a limit; {_FORMS} or a pair (low, high)")


def _is_end(end: object) -> bool:
    return end is None or (isinstance(end, (int, float)) and not isinstance(end, bool))


def _end(part: str, text: str) -> float | None:
    part = part.strip()
    if not part:
        return None
    scale = _SUFFIXES.get(part[-1], 1.0)
    digits = part[:-1] if part[-1] in _SUFFIXES else part
    try:
        return float(digits) * scale
    except ValueError:
        raise LimitError(
            f"limit {text!r}: {part!r} is not a number; {_FORMS}, with K, M or G for 1e3, 1e6, 1e9"
        ) from None


def unit(name: str) -> str:
    """Return what stands behind a number of this cost: a space and its unit, or nothing for a count."""
    return f" {UNITS[name]}" if name in UNITS else ""


def amount(name: str, value: float) -> str:
    """Return a cost in full with its unit: ``1,234`` FLOPs, ``0.81 ms`` of latency."""
    return number(value) + unit(name)


def number(value: float | None) -> str:
    """Return a cost in full: counts with separators, others with as many digits as they need, at most seven."""
    assert value is not None
    return f"{int(value):,}" if value == int(value) else f"{value:,.7g}"
