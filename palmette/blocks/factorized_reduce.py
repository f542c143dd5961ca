"""Factorised reduction: half the size without a 3x3 convolution, and without losing three of four pixels.

Two pointwise convolutions of stride 2, one of them on the image shifted by a pixel, give half the channels each
(NASNet's code, and Liu et al., DARTS, 2019).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from palmette.blocks.separable import Norm
from palmette.errors import ArchitectureError


class FactorizedReduce(nn.Module):
    """``[N, inputs, H, W]`` to ``[N, outputs, H/2, W/2]``; H and W are even. ``relu`` puts a ReLU before it."""

    def __init__(self, inputs: int, outputs: int, *, norm: Norm = nn.BatchNorm2d, relu: bool = True) -> None:
        super().__init__()
        if outputs % 2:
            raise ArchitectureError(f"factorised reduction to {outputs} channels: give an even number of channels")
        self.relu = nn.ReLU() if relu else nn.Identity()
        self.even = nn.Conv2d(inputs, outputs // 2, 1, stride=2, bias=False)
        self.odd = nn.Conv2d(inputs, outputs // 2, 1, stride=2, bias=False)
        self.norm = norm(outputs)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(x)
        result: Tensor = self.norm(torch.cat([self.even(x), self.odd(x[:, :, 1:, 1:])], dim=1))
        return result
