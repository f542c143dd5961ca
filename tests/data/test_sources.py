"""Load: every kind of source, and the files of it that cannot be used."""

from __future__ import annotations

import os
import zipfile
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import torch

from palmette.data.images import Dataset
from palmette.data.options import Splits
from palmette.data.sources import load, load_any
from palmette.errors import DataError

PIXELS = np.random.default_rng(0).integers(0, 256, (40, 6, 5, 3), dtype=np.uint8)
LABELS = np.arange(40) % 4


def loaded(path: Path | str, image_size: int | None = None) -> Dataset:
    return load(str(path), splits=Splits(), seed=0, image_size=image_size)


def saved(path: Path, **changed: object) -> Path:
    """Write a sound ``.npz`` file, but for the arrays ``changed``; None leaves one out."""
    arrays = {"train_x": PIXELS, "train_y": LABELS, "test_x": PIXELS[:8], "test_y": LABELS[:8], **changed}
    np.savez(path, **{key: np.asarray(array) for key, array in arrays.items() if array is not None})
    return path


def test_digits_have_a_fixed_balanced_fifth_for_testing() -> None:
    first, other = (load("digits", splits=Splits(), seed=seed) for seed in (0, 1))
    assert first.name == "digits"
    assert first.input_shape == (1, 8, 8)
    assert [len(part) for part in (first.train, first.validation, first.test)] == [1079, 359, 359]
    assert first.test.labels.bincount().tolist() == [36] * 9 + [35]
    assert torch.equal(first.test.pixels, other.test.pixels)
    assert not torch.equal(first.validation.pixels, other.validation.pixels)
    assert int(first.train.pixels.max()) == 255


def test_an_npz_file_becomes_channels_first_images(tmp_path: Path) -> None:
    data = loaded(saved(tmp_path / "flowers.npz"))
    assert data.name == "flowers"
    assert data.classes == ("0", "1", "2", "3")
    assert data.input_shape == (3, 6, 5)
    assert np.array_equal(data.test.pixels.numpy(), PIXELS[:8].transpose(0, 3, 1, 2))
    assert data.test.labels.tolist() == LABELS[:8].tolist()
    assert data.train.pixels.is_contiguous()
    assert data.test.pixels.is_contiguous()


def test_grey_images_need_no_channel_axis_and_labels_any_integer_type(tmp_path: Path) -> None:
    path = saved(
        tmp_path / "grey.npz", train_x=PIXELS[..., 0], test_x=PIXELS[:8, ..., 0], train_y=LABELS.astype(np.uint8)
    )
    assert loaded(path).input_shape == (1, 6, 5)


def test_an_npz_file_can_name_its_classes(tmp_path: Path) -> None:
    assert loaded(saved(tmp_path / "n.npz", classes=["ant", "bee", "cat", "dog"])).classes == (
        "ant",
        "bee",
        "cat",
        "dog",
    )


def test_images_are_resized_on_request(tmp_path: Path) -> None:
    assert loaded(saved(tmp_path / "n.npz"), image_size=4).input_shape == (3, 4, 4)
    assert loaded("digits", image_size=16).input_shape == (1, 16, 16)
    with pytest.raises(DataError, match="image_size = 0 was given"):
        loaded("digits", image_size=0)


def test_real_images_have_the_statistics_of_their_training_part(shared_data: Path) -> None:
    path = shared_data / "cifar10" / "cifar10_exact_subset.npz"
    data = loaded(path)
    assert [len(part) for part in (data.train, data.validation, data.calibration, data.test)] == [4577, 508, 1280, 1017]
    assert data.validation.labels.bincount().tolist() == [51] * 8 + [50] * 2
    assert data.calibration.labels.bincount().tolist() == [128] * 10
    scaled = data.train.pixels.double() / 255
    assert data.mean == pytest.approx(scaled.mean((0, 2, 3)).tolist())
    assert data.std == pytest.approx(scaled.std((0, 2, 3), unbiased=False).tolist())
    with np.load(path, allow_pickle=False) as archive:
        assert np.array_equal(data.test.pixels.permute(0, 2, 3, 1).numpy(), archive["test_x"])
        train = {image.tobytes() for image in archive["train_x"]}
    mine = [
        image.tobytes() for part in (data.train, data.validation) for image in part.pixels.permute(0, 2, 3, 1).numpy()
    ]
    assert set(mine) == train


