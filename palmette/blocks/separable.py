"""The convolutions of cells: separable, applied twice, and dilated, applied once (Liu et al., 2019, section 3.1).

Every one is ReLU, depthwise convolution, pointwise convolution, BatchNorm; none has a bias.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

Norm = Callable[[int], nn.Module]
"""Makes the BatchNorm of so many channels."""


def separable_conv(channels: int, kernel: int, *, stride: int = 1, norm: Norm = nn.BatchNorm2d) -> nn.Sequential:
    """Return two depthwise-separable convolutions, of which the first has the stride."""
    first = _depthwise_separable(channels, kernel, stride=stride, norm=norm)
    return nn.Sequential(*first, *_depthwise_separable(channels, kernel, norm=norm, in_place=True))


def dilated_conv(channels: int, kernel: int, *, stride: int = 1, norm: Norm = nn.BatchNorm2d) -> nn.Sequential:
    """Return one depthwise-separable convolution of dilation 2: a kernel of 3 sees 5 pixels, one of 5 sees 9."""
    return nn.Sequential(*_depthwise_separable(channels, kernel, stride=stride, norm=norm, dilation=2))


def relu_conv_bn(inputs: int, outputs: int, *, norm: Norm = nn.BatchNorm2d) -> nn.Sequential:
    """Return ReLU, pointwise convolution and BatchNorm."""
    return nn.Sequential(nn.ReLU(), nn.Conv2d(inputs, outputs, 1, bias=False), norm(outputs))


def _depthwise_separable(
    channels: int, kernel: int, *, norm: Norm, stride: int = 1, dilation: int = 1, in_place: bool = False
) -> list[nn.Module]:
    """Return the four layers; only where nothing else reads the input may ReLU work in place."""
    padding = kernel // 2 * dilation
    depthwise = nn.Conv2d(
        channels, channels, kernel, stride, padding=padding, dilation=dilation, groups=channels, bias=False
    )
    return [nn.ReLU(inplace=in_place), depthwise, nn.Conv2d(channels, channels, 1, bias=False), norm(channels)]
