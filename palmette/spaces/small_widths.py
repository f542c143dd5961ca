"""A small space of widths for images of 8x8 to 32x32 that trains in seconds on a CPU: 5^6 networks.

Six 3x3 convolutions in a row, each with one of five output widths; the width of one layer is the input width of the
next, so its cost depends on two decisions. It shows on a small scale what SPOS (Guo et al., 2020, section 3.4) searches
inside blocks and FBNetV2 (Wan et al., 2020) between them.
"""

from __future__ import annotations

from functools import partial

from torch import nn

from palmette.blocks.convolution import conv_bn
from palmette.space import Space
from palmette.supernets.sliced import Sliced, Width

STEM = 16
STAGES = ((1, (4, 8, 12, 16, 24)), (2, (8, 16, 24, 32, 48)))
"""Stride of the first of three layers, and their widths."""
LAYERS = 3


def small_widths(*, classes: int = 10, channels: int = 1) -> Space:
    """Return the space; input ``[N, channels, H, W]`` with H and W at least 4."""
    return Space(partial(_network, classes, channels), name="small-widths")


def _network(classes: int, channels: int) -> nn.Module:
    layers: list[nn.Module] = [conv_bn(channels, STEM, 3)]
    before: Width | None = None
    for first_stride, widths in STAGES:
        for position in range(LAYERS):
            stride = first_stride if position == 0 else 1
            width = Width(f"width{len(layers)}", widths)
            if before is None:
                layers.append(Sliced(partial(conv_bn, STEM, kernel=3, stride=stride), width, outputs=width))
            else:
                block = partial(conv_bn, kernel=3, stride=stride)
                layers.append(Sliced(block, before, width, inputs=before, outputs=width))
            before = width
    assert before is not None
    classifier = Sliced(partial(nn.Linear, out_features=classes), before, inputs=before)
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), classifier)
