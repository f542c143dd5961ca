"""Small drawings that stand in a line of text or a table cell: a cost in its range, a share, an interval.

Horizontal places are percentages, so a drawing takes whatever width it is given.
"""

from __future__ import annotations

from palmette.report.palette import FAINT_INK, INK, LINE, SERIES, TRACK
from palmette.report.wording import cost_quantity

_GOOD, _BAD = SERIES[0], SERIES[1]


def limit_gauge(name: str, value: float, low: float | None, high: float | None) -> str:
    """Return a bar of a cost, from zero to ``value`` over the allowed range, a tick and a number at each limit."""
    ends = [end for end in (low, high) if end is not None]
    top = 1.12 * max([value, *ends, 1e-12])
    is_outside = (low is not None and value < low) or (high is not None and value > high)
    start, stop = _place(low or 0, top), _place(top if high is None else high, top)
    allowed = f'<rect x="{start}%" y="3" width="{max(0.0, stop - start):.2f}%" height="18" fill="#d9ecf7"/>'
    colour = _BAD if is_outside else _GOOD
    ticks = "".join(
        f'<line x1="{_place(end, top)}%" x2="{_place(end, top)}%" y1="0" y2="24" stroke="{INK}" stroke-width="2"/>'
        f'<text x="{_place(end, top)}%" y="37" font-size="11" fill="{FAINT_INK}" text-anchor="{_anchor(end, top)}">'
        f"{cost_quantity(name, end)}</text>"
        for end in ends
    )
    return (
        f'<svg class="strip" height="40" aria-hidden="true">'
        f'<rect y="3" width="100%" height="18" rx="3" fill="{TRACK}"/>{allowed}'
        f'<rect class="value" y="8" width="{_place(value, top)}%" height="8" rx="2" fill="{colour}"/>{ticks}</svg>'
    )


def share_bar(share: float) -> str:
    """Return a bar that fills ``share`` (0 to 1) of its width."""
    return (
        '<svg class="strip" height="14" aria-hidden="true">'
        f'<rect width="100%" height="14" rx="3" fill="{TRACK}"/>'
        f'<rect width="{100 * share:.2f}%" height="14" rx="3" fill="{SERIES[0]}"/></svg>'
    )


def interval(value: float, low: float, high: float, *, ends: tuple[float, float], colour: str) -> str:
    """Return a point with its interval on the axis from ``ends[0]`` to ``ends[1]``; a line marks zero."""
    zero, left, middle, right = (_between(number, ends) for number in (0.0, low, value, high))
    return (
        '<svg class="strip forest" height="22" aria-hidden="true">'
        f'<line x1="0" x2="100%" y1="11" y2="11" stroke="{LINE}"/>'
        f'<line x1="{zero}%" x2="{zero}%" y1="0" y2="22" stroke="{FAINT_INK}" stroke-dasharray="2 2"/>'
        f'<line x1="{left}%" x2="{right}%" y1="11" y2="11" stroke="{colour}" stroke-width="3" stroke-linecap="round"/>'
        f'<circle cx="{middle}%" cy="11" r="4.5" fill="{colour}" stroke="#ffffff" stroke-width="1.2"/></svg>'
    )


def axis(ends: tuple[float, float]) -> str:
    """Return the numbers under a column of ``interval`` drawings: both ends, and zero where it lies inside."""
    inner = (0.0,) if ends[0] < 0 < ends[1] else ()
    labels = "".join(
        f'<text x="{_between(number, ends)}%" y="11" font-size="10.5" fill="{FAINT_INK}" text-anchor="{anchor}">'
        f"{number:g}</text>"
        for number, anchor in zip((ends[0], *inner, ends[1]), ("start", *("middle" for _ in inner), "end"), strict=True)
    )
    return f'<svg class="strip forest" height="14" aria-hidden="true">{labels}</svg>'


def _place(value: float, top: float) -> float:
    return round(100 * max(0.0, min(value / top, 1.0)), 2)


def _anchor(value: float, top: float) -> str:
    return "start" if value < 0.1 * top else "end" if value > 0.9 * top else "middle"


def _between(value: float, ends: tuple[float, float]) -> float:
    """Return the place of ``value`` in percent, with room for the point at both ends."""
    share = (value - ends[0]) / (ends[1] - ends[0])
    return round(2 + 96 * max(0.0, min(share, 1.0)), 2)
