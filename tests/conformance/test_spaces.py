"""What every space must hold: one definition, two fillings, one count of costs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny import chained
from torch import Tensor, nn

from palmette.architecture import Architecture
from palmette.blocks.convolution import conv_bn
from palmette.costs.complexity import complexity
from palmette.costs.counted import cost_table
from palmette.graph_slots import AnyOf, OneOfInputs
from palmette.slots import OneOf
from palmette.space import Space
from palmette.spaces.darts import SMALL, darts_small, darts_space
from palmette.spaces.enas_macro import enas_macro
from palmette.spaces.enas_micro import Network as MicroNetwork
from palmette.spaces.enas_micro import enas_micro
from palmette.spaces.fbnet import Macro, fbnet
from palmette.spaces.fbnet_v2 import Axes, fbnet_v2
from palmette.spaces.memory_bank import SMALL as FEW_BANKS
from palmette.spaces.memory_bank import memory_bank, small_memory_bank
from palmette.spaces.mobile_choice import fair_mobile, greedy_mobile_se
from palmette.spaces.nas_bench_201 import nas_bench_201
from palmette.spaces.nas_bench_macro import nas_bench_macro
from palmette.spaces.proxyless import proxyless
from palmette.spaces.recurrent_cell import CellSpace, darts_cells, enas_cells
from palmette.spaces.resnet_bits import small_bits
from palmette.spaces.shuffle_choice import shuffle_choice
from palmette.spaces.small_images import small_images
from palmette.spaces.small_widths import small_widths
from palmette.supernets.sliced import Sliced, Width


def nested() -> Space:
    """Return a space with a nested slot, tied slots and a bare parameter beside the layers."""

    def inner() -> nn.Module:
        return nn.Sequential(OneOf("inner", k1=lambda: conv_bn(8, 8), k3=lambda: conv_bn(8, 8, 3)), conv_bn(8, 8))

    def network() -> nn.Module:
        tied = [OneOf("tied", k3=lambda: conv_bn(8, 8, 3), skip=nn.Identity) for _ in range(2)]
        outer = OneOf("outer", skip=nn.Identity, deep=inner, pool=lambda: nn.AvgPool2d(3, 1, 1))
        return nn.Sequential(nn.Conv2d(3, 8, 3), tied[0], outer, tied[1], nn.AdaptiveAvgPool2d(2), nn.Flatten())

    return Space(network, name="nested")


def widths() -> Space:
    """Return a space whose stand-alone networks own slices of the supernet's tensors."""
    widths = [Width(f"width{i}", (2, 4, 8)) for i in range(3)]
    slots = [Sliced(lambda outputs: conv_bn(8, outputs, 3), w, outputs=w, padded=True) for w in widths]
    return Space(nn.Sequential(conv_bn(3, 8, 3), *slots, nn.AdaptiveAvgPool2d(1), nn.Flatten()), name="widths")


