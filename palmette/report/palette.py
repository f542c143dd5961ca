"""The colours of the page: Okabe and Ito's set, which colour-blind readers tell apart, and a few greys.

Okabe and Ito, "Color Universal Design", 2008. Colour never stands alone: arms also differ by marker, states by word.
"""

from __future__ import annotations

SERIES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Colours of arms, options and phases, in order; yellow is kept for the winner."""
WINNER = "#F0E442"
INK = "#1f2933"
FAINT_INK = "#5a6775"
LINE = "#d3dae2"
TRACK = "#eaeef2"


def series(index: int) -> str:
    """Return the colour of the series at ``index``, starting over after the last one."""
    return SERIES[index % len(SERIES)]
