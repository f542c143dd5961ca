"""The cells of DARTS: one normal and one reduction cell, used over and over (Liu et al., "DARTS", 2019, section 3.1).

A cell has two inputs, the outputs of the two cells before it, and four nodes, each the sum of operations on two
different earlier states; its output is the four nodes side by side. A node has three decisions: which two states, and
the operation on each, the earlier state first. That is 1.04e9 cells, each with one encoding (appendix C).

A relaxed search weighs eight operations, ``none`` among them, on each of the 14 edges instead; ``strongest_cell`` says
which cell the weights end in (section 2.4).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from functools import partial

import torch
from torch import Tensor, nn

from palmette.architecture import Architecture, Value
from palmette.blocks.drop_path import DropPath
from palmette.blocks.factorized_reduce import FactorizedReduce
from palmette.blocks.mixed_edges import State, Sum, Weighted, add_edge
from palmette.blocks.separable import Norm, dilated_conv, relu_conv_bn, separable_conv
from palmette.choice import has_pick, picked, terms
from palmette.decision import Categorical, Condition, Decision
from palmette.errors import ArchitectureError
from palmette.graphs import Graph, Node, Read
from palmette.mixtures import Mixture, Weights, strongest_inputs
from palmette.slots import Alternative, Case, Slot, given

KINDS = ("normal", "reduce")
NODES = (2, 3, 4, 5)
"""States 0 and 1 are the inputs."""
OPERATIONS = (
    "max_pool_3x3",
    "avg_pool_3x3",
    "skip_connect",
    "sep_conv_3x3",
    "sep_conv_5x5",
    "dil_conv_3x3",
    "dil_conv_5x5",
)
MIXED = ("none", *OPERATIONS)
"""What the weights of an edge weigh, in their order."""
EDGES = tuple((state, node) for node in NODES for state in range(node))
"""From state to node, in the order of the published rows."""

searched_norm: Norm = partial(nn.BatchNorm2d, affine=False, track_running_stats=False)
"""BatchNorm of a search: a scale of its own could undo the weight of its operation (appendix A.1.1), and statistics
are those of the batch at all times."""


def edge(kind: str, state: int, node: int) -> str:
    """Return the name of an edge's weights."""
    return f"{kind}_edge_{state}_{node}"


def pairs(node: int) -> list[tuple[int, int]]:
    """Return the pairs of states that a node can have as inputs, in the order of the decision's options."""
    return list(itertools.combinations(range(node), 2))


def cell_values(kind: str, inputs: Sequence[tuple[tuple[str, int], tuple[str, int]]]) -> dict[str, Value]:
    """Return the values of a cell's decisions for the two ``(operation, state)`` of each node, in either order."""
    values: dict[str, Value] = {}
    for node, two in zip(NODES, inputs, strict=True):
        (first, one), (second, other) = sorted(two, key=lambda pair: pair[1])
        if node > NODES[0]:
            values[f"{kind}_node{node}_inputs"] = f"{one}+{other}"
        values |= {f"{kind}_node{node}_first": first, f"{kind}_node{node}_second": second}
    return values


def cell_inputs(kind: str, architecture: Architecture) -> list[tuple[tuple[str, int], tuple[str, int]]]:
    """Return the two ``(operation, state)`` of each node, the earlier state first."""
    found = []
    for node in NODES:
        name = f"{kind}_node{node}"
        one, other = (int(s) for s in str(architecture[f"{name}_inputs"]).split("+")) if node > NODES[0] else (0, 1)
        found.append(((str(architecture[f"{name}_first"]), one), (str(architecture[f"{name}_second"]), other)))
    return found


def strongest_cell(kind: str, weights: Weights) -> Mapping[str, Value]:
    """Return the decisions that the weights of the 14 edges end in: two edges per node, and the best of each."""
    inputs = []
    for node in NODES:
        rows = [weights[edge(kind, state, node)] for state in range(node)]
        (one, first), (other, second) = strongest_inputs(rows, keep=2)
        inputs.append(((MIXED[first], one), (MIXED[second], other)))
    return cell_values(kind, inputs)


def mixture(kind: str) -> Mixture:
    """Return the weight vectors of one kind of cell, one for each edge."""
    decisions = tuple(decision.name for decision in _decisions(kind))
    options = {edge(kind, *ends): MIXED for ends in EDGES}
    return Mixture(decisions, options, partial(strongest_cell, kind))


class Cell(nn.Module):
    """A cell with the operations of one architecture; see ``CellSlot`` for shapes."""

    def __init__(self, preprocess: Sequence[nn.Module], operations: Sequence[nn.Module], states: Sequence[int]) -> None:
        super().__init__()
        self.preprocess = nn.ModuleList(preprocess)
        self.operations = nn.ModuleList(operations)
        self.states = tuple(states)
        """Which state each operation reads; two operations for each node in turn."""

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        states = [self.preprocess[0](inputs[0]), self.preprocess[1](inputs[1])]
        reads = list(zip(self.operations, self.states, strict=True))
        for (one, i), (other, j) in zip(reads[::2], reads[1::2], strict=True):
            states.append(one(states[i]) + other(states[j]))
        return torch.cat(states[2:], dim=1)


