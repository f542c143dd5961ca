"""Independent weights of FairDARTS (Chu et al., 2020): options do not compete, each is kept or dropped by itself."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor


def sigmoid(logits: Tensor, generator: torch.Generator) -> Tensor:
    """Return weights ``[options]`` between 0 and 1 that need not sum to 1. Nothing is drawn."""
    return logits.sigmoid()


def zero_one_loss(logits: Iterable[Tensor]) -> Tensor:
    """Return -mean((sigmoid(logit) - 1/2)^2) over all logits, a scalar from -1/4 to 0 (equation 6, squared form).

    Added to the loss of the architecture, with weight 10 in the paper, it drives every weight to 0 or 1.
    """
    return -(torch.cat(list(logits)).sigmoid() - 0.5).square().mean()
