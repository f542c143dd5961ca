"""The block space of SPOS: ShuffleNetV2 with 20 blocks of 4 choices each, 4^20 networks (ImageNet, 224 x 224).

Guo et al., "Single Path One-Shot Neural Architecture Search with Uniform Sampling", 2020 (SPOS), section 4, table 1.
The published networks are ``PUBLISHED``; that with searched widths is of ``shuffle_channels.shuffle_joint``.

Deviation: the released supernet has BatchNorm without scale and shift, its stand-alone networks have both. Here both
have them, so that one definition serves both and weights move between the two.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial

from torch import nn

from palmette.blocks.convolution import conv_bn
from palmette.blocks.shuffle import shuffle_block, xception_block
from palmette.errors import ArchitectureError
from palmette.slots import Factory, OneOf
from palmette.space import Space

STAGES = ((64, 4), (160, 4), (320, 8), (640, 4))
"""Output channels and number of blocks; the first block of a stage has stride 2."""
BLOCKS = sum(depth for _, depth in STAGES)
STEM, HEAD = 16, 1024


@dataclass(frozen=True)
class Published:
    """A published network: its option index and inner width scale per block, and its costs at 224 x 224."""

    genes: tuple[int, ...]
    scales: tuple[float, ...]
    flops: float
    params: float
    source: str


def shuffle_choice(*, classes: int = 1000, channels: int = 3, dropout: float = 0.1) -> Space:
    """Return the space; input ``[N, channels, 224, 224]`` in the paper, other sizes divisible by 32 work too."""
    return Space(partial(_supernet, classes, channels, dropout), name="shuffle-choice")


def shuffle_network(
    genes: Sequence[int],
    scales: Sequence[float] = (1.0,) * BLOCKS,
    *,
    classes: int = 1000,
    channels: int = 3,
    dropout: float = 0.1,
) -> nn.Sequential:
    """Return the plain network with the given option index (0 to 3) and inner width scale for each of 20 blocks.

    Raises:
        ArchitectureError: not 20 genes and scales, or a gene or scale out of range.
    """
    if len(genes) != BLOCKS or not all(gene in range(4) for gene in genes):
        raise ArchitectureError(f"genes {list(genes)}: give {BLOCKS} of them, each 0, 1, 2 or 3")
    if len(scales) != BLOCKS or not all(0.1 <= scale <= 4 for scale in scales):
        raise ArchitectureError(f"scales {list(scales)}: give {BLOCKS} of them, each from 0.1 to 4")
    blocks = [
        list(choices(*shape).values())[gene](int(shape[1] // 2 * scale))
        for shape, gene, scale in zip(GEOMETRY, genes, scales, strict=True)
    ]
    return assembled(blocks, classes, channels, dropout)


@cache
def choices(inputs: int, outputs: int, stride: int) -> dict[str, Callable[[int], nn.Module]]:
    """Return the four choices of one block, each as a function of its inner width (``outputs // 2`` unscaled)."""

    def shuffle(kernel: int, inner: int) -> nn.Module:
        return shuffle_block(inputs, outputs, kernel=kernel, inner=inner, stride=stride)

    def xception(inner: int) -> nn.Module:
        return xception_block(inputs, outputs, inner=inner, stride=stride)

    return {**{f"k{kernel}": partial(shuffle, kernel) for kernel in (3, 5, 7)}, "xception": xception}


def assembled(blocks: Sequence[nn.Module], classes: int, channels: int, dropout: float) -> nn.Sequential:
    """Return the network around 20 blocks or slots of shapes ``GEOMETRY``."""
    stem, neck = conv_bn(channels, STEM, 3, stride=2), conv_bn(STAGES[-1][0], HEAD)
    head = (nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(dropout), nn.Linear(HEAD, classes, bias=False))
    return nn.Sequential(stem, *blocks, neck, *head)


def _supernet(classes: int, channels: int, dropout: float) -> nn.Module:
    slots = []
    for number, shape in enumerate(GEOMETRY, start=1):
        options: dict[str, Factory] = {name: partial(make, shape[1] // 2) for name, make in choices(*shape).items()}
        slots.append(OneOf(f"block{number}", **options))
    return assembled(slots, classes, channels, dropout)


def _geometry() -> list[tuple[int, int, int]]:
    inputs = [STEM, *(outputs for outputs, depth in STAGES for _ in range(depth))]
    strides = (2 if i == 0 else 1 for _, depth in STAGES for i in range(depth))
    return list(zip(inputs[:-1], inputs[1:], strides, strict=True))


GEOMETRY = _geometry()
"""Input channels, output channels and stride of each block."""

_BLOCK_AND_CHANNEL = (0, 0, 3, 1, 1, 1, 0, 0, 2, 0, 2, 1, 1, 0, 2, 0, 2, 1, 3, 2)
_UNSCALED = (1.0,) * BLOCKS

PUBLISHED: Mapping[str, Published] = {
    "spos-block-search": Published(
        genes=(2, 1, 0, 1, 2, 0, 2, 0, 2, 0, 2, 3, 0, 0, 0, 0, 3, 2, 3, 3),
        scales=_UNSCALED,
        flops=322.9e6,
        params=3.56e6,
        source="megvii-model/SinglePathOneShot README.md, top-1 74.4",
    ),
    "spos-block-channel-search": Published(
        genes=_BLOCK_AND_CHANNEL,
        scales=(1.4, 1.2, 0.8, 1.2, 0.6, 1.4, 0.8, 1.0, 0.6, 1.2, 1.6, 1.2, 1.0, 1.4, 1.6, 1.0, 1.0, 1.2, 1.0, 0.8),
        flops=327.9e6,
        params=3.43e6,
        source="megvii-model/ShuffleNet-Series OneShot, top-1 74.9",
    ),
    "spos-block-channel-search-unscaled": Published(
        genes=_BLOCK_AND_CHANNEL,
        scales=_UNSCALED,
        flops=318.7e6,
        params=3.35e6,
        source="the blocks of spos-block-channel-search at scale 1",
    ),
    "spos-mmrazor": Published(
        genes=(2, 0, 2, 0, 3, 1, 1, 0, 0, 1, 0, 1, 0, 3, 1, 2, 2, 0, 1, 3),
        scales=_UNSCALED,
        flops=317.0e6,
        params=3.35e6,
        source="open-mmlab/mmrazor SPOS_SUBNET.yaml, top-1 73.9",
    ),
}
