"""ShuffleNetV2 blocks (Ma et al., 2018, figure 3) in the four forms of SPOS (Guo et al., 2020, section 4).

A block has a main branch and a kept branch whose outputs are concatenated. With stride 1 the kept branch is the even
channels as they are, with stride 2 a projection of all channels. The main branch is a depthwise convolution of
kernel 3, 5 or 7 between two 1x1 convolutions, or three depthwise convolutions of kernel 3 ("Xception").
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from palmette.blocks.convolution import conv_bn


class Shuffle(nn.Module):
    """Stride 1: split the channels into even and odd, change the odd ones. ``[N, width, H, W]`` in and out.

    Args:
        main: maps ``[N, width / 2, H, W]`` to the same shape.
    """

    def __init__(self, main: nn.Module) -> None:
        super().__init__()
        self.main = main

    def forward(self, x: Tensor) -> Tensor:
        kept, changed = x[:, ::2], x[:, 1::2]
        return torch.cat([kept, self.main(changed)], 1)


class ShuffleDown(nn.Module):
    """Stride 2: both branches read all channels. ``[N, inputs, H, W]`` in, ``[N, outputs, H / 2, W / 2]`` out.

    Args:
        projection: maps the input to ``[N, inputs, H / 2, W / 2]``.
        main: maps the input to ``[N, outputs - inputs, H / 2, W / 2]``.
    """

    def __init__(self, projection: nn.Module, main: nn.Module) -> None:
        super().__init__()
        self.projection = projection
        self.main = main

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.projection(x), self.main(x)], 1)


def shuffle_block(inputs: int, outputs: int, *, kernel: int, inner: int, stride: int = 1) -> nn.Module:
    """Return the block with one depthwise convolution, ``inner`` channels wide between its 1x1 convolutions."""
    enters = inputs if stride == 2 else inputs // 2
    main = nn.Sequential(
        conv_bn(enters, inner),
        conv_bn(inner, inner, kernel, stride=stride, groups=inner, relu=False),
        conv_bn(inner, outputs - enters),
    )
    return _joined(main, inputs, outputs, kernel=kernel, stride=stride)


def xception_block(inputs: int, outputs: int, *, inner: int, stride: int = 1) -> nn.Module:
    """Return the block with three depthwise convolutions of kernel 3, each before a 1x1 convolution."""
    enters = inputs if stride == 2 else inputs // 2
    main = nn.Sequential(
        conv_bn(enters, enters, 3, stride=stride, groups=enters, relu=False),
        conv_bn(enters, inner),
        conv_bn(inner, inner, 3, groups=inner, relu=False),
        conv_bn(inner, inner),
        conv_bn(inner, inner, 3, groups=inner, relu=False),
        conv_bn(inner, outputs - enters),
    )
    return _joined(main, inputs, outputs, kernel=3, stride=stride)


def _joined(main: nn.Module, inputs: int, outputs: int, *, kernel: int, stride: int) -> nn.Module:
    if stride == 1:
        assert inputs == outputs
        return Shuffle(main)
    projection = nn.Sequential(
        conv_bn(inputs, inputs, kernel, stride=stride, groups=inputs, relu=False), conv_bn(inputs, inputs)
    )
    return ShuffleDown(projection, main)
