"""The ladder of spaces of the paper, AnyNetX_A to RegNet: each adds one constraint to the one before.

Radosavovic et al., "Designing Network Design Spaces", 2020, sections 3.2 and 3.3. ``Scale`` holds the ranges, so that
the same ladder can be climbed at another size of image or budget.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from palmette.design_spaces.quantities import LogUniform, OneOf, PowerOfTwoOrLogUniform, Quantity, Uniform
from palmette.design_spaces.space import AnyNetSpace, RegNetSpace
from palmette.spaces.anynet import Skeleton

DEPTHS, WIDTHS = LogUniform(1, 16), LogUniform(8, 1024, 8)
BOTTLENECKS, GROUP_WIDTHS = OneOf((1, 2, 4)), OneOf((1, 2, 4, 8, 16, 32))
REGNET_DEPTHS, W0, WA, WM = LogUniform(1, 63), LogUniform(8, 256, 8), LogUniform(8, 256, 0.1), LogUniform(1.5, 3, 0.001)
REGNET_GROUP_WIDTHS = PowerOfTwoOrLogUniform(1, 32)


@dataclass(frozen=True, kw_only=True)
class Scale:
    """What every space of a ladder shares; the defaults are the paper's ranges for ImageNet.

    The paper states no law for the numbers of a RegNet; they are log-uniform here, as those of AnyNets are. The depth
    of the smaller scales below is uniform: log-uniform RegNets are half as deep as AnyNets of equal flops.
    """

    skeleton: Skeleton = field(default_factory=Skeleton)
    depths: Quantity = DEPTHS
    widths: Quantity = WIDTHS
    bottlenecks: Quantity = BOTTLENECKS
    group_widths: Quantity = GROUP_WIDTHS
    regnet_depths: Quantity = REGNET_DEPTHS
    w0: Quantity = W0
    wa: Quantity = WA
    wm: Quantity = WM
    regnet_group_widths: Quantity = REGNET_GROUP_WIDTHS


def ladder(scale: Scale | None = None) -> dict[str, AnyNetSpace | RegNetSpace]:
    """Return AnyNetX_A, B, C, D, E and RegNetX by name (AnyNetY and RegNetY with squeeze-and-excitation)."""
    scale = scale or Scale()
    letter = "Y" if scale.skeleton.squeeze else "X"
    a = AnyNetSpace(
        name=f"AnyNet{letter}_A",
        skeleton=scale.skeleton,
        depths=scale.depths,
        widths=scale.widths,
        bottlenecks=scale.bottlenecks,
        group_widths=scale.group_widths,
    )
    b = replace(a, name=f"AnyNet{letter}_B", shares_bottleneck=True)
    c = replace(b, name=f"AnyNet{letter}_C", shares_group_width=True)
    d = replace(c, name=f"AnyNet{letter}_D", widths_rise=True)
    e = replace(d, name=f"AnyNet{letter}_E", depths_rise=True)
    regnet = RegNetSpace(
        name=f"RegNet{letter}",
        skeleton=scale.skeleton,
        depths=scale.regnet_depths,
        w0=scale.w0,
        wa=scale.wa,
        wm=scale.wm,
        bottlenecks=scale.bottlenecks,
        group_widths=scale.regnet_group_widths,
    )
    return {space.name: space for space in (a, b, c, d, e, regnet)}


def tiny(*, classes: int = 10, channels: int = 1) -> Scale:
    """Return a scale for images of about 8x8 and some hundred kilo-FLOPs: three stages, networks trained in seconds."""
    return Scale(
        skeleton=Skeleton(stem="cifar", stem_width=8, strides=(1, 2, 2), classes=classes, channels=channels),
        depths=LogUniform(1, 6),
        widths=LogUniform(8, 128, 8),
        group_widths=OneOf((1, 2, 4, 8)),
        regnet_depths=Uniform(1, 18),
        w0=LogUniform(8, 64, 8),
        wa=LogUniform(4, 64, 0.1),
        regnet_group_widths=OneOf((1, 2, 4, 8)),
    )


def cifar(*, classes: int = 10, channels: int = 3) -> Scale:
    """Return a scale for images of about 32x32 and some ten mega-FLOPs: a stem without stride and three stages."""
    return Scale(
        skeleton=Skeleton(stem="cifar", stem_width=16, strides=(1, 2, 2), classes=classes, channels=channels),
        depths=LogUniform(1, 12),
        widths=LogUniform(8, 512, 8),
        regnet_depths=Uniform(1, 36),
        w0=LogUniform(8, 128, 8),
        wa=LogUniform(4, 128, 0.1),
    )


def imagenet(*, classes: int = 1000, channels: int = 3) -> Scale:
    """Return the paper's scale, for images of 224x224 and some hundred mega-FLOPs."""
    return Scale(skeleton=Skeleton(classes=classes, channels=channels))
