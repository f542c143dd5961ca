from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from palmette.blocks.recurrent_cell import ACTIVATIONS, Cell
from palmette.choice import Pick
from palmette.costs.complexity import CostTable, complexity
from palmette.errors import ArchitectureError, PalmetteError
from palmette.sequences import Segment
from palmette.space import Space
from palmette.spaces.recurrent_cell import (
    EDGE_OPTIONS,
    CellSpace,
    as_values,
    darts_cells,
    enas_cells,
    read_cell,
    recurrent_cells,
)
from palmette.spaces.recurrent_published import ENAS_ORDER, PUBLISHED

TOKENS = torch.randint(20, (6, 3), generator=torch.Generator().manual_seed(0))


def small(nodes: int = 4, **options: object) -> Space:
    return enas_cells(20, CellSpace(nodes=nodes, hidden=8, init_range=0.5, **options))  # type: ignore[arg-type]


@pytest.mark.parametrize(("nodes", "size"), [(2, 16), (3, 128), (4, 1536)])
def test_sizes_by_enumeration_equal_the_formula(nodes: int, size: int) -> None:
    decisions = small(nodes).decisions
    assert size == 4**nodes * math.factorial(nodes - 1)
    assert decisions.count() == len(set(decisions.enumerate())) == size


def test_the_size_of_the_papers_space_and_the_papers_own_formula() -> None:
    count = enas_cells(20, CellSpace(nodes=12, hidden=2)).decisions.count()
    assert count == 4**12 * math.factorial(11)
    assert count == pytest.approx(6.70e14, rel=1e-3)
    assert 12 * count == pytest.approx(8.04e15, rel=1e-3)  # 4^N N!, one choice more per node than there is
    assert darts_cells(20, CellSpace(nodes=9, hidden=2)).decisions.count() == 4**8 * math.factorial(8)


@pytest.mark.parametrize("space", [small(5), darts_cells(20, CellSpace(nodes=5, hidden=8, init_range=0.5))])
def test_one_hot_weights_on_edges_equal_the_path(space: Space) -> None:
    """Forward and gradient; DARTS's batch norm, which a single path has not, is off."""
    if space.name == "darts-recurrent":
        options = CellSpace(nodes=5, hidden=8, init_range=0.5, first="tanh", weights="node", averages_all=True)
        space = recurrent_cells(20, options, name="darts-recurrent")
    supernet = space.supernet(seed=0)
    architecture = space.decisions.sample(np.random.default_rng(3))
    results = []
    for choice in (space.choice(architecture), one_hots(space, architecture.as_dict())):
        supernet.zero_grad()
        logits = supernet(Segment(TOKENS, None), choice).logits
        logits.square().sum().backward()
        gradients = [torch.zeros_like(p) if p.grad is None else p.grad.clone() for p in supernet.parameters()]
        results.append([logits.detach(), *gradients])
    torch.testing.assert_close(results[0], results[1], rtol=1e-4, atol=1e-6)


def one_hots(space: Space, values: dict[str, object]) -> dict[str, Pick]:
    choice: dict[str, Pick] = {}
    for name, options in space.mixtures.options().items():
        if name == "op0":
            choice[name] = torch.eye(4)[list(ACTIVATIONS).index(str(values["op0"]))]
            continue
        _, node, source = name.split("_")
        is_read = str(values.get(f"input{node}", "0")) == source
        option = str(values[f"op{node}"]) if is_read else "none"
        choice[name] = torch.eye(len(options))[options.index(option)]
    return choice


def test_the_strongest_edges_leave_out_none_and_keep_one_per_node() -> None:
    space = darts_cells(20, CellSpace(nodes=3, hidden=2))
    weights = {
        "edge_1_0": [0.9, 0.01, 0.04, 0.03, 0.02],  # none does not count: relu
        "edge_2_0": [0.1, 0.3, 0.2, 0.2, 0.2],
        "edge_2_1": [0.6, 0.0, 0.0, 0.0, 0.4],  # identity at 0.4 beats tanh at 0.3
    }
    assert space.mixtures.strongest(weights).as_dict() == {"op1": "relu", "input2": "1", "op2": "identity"}
    even = {name: [0.2] * 5 for name in weights}
    assert space.mixtures.strongest(even).as_dict() == {"op1": "tanh", "input2": "0", "op2": "tanh"}
    assert EDGE_OPTIONS[1:] == ("tanh", "relu", "sigmoid", "identity")


