"""A memory-bank block: banks are read, transformed and added to, as its plan says (SMASH, Brock et al., 2018).

One definition of what an op computes, for the stand-alone network and the supernet alike: the supernet runs this
module with slices of its own tensors in place of the module's. Tensors are ``[N, C, H, W]``, or ``[N, C, D, H, W]``.

As in the released code, searched ops have no BatchNorm, and trained ones have it around the 1x1 convolution: generated
weights are small, so a searched network begins near its plain skeleton and learns; with norms it was not seen to.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from palmette.blocks.bank_plan import BlockPlan, Convolution, Op

CONVOLUTION: Mapping[int, Callable[..., nn.Module]] = {2: nn.Conv2d, 3: nn.Conv3d}
NORM: Mapping[int, Callable[..., nn.Module]] = {2: nn.BatchNorm2d, 3: nn.BatchNorm3d}


class BankBlock(nn.Module):
    """The ops of a plan in order. Input: at least ``plan.inputs`` channels; output: all banks, concatenated."""

    def __init__(self, plan: BlockPlan, *, axes: int = 2, norm: bool = True) -> None:
        super().__init__()
        self.plan = plan
        self.ops = nn.ModuleList(BankOp(plan, op, axes=axes, norm=norm) for op in plan.ops)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat(self.banks(x), 1)

    def banks(self, x: Tensor) -> list[Tensor]:
        """Return the final content of every bank."""
        size = self.plan.bank_channels
        banks = [x[:, i * size : (i + 1) * size] for i in range(self.plan.input_banks)]
        for op, module in zip(self.plan.ops, self.ops, strict=True):
            read = [banks[bank] for bank in op.reads]
            pieces = module(torch.cat(read, 1) if len(read) > 1 else read[0])
            for j, bank in enumerate(op.writes):
                piece = pieces[j % len(pieces)]
                if bank < len(banks):
                    banks[bank] = banks[bank] + piece
                else:
                    banks.append(piece)
        return banks


class BankOp(nn.Module):
    """BatchNorm, ReLU, 1x1 convolution, BatchNorm, then the op's convolutions, each after a ReLU."""

    def __init__(self, plan: BlockPlan, op: Op, *, axes: int, norm: bool) -> None:
        super().__init__()
        inputs, bottleneck = plan.channels(op)
        width = op.units * plan.unit
        self.op = op
        self.pieces = op.units_out // plan.bank
        self.piece = plan.bank_channels
        self.norm_in = NORM[axes](inputs) if norm else None
        self.pointwise = CONVOLUTION[axes](inputs, bottleneck, 1, bias=False)
        self.norm_out = NORM[axes](bottleneck) if norm else None
        entering = {"a1": bottleneck, "b1": bottleneck, "a2": width, "b2": width}
        if op.gate == "first":
            entering |= {"a2": width // 2, "b2": width // 2}
        self.convolutions = nn.ModuleDict(
            {name: _convolution(entering[name], width, convolution, axes) for name, convolution in op.convolutions}
        )
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.Conv3d)) and not module.weight.is_meta:
                nn.init.orthogonal_(module.weight)

    def forward(self, x: Tensor) -> list[Tensor]:
        if self.norm_in is not None:
            x = torch.relu(self.norm_in(x))
        x = self.pointwise(x)
        x = self.norm_out(x) if self.norm_out is not None else torch.relu(x)
        y = self._paths(torch.relu(x))
        return [y[:, i * self.piece : (i + 1) * self.piece] for i in range(self.pieces)]

    def _paths(self, x: Tensor) -> Tensor:
        """Run the two paths: each second convolution reads its own first, or the only one there is."""
        convolutions = self.convolutions
        a: Tensor = convolutions["a1"](x)
        b: Tensor = convolutions["b1"](x) if "b1" in convolutions else a
        joined = "b1" not in convolutions
        if self.op.gate == "first":
            a = b = gated(a + b)
            joined = True
        if "a2" not in convolutions:
            return a if joined else a + b
        y: Tensor = convolutions["a2"](torch.relu(a))
        if "b2" in convolutions:
            y = y + convolutions["b2"](torch.relu(b))
            return gated(y) if self.op.gate == "second" else y
        return y if joined else y + b


def gated(x: Tensor) -> Tensor:
    """Return tanh of the even channels times sigmoid of the odd ones: half the channels."""
    return torch.tanh(x[:, 0::2]) * torch.sigmoid(x[:, 1::2])


def _convolution(inputs: int, outputs: int, convolution: Convolution, axes: int) -> nn.Module:
    return CONVOLUTION[axes](
        inputs,
        outputs,
        convolution.kernel,
        padding=tuple(d * (k - 1) // 2 for k, d in zip(convolution.kernel, convolution.dilation, strict=True)),
        dilation=convolution.dilation,
        groups=convolution.groups,
        bias=False,
    )
