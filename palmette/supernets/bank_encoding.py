"""The encoding c of a memory-bank network, from its plans and back (SMASH, Brock et al., 2018; smash.md 6.1 and 6.2).

c is ``[1, channels, rows, columns]`` of -1 and +1. Columns are the input channels of all ops in a row, ``D`` units
each; rows the width of an op in units; channels say what the op reads in that column, what it writes, its block, its
width, and the dilation, kernel and groups of each convolution it has.

Deviations, defects of the released code (smash.md 10): offsets of kernel channels do not move while kernels grow, the
flags of present convolutions are +1, and all four convolutions of the long configuration have channels.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from palmette.blocks.bank_plan import (
    CONFIGURATIONS,
    CONVOLUTIONS,
    GROWTH,
    BankSizes,
    BlockPlan,
    Convolution,
    Gate,
    Op,
    check_plan,
)
from palmette.errors import ArchitectureError


class BankEncoding:
    """Encodes and decodes networks within a budget."""

    def __init__(self, sizes: BankSizes) -> None:
        self.sizes = sizes
        described = len(sizes.described) * sizes.axes
        groups = len(sizes.groups) if len(sizes.groups) > 1 else 0
        counts = {
            "reads": sizes.max_banks,
            "writes": sizes.max_banks,
            "block": len(GROWTH),
            "width": sizes.rows,
            "dilation": sizes.max_dilation * described,
            "kernel": (len(sizes.kernels) if len(sizes.kernels) > 1 else 0) * described,
            "present": len(CONVOLUTIONS) if sizes.family == "variable" else 0,
            "gate": 2 if sizes.gates else 0,
            "groups": groups * len(sizes.described),
        }
        self.start: dict[str, int] = {}
        """First channel of each group of channels."""
        self.channels = 0
        for name, count in counts.items():
            self.start[name] = self.channels
            self.channels += count
        self.counts = counts

    def encode(self, plans: Sequence[BlockPlan]) -> Tensor:
        """Return c, ``[1, channels, k, columns used + 1]``, at most all columns there are.

        Raises:
            ArchitectureError: a network that the encoding cannot hold, by name, before any tensor is made.
        """
        for block, plan in enumerate(plans):
            check_plan(plan, self.sizes, block)
        used = sum(columns_of(op, plan, self.sizes) for plan in plans for op in plan.ops)
        columns = min(used + 1, sum(self.sizes.columns))
        c = torch.full((1, self.channels, self.sizes.rows, columns), -1.0)
        column = 0
        for block, plan in enumerate(plans):
            for op in plan.ops:
                width = columns_of(op, plan, self.sizes)
                part = c[0, :, : op.units, column : column + width]
                part[self._common(op, block)] = 1.0
                for number, bank in enumerate(op.reads):
                    first, last = number * plan.bank, (number + 1) * plan.bank - 1  # in units
                    step = self.sizes.compression
                    part[self.start["reads"] + bank, :, first // step : last // step + 1] = 1.0
                column += width
        return c

    def decode(self, c: Tensor, banks: Sequence[int]) -> list[BlockPlan]:
        """Return the plans that c stands for, given the size of each block's banks, which c does not hold.

        Neighbouring ops that agree in all but what they read, in ascending banks, come back as one op: c does not hold
        where one ends and the other begins. For all other networks this is the inverse of ``encode``.

        Raises:
            ArchitectureError: no network has this encoding.
        """
        bits = (c[0] > 0).cpu()
        plans = [
            BlockPlan(self.sizes.inputs[b], self.sizes.unit, bank, (), self.sizes.bottleneck)
            for b, bank in enumerate(banks)
        ]
        ops: list[list[Op]] = [[] for _ in plans]
        column = 0
        while column < bits.shape[2] and bits[:, 0, column].any():
            (block,) = self._on("block", bits[:, 0, column], 1)
            op, width = self._read_op(bits[:, :, column:], banks[block])
            ops[block].append(op)
            column += width
        return [
            BlockPlan(plan.inputs, plan.unit, plan.bank, tuple(found), plan.bottleneck)
            for plan, found in zip(plans, ops, strict=True)
        ]

    def _common(self, op: Op, block: int) -> list[int]:
        """Return the channels that are on in all columns of an op: all but what is read."""
        start, sizes = self.start, self.sizes
        on = [start["writes"] + bank for bank in op.writes]
        on += [start["block"] + block, start["width"] + op.units - 1]
        for name, convolution in op.convolutions:
            number = sizes.described.index(name)
            for axis, (kernel, dilation) in enumerate(zip(convolution.kernel, convolution.dilation, strict=True)):
                place = number * sizes.axes + axis
                on.append(start["dilation"] + place * sizes.max_dilation + dilation - 1)
                if self.counts["kernel"]:
                    on.append(start["kernel"] + place * len(sizes.kernels) + sizes.kernels.index(kernel))
            if self.counts["groups"]:
                on.append(start["groups"] + number * len(sizes.groups) + sizes.groups.index(convolution.groups))
            if self.counts["present"]:
                on.append(start["present"] + number)
        if op.gate != "none":
            on.append(start["gate"] + ("first", "second").index(op.gate))
        return on

    def _read_op(self, bits: Tensor, bank: int) -> tuple[Op, int]:
        """Return the op that begins in the first column, and its number of columns."""
        first, after_reads = bits[:, 0, 0], self.start["writes"]
        reads: list[int] = []
        column = units = 0
        while column < bits.shape[2] and torch.equal(bits[after_reads:, 0, column], first[after_reads:]):
            open_units = -units % bank  # of the last bank read
            new = [b for b in self._on("reads", bits[:, 0, column]) if not (open_units and b == reads[-1])]
            if not open_units and reads and new and new[0] <= reads[-1]:
                break
            if len(new) != -(-max(0, self.sizes.compression - open_units) // bank):
                raise ArchitectureError(f"encoding: column {column} of an op does not read whole banks of {bank} units")
            reads += new
            units += self.sizes.compression
            column += 1
        op = Op(
            reads=tuple(reads),
            writes=tuple(self._on("writes", first)),
            units=self._on("width", first, 1)[0] + 1,
            convolutions=tuple((name, self._read_convolution(first, name)) for name in self._present(first)),
            gate=self._gate(first),
        )
        return op, column

    def _present(self, column: Tensor) -> tuple[str, ...]:
        if not self.counts["present"]:
            return CONFIGURATIONS[self.sizes.configurations[0]]
        return tuple(CONVOLUTIONS[i] for i in self._on("present", column))

    def _read_convolution(self, column: Tensor, name: str) -> Convolution:
        sizes, number = self.sizes, self.sizes.described.index(name)
        kernel, dilation = [], []
        for place in range(number * sizes.axes, (number + 1) * sizes.axes):
            dilation.append(1 + self._one("dilation", column, place, sizes.max_dilation))
            kernel.append(sizes.kernels[self._one("kernel", column, place, len(sizes.kernels))])
        groups = sizes.groups[self._one("groups", column, number, len(sizes.groups))]
        return Convolution(tuple(kernel), tuple(dilation), groups)

    def _gate(self, column: Tensor) -> Gate:
        on = self._on("gate", column)
        gates: tuple[Gate, Gate] = ("first", "second")
        return gates[on[0]] if on else "none"

    def _one(self, name: str, column: Tensor, place: int, options: int) -> int:
        """Return which of ``options`` channels is on, at a place of a group; the only option has no channel."""
        if not self.counts[name]:
            return 0
        on = [i - place * options for i in self._on(name, column) if i // options == place]
        if len(on) != 1:
            raise ArchitectureError(f"encoding: {len(on)} values of {name} are on in a column; one is needed")
        return on[0]

    def _on(self, name: str, column: Tensor, count: int | None = None) -> list[int]:
        """Return which channels of a group are on, counted from its first."""
        found: list[int] = column[self.start[name] : self.start[name] + self.counts[name]].nonzero().flatten().tolist()
        if count is not None and len(found) != count:
            raise ArchitectureError(f"encoding: {len(found)} channels of {name} are on in a column; {count} is needed")
        return found


def columns_of(op: Op, plan: BlockPlan, sizes: BankSizes) -> int:
    """Return the number of columns an op takes."""
    return len(op.reads) * plan.bank // sizes.compression
