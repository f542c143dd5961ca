"""Npz: four arrays in one numpy file, read without unpickling anything.

Voxels may be packed to bits, as ``numpy.packbits(voxels.reshape(N, -1), axis=1)`` of cubes leaves them.
"""

from __future__ import annotations

import tokenize
import zipfile
import zlib
from pathlib import Path

import numpy as np

from palmette.data.arrays import Array, Arrays, Part
from palmette.errors import DataError, PalmetteError

KEYS = ("train_x", "train_y", "test_x", "test_y")

DAMAGE = (
    *(zipfile.BadZipFile, zlib.error, tokenize.TokenError, OSError, EOFError, MemoryError),
    *(ValueError, TypeError, OverflowError, RuntimeError),
)
"""What reading raises where bytes are not those that were written; RuntimeError: marked as encrypted."""


def read_npz(path: Path) -> Arrays:
    """Return the arrays of a file; ``classes``, an array of names, is optional, other keys are not looked at.

    Raises:
        DataError: not an ``.npz`` file, a damaged one, one without the four arrays, or with pickled objects.
    """
    where = f"data {path.name!r}"
    if not zipfile.is_zipfile(path):
        raise DataError(
            f"{where}: {path} is not an .npz file, or its end is missing; allowed is what numpy.savez writes, with "
            f"{', '.join(KEYS)}; write or copy it again"
        )
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            missing = [key for key in KEYS if key not in archive]
            if missing:
                raise DataError(
                    f"{where}: {', '.join(missing)} is missing; there are {', '.join(archive.files) or 'no arrays'}; "
                    f"needed are {', '.join(KEYS)}; rename or add the arrays"
                )
            arrays = {key: _array(where, archive, key) for key in KEYS}
            classes = _array(where, archive, "classes") if "classes" in archive else None
    except PalmetteError:
        raise
    except DAMAGE as error:
        fault = (str(error).splitlines() or [type(error).__name__])[0]
        raise DataError(f"{where}: the file is damaged ({fault}); write or copy it again") from error
    train = Part(_unpacked(arrays["train_x"]), arrays["train_y"])
    names = None if classes is None else tuple(map(str, classes.ravel()))
    return Arrays(path.stem, train, Part(_unpacked(arrays["test_x"]), arrays["test_y"]), names)


def _unpacked(x: Array) -> Array:
    """Return packed cubes as uint8 ``[N, D, H, W, 1]`` of 0 and 255, and other arrays as they are."""
    side = round((8 * x.shape[1]) ** (1 / 3)) if x.ndim == 2 and x.dtype == np.uint8 else 0
    if not side or -(-(side**3) // 8) != x.shape[1]:
        return x
    bits = np.unpackbits(x, axis=1, count=side**3)
    return bits.reshape(-1, side, side, side, 1) * np.uint8(255)


def _array(where: str, archive: np.lib.npyio.NpzFile, key: str) -> Array:
    try:
        array: Array = archive[key]
    except ValueError as error:
        if "Object arrays" not in str(error):
            raise
        raise DataError(
            f"{where}: {key} holds pickled Python objects, which can run code and are never loaded; allowed are "
            "plain arrays; store uint8 images of one shape and integer labels"
        ) from error
    if not isinstance(array, np.ndarray) or array.ndim == 0:
        raise DataError(f"{where}: {key} is a single value; allowed is an array of one entry for each image")
    return array
