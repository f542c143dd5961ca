"""The memory-bank space: what is drawn keeps to the budget, what does not is refused by name, sizes as published."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import torch

from palmette.architecture import Architecture
from palmette.blocks.bank_plan import BankSizes, BlockPlan, Convolution, Op, check_plan
from palmette.costs.complexity import complexity
from palmette.costs.counted import CountedCosts, cost_table
from palmette.errors import ArchitectureError
from palmette.space import Space
from palmette.spaces.bank_grammar import BankGrammar
from palmette.spaces.memory_bank import (
    SMALL,
    from_plans,
    memory_bank,
    small_memory_bank,
    transferred,
    voxel_memory_bank,
)
from palmette.supernets.bank_decisions import read_plans

TINY_VOXELS = dataclasses.replace(SMALL, axes=3, max_kernel=3)
K3 = Convolution((3, 3), (1, 1))


def free_parameters(plans: list[BlockPlan], sizes: BankSizes, *, classes: int, cap: int) -> int:
    """Return the weights of convolutions and classifier, without the stem, as smash.md 10.11 counts them."""
    total = 0
    for block, plan in enumerate(plans):
        for op in plan.ops:
            inputs, outputs = plan.channels(op)
            outputs, width = min(outputs, cap), op.units * plan.unit
            total += inputs * outputs
            for name, convolution in op.convolutions:
                entering = outputs if name in ("a1", "b1") else width
                total += width * entering // convolution.groups * math.prod(convolution.kernel)
        channels = plan.banks * plan.bank_channels
        total += channels * (sizes.inputs[block + 1] if block < 2 else classes)
    return total


@pytest.mark.parametrize(
    ("family", "mean", "low", "high"), [("variable", 5.0e6, 2.5e6, 9.7e6), ("single", 2.2e6, 1.0e6, 4.6e6)]
)
def test_parameters_of_random_networks_are_as_large_as_published(
    family: str, mean: float, low: float, high: float
) -> None:
    """smash.md 12, with the released code's bottleneck of 4 capped at 128 outputs; the range is that of 500 samples."""
    sizes = BankSizes(family=family, bottleneck=4)  # type: ignore[arg-type]
    generator, grammar = np.random.default_rng(0), BankGrammar(sizes)
    counts = [
        free_parameters(read_plans(grammar.sample(generator), sizes), sizes, classes=100, cap=128) for _ in range(150)
    ]
    assert np.mean(counts) == pytest.approx(mean, rel=0.1)
    inside = np.mean([low <= count <= high for count in counts])
    assert inside > 0.97


def test_a_built_network_has_the_parameters_that_its_plans_say() -> None:
    space = memory_bank(classes=100, norm=False)
    architecture = space.decisions.sample(np.random.default_rng(3))
    plans = read_plans(architecture.as_dict(), BankSizes())
    with torch.device("meta"):
        network = space.build(architecture, seed=0)
    fixed = 3 * 64 * 49 + 100 + sum(2 * plan.banks * plan.bank_channels for plan in plans)  # stem, bias, norms
    expected = free_parameters(plans, BankSizes(), classes=100, cap=10**6) + fixed
    assert sum(p.numel() for p in network.parameters()) == expected


@pytest.mark.parametrize("sizes", [BankSizes(), BankSizes(gates=True), BankSizes(compression=3), SMALL, TINY_VOXELS])
def test_what_is_drawn_varied_and_crossed_keeps_to_the_budget(sizes: BankSizes) -> None:
    generator, grammar = np.random.default_rng(0), BankGrammar(sizes)
    before = grammar.sample(generator)
    for _ in range(60):
        drawn = grammar.sample(generator)
        for values in (
            drawn,
            grammar.mutate(drawn, generator, probability=0.2),
            grammar.cross(before, drawn, generator),
        ):
            for block, plan in enumerate(read_plans(values, sizes)):
                check_plan(plan, sizes, block)
                for op in plan.ops:
                    for _, convolution in op.convolutions:
                        extents = [
                            1 + d * (k - 1) for k, d in zip(convolution.kernel, convolution.dilation, strict=True)
                        ]
                        assert max(extents) <= 9
        before = drawn


def test_a_perturbation_changes_little_and_one_of_everything_much() -> None:
    space = small_memory_bank()
    generator = np.random.default_rng(0)
    base = space.decisions.sample(generator)

    def changed(probability: float) -> float:
        others = [space.decisions.mutate(base, generator, probability=probability).as_dict() for _ in range(30)]
        kept = [sum(other.get(k) == v for k, v in base.values) for other in others]
        return 1 - float(np.mean(kept)) / len(base.values)

    assert changed(0.02) < 0.25 < changed(1.0)


