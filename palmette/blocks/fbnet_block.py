"""The block of FBNet and FBNetV2: inverted residual with fractional expansion, grouped 1x1 convolutions, squeezing.

Wu et al., "FBNet", 2019, section 3.1 and figure 3; Wan et al., "FBNetV2", 2020, section 4 (gradient.md 7.1, 8.6). A
block is a record of numbers, so that lists of published blocks are data.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from palmette.blocks.convolution import Activation, conv_bn, in_place_relu
from palmette.blocks.residual import Residual
from palmette.blocks.squeeze_excitation import SqueezeExcitation


@dataclass(frozen=True, kw_only=True)
class FBNetBlock:
    """The numbers of a block, whatever the channels it stands between."""

    kernel: int
    expansion: float
    """Of the input channels; the product is rounded to a multiple of 8."""
    groups: int = 1
    """Of the two 1x1 convolutions; the channels are shuffled after the first."""
    activation: Activation = in_place_relu
    squeeze: bool = False
    """Weigh the channels after the depthwise convolution, through a quarter of them."""
    released: bool = False
    """As in the authors' later code: no first convolution where it would not widen, and with biases in FBNet."""
    biases: bool = False
    """Of the convolutions, before BatchNorm."""


def fbnet_block(inputs: int, outputs: int, block: FBNetBlock, *, stride: int = 1) -> nn.Module:
    """Return the block, ``[N, inputs, H, W]`` to ``[N, outputs, H / stride, W / stride]``; residual if equal."""
    inner, groups = rounded(inputs * block.expansion), block.groups
    layers: list[nn.Module] = []
    if inner != inputs or not block.released:
        layers.append(conv_bn(inputs, inner, groups=groups, activation=block.activation))
    if groups > 1:
        layers.append(nn.ChannelShuffle(groups))
    layers.append(conv_bn(inner, inner, block.kernel, stride=stride, groups=inner, activation=block.activation))
    if block.squeeze:
        layers.append(SqueezeExcitation(inner, rounded(inner / 4), gate=nn.Hardsigmoid))
    layers.append(conv_bn(inner, outputs, groups=groups, relu=False))
    body = nn.Sequential(*layers)
    if block.biases:
        _add_biases(body)
    return Residual(body, nn.Identity(), nn.Identity()) if stride == 1 and inputs == outputs else body


def fbnet_skip(inputs: int, outputs: int, *, stride: int = 1) -> nn.Module:
    """Return nothing where the shape is kept, else a 1x1 convolution with BatchNorm and ReLU."""
    if stride == 1 and inputs == outputs:
        return nn.Identity()
    return conv_bn(inputs, outputs, stride=stride)


def rounded(channels: float) -> int:
    """Return the nearest multiple of 8, half up, at least 8 and at least 95% of ``channels``."""
    nearest = max(8, int(channels + 4) // 8 * 8)
    return nearest + 8 if nearest < 0.95 * channels else nearest


def _add_biases(body: nn.Module) -> None:
    for module in body.modules():
        if isinstance(module, nn.Conv2d) and module.bias is None:
            module.bias = nn.Parameter(module.weight.new_zeros(module.out_channels))
