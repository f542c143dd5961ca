"""A small space for images of 8x8 to 32x32 that trains in seconds on a CPU: the default of ``palmette search``.

Two stages of three layers, each a plain convolution, an inverted residual block of MobileNetV2 (Sandler et al.,
2018) with kernel 3 or 5, or, where the shape is kept, nothing: 4 x 4 x 4 x 3 x 4 x 4 codes.
"""

from __future__ import annotations

from functools import partial

from torch import nn

from palmette.blocks.convolution import conv_bn
from palmette.blocks.inverted_residual import InvertedResidual
from palmette.decision import Equivalence, no_ops_last
from palmette.slots import Factory, OneOf
from palmette.space import Space

STEM = 16
STAGES = {"stage1": (16, 1), "stage2": (32, 2)}
"""Output channels, and stride of the first of the three layers."""
LAYERS = 3


def small_images(*, classes: int = 10, channels: int = 1) -> Space:
    """Return the space; input ``[N, channels, H, W]`` with H and W at least 4."""
    rows = [_names("stage1"), _names("stage2")[1:]]
    equivalences = [Equivalence(tuple(row), no_ops_last("skip")) for row in rows]
    return Space(partial(_network, classes, channels), name="small-images", equivalences=equivalences)


def _network(classes: int, channels: int) -> nn.Module:
    layers: list[nn.Module] = [conv_bn(channels, STEM, 3)]
    inputs = STEM
    for stage, (outputs, first_stride) in STAGES.items():
        for name in _names(stage):
            layers.append(_layer(name, inputs, outputs, stride=first_stride if inputs != outputs else 1))
            inputs = outputs
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inputs, classes))


def _layer(name: str, inputs: int, outputs: int, *, stride: int) -> OneOf:
    block = partial(InvertedResidual, inputs, outputs, stride=stride)
    skip: dict[str, Factory] = {"skip": nn.Identity} if stride == 1 and inputs == outputs else {}
    return OneOf(
        name,
        **skip,
        conv3=partial(conv_bn, inputs, outputs, 3, stride=stride),
        mb2_k3=partial(block, kernel=3, expansion=2),
        mb4_k5=partial(block, kernel=5, expansion=4),
    )


def _names(stage: str) -> list[str]:
    return [f"{stage}_layer{layer}" for layer in range(1, LAYERS + 1)]
