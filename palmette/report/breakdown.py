"""Breakdown: where the cost of any architecture of a space comes from, as the tables that the page looks it up in.

Costs are sums: a fixed part, one entry per decision, and entries for decisions that cost together (``costs``). The page
shows them for the architecture that is chosen in a plot, so they are kept for the space and not for each trial.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from palmette.architecture import Architecture, Value
from palmette.costs.limits import SummedCosts

MOST_ENTRIES = 20_000
"""Numbers that a page carries for this at most."""


@dataclass(frozen=True)
class Joint:
    """What several decisions cost together while all of them are active."""

    names: Sequence[str]
    costs: Any
    """Nested lists ``[options, options, ..., costs]``."""


@dataclass(frozen=True)
class Breakdown:
    """The tables of a space; costs are in the order of ``costs``."""

    costs: Sequence[str]
    fixed: Sequence[float]
    """Of what all architectures have."""
    values: Mapping[str, Sequence[str]]
    """By decision, its values as text."""
    options: Mapping[str, Sequence[Sequence[float]]]
    """By decision, ``[values, costs]``."""
    joint: Sequence[Joint] = ()


def breakdown(table: Callable[[Architecture], Mapping[str, float]]) -> Breakdown | None:
    """Return the tables of a space, or None where costs are no sums or have too many parts for a page."""
    if not isinstance(table, SummedCosts):
        return None
    size = sum(entries.size for entries in [*table.options.values(), *table.joint.values()])
    if size > MOST_ENTRIES:
        return None
    return Breakdown(
        costs=list(table.names),
        fixed=table.fixed.tolist(),
        values={name: [_text(value) for value in table.decisions.values(name)] for name in table.options},
        options={name: rows.tolist() for name, rows in table.options.items()},
        joint=[Joint(list(names), entries.tolist()) for names, entries in table.joint.items() if entries.any()],
    )


def _text(value: Value) -> str:
    """Return a value as the page's script writes it: names of a list joined by commas."""
    return ",".join(value) if isinstance(value, tuple) else str(value)