NAN = PIXELS.astype(np.float32)
NAN[3, 0, 0, 0] = np.nan
OBJECTS = np.array([{"a": 1}] * 40, dtype=object)

FAULTS = {
    "missing key": ({"test_y": None}, r"test_y is missing; there are train_x, train_y, test_x; needed are train_x"),
    "pickled objects": ({"train_x": OBJECTS}, r"train_x holds pickled Python objects, .* never loaded"),
    "float": ({"train_x": PIXELS / 255}, r"train images are float64; .* \(train_x \* 255\).astype\('uint8'\)"),
    "nan": ({"train_x": NAN}, r"float32 with NaN in 1 of 40 images; .* replace the NaN, then store"),
    "bool": ({"train_x": PIXELS > 9}, r"train images are bool; .* train_x.astype\('uint8'\) \* 255"),
    "int": ({"test_x": PIXELS[:8].astype(int)}, r"test images are int64; allowed is uint8, .* test_x.astype"),
    "dimensions": (
        {"train_x": PIXELS.reshape(40, -1)},
        r"shape \(40, 90\); allowed are \(N, H, W\) and \(N, H, W, C\)",
    ),
    "no images": ({"train_x": PIXELS[:0]}, r"shape \(0, 6, 5, 3\); allowed"),
    "channels": ({"train_x": PIXELS[..., :2]}, r"so 2 channels; allowed are 1 and 3, .* keep one channel or three"),
    "channels first": (
        {"train_x": PIXELS.transpose(0, 3, 1, 2)},
        r"so 5 channels; .* look channels-first; store train_x.transpose\(0, 2, 3, 1\)",
    ),
    "count": ({"train_y": LABELS[:39]}, r"40 images and 39 labels were given"),
    "text labels": ({"train_y": LABELS.astype(str)}, r"train labels are <U\d+; allowed are integers"),
    "float labels": ({"test_y": LABELS[:8] / 1}, r"test labels are float64; allowed are integers"),
    "one-hot": ({"train_y": np.eye(4, dtype=int)[LABELS]}, r"labels have shape \(40, 4\); .* train_y.argmax\(1\)"),
    "column": ({"train_y": LABELS[:, None]}, r"labels have shape \(40, 1\); .* store train_y.ravel\(\)"),
    "negative": ({"train_y": LABELS - 1}, r"train labels hold -1; allowed are integers from 0"),
    "huge": ({"train_y": LABELS.astype(np.uint64) + 2**63}, r"train labels hold 9223372036854775811; allowed"),
    "from one": ({"train_y": LABELS + 1}, r"no train image is of class '0'; .* subtract 1 from all"),
    "gaps": ({"train_y": LABELS * 9}, r"class '1', '2', '3', '4', '5' and 19 more; .* number the classes without"),
    "one class": ({"train_y": LABELS * 0}, r"train labels hold 1 class; at least 2 are needed"),
    "unknown test label": ({"test_y": LABELS[:8] + 3}, r"test labels hold 4, which train does not; allowed are 0 to 3"),
    "class names": ({"classes": ["a", "b"]}, r"train labels hold 3, with 2 class names"),
    "rare class": ({"train_y": np.r_[LABELS[:39] % 3, 3]}, r"1 training images of class '3' .* at least 2"),
    "shapes": ({"test_x": PIXELS[:8, :5]}, r"\(3, 6, 5\) and test images of shape \(3, 5, 5\) .* image_size"),
    "single value": ({"train_y": 3}, r"train_y is a single value"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faulty_arrays_are_refused_in_one_line(fault: str, tmp_path: Path) -> None:
    changed, message = FAULTS[fault]
    with pytest.raises(DataError, match=message) as refusal:
        loaded(saved(tmp_path / "faulty.npz", **changed))
    assert str(refusal.value).startswith("data 'faulty")
    assert "\n" not in str(refusal.value)


def test_files_that_are_not_npz_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "text.npz"
    path.write_text("not arrays")
    with pytest.raises(DataError, match=r"is not an .npz file, or its end is missing"):
        loaded(path)
    with path.open("wb") as file:
        np.save(file, PIXELS)
    with pytest.raises(DataError, match=r"is not an .npz file"):
        loaded(path)


def test_truncated_and_altered_npz_files_are_refused(tmp_path: Path) -> None:
    path = saved(tmp_path / "whole.npz")
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match="its end is missing"):
        loaded(path)
    path.write_bytes(whole[:500] + bytes(100) + whole[600:])
    with pytest.raises(DataError, match="damaged"):
        loaded(path)


def test_an_npz_file_of_anything_but_arrays_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "zip.npz"
    with zipfile.ZipFile(path, "w") as archive:
        for key in ("train_x", "train_y", "test_x", "test_y"):
            archive.writestr(f"{key}.npy", b"text")
    with pytest.raises(DataError, match="train_x"):
        loaded(path)


@pytest.mark.parametrize(
    "header",
    [
        "{'descr': '|u1', 'fortran_order': False, 'shape': (10000000000000,)}",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (-1,)}",
        "{'descr': 'zz', 'fortran_order': False, 'shape': (1,)}",
        "{1: 2, 'a': 3}",
        "((((",
        "__import__('os').getcwd()",
    ],
)
def test_arrays_with_a_malformed_header_are_refused(header: str, tmp_path: Path) -> None:
    path = saved(tmp_path / "header.npz", train_x=None)
    with zipfile.ZipFile(path, "a") as archive:
        length = len(header).to_bytes(2, "little")
        archive.writestr("train_x.npy", b"\x93NUMPY\x01\x00" + length + header.encode() + bytes(100))
    with pytest.raises(DataError, match="the file is damaged"):
        loaded(path)


