"""Probes: the exact gradient of a gate's weights at the memory of the one option that runs.

The gradient of option j's weight is the product of the output's gradient and of what option j would have given. One
option runs as if it were alone; the others are computed in the backward pass, one at a time, without a graph, and
forgotten (ProxylessNAS, Cai et al., ICLR 2019, section 3.1, equation 4; gradient.md 9.4).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from palmette.choice import Choice, Gate, chosen, current_choice


def probed(options: Sequence[nn.Module] | nn.ModuleList, gate: Gate, x: Tensor) -> Tensor:
    """Return the output of the gate's one active option, whose backward pass gives the gradient of all probed weights.

    BatchNorm of a probed option uses the batch's statistics in training mode, and keeps its running ones as they are.
    """
    (active,) = gate.active
    output: Tensor = options[active](x)
    if not torch.is_grad_enabled() or not gate.weights.requires_grad:
        return output
    device = x.device.type
    autocast = torch.is_autocast_enabled(device), torch.get_autocast_dtype(device)
    call = _Call(options, gate, current_choice(), autocast)
    measured: Tensor = _Probes.apply(output, x.detach(), gate.weights, call)  # type: ignore[no-untyped-call]
    return measured


class _Call:
    """What a backward pass needs to run the options as the forward pass would have."""

    def __init__(
        self,
        options: Sequence[nn.Module] | nn.ModuleList,
        gate: Gate,
        choice: Choice | None,
        autocast: tuple[bool, torch.dtype],
    ) -> None:
        self.options = options
        self.gate = gate
        self.choice = choice
        self.autocast = autocast

    def output(self, option: int, x: Tensor) -> Tensor:
        enabled, dtype = self.autocast
        outer = nullcontext() if self.choice is None else chosen(self.choice)
        with outer, torch.autocast(x.device.type, dtype, enabled=enabled), _statistics_kept(self.options[option]):
            result: Tensor = self.options[option](x)
        return result


class _Probes(torch.autograd.Function):
    """Identity of the output; its backward pass computes the gradient of the weights."""

    @staticmethod
    def forward(ctx: Any, output: Tensor, x: Tensor, weights: Tensor, call: _Call) -> Tensor:
        ctx.save_for_backward(output, x)  # both are kept by neighbouring layers anyway
        ctx.call, ctx.like = call, weights
        return output.view_as(output)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, Tensor, None]:
        output, x = ctx.saved_tensors
        by_option = torch.zeros_like(ctx.like)
        with torch.no_grad():
            for option in ctx.call.gate.probed:
                value = output if option in ctx.call.gate.active else ctx.call.output(option, x)
                by_option[option] = (gradient * value).sum(dtype=by_option.dtype)
        return gradient, None, by_option, None


@contextmanager
def _statistics_kept(module: nn.Module) -> Iterator[None]:
    """Let BatchNorm layers at or below ``module`` that are in training mode leave their running statistics alone."""
    norms = [m for m in module.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm) and m.training]
    tracked = [norm.track_running_stats for norm in norms]
    for norm in norms:
        norm.track_running_stats = False
    try:
        yield
    finally:
        for norm, before in zip(norms, tracked, strict=True):
            norm.track_running_stats = before
