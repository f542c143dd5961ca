"""Decision: one choice that a space leaves open, and what a space may state of several; plain records.

One of n (``Categorical``), any of n (``Subset``) or an integer range (``Integer``); it may be conditional, active only
while another decision takes a given value. ``Equivalence`` states which values build the same network, ``Grammar``
draws and checks decisions that constrain each other, ``Node`` says which of them describe a graph.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from palmette.architecture import Value

Condition = tuple[str, Value]
"""``(decision, value)``: holds while that decision is active and takes that value (or, any of n, contains it)."""


@dataclass(frozen=True)
class Categorical:
    """One of the named options."""

    name: str
    options: tuple[str, ...]
    active_if: tuple[Condition, ...] = ()
    """Active when any of these holds; always when empty."""
    ordered: bool = False
    """The options are sizes that rise, as widths do."""

    def values(self) -> Sequence[Value]:
        return self.options


@dataclass(frozen=True)
class Subset:
    """Any of the named options, from ``least`` to ``most`` of them; a value is a tuple in option order."""

    name: str
    options: tuple[str, ...]
    least: int = 0
    most: int | None = None
    active_if: tuple[Condition, ...] = ()

    def values(self) -> Sequence[Value]:
        most = len(self.options) if self.most is None else self.most
        sizes = range(self.least, most + 1)
        return [subset for size in sizes for subset in itertools.combinations(self.options, size)]


@dataclass(frozen=True)
class Integer:
    """An integer from ``low`` to ``high`` inclusive in steps; ``log`` samples its logarithm uniformly."""

    name: str
    low: int
    high: int
    step: int = 1
    log: bool = False
    active_if: tuple[Condition, ...] = ()

    def values(self) -> Sequence[Value]:
        return range(self.low, self.high + 1, self.step)


Decision = Categorical | Subset | Integer


class Grammar(Protocol):
    """Which values go together in a space whose decisions constrain each other, and how such values are drawn.

    All values are those of the active decisions, in decision order.
    """

    def sample(self, generator: np.random.Generator) -> dict[str, Value]:
        """Draw an architecture."""
        ...

    def mutate(
        self, parent: Mapping[str, Value], generator: np.random.Generator, *, probability: float
    ) -> dict[str, Value]:
        """Redraw each element with ``probability``, keeping the whole valid."""
        ...

    def cross(
        self, one: Mapping[str, Value], other: Mapping[str, Value], generator: np.random.Generator
    ) -> dict[str, Value]:
        """Take each independent part from either parent with probability 1/2."""
        ...

    def check(self, values: Mapping[str, Value]) -> None:
        """Raise ArchitectureError, with the name of what is wrong, for values that do not go together."""
        ...

    def at(self, progress: float) -> Grammar:
        """Return the narrower grammar that a training draws from at ``progress``, 0 to 1 of its length."""
        ...


@dataclass(frozen=True)
class Equivalence:
    """Encodings of these decisions that build one network, by the map to their representative.

    ``canonical`` takes and returns the values in the order of ``names`` and must be idempotent. The decisions
    of an equivalence are unconditional and belong to no other one.
    """

    names: tuple[str, ...]
    canonical: Callable[[tuple[Value, ...]], tuple[Value, ...]]


def no_ops_last(option: str) -> Callable[[tuple[Value, ...]], tuple[Value, ...]]:
    """Return the canonical map of layers in a row of which those set to ``option`` do nothing: they go last."""
    return lambda values: tuple(sorted(values, key=lambda value: value == option))  # sorting keeps the others' order


@dataclass(frozen=True)
class Node:
    """A node of a graph, by the decisions that describe it; none for an input.

    A decision whose options are all names of nodes before its own chooses among these. Of nodes with one name, as the
    inputs of two cells, the last before the decision is meant.
    """

    name: str
    decisions: tuple[str, ...] = ()
    graph: str = "network"
    """What it is a node of, as normal cell; a space may have several graphs, one after another."""


def holds(value: Value | None, wanted: Value) -> bool:
    """Say whether a decision's value meets a condition: is it, or any of n, contains it."""
    return value == wanted or (isinstance(value, tuple) and wanted in value)
