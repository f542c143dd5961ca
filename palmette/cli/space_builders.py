"""How the named spaces are built, ``(classes, channels) -> Space``; torch is imported only when one is.

Of text the classes are the words, and channels play no part.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from palmette.space import Space


def small_images(classes: int, channels: int) -> Space:
    from palmette.spaces.small_images import small_images

    return small_images(classes=classes, channels=channels)


def nas_bench_macro(classes: int, channels: int) -> Space:
    from palmette.spaces.nas_bench_macro import nas_bench_macro

    return nas_bench_macro(classes=classes, channels=channels)


def nas_bench_201(classes: int, channels: int) -> Space:
    from palmette.spaces.nas_bench_201 import nas_bench_201

    return nas_bench_201(classes=classes, channels=channels)


def shuffle_choice(classes: int, channels: int) -> Space:
    from palmette.spaces.shuffle_choice import shuffle_choice

    return shuffle_choice(classes=classes, channels=channels)


def shuffle_channels(classes: int, channels: int) -> Space:
    from palmette.spaces.shuffle_channels import shuffle_channels

    return shuffle_channels(classes=classes, channels=channels)


def shuffle_joint(classes: int, channels: int) -> Space:
    from palmette.spaces.shuffle_channels import shuffle_joint

    return shuffle_joint(classes=classes, channels=channels)


def small_widths(classes: int, channels: int) -> Space:
    from palmette.spaces.small_widths import small_widths

    return small_widths(classes=classes, channels=channels)


def resnet18_bits(classes: int, channels: int) -> Space:
    from palmette.spaces.resnet_bits import resnet_bits

    return resnet_bits(18, classes=classes, channels=channels)


def resnet34_bits(classes: int, channels: int) -> Space:
    from palmette.spaces.resnet_bits import resnet_bits

    return resnet_bits(34, classes=classes, channels=channels)


def small_bits(classes: int, channels: int) -> Space:
    from palmette.spaces.resnet_bits import small_bits

    return small_bits(classes=classes, channels=channels)


def greedy_mobile(classes: int, channels: int) -> Space:
    from palmette.spaces.mobile_choice import greedy_mobile

    return greedy_mobile(classes=classes, channels=channels)


def greedy_mobile_se(classes: int, channels: int) -> Space:
    from palmette.spaces.mobile_choice import greedy_mobile_se

    return greedy_mobile_se(classes=classes, channels=channels)


def fair_mobile(classes: int, channels: int) -> Space:
    from palmette.spaces.mobile_choice import fair_mobile

    return fair_mobile(classes=classes, channels=channels)


def fbnet(classes: int, channels: int) -> Space:
    from palmette.spaces.fbnet import fbnet

    return fbnet(classes=classes, channels=channels)


def fbnet_small(classes: int, channels: int) -> Space:
    from palmette.spaces.fbnet import fbnet_small

    return fbnet_small(classes=classes, channels=channels)


def fbnet_v2(classes: int, channels: int) -> Space:
    from palmette.spaces.fbnet_v2 import fbnet_v2

    return fbnet_v2(classes=classes, channels=channels)


def fbnet_v2_small(classes: int, channels: int) -> Space:
    from palmette.spaces.fbnet_v2 import fbnet_v2_small

    return fbnet_v2_small(classes=classes, channels=channels)


def proxyless(classes: int, channels: int) -> Space:
    from palmette.spaces.proxyless import proxyless

    return proxyless(classes=classes, channels=channels)


def proxyless_small(classes: int, channels: int) -> Space:
    from palmette.spaces.proxyless import proxyless_small

    return proxyless_small(classes=classes, channels=channels)


def memory_bank(classes: int, channels: int) -> Space:
    from palmette.spaces.memory_bank import memory_bank

    return memory_bank(classes=classes, channels=channels)


def memory_bank_small(classes: int, channels: int) -> Space:
    from palmette.spaces.memory_bank import small_memory_bank

    return small_memory_bank(classes=classes, channels=channels)


def memory_bank_voxels(classes: int, channels: int) -> Space:
    from palmette.spaces.memory_bank import voxel_memory_bank

    return voxel_memory_bank(classes=classes, channels=channels)


def darts(classes: int, channels: int) -> Space:
    from palmette.spaces.darts import darts

    return darts(classes=classes, channels=channels)


def darts_imagenet(classes: int, channels: int) -> Space:
    from palmette.spaces.darts import darts_imagenet

    return darts_imagenet(classes=classes, channels=channels)


def darts_small(classes: int, channels: int) -> Space:
    from palmette.spaces.darts import darts_small

    return darts_small(classes=classes, channels=channels)


def enas_recurrent(words: int, channels: int) -> Space:
    from palmette.spaces.recurrent_cell import enas_cells

    return enas_cells(words)


def enas_recurrent_small(words: int, channels: int) -> Space:
    from palmette.spaces.recurrent_cell import SMALL, enas_cells

    return enas_cells(words, SMALL, name="enas-recurrent-small")


def darts_recurrent(words: int, channels: int) -> Space:
    from palmette.spaces.recurrent_cell import darts_cells

    return darts_cells(words)


def darts_recurrent_small(words: int, channels: int) -> Space:
    from palmette.spaces.recurrent_cell import SMALL, darts_cells

    return darts_cells(words, SMALL, name="darts-recurrent-small")


def enas_macro(classes: int, channels: int) -> Space:
    from palmette.spaces.enas_macro import enas_macro

    return enas_macro(classes=classes, channels=channels)


def enas_macro_small(classes: int, channels: int) -> Space:
    from palmette.spaces.enas_macro import enas_macro

    return enas_macro(classes=classes, channels=channels, layers=6, filters=16)


def enas_micro(classes: int, channels: int) -> Space:
    from palmette.spaces.enas_micro import FINAL, enas_micro

    return enas_micro(classes=classes, channels=channels, final=FINAL)


def enas_micro_small(classes: int, channels: int) -> Space:
    from palmette.spaces.enas_micro import Network, enas_micro

    return enas_micro(classes=classes, channels=channels, nodes=5, searched=Network(cells=3, filters=8))
