"""Recurrent cells: a small graph of nodes at every time step, in the form of ENAS and of DARTS's recurrent cell.

Node 0 reads the input and the hidden state; every later node reads one earlier node. With highway gating (Zilly et
al., 2017; ENAS section 3.1, DARTS section 3.1.2) a node that reads ``s`` gives ``s + c * (f(s W_h) - s)`` with the gate
``c = sigmoid(s W_c)``; without (ENAS section 2.1) it gives ``f(s W)``. The new hidden state, which is also the output,
is the mean of some nodes: of all that nobody reads in ENAS, of all but node 0 in DARTS.

Letters: ``T`` time steps, ``B`` streams, ``E`` inputs, ``H`` hidden units, ``W`` is ``2H`` with highway, else ``H``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from palmette.blocks.fused_cell import CellGraph, fused_cell, scale_within
from palmette.errors import ArchitectureError

ACTIVATIONS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "tanh": torch.tanh,
    "relu": torch.relu,
    "identity": lambda x: x,
    "sigmoid": torch.sigmoid,
}
"""In the order of ENAS's ids, as the paper lists them."""


@dataclass(frozen=True)
class Cell:
    """Which node reads which, and what it applies.

    Raises:
        ArchitectureError: a node that does not read an earlier one, or an activation that is not known.
    """

    first: str
    """Activation of node 0."""
    nodes: tuple[tuple[int, str], ...]
    """Of node 1, 2, ...: the node it reads and its activation."""
    averages_all: bool = False
    """The output averages all nodes but node 0 (DARTS), not only those that no other reads (ENAS)."""
    limit: float | None = None
    """The output is scaled back to this root mean square over its units where it exceeds it: ReLU and identity can
    grow with every time step, above all on weights that were learned for tanh. ENAS's paper has batch normalisation
    there while searching."""

    def __post_init__(self) -> None:
        for node, (previous, activation) in enumerate(self.nodes, start=1):
            if not 0 <= previous < node:
                raise ArchitectureError(f"cell: node {node} reads node {previous}; allowed are 0 to {node - 1}")
            if activation not in ACTIVATIONS:
                raise ArchitectureError(f"cell: activation {activation!r}; allowed are {', '.join(ACTIVATIONS)}")
        if self.first not in ACTIVATIONS:
            raise ArchitectureError(f"cell: activation {self.first!r}; allowed are {', '.join(ACTIVATIONS)}")

    @property
    def activations(self) -> tuple[str, ...]:
        """Of all nodes, node 0 first."""
        return (self.first, *(activation for _, activation in self.nodes))

    @property
    def averaged(self) -> tuple[int, ...]:
        """The nodes whose mean is the output."""
        if self.averages_all and self.nodes:
            return tuple(range(1, len(self.nodes) + 1))
        read = {previous for previous, _ in self.nodes}
        return tuple(node for node in range(len(self.nodes) + 1) if node not in read)


class RecurrentLayer(nn.Module):
    """One cell run over time.

    Args:
        cell: the graph.
        inputs: features of the input.
        hidden: units.
        highway: whether nodes are gated.
        dropout: drop rate of the hidden states that nodes read, one mask for all nodes and steps of a sequence
            (Gal & Ghahramani, 2016), as in DARTS's recurrent cell.
        init_range: weights are uniform between plus and minus this.
    """

    def __init__(
        self,
        cell: Cell,
        inputs: int,
        hidden: int,
        *,
        highway: bool = True,
        dropout: float = 0.0,
        init_range: float = 0.04,
    ) -> None:
        super().__init__()
        self.cell = cell
        self.dropout = dropout
        width = 2 * hidden if highway else hidden
        shapes = [(inputs, width), (hidden, width), *[(hidden, width)] * len(cell.nodes)]
        weights = [nn.Parameter(torch.empty(shape).uniform_(-init_range, init_range)) for shape in shapes]
        self.input_weight, self.hidden_weight = weights[:2]
        self.node_weights = nn.ParameterList(weights[2:])

    @staticmethod
    def sharing(cell: Cell, weights: Sequence[nn.Parameter], *, dropout: float) -> RecurrentLayer:
        """Return a layer that works on the given parameters: of the input, of the hidden state, of node 1, 2, ..."""
        layer = RecurrentLayer.__new__(RecurrentLayer)
        nn.Module.__init__(layer)
        layer.cell, layer.dropout = cell, dropout
        layer.input_weight, layer.hidden_weight = weights[:2]
        layer.node_weights = nn.ParameterList(weights[2:])
        return layer

    @property
    def is_gated(self) -> bool:
        """Say whether nodes are gated."""
        return self.hidden_weight.shape[1] != self.hidden_weight.shape[0]

    def forward(self, x: Tensor, hidden: Tensor | None = None) -> Tensor:
        """Return the hidden state after every step, ``[T, B, H]``, for inputs ``[T, B, E]``."""
        first = x.new_zeros(x.shape[1], self.hidden_weight.shape[0]) if hidden is None else hidden
        mask = locked_mask(first, self.dropout) if self.training else None
        return run_cell(self.cell, x, first, [self.input_weight, self.hidden_weight, *self.node_weights], mask=mask)


