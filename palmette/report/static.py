"""Static pictures, drawn by matplotlib as SVG that is the same for the same numbers."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

from matplotlib import rc_context
from matplotlib.figure import Figure

from palmette.report.palette import LINE


def svg(draw: Callable[[Figure], None], width: float, height: float) -> str:
    """Return what ``draw`` draws on a figure of so many inches, as SVG with text as text."""
    style: dict[Any, Any] = {"svg.fonttype": "none", "svg.hashsalt": "palmette", "font.size": 9, "axes.edgecolor": LINE}
    style |= {"axes.spines.top": False, "axes.spines.right": False, "font.family": "sans-serif"}
    with rc_context(style):
        figure = Figure(figsize=(width, height), layout="constrained")
        draw(figure)
        text = io.StringIO()
        figure.savefig(text, format="svg", metadata={"Date": None})
    return text.getvalue()[text.getvalue().index("<svg") :]
