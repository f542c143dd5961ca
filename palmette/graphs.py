"""Graphs of cells, as plain data: which earlier states each node reads, and through which operation."""

from __future__ import annotations

from dataclasses import dataclass

SKIP = "skip connection"
"""The operation of what is only joined to a node's output."""


@dataclass(frozen=True)
class Read:
    """One input of a node."""

    source: str
    """The name of an input of the graph or of an earlier node."""
    operation: str


@dataclass(frozen=True)
class Node:
    """A state, made of one or several others."""

    name: str
    reads: tuple[Read, ...]


@dataclass(frozen=True)
class Graph:
    """A cell."""

    name: str
    inputs: tuple[str, ...]
    nodes: tuple[Node, ...]
    """In an order in which each reads from earlier ones only."""
    output: tuple[str, ...]
    """The nodes that make the output."""
    operations: tuple[str, ...]
    """All that were to be chosen from, in their order."""
