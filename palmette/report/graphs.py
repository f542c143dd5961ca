"""The cells of an architecture as graphs: what its slots say of themselves, or what the nodes of its decisions say."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch

from palmette.architecture import Architecture
from palmette.decision import Node as Described
from palmette.decisions import Decisions
from palmette.graphs import SKIP, Graph, Node, Read
from palmette.space import Space, slots


def graphs(space: Space, architecture: Architecture) -> list[Graph]:
    """Return each different cell once; none where the space has no cells."""
    with torch.device("meta"):
        network = space.definition()
    found = [graph for slot in slots(network) for graph in slot.graphs(architecture)]
    return list(dict.fromkeys(found)) or from_nodes(space.decisions, architecture)


def from_nodes(decisions: Decisions, architecture: Architecture) -> list[Graph]:
    """Return the graphs that ``decisions.nodes`` describe, by the names that these give.

    A decision among earlier nodes says what is read, the next other one through which operation. An operation without
    such a decision before it reads the node before, or the first node an input; what is read without an operation is a
    skip connection.
    """
    groups = itertools.groupby(decisions.nodes, lambda node: node.graph)
    return [_graph(name, decisions, architecture, list(group)) for name, group in groups]


def _graph(name: str, decisions: Decisions, architecture: Architecture, group: Sequence[Described]) -> Graph:
    nodes: list[Node] = []
    inputs = tuple(node.name for node in group if not node.decisions) or (INPUT,)
    earlier = [] if group[0].name in inputs else [INPUT]
    operations: dict[str, None] = {}
    for node in group:
        waiting: list[str] = []
        reads: list[Read] = []
        for decision in node.decisions:
            if decision not in architecture:
                continue
            value = architecture[decision]
            taken = value if isinstance(value, tuple) else (str(value),)
            offered = [o for v in decisions.values(decision) for o in (v if isinstance(v, tuple) else (str(v),))]
            if set(offered) <= set(earlier):
                reads += [Read(source, SKIP) for source in waiting]
                waiting = list(taken)
                continue
            operations |= dict.fromkeys(offered)
            sources = waiting or earlier[-1:]
            reads += [Read(source, operation) for source in sources for operation in taken]
            waiting = []
        reads += [Read(source, SKIP) for source in waiting]
        if node.decisions:
            nodes.append(Node(node.name, tuple(reads)))
        earlier.append(node.name)
    read = {r.source for node in nodes for r in node.reads}
    output = tuple(node.name for node in nodes if node.name not in read)
    return Graph(name, inputs, tuple(nodes), output, tuple(operations))


INPUT = "input"
"""Stands for what is given to a graph whose every node is described by decisions."""
