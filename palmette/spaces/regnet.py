"""RegNet: stage widths and depths from a rounded straight line, and the published networks by name.

Radosavovic et al., "Designing Network Design Spaces", 2020, section 3.3, equations 2 to 4. Block j would have width
u_j = w0 + wa * j; in powers of wm that is w0 * wm^s_j. Rounding s_j makes stages, rounding widths to multiples of 8
makes channels. All roundings are half-to-even, and a line that skips an exponent is refused, as in the authors' code.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from palmette.errors import ArchitectureError
from palmette.spaces.anynet import AnyNet, Integers, Skeleton, Stage, compatible_stages

QUANTUM = 8
"""Widths are multiples of this."""
Reals = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class RegNet:
    """The six numbers of a RegNet.

    Raises:
        ArchitectureError: a number out of range.
    """

    depth: int
    """d, blocks in all."""
    w0: int
    """Width of the line at block 0; a multiple of 8."""
    wa: float
    """Slope of the line, channels per block."""
    wm: float
    """Ratio of the widths of neighbouring stages."""
    group_width: int
    bottleneck: float = 1.0

    def __post_init__(self) -> None:
        if self.depth < 1 or self.w0 <= 0 or self.w0 % QUANTUM or self.wa < 0 or self.wm <= 1 or self.group_width < 1:
            raise ArchitectureError(
                f"{self}: allowed are depth and group_width from 1, w0 a multiple of {QUANTUM} above 0, "
                "wa from 0 and wm above 1"
            )


def quantised_linear(
    depth: npt.ArrayLike, w0: npt.ArrayLike, wa: npt.ArrayLike, wm: npt.ArrayLike, *, stages: int
) -> tuple[Integers, Integers, npt.NDArray[np.bool_]]:
    """Return depths and widths, ``[stages, N]`` each, and which of N lines make exactly that many stages, ``[N]``.

    The numbers of N lines come as ``[N]`` each. A line that skips an exponent, or whose neighbouring widths fall
    together when rounded to multiples of 8, makes none.
    """
    d, first, slope, ratio = (np.atleast_1d(np.asarray(numbers)) for numbers in (depth, w0, wa, wm))
    exponents = line_exponents(d, first, slope, ratio)
    depths = np.stack([(exponents == i).sum(0) for i in range(stages)])
    widths = np.stack([rounded_to(first * ratio**i, QUANTUM) for i in range(stages)])
    exact = (exponents.max(0) == stages - 1) & (depths > 0).all(0) & (np.diff(widths, axis=0) > 0).all(0)
    return depths, widths, exact


def line_exponents(
    depth: npt.NDArray[Any], w0: npt.NDArray[Any], wa: npt.NDArray[Any], wm: npt.NDArray[Any]
) -> Integers:
    """Return the rounded exponent k_j of every block of N lines, ``[largest depth, N]``; -1 beyond a line's depth."""
    block = np.arange(int(depth.max()))[:, None]
    exponents = np.rint(np.log((w0 + wa * block) / w0) / np.log(wm)).astype(np.int64)
    return np.where(block < depth, exponents, -1)


def rounded_to(numbers: npt.NDArray[Any], quantum: int) -> Integers:
    """Return the nearest multiples of ``quantum``, ties to the even multiple (180 -> 176 = 22 * 8)."""
    return np.rint(numbers / quantum).astype(np.int64) * quantum


def regnet_stages(regnet: RegNet, skeleton: Skeleton) -> tuple[Stage, ...]:
    """Return the stages of a RegNet, made compatible.

    Raises:
        ArchitectureError: the line skips an exponent, or makes another number of stages than the skeleton has.
    """
    stages = len(skeleton.strides)
    line = (regnet.depth, regnet.w0, regnet.wa, regnet.wm)
    depths, widths, exact = quantised_linear(*line, stages=stages)
    if not exact[0]:
        exponents = sorted(set(line_exponents(*map(np.atleast_1d, line))[:, 0].tolist()))
        raise ArchitectureError(
            f"{regnet}: its line takes the exponents {exponents}; needed are 0 to {stages - 1}, none skipped, each "
            "with a width of its own; change wa, wm or depth"
        )
    return compatible_stages(
        skeleton,
        depths[:, 0].tolist(),
        widths[:, 0].tolist(),
        [regnet.bottleneck] * stages,
        [regnet.group_width] * stages,
    )


def regnet_anynet(regnet: RegNet, skeleton: Skeleton) -> AnyNet:
    """Return the AnyNet that a RegNet is; raises as ``regnet_stages``."""
    return AnyNet(skeleton, regnet_stages(regnet, skeleton))


REGNETX = Skeleton()
REGNETY = Skeleton(squeeze=0.25)

_REGNETS = {  # depth, w0, wa, wm, group width; the table of section 5 and appendix E
    "RegNetX-200MF": (13, 24, 36.44, 2.49, 8),
    "RegNetX-400MF": (22, 24, 24.48, 2.54, 16),
    "RegNetX-600MF": (16, 48, 36.97, 2.24, 24),
    "RegNetX-800MF": (16, 56, 35.73, 2.28, 16),
    "RegNetX-1.6GF": (18, 80, 34.01, 2.25, 24),
    "RegNetX-3.2GF": (25, 88, 26.31, 2.25, 48),
    "RegNetX-4.0GF": (23, 96, 38.65, 2.43, 40),
    "RegNetX-6.4GF": (17, 184, 60.83, 2.07, 56),
    "RegNetX-8.0GF": (23, 80, 49.56, 2.88, 120),
    "RegNetX-12GF": (19, 168, 73.36, 2.37, 112),
    "RegNetX-16GF": (22, 216, 55.59, 2.1, 128),
    "RegNetX-32GF": (23, 320, 69.86, 2.0, 168),
    "RegNetY-200MF": (13, 24, 36.44, 2.49, 8),
    "RegNetY-400MF": (16, 48, 27.89, 2.09, 8),
    "RegNetY-600MF": (15, 48, 32.54, 2.32, 16),
    "RegNetY-800MF": (14, 56, 38.84, 2.4, 16),
    "RegNetY-1.6GF": (27, 48, 20.71, 2.65, 24),
    "RegNetY-3.2GF": (21, 80, 42.63, 2.66, 24),
    "RegNetY-4.0GF": (22, 96, 31.41, 2.24, 64),
    "RegNetY-6.4GF": (25, 112, 33.22, 2.27, 72),
    "RegNetY-8.0GF": (17, 192, 76.82, 2.19, 56),
    "RegNetY-12GF": (19, 168, 73.36, 2.37, 112),
    "RegNetY-16GF": (18, 200, 106.23, 2.48, 112),
    "RegNetY-32GF": (20, 232, 115.89, 2.53, 232),
}

REGNETS: Mapping[str, RegNet] = {
    name: RegNet(depth=d, w0=w0, wa=wa, wm=wm, group_width=g) for name, (d, w0, wa, wm, g) in _REGNETS.items()
}
"""The published networks; all have b = 1."""


def published_regnets() -> dict[str, AnyNet]:
    """Return the 24 published networks by name, for 1000 classes."""
    return {name: regnet_anynet(regnet, REGNETY if "Y" in name else REGNETX) for name, regnet in REGNETS.items()}
