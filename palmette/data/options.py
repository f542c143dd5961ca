"""Options of the data: what can be loaded, how it is split, how it is augmented. No torch here.

The roles are train (weights), validation (architecture decisions), calibration (BatchNorm statistics; a part of
train) and test (reported once, at the end). Validation is held out of the source's training part.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from palmette.errors import DataError, PalmetteError

SOURCES = {
    "digits": "the 8x8 grey digits inside scikit-learn; nothing to download",
    "FILE.npz": "arrays train_x, train_y, test_x, test_y; uint8 [N, H, W] or [N, H, W, C], integer labels from 0; "
    "voxels are [N, D, H, W, 1], or cubes packed to bits [N, bytes]",
    "FOLDER": "images as train/<class>/*.png or *.jpg, and test/<class>/... if there is a test part; "
    "or text as *train*.txt, *valid*.txt and *test*.txt, gzipped or not, one sentence per line",
    "help-topics": "the text of Python's own help pages, for recurrent spaces; nothing to download",
    "FILE.parquet": "a column of images and one of labels; or a folder of train*.parquet and test*.parquet",
    "hub:NAME": "an image classification data set of the Hugging Face hub; hub:NAME:COLUMN names its labels",
}
"""What ``load`` takes, with a line on each."""

LARGEST_DEFAULT_VALIDATION = 5000
ENOUGH_VALIDATION = 500
"""Fewer images tell good architectures apart badly."""


@dataclass(frozen=True, kw_only=True)
class Splits:
    """How many images, or tokens of text, each role gets; images are class-balanced as far as the classes reach."""

    validation: int | float | None = None
    """Images held out of the training part: a number, or a fraction up to 0.5.

    By default 10%, at most 5000, and of small data up to 500 but no more than a quarter."""
    calibration: int = 1280
    """Most images of train that BatchNorm statistics are recomputed on."""
    train: int | None = None
    """Use only so many images of the training part, validation included; by default all."""
    test: int | None = None
    """Use only so many images of the test part; by default all."""
    words: int | None = None
    """Of text, keep only so many words, the most frequent, the others are <unk>; by default all that train has."""

    def __post_init__(self) -> None:
        for name in ("calibration", "train", "test"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise DataError(f"splits: {name} = {value} was given; allowed are numbers of images from 1")
        if self.words is not None and self.words < 2:
            raise DataError(f"splits: words = {self.words} was given; allowed are numbers of words from 2")
        if self.validation is not None:
            low, high = (0.0, 0.5) if isinstance(self.validation, float) else (0, math.inf)
            if not low < self.validation <= high:
                raise DataError(
                    f"splits: validation = {self.validation} was given; "
                    "allowed are a number of images from 1, or a fraction above 0 and up to 0.5"
                )

    def validation_size(self, images: int, classes: int) -> int:
        """Return how many of ``images`` training images are held out; by default at least one of each class."""
        if self.validation is None:
            small = min(images // 4, ENOUGH_VALIDATION)
            return max(classes, small, min(images // 10, LARGEST_DEFAULT_VALIDATION))
        return round(self.validation * images) if isinstance(self.validation, float) else self.validation


@dataclass(frozen=True)
class Augmentation:
    """Random changes of the training images; by default none."""

    pad: int = 0
    """Zeros added on each side, in pixels, before a random crop of the original size."""
    flip: bool = False
    """Mirror left to right every second time."""
    cutout: int = 0
    """Side in pixels of a square set to zero around a random centre (DeVries & Taylor, 2017)."""

    def __post_init__(self) -> None:
        for name in ("pad", "cutout"):
            if getattr(self, name) < 0:
                raise PalmetteError(f"augmentation: {name} = {getattr(self, name)} was given; it must be at least 0")
