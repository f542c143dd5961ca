"""ENAS's micro space: sizes by formula and enumeration, loose ends, reductions, the auxiliary head, drop-path."""

from __future__ import annotations

import math

import pytest
import torch

from palmette.architecture import Architecture
from palmette.blocks.drop_path import DropPath
from palmette.blocks.factorized_reduce import FactorizedReduce
from palmette.costs.complexity import CostTable, complexity
from palmette.errors import ArchitectureError
from palmette.graph_slots import LooseEnds
from palmette.plain import plain
from palmette.space import Space
from palmette.spaces.enas_micro import Network, enas_micro

TINY = Network(cells=3, filters=8)


def tiny(nodes: int = 4) -> Space:
    return enas_micro(nodes=nodes, searched=TINY)


def of(space: Space, nodes: dict[str, tuple[str, str, str, str]], kind: str = "normal") -> Architecture:
    """Return the architecture with these halves in the cells of one kind, and the first values in the other."""
    values = {name: space.decisions.values(name)[0] for name in space.decisions.decisions}
    parts = ("input1", "op1", "input2", "op2")
    for node, halves in nodes.items():
        values |= {f"{kind}_{node}_{part}": value for part, value in zip(parts, halves, strict=True)}
    return space.decisions.architecture(values)


@pytest.mark.parametrize("nodes", [3, 4, 5, 7])
def test_encodings_are_as_many_as_the_decisions_say(nodes: int) -> None:
    """Not the (5 (B-2)!)^4 = 1.3e11 of the paper."""
    expected = (5 ** (nodes - 2) * math.factorial(nodes - 1)) ** 4
    assert tiny(nodes).decisions.count() == expected
    assert nodes != 7 or float(expected) == pytest.approx(2.56e25, rel=0.01)


