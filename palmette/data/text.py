"""Text: a corpus of words in its roles, as Penn Treebank is handed round; words are indices into one vocabulary.

Weights learn from train, architectures are compared on validation, test is read once at the end. There is no
calibration: no network here has BatchNorm statistics to recompute. A line ends with the word ``<eos>``, and words that
train lacks are ``<unk>``.
"""

from __future__ import annotations

import gzip
import itertools
import zlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor

from palmette.data.images import Dataset
from palmette.data.options import Splits
from palmette.errors import DataError

END, UNKNOWN = "<eos>", "<unk>"
ROLES = ("train", "valid", "test")
FEWEST = 4
"""Tokens of a role: two streams of two."""


@dataclass(frozen=True, eq=False)
class Tokens:
    """Consecutive words of a text."""

    ids: Tensor
    """Word indices, int64 ``[N]``."""

    def __len__(self) -> int:
        return len(self.ids)

    def streams(self, count: int) -> Tensor:
        """Return the text cut into ``count`` consecutive streams of equal length side by side, ``[length, count]``.

        Fewer streams where the text is short, so that each has two tokens; the rest of the division is left out.
        """
        count = max(1, min(count, len(self) // 2))
        length = len(self) // count
        return self.ids[: length * count].view(count, length).t().contiguous()


@dataclass(frozen=True, eq=False)
class Corpus:
    """One text in its roles."""

    name: str
    train: Tokens
    """Trains weights."""
    validation: Tokens
    """Decides between architectures."""
    test: Tokens
    """Is reported once, at the end."""
    classes: tuple[str, ...]
    """The vocabulary: what the next word is one of."""
    input_shape: ClassVar[tuple[int, ...]] = (1,)
    """One token of one stream: costs are per token."""

    @property
    def calibration(self) -> Tokens:
        """No tokens: there are no statistics to recompute."""
        return Tokens(self.train.ids[:0])

    @property
    def device(self) -> torch.device:
        """Where the text lies, and therefore where networks run."""
        return self.train.ids.device

    def to(self, device: torch.device | str) -> Corpus:
        """Return the corpus on ``device``."""
        train, validation, test = (Tokens(t.ids.to(device)) for t in (self.train, self.validation, self.test))
        return Corpus(self.name, train, validation, test, self.classes)


Data = Dataset | Corpus
"""What a job can be done on."""


def images_only(data: Data, what: str) -> Dataset:
    """Return the data where they are images; raise DataError, for ``what`` has no form for text, where they are not."""
    if not isinstance(data, Dataset):
        raise DataError(f"data {data.name!r}: text was given, and {what} takes images; give images, or another method")
    return data


def holds_text(folder: Path) -> bool:
    """Say whether a folder has one text file for each of train, valid and test."""
    return all(len(_files(folder, role)) == 1 for role in ROLES)


def read_text(folder: Path, splits: Splits) -> Corpus:
    """Return the corpus in a folder with one file ``*train*``, ``*valid*`` and ``*test*``, ``.txt`` or ``.txt.gz``.

    Raises:
        DataError: files missing, several of one role, unreadable, or too short.
    """
    lines: dict[str, list[str]] = {}
    for role in ROLES:
        files = _files(folder, role)
        if len(files) != 1:
            names = ", ".join(file.name for file in files) or "none"
            raise DataError(
                f"data {folder.name!r}: for {role} it has {names}; needed is one file of each role, "
                "as train.txt, valid.txt and test.txt, or with .gz"
            )
        lines[role] = _lines(files[0])
    return from_lines(folder.name, lines, splits)


def from_lines(name: str, lines: Mapping[str, Iterable[str]], splits: Splits) -> Corpus:
    """Return a corpus from the lines of ``train``, ``valid`` and ``test``, words separated by spaces.

    Raises:
        DataError: a role with fewer tokens than can be used.
    """
    if isinstance(splits.validation, float):
        raise DataError(f"splits: validation = {splits.validation} was given; of text it is a number of tokens")
    most = {"train": splits.train, "valid": splits.validation, "test": splits.test}
    words = {
        role: list(itertools.islice((w for line in lines[role] for w in (*line.split(), END)), most[role]))
        for role in ROLES
    }
    vocabulary = _vocabulary(words["train"], splits.words)
    index = {word: i for i, word in enumerate(vocabulary)}
    if any(word not in index for role in ROLES for word in words[role]) and UNKNOWN not in index:
        index[UNKNOWN] = len(vocabulary)
        vocabulary = (*vocabulary, UNKNOWN)
    made = {role: Tokens(torch.tensor([index.get(w, index.get(UNKNOWN, 0)) for w in words[role]])) for role in ROLES}
    for role, tokens in made.items():
        if len(tokens) < FEWEST:
            raise DataError(f"data {name!r}: {role} has {len(tokens)} tokens; give at least {FEWEST}")
    return Corpus(name, made["train"], made["valid"], made["test"], vocabulary)


def _vocabulary(words: Sequence[str], most: int | None) -> tuple[str, ...]:
    """Return the words by falling frequency, then by the alphabet; with ``most``, ``<unk>`` is one of them."""
    counts = Counter(words)
    ranked = sorted(counts, key=lambda word: (-counts[word], word))
    if most is None or most >= len(ranked):
        return tuple(ranked)
    return (*[word for word in ranked if word != UNKNOWN][: most - 1], UNKNOWN)


def _files(folder: Path, role: str) -> list[Path]:
    names = (f"*{role}*.txt", f"*{role}*.txt.gz")
    return sorted(file for pattern in names for file in folder.glob(pattern))


def _lines(file: Path) -> list[str]:
    try:
        content = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
        return content.decode("utf-8").splitlines()
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise DataError(f"{file}: cannot be read as text ({error}); give UTF-8, plain or gzipped") from None