def test_a_training_begins_with_half_the_budget_and_kernels_of_three() -> None:
    grammar = BankGrammar(BankSizes())
    early, quarter, late = grammar.at(0.0), grammar.at(0.13), grammar.at(0.5)
    assert (early.most_budget, early.most_kernel) == (0.5, 3)
    assert (quarter.most_budget, quarter.most_kernel) == (pytest.approx(0.63), 5)
    assert (late.most_budget, late.most_kernel) == (1.0, 7)
    generator = np.random.default_rng(0)
    for plan in read_plans(early.sample(generator), BankSizes()):
        assert all(c.kernel == (3, 3) for op in plan.ops for _, c in op.convolutions)


def plans_with(op: Op, *, bank: int = 1, count: int = 1) -> list[BlockPlan]:
    sizes = SMALL
    empty = [BlockPlan(inputs, sizes.unit, 1, (), sizes.bottleneck) for inputs in sizes.inputs]
    return [BlockPlan(sizes.inputs[0], sizes.unit, bank, (op,) * count, sizes.bottleneck), *empty[1:]]


GOOD = Op(reads=(0, 1), writes=(2,), units=1, convolutions=(("a1", K3),))


@pytest.mark.parametrize(
    ("plans", "fault"),
    [
        (plans_with(dataclasses.replace(GOOD, units=5)), r"block1\.op1: 5 units wide \(20 channels\)"),
        (
            plans_with(dataclasses.replace(GOOD, writes=tuple(range(4, 14)))),
            r"block1: 14 banks of 4 channels; allowed are 12",
        ),
        (plans_with(dataclasses.replace(GOOD, reads=(0, 9))), r"block1\.op1: reads banks \[0, 9\]; .* 0 to 3"),
        (plans_with(dataclasses.replace(GOOD, writes=(6,))), r"block1\.op1: writes to banks \[6\]; new banks must"),
        (
            plans_with(dataclasses.replace(GOOD, reads=(0,))),
            r"block1\.op1: reads 1 banks of 1 units; .* multiples of 2",
        ),
        (plans_with(dataclasses.replace(GOOD, convolutions=(("a1", Convolution((3, 3), (1, 4))),))), "dilation 4"),
        (plans_with(dataclasses.replace(GOOD, convolutions=(("a1", Convolution((9, 3), (1, 1))),))), "kernel 9"),
        (plans_with(dataclasses.replace(GOOD, convolutions=(("a1", Convolution((3, 3), (1, 1), 8)),))), "8 groups"),
        (plans_with(dataclasses.replace(GOOD, convolutions=(("a1", Convolution((3,), (1,))),))), "2 axes"),
        (plans_with(dataclasses.replace(GOOD, gate="second")), "gate 'second' in a1; allowed are none"),
        (plans_with(dataclasses.replace(GOOD, convolutions=(("a1", K3), ("a2", K3)))), r"convolutions a1\+a2"),
        (plans_with(GOOD, bank=3), "banks of 3 units; allowed are 1, 2, 4"),
        (plans_with(dataclasses.replace(GOOD, writes=(0,)), count=11), "read 88 channels in all; allowed are 80"),
    ],
)
def test_networks_over_the_limits_are_refused_by_name(plans: list[BlockPlan], fault: str) -> None:
    with pytest.raises(ArchitectureError, match=fault):
        from_plans(small_memory_bank().decisions, plans)


def test_nothing_is_allocated_for_a_refused_network(monkeypatch: pytest.MonkeyPatch) -> None:
    space = small_memory_bank()
    values = space.decisions.sample(np.random.default_rng(0)).as_dict()
    values["block1.op1.units"] = 3 if values["block1.bank"] != 1 else 4
    values["block1.op1.writes"] = ("0",)
    monkeypatch.setattr(torch, "empty", lambda *args, **kwargs: pytest.fail("a tensor was made"))
    with pytest.raises(ArchitectureError, match=r"block1\.op1"):
        space.decisions.check(Architecture(space.name, tuple(values.items())))


