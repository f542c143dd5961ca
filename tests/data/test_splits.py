"""Splits: the roles do not overlap, are class-balanced, and follow from the seed."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
import torch

from palmette.data.images import Dataset, Images
from palmette.data.options import Splits
from palmette.data.splits import at_most_half, balanced, channel_statistics, split
from palmette.errors import DataError, PalmetteError


def numbered(labels: list[int], first: int = 0) -> Images:
    """Images of 1x1x2 pixels that spell their own number, from ``first``."""
    number = torch.arange(first, first + len(labels))
    pixels = torch.stack([number // 256, number % 256], dim=1).to(torch.uint8)
    return Images(pixels.view(-1, 1, 1, 2), torch.tensor(labels))


def numbers(images: Images) -> list[int]:
    high, low = images.pixels.long().flatten(1).T
    return (256 * high + low).tolist()


def divided(labels: list[int], splits: Splits, seed: int = 0) -> Dataset:
    classes = tuple(map(str, range(max(labels) + 1)))
    test = numbered([0, 1, 0], first=len(labels))
    return split(numbered(labels), test, name="numbers", classes=classes, splits=splits, seed=seed)


def test_train_validation_and_test_are_disjoint_and_complete_and_calibration_is_part_of_train() -> None:
    data = divided([0, 1, 2] * 100, Splits(validation=30, calibration=20))
    parts = [set(numbers(images)) for images in (data.train, data.validation, data.test)]
    assert all(not a & b for a, b in combinations(parts, 2))
    assert parts[0] | parts[1] == set(range(300))
    assert numbers(data.test) == [300, 301, 302]
    assert set(numbers(data.calibration)) < parts[0]
    assert [len(data.train), len(data.validation), len(data.calibration)] == [270, 30, 20]


def test_pixels_keep_their_labels() -> None:
    labels = [0, 1, 1, 2, 2, 2] * 20
    data = divided(labels, Splits())
    for images in (data.train, data.validation, data.calibration):
        assert [labels[number] for number in numbers(images)] == images.labels.tolist()


def test_every_stretch_of_validation_and_calibration_is_class_balanced() -> None:
    data = divided([0] * 50 + [1] * 50, Splits(validation=20, calibration=40))
    assert data.validation.labels.tolist() == [0, 1] * 10
    assert data.calibration.labels.tolist() == [0, 1] * 20


def test_a_rare_class_gives_at_most_half_of_its_images_to_validation() -> None:
    data = divided([0] * 90 + [1] * 4, Splits(validation=20))
    assert data.validation.labels.bincount().tolist() == [18, 2]


def test_half_of_the_images_can_be_validation_whatever_the_class_sizes() -> None:
    data = divided([0] * 7 + [1] * 5 + [2] * 3, Splits(validation=0.5))
    assert [len(data.train), len(data.validation)] == [7, 8]


def test_the_same_seed_gives_the_same_roles_and_another_seed_others() -> None:
    labels = [0, 1] * 100
    first, again, other = (divided(labels, Splits(), seed=seed) for seed in (3, 3, 4))
    assert numbers(first.validation) == numbers(again.validation)
    assert numbers(first.calibration) == numbers(again.calibration)
    assert set(numbers(first.validation)) != set(numbers(other.validation))


def test_limits_take_class_balanced_subsets() -> None:
    data = divided([0] * 60 + [1] * 40, Splits(train=40, test=2, validation=10))
    together = torch.cat([data.train.labels, data.validation.labels])
    assert together.bincount().tolist() == [20, 20]
    assert sorted(data.test.labels.tolist()) == [0, 1]


def test_calibration_is_at_most_the_whole_of_train() -> None:
    assert len(divided([0, 1] * 10, Splits()).calibration) == 15


def test_balanced_draws_in_rounds_of_one_image_of_every_class() -> None:
    labels = np.array([0, 0, 0, 0, 1, 1, 2])
    drawn = balanced(labels, 6, np.random.default_rng(0))
    assert labels[drawn].tolist() == [0, 1, 2, 0, 1, 0]
    assert len(set(drawn.tolist())) == 6


def test_at_most_half_never_takes_the_only_image_of_a_class() -> None:
    assert at_most_half(np.array([0, 1, 1, 2, 2, 2, 3, 3, 3, 3, 5])).tolist() == [0, 1, 2, 2, 0, 0]


def test_statistics_are_those_of_the_pixels_of_train_from_0_to_1() -> None:
    pixels = torch.tensor([[0, 255], [255, 255], [51, 102]], dtype=torch.uint8).view(3, 2, 1, 1)
    mean, std = channel_statistics(Images(pixels, torch.tensor([0, 1, 0])), "three")
    assert mean == pytest.approx((0.4, 0.8))
    assert std == pytest.approx((np.std([0, 1, 0.2]), np.std([1, 1, 0.4])))


def test_a_channel_of_one_value_is_refused() -> None:
    images = Images(torch.full((20, 1, 2, 2), 7, dtype=torch.uint8), torch.arange(20) % 2)
    with pytest.raises(DataError, match=r"'flat': channel 0 of 1 has the same value in every training image"):
        split(images, images, name="flat", classes=("a", "b"), splits=Splits(), seed=0)


@pytest.mark.parametrize(
    ("splits", "fault"),
    [
        (Splits(validation=11), r"validation = 11 .* needs 22 training images or more; there are 20, so at most 10"),
        (Splits(validation=1), r"validation = 1 .* the 2 classes need at least 2"),
        (Splits(train=21), r"train = 21 images were asked for; there are 20"),
        (Splits(test=4), r"test = 4 images were asked for; there are 3"),
        (Splits(train=3), r"1 training images of class '1' .* at least 2, .* raise splits.train from 3"),
    ],
)
def test_too_few_images_for_the_splits_are_refused_with_the_numbers(splits: Splits, fault: str) -> None:
    with pytest.raises(DataError, match=fault):
        divided([0, 1] * 10, splits)


def test_a_negative_seed_is_refused() -> None:
    with pytest.raises(PalmetteError, match="seed = -1 was given"):
        divided([0, 1] * 10, Splits(), seed=-1)


def test_images_of_other_types_or_shapes_are_refused() -> None:
    with pytest.raises(DataError, match=r"torch.float32 \[2, 1, 1, 1\] .* allowed are torch.uint8 \[N, C, H, W\]"):
        Images(torch.zeros(2, 1, 1, 1), torch.zeros(2, dtype=torch.int64))
    with pytest.raises(DataError, match=r"labels torch.int64 \[3\]"):
        Images(torch.zeros(2, 1, 1, 1, dtype=torch.uint8), torch.zeros(3, dtype=torch.int64))


def test_a_data_set_moves_between_devices_as_a_whole() -> None:
    data = divided([0, 1] * 10, Splits()).to("meta")
    parts = (data.train, data.validation, data.calibration, data.test)
    assert all(images.pixels.is_meta and images.labels.is_meta for images in parts)
    assert data.input_shape == (1, 1, 2)
