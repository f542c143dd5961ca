"""Memory-bank blocks as decisions: which there are, and a block's plan as their values and back. No torch here.

``block1.bank`` is the size of the block's banks. ``block1.op3`` names the convolutions of the third op, or ``none``
where the block has ended; what an op reads and writes, and each convolution's kernel, exist only if the op does.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping

from palmette.architecture import Value
from palmette.blocks.bank_plan import CONFIGURATIONS, BankSizes, BlockPlan, Convolution, Op
from palmette.decision import Categorical, Condition, Decision, Integer, Subset

END = "none"
GATES = ("none", "first", "second")


def block_name(block: int) -> str:
    return f"block{block + 1}"


def block_decisions(sizes: BankSizes, block: int) -> Iterator[Decision]:
    """Yield the decisions of a block (from 0), conditional on each other, in order."""
    name, banks = block_name(block), tuple(str(bank) for bank in range(sizes.max_banks))
    yield Integer(f"{name}.bank", 1, sizes.rows)
    before: tuple[Condition, ...] = ()
    for number in range(1, sizes.columns[block] + 1):
        op = f"{name}.op{number}"
        exists = tuple((op, configuration) for configuration in sizes.configurations)
        yield Categorical(op, (END, *sizes.configurations), before)
        yield Subset(f"{op}.reads", banks, 1, active_if=exists)
        yield Integer(f"{op}.units", 1, sizes.rows, active_if=exists)
        yield Subset(f"{op}.writes", banks, 1, active_if=exists)
        gated = tuple((op, c) for c in sizes.configurations if "b1" in CONFIGURATIONS[c])
        if sizes.gates and gated:
            yield Categorical(f"{op}.gate", GATES, gated)
        for convolution in sizes.described:
            has_it = tuple((op, c) for c in sizes.configurations if convolution in CONFIGURATIONS[c])
            if has_it:
                yield from _convolution_decisions(f"{op}.{convolution}", sizes, has_it)
        before = exists


def _convolution_decisions(name: str, sizes: BankSizes, exists: tuple[Condition, ...]) -> Iterator[Decision]:
    kernels = tuple(_joined(sides) for sides in itertools.product(sizes.kernels, repeat=sizes.axes))
    dilations = tuple(_joined(d) for d in itertools.product(range(1, sizes.max_dilation + 1), repeat=sizes.axes))
    yield Categorical(f"{name}.kernel", kernels, exists)
    yield Categorical(f"{name}.dilation", dilations, exists)
    yield Categorical(f"{name}.groups", tuple(map(str, sizes.groups)), exists)


def plan_values(plan: BlockPlan, sizes: BankSizes, block: int) -> dict[str, Value]:
    """Return the values of a block's active decisions, in order."""
    name = block_name(block)
    values: dict[str, Value] = {f"{name}.bank": plan.bank}
    for number, op in enumerate(plan.ops, 1):
        prefix = f"{name}.op{number}"
        values |= {
            prefix: op.configuration,
            f"{prefix}.reads": tuple(map(str, op.reads)),
            f"{prefix}.units": op.units,
            f"{prefix}.writes": tuple(map(str, op.writes)),
        }
        if sizes.gates and "b1" in op.configuration:
            values[f"{prefix}.gate"] = op.gate
        for which, convolution in op.convolutions:
            values |= {
                f"{prefix}.{which}.kernel": _joined(convolution.kernel),
                f"{prefix}.{which}.dilation": _joined(convolution.dilation),
                f"{prefix}.{which}.groups": str(convolution.groups),
            }
    if len(plan.ops) < sizes.columns[block]:
        values[f"{name}.op{len(plan.ops) + 1}"] = END
    return values


def read_plan(value: Callable[[str], Value], sizes: BankSizes, block: int) -> BlockPlan:
    """Return the plan of a block from the values of its decisions."""
    name, ops = block_name(block), []
    for number in range(1, sizes.columns[block] + 1):
        configuration = str(value(f"{name}.op{number}"))
        if configuration == END:
            break
        ops.append(_read_op(value, sizes, f"{name}.op{number}", configuration))
    bank = value(f"{name}.bank")
    assert isinstance(bank, int)
    return BlockPlan(sizes.inputs[block], sizes.unit, bank, tuple(ops), sizes.bottleneck)


def read_plans(values: Mapping[str, Value], sizes: BankSizes) -> list[BlockPlan]:
    """Return the plans of all blocks of an architecture's values."""
    return [read_plan(values.__getitem__, sizes, block) for block in range(len(sizes.inputs))]


def _read_op(value: Callable[[str], Value], sizes: BankSizes, name: str, configuration: str) -> Op:
    units = value(f"{name}.units")
    assert isinstance(units, int)
    gate = value(f"{name}.gate") if sizes.gates and "b1" in configuration else "none"
    return Op(
        reads=_banks(value(f"{name}.reads")),
        writes=_banks(value(f"{name}.writes")),
        units=units,
        convolutions=tuple(
            (which, _read_convolution(value, f"{name}.{which}")) for which in CONFIGURATIONS[configuration]
        ),
        gate=gate,  # type: ignore[arg-type]  # one of GATES, as its decision says
    )


def _read_convolution(value: Callable[[str], Value], name: str) -> Convolution:
    kernel, dilation = (str(value(f"{name}.{part}")) for part in ("kernel", "dilation"))
    return Convolution(_split(kernel), _split(dilation), int(str(value(f"{name}.groups"))))


def _banks(value: Value) -> tuple[int, ...]:
    assert isinstance(value, tuple)
    return tuple(map(int, value))


def _joined(numbers: tuple[int, ...]) -> str:
    return "x".join(map(str, numbers))


def _split(text: str) -> tuple[int, ...]:
    return tuple(map(int, text.split("x")))
