"""Scores: accuracy and loss worked out by hand."""

from __future__ import annotations

import math
from typing import cast

import pytest
import torch
from tiny import dataset, space
from torch import Tensor, nn

from palmette.data.images import Dataset, Images
from palmette.evaluation.from_scratch import from_scratch, train_alone
from palmette.evaluation.score import score
from palmette.training.loop import Watch
from palmette.training.recipe import Recipe


class Poison:
    """Stands for images that must not be looked at."""

    def __getattr__(self, name: str) -> object:
        raise AssertionError(f"test images were looked at: {name}")


class Brightness(nn.Module):
    """Logits (0, the pixel); the pixel is normalised."""

    def forward(self, x: Tensor) -> Tensor:
        pixel = x.flatten(1)
        return torch.cat([torch.zeros_like(pixel), pixel], 1)


def four_pixels() -> tuple[Images, Dataset]:
    pixels = torch.tensor([0, 255, 255, 51], dtype=torch.uint8).view(4, 1, 1, 1)
    images = Images(pixels, torch.tensor([0, 1, 0, 0]))
    data = Dataset(
        name="four", train=images, validation=images, calibration=images, test=images,
        classes=("dark", "bright"), mean=(0.4,), std=(0.2,),
    )  # fmt: skip
    return images, data


@pytest.mark.parametrize("batch_size", [1, 3, 4, 512])
def test_accuracy_and_loss_are_those_worked_out_by_hand(batch_size: int) -> None:
    images, data = four_pixels()
    # normalised pixels -2, 3, 3, -1; the third is wrong
    losses = [math.log1p(math.exp(-2)), math.log1p(math.exp(-3)), math.log1p(math.exp(3)), math.log1p(math.exp(-1))]
    metrics = score(Brightness(), images, data, batch_size=batch_size)
    assert metrics["accuracy"] == 0.75
    assert metrics["loss"] == pytest.approx(sum(losses) / 4, abs=1e-6)


def test_networks_are_scored_in_evaluation_mode_and_left_as_they_were() -> None:
    data = dataset()
    network = nn.Sequential(nn.BatchNorm2d(1), nn.Dropout(0.5), nn.Flatten(), nn.Linear(64, 2)).train()
    state = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    assert score(network, data.test, data, batch_size=3) == pytest.approx(score(network, data.test, data), abs=1e-6)
    assert not network.training
    assert all(torch.equal(tensor, state[name]) for name, tensor in network.state_dict().items())


def poisoned() -> Dataset:
    data = dataset(train=32)
    return Dataset(**{**vars(data), "test": cast(Images, Poison())})


def test_training_from_scratch_never_looks_at_test_images() -> None:
    of = space()
    metrics = from_scratch(
        of, of.decisions.parse("110"), poisoned(), Recipe(epochs=30, batch_size=8), seed=0, watch=Watch()
    )
    assert metrics["accuracy"] == 1.0  # the classes differ in brightness by more than the noise
    assert metrics["loss"] < 0.3


def test_a_network_trained_alone_is_plain_and_scores_what_from_scratch_says() -> None:
    of, data, recipe = space(), dataset(), Recipe(epochs=2, batch_size=8)
    architecture = of.decisions.parse("021")
    network = train_alone(of, architecture, data, recipe, seed=1, watch=Watch())
    assert not network.training
    assert not [m for m in network.modules() if type(m).__module__.startswith("palmette")]
    again = from_scratch(of, architecture, data, recipe, seed=1, watch=Watch())
    assert score(network, data.validation, data) == again
    assert from_scratch(of, architecture, data, recipe, seed=2, watch=Watch()) != again
