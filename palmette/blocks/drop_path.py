"""Drop-path: in training, a whole branch is left out for some images (Larsson et al., FractalNet, 2017)."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class DropPath(nn.Module):
    """Zero the input of each image with ``probability`` and scale the rest by ``1 / (1 - probability)``.

    The training loop sets the probability, which rises over a training where its recipe says so. Outside training it
    does nothing. ``share`` is the part of the recipe's probability that this layer has, by its depth for example.
    """

    def __init__(self, share: float = 1.0) -> None:
        super().__init__()
        self.share = share
        self.probability = 0.0

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.probability == 0:
            return x
        keep = 1 - self.probability
        kept = torch.rand(x.shape[0], 1, 1, 1, device=x.device, dtype=x.dtype) < keep
        return x * (kept / keep)
