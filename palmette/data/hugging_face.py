"""Hugging Face: Parquet files and data sets of the hub, read with the ``datasets`` library.

Only data is read: loading scripts, which older versions of the library could run, are refused.
"""

from __future__ import annotations

import glob
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from palmette.data.arrays import Arrays, Part
from palmette.data.pictures import stacked
from palmette.errors import DataError, MissingExtraError, PalmetteError

Rows = Any  # datasets.Dataset or datasets.IterableDataset, of a library that may be missing

IMAGE_COLUMNS = ("image", "img")
LABEL_COLUMNS = ("label", "labels", "fine_label")
TEST_PARTS = ("test", "validation")
"""Which part is the test part: the first of these that there is."""


def read_parquet(path: Path, image_size: int | None) -> Arrays:
    """Return the images of one Parquet file, or of a folder whose files are named ``train*``, ``test*``.

    Raises:
        DataError: files that cannot be read, or without a column of images and one of labels.
        MissingExtraError: ``datasets`` is missing.
    """
    where = f"data {path.name!r}"
    files = {name: [glob.escape(str(file)) for file in part] for name, part in _parquet_parts(where, path).items()}
    library = _datasets(where)
    with _explained(where):
        parts = library.load_dataset("parquet", data_files=files, streaming=True)  # streaming leaves no copy on disk
        return _arrays(where, path.stem, parts, None, image_size)


def read_hub(name: str, label_column: str | None, image_size: int | None) -> Arrays:
    """Return a data set of the hub, or of the library's cache if ``HF_HUB_OFFLINE`` is set.

    Raises:
        DataError: a data set that cannot be had, or without a column of images and one of labels.
        MissingExtraError: ``datasets`` is missing.
    """
    where = f"data 'hub:{name}'"
    library = _datasets(where)
    with _explained(where):
        parts = library.load_dataset(name, trust_remote_code=False)
        return _arrays(where, f"hub:{name}", parts, label_column, image_size)


def _datasets(where: str) -> Any:
    try:
        import datasets
    except ImportError as error:
        raise MissingExtraError(
            f"{where}: this needs the datasets library ({error}); pip install palmette[datasets]"
        ) from None
    return datasets


@contextmanager
def _explained(where: str) -> Iterator[None]:
    """Turn what the library raises into one line."""
    try:
        yield
    except PalmetteError:
        raise
    except (OSError, ValueError, RuntimeError, _datasets(where).exceptions.DatasetsError) as error:
        lines = str(error).splitlines() or [type(error).__name__]
        raise DataError(
            f"{where}: it cannot be read ({lines[0]}); allowed are whole Parquet files and data sets of images that "
            "the hub or the library's cache has; check the name, the network and the files"
        ) from error


def _parquet_parts(where: str, path: Path) -> dict[str, list[Path]]:
    """Return the files of each part, by the word that a file's name begins with; a single file is all train."""
    if path.is_file():
        return {"train": [path]}
    parts: dict[str, list[Path]] = {}
    for file in sorted(path.rglob("*.parquet")):
        parts.setdefault(re.split(r"[^a-z]", file.name.lower())[0], []).append(file)
    unknown = [name for name in parts if name not in ("train", *TEST_PARTS)]
    if unknown or "train" not in parts:
        raise DataError(
            f"{where}: Parquet files named {', '.join(f'{name}*' for name in parts)} were given; allowed are train*, "
            "which is needed, test* and validation*; rename the files, or give one file"
        )
    return parts


def _arrays(where: str, name: str, parts: Mapping[str, Rows], label: str | None, image_size: int | None) -> Arrays:
    if "train" not in parts:
        raise DataError(
            f"{where}: there is no part 'train', but {', '.join(parts)}; a training part is needed; name one so"
        )
    test = next((part for part in TEST_PARTS if part in parts), None)
    features = parts["train"].features
    image = _image_column(where, features)
    label = _label_column(where, features, label)
    classes = getattr(features[label], "names", None)
    origin = "" if test == "test" else f" (test: {'a fifth of train' if test is None else f'its {test} part'})"
    return Arrays(
        name + origin,
        train=_part(where, parts["train"], image, label, image_size),
        test=None if test is None else _part(where, parts[test], image, label, image_size),
        classes=None if classes is None else tuple(classes),
    )


def _part(where: str, rows: Rows, image: str, label: str, image_size: int | None) -> Part:
    """Decode one part; Pillow reads the files, so that an error can name the row."""
    rows = rows.select_columns([image, label]).cast_column(image, _datasets(where).Image(decode=False))
    labels: list[int] = []

    def pictures() -> Iterator[tuple[str, Path | bytes]]:
        for number, row in enumerate(rows):
            labels.append(row[label])
            stored = row[image] or {}
            name = f"row {number} ({stored.get('path') or 'no file name'})"
            if not stored.get("bytes") and not stored.get("path"):
                raise DataError(f"{where}: {name} has no image; each row needs one; leave that row out")
            yield name, stored.get("bytes") or Path(stored["path"])

    return Part(stacked(where, pictures(), image_size), np.array(labels))


def _image_column(where: str, features: Mapping[str, Any]) -> str:
    columns = [name for name, kind in features.items() if isinstance(kind, _datasets(where).Image)]
    named = [name for name in IMAGE_COLUMNS if name in features]
    if len(columns) != 1 and not named:
        raise DataError(
            f"{where}: the columns are {', '.join(features)}; allowed is one column of images, or one of encoded image "
            f"files named {' or '.join(IMAGE_COLUMNS)}; rename it"
        )
    return columns[0] if len(columns) == 1 else named[0]


def _label_column(where: str, features: Mapping[str, Any], given: str | None) -> str:
    columns = [name for name, kind in features.items() if isinstance(kind, _datasets(where).ClassLabel)]
    named = [given] if given else [name for name in LABEL_COLUMNS if name in features]
    if given not in (None, *features) or (not named and len(columns) != 1):
        raise DataError(
            f"{where}: {f'no column {given!r}; ' if given else ''}the columns are {', '.join(features)}; allowed is "
            f"one of class labels, or one of integers named {', '.join(LABEL_COLUMNS)}; "
            "rename it, or give hub:NAME:COLUMN"
        )
    return named[0] if named else columns[0]
