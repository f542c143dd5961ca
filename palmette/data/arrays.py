"""Arrays: labelled images as numpy arrays, checked where they enter, then split into a data set.

Every reader ends here, and so can a caller with arrays of their own. What passes these checks needs none later.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from palmette.data.images import Dataset, Images
from palmette.data.options import Splits
from palmette.data.pictures import resized
from palmette.data.splits import FEWEST_PER_CLASS, Integers, at_most_half, balanced, split
from palmette.errors import DataError

Array = npt.NDArray[Any]  # of any type until checked

TEST_SHARE = 0.2
"""Of the images of a source without a test part; which ones does not depend on the seed of a run."""
NAMED = 5
"""Labels that an error names, at most."""


@dataclass(frozen=True, eq=False)
class Part:
    """Images and labels as they were given."""

    x: Array
    """To be uint8 ``[N, H, W]``, ``[N, H, W, C]`` or, for voxels, ``[N, D, H, W, C]``, with 1 or 3 channels."""
    y: Array
    """To be integers ``[N]`` from 0, without gaps."""


@dataclass(frozen=True, eq=False)
class Arrays:
    """A whole source, unchecked."""

    name: str
    train: Part
    test: Part | None = None
    """Without one, a class-balanced fifth of ``train``, always the same."""
    classes: tuple[str, ...] | None = None
    """A name for each label; by default the labels themselves."""


def from_arrays(arrays: Arrays, *, splits: Splits, seed: int, image_size: int | None = None) -> Dataset:
    """Return the data set of the given arrays.

    Args:
        arrays: the images; left as they are.
        splits: how many images each role gets.
        seed: draws the roles.
        image_size: resize to this height and width, in pixels; by default not at all.

    Raises:
        DataError: arrays that are not labelled images as described, or too few of them for ``splits``.
        MissingExtraError: resizing without Pillow.
    """
    where = f"data {arrays.name!r}"
    classes = _classes(where, arrays)
    train = _images(f"{where}: train", arrays.train, image_size)
    test = None if arrays.test is None else _images(f"{where}: test", arrays.test, image_size)
    _check_class_sizes(where, train, classes, FEWEST_PER_CLASS + (test is None))
    if test is None:
        train, test = _without_fifth(train)
    if test.pixels.shape[1:] != train.pixels.shape[1:]:
        raise DataError(
            f"{where}: train images of shape {_shape(train)} and test images of shape {_shape(test)} were given "
            "(channels, height, width); they must be equal; store both alike, or set image_size (--image-size)"
        )
    return split(train, test, name=arrays.name, classes=classes, splits=splits, seed=seed)


def _images(where: str, part: Part, image_size: int | None) -> Images:
    x = _checked_pixels(where, part.x)
    if len(x) != len(part.y):
        raise DataError(
            f"{where}: {len(x)} images and {len(part.y)} labels were given; there must be one label for each image"
        )
    if image_size is not None:
        x = resized(where, x, image_size)
    labels = torch.from_numpy(part.y.astype(np.int64))
    return Images(torch.from_numpy(x).movedim(-1, 1), labels)


def _checked_pixels(where: str, x: Array) -> npt.NDArray[np.uint8]:
    """Return the pixels as uint8 ``[N, H, W, C]`` (or voxels), without a copy if numpy lets them be written to."""
    if x.ndim not in (3, 4, 5) or 0 in x.shape:
        raise DataError(
            f"{where} images have shape {x.shape}; allowed are (N, H, W) and (N, H, W, C), for voxels (N, D, H, W, C), "
            "none of them 0; reshape the array"
        )
    if x.dtype != np.uint8:
        raise DataError(f"{where} images are {x.dtype}{_float_fault(x)}; allowed is uint8, 0 to 255; {_cure(where, x)}")
    if x.ndim == 3:
        x = x[..., None]
    if x.shape[-1] not in (1, 3):
        cure = "keep one channel or three; voxels need a last axis of one channel"
        if x.ndim == 4 and x.shape[1] in (1, 3):
            cure = f"they look channels-first; store {_key(where, 'x')}.transpose(0, 2, 3, 1)"
        raise DataError(
            f"{where} images have shape {x.shape}, so {x.shape[-1]} channels; allowed are 1 and 3, last: "
            f"(N, H, W, C); {cure}"
        )
    return np.require(x, requirements=["C", "W"])


def _float_fault(x: Array) -> str:
    if np.issubdtype(x.dtype, np.floating) and np.isnan(x).any():
        return f" with NaN in {int(np.isnan(x).reshape(len(x), -1).any(1).sum())} of {len(x)} images"
    return ""


def _cure(where: str, x: Array) -> str:
    key = _key(where, "x")
    if x.dtype == np.bool_:
        return f"store {key}.astype('uint8') * 255"
    if np.issubdtype(x.dtype, np.floating) and x.size:
        first = "replace the NaN, then " if np.isnan(x).any() else ""
        return f"{first}store ({key} * 255).astype('uint8') if the values are from 0 to 1"
    return f"store {key}.astype('uint8') if the values are from 0 to 255"


def _checked_labels(where: str, y: Array) -> Integers:
    """Return the distinct labels, ascending."""
    key = _key(where, "y")
    if y.ndim != 1:
        cure = f"store {key}.ravel()" if y.size == len(y) else f"for one-hot labels store {key}.argmax(1)"
        raise DataError(f"{where} labels have shape {y.shape}; allowed is (N,), one integer for each image; {cure}")
    if not np.issubdtype(y.dtype, np.integer):
        raise DataError(
            f"{where} labels are {y.dtype}; allowed are integers from 0; "
            f"store np.unique({key}, return_inverse=True)[1], numbering train and test alike"
        )
    found = np.unique(y)
    if len(found) and (found[0] < 0 or found[-1] > np.iinfo(np.int32).max):
        wrong = found[0] if found[0] < 0 else found[-1]
        raise DataError(
            f"{where} labels hold {wrong}; allowed are integers from 0 to the number of classes - 1; "
            "number the classes from 0, and leave out images without a label"
        )
    return found.astype(np.int64)


def _classes(where: str, arrays: Arrays) -> tuple[str, ...]:
    """Return a name for each label, after checking the labels of both parts."""
    found = _checked_labels(f"{where}: train", arrays.train.y)
    if len(found) < 2:
        raise DataError(f"{where}: train labels hold {len(found)} class; at least 2 are needed; add images of another")
    names = arrays.classes or tuple(map(str, range(found[-1] + 1)))
    if found[-1] >= len(names):
        raise DataError(
            f"{where}: train labels hold {found[-1]}, with {len(names)} class names; allowed are 0 to "
            f"{len(names) - 1}; name every class"
        )
    missing = np.setdiff1d(np.arange(len(names)), found)
    if len(missing):
        cure = "subtract 1 from all" if missing.tolist() == [0] else "number the classes without gaps"
        listed = ", ".join(repr(names[label]) for label in missing[:NAMED])
        more = f" and {len(missing) - NAMED} more" if len(missing) > NAMED else ""
        raise DataError(
            f"{where}: train labels reach {found[-1]} but no train image is of class {listed}{more}; "
            f"every label from 0 to {len(names) - 1} must occur; {cure}, in train and test alike"
        )
    if arrays.test is not None:
        unknown = np.setdiff1d(_checked_labels(f"{where}: test", arrays.test.y), found)
        if len(unknown):
            raise DataError(
                f"{where}: test labels hold {unknown[0]}, which train does not; allowed are 0 to {len(names) - 1}; "
                "number train and test alike, or leave those test images out"
            )
    return names


def _check_class_sizes(where: str, train: Images, classes: tuple[str, ...], fewest: int) -> None:
    sizes = torch.bincount(train.labels, minlength=len(classes))
    if int(sizes.min()) < fewest:
        roles = "train, validation and test" if fewest > FEWEST_PER_CLASS else "train and validation"
        raise DataError(
            f"{where}: {int(sizes.min())} training images of class {classes[int(sizes.argmin())]!r} were given; "
            f"each class needs at least {fewest}, for {roles}; add images or leave that class out"
        )


def _without_fifth(images: Images) -> tuple[Images, Images]:
    """Return four fifths for training and one for testing, by a fixed seed."""
    labels: Integers = images.labels.numpy()
    count = max(int(labels.max()) + 1, round(TEST_SHARE * len(images)))
    test = balanced(labels, count, np.random.default_rng(0), most=at_most_half(labels))
    train = np.setdiff1d(np.arange(len(images)), test)
    return images.take(torch.from_numpy(train)), images.take(torch.from_numpy(test))


def _key(where: str, axis: str) -> str:
    return f"{where.rsplit(' ', 1)[1]}_{axis}"


def _shape(images: Images) -> tuple[int, ...]:
    return tuple(images.pixels.shape[1:])