def run_cell(cell: Cell, x: Tensor, hidden: Tensor, weights: Sequence[Tensor], *, mask: Tensor | None) -> Tensor:
    """Return the hidden state after every step, ``[T, B, H]``.

    Args:
        cell: the graph.
        x: inputs ``[T, B, E]``.
        hidden: the state before the first step, ``[B, H]``.
        weights: of the input ``[E, W]``, of the hidden state ``[H, W]``, and of node 1, 2, ... ``[H, W]``; the gate's
            half comes first.
        mask: factors ``[B, H]`` of every hidden state that a node multiplies by its weights.
    """
    if x.device.type == "meta":  # nothing to be fast at: costs are counted there
        return plain_cell(cell, x, hidden, weights, mask=mask)
    graph = CellGraph(cell.activations, tuple(previous for previous, _ in cell.nodes), cell.averaged, cell.limit)
    return fused_cell(graph, x, hidden, mask, weights)


def plain_cell(cell: Cell, x: Tensor, hidden: Tensor, weights: Sequence[Tensor], *, mask: Tensor | None) -> Tensor:
    """Return the same as ``run_cell``, by an ordinary loop: what a cell is, and what the fast way is tested against."""
    outputs = []
    is_gated = weights[1].shape[1] != weights[1].shape[0]
    for x_t in x:
        product = x_t @ weights[0] + _masked(hidden, mask) @ weights[1]
        hidden = next_state(cell, product, hidden, weights[2:], is_gated=is_gated, mask=mask)
        outputs.append(hidden)
    return torch.stack(outputs)


def next_state(
    cell: Cell,
    product: Tensor,
    hidden: Tensor,
    weights: Sequence[Tensor],
    *,
    is_gated: bool,
    mask: Tensor | None = None,
) -> Tensor:
    """Return the state after one step, ``[B, H]``; nothing here asks for the shape of a tensor, so it can be traced.

    Args:
        cell: the graph.
        product: of node 0, ``[B, W]``.
        hidden: the state before, ``[B, H]``.
        weights: of node 1, 2, ..., ``[H, W]``.
        is_gated: whether W is 2H.
        mask: dropout factors ``[B, H]``.
    """
    states = [gated(product, hidden, cell.first, is_gated=is_gated)]
    for (previous, activation), weight in zip(cell.nodes, weights, strict=True):
        read = states[previous]
        states.append(gated(_masked(read, mask) @ weight, read, activation, is_gated=is_gated))
    averaged = [states[node] for node in cell.averaged]
    state = torch.stack(averaged).mean(0) if len(averaged) > 1 else averaged[0]
    return state if cell.limit is None else state * scale_within(state, cell.limit)


def gated(product: Tensor, read: Tensor, activation: str, *, is_gated: bool) -> Tensor:
    """Return a node's state ``[..., H]`` from its product ``[..., W]`` and the state it read ``[..., H]``."""
    if not is_gated:
        return ACTIVATIONS[activation](product)
    halves = product.chunk(2, dim=-1)
    return torch.lerp(read, ACTIVATIONS[activation](halves[1]), halves[0].sigmoid())


def _masked(state: Tensor, mask: Tensor | None) -> Tensor:
    return state if mask is None else state * mask


def locked_mask(like: Tensor, rate: float) -> Tensor | None:
    """Return dropout factors in the shape of ``like``, to be used at every time step; None where nothing drops."""
    return torch.empty_like(like).bernoulli_(1 - rate).div_(1 - rate) if rate else None
