"""Leading slices of shared tensors, and an optimiser that leaves the rest of them alone.

Where one tensor of the widest size serves all widths, a training step uses its leading slice only (SPOS, Guo et al.,
2020, section 3.4; sampling.md 2.10). Its gradient is then zero outside the slice, but momentum and decay would still
move the rest. ``leading`` notes which part a backward pass reached, and ``guard`` makes an optimiser update that alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

Extent = tuple[int, ...]
"""Sizes of a leading slice, one per dimension of its tensor."""


def leading(tensor: Tensor, shape: Sequence[int]) -> Tensor:
    """Return ``tensor[:shape[0], :shape[1], ...]``, a view; backward passes through it are noted on a parameter."""
    view = tensor[tuple(map(slice, shape))]
    if isinstance(tensor, nn.Parameter) and view.requires_grad:
        notes = _notes(tensor)
        view.register_hook(lambda gradient: notes.pending.append((tuple(shape), tensor.grad is None)))  # type: ignore[no-untyped-call]
    return view


def times_reached(parameter: Tensor) -> Tensor | None:
    """Return how many backward passes since its gradient was cleared reached each element, int64 of its shape.

    None for a parameter of which no leading slice was taken.
    """
    notes = vars(parameter).get(_NAME)
    if notes is None:
        return None
    times = torch.zeros(parameter.shape, dtype=torch.int64, device=parameter.device)
    for extent in notes.reached:
        times[tuple(map(slice, extent))] += 1
    return times


def guard(optimizer: torch.optim.Optimizer) -> None:
    """Let every later step of the optimiser change only what backward passes reached, in parameters and their state."""
    held: list[tuple[nn.Parameter, Tensor, dict[str, Tensor], list[Extent]]] = []

    def before(*_: Any) -> None:
        for parameter in (p for group in optimizer.param_groups for p in group["params"]):
            notes = vars(parameter).get(_NAME)
            if notes is None or parameter.grad is None or tuple(parameter.shape) in notes.reached:
                continue
            state = {k: v.clone() for k, v in optimizer.state[parameter].items() if _is_like(v, parameter)}
            held.append((parameter, parameter.detach().clone(), state, notes.reached))

    @torch.no_grad()
    def after(*_: Any) -> None:
        for parameter, value, state, extents in held:
            _keep_rest(parameter, value, extents)
            for key, tensor in optimizer.state[parameter].items():
                if _is_like(tensor, parameter):  # state that did not exist before is zero outside
                    _keep_rest(tensor, state.get(key, torch.zeros_like(tensor)), extents)
        held.clear()

    optimizer.register_step_pre_hook(before)
    optimizer.register_step_post_hook(after)


class _Notes:
    """Which leading slices of a parameter gradients came through."""

    def __init__(self) -> None:
        self.pending: list[tuple[Extent, bool]] = []
        """Of the backward pass that runs, and whether the parameter had no gradient before it."""
        self.reached: list[Extent] = []
        """Of the passes that the parameter's gradient consists of."""

    def settle(self, _: Tensor) -> None:
        """Take over the slices of a pass, once its gradient has been added."""
        if any(is_first for _, is_first in self.pending):
            self.reached = []
        self.reached = self.reached + [extent for extent, _ in self.pending]
        self.pending.clear()


_NAME = "palmette_leading"


def _notes(parameter: nn.Parameter) -> _Notes:
    notes: _Notes | None = vars(parameter).get(_NAME)
    if notes is None:
        notes = vars(parameter)[_NAME] = _Notes()
        parameter.register_post_accumulate_grad_hook(notes.settle)  # type: ignore[no-untyped-call]
    return notes


def _is_like(value: object, parameter: Tensor) -> bool:
    return isinstance(value, Tensor) and value.shape == parameter.shape and value.dim() > 0


def _keep_rest(tensor: Tensor, before: Tensor, extents: Sequence[Extent]) -> None:
    """Give ``tensor`` the values of ``before`` outside the leading slices."""
    for extent in extents:
        part = tuple(map(slice, extent))
        before[part] = tensor[part]
    tensor.copy_(before)
