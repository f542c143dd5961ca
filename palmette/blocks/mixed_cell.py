"""Mixed recurrent cells: every node reads all earlier nodes through all activations, weighted (DARTS section 3.1.2).

With one weight of one per node, and zeros elsewhere, it is the single cell of ``recurrent_cell.py``.

Letters: ``T`` time steps, ``B`` streams, ``E`` inputs, ``H`` hidden units, ``W`` is ``2H`` or ``H``, ``j`` the nodes
that a node can read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import batch_norm

from palmette.blocks.fused_cell import scale_within
from palmette.blocks.recurrent_cell import ACTIVATIONS, gated

ORDER = ("tanh", "relu", "sigmoid", "identity")
"""DARTS's; of the weights of a node."""


@dataclass(frozen=True)
class MixedNode:
    """A node that reads every earlier one."""

    weights: Tensor
    """Of each node read and each activation of ``ORDER``, ``[j, 4]``; what is missing to 1 is the weight of none."""
    matrices: Tensor
    """One for all nodes read, ``[H, W]``, or one for each, ``[j, H, W]``."""


@dataclass(frozen=True)
class MixedCell:
    """A cell with all its options."""

    first: Tensor
    """Weights of node 0's activations, in the order of ``ACTIVATIONS``, ``[4]``."""
    nodes: Sequence[MixedNode]
    averages_all: bool
    """Of the output, as in ``Cell``; else a node counts as far as no later node reads it."""
    batch_norm: bool
    """Normalise every state by the statistics of its batch, without scale and shift (DARTS, while searching)."""
    limit: float | None = None
    """Of the output, as in ``Cell``."""

    def __call__(self, x: Tensor, hidden: Tensor, weights: tuple[Tensor, Tensor], *, mask: Tensor | None) -> Tensor:
        """Return the hidden state after every step, ``[T, B, H]``.

        Args:
            x: inputs ``[T, B, E]``.
            hidden: the state before the first step, ``[B, H]``.
            weights: of the input ``[E, W]`` and of the hidden state ``[H, W]``.
            mask: factors ``[B, H]`` of every hidden state that is multiplied by weights.
        """
        outputs, shares = [], self._shares()
        products = x @ weights[0]
        for product in products:
            read = hidden if mask is None else hidden * mask
            states = self._normal(self._first(product + read @ weights[1], hidden))[None]
            for node in self.nodes:
                states = torch.cat([states, self._normal(_node(node, states, mask))[None]])
            hidden = torch.einsum("n,nbh->bh", shares, states)
            if self.limit is not None:
                hidden = hidden * scale_within(hidden, self.limit)
            outputs.append(hidden)
        return torch.stack(outputs)

    def _first(self, product: Tensor, hidden: Tensor) -> Tensor:
        is_gated = product.shape[-1] != hidden.shape[-1]
        candidates = [gated(product, hidden, name, is_gated=is_gated) for name in ACTIVATIONS]
        return torch.stack([weight * each for weight, each in zip(self.first, candidates, strict=True)]).sum(0)

    def _shares(self) -> Tensor:
        """Return how much each node counts in the output, ``[N]``; they add up to 1."""
        count = len(self.nodes) + 1
        if self.averages_all:
            return torch.cat([self.first.new_zeros(1), self.first.new_full((count - 1,), 1 / (count - 1))])
        unread = [self.first.new_ones(())] * count
        for node in self.nodes:
            for j, weight in enumerate(node.weights.sum(1)):
                unread[j] = unread[j] * (1 - weight)
        together = torch.stack(unread)
        return together / together.sum()

    def _normal(self, state: Tensor) -> Tensor:
        return batch_norm(state, None, None, training=True) if self.batch_norm and len(state) > 1 else state


def _node(node: MixedNode, states: Tensor, mask: Tensor | None) -> Tensor:
    """Return the state of a node, ``[B, H]``, from those of all earlier ones, ``[j, B, H]``."""
    units = states.shape[-1]
    product = (states if mask is None else states * mask) @ node.matrices
    candidate = product[..., -units:]
    mixed = sum(
        weight[:, None, None] * ACTIVATIONS[name](candidate)
        for weight, name in zip(node.weights.t(), ORDER, strict=True)
    )
    assert isinstance(mixed, Tensor)
    if product.shape[-1] == units:
        return mixed.sum(0)
    gate = product[..., :units].sigmoid()
    kept = node.weights.sum(1)[:, None, None] * (1 - gate) * states
    return (kept + gate * mixed).sum(0)
