"""Decisions of small spaces for controllers, without networks."""

from __future__ import annotations

from palmette.decision import Categorical, Decision, Integer, Node, Subset
from palmette.decisions import Decisions

ACTIVATIONS = ("tanh", "relu", "identity", "sigmoid")


def recurrent(nodes: int) -> Decisions:
    """Return ENAS's recurrent space: each node an activation, and after the first a node before it."""
    decisions: list[Decision] = [Categorical("activation1", ACTIVATIONS)]
    graph = [Node("node1", ("activation1",))]
    for i in range(2, nodes + 1):
        earlier = tuple(f"node{j}" for j in range(1, i))
        decisions += [Categorical(f"input{i}", earlier), Categorical(f"activation{i}", ACTIVATIONS)]
        graph.append(Node(f"node{i}", (f"input{i}", f"activation{i}")))
    return Decisions("recurrent", decisions, nodes=graph)


def skips(layers: int) -> Decisions:
    """Return layers of two operations, each with any of the tensors before the last as skip connections."""
    decisions: list[Decision] = []
    graph = [Node("stem")]
    for i in range(1, layers + 1):
        own: list[Decision] = [Categorical(f"op{i}", ("conv", "pool"))]
        own += [Subset(f"skips{i}", tuple(node.name for node in graph[:-1]))] if i > 1 else []
        decisions += own
        graph.append(Node(f"layer{i}", tuple(decision.name for decision in own)))
    return Decisions("skips", decisions, nodes=graph)


CONDITIONAL = Decisions(
    "conditional",
    [
        Categorical("block", ("plain", "cell", "wide")),
        Categorical("kernel", ("k3", "k5"), active_if=(("block", "cell"),)),
        Subset("inputs", ("a", "b", "c"), least=1, most=2, active_if=(("block", "cell"), ("block", "wide"))),
        Categorical("pool", ("max", "average"), active_if=(("inputs", "c"),)),
        Integer("depth", 1, 3),
    ],
)
"""Conditions, a bounded any-of decision and an integer."""