class Graph(nn.Module):
    """Four layers of which each reads any of the earlier ones, and the last one of them, through a nested slot."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = conv_bn(3, 8, 3)
        self.layers = nn.ModuleList(conv_bn(8, 8, 3) for _ in range(3))
        skips = {f"node{i}": [lambda: nn.Conv2d(8, 8, 1), nn.Identity][i % 2] for i in range(3)}
        self.skips = nn.ModuleList(AnyOf(f"skips{i}", dict(list(skips.items())[:i])) for i in range(1, 4))
        inner = {"pool": lambda: nn.AvgPool2d(3, 1, 1), "conv": lambda: conv_bn(8, 8, 3)}
        self.last = OneOfInputs("last", dict.fromkeys([*skips, "node3"], lambda: OneOf("inner", **inner)))
        self.head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())

    def forward(self, x: Tensor) -> Tensor:
        nodes = [self.stem(x)]
        for layer, skips in zip(self.layers, self.skips, strict=True):
            nodes.append(skips(nodes, layer(nodes[-1])))
        out: Tensor = self.head(self.last(nodes))
        return out


def graph() -> Space:
    """Return a space of any-of decisions, and of a decision on the input of a nested one."""
    return Space(Graph, name="graph")


WORDS = 20

FEW_WIDTHS = Axes(
    widths=((4, 8), (8, 12)),
    depths=(1, 2),
    strides=(1, 2),
    expansions=(1.0, 2.0),
    kinds=("k3R", "k5HS"),
    resolutions=(6, 8),
    stem=8,
    stem_stride=1,
    last=16,
)
GATES = replace(FEW_BANKS, depth=1, gates=True, family="variable")
FEW_VOXELS = replace(FEW_BANKS, depth=1, axes=3, max_kernel=3)
SPACES: dict[str, tuple[Callable[[], Space], tuple[int, ...]]] = {
    "enas-recurrent": (lambda: enas_cells(WORDS, CellSpace(nodes=5, hidden=8)), (1,)),
    "darts-recurrent": (lambda: darts_cells(WORDS, CellSpace(nodes=4, hidden=8)), (1,)),
    "nas-bench-macro": (nas_bench_macro, (3, 32, 32)),
    "nas-bench-201": (lambda: nas_bench_201(width=8, cells=1), (3, 16, 16)),
    "shuffle-choice": (lambda: shuffle_choice(classes=10), (3, 64, 64)),
    "small-images": (small_images, (1, 8, 8)),
    "greedy-mobile-se": (lambda: greedy_mobile_se(classes=10), (3, 64, 64)),
    "fair-mobile": (lambda: fair_mobile(classes=10), (3, 64, 64)),
    "fbnet": (lambda: fbnet(classes=10, macro=Macro(stages=((16, 1, 1), (24, 3, 2)))), (3, 16, 16)),
    "fbnet-v2": (lambda: fbnet_v2(classes=10, channels=1, axes=FEW_WIDTHS), (1, 8, 8)),
    "proxyless": (lambda: proxyless(classes=10, stages=((24, 3, 2), (40, 1, 1))), (3, 16, 16)),
    "darts-small": (darts_small, (3, 16, 16)),
    "darts-small-retrained": (lambda: darts_space("darts-small", SMALL, classes=10, channels=3), (3, 16, 16)),
    "nested": (nested, (3, 9, 9)),
    "graph": (graph, (3, 8, 8)),
    "enas-macro": (lambda: enas_macro(layers=6, filters=8), (3, 8, 8)),
    "enas-micro": (lambda: enas_micro(nodes=4, searched=MicroNetwork(cells=3, filters=8)), (3, 8, 8)),
    "widths": (widths, (3, 8, 8)),
    "chained": (chained, (3, 8, 8)),
    "small-widths": (small_widths, (1, 8, 8)),
    "small-bits": (small_bits, (1, 8, 8)),
    "memory-bank-small": (small_memory_bank, (1, 8, 8)),
    "memory-bank-small-retrained": (lambda: small_memory_bank().stand_alone, (1, 8, 8)),
    "memory-bank-gates": (lambda: memory_bank(sizes=GATES), (3, 8, 8)),
    "memory-bank-voxels": (lambda: memory_bank(sizes=FEW_VOXELS, channels=1, stem_kernel=3), (1, 8, 8, 8)),
}


def made(name: str) -> tuple[Space, tuple[int, ...]]:
    function, shape = SPACES[name]
    return function(), shape


def sampled(space: Space, count: int) -> list[Architecture]:
    generator = np.random.default_rng(0)
    return [space.decisions.sample(generator) for _ in range(count)]


def images(shape: tuple[int, ...], count: int = 2) -> Tensor:
    """Return inputs of a space; of language models, one stream of words."""
    generator = torch.Generator().manual_seed(0)
    if len(shape) == 1:
        return torch.randint(WORDS, (count, *shape), generator=generator)
    return torch.randn(count, *shape, generator=generator)


def first(output: Tensor | tuple[Tensor, ...]) -> Tensor:
    """Return the output, or its first tensor where there are several."""
    return output[0] if isinstance(output, tuple) else output


def trained_a_little(space: Space, shape: tuple[int, ...], architectures: list[Architecture]) -> nn.Module:
    """Return a supernet whose BatchNorm layers have seen images, so that no statistics are those of a new network."""
    supernet = space.supernet(seed=0).train()
    with torch.no_grad():
        for architecture in architectures:
            supernet(images(shape, 8), space.choice(architecture))
    return supernet.eval()


@pytest.mark.parametrize("name", SPACES)
def test_stand_alone_with_copied_weights_equals_the_supernet_path_bitwise(name: str) -> None:
    space, shape = made(name)
    architectures = sampled(space, 4)
    supernet = trained_a_little(space, shape, architectures)
    for architecture in architectures:
        network = space.build(architecture, seed=1).eval()
        network.load_state_dict(space.shared_state(supernet, architecture))
        with torch.no_grad():
            expected = first(supernet(images(shape), space.choice(architecture)))
            assert torch.equal(first(network(images(shape))), expected)


@pytest.mark.parametrize("name", SPACES)
def test_extracted_network_is_plain_and_equal(name: str) -> None:
    space, shape = made(name)
    architectures = sampled(space, 2)
    supernet = trained_a_little(space, shape, architectures)
    for architecture in architectures:
        network = space.extract(supernet, architecture)
        ours = [type(m) for m in network.modules() if type(m).__module__.startswith("palmette")]
        assert not ours or len(shape) == 1  # a language model's loop over time is no fixed graph
        for count in (2, 3):
            with torch.no_grad():
                expected = first(supernet(images(shape, count), space.choice(architecture)))
                assert torch.equal(first(network(images(shape, count))), expected)
        state = space.shared_state(supernet, architecture)
        assert {name: tensor.data_ptr() for name, tensor in state.items()}.items().isdisjoint(
            {name: tensor.data_ptr() for name, tensor in network.state_dict().items()}.items()
        )


@pytest.mark.parametrize("name", SPACES)
def test_weights_written_to_the_shared_state_reach_the_supernet(name: str) -> None:
    space, shape = made(name)
    (architecture,) = sampled(space, 1)
    supernet = trained_a_little(space, shape, [architecture])
    network = space.build(architecture, seed=7).eval()
    # Weights of another supernet: those of a new network need not agree where layers share a tensor.
    network.load_state_dict(space.shared_state(space.supernet(seed=7), architecture))
    for tensor_name, tensor in space.shared_state(supernet, architecture).items():
        tensor.copy_(network.state_dict()[tensor_name])
    with torch.no_grad():
        expected = first(supernet(images(shape), space.choice(architecture)))
        assert torch.equal(first(network(images(shape))), expected)


@pytest.mark.parametrize("name", SPACES)
def test_equal_architectures_and_seeds_build_equal_networks(name: str) -> None:
    space, shape = made(name)
    (architecture,) = sampled(space, 1)
    again = SPACES[name][0]().decisions.check(Architecture.from_json(architecture.to_json()))
    assert again == architecture
    with torch.no_grad():
        one, other = (first(space.build(a, seed=3).eval()(images(shape))) for a in (architecture, again))
    assert torch.equal(one, other)


@pytest.mark.parametrize("name", SPACES)
def test_building_leaves_the_global_generator_alone(name: str) -> None:
    space, _ = made(name)
    before = torch.get_rng_state()
    space.supernet(seed=0)
    space.build(sampled(space, 1)[0], seed=0)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("name", sorted(SPACES))
def test_cost_table_equals_counting_the_built_network(name: str) -> None:
    space, shape = made(name)
    table = cost_table(space, shape)
    architectures = sampled(space, 12)
    for architecture, row in zip(architectures, table.all(architectures), strict=True):
        counted = complexity(space.build(architecture, seed=0), shape)
        assert table(architecture) == counted
        assert dict(zip(table.names, row.tolist(), strict=True)) == counted


@pytest.mark.parametrize("name", ["nas-bench-macro", "small-images", "nested", "graph", "widths", "chained"])
def test_counts_equal_enumeration(name: str) -> None:
    space, _ = made(name)
    assert space.decisions.count() == sum(1 for _ in space.decisions.encodings())
    distinct = list(space.decisions.enumerate())
    assert space.decisions.count_distinct() == len(distinct) == len(set(distinct))
    assert all(space.decisions.check(architecture) == architecture for architecture in distinct[:100])


def test_the_seed_alone_decides_the_first_weights_of_a_network_that_was_given_as_a_module() -> None:
    def first_weight(seed: int) -> torch.Tensor:
        network = nn.Sequential(nn.Conv2d(3, 4, 1), OneOf("slot", a=nn.Identity, b=nn.ReLU))
        given = network[0].weight.detach().clone()
        space = Space(network)
        built = space.build(space.decisions.parse("1"), seed=seed).get_parameter("0.weight")
        assert torch.equal(network[0].weight, given)
        return built

    assert torch.equal(first_weight(5), first_weight(5))
    assert not torch.equal(first_weight(5), first_weight(6))


@pytest.mark.parametrize(
    "name", ["nas-bench-macro", "nas-bench-201", "small-images", "nested", "widths", "fbnet", "proxyless"]
)
def test_one_hot_weights_equal_the_single_path_forward_and_gradient(name: str) -> None:
    space, shape = made(name)
    (architecture,) = sampled(space, 1)
    supernet = trained_a_little(space, shape, [architecture]).train()
    path = space.choice(architecture)
    options = space.mixtures.options()
    hot = {n: torch.eye(len(o))[i if isinstance(i := path.get(n, 0), int) else 0] for n, o in options.items()}
    found = []
    for choice in (path, hot):
        supernet.zero_grad()
        output = supernet(images(shape, 4), choice)
        output.square().sum().backward()
        gradients = {n: p.grad.clone() for n, p in supernet.named_parameters() if p.grad is not None}
        found.append((output.detach(), gradients))
    (one, gradients), (other, mixed) = found
    torch.testing.assert_close(other, one, rtol=1e-4, atol=1e-5)
    for parameter, gradient in mixed.items():
        expected = gradients.get(parameter, torch.zeros_like(gradient))
        torch.testing.assert_close(gradient, expected, rtol=1e-3, atol=1e-4)
