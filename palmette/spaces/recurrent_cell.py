"""Recurrent cells as a space of language models: ENAS's and DARTS's.

ENAS (Pham et al., 2018, section 2.1): N nodes; node 0 chooses an activation, every later node an earlier node to read
and an activation; one matrix for every pair of nodes, whatever the activation. DARTS (Liu et al., 2019, section 3.1.2):
node 0 is tanh, then 8 nodes; one matrix per node, whatever it reads; the output averages all 8.

Sizes. Node i of N has i to read, so there are 4^N (N-1)! cells: 6.70e14 for N = 12. The ENAS paper writes 4^N N!
(8.04e15), which counts one choice too many per node, as if the cell's input could be read as well.

Weight vectors of a relaxed search stand on edges, as DARTS has them: ``edge_i_j`` weighs none and the four activations
where node i reads node j. Afterwards every node keeps the edge whose best activation weighs most.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn

from palmette.architecture import Architecture, Value
from palmette.blocks.language_model import Dropout, LanguageModel
from palmette.blocks.mixed_cell import MixedCell, MixedNode
from palmette.blocks.recurrent_cell import ACTIVATIONS, Cell, RecurrentLayer, locked_mask, run_cell
from palmette.choice import Gate, has_pick, picked
from palmette.decision import Categorical, Condition, Decision, Node
from palmette.errors import ArchitectureError, PalmetteError
from palmette.graphs import Graph, Read
from palmette.graphs import Node as Drawn
from palmette.mixtures import Mixture, Weights, largest
from palmette.slots import Alternative, Slot
from palmette.space import Space

NONE = "none"
EDGE_OPTIONS = (NONE, "tanh", "relu", "sigmoid", "identity")
"""Of a weight vector, in DARTS's order, which decides ties."""


@dataclass(frozen=True, kw_only=True)
class CellSpace:
    """What a space of recurrent cells leaves open, and what it fixes."""

    nodes: int = 12
    """Node 0 included."""
    hidden: int = 750
    """Units, of the embedding too, for the weights are tied."""
    first: str | None = None
    """Activation of node 0; None leaves it open."""
    weights: Literal["edge", "node"] = "edge"
    """One matrix per pair of nodes (ENAS), or one per node (DARTS)."""
    averages_all: bool = False
    """The output averages all nodes but node 0 (DARTS), or those that no other reads (ENAS)."""
    highway: bool = True
    """Gated nodes."""
    batch_norm: bool = False
    """Normalise the states of a mixture, without scale, by each batch's statistics (DARTS's search only)."""
    limit: float | None = None
    """Root mean square over units that hidden states are kept within (``Cell``)."""
    dropout: Dropout = field(default_factory=Dropout)
    init_range: float = 0.04

    def __post_init__(self) -> None:
        if self.nodes < 2 or self.hidden < 1:
            raise PalmetteError(
                f"recurrent cells: nodes = {self.nodes}, hidden = {self.hidden}; needed are 2 nodes and 1 unit"
            )


INPUTS = "word, hidden state"
"""What node 0 reads, in drawings."""
SMALL = CellSpace(nodes=6, hidden=64, limit=1.0, dropout=Dropout(inputs=0.2, outputs=0.2), init_range=0.1)
"""For minutes on a CPU; so few units need larger initial weights, as in the released code of ENAS."""
LARGE_DROPOUT = Dropout(embedding=0.2, inputs=0.75, hidden=0.25, outputs=0.75)
"""DARTS's in search, and nearly ENAS's (enas.md 2.4)."""
DARTS_SEARCHED = CellSpace(nodes=9, hidden=300, dropout=LARGE_DROPOUT)
DARTS_RETRAINED = replace(DARTS_SEARCHED, hidden=850, dropout=replace(LARGE_DROPOUT, words=0.1))
"""On Penn Treebank (Liu et al., 2019, appendices A.1.2 and A.2.2; gradient.md 4.3)."""


