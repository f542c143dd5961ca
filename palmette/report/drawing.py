"""The architecture drawn: a chain of layers from input to output, as one SVG that needs nothing around it.

Each block shows the option taken, its output shape, its share of the cost as a bar, and the options of the
decision as small marks of which the taken one is filled. Blocks run left to right and continue in the next row.
"""

from __future__ import annotations

from collections.abc import Sequence

from palmette.report.contents import LayerRow
from palmette.report.palette import FAINT_INK, INK, LINE, TRACK, series
from palmette.report.wording import cost_quantity, cost_title, escape

WIDTH, HEIGHT = 128, 112
"""Size of a block, in pixels at scale 1."""
_GAP, _ROW_GAP, _MARGIN = 22, 16, 2
_INNER = WIDTH - 26
_FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
_MOST_MARKS = 8


def draw(layers: Sequence[LayerRow], *, cost: str = "flops", columns: int = 7) -> str:
    """Return an SVG of the chain, ``columns`` blocks to a row.

    Args:
        layers: the steps from input to output.
        cost: which cost the bars show; a layer without it has no bar.
        columns: 7 suits a page, 2 a phone.

    Raises:
        ValueError: ``columns`` below 1.
    """
    if columns < 1:
        raise ValueError(f"draw: columns is {columns}; give at least 1")
    columns = max(1, min(columns, len(layers)))
    rows = -(-len(layers) // columns)
    width = columns * (WIDTH + _GAP) - _GAP + 2 * _MARGIN + _indent(rows)
    height = rows * (HEIGHT + _ROW_GAP) - _ROW_GAP + 2 * _MARGIN if layers else 2 * _MARGIN
    largest = max((layer.costs.get(cost, 0) for layer in layers), default=0)
    options = list(dict.fromkeys(option for layer in layers for option in layer.alternatives))
    blocks = []
    for index, layer in enumerate(layers):
        x = _MARGIN + _indent(rows) + index % columns * (WIDTH + _GAP)
        y = _MARGIN + index // columns * (HEIGHT + _ROW_GAP)
        arrow = _arrow(x, y) if index else ""
        blocks.append(arrow + _block(layer, x, y, scale=(cost, largest), colour=_colour(layer, options)))
    name = f"{len(layers)} layers from input to output"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'role="img" aria-label="{name}" font-family="{_FONT}">{"".join(blocks)}</svg>'
    )


def _indent(rows: int) -> int:
    """Return the room left of the first column, for the arrows that enter the second and later rows."""
    return _GAP if rows > 1 else 0


def _arrow(x: float, y: float) -> str:
    tip, middle = x - 2, y + HEIGHT / 2
    return (
        f'<path d="M{x - _GAP + 2} {middle}H{tip}m-5 -4l5 4l-5 4" fill="none" stroke="{FAINT_INK}" '
        'stroke-width="1.4" stroke-linecap="round" stroke-linejoin="round"/>'
    )


def _block(layer: LayerRow, x: float, y: float, *, scale: tuple[str, float], colour: str) -> str:
    """Return one layer; ``scale`` names the cost that its bar shows, and the largest of all layers."""
    cost, largest = scale
    fixed = layer.option is None
    fill = "#f6f8fa" if fixed else "#ffffff"
    small, large = ("fixed", layer.label) if layer.option is None else (layer.label, layer.option)
    return (
        f'<g class="layer" transform="translate({x} {y})"><title>{escape(_in_words(layer))}</title>'
        f'<rect width="{WIDTH}" height="{HEIGHT}" rx="7" fill="{fill}" stroke="{LINE}"/>'
        f'<rect x="5" y="9" width="4" height="{HEIGHT - 18}" rx="2" fill="{colour}"/>'
        + _text(small, 20, size=10.5, colour=FAINT_INK)
        + _text(large, 39, size=13, colour=INK, weight=650)
        + _text(" × ".join(map(str, layer.output_shape)), 56, size=11, colour=FAINT_INK)
        + _bar(layer, cost=cost, largest=largest, colour=colour)
        + _marks(layer, colour)
        + "</g>"
    )


def _text(text: str, y: float, *, size: float, colour: str, weight: int = 400) -> str:
    room = int(_INNER / (0.57 * size))
    shown = text if len(text) <= room else f"{text[: room - 1]}…"
    return f'<text x="17" y="{y}" font-size="{size}" font-weight="{weight}" fill="{colour}">{escape(shown)}</text>'


def _bar(layer: LayerRow, *, cost: str, largest: float, colour: str) -> str:
    if cost not in layer.costs:
        return ""
    value = layer.costs[cost]
    length = _INNER * value / largest if largest else 0
    words = f"{cost_quantity(cost, value, digits=3)} {cost_title(cost)}"
    return (
        f'<rect x="17" y="65" width="{_INNER}" height="5" rx="2.5" fill="{TRACK}"/>'
        f'<rect class="cost" x="17" y="65" width="{length:.2f}" height="5" rx="2.5" fill="{colour}"/>'
        + _text(words, 84, size=10.5, colour=FAINT_INK)
    )


def _marks(layer: LayerRow, colour: str) -> str:
    taken = _taken(layer)
    if len(layer.alternatives) > _MOST_MARKS:
        places = [str(i + 1) for i, name in enumerate(layer.alternatives) if name in taken]
        return _text(f"{', '.join(places)} of {len(layer.alternatives)}", 101, size=10.5, colour=FAINT_INK)
    return "".join(
        f'<circle class="{"taken" if name in taken else "open"}" cx="{21.5 + 12.5 * i}" cy="98" r="4" '
        f'fill="{colour if name in taken else "#ffffff"}" stroke="{colour if name in taken else "#8b97a5"}" '
        f'stroke-width="1.2"><title>{escape(name)}</title></circle>'
        for i, name in enumerate(layer.alternatives)
    )


def _taken(layer: LayerRow) -> Sequence[str]:
    if layer.taken:
        return layer.taken
    return () if layer.option is None else (layer.option,)


def _colour(layer: LayerRow, options: Sequence[str]) -> str:
    """Return the colour of the (first) option taken: an option has the same colour in every layer that offers it."""
    taken = _taken(layer)
    return series(options.index(taken[0])) if taken and taken[0] in options else "#8b97a5"


def _in_words(layer: LayerRow) -> str:
    choice = "fixed" if layer.option is None else f"{layer.option} (of {', '.join(layer.alternatives)})"
    costs = "".join(f"; {cost_title(name)} {value:,}" for name, value in layer.costs.items())
    return f"{layer.label}: {choice}; output {' × '.join(map(str, layer.output_shape))}{costs}"
