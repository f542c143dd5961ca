"""Hugging Face: Parquet files, and the code for the hub run on a local folder of the same layout."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from palmette.data.images import Dataset
from palmette.data.options import Splits
from palmette.data.sources import load
from palmette.errors import DataError, MissingExtraError

datasets = pytest.importorskip("datasets", reason="the extra 'datasets' is not installed")

CLASSES = ["ant", "bee"]


@pytest.fixture(autouse=True)
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the library off the network and out of the home folder."""
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")


def encoded(number: int, size: tuple[int, int] = (5, 6)) -> dict[str, Any]:
    content = BytesIO()
    pixels = np.random.default_rng(number).integers(0, 256, (*size, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(content, "png")
    return {"bytes": content.getvalue(), "path": f"{number}.png"}


def written(path: Path, rows: int, **changed: Any) -> Path:
    """Write a Parquet file of images and class labels; ``changed`` replaces columns, None leaves one out."""
    columns = {"image": [encoded(row) for row in range(rows)], "label": [row % 2 for row in range(rows)], **changed}
    kinds = {"image": datasets.Image(), "label": datasets.ClassLabel(names=CLASSES)}
    kept = {name: column for name, column in columns.items() if column is not None}
    features = datasets.Features({name: kinds.get(name, datasets.Value("int64")) for name in kept})
    path.parent.mkdir(parents=True, exist_ok=True)
    datasets.Dataset.from_dict(kept, features=features).to_parquet(path)
    return path


def loaded(source: Path | str) -> Dataset:
    return load(str(source), splits=Splits(), seed=0)


def test_one_parquet_file_is_split_and_the_name_says_so(tmp_path: Path) -> None:
    data = loaded(written(tmp_path / "flowers.parquet", 20))
    assert data.name == "flowers (test: a fifth of train)"
    assert data.classes == ("ant", "bee")
    assert data.input_shape == (3, 5, 6)
    assert [len(data.train) + len(data.validation), len(data.test)] == [16, 4]


@pytest.mark.parametrize("source", [str, "hub:{}".format])
def test_a_folder_of_parquet_files_has_the_parts_of_their_names(tmp_path: Path, source: Callable[[Path], str]) -> None:
    written(tmp_path / "flowers" / "data" / "train-00000-of-00002.parquet", 10)
    written(tmp_path / "flowers" / "data" / "train-00001-of-00002.parquet", 10)
    written(tmp_path / "flowers" / "data" / "test-00000-of-00001.parquet", 6)
    data = loaded(source(tmp_path / "flowers"))
    assert [len(data.train) + len(data.validation), len(data.test)] == [20, 6]
    assert data.name == (source(tmp_path / "flowers") if source is not str else "flowers")
    with Image.open(BytesIO(encoded(5)["bytes"])) as picture:
        assert np.array_equal(data.test.pixels[5].permute(1, 2, 0).numpy(), np.asarray(picture))
    assert data.test.labels.tolist() == [0, 1, 0, 1, 0, 1]


def test_a_validation_part_is_the_test_part_where_there_is_no_other(tmp_path: Path) -> None:
    written(tmp_path / "flowers" / "train.parquet", 20)
    written(tmp_path / "flowers" / "validation.parquet", 6)
    data = loaded(tmp_path / "flowers")
    assert data.name == "flowers (test: its validation part)"
    assert len(data.test) == 6


def test_a_hub_source_can_name_the_column_of_labels(tmp_path: Path) -> None:
    written(tmp_path / "flowers" / "train.parquet", 20, coarse=[row // 5 for row in range(20)])
    assert len(loaded(f"hub:{tmp_path / 'flowers'}:coarse").classes) == 4
    with pytest.raises(
        DataError, match=r"no column 'colour'; the columns are image, label, coarse; .* hub:NAME:COLUMN"
    ):
        loaded(f"hub:{tmp_path / 'flowers'}:colour")


def test_plain_columns_of_files_and_integers_are_read_by_their_names(tmp_path: Path) -> None:
    import pyarrow
    import pyarrow.parquet

    columns = {"img": [encoded(row)["bytes"] for row in range(20)], "label": [row % 3 for row in range(20)]}
    pyarrow.parquet.write_table(pyarrow.table(columns), tmp_path / "plain.parquet")
    assert loaded(tmp_path / "plain.parquet").classes == ("0", "1", "2")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"image": None}, r"the columns are label; allowed is one column of images"),
        ({"label": None}, r"the columns are image; allowed is one of class labels"),
        ({"label": [0] * 20}, r"hold 1 class"),
        ({"label": [-1, 0] * 10}, r"labels hold -1"),
        ({"label": [None, 1] * 10}, r"train labels are object"),
        ({"image": [encoded(0), None] * 10}, r"row 1 \(no file name\) has no image"),
        ({"image": [encoded(0), encoded(1, (7, 8))] * 10}, r"6x5 \(row 0 \(0.png\)\) and 8x7 \(row 1 .* image_size"),
        ({"image": [{"bytes": b"text", "path": "a.png"}] * 20}, r"row 0 \(a.png\) is not an image that can be read"),
    ],
)
def test_parquet_files_of_other_contents_are_refused(changed: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=message):
        loaded(written(tmp_path / "faulty.parquet", 20, **changed))


