"""Weights drawn from a Dirichlet distribution, DrNAS (Chen et al., 2021): the draws explore, the mean decides."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import elu

SMALLEST = 1e-30


def dirichlet_mean(logits: Tensor) -> Tensor:
    """Return the mean weights ``[options]``, by which an architecture is derived: concentrations over their sum."""
    concentration = elu(logits) + 1
    return concentration / concentration.sum()


def dirichlet(logits: Tensor, generator: torch.Generator) -> Tensor:
    """Return weights ``[options]`` drawn with concentration elu(logits) + 1; gradients pass through the draw.

    Drawn as independent Gamma variables over their sum, whose pathwise derivative torch has. The order of the
    concentrations, and so of their means, is that of the logits.
    """
    concentration = (elu(logits) + 1).to(generator.device)
    gamma = torch._standard_gamma(concentration, generator=generator).clamp_min(SMALLEST)
    return (gamma / gamma.sum()).to(logits)
