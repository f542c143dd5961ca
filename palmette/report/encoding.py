"""The encoding of a network as a picture: which channels are on in which column (SMASH, Brock et al., 2018)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from palmette.report.palette import FAINT_INK, INK, TRACK, series
from palmette.report.wording import escape

ROW = 6
"""Height of a cell in pixels."""
ROOM, WIDEST = 860, 10
"""Pixels for all columns together, and the most that one gets."""
MARGIN = 80
"""Left of the picture, for the names of groups."""
GAP = 6


def draw_encoding(on: Sequence[tuple[int, int]], columns: int, groups: Mapping[str, int]) -> str:
    """Return the picture as SVG.

    Args:
        on: ``(channel, column)`` of every cell that is +1 in the first row.
        columns: of the encoding.
        groups: channels of each group, in order, by name.
    """
    tops, height, channel_tops = {}, GAP, []
    for name, count in groups.items():
        if count:
            tops[name] = height
            channel_tops += [(height + i * ROW, name) for i in range(count)]
            height += count * ROW + GAP
    cell = min(WIDEST, ROOM / columns)
    width = round(MARGIN + columns * cell + GAP)
    colours = {name: series(number) for number, name in enumerate(tops)}
    frames = "".join(
        f'<rect x="{MARGIN}" y="{top}" width="{columns * cell:g}" height="{groups[name] * ROW}" fill="{TRACK}"/>'
        f'<text x="{MARGIN - GAP}" y="{top + 11}" text-anchor="end" font-size="12" fill="{INK}">{escape(name)}</text>'
        for name, top in tops.items()
    )
    cells = "".join(
        f'<rect x="{MARGIN + column * cell:g}" y="{channel_tops[channel][0]}" width="{0.8 * cell:.3g}" '
        f'height="{ROW - 1}" fill="{colours[channel_tops[channel][1]]}"/>'
        for channel, column in on
    )
    caption = (
        f'<text x="{MARGIN}" y="{height + 10}" font-size="12" fill="{FAINT_INK}">{columns} columns, '
        "from the first op to the last</text>"
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height + 16}" width="{width}" role="img" '
        f'aria-label="the encoding of the winner" font-family="sans-serif">{frames}{cells}{caption}</svg>'
    )
