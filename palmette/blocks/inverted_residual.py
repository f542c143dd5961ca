"""Inverted residual block of MobileNetV2 (Sandler et al., 2018, section 3.3), with squeeze-and-excitation if wanted."""

from __future__ import annotations

from torch import Tensor, nn

from palmette.blocks.convolution import Activation, conv_bn, in_place_relu
from palmette.blocks.squeeze_excitation import SqueezeExcitation


class InvertedResidual(nn.Module):
    """Expand 1x1, depthwise k x k, project 1x1; residual where the shape is kept. ``[N, inputs, H, W]`` in.

    Expansion 1 has no expanding convolution. ``squeeze`` weighs the channels after the depthwise convolution, through a
    quarter of the expanded width as GreedyNAS and MCT-NAS have it (sampling.md 3.8), not of the block's input.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        kernel: int,
        expansion: int,
        stride: int = 1,
        activation: Activation = in_place_relu,
        squeeze: bool = False,
    ) -> None:
        super().__init__()
        inner = inputs * expansion
        layers = [conv_bn(inputs, inner, activation=activation)] if expansion != 1 else []
        layers.append(conv_bn(inner, inner, kernel, stride=stride, groups=inner, activation=activation))
        weigh = [SqueezeExcitation(inner, inner // 4, activation=activation, gate=nn.Hardsigmoid)] if squeeze else []
        self.body = nn.Sequential(*layers, *weigh, conv_bn(inner, outputs, relu=False))
        self.keeps_shape = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.body(x)
        return x + out if self.keeps_shape else out