def enas_cells(words: int, options: CellSpace | None = None, *, name: str = "enas-recurrent") -> Space:
    """Return ENAS's space for a vocabulary of ``words``; by default 12 nodes."""
    return recurrent_cells(words, options or CellSpace(dropout=LARGE_DROPOUT), name=name)


def darts_cells(
    words: int, options: CellSpace | None = None, *, name: str = "darts-recurrent", retrained: Space | None = None
) -> Space:
    """Return DARTS's space for a vocabulary of ``words``; of ``options``, what makes it DARTS's is set here.

    By default it is searched with 300 units and retrained with 850; with options of your own, both have their sizes.
    """
    if options is None:
        options, retrained = DARTS_SEARCHED, darts_cells(words, DARTS_RETRAINED, name=name)
    darts = replace(options, first="tanh", weights="node", averages_all=True, batch_norm=True)
    return recurrent_cells(words, darts, name=name, retrained=retrained)


def recurrent_cells(words: int, options: CellSpace, *, name: str, retrained: Space | None = None) -> Space:
    """Return the space of language models whose cell is open in the way that ``options`` say.

    Args:
        words: size of the vocabulary.
        options: of the cell, its sizes and its dropout.
        name: of the space.
        retrained: the space of the language models that are trained in the end, where they are others.
    """

    def network() -> nn.Module:
        slot = CellSlot(options)
        return LanguageModel(words, options.hidden, slot, dropout=options.dropout, init_range=options.init_range)

    edges = {_edge(i, j): EDGE_OPTIONS for i in range(1, options.nodes) for j in range(i)}
    covered = [d.name for d in CellSlot(options).decisions() if d.name != "op0"]
    mixture = Mixture(tuple(covered), edges, partial(strongest_edges, options.nodes))
    return Space(network, name=name, mixtures=[mixture], nodes=_graph(options), stand_alone=retrained)


def strongest_edges(nodes: int, weights: Weights) -> Mapping[str, Value]:
    """Return the values of a cell: per node the edge whose best activation weighs most, without none (DARTS 2.4)."""
    values: dict[str, Value] = {}
    for node in range(1, nodes):
        known = [weights[_edge(node, j)][1:] for j in range(node)]
        source = largest([max(row) for row in known])
        if node > 1:
            values[f"input{node}"] = str(source)
        values[f"op{node}"] = EDGE_OPTIONS[1 + largest(known[source])]
    return values


def read_cell(text: str, *, order: Sequence[str], first: str | None = None) -> Cell:
    """Return the cell of a string as ENAS's code writes it: an activation, then pairs of previous node and activation.

    Args:
        text: numbers separated by spaces.
        order: the activations that the ids stand for.
        first: activation of node 0 where the string leaves it out; its pairs then follow node 0.
    """
    numbers = [int(word) for word in text.split()]
    if first is None:
        first, numbers = order[numbers[0]], numbers[1:]
    pairs = zip(numbers[::2], numbers[1::2], strict=True)
    return Cell(first, tuple((previous, order[activation]) for previous, activation in pairs))


def as_values(cell: Cell) -> dict[str, Value]:
    """Return the values of all decisions of a cell, node 0's activation among them."""
    values: dict[str, Value] = {"op0": cell.first}
    for node, (previous, activation) in enumerate(cell.nodes, start=1):
        if node > 1:
            values[f"input{node}"] = str(previous)
        values[f"op{node}"] = activation
    return values


def cell_graph(cell: Cell) -> Graph:
    """Return the cell as it is drawn; its output is the mean of the nodes that lead there."""
    sources = [INPUTS, *(f"node {previous}" for previous, _ in cell.nodes)]
    reads = [Read(source, activation) for source, activation in zip(sources, cell.activations, strict=True)]
    nodes = tuple(Drawn(f"node {i}", (read,)) for i, read in enumerate(reads))
    return Graph("recurrent cell", (INPUTS,), nodes, tuple(f"node {i}" for i in cell.averaged), tuple(ACTIVATIONS))


