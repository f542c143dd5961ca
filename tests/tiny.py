"""Data, spaces and settings so small that a whole search takes a few seconds."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import nn

from palmette.blocks.convolution import conv_bn
from palmette.data.images import Dataset, Images
from palmette.methods.spos import SPOS
from palmette.searches.evolution import EvolutionOptions
from palmette.slots import OneOf
from palmette.space import Space
from palmette.supernets.sliced import Sliced, Width
from palmette.training.recipe import Recipe

WIDTH = 4


def images(count: int, *, shape: tuple[int, int, int] = (1, 8, 8), classes: int = 2, seed: int = 0) -> Images:
    """Return random images, brighter by their class, so that something can be learned of them."""
    labels = torch.arange(count) % classes
    noise = torch.randint(128, (count, *shape), generator=torch.Generator().manual_seed(seed))
    pixels = noise + (labels * (127 // max(1, classes - 1))).view(-1, 1, 1, 1)
    return Images(pixels.to(torch.uint8), labels)


def dataset(
    *,
    shape: tuple[int, int, int] = (1, 8, 8),
    classes: int = 2,
    train: int = 16,
    calibration: int = 12,
    validation: int = 12,
    test: int = 10,
) -> Dataset:
    """Return a data set with so many images in each role."""
    parts = {"train": train, "validation": validation, "calibration": calibration, "test": test}
    made = {
        role: images(count, shape=shape, classes=classes, seed=seed) for seed, (role, count) in enumerate(parts.items())
    }
    statistics = {"mean": (0.4,) * shape[0], "std": (0.25,) * shape[0]}
    return Dataset(name="tiny", classes=tuple(map(str, range(classes))), **made, **statistics)


def network(slots: int = 3) -> nn.Sequential:
    """Return a network with open slots ``a``, ``b``, ... of three options each."""
    options = {
        "k1": partial(conv_bn, WIDTH, WIDTH, 1),
        "k3": partial(conv_bn, WIDTH, WIDTH, 3),
        "skip": nn.Identity,
    }
    middle = [OneOf("abcdefgh"[i], **options) for i in range(slots)]
    return nn.Sequential(conv_bn(1, WIDTH, 3), *middle, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(WIDTH, 2))


def space(slots: int = 3) -> Space:
    """Return the space of ``network``: ``3**slots`` architectures."""
    return Space(partial(network, slots), name="tiny")


def chained(channels: int = 3, groups: int = 2) -> Space:
    """Return a space in which the output width of a layer is the input width of the next, and one has inner widths.

    The third convolution has ``groups``; the inner one stands in one option of a block only.
    """
    a, b, inner = Width("a", (4, 8, 12)), Width("b", (2, 6)), Width("inner", (3, 5, 9))

    def network() -> nn.Module:
        depthwise = Sliced(lambda w: conv_bn(w, w, 3, groups=w), a, inputs=a, outputs=a)
        grouped = Sliced(lambda i, o: nn.Conv2d(i, o, 3, padding=1, groups=groups), a, b, inputs=a, outputs=b)
        norm = Sliced(nn.BatchNorm2d, b, inputs=b, outputs=b)
        narrow = partial(Sliced, lambda i, inner: nn.Sequential(conv_bn(i, inner), conv_bn(inner, i, 3)), b, inner)
        block = OneOf("block", none=nn.Identity, narrow=partial(narrow, inputs=b, outputs=b))
        linear = Sliced(lambda i: nn.Linear(i, 5), b, inputs=b)
        first = Sliced(lambda o: conv_bn(channels, o, 3), a, outputs=a)
        return nn.Sequential(
            first, depthwise, grouped, norm, nn.ReLU(inplace=True), block, nn.AdaptiveAvgPool2d(1), nn.Flatten(), linear
        )

    return Space(network, name="chained")


def spos(*, epochs: int = 2, retraining: int = 2) -> SPOS:
    """Return SPOS with 2 generations of 4 after a first one."""
    return SPOS(
        training=Recipe(epochs=epochs, batch_size=8),
        evolution=EvolutionOptions(population=4, generations=2, parents=3, mutants=2, crossovers=2),
        rank_by="loss",
        retraining=Recipe(epochs=retraining, batch_size=8),
    )


def npz(path: Path, *, train: int = 48, test: int = 16, shape: tuple[int, ...] = (8, 8), classes: int = 2) -> Path:
    """Write a data set as ``--data`` takes it."""
    generator = np.random.default_rng(0)
    arrays = {}
    for part, count in (("train", train), ("test", test)):
        labels = np.arange(count) % classes
        noise = generator.integers(0, 128, (count, *shape))
        brighter = (labels * (127 // max(1, classes - 1))).reshape(-1, *[1] * len(shape))
        arrays |= {f"{part}_x": (noise + brighter).astype(np.uint8), f"{part}_y": labels}
    np.savez(path, **arrays)
    return path


QUICK = (
    *("--limits.flops", "400k", "--threads", "1", "--audit.networks", "6"),
    *("--training.epochs", "2", "--training.batch-size", "16", "--training.warmup-epochs", "0"),
    *("--retraining.epochs", "3", "--retraining.batch-size", "16", "--retraining.warmup-epochs", "0"),
    *("--evolution.population", "4", "--evolution.generations", "2"),
    *("--evolution.mutants", "2", "--evolution.crossovers", "2"),
)
"""Options of ``palmette search`` for a run of seconds."""
