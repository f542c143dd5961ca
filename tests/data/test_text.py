from __future__ import annotations

import gzip
from pathlib import Path

import pytest
import torch

from palmette.data.options import Splits
from palmette.data.sources import load, load_any
from palmette.data.text import Corpus, Tokens, read_text
from palmette.errors import DataError

TRAIN = "the cat sat\nthe dog sat down\n"


def folder(path: Path, *, train: str = TRAIN, gzipped: bool = False) -> Path:
    path.mkdir(exist_ok=True)
    for role, text in {"train": train, "valid": "the bird sat\n", "test": "a cat sat\n"}.items():
        if gzipped:
            (path / f"my.{role}.txt.gz").write_bytes(gzip.compress(text.encode()))
        else:
            (path / f"{role}.txt").write_text(text)
    return path


@pytest.mark.parametrize("gzipped", [True, False])
def test_words_are_numbered_by_frequency_then_by_the_alphabet(tmp_path: Path, gzipped: bool) -> None:
    data = read_text(folder(tmp_path / "text", gzipped=gzipped), Splits())
    assert data.classes == ("<eos>", "sat", "the", "cat", "dog", "down", "<unk>")
    assert data.train.ids.tolist() == [2, 3, 1, 0, 2, 4, 1, 5, 0]
    assert data.validation.ids.tolist() == [2, 6, 1, 0]  # train has no bird
    assert data.test.ids.tolist() == [6, 3, 1, 0]
    assert len(data.calibration) == 0


def test_a_smaller_vocabulary_keeps_the_most_frequent_words(tmp_path: Path) -> None:
    data = read_text(folder(tmp_path / "text"), Splits(words=4))
    assert data.classes == ("<eos>", "sat", "the", "<unk>")
    assert data.train.ids.tolist() == [2, 3, 1, 0, 2, 3, 1, 3, 0]


def test_roles_can_be_cut_and_the_vocabulary_is_that_of_the_part_used(tmp_path: Path) -> None:
    data = read_text(folder(tmp_path / "text"), Splits(train=4))
    assert data.classes == ("<eos>", "cat", "sat", "the", "<unk>")
    assert len(data.train) == 4


def test_streams_are_consecutive_and_the_rest_is_left_out() -> None:
    streams = Tokens(torch.arange(11)).streams(3)
    assert streams.tolist() == [[0, 3, 6], [1, 4, 7], [2, 5, 8]]
    assert Tokens(torch.arange(5)).streams(10).tolist() == [[0, 2], [1, 3]]  # two tokens each at least


def test_penn_treebank_is_what_its_notes_say(shared_data: Path) -> None:
    data = load_any(str(shared_data / "ptb"), splits=Splits(), seed=0)
    assert isinstance(data, Corpus)
    assert (len(data.train), len(data.validation), len(data.test)) == (929_589, 73_760, 82_430)
    assert len(data.classes) == 10_000
    assert data.classes[:2] == ("the", "<unk>")


def test_help_topics_need_no_file_and_no_paragraph_is_in_two_roles() -> None:
    data = load_any("help-topics", splits=Splits(words=500), seed=0)
    assert isinstance(data, Corpus)
    assert len(data.classes) == 500
    assert len(data.train) > 5 * len(data.validation) > 10_000


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"valid.txt": None}, "for valid it has none; needed is one file of each role"),
        ({"old.train.txt": "more\n"}, "for train it has old.train.txt, train.txt; needed is one file"),
        ({"test.txt": "a\n"}, "test has 2 tokens; give at least 4"),
        ({"test.txt": b"\xff\xfe a"}, "cannot be read as text"),
    ],
)
def test_a_folder_that_cannot_be_used_says_why(
    tmp_path: Path, change: dict[str, str | bytes | None], message: str
) -> None:
    path = folder(tmp_path / "text")
    for name, content in change.items():
        if content is None:
            (path / name).unlink()
        else:
            (path / name).write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(DataError, match=message):
        read_text(path, Splits())


def test_options_of_images_are_refused_for_text(tmp_path: Path) -> None:
    path = str(folder(tmp_path / "text"))
    with pytest.raises(DataError, match="image_size = 8 was given for text; leave it out"):
        load_any(path, splits=Splits(), seed=0, image_size=8)
    with pytest.raises(DataError, match=r"validation = 0\.1 was given; of text it is a number of tokens"):
        load_any(path, splits=Splits(validation=0.1), seed=0)
    with pytest.raises(DataError, match="holds text, and images are needed here"):
        load(path, splits=Splits(), seed=0)
    with pytest.raises(DataError, match="words = 1 was given; allowed are numbers of words from 2"):
        Splits(words=1)