@pytest.mark.parametrize(("nodes", "pairs"), [(3, (10,)), (7, (10, 15, 20, 25, 30))])
def test_halves_of_a_node_have_no_order(nodes: int, pairs: tuple[int, ...]) -> None:
    """n pairs of input and operation are n (n + 1) / 2 sums of two."""
    distinct = math.prod(n * (n + 1) // 2 for n in pairs) ** 2
    assert tiny(nodes).decisions.count_distinct() == distinct
    assert nodes != 7 or float(distinct) == pytest.approx(4.39e22, rel=0.01)


def test_three_nodes_are_enumerated() -> None:
    decisions = tiny(3).decisions
    assert sum(1 for _ in decisions.encodings()) == 10**4
    assert len(list(decisions.enumerate())) == decisions.count_distinct() == 55**2


def test_the_worked_example_of_four_nodes_has_one_loose_end() -> None:
    """Node 3 = sep5(h2) + id(h2) and node 4 = avg(h3) + sep3(h1) in the paper, which counts nodes from 1."""
    space = tiny(4)
    halves = {"node2": ("input1", "sep5", "input1", "identity"), "node3": ("node2", "avg3", "input0", "sep3")}
    (loose, *_) = [m for m in space.supernet(seed=0).modules() if isinstance(m, LooseEnds)]
    assert loose.loose(of(space, halves)) == ["node3"]
    apart = {**halves, "node3": ("input1", "avg3", "input0", "sep3")}
    assert loose.loose(of(space, apart)) == ["node2", "node3"]


def test_a_loose_end_more_costs_a_square_of_filters_in_every_cell() -> None:
    """Of the three normal cells one has 8 filters, one 16 and one 32."""
    space = tiny(4)
    table = CostTable(space, (3, 8, 8))
    halves = {"node2": ("input1", "max3", "input1", "max3"), "node3": ("node2", "max3", "input0", "max3")}
    one = table(of(space, halves))
    two = table(of(space, {**halves, "node3": ("input1", "max3", "input0", "max3")}))
    assert two["params"] - one["params"] == 8**2 + 16**2 + 32**2
    assert two["flops"] - one["flops"] == 8**2 * 64 + 16**2 * 16 + 32**2 * 4


def test_a_reduction_halves_the_size_where_it_reads_inputs_and_doubles_the_filters() -> None:
    space = tiny(4)
    architecture = of(space, {"node3": ("node2", "identity", "input0", "identity")}, kind="reduction")
    network = space.build(architecture, seed=0)
    shapes = []
    for cell in network.cells:
        cell.register_forward_hook(lambda m, args, out: shapes.append(tuple(out.shape[1:])))
    network(torch.randn(2, 3, 8, 8))
    assert shapes == [(8, 8, 8), (16, 4, 4), (16, 4, 4), (32, 2, 2), (32, 2, 2)]
    (first, second) = [network.cells[1].nodes[1].first, network.cells[1].nodes[1].second]
    reduced = [sum(isinstance(m, FactorizedReduce) for m in half.modules()) for half in (first, second)]
    assert sorted(reduced) == [0, 1], "identity of a node stays identity, identity of an input becomes a reduction"


def final() -> Space:
    return enas_micro(
        nodes=3, searched=TINY, final=Network(cells=3, filters=8, auxiliary=True, drop_path=True)
    ).stand_alone


def test_the_auxiliary_head_learns_and_is_not_kept() -> None:
    """In the released code its weights are left out of what the optimiser updates: a random head."""
    space = final()
    architecture = of(space, {})
    network = space.build(architecture, seed=0).train()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    before = [p.clone() for p in network.auxiliary.parameters()]
    logits, second = network(torch.randn(2, 3, 32, 32))
    (logits.logsumexp(1) + 0.4 * second.logsumexp(1)).sum().backward()
    optimizer.step()
    assert all(not torch.equal(old, new) for old, new in zip(before, network.auxiliary.parameters(), strict=True))
    counted = complexity(space.build(architecture, seed=0), (3, 32, 32))
    assert counted["params"] == sum(p.numel() for p in network.parameters()) - sum(p.numel() for p in before)
    assert not [name for name, _ in plain(network.eval()).named_parameters() if name.startswith("auxiliary")]


def test_drop_path_is_on_every_operation_but_identity_and_grows_with_depth() -> None:
    """5 cells, keep = 1 - t (l + 1) / (L + 2) (1 - 0.6) with l from 0 and L = 3 normal cells."""
    space = final()
    values = {"node2": ("input0", "identity", "input1", "sep3")}
    network = space.build(of(space, values), seed=0)
    shares = [[m.share for m in cell.modules() if isinstance(m, DropPath)] for cell in network.cells]
    assert [cell[0] for cell in shares] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    assert [len(cell) for cell in shares] == [1, 2, 1, 2, 1]  # reductions here have two separable convolutions


def test_the_network_that_is_searched_has_neither() -> None:
    network = enas_micro(nodes=3, final=Network(cells=3, filters=8, auxiliary=True)).supernet(seed=0)
    assert not any(isinstance(m, DropPath) for m in network.modules())
    assert network.network.auxiliary is None


def test_weights_of_a_separable_convolution_belong_to_node_and_input() -> None:
    space = tiny(4)
    supernet = space.supernet(seed=0)
    values = of(space, {"node3": ("node2", "sep3", "node2", "sep3")})
    supernet(torch.randn(2, 3, 8, 8), space.choice(values)).sum().backward()
    learning = [n for n, p in supernet.named_parameters() if "cells.0.nodes.1" in n and p.grad is not None]
    assert learning
    assert all(".options.node2.options.0." in name for name in learning)


@pytest.mark.parametrize(("nodes", "cells"), [(2, 3), (4, 4)])
def test_numbers_that_no_network_has_are_refused(nodes: int, cells: int) -> None:
    with pytest.raises(ArchitectureError, match=f"{nodes} nodes and {cells} cells were given"):
        enas_micro(nodes=nodes, searched=Network(cells=cells, filters=8))
