"""Inverted residual block of MobileNetV2 (Sandler et al., 2018, section 3.3)."""

from __future__ import annotations

from torch import Tensor, nn

from palmette.blocks.convolution import conv_bn


class InvertedResidual(nn.Module):
    """Expand 1x1, depthwise k x k, project 1x1; residual where the shape is kept. ``[N, inputs, H, W]`` in."""

    def __init__(self, inputs: int, outputs: int, *, kernel: int, expansion: int, stride: int = 1) -> None:
        super().__init__()
        inner = inputs * expansion
        self.body = nn.Sequential(
            conv_bn(inputs, inner),
            conv_bn(inner, inner, kernel, stride=stride, groups=inner),
            conv_bn(inner, outputs, relu=False),
        )
        self.keeps_shape = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.body(x)
        return x + out if self.keeps_shape else out
