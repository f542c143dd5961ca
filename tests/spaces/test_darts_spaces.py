"""The space of DARTS: published counts, the rule that ends a search, and the mixture against the formula."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from palmette.choice import Pick
from palmette.costs.complexity import complexity
from palmette.errors import ArchitectureError
from palmette.mixtures import strongest_inputs
from palmette.space import Space, Supernet
from palmette.spaces.darts import CIFAR, IMAGENET, SMALL_SEARCHED, Network, darts, darts_small, darts_space
from palmette.spaces.darts_cell import EDGES, KINDS, MIXED, NODES, OPERATIONS, CellSlot, cell_inputs, edge
from palmette.spaces.darts_genotypes import GENOTYPES, Genotype, genotype


@pytest.fixture(scope="module")
def space() -> Space:
    return darts_small()


def test_there_are_as_many_cells_as_the_paper_counts() -> None:
    cell = 1 * 3 * 6 * 10 * 7**8  # appendix C
    assert darts().decisions.count() == cell**2 == 1_076_746_950_455_072_400


def test_the_supernet_has_the_parameters_of_the_published_one() -> None:
    with torch.device("meta"):
        supernet = darts().supernet(seed=0)
    assert sum(p.numel() for p in supernet.parameters()) == 1_930_618


@pytest.mark.parametrize(
    ("name", "params", "flops"),
    [
        ("DARTS_V1", 3_169_414, 501.0e6),
        ("DARTS_V2", 3_349_342, 528.4e6),
        ("PC_DARTS_cifar", 3_634_678, 556.7e6),
        ("DrNAS_cifar10", 4_099_294, 635.1e6),
    ],
)
def test_published_cells_count_on_cifar_as_published(name: str, params: int, flops: float) -> None:
    counted = complexity(built(CIFAR, name), (3, 32, 32))
    assert counted["params"] == params
    assert counted["flops"] == pytest.approx(flops, abs=0.05e6)


@pytest.mark.parametrize(
    ("name", "params", "flops"), [("DARTS_V1", 4_510_432, 505.9e6), ("DARTS_V2", 4_718_752, 529.9e6)]
)
def test_published_cells_count_on_imagenet_as_published(name: str, params: int, flops: float) -> None:
    counted = complexity(built(IMAGENET, name, classes=1000), (3, 224, 224))
    assert counted["params"] == params
    assert counted["flops"] == pytest.approx(flops, abs=0.05e6)


def test_the_auxiliary_head_has_the_parameters_of_the_published_one() -> None:
    network = built(CIFAR, "DARTS_V1")
    assert sum(p.numel() for p in network.parameters()) == 3_645_840
    assert sum(p.numel() for p in network.get_submodule("auxiliary").parameters()) == 476_426


def test_in_training_both_heads_answer_and_in_evaluation_one(space: Space) -> None:
    network = space.stand_alone.build(space.decisions.sample(np.random.default_rng(0)), seed=0)
    first, second = network(torch.zeros(2, 3, 32, 32))
    assert first.shape == second.shape == network.eval()(torch.zeros(2, 3, 32, 32)).shape == (2, 10)


@pytest.mark.parametrize("name", GENOTYPES)
def test_a_genotype_is_read_and_written_as_the_same_cells(name: str) -> None:
    decisions = darts_space("cells", SMALL_SEARCHED, classes=10, channels=3).decisions
    architecture = GENOTYPES[name].architecture(decisions)
    assert genotype(architecture).architecture(decisions) == architecture


def test_the_order_of_the_two_inputs_of_a_node_does_not_make_another_architecture(space: Space) -> None:
    v1 = GENOTYPES["DARTS_V1"]
    turned = Genotype("sep3<0 sep3<1 sep3<1 skip<0 sep3<1 skip<0 skip<2 sep3<0", v1.reduce, "")
    assert turned.architecture(space.decisions) == v1.architecture(space.decisions)
    assert cell_inputs("normal", v1.architecture(space.decisions))[1] == (("skip_connect", 0), ("sep_conv_3x3", 1))


@pytest.mark.parametrize("cell", ["sep3<0 sep3<1", "sep3<0 sep3<0" + " max<0 max<1" * 3, "conv<0 max<1" * 4])
def test_what_is_no_cell_is_refused(space: Space, cell: str) -> None:
    with pytest.raises(ArchitectureError, match="give eight of max, avg, skip"):
        Genotype(cell, cell, "").architecture(space.decisions)


def test_equal_weights_end_in_the_first_two_inputs_and_the_first_operation() -> None:
    assert strongest_inputs([[1 / 8] * 8] * 4, keep=2) == [(0, 1), (1, 1)]


def test_a_node_keeps_the_two_edges_with_the_largest_weight_whatever_none_has() -> None:
    rows = [
        [0.90, 0.04, 0.06, 0.00],  # none is largest and counts for nothing: 0.06
        [0.10, 0.30, 0.30, 0.30],  # 0.30, the first of three
        [0.00, 0.20, 0.30, 0.50],  # 0.50
        [0.60, 0.10, 0.00, 0.30],  # 0.30 as well, later
    ]
    assert strongest_inputs(rows, keep=2) == [(2, 3), (1, 1)]
    assert strongest_inputs(rows, keep=1) == [(2, 3)]


def test_weights_of_edges_end_in_the_cells_they_were_made_for(space: Space) -> None:
    architecture = GENOTYPES["DARTS_V2"].architecture(space.decisions)
    weights = {name: [0.9, *[0.1 / 7] * 7] for name in space.mixtures.options()}
    for kind in KINDS:
        for node, two in zip(NODES, cell_inputs(kind, architecture), strict=True):
            for operation, state in two:
                weights[edge(kind, state, node)][MIXED.index(operation)] = 0.05
    assert space.mixtures.strongest(weights) == architecture


def test_weights_stand_on_fourteen_edges_of_each_cell(space: Space) -> None:
    options = space.mixtures.options()
    assert len(options) == 28
    assert list(options)[:4] == ["normal_edge_0_2", "normal_edge_1_2", "normal_edge_0_3", "normal_edge_1_3"]
    assert set(options.values()) == {("none", *OPERATIONS)}


@pytest.mark.parametrize("side", [16, 12])
def test_the_mixture_and_its_gradients_equal_the_formula(space: Space, side: int) -> None:
    supernet, x = in_double(space, side)  # cells are 16, 8 and 4 pixels wide, or 12, 6 and an odd 3
    logits = {
        n: torch.randn(8, generator=seeded(i), dtype=torch.float64) for i, n in enumerate(space.mixtures.options())
    }
    for tensor in logits.values():
        tensor.requires_grad_()
    inputs = [*logits.values(), *supernet.parameters()]
    weights = {name: tensor.softmax(0) for name, tensor in logits.items()}
    fast = supernet(x, weights)
    slow = formula(supernet, x, weights)
    torch.testing.assert_close(fast, slow, rtol=1e-10, atol=1e-10)
    ours = torch.autograd.grad(fast.square().sum(), inputs, retain_graph=True)
    theirs = torch.autograd.grad(slow.square().sum(), inputs)
    torch.testing.assert_close(ours, theirs, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("on", ["edges", "decisions"])
def test_one_hot_weights_equal_the_single_path(space: Space, seed: int, on: str) -> None:
    supernet, x = in_double(space)
    architecture = space.decisions.sample(np.random.default_rng(seed))
    single = space.choice(architecture)
    choice: dict[str, Pick] = {
        n: one_hot(i, len(space.decisions.values(n))) for n, i in single.items() if isinstance(i, int)
    }
    if on == "edges":
        choice = {name: one_hot(0, 8) for name in space.mixtures.options()}
        for kind in KINDS:
            for node, two in zip(NODES, cell_inputs(kind, architecture), strict=True):
                choice |= {edge(kind, state, node): one_hot(MIXED.index(op), 8) for op, state in two}
    expected, actual = supernet(x, single), supernet(x, choice)
    torch.testing.assert_close(actual, expected, rtol=1e-10, atol=1e-10)
    gradients = [
        torch.autograd.grad(out.square().sum(), list(supernet.parameters()), allow_unused=True)
        for out in (expected, actual)
    ]
    for one, other in zip(*gradients, strict=True):
        if one is not None:
            assert other is not None
            torch.testing.assert_close(other, one, rtol=1e-8, atol=1e-8)
        elif other is not None:
            assert other.abs().max() == 0


def test_none_alone_leaves_a_node_at_zero(space: Space) -> None:
    supernet, x = in_double(space)
    choice: dict[str, Pick] = {name: one_hot(0, 8) for name in space.mixtures.options()}
    features: list[Tensor] = []
    supernet.network.get_submodule("cells.0").register_forward_hook(lambda *args: features.append(args[2]))  # type: ignore[union-attr]
    supernet(x, choice)
    assert features[0].abs().max() == 0


def test_weights_for_a_network_that_is_trained_alone_are_refused(space: Space) -> None:
    supernet = space.stand_alone.supernet(seed=0)
    with pytest.raises(ArchitectureError, match="mix the search network"):
        supernet(torch.zeros(2, 3, 32, 32), {name: one_hot(1, 8) for name in space.mixtures.options()})


def built(size: Network, name: str, classes: int = 10) -> nn.Module:
    space = darts_space("cells", size, classes=classes, channels=3)
    with torch.device("meta"):
        return space.build(GENOTYPES[name].architecture(space.decisions), seed=0)


def in_double(space: Space, side: int = 16) -> tuple[Supernet, Tensor]:
    """Return the small supernet and images; in double precision, since ReLU makes gradients jump where signs differ."""
    return space.supernet(seed=0).double(), torch.randn(4, 3, side, side, generator=seeded(99), dtype=torch.float64)


def formula(supernet: Supernet, x: Tensor, weights: dict[str, Tensor]) -> Tensor:
    """Return the logits with every operation of every edge run alone and weighted (equation 2)."""
    network = supernet.network
    before = last = network.get_submodule("stem.0")(x)
    for slot in network.get_submodule("cells").children():
        assert isinstance(slot, CellSlot)
        assert slot.preprocess is not None
        assert slot.edges is not None
        states = [slot.preprocess[0](before), slot.preprocess[1](last)]
        for node in NODES:
            total = torch.zeros(())
            for (state, end), operations in zip(EDGES, slot.edges, strict=True):
                if end == node:
                    w = weights[edge(slot.kind, state, node)]
                    for i, name in enumerate(OPERATIONS, start=1):
                        total = total + w[i] * operations[name](states[state])  # type: ignore[index]
            states.append(total)
        before, last = last, torch.cat(states[2:], dim=1)
    logits: Tensor = network.get_submodule("head")(last)
    return logits


def one_hot(index: int, size: int) -> Tensor:
    return torch.eye(size, dtype=torch.float64)[index]


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)
