"""Checkpoints: bitwise round trips, and files that are cut, altered or foreign."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from palmette.errors import StorageError
from palmette.storage import checkpoint


def bits(tensor: Tensor) -> bytes:
    return tensor.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "supernet.safetensors"


def test_tensors_of_every_kind_come_back_bitwise(path: Path) -> None:
    weight = torch.randn(4, 3, 2, 2, generator=torch.Generator().manual_seed(0))
    tensors = {
        "float": weight,
        "double": weight.double() / 3,
        "bfloat16": weight.bfloat16(),
        "channels_last": weight.to(memory_format=torch.channels_last),
        "transposed": weight[0, 0].T,
        "slice": weight[1:3],
        "scalar": torch.tensor(0.1),
        "counter": torch.tensor(2**62 + 1),
        "integers": torch.tensor([-(2**63), 2**63 - 1]),
        "bool": torch.tensor([True, False]),
        "empty": torch.zeros(0, 3),
        "special": torch.tensor([float("nan"), float("inf"), -0.0, 1e-45]),
        "generator": torch.Generator().manual_seed(3).get_state(),
        "parameter": nn.Parameter(weight[0]),
    }
    checkpoint.save(path, tensors, {})
    loaded, _ = checkpoint.load(path)
    assert loaded.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert loaded[name].dtype == tensor.dtype
        assert loaded[name].shape == tensor.shape
        assert bits(loaded[name]) == bits(tensor.detach()), name


def test_tensors_that_share_memory_come_back_equal_and_independent(path: Path) -> None:
    shared = torch.arange(6.0)
    checkpoint.save(path, {"whole": shared, "again": shared, "part": shared[2:4]}, {})
    loaded, _ = checkpoint.load(path)
    loaded["whole"].zero_()
    assert loaded["again"].tolist() == [0, 1, 2, 3, 4, 5]
    assert loaded["part"].tolist() == [2, 3]
    assert shared.tolist() == [0, 1, 2, 3, 4, 5]


def test_the_state_comes_back_with_exact_numbers(path: Path) -> None:
    state = {"step": 2**60, "lr": 0.1 + 0.2, "best": None, "nested": {"list": [1, 2.5, "é"]}}
    checkpoint.save(path, {}, state)
    assert checkpoint.load(path)[1] == state


@pytest.mark.parametrize("kept", [0, 4, 60, -1])
def test_a_cut_checkpoint_is_refused(path: Path, kept: int) -> None:
    checkpoint.save(path, {"w": torch.randn(100)}, {"step": 1})
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(StorageError, match="the checkpoint is damaged") as caught:
        checkpoint.load(path)
    assert "\n" not in str(caught.value)


def test_one_changed_bit_is_noticed(path: Path) -> None:
    checkpoint.save(path, {"w": torch.randn(100)}, {"step": 1})
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)
    with pytest.raises(StorageError, match="does not match its checksum"):
        checkpoint.load(path)


def test_foreign_missing_and_future_files_are_refused(path: Path) -> None:
    with pytest.raises(StorageError, match="there is no such checkpoint"):
        checkpoint.load(path)
    save_file({"w": torch.zeros(1)}, path)
    with pytest.raises(StorageError, match="it is no checkpoint of a run"):
        checkpoint.load(path)
    save_file({"w": torch.zeros(1)}, path, metadata={"palmette_checkpoint": "9", "state": json.dumps({})})
    with pytest.raises(StorageError, match="it has checkpoint version 9, this version reads 1"):
        checkpoint.load(path)
    torch.save({"w": torch.zeros(1)}, path)
    with pytest.raises(StorageError, match="damaged or no checkpoint"):
        checkpoint.load(path)


def test_a_failed_save_leaves_the_old_checkpoint(path: Path) -> None:
    checkpoint.save(path, {"w": torch.ones(2)}, {"step": 1})
    with pytest.raises(StorageError, match="type cannot be stored"):
        checkpoint.save(path, {"w": torch.zeros(2, dtype=torch.complex128)}, {"step": 2})
    assert checkpoint.load(path)[1] == {"step": 1}
    assert list(path.parent.iterdir()) == [path]


def test_a_checkpoint_of_another_training_is_refused(path: Path) -> None:
    checkpoint.require(path, {"steps": 100, "step": 7}, {"steps": 100})
    with pytest.raises(StorageError, match="of another training, steps is 100 there and 200 here"):
        checkpoint.require(path, {"steps": 100}, {"steps": 200})


def test_weights_of_another_network_are_refused(path: Path) -> None:
    checkpoint.load_weights(path, nn.Linear(2, 3), nn.Linear(2, 3).state_dict())
    with pytest.raises(StorageError, match=r"weight is \(3, 4\) there and \(3, 2\) here"):
        checkpoint.load_weights(path, nn.Linear(2, 3), nn.Linear(4, 3).state_dict())
    with pytest.raises(StorageError, match=r"bias is missing there and \(3,\) here"):
        checkpoint.load_weights(path, nn.Linear(2, 3), nn.Linear(2, 3, bias=False).state_dict())
