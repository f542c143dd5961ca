"""Data: ``digits()``, ``load(source)`` and ``from_numpy(...)``; what they return is in ``images.py``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from palmette.data.options import Splits

if TYPE_CHECKING:
    from palmette.data.arrays import Array
    from palmette.data.images import Dataset


def digits(*, seed: int = 0) -> Dataset:
    """Return the 1,797 digits of 8x8 pixels that scikit-learn carries, split into the four roles."""
    return load("digits", seed=seed)


def load(source: str, *, splits: Splits | None = None, seed: int = 0, image_size: int | None = None) -> Dataset:
    """Return a data set from ``digits``, an ``.npz`` file, a folder of images, a Parquet file or ``hub:NAME``.

    Raises:
        DataError: whatever cannot be used as given.
    """
    from palmette.data import sources  # torch is imported only here

    return sources.load(source, splits=splits or Splits(), seed=seed, image_size=image_size)


def from_numpy(
    train_x: Array, train_y: Array, test_x: Array | None = None, test_y: Array | None = None, *, seed: int = 0
) -> Dataset:
    """Return a data set from arrays in memory, as an ``.npz`` file would hold them.

    Args:
        train_x: uint8 ``[N, H, W]`` or ``[N, H, W, C]`` with 1 or 3 channels.
        train_y: integers ``[N]`` from 0, without gaps.
        test_x: likewise; without a test part a class-balanced fifth of train is held out.
        test_y: likewise.
        seed: draws search-validation and calibration out of train.

    Raises:
        DataError: whatever cannot be used as given.
    """
    from palmette.data.arrays import Arrays, Part, from_arrays

    test = None if test_x is None or test_y is None else Part(test_x, test_y)
    return from_arrays(Arrays("arrays", Part(train_x, train_y), test), splits=Splits(), seed=seed)
