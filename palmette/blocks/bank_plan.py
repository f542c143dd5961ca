"""Plans of memory-bank blocks: which op reads and writes which banks, and the budget they must keep to. No torch here.

A block is a set of banks, tensors of equal size, first the block's input cut into pieces. An op reads some banks
(concatenated), transforms them, and adds its output to some banks (Brock et al., "SMASH: One-Shot Model Architecture
Search through HyperNetworks", ICLR 2018, section 3.1; smash.md 2 to 5). Letters as there: ``N`` channels are a unit,
``k`` units are the widest layer, ``D`` units of input share a column of the encoding.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from palmette.errors import ArchitectureError

CONVOLUTIONS = ("a1", "a2", "b1", "b2")
"""Two parallel paths of two convolutions."""
CONFIGURATIONS = {
    "a1": ("a1",),
    "a1+b1": ("a1", "b1"),
    "a1+a2": ("a1", "a2"),
    "a1+a2+b1": ("a1", "a2", "b1"),
    "a1+a2+b1+b2": ("a1", "a2", "b1", "b2"),
}
"""Which convolutions an op has; b1 alone would be a1 alone again."""
FAMILIES = {
    "single": ("a1",),
    "long": ("a1+a2",),
    "all": ("a1+a2+b1+b2",),
    "variable": tuple(CONFIGURATIONS),
}
"""Which configurations are sampled; all but ``single`` describe four convolutions in the encoding."""
GROWTH = (1, 2, 4)
"""Of the three blocks."""
Gate = Literal["none", "first", "second"]


@dataclass(frozen=True, kw_only=True)
class BankSizes:
    """The budget of a space of memory-bank networks, from reference numbers of depth and width (smash.md 3).

    Raises:
        ArchitectureError: sizes that do not fit together.
    """

    depth: int = 12
    """Layers per block of the network that the budget is meant for (WRN-40-4); only sizes follow from it."""
    width: int = 4
    unit: int = 8
    """``N``: channels that widths are multiples of."""
    widest: int = 64
    """Channels of the widest op, and of the widest bank."""
    compression: int = 2
    """``D``: units of input channels per column of the encoding."""
    bottleneck: int = 2
    """Most outputs of the 1x1 convolution, in multiples of the op's width. The released code's 4 with half the room
    for generated weights searches other networks than it trains (smash.md 10.2); this is the paper's second version."""
    family: Literal["single", "long", "all", "variable"] = "variable"
    axes: int = 2
    """2 for images, 3 for voxels."""
    max_kernel: int = 7
    max_dilation: int = 3
    max_groups: int = 8
    gates: bool = False

    def __post_init__(self) -> None:
        ranges = {"depth": 1, "width": 1, "unit": 1, "compression": 1, "bottleneck": 1, "max_dilation": 1}
        for name, low in ranges.items():
            if getattr(self, name) < low:
                raise ArchitectureError(f"bank sizes: {name} = {getattr(self, name)} was given; allowed are from {low}")
        faults = {
            f"widest = {self.widest} is no multiple of unit = {self.unit}": self.widest % self.unit or not self.widest,
            f"family = {self.family!r} is none of {', '.join(FAMILIES)}": self.family not in FAMILIES,
            f"axes = {self.axes} is neither 2 nor 3": self.axes not in (2, 3),
            f"max_kernel = {self.max_kernel} is not odd and at least 3": self.max_kernel < 3
            or self.max_kernel % 2 == 0,
            f"max_groups = {self.max_groups} is below 1": self.max_groups < 1,
            f"gates need an even unit, unit = {self.unit}": self.gates and self.unit % 2,
        }
        for fault, holds in faults.items():
            if holds:
                raise ArchitectureError(f"bank sizes: {fault}; change it")
        for block in range(len(GROWTH)):
            if not self.bank_sizes(block):
                raise ArchitectureError(
                    f"bank sizes: no bank fits the {self.inputs[block]} channels that enter block {block + 1}; "
                    "raise width, or lower unit or compression"
                )

    @cached_property
    def _budget(self) -> tuple[tuple[int, int, int], ...]:
        """Per block: channels that enter, most channels of all its banks, 1x1 input channels of all its ops."""
        base = 2 * self.unit
        found = []
        inputs = base * self.width
        for growth in GROWTH:
            last = growth == GROWTH[-1]
            widest = 4 * base * self.width if last else inputs + 2 * base * self.width
            found.append((inputs, widest, inputs + self.depth * growth * base * self.width))
            inputs = max(base, widest // 2 // base * base)
        return tuple(found)

    @cached_property
    def inputs(self) -> tuple[int, ...]:
        """Channels that enter each block; they do not depend on the architecture."""
        return tuple(inputs for inputs, _, _ in self._budget)

    @cached_property
    def widths(self) -> tuple[int, ...]:
        """Most channels of all banks of each block."""
        return tuple(widest for _, widest, _ in self._budget)

    @cached_property
    def channels_read(self) -> tuple[int, ...]:
        """The sum over the ops of each block of channels read, at most (``n_ch``)."""
        return tuple(read for _, _, read in self._budget)

    @cached_property
    def columns(self) -> tuple[int, ...]:
        """The same in columns of the encoding, of ``D`` units each."""
        return tuple(read // (self.unit * self.compression) for read in self.channels_read)

    @cached_property
    def rows(self) -> int:
        """``k``: the widest op in units."""
        return self.widest // self.unit

    @cached_property
    def max_banks(self) -> int:
        """Most banks of any block."""
        return max(self.widths) // self.unit

    @cached_property
    def configurations(self) -> tuple[str, ...]:
        return FAMILIES[self.family]

    @cached_property
    def described(self) -> tuple[str, ...]:
        """The convolutions that the encoding describes."""
        return ("a1",) if self.family == "single" else CONVOLUTIONS

    @cached_property
    def kernels(self) -> tuple[int, ...]:
        return tuple(range(3, self.max_kernel + 1, 2))

    @cached_property
    def groups(self) -> tuple[int, ...]:
        """Powers of two that divide every possible number of channels."""
        smallest = self.unit // 2 if self.gates else self.unit
        return tuple(g for g in (2**i for i in range(self.max_groups.bit_length())) if smallest % g == 0)

    def dilations(self, kernel: int) -> range:
        """Return the dilations of a kernel size: 1 to 3, 2, 1 for 3, 5, 7, which keeps extents within 9."""
        return range(1, max(1, min(self.max_dilation, self.max_dilation + 1 - (kernel - 1) // 2)) + 1)

    def bank_sizes(self, block: int) -> tuple[int, ...]:
        """Return the bank sizes of a block, in units, of which its input holds enough for reads of whole columns."""
        sizes = range(1, self.rows + 1)
        whole = {size: self.inputs[block] // (size * self.unit) for size in sizes}
        return tuple(s for s in sizes if whole[s] >= (self.compression if s % self.compression else 1))

    def reads_step(self, bank: int) -> int:
        """Return the number that counts of read banks are multiples of, for banks of ``bank`` units."""
        return next(n for n in itertools.count(1) if n * bank % self.compression == 0)


@dataclass(frozen=True)
class Convolution:
    """One learned convolution of an op, stride 1."""

    kernel: tuple[int, ...]
    """Odd, per axis."""
    dilation: tuple[int, ...]
    groups: int = 1


@dataclass(frozen=True)
class Op:
    """One layer: banks read, a 1x1 convolution, up to four convolutions, banks written."""

    reads: tuple[int, ...]
    """Banks, ascending."""
    writes: tuple[int, ...]
    """Banks, ascending; write ``j`` gets the piece ``j mod pieces`` of the output."""
    units: int
    """``G``: width of the convolutions."""
    convolutions: tuple[tuple[str, Convolution], ...]
    """By name, in the order of ``CONVOLUTIONS``."""
    gate: Gate = "none"
    """Where both paths meet in tanh(even channels) * sigmoid(odd channels), which halves the channels."""

    @property
    def configuration(self) -> str:
        return "+".join(name for name, _ in self.convolutions)

    @property
    def units_out(self) -> int:
        """Width of the output: half where the gate stands last."""
        last = self.gate == "second" or (self.gate == "first" and self.configuration == "a1+b1")
        return self.units // 2 if last else self.units


@dataclass(frozen=True)
class BlockPlan:
    """A whole block."""

    inputs: int
    """Channels that enter; those beyond the last whole bank are dropped."""
    unit: int
    bank: int
    """Size of every bank, in units."""
    ops: tuple[Op, ...]
    bottleneck: int = 2

    @property
    def bank_channels(self) -> int:
        return self.bank * self.unit

    @property
    def input_banks(self) -> int:
        return self.inputs // self.bank_channels

    @cached_property
    def banks(self) -> int:
        """Banks that hold anything at the end."""
        return max([self.input_banks, *(1 + bank for op in self.ops for bank in op.writes)])

    def channels(self, op: Op) -> tuple[int, int]:
        """Return the input and output channels of the op's 1x1 convolution.

        As many outputs as inputs, in multiples of the op's width, up to ``bottleneck`` times that.
        """
        inputs, width = len(op.reads) * self.bank_channels, op.units * self.unit
        return inputs, min(inputs, min(max(inputs // width, 1), self.bottleneck) * width)


def check_plan(plan: BlockPlan, sizes: BankSizes, block: int) -> None:
    """Raise ArchitectureError, naming what is wrong, for a block that its budget or its encoding cannot hold."""
    where = f"block{block + 1}"
    if plan.bank not in sizes.bank_sizes(block):
        allowed = ", ".join(map(str, sizes.bank_sizes(block)))
        raise ArchitectureError(f"{where}: banks of {plan.bank} units; allowed are {allowed}; change the bank size")
    filled, columns = plan.input_banks, 0
    for number, op in enumerate(plan.ops, 1):
        _check_op(f"{where}.op{number}", op, plan, sizes, filled)
        filled = max(filled, 1 + max(op.writes))
        columns += len(op.reads) * plan.bank // sizes.compression
    most = sizes.widths[block] // plan.bank_channels
    if filled > most:
        raise ArchitectureError(
            f"{where}: {filled} banks of {plan.bank_channels} channels; allowed are {most} ({sizes.widths[block]} "
            "channels in all); write to fewer banks"
        )
    if columns > sizes.columns[block]:
        step = sizes.unit * sizes.compression
        raise ArchitectureError(
            f"{where}: its ops read {columns * step} channels in all; allowed are {sizes.columns[block] * step}; "
            "leave out ops or reads"
        )


def _check_op(where: str, op: Op, plan: BlockPlan, sizes: BankSizes, filled: int) -> None:
    if not 0 < op.units <= sizes.rows or op.units % plan.bank:
        raise ArchitectureError(
            f"{where}: {op.units} units wide ({op.units * sizes.unit} channels); allowed are multiples of the bank's "
            f"{plan.bank} up to {sizes.rows} ({sizes.widest} channels)"
        )
    if not op.reads or list(op.reads) != sorted(set(op.reads)) or op.reads[-1] >= filled:
        raise ArchitectureError(f"{where}: reads banks {list(op.reads)}; allowed are some of 0 to {filled - 1}")
    if len(op.reads) % sizes.reads_step(plan.bank):
        raise ArchitectureError(
            f"{where}: reads {len(op.reads)} banks of {plan.bank} units; allowed are multiples of "
            f"{sizes.reads_step(plan.bank)} banks, so that columns of {sizes.compression} units are whole"
        )
    new = [bank for bank in op.writes if bank >= filled]
    pieces = op.units_out // plan.bank
    if list(op.writes) != sorted(set(op.writes)) or new != list(range(filled, filled + len(new))):
        raise ArchitectureError(f"{where}: writes to banks {list(op.writes)}; new banks must follow {filled - 1}")
    if len(op.writes) < pieces or op.units_out % plan.bank:
        raise ArchitectureError(
            f"{where}: {op.units_out} units for {len(op.writes)} banks of {plan.bank}; every piece needs a bank"
        )
    if op.configuration not in sizes.configurations:
        raise ArchitectureError(
            f"{where}: convolutions {op.configuration}; allowed are {', '.join(sizes.configurations)}"
        )
    _check_gate(where, op, sizes)
    for name, convolution in op.convolutions:
        _check_convolution(f"{where}.{name}", convolution, sizes)


def _check_gate(where: str, op: Op, sizes: BankSizes) -> None:
    needs: dict[str, bool] = {
        "none": True,
        "first": sizes.gates and "b1" in op.configuration,
        "second": sizes.gates and "b2" in op.configuration,
    }
    if not needs.get(op.gate, False) or (op.gate != "none" and op.units % 2):
        allowed = "none, first where a1 and b1 meet, second where a2 and b2 meet, at an even width"
        raise ArchitectureError(
            f"{where}: gate {op.gate!r} in {op.configuration}; allowed are {allowed if sizes.gates else 'none'}"
        )


def _check_convolution(where: str, convolution: Convolution, sizes: BankSizes) -> None:
    if len(convolution.kernel) != sizes.axes or len(convolution.dilation) != sizes.axes:
        raise ArchitectureError(
            f"{where}: kernel {convolution.kernel} in a space of {sizes.axes} axes; give one size each"
        )
    for kernel, dilation in zip(convolution.kernel, convolution.dilation, strict=True):
        if kernel not in sizes.kernels:
            raise ArchitectureError(f"{where}: kernel {kernel}; allowed are {', '.join(map(str, sizes.kernels))}")
        if dilation not in sizes.dilations(kernel):
            raise ArchitectureError(
                f"{where}: dilation {dilation} of a kernel of {kernel}; allowed are 1 to {sizes.dilations(kernel)[-1]}"
            )
    if convolution.groups not in sizes.groups:
        raise ArchitectureError(
            f"{where}: {convolution.groups} groups; allowed are {', '.join(map(str, sizes.groups))}"
        )
