"""AnyNet: a stem, stages of equal blocks, and a head; the networks that design spaces are made of.

Radosavovic et al., "Designing Network Design Spaces", 2020, section 3.2 and appendices B and D. ``Skeleton`` is what
all networks of one space share, ``Stage`` what is decided. A stage's bottleneck ratio b is the width of a block over
its inner width, its group width g the number of channels per group. ``compatible`` moves widths so that b and g fit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from palmette.blocks.convolution import Activation, conv_bn, in_place_relu
from palmette.blocks.residual import basic_block, bottleneck_block, linear_bottleneck_block, single_residual_block
from palmette.blocks.vanilla import single_block, vanilla_block
from palmette.errors import ArchitectureError

Integers = npt.NDArray[np.int64]

StemName = Literal["simple", "imagenet", "cifar"]
"""3x3 of stride 2; 7x7 of stride 2 and a max-pool of stride 2; 3x3 of stride 1."""
BlockName = Literal["bottleneck", "ungrouped", "linear", "basic", "residual-single", "vanilla", "single"]
"""X and Y, R, linear bottleneck, basic, VR, vanilla, V: see ``blocks/residual.py`` and ``blocks/vanilla.py``."""
BOTTLENECKS: frozenset[str] = frozenset({"bottleneck", "ungrouped", "linear"})
"""Blocks that have b; of these "ungrouped" takes the whole inner width as its one group."""
_PLAIN_BLOCKS: Mapping[str, Callable[..., nn.Module]] = {
    "basic": basic_block,
    "residual-single": single_residual_block,
    "vanilla": vanilla_block,
    "single": single_block,
}
_ACTIVATIONS: Mapping[str, Activation] = {
    "relu": in_place_relu,
    "silu": partial(nn.SiLU, inplace=True),
    "gelu": nn.GELU,
}


@dataclass(frozen=True, kw_only=True)
class Skeleton:
    """What all networks of a space share."""

    stem: StemName = "simple"
    stem_width: int = 32
    strides: tuple[int, ...] = (2, 2, 2, 2)
    """Of the first block of each stage; their number is the number of stages."""
    block: BlockName = "bottleneck"
    squeeze: float = 0.0
    """Channels of squeeze-and-excitation as a share of the block's input width; 0 is none, 1/4 makes X blocks Y."""
    head_width: int = 0
    """Channels of a 1x1 convolution before the pooling; 0 is none."""
    activation: Literal["relu", "silu", "gelu"] = "relu"
    classes: int = 1000
    channels: int = 3

    def __post_init__(self) -> None:
        if self.squeeze and self.block not in BOTTLENECKS:
            raise ArchitectureError(f"skeleton: block {self.block!r} has no squeeze-and-excitation; set squeeze to 0")
        if not self.strides or not all(stride in (1, 2) for stride in self.strides):
            raise ArchitectureError(f"skeleton: strides {self.strides} were given; allowed are 1 and 2, one per stage")
        if min(self.stem_width, self.classes, self.channels) < 1 or self.head_width < 0 or self.squeeze < 0:
            raise ArchitectureError("skeleton: stem_width, classes and channels must be at least 1, nothing below 0")


@dataclass(frozen=True)
class Stage:
    """A row of equal blocks; b and g are ignored by blocks that have none."""

    depth: int
    width: int
    bottleneck: float = 1.0
    """b, the width over the inner width of a block; 1, 2, 4, ..., or below 1 with an integer 1/b (inverted)."""
    group_width: int = 1
    """g, channels per group of the 3x3 convolution."""

    @property
    def inner(self) -> int:
        """Channels of the 3x3 convolution of a bottleneck."""
        return round(self.width / self.bottleneck)


@dataclass(frozen=True)
class AnyNet:
    """One network.

    Raises:
        ArchitectureError: another number of stages than strides, sizes below 1, or groups that do not divide.
    """

    skeleton: Skeleton
    stages: tuple[Stage, ...]

    def __post_init__(self) -> None:
        if len(self.stages) != len(self.skeleton.strides):
            raise ArchitectureError(
                f"AnyNet: {len(self.stages)} stages and {len(self.skeleton.strides)} strides were given; "
                "give one stride per stage"
            )
        for stage in self.stages:
            if min(stage.depth, stage.width, stage.group_width) < 1 or stage.bottleneck <= 0:
                raise ArchitectureError(f"AnyNet: {stage}: depth, width, group width and b must be positive")
            if self.skeleton.block in BOTTLENECKS and stage.inner % stage.group_width:
                raise ArchitectureError(
                    f"AnyNet: {stage}: {stage.inner} inner channels do not divide into groups of "
                    f"{stage.group_width}; make the stages with 'compatible_stages'"
                )

    def widths_per_block(self) -> list[int]:
        """Return the width of every block, from input to output."""
        return [stage.width for stage in self.stages for _ in range(stage.depth)]


