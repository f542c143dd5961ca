"""Hypernetworks: from an encoding c to all 1x1 weights of a network in one pass (SMASH, Brock et al., 2018, 3.2).

A convolutional network of stride 1 maps c ``[1, C, rows, columns]`` to a picture of the same size whose channels, put
in order, are the weights (smash.md 6.3 and 6.4). What it generates, and its own weights, are divided by their norm, as
the paper found stable; noise in one more channel is drawn anew at every generation.

Deviation from the released code: the network sees c as 0 and 1, as the paper's text has it, not as -1 and +1. There
four of five cells hold the same -1, whatever the architecture; what is learned from that is the same for all of them,
and drives what c says out of weights that are divided by their norm (results/smash.md).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, leaky_relu, pad

from palmette.blocks.bank_plan import BlockPlan
from palmette.choice import Choice, chosen
from palmette.space import slots
from palmette.supernets.bank_encoding import BankEncoding
from palmette.supernets.memory_bank import BankSlot
from palmette.supernets.options import HyperNetOptions

SLOPE = 0.02


class HyperNet(nn.Module):
    """The dense convolutional network. ``[1, channels, rows, columns]`` to ``[1, outputs, rows, columns]``."""

    def __init__(self, channels: int, outputs: int, options: HyperNetOptions) -> None:
        super().__init__()
        widths = [channels + 1]  # noise comes first
        layers = [NormalisedConvolution(widths[0], options.first, 3)]
        width = widths[0] + options.first
        for number, count in enumerate(options.layers):
            if number:
                layers.append(NormalisedConvolution(width, width // 2, 3))
                width //= 2
            for _ in range(count):
                layers.append(NormalisedConvolution(width, options.growth, 3))
                width += options.growth
        layers.append(NormalisedConvolution(width, outputs, 1))
        self.layers = nn.ModuleList(layers)
        self.dense_layers = options.layers

    def forward(self, c: Tensor) -> Tensor:
        """Return the picture of weights of an encoding of -1 and +1.

        Noise is drawn from torch's generator of the CPU, wherever c lies.
        """
        noise = torch.randn(1, 1, *c.shape[2:]).to(c)
        x = torch.cat([noise, (c + 1) / 2], 1)
        layers = iter(self.layers)
        x = torch.cat([x, next(layers)(x)], 1)
        for number, count in enumerate(self.dense_layers):
            if number:
                x = next(layers)(leaky_relu(x, SLOPE))
            for _ in range(count):
                x = torch.cat([x, next(layers)(leaky_relu(x, SLOPE))], 1)
        y: Tensor = next(layers)(leaky_relu(x, SLOPE))
        return y


class NormalisedConvolution(nn.Module):
    """A convolution without bias whose weight is divided by its norm; stride 1, size kept."""

    def __init__(self, inputs: int, outputs: int, kernel: int) -> None:
        super().__init__()
        self.shape = (outputs, inputs, kernel, kernel)
        weight = nn.init.orthogonal_(torch.empty(self.shape))
        # Flat, so that no training decays it: decay of a weight that is divided by its norm only raises its step.
        self.weight = nn.Parameter(weight.flatten())

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = conv2d(x, normalised(self.weight).view(self.shape), padding=self.shape[2] // 2)
        return y


def normalised(weight: Tensor) -> Tensor:
    """Return a tensor divided by its Euclidean norm."""
    norm: Tensor = weight.norm()
    return weight / norm.clamp_min(1e-12)


def as_weights(picture: Tensor, *, unit: int, compression: int, bottleneck: int) -> Tensor:
    """Return the matrix of 1x1 weights ``[inputs, outputs]`` that a picture's channels hold (smash.md 6.4).

    ``weights[s * D * N + b, r * B * N + a] = picture[0, a * D * N + b, r, s]``: a column of c makes ``D * N`` inputs, a
    row ``B * N`` outputs. A plain reshape would mix them up.
    """
    rows, columns = picture.shape[2:]
    parts = picture.view(bottleneck * unit, compression * unit, rows, columns)
    return parts.permute(3, 1, 2, 0).reshape(columns * compression * unit, rows * bottleneck * unit)


class BankHyperNetwork(nn.Module):
    """Generates the 1x1 weights of a memory-bank supernet for ``GeneratedWeights``: one matrix per block.

    Args:
        network: with the slots of the blocks.
        options: the capacity.
        generated: how many blocks, from the first, get generated weights.
    """

    def __init__(self, network: nn.Module, options: HyperNetOptions, *, generated: int = 3) -> None:
        super().__init__()
        self.generated = generated
        self.slots = tuple(slot for slot in slots(network) if isinstance(slot, BankSlot))  # a tuple: not its submodules
        self.sizes = self.slots[0].sizes
        self.encoding = BankEncoding(self.sizes)
        outputs = self.sizes.bottleneck * self.sizes.compression * self.sizes.unit**2
        self.net = HyperNet(self.encoding.channels, outputs, options)

    def forward(self, choice: Choice) -> list[Tensor]:
        plans = self.plans(choice)
        return self.weights(plans, self.encode(plans))

    def plans(self, choice: Choice) -> list[BlockPlan]:
        """Return the plans that a choice picks."""
        with chosen(choice):
            return [slot.plan() for slot in self.slots]

    def encode(self, plans: Sequence[BlockPlan]) -> Tensor:
        """Return c on the device of the hypernetwork."""
        return self.encoding.encode(plans).to(next(self.parameters()).device)

    def weights(self, plans: Sequence[BlockPlan], c: Tensor) -> list[Tensor]:
        """Return, per block, the 1x1 weights of its ops one below another, ``[channels read, bottleneck * widest]``.

        ``c`` may be another encoding than that of ``plans``, of the same columns.
        """
        sizes = self.sizes
        picture = self.net(c).float()
        matrix = as_weights(picture, unit=sizes.unit, compression=sizes.compression, bottleneck=sizes.bottleneck)
        found, start = [], 0
        for plan in plans[: self.generated]:
            ops = [matrix[:0]]
            for op in plan.ops:
                inputs, outputs = plan.channels(op)
                own = normalised(matrix[start : start + inputs, :outputs])
                ops.append(pad(own, (0, matrix.shape[1] - outputs)))
                start += inputs
            found.append(torch.cat(ops))
        return found


class LayerHyperNetwork(nn.Module):
    """Generates 1x1 convolutions and linear layers of any supernet for ``GeneratedWeights``, from its choice.

    The encoding is that of SMASH with layers in the place of ops: each named weight has its own columns (inputs) and
    rows (outputs), and channels for which weight and which row it is, and for what the choice picks.

    Args:
        supernet: whose weights are generated.
        names: of them.
        options: how many there are of each decision, by name.
        capacity: of the hypernetwork.
        unit: channels per row, and half of those per column.
    """

    def __init__(
        self,
        supernet: nn.Module,
        names: Sequence[str],
        options: dict[str, int],
        capacity: HyperNetOptions,
        *,
        unit: int = 8,
    ) -> None:
        super().__init__()
        self.shapes = [tuple(supernet.get_parameter(name).shape) for name in names]
        self.options = dict(options)
        self.unit = unit
        step = 2 * unit
        self.spans = [-(-shape[1] // step) for shape in self.shapes]
        rows = max(-(-shape[0] // unit) for shape in self.shapes)
        fixed = torch.full((1, len(names) + rows, rows, sum(self.spans)), -1.0)
        for row in range(rows):
            fixed[0, len(names) + row, row] = 1.0
        start = 0
        for number, (shape, span) in enumerate(zip(self.shapes, self.spans, strict=True)):
            fixed[0, number, : math.ceil(shape[0] / unit), start : start + span] = 1.0
            start += span
        self.fixed: Tensor
        self.register_buffer("fixed", fixed, persistent=False)
        self.net = HyperNet(fixed.shape[1] + sum(options.values()), step * unit, capacity)

    def forward(self, choice: Choice) -> list[Tensor]:
        bits = torch.cat([self._bits(name, choice) for name in self.options]).to(self.fixed)
        picked = bits[None, :, None, None].expand(-1, -1, *self.fixed.shape[2:])
        picture = self.net(torch.cat([self.fixed, picked], 1)).float()
        matrix = as_weights(picture, unit=self.unit, compression=2, bottleneck=1)
        found, start = [], 0
        for shape, span in zip(self.shapes, self.spans, strict=True):
            own = matrix[start : start + shape[1], : shape[0]].t()
            found.append(normalised(own).reshape(shape))
            start += span * 2 * self.unit
        return found

    def _bits(self, name: str, choice: Choice) -> Tensor:
        """Return +1 for the picked options of a decision and -1 for the others; all -1 where it is inactive."""
        bits = torch.full((self.options[name],), -1.0)
        pick = choice.get(name, ())
        for index in (pick,) if isinstance(pick, int) else pick if isinstance(pick, tuple) else ():
            bits[index] = 1.0
        return bits


def generated_names(supernet: nn.Module) -> list[str]:
    """Return the weights of a supernet that a hypernetwork makes: of memory banks, else of its 1x1 convolutions."""
    banks = [f"{name}.pointwise" for name, module in supernet.named_modules() if isinstance(module, BankSlot)]
    return banks or [
        f"{name}.weight"
        for name, module in supernet.named_modules()
        if isinstance(module, (nn.Conv2d, nn.Conv3d)) and set(module.kernel_size) == {1} and module.groups == 1
    ]
