"""The fast way to run a recurrent cell over time, forward and backward written out by hand.

An ordinary loop multiplies small matrices everywhere. Here the products of the inputs are one product for all time
steps, and so is, in the backward pass, every gradient of a weight: the loop over time leaves only what must wait for
the step before. Gates are computed in place of their products, and gradients of products in place of the gates: new
memory costs more time than any activation. So one backward pass can follow a forward pass, and a second one is refused.
Results equal an ordinary loop's up to rounding (``tests/blocks/test_recurrent_cell.py``).

Letters: ``N`` nodes, ``T`` time steps, ``B`` streams, ``E`` inputs, ``H`` hidden units, ``W`` is ``2H`` or ``H``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


@dataclass(frozen=True)
class CellGraph:
    """What a cell computes."""

    activations: tuple[str, ...]
    """Of node 0, 1, ..."""
    previous: tuple[int, ...]
    """Which node each of node 1, 2, ... reads."""
    averaged: tuple[int, ...]
    """The nodes whose mean is the new hidden state."""
    limit: float | None
    """Root mean square over units that the new hidden state is scaled back to if it exceeds it."""


def fused_cell(graph: CellGraph, x: Tensor, hidden: Tensor, mask: Tensor | None, weights: Sequence[Tensor]) -> Tensor:
    """Return the hidden state after every step, ``[T, B, H]``; ``run_cell`` says what the other arguments are.

    Args:
        graph: the cell.
        x: inputs ``[T, B, E]``.
        hidden: the state before the first step, ``[B, H]``.
        mask: dropout factors ``[B, H]``.
        weights: of the input, the hidden state and node 1, 2, ...
    """
    outputs: Tensor = _FusedCell.apply(graph, mask, x, hidden, *weights)  # type: ignore[no-untyped-call]
    return outputs


class _FusedCell(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, graph: CellGraph, mask: Tensor | None, x: Tensor, hidden: Tensor, *weights: Tensor) -> Tensor:
        steps, streams, _ = x.shape
        nodes, width = len(graph.activations), weights[0].shape[1]
        units = hidden.shape[1]
        states = x.new_empty(nodes, steps, streams, units)
        gates = x.new_empty(nodes, steps, streams, width)
        outputs = x.new_empty(steps, streams, units)
        scales = x.new_ones(steps, streams, 1)
        torch.mm(x.reshape(steps * streams, -1), weights[0], out=gates[0].view(steps * streams, width))
        for t in range(steps):
            before = hidden if t == 0 else outputs[t - 1]
            gates[0, t].addmm_(_masked(before, mask), weights[1])
            _apply(graph.activations[0], gates[0, t], before, states[0, t])
            for node, previous in enumerate(graph.previous, start=1):
                read = states[previous, t]
                torch.mm(_masked(read, mask), weights[node + 1], out=gates[node, t])
                _apply(graph.activations[node], gates[node, t], read, states[node, t])
            _mean([states[node, t] for node in graph.averaged], outputs[t])
            if graph.limit is not None:
                scales[t] = scale_within(outputs[t], graph.limit)
                outputs[t].mul_(scales[t])
        ctx.graph, ctx.mask = graph, mask
        ctx.save_for_backward(x, hidden, states, gates, outputs, scales, *weights)
        return outputs

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        graph, mask = ctx.graph, ctx.mask
        x, hidden, states, gates, outputs, scales, *weights = ctx.saved_tensors
        run = _Run(graph, mask, hidden, states, gates, outputs, scales)
        slopes, of_hidden = _back_through_time(run, gradient, weights)
        rows = slopes.shape[1] * slopes.shape[2]
        flat = slopes.view(len(slopes), rows, -1)
        of_x = (flat[0] @ weights[0].t()).view(x.shape) if ctx.needs_input_grad[2] else None
        before = torch.cat([hidden[None], outputs[:-1]])
        read = [before, *(states[previous] for previous in graph.previous)]
        of_nodes = [_masked(s, mask).view(rows, -1).t() @ f for s, f in zip(read, flat, strict=True)]
        return (None, None, of_x, of_hidden, x.reshape(rows, -1).t() @ flat[0], *of_nodes)


@dataclass(frozen=True)
class _Run:
    """What the forward pass leaves."""

    graph: CellGraph
    mask: Tensor | None
    hidden: Tensor
    states: Tensor
    """``[N, T, B, H]``."""
    gates: Tensor
    """Gates and candidates, ``[N, T, B, W]``."""
    outputs: Tensor
    """``[T, B, H]``."""
    scales: Tensor
    """What outputs were scaled by to keep within the limit, ``[T, B, 1]``."""

    def read(self, node: int, t: int) -> Tensor:
        """Return the state that a node reads at a time step, ``[B, H]``."""
        if node:
            return self.states[self.graph.previous[node - 1], t]
        return self.outputs[t - 1] if t else self.hidden


def _back_through_time(run: _Run, gradient: Tensor, weights: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Return the gradients of all products, ``[N, T, B, W]``, in place of the gates, and that of the first state."""
    graph, gates = run.graph, run.gates
    carried = torch.zeros_like(run.hidden)
    transposed = [weight.t() for weight in weights]
    for t in reversed(range(len(gradient))):
        of_states: list[Tensor | None] = [None] * len(gates)
        share = _unscaled(gradient[t] + carried, run, t).div_(len(graph.averaged))
        for node in graph.averaged:
            of_states[node] = share
        for node in range(len(graph.previous), -1, -1):
            own = of_states[node]
            assert own is not None  # a node that nobody reads is averaged
            passed = _slope(graph.activations[node], own, gates[node, t], run.read(node, t))
            through = gates[node, t] @ transposed[node + 1]
            if run.mask is not None:
                through.mul_(run.mask)
            total = through if passed is None else through.add_(passed)
            if node == 0:
                carried = total
            else:
                former = of_states[graph.previous[node - 1]]
                of_states[graph.previous[node - 1]] = total if former is None else total.add_(former)
    return gates, carried


