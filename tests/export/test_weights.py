"""Weights survive the file, and files of other networks are refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from palmette.architecture import Architecture
from palmette.errors import StorageError
from palmette.export.weights import Card, load_weights, read_card, save_weights
from palmette.spaces.small_images import small_images

CARD = Card(
    architecture=Architecture("toy", (("slot", "k3"), ("skips", ("a", "b")))),
    data="digits",
    classes=("0", "1"),
    input_shape=(1, 8, 8),
    mean=(0.3,),
    std=(0.25,),
)


def test_weights_read_back_bitwise(tmp_path: Path) -> None:
    space = small_images()
    architecture = space.decisions.parse("012012")
    network, other = (space.build(architecture, seed=seed) for seed in (0, 1))
    network(torch.randn(4, 1, 8, 8))
    save_weights(network, tmp_path / "weights.safetensors", CARD)
    load_weights(other, tmp_path / "weights.safetensors")
    assert all(torch.equal(tensor, other.state_dict()[name]) for name, tensor in network.state_dict().items())
    assert [path.name for path in tmp_path.iterdir()] == ["weights.safetensors"]


def test_weights_of_another_network_are_refused_and_nothing_is_loaded(tmp_path: Path) -> None:
    save_weights(nn.Linear(2, 2), tmp_path / "weights.safetensors", CARD)
    other = nn.Linear(2, 3)
    before = other.weight.clone()
    with pytest.raises(StorageError, match=r"'bias' is \(2,\) in the file and \(3,\) in the network"):
        load_weights(other, tmp_path / "weights.safetensors")
    assert torch.equal(other.weight, before)
    with pytest.raises(StorageError, match=r"'bias' is \(2,\) in the file and absent in the network"):
        load_weights(nn.Linear(2, 2, bias=False), tmp_path / "weights.safetensors")


@pytest.mark.parametrize("content", [None, b"", b"\x80\x04not weights at all"])
def test_a_file_that_is_no_weights_is_refused(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "weights.safetensors"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(StorageError, match="the weights cannot be read"):
        load_weights(nn.Linear(2, 2), path)


def test_a_folder_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"absent/weights\.safetensors: cannot be written"):
        save_weights(nn.Linear(2, 2), tmp_path / "absent" / "weights.safetensors", CARD)


def test_a_card_reads_back(tmp_path: Path) -> None:
    save_weights(nn.Linear(2, 2), tmp_path / "weights.safetensors", CARD)
    assert read_card(tmp_path / "weights.safetensors") == CARD


def test_weights_without_a_card_are_named(tmp_path: Path) -> None:
    save_file({"weight": torch.zeros(2)}, tmp_path / "weights.safetensors")
    with pytest.raises(StorageError, match="it has no card of a network; give the network"):
        read_card(tmp_path / "weights.safetensors")
