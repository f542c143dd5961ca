"""Memory-bank blocks against classical ones written out, with the same weights, and gates and paths by hand."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d

from palmette.blocks.bank_patterns import dense, fractal, residual
from palmette.blocks.bank_plan import BankSizes, BlockPlan, Convolution, Gate, Op
from palmette.blocks.memory_bank import BankBlock, gated
from palmette.errors import ArchitectureError

K3 = Convolution((3, 3), (1, 1))


def layer(block: BankBlock, number: int, x: Tensor) -> Tensor:
    """Return 1x1 convolution, ReLU, 3x3 convolution, with the weights of an op of the block."""
    op = block.ops[number]
    narrow = conv2d(x, op.pointwise.weight).relu()  # type: ignore[union-attr]
    return conv2d(narrow, op.convolutions["a1"].weight, padding=1)  # type: ignore[index, union-attr]


def test_one_bank_read_and_added_to_is_a_residual_block() -> None:
    block = BankBlock(residual(8, 3, convolution=K3), norm=False)
    x = y = torch.randn(2, 8, 5, 5)
    for number in range(3):
        y = y + layer(block, number, y)
    torch.testing.assert_close(block(x), y)


def test_reading_all_and_writing_a_new_bank_is_a_dense_block() -> None:
    block = BankBlock(dense(4, 2, 3, convolution=K3), norm=False)
    x = y = torch.randn(2, 8, 5, 5)
    for number in range(3):
        y = torch.cat([y, layer(block, number, y)], 1)
    assert block(x).shape == (2, 20, 5, 5)
    torch.testing.assert_close(block(x), y)


@pytest.mark.parametrize("columns", [1, 2, 3, 4])
def test_columns_that_meet_in_shared_banks_are_a_fractal_block(columns: int) -> None:
    block = BankBlock(fractal(4, columns, convolution=K3), norm=False)
    by_place = {}
    for number, op in enumerate(block.plan.ops):
        by_place[op.reads[0], op.writes[0]] = number

    def recursion(x: Tensor, start: int, depth: int) -> Tensor:
        """Return f_C(x) of Larsson et al. (2017), equation 1, joins as sums; layers found by where they start."""
        own = layer(block, by_place[start, start + depth], x)
        if depth == 1:
            return own
        half = depth // 2
        return recursion(recursion(x, start, half), start + half, half) + own

    x = torch.randn(2, 4, 6, 6)
    assert len(block.plan.ops) == 2**columns - 1
    torch.testing.assert_close(block.banks(x)[-1], recursion(x, 0, 2 ** (columns - 1)))


def test_means_at_the_joins_of_a_fractal_block_are_sums_of_divided_weights() -> None:
    block = BankBlock(fractal(4, 2, convolution=K3), norm=False)
    x = torch.randn(1, 4, 6, 6)
    deep = layer(block, 1, layer(block, 0, x))
    mean = (deep + layer(block, 2, x)) / 2
    for number in (1, 2):
        block.ops[number].convolutions["a1"].weight.data /= 2  # type: ignore[index, union-attr]
    torch.testing.assert_close(block.banks(x)[-1], mean)


def one_op(configuration: str, gate: Gate = "none") -> BankBlock:
    convolutions = tuple((name, K3) for name in configuration.split("+"))
    op = Op(reads=(0,), writes=(1,), units=2, convolutions=convolutions, gate=gate)
    return BankBlock(BlockPlan(inputs=4, unit=2, bank=2 if gate == "none" else 1, ops=(op,)), norm=False)


@pytest.mark.parametrize("configuration", ["a1", "a1+b1", "a1+a2", "a1+a2+b1", "a1+a2+b1+b2"])
def test_two_paths_of_two_convolutions_add_up(configuration: str) -> None:
    block = one_op(configuration)
    op, x = block.ops[0], torch.randn(2, 4, 5, 5)
    weights = {name: module.weight for name, module in op.convolutions.items()}  # type: ignore[union-attr, operator]

    def convolved(name: str, x: Tensor) -> Tensor:
        return conv2d(x.relu(), weights[name], padding=1)

    start = conv2d(x, op.pointwise.weight)  # type: ignore[union-attr]
    paths = {
        "a1": lambda: convolved("a1", start),
        "a1+b1": lambda: convolved("a1", start) + convolved("b1", start),
        "a1+a2": lambda: convolved("a2", convolved("a1", start)),
        "a1+a2+b1": lambda: convolved("a2", convolved("a1", start)) + convolved("b1", start),
        "a1+a2+b1+b2": lambda: convolved("a2", convolved("a1", start)) + convolved("b2", convolved("b1", start)),
    }
    torch.testing.assert_close(block.banks(x)[1], paths[configuration]())


def test_a_gate_is_tanh_of_even_times_sigmoid_of_odd_channels_and_halves_them() -> None:
    x = torch.tensor([0.5, -1.0, 2.0, 0.0]).view(1, 4, 1, 1)
    expected = torch.tensor([0.5, 2.0]).tanh() * torch.tensor([-1.0, 0.0]).sigmoid()
    torch.testing.assert_close(gated(x).flatten(), expected)
    assert one_op("a1+b1", "first").banks(torch.randn(1, 4, 3, 3))[-1].shape == (1, 2, 3, 3)
    assert one_op("a1+a2+b1+b2", "first").ops[0](torch.randn(1, 2, 3, 3))[0].shape == (1, 2, 3, 3)
    assert len(one_op("a1+a2+b1+b2", "first").ops[0](torch.randn(1, 2, 3, 3))) == 2
    assert len(one_op("a1+a2+b1+b2", "second").ops[0](torch.randn(1, 2, 3, 3))) == 1


@pytest.mark.parametrize(
    ("reads", "units", "expected"),
    [(1, 1, (8, 8)), (4, 1, (32, 16)), (4, 2, (32, 32)), (2, 4, (16, 16)), (5, 2, (40, 32))],
)
def test_the_bottleneck_has_as_many_outputs_as_inputs_up_to_twice_the_width(
    reads: int, units: int, expected: tuple[int, int]
) -> None:
    """Worked out from min(max(inputs // width, 1), 2) * width, at most inputs, with units of 8 channels."""
    op = Op(reads=tuple(range(reads)), writes=(0,), units=units, convolutions=(("a1", K3),))
    assert BlockPlan(inputs=64, unit=8, bank=1, ops=(op,)).channels(op) == expected


def test_convolutions_keep_the_size_at_any_kernel_and_dilation() -> None:
    convolution = Convolution((3, 7), (3, 1), groups=2)
    op = Op(reads=(0,), writes=(0,), units=1, convolutions=(("a1", convolution),))
    plan = BlockPlan(inputs=4, unit=4, bank=1, ops=(op,))
    assert BankBlock(plan)(torch.randn(2, 4, 9, 9)).shape == (2, 4, 9, 9)
    volume = Convolution((3, 3, 3), (2, 1, 3))
    plan = BlockPlan(4, 4, 1, (Op((0,), (1,), 1, (("a1", volume),)),))
    assert BankBlock(plan, axes=3)(torch.randn(2, 4, 7, 7, 7)).shape == (2, 8, 7, 7, 7)


def test_the_budget_has_the_published_sizes() -> None:
    """smash.md 3: depth 12, width 4, N 8, N_max 64, D 2."""
    sizes = BankSizes()
    assert sizes.inputs == (64, 96, 112)
    assert sizes.widths == (192, 224, 256)
    assert sizes.channels_read == (832, 1632, 3184)
    assert (sizes.rows, sizes.max_banks, sum(sizes.columns)) == (8, 32, 353)
    assert [len(sizes.bank_sizes(block)) for block in range(3)] == [6, 7, 8]


@pytest.mark.parametrize(
    ("changed", "fault"),
    [
        ({"widest": 60}, "widest = 60 is no multiple"),
        ({"unit": 0}, "unit = 0"),
        ({"max_kernel": 4}, "max_kernel = 4"),
        ({"family": "triple"}, "family = 'triple'"),
        ({"axes": 4}, "axes = 4"),
        ({"gates": True, "unit": 1, "widest": 8}, "even unit"),
        ({"width": 1, "compression": 8}, "no bank fits"),
    ],
)
def test_sizes_that_do_not_fit_together_are_refused(changed: dict[str, object], fault: str) -> None:
    with pytest.raises(ArchitectureError, match=fault):
        BankSizes(**changed)  # type: ignore[arg-type]


def test_initial_convolutions_are_orthogonal() -> None:
    weight = one_op("a1").ops[0].pointwise.weight.flatten(1)  # type: ignore[union-attr, operator]
    torch.testing.assert_close(weight @ weight.T, torch.eye(len(weight)))
    assert isinstance(one_op("a1").ops[0].convolutions["a1"], nn.Conv2d)  # type: ignore[index]