class CellSlot(Slot):
    """The recurrent layer, its cell open; it holds the matrices of all cells."""

    def __init__(self, options: CellSpace) -> None:
        super().__init__()
        self.cells = options
        self.input_weight: nn.Parameter | None = None
        self.hidden_weight: nn.Parameter | None = None
        self.node_weights: nn.ParameterList | None = None

    def decisions(self) -> Sequence[Decision]:
        found = [Categorical("op0", tuple(ACTIVATIONS))] if self.cells.first is None else []
        for node in range(1, self.cells.nodes):
            if node > 1:  # node 1 has only node 0 to read
                found.append(Categorical(f"input{node}", tuple(map(str, range(node)))))
            found.append(Categorical(f"op{node}", tuple(ACTIVATIONS)))
        return found

    def nested(self) -> Iterator[tuple[Condition, nn.Module]]:
        """Yield nothing: options hold no further slots."""
        return iter(())

    def alternatives(self) -> Iterator[Alternative]:
        """Yield the products of node 0 and 1, which every cell has, and that of each later edge; they are the costs."""
        hidden, width = self.cells.hidden, self._width
        yield Alternative((), partial(_Products, 3, hidden, width))
        for node in range(2, self.cells.nodes):
            for source in range(node):
                yield Alternative(((f"input{node}", str(source)),), partial(_Products, 1, hidden, width))

    def graphs(self, architecture: Architecture) -> Iterator[Graph]:
        yield cell_graph(self.cell(architecture))

    def build(self, architecture: Architecture) -> nn.Module:
        options = self.cells
        return RecurrentLayer(
            self.cell(architecture),
            options.hidden,
            options.hidden,
            highway=options.highway,
            dropout=options.dropout.hidden,
            init_range=options.init_range,
        )

    def fill(self) -> None:
        nodes, hidden = self.cells.nodes, self.cells.hidden
        matrices = nodes - 1 if self.cells.weights == "node" else nodes * (nodes - 1) // 2
        made = [self._weight(hidden) for _ in range(2 + matrices)]
        self.input_weight, self.hidden_weight = made[:2]
        self.node_weights = nn.ParameterList(made[2:])

    def active(self, architecture: Architecture) -> nn.Module:
        cell = self.cell(architecture)
        return RecurrentLayer.sharing(cell, self._weights(cell), dropout=self.cells.dropout.hidden)

    def cell(self, architecture: Architecture) -> Cell:
        """Return the graph that an architecture of the space describes."""
        names = range(1, self.cells.nodes)
        sources = [int(str(architecture[f"input{node}"])) if node > 1 else 0 for node in names]
        nodes = tuple((source, str(architecture[f"op{node}"])) for source, node in zip(sources, names, strict=True))
        first = self.cells.first or str(architecture["op0"])
        return Cell(first, nodes, self.cells.averages_all, self.cells.limit)

    def forward(self, x: Tensor, hidden: Tensor | None = None) -> Tensor:
        if self.node_weights is None:
            raise ArchitectureError("recurrent cell: not filled; call space.supernet() or space.build(architecture)")
        start = x.new_zeros(x.shape[1], self.cells.hidden) if hidden is None else hidden
        mask = locked_mask(start, self.cells.dropout.hidden) if self.training else None
        if has_pick(_edge(1, 0)):
            return self._mixed(x)(x, start, self._first_weights, mask=mask)
        cell = self._picked_cell()
        return run_cell(cell, x, start, self._weights(cell), mask=mask)

    def _picked_cell(self) -> Cell:
        """Return the cell of a single-path choice."""
        names = list(ACTIVATIONS)
        sources = [_index(f"input{node}") if node > 1 else 0 for node in range(1, self.cells.nodes)]
        operations = [names[_index(f"op{node}")] for node in range(1, self.cells.nodes)]
        first = self.cells.first or names[_index("op0")]
        nodes = tuple(zip(sources, operations, strict=True))
        return Cell(first, nodes, self.cells.averages_all, self.cells.limit)

    def _mixed(self, like: Tensor) -> MixedCell:
        """Return the cell of a choice of weight vectors on edges."""
        names = list(ACTIVATIONS)
        pick = picked("op0") if self.cells.first is None else names.index(self.cells.first)
        first = pick.weights if isinstance(pick, Gate) else pick
        if isinstance(first, int):
            first = torch.eye(len(names)).to(like)[first]
        if not isinstance(first, Tensor):
            raise ArchitectureError(f"decision 'op0': give an index or {len(names)} weights, of {', '.join(names)}")
        nodes = []
        for node in range(1, self.cells.nodes):
            weights = torch.stack([_vector(_edge(node, j)) for j in range(node)])[:, 1:]  # none is the rest
            matrices: list[Tensor] = [self._matrix(node, j) for j in range(node)]
            by_node = self.cells.weights == "node"
            nodes.append(MixedNode(weights, matrices[0] if by_node else torch.stack(matrices)))
        return MixedCell(first, nodes, self.cells.averages_all, self.cells.batch_norm, self.cells.limit)

    def _weights(self, cell: Cell) -> list[nn.Parameter]:
        matrices = [self._matrix(node, source) for node, (source, _) in enumerate(cell.nodes, start=1)]
        return [*self._first_weights, *matrices]

    def _matrix(self, node: int, source: int) -> nn.Parameter:
        assert self.node_weights is not None
        by_node = self.cells.weights == "node"
        matrix: nn.Parameter = self.node_weights[node - 1 if by_node else node * (node - 1) // 2 + source]
        return matrix

    @property
    def _first_weights(self) -> tuple[nn.Parameter, nn.Parameter]:
        assert self.input_weight is not None
        assert self.hidden_weight is not None
        return self.input_weight, self.hidden_weight

    @property
    def _width(self) -> int:
        return 2 * self.cells.hidden if self.cells.highway else self.cells.hidden

    def _weight(self, rows: int) -> nn.Parameter:
        limit = self.cells.init_range
        return nn.Parameter(torch.empty(rows, self._width).uniform_(-limit, limit))


class _Products(nn.Module):
    """As many products of a state ``[..., H]`` with a matrix as an option adds to a cell; for counting its cost."""

    def __init__(self, count: int, hidden: int, width: int) -> None:
        super().__init__()
        self.products = nn.ModuleList(nn.Linear(hidden, width, bias=False) for _ in range(count))

    def forward(self, x: Tensor) -> Tensor:
        for product in self.products:
            product(x)
        return x


def _graph(options: CellSpace) -> list[Node]:
    """Return the nodes by the decisions that describe them, as controllers and drawings take them."""
    first = Node("0", ("op0",) if options.first is None else ())
    later = [Node(str(i), (f"input{i}", f"op{i}") if i > 1 else (f"op{i}",)) for i in range(1, options.nodes)]
    return [first, *later]


def _edge(node: int, source: int) -> str:
    return f"edge_{node}_{source}"


def _index(name: str) -> int:
    pick = picked(name)
    if not isinstance(pick, int):
        raise ArchitectureError(
            f"decision {name!r}: a cell takes one index per decision, or weight vectors on its edges "
            "(space.mixtures.options() lists them)"
        )
    return pick


def _vector(name: str) -> Tensor:
    pick = picked(name)
    weights = pick.weights if isinstance(pick, Gate) else pick
    if not isinstance(weights, Tensor) or weights.shape != (len(EDGE_OPTIONS),):
        raise ArchitectureError(f"{name!r}: give {len(EDGE_OPTIONS)} weights, of {', '.join(EDGE_OPTIONS)}")
    return weights
