"""Squeeze-and-excitation (Hu et al., 2018): channels scaled by weights that the whole image decides."""

from __future__ import annotations

from torch import Tensor, nn

from palmette.blocks.convolution import Activation, in_place_relu


class SqueezeExcitation(nn.Module):
    """Scale each channel by a number in 0..1 computed from the means of all. ``[N, width, H, W]`` in and out.

    Args:
        width: channels in and out.
        inner: channels between the two 1x1 convolutions, which have biases.
        activation: between the two.
        gate: after them; sigmoid, or MobileNetV3's hard sigmoid.
    """

    def __init__(
        self, width: int, inner: int, *, activation: Activation = in_place_relu, gate: Activation = nn.Sigmoid
    ) -> None:
        super().__init__()
        self.weights = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Conv2d(width, inner, 1), activation(), nn.Conv2d(inner, width, 1), gate()
        )

    def forward(self, x: Tensor) -> Tensor:
        scaled: Tensor = x * self.weights(x)
        return scaled
