"""The space of ProxylessNAS: MobileNetV2 blocks of kernel 3, 5 or 7 and expansion 3 or 6, or nothing.

Cai et al., "ProxylessNAS: Direct Neural Architecture Search on Target Task and Hardware", 2019, section 4.2
(gradient.md 9.7): 21 layers in six stages, 6^6 x 7^15 codes. Nothing ("Zero") is offered where the shape is kept, so
depth is searched too. Input ``[N, 3, 224, 224]`` in the paper. ``PUBLISHED`` holds the released networks, which were
found with other widths than the space has by default.

The paper's CIFAR-10 space, tree cells in a PyramidNet, is not offered: how its cells split and join is not known to us
well enough. ``proxyless_small`` has strides for 32 x 32 images instead.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

from torch import nn

from palmette.blocks.convolution import conv_bn, relu6
from palmette.blocks.inverted_residual import InvertedResidual
from palmette.slots import Factory
from palmette.space import Space
from palmette.spaces.mobile_choice import mobile_blocks
from palmette.spaces.stages import Published, Stages, no_ops_last_in, searched_layers

STAGES = ((24, 4, 2), (40, 4, 2), (80, 4, 2), (96, 4, 1), (192, 4, 2), (320, 1, 1))
ENDS = (32, 16, 1280)
"""Output channels of the first convolution, of the first block, and of the last convolution."""
EPSILON = 1e-3
"""Of BatchNorm, as in the released code."""


def proxyless(
    *,
    classes: int = 1000,
    channels: int = 3,
    stages: Stages = STAGES,
    ends: tuple[int, int, int] = ENDS,
    dropout: float = 0.0,
) -> Space:
    """Return the space.

    Args:
        classes: of the images.
        channels: of the images.
        stages: output channels, number of layers, and stride of the first, per stage.
        ends: output channels of the first convolution, of the first block, and of the last convolution.
        dropout: before the classifier; the authors retrain with 0.1 to 0.3.
    """
    network = partial(_network, stages, ends, classes, channels, 2, dropout)
    return Space(network, name="proxyless", equivalences=no_ops_last_in(stages, "identity"))


def proxyless_small(*, classes: int = 10, channels: int = 3) -> Space:
    """Return the space for images of 32 x 32: the first convolution and stage have stride 1, last maps are 4 x 4."""
    stages = ((24, 4, 1), *STAGES[1:])
    network = partial(_network, stages, ENDS, classes, channels, 1, 0.0)
    return Space(network, name="proxyless-small", equivalences=no_ops_last_in(stages, "identity"))


def _network(
    stages: Stages, ends: tuple[int, int, int], classes: int, channels: int, stride: int, dropout: float
) -> nn.Module:
    stem, first, last = ends
    head = [_block(partial(conv_bn, stages[-1][0], last, activation=relu6)), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    regular = [nn.Dropout(dropout)] if dropout else []
    return nn.Sequential(
        _block(partial(conv_bn, channels, stem, 3, stride=stride, activation=relu6)),
        _block(partial(InvertedResidual, stem, first, kernel=3, expansion=1, activation=relu6)),
        *searched_layers(first, stages, _options),
        *head,
        *regular,
        nn.Linear(last, classes),
    )


def _options(inputs: int, outputs: int, stride: int) -> dict[str, Factory]:
    nothing: dict[str, Factory] = {"identity": nn.Identity} if stride == 1 and inputs == outputs else {}
    blocks = mobile_blocks(inputs, outputs, stride, relu6)
    return {**{name: partial(_block, block) for name, block in blocks.items()}, **nothing}


def _block(make: Factory) -> nn.Module:
    """Return the block with the authors' BatchNorm."""
    block = make()
    for module in block.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eps = EPSILON
    return block


def _published(
    widths: Sequence[int], ends: tuple[int, int, int], layers: str, costs: tuple[float, float], source: str
) -> Published:
    """Read ``k5e3`` for a block and ``Z`` for nothing, layer by layer; ``costs`` are multiply-adds and parameters."""
    stages = tuple((width, depth, stride) for width, (_, depth, stride) in zip(widths, STAGES, strict=True))
    names = tuple("identity" if text == "Z" else f"{text[2:]}_{text[:2]}" for text in layers.split())
    return Published(partial(proxyless, stages=stages, ends=ends), names, *costs, source)


PUBLISHED: Mapping[str, Published] = {
    "proxyless-mobile": _published(
        (32, 40, 80, 96, 192, 320),
        (32, 16, 1280),
        "k5e3 k3e3 Z Z  k7e3 k3e3 k5e3 k5e3  k7e6 k5e3 k5e3 k5e3  k5e6 k5e3 k5e3 k5e3  k7e6 k7e6 k7e3 k7e3  k7e6",
        (320.43e6, 4.081e6),
        "mit-han-lab/proxylessnas, top-1 74.6, 78 ms on a Pixel 1",
    ),
    "proxyless-gpu": _published(
        (32, 56, 112, 128, 256, 432),
        (40, 24, 1728),
        "k5e3 Z Z Z  k7e3 Z Z k3e3  k7e6 Z Z k5e3  k5e6 Z k3e3 k5e3  k7e6 k7e6 k7e6 k5e6  k7e6",
        (465.26e6, 7.120e6),
        "mit-han-lab/proxylessnas, top-1 75.1, 5.1 ms on a V100 at batch 8",
    ),
    "proxyless-cpu": _published(
        (32, 48, 88, 104, 216, 360),
        (40, 24, 1432),
        "k3e6 k3e3 k3e3 k3e3  k3e6 k3e3 k3e3 k5e3  k3e6 Z Z k3e3  k5e6 k3e3 k3e3 k3e3  k5e6 k5e3 k5e3 k3e3  k5e6",
        (439.24e6, 4.362e6),
        "mit-han-lab/proxylessnas, top-1 75.3",
    ),
    "proxyless-mobile-14": _published(
        (40, 56, 112, 136, 256, 448),
        (48, 24, 1792),
        "k5e3 k3e3 Z Z  k7e3 k3e3 k5e3 k5e3  k7e6 k5e3 k5e3 k5e3  k5e6 k5e3 k5e3 k5e3  k7e6 k7e6 k7e3 k7e3  k7e6",
        (580.88e6, 6.858e6),
        "mit-han-lab/proxylessnas, top-1 76.7, 147 ms on a Pixel 1; its counts are our own",
    ),
}
"""The released networks; their multiply-adds and parameters are those the authors logged, to all digits."""
