"""How memory-bank architectures are drawn and varied within their budget (SMASH, Brock et al., 2018; smash.md 4).

No read of an empty bank, no more 1x1 inputs than the budget, widths that are multiples of the bank's size. Blocks do
not depend on each other, so crossing takes whole blocks of either parent. No torch here.

Deviations from the released code: a perturbed architecture keeps its numbers of banks, and ops that no longer fit the
budget are left out (there the budget may overflow); among counts of written banks only those that can be met are drawn.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from palmette.architecture import Value
from palmette.blocks.bank_plan import CONFIGURATIONS, BankSizes, BlockPlan, Convolution, Gate, Op, check_plan
from palmette.supernets.bank_decisions import plan_values, read_plans

PROBABILITIES = {"a1": 0.05, "a1+b1": 0.10, "a1+a2": 0.15, "a1+a2+b1": 0.25, "a1+a2+b1+b2": 0.45}
"""Of the configurations, where several are sampled."""
LEAST_BUDGET = 0.3
"""Of the share of a block's budget that an architecture may spend."""
GATED = 0.25
"""Probability of a gate at each place where two paths meet; at most one."""


@dataclass(frozen=True)
class BankGrammar:
    """Draws architectures whose blocks spend a random share of their budget, up to ``most_budget``."""

    sizes: BankSizes
    most_budget: float = 1.0
    most_kernel: int | None = None
    """The largest kernel drawn; None is the largest there is."""

    def sample(self, generator: np.random.Generator) -> dict[str, Value]:
        return self._values([self.block(block, generator) for block in range(len(self.sizes.inputs))])

    def mutate(
        self, parent: Mapping[str, Value], generator: np.random.Generator, *, probability: float
    ) -> dict[str, Value]:
        plans = read_plans(parent, self.sizes)
        return self._values([self._perturbed(b, plan, generator, probability) for b, plan in enumerate(plans)])

    def cross(
        self, one: Mapping[str, Value], other: Mapping[str, Value], generator: np.random.Generator
    ) -> dict[str, Value]:
        pairs = zip(read_plans(one, self.sizes), read_plans(other, self.sizes), strict=True)
        return self._values([first if generator.random() < 0.5 else second for first, second in pairs])

    def check(self, values: Mapping[str, Value]) -> None:
        for block, plan in enumerate(read_plans(values, self.sizes)):
            check_plan(plan, self.sizes, block)

    def at(self, progress: float) -> BankGrammar:
        """Return the grammar of a training step: budget and kernels grow to their largest over its first half."""
        share = min(1.0, 2 * progress)
        grown = 3 + int((self.sizes.max_kernel - 3) * share)
        return replace(self, most_budget=0.5 + 0.5 * share, most_kernel=grown + 1 - grown % 2)

    def block(self, block: int, generator: np.random.Generator) -> BlockPlan:
        """Draw one block (from 0)."""
        sizes = self.sizes
        budget = generator.uniform(LEAST_BUDGET, self.most_budget)
        bank = _one_of(sizes.bank_sizes(block), generator)
        room = sizes.inputs[block] // (bank * sizes.unit) + math.ceil(budget * sizes.depth * sizes.rows) // bank
        banks = min(room, sizes.widths[block] // (bank * sizes.unit))
        plan = BlockPlan(sizes.inputs[block], sizes.unit, bank, (), sizes.bottleneck)
        left = int(budget * sizes.channels_read[block]) // (sizes.unit * sizes.compression)
        while (op := self._op(plan, banks, left, generator)) is not None:
            plan = replace(plan, ops=(*plan.ops, op))
            left -= len(op.reads) * bank // sizes.compression
        return plan

    def _op(self, plan: BlockPlan, banks: int, columns: int, generator: np.random.Generator) -> Op | None:
        """Draw the op that follows, or None where none fits the columns that are left."""
        sizes, filled = self.sizes, plan.banks
        step = sizes.reads_step(plan.bank)
        most = min(filled, columns * sizes.compression // plan.bank)
        counts = range(step, most + 1, step)
        if not counts:
            return None
        reads = _drawn(filled, _one_of(counts, generator), generator)
        units = self._units(plan, len(reads), filled, banks, generator)
        configuration, gate = self._configuration(units, plan.bank, generator)
        convolutions = tuple((name, self._convolution(generator)) for name in CONFIGURATIONS[configuration])
        op = Op(reads=reads, writes=(), units=units, convolutions=convolutions, gate=gate)
        return replace(op, writes=self._writes(op.units_out // plan.bank, filled, banks, generator))

    def _units(self, plan: BlockPlan, reads: int, filled: int, banks: int, generator: np.random.Generator) -> int:
        """Draw the width: most likely as many units as are read, and no more pieces than there are banks to take."""
        pieces = [n for n in range(1, self.sizes.rows // plan.bank + 1) if n <= _writable(n, filled, banks)]
        widths = np.array(pieces) * plan.bank
        weights = 1 / (0.01 + 10 * np.abs(widths - reads * plan.bank))
        return int(generator.choice(widths, p=weights / weights.sum()))

    def _writes(self, pieces: int, filled: int, banks: int, generator: np.random.Generator) -> tuple[int, ...]:
        """Draw the banks written: exponentially few, and new ones without a gap."""
        candidates = _writable(pieces, filled, banks)
        counts = np.arange(pieces, min(max(filled // 2, pieces), candidates) + 1)
        weights = np.exp(-(counts - pieces).astype(float))
        picks = _drawn(candidates, int(generator.choice(counts, p=weights / weights.sum())), generator)
        old = [bank for bank in picks if bank < filled]
        return (*old, *range(filled, filled + len(picks) - len(old)))

    def _configuration(self, units: int, bank: int, generator: np.random.Generator) -> tuple[str, Gate]:
        names = self.sizes.configurations
        weights = np.array([PROBABILITIES[name] for name in names])
        name = str(generator.choice(names, p=weights / weights.sum()))
        if self.sizes.gates:
            for gate, meeting in (("first", "b1"), ("second", "b2")):
                halves_output = gate == "second" or name == "a1+b1"
                fits = units % (2 * bank if halves_output else 2) == 0
                if meeting in CONFIGURATIONS[name] and fits and generator.random() < GATED:
                    return name, gate  # type: ignore[return-value]  # mypy widens the literals of the tuple
        return name, "none"

    def _convolution(self, generator: np.random.Generator) -> Convolution:
        kernels = [k for k in self.sizes.kernels if k <= (self.most_kernel or k)]
        kernel = tuple(_one_of(kernels, generator) for _ in range(self.sizes.axes))
        dilation = tuple(_one_of(self.sizes.dilations(k), generator) for k in kernel)
        return Convolution(kernel, dilation, _one_of(self.sizes.groups, generator))

    def _perturbed(self, block: int, plan: BlockPlan, generator: np.random.Generator, probability: float) -> BlockPlan:
        """Redraw the bank's size, and with it the block, or each element of each op, with ``probability``."""
        if generator.random() < probability:
            return self.block(block, generator)
        banks, left = plan.banks, self.sizes.columns[block]
        varied = replace(plan, ops=())
        for op in plan.ops:
            new = self._perturbed_op(op, varied, banks, left, generator, probability)
            if new is not None:
                varied = replace(varied, ops=(*varied.ops, new))
                left -= len(new.reads) * plan.bank // self.sizes.compression
        return varied

    def _perturbed_op(
        self, op: Op, plan: BlockPlan, banks: int, left: int, generator: np.random.Generator, probability: float
    ) -> Op | None:
        fresh = self._op(plan, banks, left, generator)
        if fresh is None:
            return None
        redrawn = generator.random(4) < probability
        units = fresh.units if redrawn[1] else op.units
        configured = fresh if redrawn[2] and fresh.units == units else op
        kept = dict(op.convolutions)
        new = Op(
            reads=fresh.reads if redrawn[0] or not self._can_read(op, plan, left) else op.reads,
            writes=(),
            units=units,
            convolutions=tuple(
                (name, kept[name] if name in kept and generator.random() >= probability else convolution)
                for name, convolution in configured.convolutions
            ),
            gate=configured.gate if units == configured.units else "none",
        )
        writes = fresh.writes if redrawn[3] else op.writes
        pieces = new.units_out // plan.bank
        if len(writes) < pieces or not _follows(writes, plan.banks) or max(writes) >= banks:
            if pieces > _writable(pieces, plan.banks, banks):
                return None
            writes = self._writes(pieces, plan.banks, banks, generator)
        return replace(new, writes=writes)

    def _can_read(self, op: Op, plan: BlockPlan, left: int) -> bool:
        return op.reads[-1] < plan.banks and len(op.reads) * plan.bank // self.sizes.compression <= left

    def _values(self, plans: Sequence[BlockPlan]) -> dict[str, Value]:
        return {k: v for b, plan in enumerate(plans) for k, v in plan_values(plan, self.sizes, b).items()}


def _one_of(values: Sequence[int], generator: np.random.Generator) -> int:
    return values[int(generator.integers(len(values)))]


def _drawn(candidates: int, count: int, generator: np.random.Generator) -> tuple[int, ...]:
    return tuple(sorted(generator.permutation(candidates)[:count].tolist()))


def _writable(pieces: int, filled: int, banks: int) -> int:
    """Return the number of banks that an op of so many pieces may write to: all filled ones and as many new ones."""
    return filled + min(pieces, banks - filled)


def _follows(writes: Sequence[int], filled: int) -> bool:
    """Say whether the new banks among ``writes`` follow the filled ones without a gap."""
    new = [bank for bank in writes if bank >= filled]
    return new == list(range(filled, filled + len(new)))
