"""Blocks of AnyNet with a shortcut: bottleneck (X, Y, R), basic, and the single residual convolution (VR).

Radosavovic et al., "Designing Network Design Spaces", 2020, figure 4 and appendix B; the names in brackets are the
paper's. X is a bottleneck with groups, Y adds squeeze-and-excitation, R has no groups. The stride is always on the
3x3 convolution, and the last activation comes after the sum.
"""

from __future__ import annotations

from torch import Tensor, nn

from palmette.blocks.convolution import Activation, conv_bn, in_place_relu
from palmette.blocks.squeeze_excitation import SqueezeExcitation


class Residual(nn.Module):
    """``last(shortcut(x) + main(x))``; the two branches give one shape."""

    def __init__(self, main: nn.Module, shortcut: nn.Module, last: nn.Module) -> None:
        super().__init__()
        self.main = main
        self.shortcut = shortcut
        self.last = last

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.last(self.shortcut(x) + self.main(x))
        return out


def bottleneck_block(
    inputs: int,
    outputs: int,
    *,
    inner: int,
    groups: int = 1,
    squeeze: int = 0,
    stride: int = 1,
    activation: Activation = in_place_relu,
) -> nn.Module:
    """Return 1x1, grouped 3x3 and 1x1 convolutions beside a shortcut (X; Y with ``squeeze`` channels; R ungrouped)."""
    main = _bottleneck(
        inputs, outputs, inner=inner, groups=groups, squeeze=squeeze, stride=stride, activation=activation
    )
    return Residual(main, _shortcut(inputs, outputs, stride), activation())


def linear_bottleneck_block(
    inputs: int,
    outputs: int,
    *,
    inner: int,
    groups: int = 1,
    squeeze: int = 0,
    stride: int = 1,
    activation: Activation = in_place_relu,
) -> nn.Module:
    """Return the main branch of ``bottleneck_block``; a shortcut only where the shape is kept, no last activation."""
    main = _bottleneck(
        inputs, outputs, inner=inner, groups=groups, squeeze=squeeze, stride=stride, activation=activation
    )
    return Residual(main, nn.Identity(), nn.Identity()) if inputs == outputs and stride == 1 else main


def basic_block(inputs: int, outputs: int, *, stride: int = 1, activation: Activation = in_place_relu) -> nn.Module:
    """Return two 3x3 convolutions beside a shortcut (He et al., 2016)."""
    main = nn.Sequential(
        *conv_bn(inputs, outputs, 3, stride=stride, relu=False), activation(), *conv_bn(outputs, outputs, 3, relu=False)
    )
    return Residual(main, _shortcut(inputs, outputs, stride), activation())


def single_residual_block(
    inputs: int, outputs: int, *, stride: int = 1, activation: Activation = in_place_relu
) -> nn.Module:
    """Return one 3x3 convolution beside a shortcut (VR)."""
    main = conv_bn(inputs, outputs, 3, stride=stride, relu=False)
    return Residual(main, _shortcut(inputs, outputs, stride), activation())


def _bottleneck(
    inputs: int, outputs: int, *, inner: int, groups: int, squeeze: int, stride: int, activation: Activation
) -> nn.Sequential:
    gate = [SqueezeExcitation(inner, squeeze, activation=activation)] if squeeze else []
    return nn.Sequential(
        *conv_bn(inputs, inner, relu=False),
        activation(),
        *conv_bn(inner, inner, 3, stride=stride, groups=groups, relu=False),
        activation(),
        *gate,
        *conv_bn(inner, outputs, relu=False),
    )


def _shortcut(inputs: int, outputs: int, stride: int) -> nn.Module:
    """Return the identity where the shape is kept, else a 1x1 convolution with the stride."""
    keeps_shape = inputs == outputs and stride == 1
    return nn.Identity() if keeps_shape else conv_bn(inputs, outputs, stride=stride, relu=False)
