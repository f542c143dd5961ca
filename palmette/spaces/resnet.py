"""ResNets and ResNeXts as AnyNets, by name.

He et al., "Deep Residual Learning for Image Recognition", 2016, and Xie et al., "Aggregated Residual Transformations",
2017, with the stride on the 3x3 convolution, as Radosavovic et al. (2020) retrained them. The networks for CIFAR are
those of their 2019 paper: shortcuts are projections (R-56, R-110), or absent (V-56).
"""

from __future__ import annotations

from collections.abc import Sequence

from palmette.spaces.anynet import AnyNet, BlockName, Skeleton, Stage

_IMAGENET = Skeleton(stem="imagenet", stem_width=64, strides=(1, 2, 2, 2))
_WIDTHS = (256, 512, 1024, 2048)
_DEPTHS = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}


def published_resnets() -> dict[str, AnyNet]:
    """Return ResNet-50, -101, -152, ResNeXt-50, -101, -152 for ImageNet and R-56, R-110, V-56 for CIFAR."""
    return {
        **{f"ResNet-{layers}": _imagenet(depths, 4, (64, 128, 256, 512)) for layers, depths in _DEPTHS.items()},
        **{f"ResNeXt-{layers}": _imagenet(depths, 2, (4, 8, 16, 32)) for layers, depths in _DEPTHS.items()},
        "R-56": _cifar(9, "basic"),
        "R-110": _cifar(18, "basic"),
        "V-56": _cifar(9, "vanilla"),
    }


def _imagenet(depths: Sequence[int], bottleneck: float, group_widths: Sequence[int]) -> AnyNet:
    rows = zip(depths, _WIDTHS, group_widths, strict=True)
    return AnyNet(_IMAGENET, tuple(Stage(depth, width, bottleneck, group) for depth, width, group in rows))


def _cifar(depth: int, block: BlockName) -> AnyNet:
    skeleton = Skeleton(stem="cifar", stem_width=16, strides=(1, 2, 2), block=block, classes=10)
    return AnyNet(skeleton, tuple(Stage(depth, width) for width in (16, 32, 64)))
