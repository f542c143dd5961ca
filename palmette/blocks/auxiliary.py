"""Auxiliary heads: a second classifier on an inner feature map, which only training uses.

Those of the DARTS evaluation networks (Liu et al., 2019, appendix A.2.1; introduced by Szegedy et al., 2015).
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d, avg_pool2d

WIDE = 768


def auxiliary_head(inputs: int, classes: int, *, stride: int, last_norm: bool = True) -> nn.Sequential:
    """Return the head on ``[N, inputs, H, W]``.

    Args:
        inputs: channels.
        classes: of the data.
        stride: of the pooling; 3 on CIFAR's 8x8, 2 on ImageNet's 7x7, which leave 2x2.
        last_norm: BatchNorm after the last convolution; the authors' ImageNet head has none, by a slip that they kept.
    """
    norm = [nn.BatchNorm2d(WIDE)] if last_norm else []
    return nn.Sequential(
        nn.ReLU(),  # not in place: the next cells read the same features
        _Pool(stride),
        nn.Conv2d(inputs, 128, 1, bias=False),
        nn.BatchNorm2d(128),
        nn.ReLU(inplace=True),
        nn.Conv2d(128, WIDE, 2, bias=False),
        *norm,
        nn.ReLU(inplace=True),
        nn.AdaptiveAvgPool2d(1),  # of one pixel at the published sizes
        nn.Flatten(),
        nn.Linear(WIDE, classes),
    )


class _Pool(nn.Module):
    """Average pooling of 5x5; maps too small for two such windows, on smaller images, are pooled to 2x2 as well."""

    def __init__(self, stride: int) -> None:
        super().__init__()
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        fits = min(x.shape[2:]) >= 5 + self.stride
        return avg_pool2d(x, 5, self.stride) if fits else adaptive_avg_pool2d(x, 2)
