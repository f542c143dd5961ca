"""Trends with complexity: how depth, width, activations, parameters and time of good networks grow with FLOPs.

Radosavovic et al., 2020, section 4: for the best networks activations grow as sqrt(flops), parameters as flops, and
time as ``a * flops + b * sqrt(flops)``. Fits are least squares of relative residuals, so that small networks count.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

Reals = npt.NDArray[np.float64]

TERMS: Mapping[str, Callable[[Reals], Reals]] = {
    "1": np.ones_like,
    "sqrt": np.sqrt,
    "linear": lambda x: x,
}


def relative_fit(x: npt.ArrayLike, y: npt.ArrayLike, terms: tuple[str, ...]) -> dict[str, float]:
    """Return the coefficients of ``y = sum of coefficient * term(x)`` that make relative residuals least in squares.

    Args:
        x: positive numbers, as flops in billions.
        y: positive numbers.
        terms: names of ``TERMS``.
    """
    across, up = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    matrix = np.stack([TERMS[term](across) for term in terms], axis=1)
    found = np.linalg.lstsq(matrix / up[:, None], np.ones_like(up), rcond=None)[0]
    return dict(zip(terms, map(float, found), strict=True))


def exponent(x: npt.ArrayLike, y: npt.ArrayLike) -> float:
    """Return the slope of ``log y`` on ``log x``: 0.5 for a square root, 1 for proportion."""
    return float(np.polyfit(np.log(np.asarray(x, dtype=np.float64)), np.log(np.asarray(y, dtype=np.float64)), 1)[0])
