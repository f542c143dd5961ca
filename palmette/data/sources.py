"""Load: a source by its name, as a data set in its four roles.

The readers give plain arrays; ``arrays.from_arrays`` checks and splits them. Nothing that a file holds is executed.
"""

from __future__ import annotations

import difflib
from pathlib import Path

import numpy as np

from palmette.data.arrays import Arrays, Part, from_arrays
from palmette.data.help_topics import help_topics
from palmette.data.hugging_face import read_hub, read_parquet
from palmette.data.images import Dataset
from palmette.data.npz import read_npz
from palmette.data.options import SOURCES, Splits
from palmette.data.pictures import read_folder
from palmette.data.text import Data, holds_text, read_text
from palmette.errors import DataError

BRIGHTEST_DIGIT = 16


def load_any(source: str, *, splits: Splits, seed: int, image_size: int | None = None) -> Data:
    """Return what ``load`` does, or a corpus where the source is text."""
    try:
        return _load_any(source, splits, seed, image_size)
    except OSError as error:  # as of a folder that cannot be listed
        raise DataError(
            f"data {source!r}: {error.filename or source} cannot be read ({error.strerror}); check its permissions"
        ) from error


def _load_any(source: str, splits: Splits, seed: int, image_size: int | None) -> Data:
    folder = Path(source).expanduser()
    is_folder = source != "help-topics" and folder.is_dir() and holds_text(folder)
    if source != "help-topics" and not is_folder:
        return load(source, splits=splits, seed=seed, image_size=image_size)
    if image_size is not None:
        raise DataError(f"data {source!r}: image_size = {image_size} was given for text; leave it out")
    return read_text(folder, splits) if is_folder else help_topics(splits)


def load(source: str, *, splits: Splits, seed: int, image_size: int | None = None) -> Dataset:
    """Return a data set.

    Args:
        source: one of ``options.SOURCES``.
        splits: how many images each role gets.
        seed: draws the roles; the test part does not depend on it, unless ``splits.test`` limits it.
        image_size: resize to this height and width, in pixels; needed where images differ in size.

    Raises:
        DataError: a source that is not there, is not what it should be, or has too few images.
        MissingExtraError: the source needs a library that is not installed.
    """
    return from_arrays(_read(source, image_size), splits=splits, seed=seed, image_size=image_size)


def _read(source: str, image_size: int | None) -> Arrays:
    if source == "digits":
        return _digits()
    if source.startswith("hub:"):
        name, _, label_column = source.removeprefix("hub:").partition(":")
        return read_hub(name, label_column or None, image_size)
    path = Path(source).expanduser()
    if path.is_file() and path.suffix.lower() == ".npz":
        return read_npz(path)
    if path.is_file() and path.suffix.lower() == ".parquet":
        return read_parquet(path, image_size)
    if path.is_dir():
        return _read_directory(path, image_size)
    raise DataError(_unknown(source, path))


def _digits() -> Arrays:
    """The 1,797 digits of scikit-learn (values 0 to 16), without a test part of their own."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    pixels = np.rint(digits.images * (255 / BRIGHTEST_DIGIT)).astype(np.uint8)
    return Arrays("digits", Part(pixels, digits.target))


def _read_directory(path: Path, image_size: int | None) -> Arrays:
    """Read ``train/<class>/`` and ``test/<class>/``, or else Parquet files."""
    where = f"data {path.name!r}"
    if not (path / "train").is_dir() or any((path / "train").glob("*.parquet")):
        if any(path.rglob("*.parquet")):
            return read_parquet(path, image_size)
        if holds_text(path):
            raise DataError(f"{where}: {path} holds text, and images are needed here; give images")
        raise DataError(
            f"{where}: {path} has no folder 'train' and no Parquet files; allowed are {path.name}/train/<class>/*.png "
            "and train*.parquet; move the images of each class there"
        )
    x, train_names = read_folder(f"{where}: train", path / "train", image_size)
    classes = sorted(set(train_names))
    train = Part(x, np.array([classes.index(name) for name in train_names]))
    if not (path / "test").is_dir():
        return Arrays(f"{path.name} (test: a fifth of train)", train, classes=tuple(classes))
    x, test_names = read_folder(f"{where}: test", path / "test", image_size)
    unknown = sorted(set(test_names) - set(classes))
    if unknown:
        raise DataError(
            f"{where}: test/{unknown[0]} is a class that train lacks; allowed are {', '.join(classes)}; "
            f"add train/{unknown[0]}, or remove it from test"
        )
    return Arrays(path.name, train, Part(x, np.array([classes.index(name) for name in test_names])), tuple(classes))


def _unknown(source: str, path: Path) -> str:
    """Say why nothing can be loaded, and what comes closest to the name."""
    candidates = {"digits": "digits"}
    if path.parent.is_dir():
        candidates |= {file.name: str(path.with_name(file.name)) for file in path.parent.iterdir()}
    near = difflib.get_close_matches(path.name, candidates, n=1)
    meant = f"did you mean {candidates[near[0]]!r}?" if near else "check the path"
    looks_like_a_path = path.suffix.lower() in (".npz", ".parquet") or "/" in source
    fault = "unknown source"
    if path.exists():
        fault, meant = f"files ending in {path.suffix!r} are not read", "convert it"
    elif looks_like_a_path:
        fault = "there is no such file or folder"
    return f"data {source!r}: {fault}; allowed are {', '.join(SOURCES)}; {meant}"