class CellSlot(Slot):
    """A cell with all operations on all edges. Its decisions are shared by all cells of its kind.

    Takes a pair: the output of the last cell but one, ``[N, before, H, W]`` (twice the height and width where the last
    cell reduced), and that of the last cell, ``[N, last, H, W]``. Returns ``[N, 4 * channels, H, W]``, with half the
    height and width where it reduces.
    """

    def __init__(
        self, kind: str, before: int, last: int, channels: int, *, after_reduction: bool, searched: bool
    ) -> None:
        super().__init__()
        self.kind = kind
        self.inputs = (before, last)
        self.channels = channels
        self.after_reduction = after_reduction
        self.searched = searched
        self.preprocess: nn.ModuleList | None = None
        self.edges: nn.ModuleList | None = None

    def decisions(self) -> Sequence[Decision]:
        return _decisions(self.kind)

    def nested(self) -> Iterator[tuple[Condition, nn.Module]]:
        return iter(())

    def alternatives(self) -> Iterator[Alternative]:
        for position, module in enumerate(self._preprocess()):
            yield Alternative((), partial(given, module), position=position, key=module)
        operations = {name: self._operation(name, 0) for name in OPERATIONS}
        free = [name for name, operation in operations.items() if isinstance(operation, nn.Identity)]
        for node, (place, side) in itertools.product(NODES, enumerate(("first", "second"))):
            name = f"{self.kind}_node{node}"
            for operation, module in operations.items():
                if operation in free:
                    continue
                conditions: list[Case] = [(f"{name}_{side}", operation)]
                if operation == "skip_connect" and node > NODES[0]:  # costs something where it has to reduce only
                    reducing = frozenset(f"{i}+{j}" for i, j in pairs(node) if (i, j)[place] < NODES[0])
                    conditions.insert(0, (f"{name}_inputs", reducing))
                yield Alternative(
                    tuple(conditions), partial(given, module), inputs=self.channels, position=1, key=module
                )

    def graphs(self, architecture: Architecture) -> Iterator[Graph]:
        names = ("last cell but one", "last cell", *(f"node {node}" for node in NODES))
        nodes = [
            Node(names[node], tuple(Read(names[state], operation) for operation, state in two))
            for node, two in zip(NODES, cell_inputs(self.kind, architecture), strict=True)
        ]
        name = "normal cell" if self.kind == "normal" else "reduction cell"
        yield Graph(name, names[: NODES[0]], tuple(nodes), names[NODES[0] :], OPERATIONS)

    def build(self, architecture: Architecture) -> nn.Module:
        chosen = _chosen(self.kind, architecture)
        operations = [self._operation(MIXED[op], state) for state, _, op in chosen]
        return Cell(self._preprocess(), operations, [state for state, _, _ in chosen])

    def fill(self) -> None:
        self.preprocess = nn.ModuleList(self._preprocess())
        self.edges = nn.ModuleList(
            nn.ModuleDict({name: self._operation(name, state) for name in OPERATIONS}) for state, _ in EDGES
        )

    def active(self, architecture: Architecture) -> nn.Module:
        return self._single(_chosen(self.kind, architecture))

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        assert self.preprocess is not None
        assert self.edges is not None
        single = None if has_pick(edge(self.kind, *EDGES[0])) else _single_path(self.kind)
        if single is not None:
            result: Tensor = self._single(single)(inputs)
            return result
        if not self.searched:
            raise ArchitectureError(
                "weights of operations were given to a network for retraining; mix the search network"
            )
        weights = _edge_weights(self.kind)
        nodes = {node: Sum() for node in NODES}
        states: list[Tensor] = [self.preprocess[0](inputs[0]), self.preprocess[1](inputs[1])]
        like = states[1][:, :, :: self._stride(0), :: self._stride(0)]
        for i in range(NODES[-1]):
            if i >= NODES[0]:
                states.append(nodes[i].total(like))
            state = State(states[i], stride=self._stride(i))
            for (start, node), operations in zip(EDGES, self.edges, strict=True):
                if start == i:
                    assert isinstance(operations, nn.ModuleDict)
                    add_edge(nodes[node], state, dict(operations.items()), weights[start, node])
        return torch.cat([*states[2:], nodes[NODES[-1]].total(like)], dim=1)

    def _single(self, chosen: Sequence[tuple[int, int, int]]) -> Cell:
        """Return the cell of the given ``(state, node, operation)``, made of this slot's own modules."""
        assert self.preprocess is not None
        assert self.edges is not None
        operations = [self.edges[EDGES.index((state, node))][MIXED[op]] for state, node, op in chosen]  # type: ignore[index]
        return Cell(list(self.preprocess), operations, [state for state, _, _ in chosen]).train(self.training)

    def _norm(self, channels: int) -> nn.Module:
        return searched_norm(channels) if self.searched else nn.BatchNorm2d(channels)

    def _preprocess(self) -> list[nn.Module]:
        before, last = self.inputs
        reduce = FactorizedReduce if self.after_reduction else relu_conv_bn
        return [
            reduce(before, self.channels, norm=self._norm),
            relu_conv_bn(last, self.channels, norm=self._norm),
        ]

    def _stride(self, state: int) -> int:
        return 2 if self.kind == "reduce" and state < NODES[0] else 1

    def _operation(self, name: str, state: int) -> nn.Module:
        """Return a new operation on an edge that leaves ``state``; in a search pooling is followed by BatchNorm."""
        channels, stride, norm = self.channels, self._stride(state), self._norm
        kind, kernel = name.rsplit("_", 1)[0], int(name[-1]) if name[-1].isdigit() else 0
        match kind:
            case "max_pool" | "avg_pool":
                pool: nn.Module = nn.MaxPool2d(3, stride, 1)
                if kind == "avg_pool":
                    pool = nn.AvgPool2d(3, stride, 1, count_include_pad=False)
                operation = nn.Sequential(pool, norm(channels)) if self.searched else pool
            case "skip":
                operation = nn.Identity() if stride == 1 else FactorizedReduce(channels, channels, norm=norm)
            case "sep_conv":
                operation = separable_conv(channels, kernel, stride=stride, norm=norm)
            case _:
                operation = dilated_conv(channels, kernel, stride=stride, norm=norm)
        drops = not self.searched and not isinstance(operation, nn.Identity)
        return nn.Sequential(operation, DropPath()) if drops else operation


