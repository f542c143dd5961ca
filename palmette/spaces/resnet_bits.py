"""Bits and inner widths of residual blocks: the mixed-precision search of SPOS on ResNet-18 and ResNet-34.

Guo et al., "Single Path One-Shot Neural Architecture Search with Uniform Sampling", 2020, section 4 (sampling.md 2.12):
each residual block has one of six pairs of bits, of its weights and of the features that its convolutions read, and its
first convolution 0.5, 1 or 1.5 times the channels: 18 options, 18^8 and 18^16 networks. First convolution and last
layer keep full precision. Weights are quantised as in DoReFa, features as in PACT (``blocks/quantizers.py``).

All bits of a layer share one weight, in full precision; each feature quantiser has one clip per option. A downsampling
convolution takes the bits of its block, which the paper does not say and uniform bits cannot tell.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from torch import nn

from palmette.blocks.convolution import conv_bn
from palmette.blocks.quantizers import QuantizedConv2d, QuantizedFeatures, check_bits
from palmette.blocks.residual import Residual
from palmette.decision import Categorical
from palmette.errors import ArchitectureError
from palmette.slots import Factory, OneOf
from palmette.space import Space
from palmette.supernets.sliced import Sliced, Width

PAIRS = ((1, 2), (2, 2), (1, 4), (2, 4), (3, 4), (4, 4))
"""Bits of weights and of features."""
SCALES = (0.5, 1.0, 1.5)
WIDTHS = (64, 128, 256, 512)
DEPTHS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3)}
SMALL = ((16, 1), (16, 1), (32, 2), (32, 1))
"""Output channels and stride of the blocks for small images."""


@dataclass(frozen=True)
class Bits:
    """A decision on the bits of weights and features, for ``Sliced``.

    Raises:
        ArchitectureError: bits below 1 or above 16.
    """

    name: str
    values: tuple[tuple[int, int], ...]

    def __post_init__(self) -> None:
        for weight, feature in self.values:
            check_bits(weight), check_bits(feature)

    def decision(self) -> Categorical:
        return Categorical(self.name, tuple(f"w{weight}f{feature}" for weight, feature in self.values))

    def features(self) -> OneOf:
        """Return the quantiser of features, with a clip of its own for every option."""
        names = self.decision().options
        options: dict[str, Factory] = {
            name: partial(QuantizedFeatures, feature) for name, (_, feature) in zip(names, self.values, strict=True)
        }
        return OneOf(self.name, **options)


def resnet_bits(
    layers: int,
    *,
    classes: int = 1000,
    channels: int = 3,
    pairs: Sequence[tuple[int, int]] = PAIRS,
    scales: Sequence[float] = SCALES,
) -> Space:
    """Return the space on ResNet-18 or ResNet-34; input ``[N, channels, 224, 224]`` in the paper.

    Args:
        layers: 18 or 34.
        classes, channels: of the data.
        pairs: bits of weights and features that a block can have.
        scales: of the channels between a block's convolutions.

    Raises:
        ArchitectureError: other layers, bits below 1 or above 16, or scales that give no channel.
    """
    if layers not in DEPTHS:
        raise ArchitectureError(f"resnet of {layers} layers: allowed are {', '.join(map(str, DEPTHS))}")
    depths = zip(WIDTHS, DEPTHS[layers], strict=True)
    shapes = [(width, 2 if i == 0 and width > WIDTHS[0] else 1) for width, depth in depths for i in range(depth)]

    def network() -> nn.Module:
        stem = [nn.Conv2d(channels, WIDTHS[0], 7, 2, 3, bias=False), nn.BatchNorm2d(WIDTHS[0]), nn.ReLU(inplace=True)]
        start = nn.Sequential(*stem, nn.MaxPool2d(3, 2, 1))
        return _assembled(start, WIDTHS[0], shapes, tuple(pairs), scales, classes)

    return Space(network, name=f"resnet{layers}-bits")


def small_bits(*, classes: int = 10, channels: int = 1) -> Space:
    """Return a space of four residual blocks for images of 8x8 to 32x32, 18^4 networks, that trains on a CPU."""

    def network() -> nn.Module:
        return _assembled(conv_bn(channels, SMALL[0][0], 3), SMALL[0][0], SMALL, PAIRS, SCALES, classes)

    return Space(network, name="small-bits")


def _assembled(
    start: nn.Module,
    inputs: int,
    shapes: Sequence[tuple[int, int]],
    pairs: tuple[tuple[int, int], ...],
    scales: Sequence[float],
    classes: int,
) -> nn.Module:
    blocks = []
    for number, (outputs, stride) in enumerate(shapes, start=1):
        width = Width.scaled(f"width{number}", outputs, scales)
        blocks.append(_block(Bits(f"bits{number}", pairs), width, inputs, outputs, stride))
        inputs = outputs
    return nn.Sequential(start, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inputs, classes))


def _block(bits: Bits, width: Width, inputs: int, outputs: int, stride: int) -> nn.Module:
    """Return a basic residual block (He et al., 2016) of open bits and inner width."""

    def first(pair: tuple[int, int], inner: int) -> nn.Module:
        return nn.Sequential(_conv(inputs, inner, 3, pair, stride), nn.BatchNorm2d(inner))

    def second(pair: tuple[int, int], inner: int) -> nn.Module:
        return _conv(inner, outputs, 3, pair, 1)

    def projection(pair: tuple[int, int]) -> nn.Module:
        return _conv(inputs, outputs, 1, pair, stride)

    main = nn.Sequential(
        bits.features(),
        Sliced(first, bits, width, outputs=width),
        bits.features(),
        Sliced(second, bits, width, inputs=width),
        nn.BatchNorm2d(outputs),
    )
    if stride == 1 and inputs == outputs:
        return Residual(main, nn.Identity(), nn.ReLU(inplace=True))
    shortcut = nn.Sequential(bits.features(), Sliced(projection, bits), nn.BatchNorm2d(outputs))
    return Residual(main, shortcut, nn.ReLU(inplace=True))


def _conv(inputs: int, outputs: int, kernel: int, pair: tuple[int, int], stride: int) -> nn.Module:
    weight, feature = pair
    return QuantizedConv2d(inputs, outputs, kernel, weight_bits=weight, feature_bits=feature, stride=stride)