@pytest.mark.parametrize(
    ("space", "shape"),
    [
        (small_memory_bank(), (1, 8, 8)),
        (memory_bank(sizes=dataclasses.replace(SMALL, gates=True, family="variable"), classes=3), (3, 16, 12)),
        (memory_bank(sizes=TINY_VOXELS, channels=1, stem_kernel=3), (1, 8, 8, 8)),
        (memory_bank(sizes=SMALL, norm=False), (3, 8, 8)),
    ],
    ids=["small", "gates", "voxels", "without norm"],
)
def test_stand_alone_networks_with_copied_weights_equal_the_supernet(space: Space, shape: tuple[int, ...]) -> None:
    generator = np.random.default_rng(0)
    supernet = space.supernet(seed=0)
    x = torch.randn(3, *shape, generator=torch.Generator().manual_seed(0))
    architectures = [space.decisions.sample(generator) for _ in range(3)]
    with torch.no_grad():
        for architecture in architectures:
            supernet.train()(x, space.choice(architecture))
        for architecture in architectures:
            network = space.build(architecture, seed=1).eval()
            network.load_state_dict(space.shared_state(supernet, architecture))
            assert torch.equal(network(x), supernet.eval()(x, space.choice(architecture)))
            again = space.decisions.check(Architecture.from_json(architecture.to_json()))
            assert again == architecture


def test_the_largest_op_uses_the_whole_shared_convolution_and_smaller_ones_its_centre() -> None:
    sizes = SMALL
    supernet = memory_bank(sizes=sizes).supernet(seed=0)
    shared = supernet.network[2].a1  # type: ignore[index]
    whole = Op((0, 1), (0,), 4, (("a1", Convolution((5, 5), (1, 1))),))
    part = Op((0, 1), (0,), 4, (("a1", Convolution((3, 5), (1, 1), groups=4)),))
    space = memory_bank(sizes=sizes)
    empty = [BlockPlan(inputs, sizes.unit, 1, (), sizes.bottleneck) for inputs in sizes.inputs]
    plans = [BlockPlan(sizes.inputs[0], 4, 2, (whole, part), 2), *empty[1:]]
    plans[0] = dataclasses.replace(plans[0], ops=tuple(dataclasses.replace(op, writes=(0, 1)) for op in (whole, part)))
    state = space.shared_state(supernet, from_plans(space.decisions, plans))
    assert torch.equal(state["2.0.ops.0.convolutions.a1.weight"], shared[:16, :16])
    assert torch.equal(state["2.0.ops.1.convolutions.a1.weight"], shared[:16, :4, 1:4])


def test_costs_are_counted_from_the_built_network() -> None:
    space = small_memory_bank()
    table = cost_table(space, (1, 8, 8))
    assert isinstance(table, CountedCosts)
    architectures = [space.decisions.sample(np.random.default_rng(seed)) for seed in range(3)]
    counted = [complexity(space.build(a, seed=0), (1, 8, 8)) for a in architectures]
    assert [table(a) for a in architectures] == counted
    assert table.all(architectures).tolist() == [list(costs.values()) for costs in counted]


def test_a_network_for_images_moves_to_voxels_with_kernels_of_three() -> None:
    source = memory_bank(sizes=SMALL)
    target = memory_bank(sizes=dataclasses.replace(SMALL, axes=3), channels=1, stem_kernel=3, name="voxels")
    architecture = source.decisions.sample(np.random.default_rng(1))
    moved = transferred(architecture, source.decisions, target.decisions)
    before, after = (
        read_plans(a.as_dict(), sizes)
        for a, sizes in ((architecture, SMALL), (moved, dataclasses.replace(SMALL, axes=3)))
    )
    assert [[op.reads for op in plan.ops] for plan in after] == [[op.reads for op in plan.ops] for plan in before]
    assert {c.kernel for plan in after for op in plan.ops for _, c in op.convolutions} == {(3, 3, 3)}
    assert target.build(moved, seed=0)(torch.randn(2, 1, 8, 8, 8)).shape == (2, 10)


def test_the_voxel_space_takes_voxels() -> None:
    space = voxel_memory_bank()
    network = space.build(space.decisions.sample(np.random.default_rng(0)), seed=0).to("meta").eval()
    assert network(torch.empty(1, 1, 30, 30, 30, device="meta")).shape == (1, 10)


def test_only_networks_that_are_trained_in_the_end_have_norms_inside_ops() -> None:
    space = small_memory_bank()
    architecture = space.decisions.sample(np.random.default_rng(0))
    searched, trained = space.build(architecture, seed=0), space.stand_alone.build(architecture, seed=0)
    assert not [name for name in searched.state_dict() if "norm_in" in name]
    ops = sum(len(plan.ops) for plan in read_plans(architecture.as_dict(), SMALL))
    assert len([name for name in trained.state_dict() if name.endswith("norm_in.weight")]) == ops
    assert memory_bank(norm=False).stand_alone.name == "memory-bank"