def compatible_stages(
    skeleton: Skeleton,
    depths: Sequence[int],
    widths: Sequence[int],
    bottlenecks: Sequence[float],
    group_widths: Sequence[int],
) -> tuple[Stage, ...]:
    """Return stages whose widths and group widths are moved so that they fit (see ``compatible``)."""
    rows = (np.asarray(widths), np.asarray(bottlenecks, dtype=np.float64), np.asarray(group_widths))
    moved, groups = compatible(*rows, block=skeleton.block)
    return tuple(
        Stage(int(d), int(w), float(b), int(g)) for d, w, b, g in zip(depths, moved, rows[1], groups, strict=True)
    )


def compatible(
    widths: npt.NDArray[Any], bottlenecks: npt.NDArray[Any], group_widths: npt.NDArray[Any], *, block: BlockName
) -> tuple[Integers, Integers]:
    """Return widths and group widths such that every inner width is a multiple of its group width (appendix D).

    Arrays of one shape; a width changes by at most a third. Rounding is half-to-even, as the published networks need
    (RegNetX-400MF: 392 / 16 = 24.5 -> 24 groups). Blocks without b keep their widths and get one group.
    """
    widths = widths.astype(np.int64)
    if block not in BOTTLENECKS:
        return widths, np.ones_like(widths)
    inner = np.maximum(1, (widths / bottlenecks).astype(np.int64))
    groups = inner if block == "ungrouped" else np.minimum(group_widths.astype(np.int64), inner)
    unit = groups
    if (bottlenecks < 1).any():  # the width, inner * b, must be whole too
        multipliers = np.rint(1 / np.minimum(bottlenecks, 1.0)).astype(np.int64)
        unit = np.lcm(groups, multipliers)
    inner = np.maximum(unit, np.rint(inner / unit).astype(np.int64) * unit)
    return (inner * bottlenecks).astype(np.int64), groups


def anynet(network: AnyNet, *, seed: int | None = None) -> nn.Sequential:
    """Return the module, initialised as the paper's code does; ``[N, channels, H, W]`` in, ``[N, classes]`` out.

    Args:
        network: what to build.
        seed: of the initial weights; None draws them from PyTorch's global generator.
    """
    if seed is not None:
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            return anynet(network)
    skeleton = network.skeleton
    activation = _ACTIVATIONS[skeleton.activation]
    layers = [_stem(skeleton, activation)]
    width = skeleton.stem_width
    for stage, stride in zip(network.stages, skeleton.strides, strict=True):
        layers.append(_stage(skeleton, stage, width, stride))
        width = stage.width
    if skeleton.head_width:
        layers.append(nn.Sequential(*conv_bn(width, skeleton.head_width, relu=False), activation()))
        width = skeleton.head_width
    head = (nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, skeleton.classes))
    built = nn.Sequential(*layers, *head)
    initialise(built)
    return built


def squeeze_width(share: float, inputs: int) -> int:
    """Return the channels of squeeze-and-excitation: a share of the *input* width of the block, half to even."""
    return round(share * inputs)


def initialise(network: nn.Module) -> None:
    """Draw weights as the paper's code does: convolutions by fan-out not divided by groups, linear layers N(0, 0.01).

    Biases of convolutions keep PyTorch's own.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            fan_out = module.kernel_size[0] * module.kernel_size[1] * module.out_channels
            nn.init.normal_(module.weight, 0.0, (2.0 / fan_out) ** 0.5)
        elif isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, 0.0, 0.01)
            nn.init.zeros_(module.bias)


def _stem(skeleton: Skeleton, activation: Activation) -> nn.Module:
    kernel, stride = (7, 2) if skeleton.stem == "imagenet" else (3, 1 if skeleton.stem == "cifar" else 2)
    pool = [nn.MaxPool2d(3, 2, padding=1)] if skeleton.stem == "imagenet" else []
    convolution = conv_bn(skeleton.channels, skeleton.stem_width, kernel, stride=stride, relu=False)
    return nn.Sequential(*convolution, activation(), *pool)


def _stage(skeleton: Skeleton, stage: Stage, inputs: int, stride: int) -> nn.Sequential:
    first = _block(skeleton, stage, inputs, stride)
    return nn.Sequential(first, *(_block(skeleton, stage, stage.width, 1) for _ in range(stage.depth - 1)))


def _block(skeleton: Skeleton, stage: Stage, inputs: int, stride: int) -> nn.Module:
    activation = _ACTIVATIONS[skeleton.activation]
    if skeleton.block in _PLAIN_BLOCKS:
        return _PLAIN_BLOCKS[skeleton.block](inputs, stage.width, stride=stride, activation=activation)
    make = linear_bottleneck_block if skeleton.block == "linear" else bottleneck_block
    return make(
        inputs,
        stage.width,
        inner=stage.inner,
        groups=stage.inner // stage.group_width,
        squeeze=squeeze_width(skeleton.squeeze, inputs),
        stride=stride,
        activation=activation,
    )
