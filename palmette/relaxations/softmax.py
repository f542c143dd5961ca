"""The weights of DARTS: softmax of the logits (Liu et al., 2019, equation 2). Nothing is drawn."""

from __future__ import annotations

import torch
from torch import Tensor


def softmax(logits: Tensor, generator: torch.Generator) -> Tensor:
    """Return probabilities ``[options]``."""
    return logits.softmax(0)
