"""The space of FBNet: 22 layers, each one of eight inverted residual blocks or a skip, 9^22 codes.

Wu et al., "FBNet: Hardware-Aware Efficient ConvNet Design via Differentiable Neural Architecture Search", CVPR 2019,
section 3.1, tables 1 and 2 (gradient.md 7.1). Input ``[N, 3, 224, 224]`` in the paper. ``PUBLISHED`` holds networks.

There are two conventions, and sources mix them. The paper's count fits blocks that keep their first 1x1 convolution at
expansion 1, without biases; the authors' later release leaves it out there and has biases (``released``). FBNet-B is
not even the same list in both, so both are given.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from torch import nn

from palmette.blocks.convolution import conv_bn
from palmette.blocks.fbnet_block import FBNetBlock, fbnet_block, fbnet_skip
from palmette.slots import Factory
from palmette.space import Space
from palmette.spaces.stages import Published, Stages, no_ops_last_in, searched_layers

STAGES = ((16, 1, 1), (24, 4, 2), (32, 4, 2), (64, 4, 2), (112, 4, 1), (184, 4, 2), (352, 1, 1))
"""Output channels, number of layers, and stride of the first."""


@dataclass(frozen=True)
class Macro:
    """What is not searched."""

    stages: Stages = STAGES
    stem: int = 16
    """Output channels of the first convolution."""
    stride: int = 2
    """Of the first convolution."""
    last: int = 1984
    """Output channels of the last convolution; 1504 in FBNet-A."""


def fbnet(
    *, classes: int = 1000, channels: int = 3, macro: Macro = Macro(), released: bool = False, dropout: float = 0.0
) -> Space:
    """Return the space; ``released`` takes the blocks of the authors' later release, see above."""
    network = partial(_network, classes, channels, macro, released, dropout)
    return Space(network, name="fbnet", equivalences=no_ops_last_in(macro.stages, "skip"))


def fbnet_small(*, classes: int = 10, channels: int = 3) -> Space:
    """Return the space for images of 32 x 32: the first convolution and the second stage have stride 1.

    So the last maps are 4 x 4. With the strides for ImageNet they are 1 x 1, and the accuracy on CIFAR-10 was seen to
    fall to some 80% (gradient.md 7.5).
    """
    macro = Macro(stages=(STAGES[0], (24, 4, 1), *STAGES[2:]), stride=1)
    network = partial(_network, classes, channels, macro, False, 0.0)
    return Space(network, name="fbnet-small", equivalences=no_ops_last_in(macro.stages, "skip"))


def _network(classes: int, channels: int, macro: Macro, released: bool, dropout: float) -> nn.Module:
    regular = [nn.Dropout(dropout)] if dropout else []
    return nn.Sequential(
        conv_bn(channels, macro.stem, 3, stride=macro.stride),
        *searched_layers(macro.stem, macro.stages, partial(_options, released)),
        conv_bn(macro.stages[-1][0], macro.last),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        *regular,
        nn.Linear(macro.last, classes),
    )


def _options(released: bool, inputs: int, outputs: int, stride: int) -> dict[str, Factory]:
    """Return the nine in the order that the public latency tables number them in, 0 to 8."""
    options: dict[str, Factory] = {}
    for kernel in (3, 5):
        for expansion, groups in ((1, 1), (1, 2), (3, 1), (6, 1)):
            block = FBNetBlock(kernel=kernel, expansion=expansion, groups=groups, released=released, biases=released)
            name = f"k{kernel}_e{expansion}" + ("_g2" if groups == 2 else "")
            options[name] = partial(fbnet_block, inputs, outputs, block, stride=stride)
    return {**options, "skip": partial(fbnet_skip, inputs, outputs, stride=stride)}


def _layers(text: str) -> tuple[str, ...]:
    """Read ``k5e6``, ``k5g2`` (expansion 1, two groups) or ``skip``, layer by layer."""
    names = {"skip": "skip", "k3g2": "k3_e1_g2", "k5g2": "k5_e1_g2"}
    return tuple(names.get(layer) or f"{layer[:2]}_{layer[2:]}" for layer in text.split())


