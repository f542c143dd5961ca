"""How data becomes words on the page: escaping, numbers with their units, and the full names of short keys.

Every string that comes from a run passes ``escape`` before it stands in HTML or SVG.
"""

from __future__ import annotations

import html
import re
from collections.abc import Mapping

from palmette.costs.limits import UNITS, unit

COST_TITLES: Mapping[str, str] = {
    "flops": "FLOPs",
    "params": "Parameters",
    "acts": "Activations",
    "bitops": "BitOPs",
    "bytes": "Packed size (bytes)",
    "latency": "Latency",
}
STATISTIC_TITLES: Mapping[str, str] = {
    "kendall_tau_b": "Kendall's τ-b",
    "spearman": "Spearman's ρ",
    "top_precision": "Precision at the top",
    "regret": "Regret",
}
STATISTIC_NOTES: Mapping[str, str] = {
    "kendall_tau_b": "pairs in the right order less pairs in the wrong one; 1 is perfect, 0 is chance",
    "spearman": "correlation of the ranks; 1 is perfect, 0 is chance",
    "top_precision": "share of the best by score that are truly among the best; 1 is perfect",
    "regret": "points lost by taking the first choice; 0 is perfect, lower is better",
}
CURVE_TITLES: Mapping[str, str] = {
    "held_out_loss": "loss on search-validation images",
    "architecture loss": "loss of the architecture on search-validation images",
    "skips": "skip connections among the strongest",
    "entropy": "mean entropy of the decisions, nats",
    "eigenvalue": "dominant eigenvalue of the Hessian",
}
"""Of what shows a collapse, and of what is learned beside the weights."""
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")
_PREFIXES = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


def escape(text: object) -> str:
    """Return the text for use in HTML or XML, in content or a quoted attribute."""
    return html.escape(_FORBIDDEN.sub("\ufffd", str(text)), quote=True)


def cost_title(name: str) -> str:
    """Return the full name of a cost, or the name itself; not escaped."""
    return COST_TITLES.get(name, name)


def cost_axis(name: str) -> str:
    """Return the full name of a cost with its unit, for axes and heads of columns; not escaped."""
    return f"{cost_title(name)} ({UNITS[name]})" if name in UNITS else cost_title(name)


def curve_title(name: str) -> str:
    """Return what a training curve shows, or its name; not escaped."""
    cost = name.removeprefix("expected ")
    return f"{name}, {UNITS[cost]}" if cost != name and cost in UNITS else CURVE_TITLES.get(name, name)


def statistic_title(name: str) -> str:
    """Return the full name of a rank statistic, or the name itself; not escaped."""
    return STATISTIC_TITLES.get(name, name)


def quantity(value: float, *, digits: int = 4) -> str:
    """Return a number with that many significant digits and a unit prefix: ``27.18 M``."""
    for factor, prefix in _PREFIXES:
        if abs(value) >= factor * (1 - 0.5 * 10**-digits):
            return f"{_rounded(value / factor, digits)}\u00a0{prefix}"
    return _rounded(value, digits)


def cost_quantity(name: str, value: float, *, digits: int = 4) -> str:
    """Return a cost: ``27.18 M`` FLOPs, and what has a unit of its own in full with that unit, as ``1,234.5 ms``."""
    if name not in UNITS:
        return quantity(value, digits=digits)
    full = f"{value:,.{digits + 1}g}" if abs(value) < 10**digits else f"{value:,.0f}"
    return full + unit(name).replace(" ", "\u00a0")


def percent(fraction: float, *, decimals: int = 2) -> str:
    """Return ``93.42%`` for 0.9342."""
    return f"{100 * fraction:.{decimals}f}%"


def duration(seconds: float) -> str:
    """Return ``12.3 s``, ``4 min 12 s`` or ``2 h 05 min``."""
    if seconds < 59.95:
        return f"{seconds:.1f}\u00a0s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes}\u00a0min {rest}\u00a0s"
    return f"{minutes // 60}\u00a0h {minutes % 60:02d}\u00a0min"


def limits_in_words(name: str, low: float | None, high: float | None) -> str:
    """Return ``at most 30 M``, ``at least 10 M``, ``10 M to 30 M`` or ``no limit``, as the cost is written."""
    if low is not None and high is not None:
        return f"{cost_quantity(name, low)} to {cost_quantity(name, high)}"
    if high is not None:
        return f"at most {cost_quantity(name, high)}"
    return "no limit" if low is None else f"at least {cost_quantity(name, low)}"


def _rounded(value: float, digits: int) -> str:
    return f"{value:.{digits}g}" if value else "0"
