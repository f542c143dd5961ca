"""Memory banks as a slot: one block of any plan, and the transition or classifier that follows it.

The supernet holds tensors of the largest size and runs each architecture with slices of them: all ops of a block share
its k x k convolutions (leading channels, centre of the kernel), the 1x1 convolutions take successive rows of one
matrix, which a hypernetwork can generate instead (SMASH, Brock et al., 2018; smash.md 3 and 5).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor, nn

from palmette.architecture import Architecture, Value
from palmette.blocks.bank_plan import BankSizes, BlockPlan, check_plan
from palmette.blocks.memory_bank import CONVOLUTION, NORM, BankBlock
from palmette.choice import picked
from palmette.decision import Condition, Decision
from palmette.errors import ArchitectureError
from palmette.slots import Slot
from palmette.supernets.bank_decisions import block_decisions, read_plan

POOL = {2: nn.AvgPool2d, 3: nn.AvgPool3d}
GLOBAL_POOL = {2: nn.AdaptiveAvgPool2d, 3: nn.AdaptiveAvgPool3d}


class BankSlot(Slot):
    """One block and its tail. ``[N, sizes.inputs[block], H, W]`` to the next block's input, or to ``[N, classes]``.

    Args:
        block: from 0.
        sizes: the budget.
        classes: of a classifier as the tail; None is a transition to the next block.
        norm: BatchNorm inside ops.
    """

    def __init__(self, block: int, sizes: BankSizes, *, classes: int | None = None, norm: bool = True) -> None:
        super().__init__()
        self.block = block
        self.sizes = sizes
        self.classes = classes
        self.norm = norm
        self.pointwise: nn.Parameter | None = None
        """Of the 1x1 convolutions, ``[input channels in order of the ops, bottleneck * widest]``."""
        self._decisions = {decision.name: decision for decision in block_decisions(sizes, block)}

    def decisions(self) -> Sequence[Decision]:
        return list(self._decisions.values())

    def nested(self) -> Iterator[tuple[Condition, nn.Module]]:
        return iter(())

    def build(self, architecture: Architecture) -> nn.Module:
        plan = read_plan(architecture.__getitem__, self.sizes, self.block)
        check_plan(plan, self.sizes, self.block)
        return self._stage(plan)

    def fill(self) -> None:
        sizes, ops = self.sizes, self.sizes.columns[self.block]
        widest, bottleneck = sizes.widths[self.block], sizes.bottleneck * sizes.widest
        kernel = (sizes.max_kernel,) * sizes.axes
        self.pointwise = nn.Parameter(torch.empty(ops * sizes.compression * sizes.unit, bottleneck))
        nn.init.normal_(self.pointwise, std=1 / math.sqrt(bottleneck))
        for name in sizes.described:
            inputs = bottleneck if name in ("a1", "b1") else sizes.widest
            shared = nn.Parameter(torch.empty(sizes.widest, inputs, *kernel))
            nn.init.normal_(
                shared, std=math.sqrt(2 / (sizes.widest * 3**sizes.axes))
            )  # as for one of the smallest size
            self.register_parameter(name, shared)
        if self.norm:
            for name, channels in (("norm_in", widest), ("norm_out", bottleneck)):
                self._register_norms(name, ops, channels)
        self.tail = nn.Sequential(*self._tail(widest))

    def active(self, architecture: Architecture) -> nn.Module:
        return self._sliced(read_plan(architecture.__getitem__, self.sizes, self.block))

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self._sliced(self.plan())(x)
        return y

    def plan(self) -> BlockPlan:
        """Return the plan that the current choice picks; see ``choice.chosen``."""
        return read_plan(self._value, self.sizes, self.block)

    def _value(self, name: str) -> Value:
        """Return the value that the current choice picks: an index, or indices of banks."""
        pick = picked(name)
        if isinstance(pick, tuple):
            return tuple(map(str, pick))
        if not isinstance(pick, int):
            raise ArchitectureError(f"decision {name!r}: memory banks cannot be mixed; pick one option by its index")
        return self._decisions[name].values()[pick]

    def _stage(self, plan: BlockPlan) -> nn.Sequential:
        block = BankBlock(plan, axes=self.sizes.axes, norm=self.norm)
        return nn.Sequential(block, *self._tail(plan.banks * plan.bank_channels))

    def _tail(self, channels: int) -> list[nn.Module]:
        axes = self.sizes.axes
        norm: list[nn.Module] = [NORM[axes](channels), nn.ReLU()]
        if self.classes is not None:
            return [*norm, GLOBAL_POOL[axes](1), nn.Flatten(), nn.Linear(channels, self.classes)]
        outputs = self.sizes.inputs[self.block + 1]
        return [*norm, CONVOLUTION[axes](channels, outputs, 1, bias=False), POOL[axes](2)]

    def _register_norms(self, name: str, ops: int, channels: int) -> None:
        """Allocate one BatchNorm of the largest size per op, as rows of common tensors."""
        self.register_parameter(f"{name}_weight", nn.Parameter(torch.ones(ops, channels)))
        self.register_parameter(f"{name}_bias", nn.Parameter(torch.zeros(ops, channels)))
        self.register_buffer(f"{name}_running_mean", torch.zeros(ops, channels))
        self.register_buffer(f"{name}_running_var", torch.ones(ops, channels))
        self.register_buffer(f"{name}_num_batches_tracked", torch.zeros(ops, dtype=torch.long))

    def _sliced(self, plan: BlockPlan) -> nn.Module:
        """Return a new stage of ``plan`` whose tensors are slices of this slot's own; changes reach the slot."""
        assert self.pointwise is not None
        with torch.device("meta"):
            stage = self._stage(plan).train(self.training)
        block = stage[0]
        starts = accumulate((plan.channels(op)[0] for op in plan.ops), initial=0)
        for number, (module, start) in enumerate(zip(block.ops, starts, strict=False)):  # type: ignore[arg-type]
            self._slice_op(module, number, start)
        for position, own in enumerate(self.tail.children(), 1):
            for name, tensor in own.state_dict(keep_vars=True).items():
                _assign(stage[position], name, tensor)
        return stage

    def _slice_op(self, op: nn.Module, number: int, start: int) -> None:
        pointwise: Tensor = op.get_parameter("pointwise.weight")
        outputs, inputs = pointwise.shape[:2]
        assert self.pointwise is not None
        rows = self.pointwise[start : start + inputs, :outputs].t()
        _replace(op.get_submodule("pointwise"), "weight", rows.reshape(pointwise.shape))
        for name in self.sizes.described:
            if name in op.get_submodule("convolutions")._modules:
                _assign(op.get_submodule(f"convolutions.{name}"), "weight", self.get_parameter(name))
        for norm in ("norm_in", "norm_out") if self.norm else ():
            for name in op.get_submodule(norm).state_dict():
                _assign(op.get_submodule(norm), name, getattr(self, f"{norm}_{name}")[number])


def _assign(module: nn.Module, name: str, own: Tensor) -> None:
    """Give ``module`` the part of ``own`` of its shape: leading channels, the centre of kernels."""
    shape = module.state_dict()[name].shape
    centre = [
        slice((large - small) // 2, (large + small) // 2) for large, small in zip(own.shape[2:], shape[2:], strict=True)
    ]
    _replace(module, name, own[(*(slice(size) for size in shape[:2]), *centre)] if shape else own)


def _replace(module: nn.Module, name: str, tensor: Tensor) -> None:
    held: dict[str, Any] = module._parameters if name in module._parameters else module._buffers
    held[name] = tensor  # a slice, so no parameter of its own: gradients flow to what it is a slice of