def scale_within(state: Tensor, limit: float) -> Tensor:
    """Return the factor that brings a state's root mean square over units down to the limit, at most 1, ``[B, 1]``."""
    return limit / state.square().mean(-1, keepdim=True).sqrt().clamp(min=limit)


def _unscaled(gradient: Tensor, run: _Run, t: int) -> Tensor:
    """Return the gradient before outputs were scaled; along an output of fixed length there is none."""
    if run.graph.limit is None:
        return gradient
    out, scale = run.outputs[t], run.scales[t]
    along = (gradient * out).sum(-1, keepdim=True) / out.square().sum(-1, keepdim=True)
    return scale * torch.where(scale < 1, gradient - along * out, gradient)


def _masked(state: Tensor, mask: Tensor | None) -> Tensor:
    return state if mask is None else state * mask


def _mean(states: Sequence[Tensor], out: Tensor) -> None:
    if len(states) == 1:
        out.copy_(states[0])
        return
    torch.add(states[0], states[1], out=out)
    for state in states[2:]:
        out.add_(state)
    out.div_(len(states))


def _apply(activation: str, product: Tensor, read: Tensor, out: Tensor) -> None:
    """Turn a product ``[B, W]`` into gate and candidate in place, and write the node's state to ``out`` ``[B, H]``."""
    units = out.shape[1]
    candidate = product[:, -units:]
    match activation:
        case "tanh":
            candidate.tanh_()
        case "relu":
            candidate.relu_()
        case "sigmoid":
            candidate.sigmoid_()
    if product.shape[1] == units:
        out.copy_(candidate)
    else:
        torch.lerp(read, candidate, product[:, :units].sigmoid_(), out=out)


def _slope(activation: str, gradient: Tensor, gates: Tensor, read: Tensor) -> Tensor | None:
    """Turn gate and candidate into the gradient of their product, in place.

    Return what goes past the product to the state read, if there is a gate.
    """
    units = gradient.shape[1]
    candidate = gates[:, -units:]
    if gates.shape[1] == units:
        candidate.copy_(_activation_slope(activation, gradient, candidate))
        return None
    gate = gates[:, :units]
    opened = gradient * gate
    passed = gradient - opened
    gate.mul_(passed).mul_(candidate - read)
    candidate.copy_(_activation_slope(activation, opened, candidate))
    return passed


def _activation_slope(activation: str, gradient: Tensor, value: Tensor) -> Tensor:
    """Return the gradient before an activation, from that behind it and the activation's value."""
    match activation:
        case "tanh":
            return torch.ops.aten.tanh_backward(gradient, value)  # type: ignore[no-any-return]
        case "relu":
            return torch.ops.aten.threshold_backward(gradient, value, 0)  # type: ignore[no-any-return]
        case "sigmoid":
            return torch.ops.aten.sigmoid_backward(gradient, value)  # type: ignore[no-any-return]
        case _:
            return gradient