@pytest.mark.parametrize("position", range(0, 9000, 450))
def test_no_altered_byte_of_an_npz_file_gives_anything_but_a_data_set_or_a_data_error(
    position: int, tmp_path: Path
) -> None:
    path = saved(tmp_path / "bytes.npz")
    content = bytearray(path.read_bytes())
    content[position % len(content)] ^= 0xFF
    path.write_bytes(content)
    with suppress(DataError):  # some bytes matter to nobody
        loaded(path)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("digit", r"unknown source; allowed are digits, FILE.npz, .*; did you mean 'digits'\?"),
        ("zebra", r"unknown source; allowed are digits, FILE.npz, .*; check the path"),
        ("", r"no folder 'train'"),
        ("folder/flowers.npz", r"there is no such file or folder; .* check the path"),
    ],
)
def test_unknown_sources_are_refused_with_what_is_allowed(
    source: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match=message):
        loaded(source)


def test_a_missing_file_is_refused_with_the_near_miss(tmp_path: Path) -> None:
    saved(tmp_path / "flowers.npz")
    with pytest.raises(DataError, match=r"no such file or folder; .* did you mean '.*flowers.npz'\?"):
        loaded(tmp_path / "flower.npz")
    (tmp_path / "flowers.csv").touch()
    with pytest.raises(DataError, match=r"files ending in '.csv' are not read"):
        loaded(tmp_path / "flowers.csv")


def test_loading_executes_nothing_from_a_pickle(tmp_path: Path) -> None:
    class Payload:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.mkdir, (str(tmp_path / "executed"),)

    with pytest.raises(DataError, match="pickled Python objects"):
        loaded(saved(tmp_path / "evil.npz", train_x=np.array([Payload()] * 40, dtype=object)))
    assert not (tmp_path / "executed").exists()


def test_a_folder_that_cannot_be_listed_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def vanished(self: Path, pattern: str) -> list[Path]:
        raise FileNotFoundError(2, "No such file or directory", str(self / "gone"))

    monkeypatch.setattr(Path, "rglob", vanished)
    with pytest.raises(DataError, match=r"gone cannot be read \(No such file or directory\); check its permissions"):
        load_any(str(tmp_path), splits=Splits(), seed=0)
