"""Pictures: folders of image files, decoded, resized, or refused by name."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from palmette.data.images import Dataset
from palmette.data.options import Splits
from palmette.data.pictures import stacked
from palmette.data.sources import load
from palmette.errors import DataError, MissingExtraError


def written(folder: Path, images: int, mode: str = "RGB", size: tuple[int, int] = (6, 5), suffix: str = ".png") -> None:
    """Write ``images`` files of random pixels; ``size`` is width and height."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(images):
        pixels = np.random.default_rng(number).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
        Image.fromarray(pixels).convert(mode).save(folder / f"{number}{suffix}")


def loaded(folder: Path, image_size: int | None = None) -> Dataset:
    return load(str(folder), splits=Splits(), seed=0, image_size=image_size)


def test_a_folder_of_class_folders_is_a_data_set(tmp_path: Path) -> None:
    for kind in ("bee", "ant"):
        written(tmp_path / "flowers[0]" / "train" / kind, 10)
        written(tmp_path / "flowers[0]" / "test" / kind, 3)
    data = loaded(tmp_path / "flowers[0]")
    assert data.name == "flowers[0]"
    assert data.classes == ("ant", "bee")
    assert data.input_shape == (3, 5, 6)
    assert [len(data.train) + len(data.validation), len(data.test)] == [20, 6]
    assert data.test.labels.tolist() == [0, 0, 0, 1, 1, 1]
    with Image.open(tmp_path / "flowers[0]" / "test" / "bee" / "2.png") as picture:
        assert np.array_equal(data.test.pixels[5].permute(1, 2, 0).numpy(), np.asarray(picture))


def test_classes_named_like_parts_stay_classes(tmp_path: Path) -> None:
    for kind in ("test", "train", "validation"):
        written(tmp_path / "train" / kind, 4)
        written(tmp_path / "test" / kind, 2)
    data = loaded(tmp_path)
    assert data.classes == ("test", "train", "validation")
    assert [len(data.train) + len(data.validation), len(data.test)] == [12, 6]


def test_without_a_test_part_a_balanced_fifth_is_held_out_and_the_name_says_so(tmp_path: Path) -> None:
    for kind in ("ant", "bee"):
        written(tmp_path / "flowers" / "train" / kind, 10, mode="L")
    data = loaded(tmp_path / "flowers")
    assert data.name == "flowers (test: a fifth of train)"
    assert data.test.labels.bincount().tolist() == [2, 2]
    assert data.input_shape[0] == 1


def test_files_of_other_kinds_are_not_looked_at(tmp_path: Path) -> None:
    for kind in ("ant", "bee"):
        written(tmp_path / "train" / kind, 5, suffix=".JPG")
        (tmp_path / "train" / kind / "notes.txt").write_text("text")
    (tmp_path / "train" / ".cache").mkdir()
    data = loaded(tmp_path)
    assert len(data.train) + len(data.validation) + len(data.test) == 10


def test_images_of_differing_size_are_refused_with_the_option_that_resizes_them(tmp_path: Path) -> None:
    written(tmp_path / "train" / "ant", 5)
    written(tmp_path / "train" / "bee", 5, size=(9, 4))
    message = r"differing size were given: 6x5 \(.*0.png\) and 9x4 \(.*0.png\); .* set image_size \(--image-size\)"
    with pytest.raises(DataError, match=message):
        loaded(tmp_path)
    assert loaded(tmp_path, image_size=8).input_shape == (3, 8, 8)


def test_grey_and_colour_pictures_together_have_three_channels_and_turned_ones_are_set_upright(tmp_path: Path) -> None:
    pixels = np.arange(6, dtype=np.uint8).reshape(2, 3)
    turned = Image.Exif()
    turned[0x0112] = 6  # to be shown turned by a quarter, clockwise
    Image.fromarray(pixels).save(tmp_path / "turned.png", exif=turned)
    Image.fromarray(np.stack([pixels.T] * 3, axis=2)).save(tmp_path / "colour.png")
    files = [(name, tmp_path / name) for name in ("turned.png", "colour.png")]
    result = stacked("data", files, None)
    assert result.shape == (2, 3, 2, 3)
    assert result[0, :, :, 1].tolist() == [[3, 0], [4, 1], [5, 2]]


def test_resizing_keeps_an_even_picture_even() -> None:
    result = stacked("data", [("white", png(np.full((5, 7), 255, np.uint8)))], 3)
    assert result.tolist() == np.full((1, 3, 3, 1), 255).tolist()


def png(pixels: np.ndarray) -> bytes:
    from io import BytesIO

    content = BytesIO()
    Image.fromarray(pixels).save(content, "png")
    return content.getvalue()


def test_pictures_of_more_than_8_bits_are_refused() -> None:
    with pytest.raises(DataError, match=r"deep has pixels of mode I;16; allowed are 8 bits per channel"):
        stacked("data", [("deep", png(np.full((5, 7), 999, np.uint16)))], None)


@pytest.mark.parametrize(
    "damage", [lambda whole: b"text", lambda whole: whole[:60], lambda whole: whole[:45] + b"\0" * 9]
)
def test_a_damaged_picture_is_refused_by_its_name(damage, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    for kind in ("ant", "bee"):
        written(tmp_path / "train" / kind, 3)
    path = tmp_path / "train" / "bee" / "1.png"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DataError, match=r"bee.1.png is not an image that can be read .* replace or remove it"):
        loaded(tmp_path)


def test_folders_without_classes_images_or_training_part_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"has no folder 'train' and no Parquet files; allowed are"):
        loaded(tmp_path)
    (tmp_path / "train").mkdir()
    with pytest.raises(DataError, match=r"no folders of classes in .*train; allowed is train/<class>/<image>.png"):
        loaded(tmp_path)
    (tmp_path / "train" / "ant").mkdir()
    with pytest.raises(DataError, match=r"no images in .*ant; allowed are files ending in .png"):
        loaded(tmp_path)
    written(tmp_path / "train" / "ant", 5)
    with pytest.raises(DataError, match=r"hold 1 class; at least 2"):
        loaded(tmp_path)


def test_classes_that_only_test_has_are_refused(tmp_path: Path) -> None:
    for kind in ("train/ant", "train/bee", "test/ant", "test/cat"):
        written(tmp_path / kind, 3)
    with pytest.raises(DataError, match=r"test/cat is a class that train lacks; allowed are ant, bee; add train/cat"):
        loaded(tmp_path)


def test_too_few_images_of_a_class_are_refused_by_its_name(tmp_path: Path) -> None:
    written(tmp_path / "train" / "ant", 5)
    written(tmp_path / "train" / "bee", 2)
    with pytest.raises(DataError, match=r"2 training images of class 'bee' .* at least 3, for train, validation and"):
        loaded(tmp_path)


def test_without_pillow_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(tmp_path / "train" / "ant", 2)
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(MissingExtraError, match=r"pip install palmette\[datasets\]"):
        loaded(tmp_path)
