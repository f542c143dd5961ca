"""ENAS's macro space: sizes by formula and enumeration, parameters of the shared network, operations that differ."""

from __future__ import annotations

import pytest
import torch

from palmette.costs.complexity import CostTable
from palmette.errors import ArchitectureError
from palmette.spaces.enas_macro import OPERATIONS, enas_macro


def test_twelve_layers_have_as_many_architectures_as_the_paper_says() -> None:
    assert enas_macro().decisions.count() == 6**12 * 2**66
    assert float(6**12 * 2**66) == pytest.approx(1.6e29, rel=0.01)


def test_three_layers_are_enumerated() -> None:
    """6^3 2^(1 + 2): the stem can join layer 2, the stem and layer 1 can join layer 3."""
    decisions = enas_macro(layers=3, filters=8).decisions
    assert len(list(decisions.enumerate())) == decisions.count() == 6**3 * 2**3


def test_the_shared_network_has_the_parameters_of_the_released_search() -> None:
    """Stem 1,044, 12 layers of six operations 56,376 each, 11 norms 72, 14 reductions 1,368, classifier 360."""
    supernet = enas_macro(join="sum").supernet(seed=0)
    assert sum(p.numel() for p in supernet.parameters()) == 697_860


def test_the_convolution_of_the_paper_costs_a_square_of_filters_per_joined_tensor() -> None:
    """With 8 filters: 64 weights and 64 x 2 x 2 multiply-accumulates (layer 3 works at a quarter of 8 x 8)."""
    space = enas_macro(layers=3, filters=8)
    table = CostTable(space, (3, 8, 8))
    values = {"op1": "conv3", "op2": "max3", "skips2": (), "op3": "sep5"}
    none, one, both = (
        table(space.decisions.architecture({**values, "skips3": taken}))
        for taken in ((), ("layer1",), ("stem", "layer1"))
    )
    assert one["params"] - none["params"] == both["params"] - one["params"] == 64
    assert one["flops"] - none["flops"] == both["flops"] - one["flops"] == 64 * 2 * 2


def test_every_operation_gives_another_output() -> None:
    """In the released search they were bound late, and all six ran the last one."""
    space = enas_macro(layers=3, filters=8, dropout=0)
    supernet = space.supernet(seed=0).eval()
    x = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    choice: dict[str, int | tuple[int, ...]] = {"op2": 0, "skips2": (), "op3": 0, "skips3": ()}
    outputs = [supernet(x, {**choice, "op1": i}).detach() for i in range(len(OPERATIONS))]
    for i, one in enumerate(outputs):
        assert not any(torch.allclose(one, other) for other in outputs[:i]), OPERATIONS[i]


def test_the_weights_of_an_operation_learn_only_when_it_is_chosen() -> None:
    space = enas_macro(layers=3, filters=8)
    for i, name in enumerate(OPERATIONS):
        supernet = space.supernet(seed=0)
        supernet(torch.randn(2, 3, 8, 8), {"op1": i, "op2": 0, "skips2": (), "op3": 0, "skips3": ()}).sum().backward()
        learning = {
            parameter_name.split(".")[5]
            for parameter_name, p in supernet.named_parameters()
            if parameter_name.startswith("network.layers.0.op.options.") and p.grad is not None
        }
        assert learning == {str(i)}, name


def test_a_skip_connection_reads_the_tensor_it_names() -> None:
    """With sums, identical weights and no other branch, layer 3 joined by the stem differs from joined by layer 1."""
    space = enas_macro(layers=3, filters=8, join="sum", dropout=0)
    supernet = space.supernet(seed=0).eval()
    seen: dict[str, torch.Tensor] = {}
    network = supernet.network
    network.layers[2].skips.register_forward_hook(lambda m, args, out: seen.update(out=out, x=args[1], given=args[0]))
    x = torch.randn(1, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    for position in (0, 1):
        supernet(x, {"op1": 0, "op2": 0, "skips2": (), "op3": 0, "skips3": (position,)})
        torch.testing.assert_close(seen["out"] - seen["x"], seen["given"][position])  # type: ignore[index]


@pytest.mark.parametrize("filters", [7, 6])
def test_filters_that_reductions_cannot_halve_are_refused(filters: int) -> None:
    with pytest.raises(ArchitectureError, match=f"filters = {filters} was given; give an even number from 8"):
        enas_macro(filters=filters)


@pytest.mark.parametrize("layers", [0, 4])
def test_layers_without_a_third_are_refused(layers: int) -> None:
    with pytest.raises(ArchitectureError, match=f"layers = {layers} was given; give a multiple of 3"):
        enas_macro(layers=layers)
