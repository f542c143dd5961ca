"""Blocks of AnyNet without a shortcut: two 3x3 convolutions, or one.

The block of one convolution is V of Radosavovic et al., "Designing Network Design Spaces", 2020; the block of two is
the vanilla block of their "On Network Design Spaces for Visual Recognition", 2019. They are different things.
"""

from __future__ import annotations

from torch import nn

from palmette.blocks.convolution import Activation, conv_bn, in_place_relu


def vanilla_block(inputs: int, outputs: int, *, stride: int = 1, activation: Activation = in_place_relu) -> nn.Module:
    """Return two 3x3 convolutions, each with BatchNorm and activation."""
    first = conv_bn(inputs, outputs, 3, stride=stride, relu=False)
    return nn.Sequential(*first, activation(), *conv_bn(outputs, outputs, 3, relu=False), activation())


def single_block(inputs: int, outputs: int, *, stride: int = 1, activation: Activation = in_place_relu) -> nn.Module:
    """Return one 3x3 convolution with BatchNorm and activation (V)."""
    return nn.Sequential(*conv_bn(inputs, outputs, 3, stride=stride, relu=False), activation())
