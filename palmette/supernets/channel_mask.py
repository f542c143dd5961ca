"""Channel masks: one convolution of the widest size serves all widths (FBNetV2, Wan et al., 2020, section 3.1).

An index computes the leading channels only; weights over the options compute all channels and multiply them by the
weighted sum of the options' 0/1 masks. In both forms, and in the stand-alone network, the output keeps the widest
shape, with zeros in the channels that are not used: a following layer of fixed width sees the same either way.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from functools import reduce

import torch
from torch import Tensor, nn

from palmette.architecture import Architecture
from palmette.blocks.convolution import conv_bn
from palmette.choice import picked, terms
from palmette.decisions import Categorical, Condition, Decision
from palmette.errors import ArchitectureError
from palmette.slots import Slot


class WidthOneOf(Slot):
    """Convolution, BatchNorm and ReLU with one of several output widths. ``[N, inputs, H, W]`` to ``[N, widest, ...]``.

    A stand-alone network owns the leading slices of the supernet's tensors.
    """

    def __init__(self, name: str, inputs: int, widths: Sequence[int], *, kernel: int = 3) -> None:
        super().__init__()
        if not widths or min(widths) < 1 or list(widths) != sorted(set(widths)):
            raise ArchitectureError(f"slot {name!r}: widths {list(widths)}; give positive integers in rising order")
        self.name = name
        self.inputs = inputs
        self.widths = tuple(widths)
        self.kernel = kernel
        self.widest: nn.Sequential | None = None

    def decisions(self) -> Sequence[Decision]:
        return [Categorical(self.name, tuple(map(str, self.widths)))]

    def nested(self) -> Iterator[tuple[Condition, nn.Module]]:
        return (((self.name, str(width)), self._block(width)) for width in self.widths)

    def build(self, architecture: Architecture) -> nn.Module:
        return self._block(int(str(architecture[self.name])))

    def fill(self) -> None:
        self.widest = self._block(self.widths[-1])

    def active(self, architecture: Architecture) -> nn.Module:
        return self._narrow(int(str(architecture[self.name])))

    def forward(self, x: Tensor) -> Tensor:
        assert self.widest is not None
        picks = terms(picked(self.name), len(self.widths))
        if len(picks) == 1 and picks[0][1] is None:
            narrow: Tensor = self._narrow(self.widths[picks[0][0]])(x)
            return narrow
        channels = torch.arange(self.widths[-1], device=x.device)
        masks = [(channels < self.widths[i]) * (1.0 if weight is None else weight) for i, weight in picks]
        masked: Tensor = self.widest(x) * reduce(torch.add, masks)[:, None, None]
        return masked

    def _block(self, width: int) -> nn.Sequential:
        return nn.Sequential(conv_bn(self.inputs, width, self.kernel), self._unused(width))

    def _unused(self, width: int) -> nn.Module:
        return nn.ConstantPad3d((0, 0, 0, 0, 0, self.widths[-1] - width), 0.0)  # of [N, C, H, W] it pads C

    def _narrow(self, width: int) -> nn.Module:
        """Return a block of ``width`` on leading slices of the widest block's own tensors, a new one for each call."""
        assert self.widest is not None
        own = [*self.widest.parameters(), *self.widest.buffers()]
        narrow = copy.deepcopy(self.widest, {id(tensor): tensor[:width] if tensor.dim() else tensor for tensor in own})
        narrow[1] = self._unused(width)
        return narrow
