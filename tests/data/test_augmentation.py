"""Augmentation: every image is a window, mirrored or not, with a square set to zero."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from palmette.data.augmentation import augment, normalise
from palmette.data.batches import torch_generator
from palmette.data.options import Augmentation
from palmette.errors import DataError

SIDE = 6


@pytest.fixture
def pixels() -> Tensor:
    """40 images of 3 channels without any zero, uint8 ``[40, 3, 6, 6]``."""
    return torch.randint(1, 256, (40, 3, SIDE, SIDE), generator=torch_generator(1), dtype=torch.uint8)


def windows(image: Tensor, pad: int, flip: bool) -> dict[tuple[int, int, bool], Tensor]:
    padded = torch.nn.functional.pad(image, (pad,) * 4)
    return {
        (y, x, mirrored): window.flip(2) if mirrored else window
        for y in range(2 * pad + 1)
        for x in range(2 * pad + 1)
        for window in [padded[:, y : y + SIDE, x : x + SIDE]]
        for mirrored in ([False, True] if flip else [False])
    }


def test_without_augmentation_the_images_are_returned_as_they_are(pixels: Tensor) -> None:
    assert augment(pixels, Augmentation(), torch_generator(0)) is pixels


@pytest.mark.parametrize(("pad", "flip"), [(2, False), (0, True), (1, True)])
def test_each_image_is_one_of_its_windows_and_all_kinds_of_windows_occur(pixels: Tensor, pad: int, flip: bool) -> None:
    seen = set()
    for draw in range(10):
        changed = augment(pixels, Augmentation(pad=pad, flip=flip), torch_generator(draw))
        assert changed.dtype == torch.uint8
        for image, result in zip(pixels, changed, strict=True):
            matching = [kind for kind, window in windows(image, pad, flip).items() if torch.equal(window, result)]
            assert len(matching) == 1
            seen.update(matching)
    assert seen == set(windows(pixels[0], pad, flip))


def test_images_in_channels_last_memory_give_the_same(pixels: Tensor) -> None:
    everything = Augmentation(pad=2, flip=True, cutout=3)
    expected = augment(pixels, everything, torch_generator(0))
    strided = pixels.contiguous(memory_format=torch.channels_last)
    assert torch.equal(augment(strided, everything, torch_generator(0)), expected)


def test_images_need_not_be_square() -> None:
    pixels = torch.randint(1, 256, (8, 1, 4, 9), generator=torch_generator(1), dtype=torch.uint8)
    changed = augment(pixels, Augmentation(pad=1, flip=True, cutout=2), torch_generator(0))
    assert changed.shape == pixels.shape


@pytest.mark.parametrize("cutout", [1, 2, 3, 20])
def test_cutout_sets_a_square_around_any_pixel_to_zero_in_all_channels(pixels: Tensor, cutout: int) -> None:
    centres = set()
    for draw in range(20):
        changed = augment(pixels, Augmentation(cutout=cutout), torch_generator(draw))
        for image, result in zip(pixels, changed, strict=True):
            zero = result == 0
            assert torch.equal(zero.all(0), zero.any(0))
            assert torch.equal(result[~zero], image[~zero])
            ys, xs = zero[0].nonzero().T.tolist()
            centres.add((min(ys), max(ys), min(xs), max(xs)))
            assert len(ys) == (max(ys) - min(ys) + 1) * (max(xs) - min(xs) + 1)
    expected = {
        (max(0, y - cutout // 2), min(SIDE, y - cutout // 2 + cutout) - 1) for y in range(SIDE)
    }  # clipped as in the paper's code
    assert centres == {(*rows, *columns) for rows in expected for columns in expected}


def test_the_same_generator_state_gives_the_same_images(pixels: Tensor) -> None:
    everything = Augmentation(pad=2, flip=True, cutout=3)
    first, again, other = (augment(pixels, everything, torch_generator(seed)) for seed in (5, 5, 6))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_normalised_train_pixels_have_mean_0_and_deviation_1(pixels: Tensor) -> None:
    scaled = pixels.double() / 255
    mean, std = scaled.mean((0, 2, 3)).tolist(), scaled.std((0, 2, 3), unbiased=False).tolist()
    result = normalise(pixels, mean, std)
    assert result.dtype == torch.float32
    expected = (scaled - torch.tensor(mean).view(-1, 1, 1)) / torch.tensor(std).view(-1, 1, 1)
    torch.testing.assert_close(result.double(), expected, atol=1e-5, rtol=1e-5)


def test_voxels_are_shifted_along_every_axis_and_mirrored_along_the_last() -> None:
    voxels = torch.zeros(1000, 1, 4, 4, 4, dtype=torch.uint8)
    voxels[:, 0, 1, 2, 0] = 255
    changed = augment(voxels, Augmentation(pad=1, flip=True), torch_generator(3))
    places = {tuple(place) for place in changed[:, 0].nonzero()[:, 1:].tolist()}
    assert places == {(z, y, x) for z in (0, 1, 2) for y in (1, 2, 3) for x in (0, 1, 2, 3)}
    with pytest.raises(DataError, match="cutout was given for voxels"):
        augment(voxels, Augmentation(cutout=2), torch_generator(3))


def test_voxels_are_normalised_like_images() -> None:
    voxels = torch.tensor([0, 255], dtype=torch.uint8).view(1, 1, 1, 1, 2)
    assert normalise(voxels, (0.5,), (0.25,)).flatten().tolist() == [-2.0, 2.0]
