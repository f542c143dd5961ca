"""How close a network's widths are to a quantised line, e_fit.

Radosavovic et al., 2020, section 3.3: with d set to the network's depth, the line (w0, wa, wm) on a grid whose widths
per block are closest, and the mean log-ratio that is left. The paper does not say that the log-ratios are taken
absolute; without it errors would cancel. Nor does it state the grid; this one has 32 x 64 x 32 lines.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from palmette.spaces.regnet import QUANTUM, line_exponents, rounded_to


@dataclass(frozen=True)
class LineFit:
    """The closest line on the grid."""

    w0: int
    wa: float
    wm: float
    error: float
    """e_fit, the mean over blocks of ``|ln(predicted / observed)|``."""


class LineGrid:
    """Widths per block of every line of the grid, computed once for networks of up to ``deepest`` blocks."""

    def __init__(self, deepest: int, *, widest: int = 256) -> None:
        w0, wa, wm = np.meshgrid(
            np.arange(QUANTUM, widest + 1, QUANTUM), np.geomspace(1, widest, 64), np.linspace(1.5, 3, 32), indexing="ij"
        )
        self.lines = (w0.ravel(), wa.ravel(), wm.ravel())
        depth = np.full(len(self.lines[0]), deepest)
        exponents = line_exponents(depth, *self.lines)
        self._log_widths = np.log(rounded_to(self.lines[0] * self.lines[2] ** exponents, QUANTUM)).astype(np.float32)

    def fit(self, widths: Sequence[int] | npt.NDArray[np.int64]) -> LineFit:
        """Return the line closest to the widths per block, before any change for groups."""
        observed = np.log(np.asarray(widths, dtype=np.float32))[:, None]
        errors = np.abs(self._log_widths[: len(observed)] - observed).mean(0)
        best = int(errors.argmin())
        w0, wa, wm = (column[best] for column in self.lines)
        return LineFit(int(w0), float(wa), float(wm), float(errors[best]))
