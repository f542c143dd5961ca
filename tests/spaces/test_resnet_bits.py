"""Mixed precision: published bit operations, equality with the stand-alone network, and what leaves."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from palmette.blocks.quantizers import QuantizedConv2d, QuantizedFeatures
from palmette.costs.complexity import CostTable, complexity
from palmette.errors import ArchitectureError
from palmette.export.onnx import export_onnx
from palmette.space import Space
from palmette.spaces.resnet_bits import DEPTHS, Bits, resnet_bits, small_bits

UNIFORM = ((2, 2), (3, 3), (4, 4))
PUBLISHED = {18: (6.78e9, 15.26e9, 27.13e9), 34: (14.18e9, 31.91e9, 56.72e9)}
"""Bit operations at 2, 3 and 4 bits throughout (sampling.md 2.12)."""
MACS = {18: (1.8141e9, 11.69e6), 34: (3.6638e9, 21.80e6)}


@pytest.mark.parametrize("layers", DEPTHS)
def test_uniform_bits_cost_what_is_published(layers: int) -> None:
    space = resnet_bits(layers, pairs=UNIFORM, scales=(1.0,))
    table = CostTable(space, (3, 224, 224))
    for index, published in enumerate(PUBLISHED[layers]):
        bits = UNIFORM[index]
        names = space.decisions.decisions
        values = {n: f"w{bits[0]}f{bits[1]}" if n.startswith("bits") else "1.0" for n in names}
        costs = table(space.decisions.architecture(values))
        assert costs["bitops"] == pytest.approx(published, rel=1e-3)
        assert (costs["flops"], costs["params"]) == pytest.approx(MACS[layers], rel=1e-3)


@pytest.mark.parametrize("layers", DEPTHS)
def test_the_spaces_have_18_options_per_block(layers: int) -> None:
    assert resnet_bits(layers).decisions.count() == 18 ** sum(DEPTHS[layers])


def test_bit_operations_by_hand() -> None:
    layer = QuantizedConv2d(3, 8, 3, weight_bits=3, feature_bits=2)
    network = nn.Sequential(nn.Conv2d(3, 3, 1), QuantizedFeatures(2), layer)
    counted = complexity(network, (3, 5, 5))
    weights = 3 * 8 * 9
    assert counted["bitops"] == 25 * weights * 3 * 2
    assert counted["flops"] == 25 * (weights + 9)
    assert counted["bytes"] == 4 * (9 + 3) + 4 + -(-weights * 3 // 8)


def test_networks_without_quantised_layers_have_no_such_costs() -> None:
    assert set(complexity(nn.Conv2d(3, 8, 3), (3, 5, 5))) == {"flops", "params", "acts"}


@pytest.mark.parametrize("pair", [(1, 2), (4, 4)])
def test_a_supernet_of_one_option_equals_the_stand_alone_quantised_network(pair: tuple[int, int]) -> None:
    space = resnet_bits(18, classes=4, pairs=(pair,), scales=(1.0,))
    architecture = space.decisions.sample(np.random.default_rng(0))
    supernet, network = space.supernet(seed=3), space.build(architecture, seed=3)
    network.load_state_dict(space.shared_state(supernet, architecture))
    x, labels = torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(1)), torch.tensor([0, 1, 2])
    outputs = supernet(x, space.choice(architecture)), network(x)
    assert torch.equal(*outputs)
    for output in outputs:
        nn.functional.cross_entropy(output, labels).backward()
    gradients = [p.grad for p in network.parameters()]
    shared = [p.grad for p in supernet.parameters()]
    assert len(gradients) == len(shared)
    assert all(g is not None for g in shared)
    for mine in shared:  # names differ; each gradient of the one is a gradient of the other
        assert any(g.shape == mine.shape and torch.allclose(g, mine, rtol=1e-4, atol=1e-6) for g in gradients)  # type: ignore[union-attr]


def test_every_option_of_bits_has_a_clip_of_its_own_and_all_share_one_weight() -> None:
    supernet = small_bits().supernet(seed=0)
    names = [name for name, _ in supernet.named_parameters()]
    quantisers = 4 * 2 + 1  # two per block, one of the shortcut that changes the shape
    assert sum(name.endswith(".clip") for name in names) == 6 * quantisers
    assert sum(name.endswith("conv.weight") for name in names) == quantisers


def test_a_step_moves_the_clip_of_the_bits_it_used_alone() -> None:
    space = small_bits()
    supernet = space.supernet(seed=0)
    architecture = space.decisions.sample(np.random.default_rng(0))
    x = 4 * torch.randn(8, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    supernet(x, space.choice(architecture)).square().sum().backward()
    used = {n for n, p in supernet.named_parameters() if n.endswith(".clip") and p.grad is not None}
    assert len(used) == 9
    clips = [name for name in space.shared_state(supernet, architecture) if name.endswith(".clip")]
    assert len(clips) == 9


def found(space: Space) -> nn.Module:
    architecture = space.decisions.sample(np.random.default_rng(2))
    return space.extract(space.supernet(seed=0).eval(), architecture)


@pytest.mark.slow
def test_the_found_network_leaves_without_our_classes_by_onnx_and_safetensors(tmp_path: Path) -> None:
    network = found(small_bits())
    assert not [type(m) for m in network.modules() if type(m).__module__.startswith("palmette")]
    assert export_onnx(network, tmp_path / "network.onnx", (1, 8, 8)) < 1e-4
    save_file({k: v.contiguous() for k, v in network.state_dict().items()}, tmp_path / "network.safetensors")
    again = found(small_bits())
    with torch.no_grad():
        for parameter in again.parameters():
            parameter.zero_()
        again.load_state_dict(load_file(tmp_path / "network.safetensors"))
        x = torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(0))
        assert torch.equal(again(x), network(x))


@pytest.mark.parametrize("pair", [(0, 2), (2, 0), (2, 17)])
def test_bits_out_of_range_are_refused(pair: tuple[int, int]) -> None:
    with pytest.raises(ArchitectureError, match=r"quantiser: \d+ bits were given; allowed are 1 to 16"):
        Bits("bits", ((2, 2), pair))
    with pytest.raises(ArchitectureError, match="allowed are 1 to 16"):
        resnet_bits(18, pairs=(pair,))


def test_other_depths_are_refused() -> None:
    with pytest.raises(ArchitectureError, match="resnet of 50 layers: allowed are 18, 34"):
        resnet_bits(50)
