"""Hypernetworks: the order of weights in the picture, equality with networks built alone, where gradients go."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from torch import Tensor

from palmette.architecture import Architecture
from palmette.space import Space, Supernet
from palmette.spaces.memory_bank import SMALL, small_memory_bank
from palmette.spaces.small_images import small_images
from palmette.supernets.generated import GeneratedWeights
from palmette.supernets.hypernetwork import (
    BankHyperNetwork,
    HyperNet,
    LayerHyperNetwork,
    as_weights,
    generated_names,
    normalised,
)
from palmette.supernets.options import HyperNetOptions

TINY = HyperNetOptions(first=3, growth=4, layers=(2, 2))


@pytest.fixture(scope="module")
def space() -> Space:
    return small_memory_bank()


@pytest.fixture
def supernet(space: Space) -> Supernet:
    return space.supernet(seed=0)


@pytest.fixture
def generated(supernet: Supernet) -> GeneratedWeights:
    torch.manual_seed(1)
    return GeneratedWeights(supernet, BankHyperNetwork(supernet.network, TINY), generated_names(supernet))


@pytest.fixture
def x() -> Tensor:
    return torch.randn(4, 1, 8, 8, generator=torch.Generator().manual_seed(0))


def drawn(space: Space, seed: int = 0) -> Architecture:
    return space.decisions.sample(np.random.default_rng(seed))


@pytest.mark.parametrize("bottleneck", [1, 2])
def test_the_picture_holds_the_weights_in_the_published_order(bottleneck: int) -> None:
    """W[s D N + b, r B N + a] = O[a D N + b, r, s] (smash.md 6.4), with distinct numbers."""
    unit, compression, rows, columns = 3, 2, 4, 5
    channels = bottleneck * unit * compression * unit
    picture = torch.arange(channels * rows * columns, dtype=torch.float32).view(1, channels, rows, columns)
    weights = as_weights(picture, unit=unit, compression=compression, bottleneck=bottleneck)
    assert weights.shape == (columns * compression * unit, rows * bottleneck * unit)
    for s in range(columns):
        for b in range(compression * unit):
            for r in range(rows):
                for a in range(bottleneck * unit):
                    expected = picture[0, a * compression * unit + b, r, s]
                    assert weights[s * compression * unit + b, r * bottleneck * unit + a] == expected


def test_the_network_has_the_published_layers() -> None:
    """smash.md 6.3: 26 convolutions, 92 -> 99 -> 179 -> 89 -> 189 -> 94 -> 134 -> 128 channels."""
    net = HyperNet(91, 128, HyperNetOptions())
    inputs = [layer.shape[1] for layer in net.layers]
    assert len(net.layers) == 26
    assert (inputs[0], inputs[1], inputs[9], inputs[10], inputs[20], inputs[21], inputs[25]) == (
        *(92, 99, 179, 89, 189, 94, 134),
    )
    assert net.layers[25].shape == (128, 134, 1, 1)
    c = torch.zeros(1, 91, 8, 12)
    assert net(c).shape == (1, 128, 8, 12)


def test_an_encoding_that_says_nothing_gives_nothing_but_noise(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is the same for all architectures does not enter the weights."""
    net, nothing = HyperNet(5, 8, TINY), torch.full((1, 5, 4, 6), -1.0)
    assert net(nothing).ne(0).any()
    monkeypatch.setattr(torch, "randn", torch.zeros)
    assert net(nothing).eq(0).all()
    said = nothing.clone()
    said[0, 2, 1, 3] = 1.0
    assert net(said)[0, :, 1, 3].ne(0).any()


@pytest.mark.parametrize("seed", range(3))
def test_a_network_with_generated_weights_equals_the_one_built_with_copies_of_them(
    space: Space, supernet: Supernet, generated: GeneratedWeights, x: Tensor, seed: int
) -> None:
    architecture = drawn(space, seed)
    choice = space.choice(architecture)
    with torch.no_grad():
        generated.train()(x, choice)  # so that norms have statistics
        torch.manual_seed(7)
        expected = generated.eval()(x, choice)
        torch.manual_seed(7)
        generated.write(generated.hypernetwork(choice))
        network = space.build(architecture, seed=5).eval()
        network.load_state_dict(space.shared_state(supernet, architecture))
        assert torch.equal(network(x), expected)
    for name, tensor in network.state_dict().items():
        if "pointwise" in name:
            assert float(tensor.norm()) == pytest.approx(1.0, abs=1e-5)


