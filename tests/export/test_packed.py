"""Packed weights: nothing is lost, and what is stored is what the costs say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from palmette.blocks.quantizers import packed_size, quantized_weight, weight_bits
from palmette.costs.complexity import CostTable, complexity
from palmette.errors import StorageError
from palmette.export.packed import load_packed, pack, save_packed, unpack
from palmette.spaces.resnet_bits import small_bits


@pytest.mark.parametrize("bits", [1, 2, 3, 4, 5, 8, 12])
@pytest.mark.parametrize("shape", [(5, 3, 3, 3), (1,), (7,)])
def test_packing_keeps_every_quantised_weight_bitwise(bits: int, shape: tuple[int, ...]) -> None:
    weight = torch.randn(shape, generator=torch.Generator().manual_seed(bits))
    packed = pack({"w": weight}, {"w": bits})
    assert packed["w"].dtype == torch.uint8
    assert sum(t.nbytes for t in packed.values()) == packed_size(weight.numel(), bits)
    assert torch.equal(unpack(packed, {"w": bits}, {"w": weight.shape})["w"], quantized_weight(weight, bits))


def test_three_bits_stand_one_after_another() -> None:
    weight = torch.tensor([-9.0, 9.0, 0.0])  # levels 0, 7 and 4 of 0 to 7, lowest bit first: 000 111 001
    assert pack({"w": weight}, {"w": 3})["w"].tolist() == [0b00011100, 0b10000000]


def test_a_packed_network_is_as_large_as_its_cost_and_computes_the_same() -> None:
    space = small_bits()
    table = CostTable(space, (1, 8, 8))
    image = torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    for seed in range(6):
        architecture = space.decisions.sample(np.random.default_rng(seed))
        network = space.build(architecture, seed=seed).eval()
        bits = weight_bits(network)
        state = network.state_dict()
        packed = pack(state, bits)
        size = sum(tensor.nbytes for tensor in packed.values())
        assert size == table(architecture)["bytes"] == complexity(network, (1, 8, 8))["bytes"]
        restored = unpack(packed, bits, {name: tensor.shape for name, tensor in state.items()})
        with torch.no_grad():
            expected = network(image)
            assert torch.equal(fixed(network, restored)(image), expected)


def test_a_file_of_packed_weights_reads_back_and_others_are_refused(tmp_path: Path) -> None:
    space = small_bits()
    network = space.build(space.decisions.sample(np.random.default_rng(0)), seed=0)
    bits, state = weight_bits(network), network.state_dict()
    size = save_packed(state, bits, tmp_path / "packed.safetensors")
    assert size < (tmp_path / "packed.safetensors").stat().st_size < size + 20_000
    loaded = load_packed(tmp_path / "packed.safetensors")
    for name, tensor in state.items():
        if tensor.is_floating_point():
            assert torch.equal(loaded[name], quantized_weight(tensor, bits[name]) if name in bits else tensor)
    save_file({"w": torch.ones(2)}, tmp_path / "other.safetensors")
    for name in ("other.safetensors", "absent.safetensors"):
        with pytest.raises(StorageError, match="it holds no packed weights; give what"):
            load_packed(tmp_path / name)


def fixed(network: nn.Module, state: dict[str, torch.Tensor]) -> nn.Module:
    """Replace every quantised convolution by a plain one with the restored weight."""
    for name in weight_bits(network):
        path = name.removesuffix(".conv.weight")
        convolution = network.get_submodule(f"{path}.conv")
        assert isinstance(convolution, nn.Conv2d)
        convolution.weight.data = state[name]
        parent, _, child = path.rpartition(".")
        setattr(network.get_submodule(parent), child, convolution)
    return network
