"""The table of spaces: what the command line calls each, how it is built, and the settings it is searched with.

No torch until something is built.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from palmette.cli import space_builders
from palmette.errors import DataError, PalmetteError
from palmette.methods.spos import SPOS
from palmette.recipes import memory_bank as memory_bank_recipes
from palmette.recipes.darts import darts as darts_recipe
from palmette.recipes.darts import darts_imagenet as darts_imagenet_recipe
from palmette.recipes.darts import darts_small as darts_small_recipe
from palmette.recipes.enas import enas_macro as enas_macro_recipe
from palmette.recipes.enas import enas_micro as enas_micro_recipe
from palmette.recipes.enas import enas_small as enas_small_recipe
from palmette.recipes.fbnet import fbnet as fbnet_recipe
from palmette.recipes.fbnet import small_mobile as small_mobile_recipe
from palmette.recipes.mobile_choice import fair_mobile as fair_mobile_recipe
from palmette.recipes.mobile_choice import greedy_mobile as greedy_mobile_recipe
from palmette.recipes.nas_bench_201 import nas_bench_201 as nas_bench_201_recipe
from palmette.recipes.nas_bench_macro import nas_bench_macro as nas_bench_macro_recipe
from palmette.recipes.proxyless import proxyless as proxyless_recipe
from palmette.recipes.recurrent import darts_recurrent, enas_recurrent, small_recurrent
from palmette.recipes.resnet_bits import resnet_bits as resnet_bits_recipe
from palmette.recipes.shuffle_choice import shuffle_channels as shuffle_channels_recipe
from palmette.recipes.shuffle_choice import shuffle_choice as shuffle_choice_recipe
from palmette.recipes.small_images import small_bits as small_bits_recipe
from palmette.recipes.small_images import small_images as small_images_recipe
from palmette.recipes.small_images import small_widths as small_widths_recipe

if TYPE_CHECKING:
    from palmette.data.text import Data
    from palmette.space import Space

T = TypeVar("T")


@dataclass(frozen=True)
class NamedSpace:
    """A space as the command line offers it."""

    title: str
    paper: str
    input_shape: tuple[int, ...]
    """Channels, height and width (of voxels depth first) that costs are counted at without data; of text ``(1,)``."""
    classes: int
    build: Callable[[int, int], Space]
    """``(classes, channels) -> Space``; of text the classes are the words, and channels play no part."""
    spos: Callable[[], SPOS]
    """The settings it is searched with; other methods take over what they share with it."""
    threads: int = 0
    """CPU threads it is best searched with; 0 leaves the choice to PyTorch."""
    validation: float | None = None
    """Share of the training images that a search decides with, where its paper has one; see ``Splits``."""

    def check_data(self, data: Data) -> None:
        """Raise DataError where images are given for a space of language models, or text for one of images."""
        if len(data.input_shape) != len(self.input_shape):
            given, wanted = ("text", "images") if len(self.input_shape) > 1 else ("images", "text")
            raise DataError(f"data {data.name!r}: {given} was given, and the space takes {wanted}; see 'palmette data'")

    def shape_at(self, shape: tuple[int, ...], resolution: int | None) -> tuple[int, ...]:
        """Return an input shape at another height and width; text has none."""
        if resolution is not None and len(shape) == 1:
            raise PalmetteError(f"resolution = {resolution} was given for a space of language models; leave it out")
        return shape if resolution is None else (shape[0], resolution, resolution)


def named(table: Mapping[str, T], name: str, what: str) -> T:
    """Return the entry, or say in one line what there is."""
    if name not in table:
        near = difflib.get_close_matches(name, table, n=1)
        cure = f"; did you mean {near[0]!r}?" if near else f"; 'palmette {what}s' describes them"
        raise PalmetteError(f"unknown {what} {name!r}; allowed are {', '.join(table)}{cure}")
    return table[name]


_ENAS = "Pham et al., Efficient Neural Architecture Search via Parameter Sharing, ICML 2018"
_DARTS = "Liu et al., DARTS: Differentiable Architecture Search, ICLR 2019"
SMASH_PAPER = "Brock et al., SMASH: One-Shot Model Architecture Search through HyperNetworks, ICLR 2018"

SPACES = {
    "enas-recurrent": NamedSpace(
        "language models of 750 units, their recurrent cell a graph of 12 nodes",
        _ENAS,
        (1,),
        10_000,
        space_builders.enas_recurrent,
        enas_recurrent,
    ),
    "enas-recurrent-small": NamedSpace(
        "the same with 6 nodes and 64 units, for minutes on a CPU",
        _ENAS,
        (1,),
        10_000,
        space_builders.enas_recurrent_small,
        small_recurrent,
        threads=1,
    ),
    "darts-recurrent": NamedSpace(
        "language models whose recurrent cell has 8 nodes after a first of tanh",
        _DARTS,
        (1,),
        10_000,
        space_builders.darts_recurrent,
        darts_recurrent,
    ),
    "darts-recurrent-small": NamedSpace(
        "the same with 5 nodes and 64 units, for minutes on a CPU",
        _DARTS,
        (1,),
        10_000,
        space_builders.darts_recurrent_small,
        small_recurrent,
        threads=1,
    ),
    "small-images": NamedSpace(
        "6 layers of plain or inverted-residual convolutions, for images of 8x8 to 32x32",
        "this library's default",
        (1, 8, 8),
        10,
        space_builders.small_images,
        small_images_recipe,
        threads=1,  # layers this small gain little from a second one, and lose much where another process needs it
    ),
    "small-widths": NamedSpace(
        "6 convolutions of 5 widths each, for images of 8x8 to 32x32",
        "this library's, after the channel search of Guo et al., ECCV 2020",
        (1, 8, 8),
        10,
        space_builders.small_widths,
        small_widths_recipe,
        threads=1,
    ),
    "small-bits": NamedSpace(
        "4 residual blocks of 6 pairs of bits and 3 inner widths each, for images of 8x8 to 32x32",
        "this library's, after the mixed-precision search of Guo et al., ECCV 2020",
        (1, 8, 8),
        10,
        space_builders.small_bits,
        small_bits_recipe,
        threads=1,
    ),
    "nas-bench-macro": NamedSpace(
        "8 layers of MobileNetV2 blocks, with a public table of true CIFAR-10 accuracies",
        "Su et al., Prioritized Architecture Sampling with Monto-Carlo Tree Search, CVPR 2021",
        (3, 32, 32),
        10,
        space_builders.nas_bench_macro,
        nas_bench_macro_recipe,
    ),
    "nas-bench-201": NamedSpace(
        "one cell of 6 edges with 5 operations, 15 times, with a public table of true CIFAR-10 accuracies",
        "Dong & Yang, NAS-Bench-201: Extending the Scope of Reproducible Neural Architecture Search, ICLR 2020",
        (3, 32, 32),
        10,
        space_builders.nas_bench_201,
        nas_bench_201_recipe,
    ),
    "shuffle-choice": NamedSpace(
        "20 ShuffleNetV2 choice blocks of 4 kinds, for 224x224 images",
        "Guo et al., Single Path One-Shot Neural Architecture Search with Uniform Sampling, ECCV 2020",
        (3, 224, 224),
        1000,
        space_builders.shuffle_choice,
        shuffle_choice_recipe,
    ),
    "shuffle-channels": NamedSpace(
        "20 ShuffleNetV2 blocks with three depthwise convolutions and 10 inner widths each, for 224x224 images",
        "Guo et al., Single Path One-Shot Neural Architecture Search with Uniform Sampling, ECCV 2020",
        (3, 224, 224),
        1000,
        space_builders.shuffle_channels,
        shuffle_channels_recipe,
    ),
    "shuffle-joint": NamedSpace(
        "20 ShuffleNetV2 choice blocks of 4 kinds and 10 inner widths, for 224x224 images",
        "Guo et al., Single Path One-Shot Neural Architecture Search with Uniform Sampling, ECCV 2020",
        (3, 224, 224),
        1000,
        space_builders.shuffle_joint,
        shuffle_channels_recipe,
    ),
    "resnet18-bits": NamedSpace(
        "ResNet-18 with bits and inner width of its 8 residual blocks open, for 224x224 images",
        "Guo et al., Single Path One-Shot Neural Architecture Search with Uniform Sampling, ECCV 2020",
        (3, 224, 224),
        1000,
        space_builders.resnet18_bits,
        resnet_bits_recipe,
    ),
    "resnet34-bits": NamedSpace(
        "ResNet-34 with bits and inner width of its 16 residual blocks open, for 224x224 images",
        "Guo et al., Single Path One-Shot Neural Architecture Search with Uniform Sampling, ECCV 2020",
        (3, 224, 224),
        1000,
        space_builders.resnet34_bits,
        resnet_bits_recipe,
    ),
    "greedy-mobile": NamedSpace(
        "21 layers of MobileNetV2 blocks of 6 kinds, or none, for 224x224 images",
        "You et al., GreedyNAS: Towards Fast One-Shot NAS with Greedy Supernet, CVPR 2020",
        (3, 224, 224),
        1000,
        space_builders.greedy_mobile,
        greedy_mobile_recipe,
    ),
    "greedy-mobile-se": NamedSpace(
        "the same with and without squeeze-and-excitation, 13 options per layer",
        "You et al., GreedyNAS: Towards Fast One-Shot NAS with Greedy Supernet, CVPR 2020",
        (3, 224, 224),
        1000,
        space_builders.greedy_mobile_se,
        greedy_mobile_recipe,
    ),
    "fair-mobile": NamedSpace(
        "19 layers of MobileNetV2 blocks of 6 kinds, for 224x224 images",
        "Chu et al., FairNAS: Rethinking Evaluation Fairness of Weight Sharing NAS, ICCV 2021",
        (3, 224, 224),
        1000,
        space_builders.fair_mobile,
        fair_mobile_recipe,
    ),
    "fbnet": NamedSpace(
        "22 layers of inverted residuals of 8 kinds, or none, for 224x224 images",
        "Wu et al., FBNet: Hardware-Aware Efficient ConvNet Design via Differentiable NAS, CVPR 2019",
        (3, 224, 224),
        1000,
        space_builders.fbnet,
        fbnet_recipe,
    ),
    "fbnet-small": NamedSpace(
        "the same with strides for 32x32 images",
        "Wu et al., FBNet: Hardware-Aware Efficient ConvNet Design via Differentiable NAS, CVPR 2019",
        (3, 32, 32),
        10,
        space_builders.fbnet_small,
        small_mobile_recipe,
    ),
    "fbnet-v2": NamedSpace(
        "17 layers of inverted residuals of 4 kinds, with widths and expansions, for 224x224 images",
        "Wan et al., FBNetV2: Differentiable NAS for Spatial and Channel Dimensions, CVPR 2020",
        (3, 224, 224),
        1000,
        space_builders.fbnet_v2,
        fbnet_recipe,
    ),
    "fbnet-v2-small": NamedSpace(
        "5 layers of 2 kinds, with widths, expansions and 2 resolutions, for 8x8 images",
        "Wan et al., FBNetV2: Differentiable NAS for Spatial and Channel Dimensions, CVPR 2020",
        (1, 8, 8),
        10,
        space_builders.fbnet_v2_small,
        small_images_recipe,
        threads=1,
    ),
    "proxyless": NamedSpace(
        "21 layers of MobileNetV2 blocks of 6 kinds, or none, for 224x224 images",
        "Cai et al., ProxylessNAS: Direct Neural Architecture Search on Target Task and Hardware, ICLR 2019",
        (3, 224, 224),
        1000,
        space_builders.proxyless,
        proxyless_recipe,
    ),
    "proxyless-small": NamedSpace(
        "the same with strides for 32x32 images",
        "Cai et al., ProxylessNAS: Direct Neural Architecture Search on Target Task and Hardware, ICLR 2019",
        (3, 32, 32),
        10,
        space_builders.proxyless_small,
        small_mobile_recipe,
    ),
    "darts": NamedSpace(
        "a normal and a reduction cell of 7 operations, searched in 8 cells and trained in 20",
        "Liu et al., DARTS: Differentiable Architecture Search, ICLR 2019",
        (3, 32, 32),
        10,
        space_builders.darts,
        darts_recipe,
        validation=0.5,
    ),
    "darts-imagenet": NamedSpace(
        "the same cells for 224x224 images, trained in a network of 14",
        "Liu et al., DARTS: Differentiable Architecture Search, ICLR 2019",
        (3, 224, 224),
        1000,
        space_builders.darts_imagenet,
        darts_imagenet_recipe,
    ),
    "darts-small": NamedSpace(
        "the same cells in networks that a CPU trains, 3 cells in the search and 5 in the end",
        "this library, after DARTS",
        (3, 32, 32),
        10,
        space_builders.darts_small,
        darts_small_recipe,
        validation=0.5,
    ),
    "memory-bank": NamedSpace(
        "3 blocks of ops that read and write memory banks, for 32x32 images",
        SMASH_PAPER,
        (3, 32, 32),
        10,
        space_builders.memory_bank,
        memory_bank_recipes.cifar,
    ),
    "memory-bank-small": NamedSpace(
        "the same with a small budget, for 8x8 to 32x32 images on a CPU",
        SMASH_PAPER,
        (1, 8, 8),
        10,
        space_builders.memory_bank_small,
        memory_bank_recipes.small,
        threads=1,
    ),
    "memory-bank-voxels": NamedSpace(
        "the same for voxels, with kernels of 3x3x3",
        SMASH_PAPER,
        (1, 30, 30, 30),
        10,
        space_builders.memory_bank_voxels,
        memory_bank_recipes.modelnet10,
    ),
    "enas-macro": NamedSpace(
        "12 layers of 6 operations, any of the skip connections between them, for 32x32 images",
        _ENAS,
        (3, 32, 32),
        10,
        space_builders.enas_macro,
        enas_macro_recipe,
    ),
    "enas-macro-small": NamedSpace(
        "the same with 6 layers of 16 channels, for images of 8x8 to 32x32",
        _ENAS,
        (3, 32, 32),
        10,
        space_builders.enas_macro_small,
        enas_small_recipe,
    ),
    "enas-micro": NamedSpace(
        "a normal and a reduction cell of 5 nodes, each with two inputs and operations, for 32x32 images",
        _ENAS,
        (3, 32, 32),
        10,
        space_builders.enas_micro,
        enas_micro_recipe,
    ),
    "enas-micro-small": NamedSpace(
        "the same with 3 nodes, 5 cells and 8 channels, for images of 8x8 to 32x32",
        _ENAS,
        (3, 32, 32),
        10,
        space_builders.enas_micro_small,
        enas_small_recipe,
    ),
}
