"""Voxels: loaded plain or packed to bits, trained on like images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from palmette.data.options import Splits
from palmette.data.sources import load
from palmette.errors import DataError
from palmette.training.loop import Watch, place, train
from palmette.training.recipe import Recipe

CUBES = np.random.default_rng(0).integers(0, 2, (24, 6, 6, 6), dtype=np.uint8)
LABELS = np.arange(24) % 3


def written(path: Path, x: np.ndarray) -> str:
    np.savez(path, train_x=x, train_y=LABELS, test_x=x[:6], test_y=LABELS[:6])
    return str(path)


def test_packed_cubes_equal_plain_ones(tmp_path: Path) -> None:
    packed = written(tmp_path / "packed.npz", np.packbits(CUBES.reshape(24, -1), axis=1))
    plain = written(tmp_path / "plain.npz", CUBES[..., None] * np.uint8(255))
    one, other = (load(path, splits=Splits(), seed=0) for path in (packed, plain))
    assert one.input_shape == (1, 6, 6, 6)
    assert torch.equal(one.test.pixels, other.test.pixels)
    assert torch.equal(one.test.pixels[:, 0], torch.from_numpy(CUBES[:6] * 255))


def test_a_training_runs_on_voxels(tmp_path: Path) -> None:
    data = load(written(tmp_path / "cubes.npz", CUBES[..., None] * np.uint8(255)), splits=Splits(), seed=0)
    network = nn.Sequential(nn.Conv3d(1, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(4, 3))
    before = network[0].weight.detach().clone()
    train(
        place(network, data.device), lambda x, step: network(x), data, Recipe(epochs=1, batch_size=6), seed=0,
        watch=Watch(),
    )  # fmt: skip
    assert not torch.equal(network[0].weight, before)


def test_bytes_that_no_cube_packs_to_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"shape \(24, 30\); allowed are"):
        load(written(tmp_path / "rows.npz", np.zeros((24, 30), np.uint8)), splits=Splits(), seed=0)


def test_voxels_are_not_resized(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="only images are resized"):
        load(written(tmp_path / "c.npz", CUBES[..., None]), splits=Splits(), seed=0, image_size=4)


def test_the_shared_voxels_load(shared_data: Path) -> None:
    data = load(str(shared_data / "modelnet10" / "modelnet10_vox30.npz"), splits=Splits(train=200, test=100), seed=0)
    assert data.input_shape == (1, 30, 30, 30)
    assert 0.06 < float((data.test.pixels > 0).float().mean()) < 0.11
