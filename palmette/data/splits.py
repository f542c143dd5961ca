"""Splits: a training and a test part, divided into the four roles, class by class.

Validation is held out of the training part, what remains is train, calibration is drawn from train, and test is
left alone. All of it is a function of the labels, the options and the seed.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from palmette.data.images import Dataset, Images
from palmette.data.options import Splits
from palmette.errors import DataError, PalmetteError

Integers = npt.NDArray[np.int64]

FEWEST_PER_CLASS = 2
"""Training images that every class needs: one for train, one for validation."""
CHUNK = 1024
"""Images whose pixels are counted at a time."""


def split(train: Images, test: Images, *, name: str, classes: tuple[str, ...], splits: Splits, seed: int) -> Dataset:
    """Return the data set with its four roles.

    Validation, calibration and limited parts come in rounds of one image of every class, so any stretch of them is
    class-balanced too. No class gives more than half of its training images to validation.

    Raises:
        DataError: too few images for what ``splits`` asks; or a channel that has the same value everywhere.
        PalmetteError: a negative seed.
    """
    if seed < 0:
        raise PalmetteError(f"data {name!r}: seed = {seed} was given; allowed are integers from 0")
    generator = np.random.default_rng(seed)
    train = _limited(train, splits.train, f"data {name!r}: train", generator)
    test = _limited(test, splits.test, f"data {name!r}: test", generator)
    held_out = _held_out(name, train, classes, splits, generator)
    rest = np.setdiff1d(np.arange(len(train)), held_out)
    trained = train.take(torch.from_numpy(rest))
    calibration = balanced(_labels(trained), min(splits.calibration, len(trained)), generator)
    mean, std = channel_statistics(trained, name)
    return Dataset(
        name=name,
        train=trained,
        validation=train.take(torch.from_numpy(held_out)),
        calibration=trained.take(torch.from_numpy(calibration)),
        test=Images(test.pixels.contiguous(), test.labels),
        classes=classes,
        mean=mean,
        std=std,
    )


def balanced(labels: Integers, count: int, generator: np.random.Generator, *, most: Integers | None = None) -> Integers:
    """Return the indices of ``count`` images, drawn in rounds of one image of every class that still has some.

    Args:
        labels: class indices, int64 ``[N]``.
        count: how many; at most ``N``, or the sum of ``most``.
        generator: draws which images of a class.
        most: the largest number of images of each class, int64 ``[classes]``; by default all.
    """
    order = generator.permutation(len(labels))
    order = order[np.argsort(labels[order], kind="stable")]
    sizes = np.bincount(labels)
    rounds = np.arange(len(labels)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    if most is not None:
        allowed = rounds < most[labels[order]]
        order, rounds = order[allowed], rounds[allowed]
    return order[np.argsort(rounds, kind="stable")][:count]


def at_most_half(labels: Integers) -> Integers:
    """Return how many images of each class may be held out so that at least half remain, int64 ``[classes]``.

    An odd image goes to the held-out half, except the only one of its class.
    """
    sizes = np.bincount(labels)
    return np.minimum((sizes + 1) // 2, np.maximum(sizes - 1, 0))


def channel_statistics(images: Images, name: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return the mean and the standard deviation of each channel, with pixels from 0 to 1.

    Raises:
        DataError: a channel of data set ``name`` has the same value everywhere.
    """
    channels = images.pixels.shape[1]
    counts = torch.zeros(channels, 256, dtype=torch.float64)
    for start in range(0, len(images), CHUNK):
        chunk = images.pixels[start : start + CHUNK]
        for channel in range(channels):
            counts[channel] += torch.bincount(chunk[:, channel].flatten(), minlength=256).cpu()
    values = torch.arange(256, dtype=torch.float64) / 255
    shares = counts / counts.sum(1, keepdim=True)
    mean = shares @ values
    variance = (shares * (values - mean[:, None]) ** 2).sum(1)
    for channel in range(channels):
        if (counts[channel] > 0).sum() == 1:
            raise DataError(
                f"data {name!r}: channel {channel} of {channels} has the same value in every training image; "
                "each channel must vary; store the images without it"
            )
    return tuple(mean.tolist()), tuple(variance.sqrt().tolist())


def _held_out(
    name: str, train: Images, classes: tuple[str, ...], splits: Splits, generator: np.random.Generator
) -> Integers:
    """Return the indices of the validation images, or say what is missing."""
    labels = _labels(train)
    sizes = np.bincount(labels, minlength=len(classes))
    if sizes.min() < FEWEST_PER_CLASS:
        limit = f"; raise splits.train from {splits.train}" if splits.train else "; add images or leave that class out"
        raise DataError(
            f"data {name!r}: {sizes.min()} training images of class {classes[sizes.argmin()]!r} were given; "
            f"each class needs at least {FEWEST_PER_CLASS}, for train and for validation{limit}"
        )
    count, most = splits.validation_size(len(labels), len(classes)), at_most_half(labels)
    if count < len(classes):
        raise DataError(
            f"data {name!r}: validation = {count} images were asked for; the {len(classes)} classes need at least "
            f"{len(classes)}, one each; raise splits.validation"
        )
    if count > most.sum():
        raise DataError(
            f"data {name!r}: validation = {count} images were asked for, which needs {2 * count} training images or "
            f"more; there are {len(labels)}, so at most {most.sum()} can be held out; lower splits.validation"
        )
    return balanced(labels, count, generator, most=most)


def _limited(images: Images, limit: int | None, where: str, generator: np.random.Generator) -> Images:
    if limit is None:
        return images
    if limit > len(images):
        raise DataError(f"{where} = {limit} images were asked for; there are {len(images)}; lower it or leave it out")
    return images.take(torch.from_numpy(balanced(_labels(images), limit, generator)))


def _labels(images: Images) -> Integers:
    labels: Integers = images.labels.cpu().numpy()
    return labels