def test_cells_share_the_weights_of_equal_edges_whatever_the_activation() -> None:
    space = small(3)
    supernet = space.supernet(seed=0)
    one, other, elsewhere = (
        space.shared_state(supernet, space.decisions.architecture({"op0": "tanh", "op1": "relu", **rest}))
        for rest in ({"input2": "0", "op2": "tanh"}, {"input2": "0", "op2": "relu"}, {"input2": "1", "op2": "tanh"})
    )
    name = "recurrent.node_weights.1"
    assert one[name].data_ptr() == other[name].data_ptr() != elsewhere[name].data_ptr()


def test_every_activation_changes_the_output() -> None:
    """Operations bound late, a defect of released code, would make them all the last one."""
    space = small(3)
    supernet = space.supernet(seed=0).eval()
    outputs = []
    for operation in ACTIVATIONS:
        values = {"op0": "tanh", "op1": operation, "input2": "1", "op2": "tanh"}
        outputs.append(supernet(Segment(TOKENS, None), space.choice(space.decisions.architecture(values))).logits)
    assert not any(torch.allclose(a, b) for i, a in enumerate(outputs) for b in outputs[:i])


def test_costs_are_those_of_the_products_per_token() -> None:
    """First node 4 H^2, every other 2 H^2, the decoder H words."""
    table = CostTable(small(5), (1,))
    architecture = table.decisions.sample(np.random.default_rng(0))
    assert table(architecture)["flops"] == (4 + 2 * 4) * 8**2 + 20 * 8
    assert table(architecture)["params"] == (4 + 2 * 4) * 8**2 + 20 * 8


def test_published_cells_have_the_published_loose_ends() -> None:
    assert PUBLISHED["enas-recurrent-cell"].cell.averaged == (3, 4, 7, 9, 10, 11)
    assert PUBLISHED["enas-corrected-cell"].cell.averaged == (7, 8)
    assert PUBLISHED["darts-recurrent-v2"].cell.averaged == tuple(range(1, 9))
    assert PUBLISHED["enas-corrected-cell"].cell.nodes[0] == (0, "sigmoid")


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("enas-recurrent-cell", 26 * 748**2 + 10_000 * 748),  # 22.0M; the paper says 24M
        ("enas-corrected-cell", 20 * 800**2 + 10_000 * 800),  # 20.8M
        ("darts-recurrent-v1", 20 * 850**2 + 10_000 * 850),  # 22.95M; the paper says 23M
        ("darts-recurrent-v2", 20 * 850**2 + 10_000 * 850),
    ],
)
def test_published_models_have_the_published_parameters(name: str, params: int) -> None:
    with torch.device("meta"):
        assert complexity(PUBLISHED[name].network(), (1,))["params"] == params


def test_a_published_cell_belongs_to_its_space_and_comes_back() -> None:
    space = enas_cells(20, CellSpace(nodes=12, hidden=4))
    cell = PUBLISHED["enas-recurrent-cell"].cell
    built = space.build(space.decisions.architecture(as_values(cell)), seed=0)
    assert built.get_submodule("recurrent").cell == cell


def test_strings_of_the_released_code_are_read() -> None:
    assert read_cell("0 0 1 1 1 0 0", order=ENAS_ORDER) == Cell("tanh", ((0, "relu"), (1, "relu"), (0, "tanh")))


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(PalmetteError, match="nodes = 1, hidden = 750; needed are 2 nodes and 1 unit"):
        CellSpace(nodes=1)
    space = small(3)
    supernet = space.supernet(seed=0)
    choice = dict(space.choice(space.decisions.sample(np.random.default_rng(0))))
    with pytest.raises(ArchitectureError, match="a cell takes one index per decision, or weight vectors on its edges"):
        supernet(Segment(TOKENS, None), {**choice, "op2": torch.ones(4)})
    with pytest.raises(ArchitectureError, match="'edge_1_0': give 5 weights, of none, tanh, relu, sigmoid, identity"):
        supernet(Segment(TOKENS, None), {"op0": 0, "edge_1_0": torch.ones(4)})