def test_gradients_reach_every_part_of_the_hypernetwork_and_no_generated_weight(
    space: Space, generated: GeneratedWeights, x: Tensor
) -> None:
    generated(x, space.choice(drawn(space))).square().sum().backward()
    for name, parameter in generated.hypernetwork.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.ne(0).any(), name
    for name in generated.names:
        parameter = generated.supernet.get_parameter(name)
        assert parameter.grad is None
        assert not parameter.requires_grad
    shared = {n for n, p in generated.supernet.named_parameters() if p.grad is not None and p.grad.ne(0).any()}
    assert {"network.0.weight", "network.2.a1", "network.4.tail.4.weight"} <= shared


def test_rows_beyond_the_width_of_an_op_are_not_used(space: Space, generated: GeneratedWeights) -> None:
    """True with the repaired bottleneck, false for the released rule (smash.md 10.2)."""
    hypernetwork = generated.hypernetwork
    assert isinstance(hypernetwork, BankHyperNetwork)
    plans = hypernetwork.plans(space.choice(drawn(space, 2)))
    columns = [op.units for plan in plans for op in plan.ops for _ in range(len(op.reads) * plan.bank // 2)]
    picture = torch.zeros(1, 2 * 2 * 16, SMALL.rows, len(columns) + 1, requires_grad=True)
    hypernetwork.net.forward = lambda c: picture + 0.01  # type: ignore[method-assign]
    sum(w.pow(3).sum() for w in hypernetwork.weights(plans, hypernetwork.encode(plans))).backward()
    assert picture.grad is not None
    used = picture.grad[0].abs().sum(0)
    for column, units in enumerate(columns):
        assert used[:units, column].gt(0).all() or used[:units, column].gt(0).any()
        assert used[units:, column].eq(0).all()
    assert used[:, -1].eq(0).all()


def test_another_written_bank_changes_the_weights(space: Space, generated: GeneratedWeights) -> None:
    hypernetwork = generated.hypernetwork
    assert isinstance(hypernetwork, BankHyperNetwork)
    plans = hypernetwork.plans(space.choice(drawn(space, 2)))
    c = hypernetwork.encode(plans)
    flipped = c.clone()
    flipped[0, hypernetwork.encoding.start["writes"], 0, 0] *= -1
    torch.manual_seed(0)
    one = hypernetwork.weights(plans, c)
    torch.manual_seed(0)
    other = hypernetwork.weights(plans, flipped)
    assert not torch.equal(one[0], other[0])


def test_capacity_is_an_option_and_blocks_can_be_left_to_shared_weights(space: Space, supernet: Supernet) -> None:
    sizes = [sum(p.numel() for p in HyperNet(91, 128, o).parameters()) for o in (TINY, HyperNetOptions())]
    assert sizes[0] < sizes[1] / 8
    first = BankHyperNetwork(supernet.network, TINY, generated=1)
    weights = first(space.choice(drawn(space)))
    assert len(weights) == 1
    assert weights[0].shape[1] == SMALL.bottleneck * SMALL.widest


def test_generated_weights_serve_any_space_with_pointwise_convolutions() -> None:
    space = small_images()
    supernet = space.supernet(seed=0)
    names = generated_names(supernet)
    assert names
    assert all(supernet.get_parameter(name).shape[2:] == (1, 1) for name in names)
    options = {name: space.decisions.size(name) for name in space.decisions.decisions}
    names.append("network.9.weight")  # the classifier can be named too
    hypernetwork = LayerHyperNetwork(supernet, names, options, TINY)
    module = GeneratedWeights(supernet, hypernetwork, names).eval()
    x = torch.randn(3, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    outputs = []
    for seed in range(2):
        architecture = drawn(space, seed)
        torch.manual_seed(0)
        weights = hypernetwork(space.choice(architecture))
        assert [w.shape for w in weights] == [supernet.get_parameter(name).shape for name in names]
        torch.manual_seed(0)
        outputs.append(module(x, space.choice(architecture)))
        module.write(weights)
        torch.testing.assert_close(space.extract(supernet, architecture)(x), outputs[-1])
    outputs[-1].sum().backward()
    assert all(p.grad is not None for p in hypernetwork.parameters())


def test_normalised_tensors_have_norm_one() -> None:
    torch.testing.assert_close(normalised(torch.tensor([3.0, 4.0])), torch.tensor([0.6, 0.8]))
    assert normalised(torch.zeros(2)).eq(0).all()
    assert dataclasses.asdict(HyperNetOptions()) == {"first": 7, "growth": 10, "layers": (8, 10, 4)}
