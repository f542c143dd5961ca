"""Averaged weights: training ends with the mean of the weights over its last steps (Polyak & Juditsky, 1992; ASGD).

The recipes of language models go over to it once validation no longer improves (AWD-LSTM's trigger, which ENAS and
DARTS take over); here it begins at a fixed share of the steps, so that no training depends on validation text.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from palmette.training.loop import Step, Updates


def averaged(updates: Updates, module: nn.Module, share: float) -> Updates:
    """Return ``updates`` that leave ``module`` with the mean of its parameters after the last ``share`` of steps."""
    means: dict[str, Tensor] = {}

    @torch.no_grad()
    def after_step(step: Step) -> None:
        updates.after_step(step)
        taken = step.number + 1 - round((1 - share) * step.steps)  # this one included
        if taken < 1:
            return
        for name, parameter in module.named_parameters():
            if taken == 1:
                means[name] = parameter.clone()
            else:
                means[name].lerp_(parameter, 1 / taken)
            if step.number + 1 == step.steps:
                parameter.copy_(means[name])

    def restore_tensors(tensors: Mapping[str, Tensor]) -> None:
        updates.restore_tensors(tensors)
        for name, parameter in module.named_parameters():
            if f"mean/{name}" in tensors:
                means[name] = torch.empty_like(parameter).copy_(tensors[f"mean/{name}"])

    return dataclasses.replace(
        updates,
        after_step=after_step,
        tensors=lambda: {**updates.tensors(), **{f"mean/{name}": mean for name, mean in means.items()}},
        restore_tensors=restore_tensors,
    )
