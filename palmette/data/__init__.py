"""Data: ``digits()`` and ``load(source)``; what they return is in ``images.py``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from palmette.data.options import Splits

if TYPE_CHECKING:
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