def test_damaged_parquet_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(DataError, match=r"data 'bad.parquet': it cannot be read \(.*Parquet") as refusal:
        loaded(tmp_path / "bad.parquet")
    assert "\n" not in str(refusal.value)


def test_parquet_files_of_unknown_parts_are_refused(tmp_path: Path) -> None:
    written(tmp_path / "flowers" / "part-0.parquet", 4)
    with pytest.raises(DataError, match=r"named part\* were given; allowed are train\*, which is needed, test\* and"):
        loaded(tmp_path / "flowers")


def test_an_unreachable_hub_is_an_error_of_one_line() -> None:
    with pytest.raises(DataError, match=r"data 'hub:palmette/none': it cannot be read .* check the name, the network"):
        loaded("hub:palmette/none")


def test_scripts_in_a_data_set_are_not_executed(tmp_path: Path) -> None:
    folder = tmp_path / "scripted"
    written(folder / "train.parquet", 20)
    (folder / "scripted.py").write_text(f"import os; os.mkdir({str(tmp_path / 'executed')!r})")
    with suppress(DataError):  # refusing is as good
        loaded(f"hub:{folder}")
    loaded(folder)
    assert not (tmp_path / "executed").exists()


def test_without_the_library_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "flowers.parquet").touch()
    monkeypatch.setitem(sys.modules, "datasets", None)
    for source in (str(tmp_path / "flowers.parquet"), "hub:cifar10"):
        with pytest.raises(MissingExtraError, match=r"needs the datasets library .* pip install palmette\[datasets\]"):
            loaded(source)


LAYOUTS = {
    "cifar10": ("img", ("label",), ("train", "test")),
    "cifar100": ("img", ("fine_label", "coarse_label"), ("train", "test")),
    "stl10": ("image", ("label",), ("train", "test")),
    "imagenet-1k-32x32": ("image", ("label",), ("train", "validation")),
}
"""Column of images, columns of labels, parts: of the data sets that SMASH was measured on, as the hub has them."""


@pytest.mark.parametrize("name", LAYOUTS)
def test_the_data_sets_of_smash_load_from_small_copies_in_their_layout(tmp_path: Path, name: str) -> None:
    image, labels, parts = LAYOUTS[name]
    side = 96 if name == "stl10" else 32
    for part, rows in zip(parts, (24, 6), strict=True):
        columns = {image: [encoded(row, (side, side)) for row in range(rows)]}
        columns |= {label: [row % (3 - number) for row in range(rows)] for number, label in enumerate(labels)}
        kinds = {label: datasets.ClassLabel(num_classes=3 - number) for number, label in enumerate(labels)}
        features = datasets.Features({image: datasets.Image(), **kinds})
        path = tmp_path / name / "data" / f"{part}-00000-of-00001.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        datasets.Dataset.from_dict(columns, features=features).to_parquet(path)
    hub = f"hub:{tmp_path / name}" + (":fine_label" if name == "cifar100" else "")
    for source in (hub, str(tmp_path / name)) if name != "cifar100" else (hub,):
        data = loaded(source)
        assert data.input_shape == (3, side, side)
        assert len(data.classes) == 3
        assert len(data.test) == 6
        assert len(data.train) + len(data.validation) == 24