def _decisions(kind: str) -> list[Decision]:
    decisions: list[Decision] = []
    for node in NODES:
        if node > NODES[0]:  # the first node has both inputs: no choice
            decisions.append(Categorical(f"{kind}_node{node}_inputs", tuple(f"{i}+{j}" for i, j in pairs(node))))
        decisions += [Categorical(f"{kind}_node{node}_{place}", OPERATIONS) for place in ("first", "second")]
    return decisions


def _chosen(kind: str, architecture: Architecture) -> list[tuple[int, int, int]]:
    """Return the ``(state, node, operation)`` of the eight edges of an architecture, by the order of ``MIXED``."""
    cell = zip(NODES, cell_inputs(kind, architecture), strict=True)
    return [(state, node, MIXED.index(name)) for node, two in cell for name, state in two]


def _single_path(kind: str) -> list[tuple[int, int, int]] | None:
    """Return the ``(state, node, operation)`` of a call that picks one index per decision, else None."""
    chosen = []
    for node in NODES:
        inputs = picked(f"{kind}_node{node}_inputs") if node > NODES[0] else 0
        first, second = (picked(f"{kind}_node{node}_{place}") for place in ("first", "second"))
        if not (isinstance(inputs, int) and isinstance(first, int) and isinstance(second, int)):
            return None
        one, other = pairs(node)[inputs]
        chosen += [(one, node, first + 1), (other, node, second + 1)]
    return chosen


def _edge_weights(kind: str) -> Mapping[tuple[int, int], Weighted]:
    """Return the weight of every operation on every edge: those of the edges, or what those of the decisions make."""
    if has_pick(edge(kind, *EDGES[0])):
        return {
            ends: {MIXED[i]: weight for i, weight in terms(picked(edge(kind, *ends)), len(MIXED))} for ends in EDGES
        }
    found: dict[tuple[int, int], dict[str, Tensor | None]] = {ends: {} for ends in EDGES}
    for node in NODES:
        inputs = terms(picked(f"{kind}_node{node}_inputs"), len(pairs(node))) if node > NODES[0] else [(0, None)]
        places = [terms(picked(f"{kind}_node{node}_{place}"), len(OPERATIONS)) for place in ("first", "second")]
        for pair, share in inputs:
            for state, operations in zip(pairs(node)[pair], places, strict=True):
                weights = found[state, node]
                for operation, weight in operations:
                    name, new = OPERATIONS[operation], _product(share, weight)
                    weights[name] = _plus(weights[name], new) if name in weights else new
    return found


def _product(one: Tensor | None, other: Tensor | None) -> Tensor | None:
    return other if one is None else one if other is None else one * other


def _plus(one: Tensor | None, other: Tensor | None) -> Tensor:
    return (1.0 if one is None else one) + (torch.ones(()) if other is None else other)
