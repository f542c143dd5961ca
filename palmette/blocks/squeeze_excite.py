"""Squeeze-and-excitation (Hu et al., 2018, section 3): channels weighed by what the whole image says of them."""

from __future__ import annotations

from torch import Tensor, nn

from palmette.blocks.convolution import Activation


class SqueezeExcite(nn.Module):
    """Average, two 1x1 convolutions with bias through a quarter of the channels, hard sigmoid, multiply.

    In an inverted residual block a quarter is of the expanded width, as GreedyNAS and MCT-NAS have it (sampling.md
    3.8), and not of the block's input. ``[N, channels, H, W]`` in and out.
    """

    def __init__(self, channels: int, *, activation: Activation) -> None:
        super().__init__()
        inner = channels // 4
        self.gate = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Conv2d(channels, inner, 1), activation(), nn.Conv2d(inner, channels, 1)
        )
        self.bound = nn.Hardsigmoid()

    def forward(self, x: Tensor) -> Tensor:
        weights: Tensor = self.bound(self.gate(x))
        return x * weights
