"""Convolution, BatchNorm and activation in the one order that most blocks use."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from torch import nn

Activation = Callable[[], nn.Module]

in_place_relu: Activation = partial(nn.ReLU, inplace=True)
relu6: Activation = partial(nn.ReLU6, inplace=True)
hard_swish: Activation = partial(nn.Hardswish, inplace=True)


def conv_bn(
    inputs: int,
    outputs: int,
    kernel: int = 1,
    *,
    stride: int = 1,
    groups: int = 1,
    relu: bool = True,
    activation: Activation = in_place_relu,
) -> nn.Sequential:
    """Return a bias-free convolution that keeps ``size / stride``, BatchNorm, and an activation.

    ``relu=False`` leaves the activation out; ``activation`` puts another one in the place of ReLU.
    """
    layers: list[nn.Module] = [
        nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
    ]
    return nn.Sequential(*layers, activation()) if relu else nn.Sequential(*layers)