_A = "skip k3e3 k3e1 skip skip k5e6 k3e3 k5e1 k3e3 k5e6 k5e3 k5g2 k5e6 k3e6 k5g2 k5e3 k3g2 k5e6 k5e6 k5e3 k5e6 k5e6"
_B = "k3e1 k3e6 k5e1 k3e1 k3e1 k5e6 k5e3 k3e6 k5e6 k5e6 {} skip k5e3 k5e6 k3e1 k5e1 k5e3 k5e6 k5e1 k5e6 k5e6 k3e6"
_C = "k3e1 k3e6 skip k3e1 k3e1 k5e6 k5e3 k5e6 k3e6 k5e6 k5e3 k5e6 k5e6 k5e6 k5e6 k5e6 k5e3 k5e6 k5e6 k5e6 k5e6 k3e6"
_S8 = "k3e1 k3e3 k3e1 skip skip k5e6 k3e3 k3e3 k3e6 k5e6 k5e3 k5e3 k5e3 k3e6 k5e3 k5e3 k5e3 k5e6 k5e6 k5e3 k5e6 k5e6"
_IPHONE = (
    "skip k3e6 k3e1 k3e1 k3e1 k3e6 k3e6 k3e6 k3e6 k3e6 k3e6 k3e3 k3e6 k3e6 k3e3 k3e3 k3e3 k5e6 k5e6 k5e6 k5e3 k5e6"
)
_96 = "k3e1 k3e6 k3e6 k5e6 k5e6 k5e6 k3e6 k5e6 k5e6 k5e6"

_NARROW = Macro(
    stages=((8, 1, 1), (16, 2, 2), (16, 2, 2), (24, 1, 2), (40, 1, 1), (72, 2, 2), (128, 1, 1)), stem=8, last=1416
)

PUBLISHED: Mapping[str, Published] = {
    "fbnet-a": Published(
        partial(fbnet, macro=Macro(last=1504)), _layers(_A), 249.9e6, 4.321e6, "the paper's 249 M, top-1 73.0"
    ),
    "fbnet-a-release": Published(
        partial(fbnet, macro=Macro(last=1504), released=True),
        _layers(_A),
        244.5e6,
        4.320e6,
        "facebookresearch/mobile-vision, top-1 73.3",
    ),
    "fbnet-b-paper": Published(fbnet, _layers(_B.format("k5e1")), 296.6e6, 4.813e6, "the paper's 295 M, top-1 74.1"),
    "fbnet-b-release": Published(
        partial(fbnet, released=True),
        _layers(_B.format("k5e6")),
        291.0e6,
        4.816e6,
        "facebookresearch/mobile-vision, top-1 74.5",
    ),
    "fbnet-c": Published(fbnet, _layers(_C), 385.0e6, 5.572e6, "the README's 383 M, top-1 74.9"),
    "fbnet-c-release": Published(
        partial(fbnet, released=True), _layers(_C), 378.1e6, 5.591e6, "facebookresearch/mobile-vision, top-1 75.2"
    ),
    "fbnet-96-0.35-1-release": Published(
        partial(fbnet, macro=_NARROW, released=True),
        _layers(_96),
        12.80e6,
        None,
        "facebookresearch/mobile-vision, scaled by its authors, 12.9 M",
        resolution=96,
    ),
    "fbnet-s8": Published(fbnet, _layers(_S8), None, None, "AnnaAraslanova/FBNet alone; last width as in C"),
    "fbnet-iphonex": Published(fbnet, _layers(_IPHONE), None, None, "AnnaAraslanova/FBNet alone; last width as in C"),
}
"""The networks of the paper and of the release, each in the convention that its count fits.

The 22 layers are those of table 1, in order. Layer 5.3 of A is k5e3: the one source that names it k5e1 contradicts
itself, and only k5e3 gives the published count.
"""
