"""Quantisers for weights (DoReFa, Zhou et al., 2016) and features (PACT, Choi et al., 2018); sampling.md 2.12.

Each rounds to ``2^bits - 1`` steps in the forward pass. Backward, only ``round`` is straight-through: the rest is
differentiated as written, with these choices where the papers leave one.

- The largest ``|tanh w|`` of a weight tensor is a constant (the original code differentiates it).
- With one bit the mean ``|w|`` is a constant, the gradient is 1 everywhere, and the sign of 0 is +1.
- PACT's rule is exact: features learn inside the clip only, the clip from what lies above it only. A clip starts at 3,
  where few of the normalised features of a new network lie above it (the paper starts higher, with its penalty).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from palmette.errors import ArchitectureError


def check_bits(bits: int) -> int:
    """Return ``bits``; raise ArchitectureError below 1 or above 16."""
    if not 1 <= bits <= 16:
        raise ArchitectureError(f"quantiser: {bits} bits were given; allowed are 1 to 16")
    return bits


def quantized_weight(weight: Tensor, bits: int) -> Tensor:
    """Return the weight on its grid: ``±mean |w|`` with one bit, else ``2^bits`` values from -1 to 1 (DoReFa)."""
    if bits == 1:
        scale = weight.detach().abs().mean()
        signed: Tensor = torch.where(weight.detach() < 0, -scale, scale)
        return _straight_through(signed, weight)
    bounded = torch.tanh(weight)
    unit = bounded / (2 * bounded.detach().abs().max().clamp_min(1e-12)) + 0.5
    quantized: Tensor = 2 * _rounded(unit, 2**bits - 1) - 1
    return quantized


def quantized_feature(x: Tensor, clip: Tensor, bits: int) -> Tensor:
    """Return features clipped to ``[0, clip]`` on a grid of ``2^bits`` values (PACT); ``clip`` is a positive scalar."""
    clipped: Tensor = torch.where(x >= clip, clip, x.clamp_min(0))
    steps, bound = 2**bits - 1, clip.detach()
    on_grid = (clipped.detach() * (steps / bound)).round() * (bound / steps)
    return _straight_through(on_grid, clipped)


class QuantizedFeatures(nn.Module):
    """Clip at a learned value and quantise, in the place of a ReLU. ``[N, C, H, W]`` in and out, in ``[0, clip]``."""

    def __init__(self, bits: int, *, clip: float = 3.0) -> None:
        super().__init__()
        self.bits = check_bits(bits)
        self.clip = nn.Parameter(torch.tensor(clip))

    def forward(self, x: Tensor) -> Tensor:
        return quantized_feature(x, self.clip, self.bits)


class QuantizedConv2d(nn.Module):
    """A bias-free convolution whose weight is quantised; ``QuantizedFeatures`` come in. ``[N, inputs, H, W]`` in.

    The weight is kept in full precision for training and quantised in every call. ``feature_bits`` is what comes in,
    for counting: a multiplication counts as ``weight_bits * feature_bits`` bit operations.
    """

    def __init__(
        self, inputs: int, outputs: int, kernel: int, *, weight_bits: int, feature_bits: int, stride: int = 1
    ) -> None:
        super().__init__()
        self.weight_bits = check_bits(weight_bits)
        self.feature_bits = check_bits(feature_bits)
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        weight = quantized_weight(self.conv.weight, self.weight_bits)
        return nn.functional.conv2d(x, weight, None, self.conv.stride, self.conv.padding)


def weight_bits(network: nn.Module) -> dict[str, int]:
    """Return the bits of each quantised weight of a network, by its name in the network's state."""
    convolutions = ((name, m) for name, m in network.named_modules() if isinstance(m, QuantizedConv2d))
    return {f"{name}.conv.weight" if name else "conv.weight": m.weight_bits for name, m in convolutions}


def packed_size(count: int, bits: int) -> int:
    """Return the bytes that so many weights of so many bits take, with the scale that one bit needs."""
    return -(-count * bits // 8) + (4 if bits == 1 else 0)


def _rounded(x: Tensor, steps: int) -> Tensor:
    """Return ``x`` rounded to multiples of ``1 / steps``, with the gradient of ``x``."""
    return _straight_through((x * steps).round() / steps, x)


def _straight_through(value: Tensor, x: Tensor) -> Tensor:
    """Return exactly ``value``, with the gradient of ``x``."""
    return value.detach() + (x - x.detach())
