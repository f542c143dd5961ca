"""A cell drawn as a graph: inputs on the left, the output on the right, in between each node right of all it reads.

A node is a card with one line for each input, the operation and where it is from; curves lead there, in the colour of
the operation. Where there are so many skip connections that nobody could follow their curves, cards name their sources
instead. One SVG that needs nothing around it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from palmette.graphs import SKIP, Graph
from palmette.report.palette import FAINT_INK, INK, LINE, series
from palmette.report.wording import escape

_WIDTH, _LINE, _HEAD, _FOOT = 150, 20, 26, 6
"""A card: its width, the height of a line, and the heights above and below the lines; in pixels at scale 1."""
_ACROSS, _BESIDE, _MARGIN = 64, 16, 4
_OUTPUT = "\0output"
"""The name of the last card, which no node has."""
_FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
_PLAIN = "#8b97a5"
_MOST_READS = 60
"""With more in a graph, skip connections are told in words."""


@dataclass(frozen=True)
class _Card:
    title: str
    lines: Sequence[tuple[str, str]]
    """``(source, operation)``, without an operation where the source is only handed on."""
    column: int
    named: Sequence[str] = ()
    """Sources of further skip connections, which no curve leads to."""

    @property
    def height(self) -> float:
        return _HEAD + _FOOT + _LINE * (len(self.lines) + len(self.named)) if self.lines else _HEAD + 4


@dataclass(frozen=True)
class _Lane:
    """Where a curve crosses a column that it neither leaves nor enters: between the cards, not behind them."""

    source: str
    target: str
    line: int
    height: float = 10.0


Places = Mapping[str, tuple[float, float]]


def draw_graph(graph: Graph) -> str:
    """Return the graph as SVG; an operation has the same colour in every cell of a space."""
    cards = _cards(graph)
    places, lanes, height = _placed(cards)
    colours = {name: series(i) for i, name in enumerate(graph.operations)}
    width = max(x for x, _ in places.values()) + _WIDTH + _MARGIN
    curves = "".join(
        _curve(_way(cards, places, lanes, name, i), colours.get(operation, _PLAIN))
        for name, card in cards.items()
        for i, (_, operation) in enumerate(card.lines)
    )
    drawn = "".join(_drawn(card, places[name], colours) for name, card in cards.items())
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'role="img" aria-label="{escape(_in_words(graph))}" font-family="{_FONT}">{curves}{drawn}</svg>'
    )


def draw_graphs(graphs: Sequence[Graph]) -> str:
    """Return several graphs below each other, each under its name, as one SVG."""
    x, y, width, parts = _MARGIN + 6, 0.0, 0.0, []
    for graph in graphs:
        drawing = draw_graph(graph)
        own_width, own_height = (float(part) for part in drawing.split('viewBox="0 0 ')[1].split('"')[0].split())
        title = escape(graph.name)
        parts.append(f'<text x="{x}" y="{y + 20}" font-size="15" font-weight="650" fill="{INK}">{title}</text>')
        parts.append(drawing.replace("<svg ", f'<svg y="{y + 30}" ', 1))
        y, width = y + 30 + own_height + _BESIDE, max(width, own_width)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {y}" width="{width}" height="{y}" '
        f'font-family="{_FONT}">{"".join(parts)}</svg>'
    )


def _cards(graph: Graph) -> dict[str, _Card]:
    """Return the cards by name, each in the column after the last one that it reads from."""
    cards = {name: _Card(name, (), 0) for name in graph.inputs}
    in_words = {SKIP} if sum(len(node.reads) for node in graph.nodes) > _MOST_READS else set()
    for node in graph.nodes:
        column = 1 + max((cards[read.source].column for read in node.reads), default=0)
        lines = [(read.source, read.operation) for read in node.reads if read.operation not in in_words]
        named = [read.source for read in node.reads if read.operation in in_words]
        cards[node.name] = _Card(node.name, lines, column, named)
    last = 1 + max(card.column for card in cards.values())
    return cards | {_OUTPUT: _Card("output", [(name, "") for name in graph.output], last)}


def _placed(cards: Mapping[str, _Card]) -> tuple[Places, Mapping[tuple[str, int, int], float], float]:
    """Return where cards are, at which height curves cross columns, by target, line and column, and the whole height.

    Within a column what comes from further up is placed further up.
    """
    columns: list[list[tuple[float, str | _Lane]]] = [[] for _ in range(1 + max(c.column for c in cards.values()))]
    for name, card in cards.items():
        columns[card.column].append((0.0, name))
        for i, (source, _) in enumerate(card.lines):
            for between in range(cards[source].column + 1, card.column):
                columns[between].append((0.0, _Lane(source, name, i)))
    tall = max(_stacked([item for _, item in column], cards) for column in columns)
    middles: dict[str, float] = {}
    lanes: dict[tuple[str, int, int], float] = {}
    places: dict[str, tuple[float, float]] = {}
    for number, column in enumerate(columns):

        def comes_from(item: str | _Lane, number: int = number) -> float:
            if isinstance(item, _Lane):
                return lanes.get((item.target, item.line, number - 1), middles.get(item.source, 0.0))
            lines = enumerate(cards[item].lines)
            ways = [lanes.get((item, i, number - 1), middles[source]) for i, (source, _) in lines]
            return sum(ways) / len(ways) if ways else 0.0

        items = [item for _, item in column]
        if number:
            items.sort(key=comes_from)
        y = _MARGIN + (tall - _stacked(items, cards)) / 2
        for item in items:
            if isinstance(item, _Lane):
                lanes[item.target, item.line, number] = y + item.height / 2
                y += item.height + _BESIDE
            else:
                places[item] = (_MARGIN + number * (_WIDTH + _ACROSS), y)
                middles[item] = y + cards[item].height / 2
                y += cards[item].height + _BESIDE
    return places, lanes, tall + 2 * _MARGIN


def _stacked(items: Sequence[str | _Lane], cards: Mapping[str, _Card]) -> float:
    heights = [item.height if isinstance(item, _Lane) else cards[item].height for item in items]
    return sum(heights) + _BESIDE * (len(heights) - 1)


def _way(
    cards: Mapping[str, _Card], places: Places, lanes: Mapping[tuple[str, int, int], float], target: str, line: int
) -> list[tuple[float, float]]:
    """Return the points that a curve goes through: out of a card, in and out of the columns between, into a card."""
    source = cards[target].lines[line][0]
    x, y = places[source]
    points = [(x + _WIDTH, y + (15 if cards[source].lines else cards[source].height / 2))]
    for column in range(cards[source].column + 1, cards[target].column):
        left, height = _MARGIN + column * (_WIDTH + _ACROSS), lanes[target, line, column]
        points += [(left, height), (left + _WIDTH, height)]
    x, y = places[target]
    return [*points, (x - 5, y + _HEAD + _LINE * (line + 0.5))]


def _curve(points: Sequence[tuple[float, float]], colour: str) -> str:
    (x, y), *_ = points
    way = f"M{x} {y}"
    for (x, y), (to_x, to_y) in pairwise(points):
        bend = (to_x - x) / 2
        way += f"C{x + bend} {y} {to_x - bend} {to_y} {to_x} {to_y}"
    return (
        f'<path class="edge" d="{way}m-4 -3.5l4 3.5l-4 3.5" fill="none" stroke="{colour}" stroke-width="1.6" '
        'stroke-linecap="round" stroke-linejoin="round"/>'
    )


def _drawn(card: _Card, place: tuple[float, float], colours: Mapping[str, str]) -> str:
    fill = "#ffffff" if card.lines else "#f6f8fa"
    lines = [*card.lines, *((f"skip from {source}", "") for source in card.named)]
    rows = "".join(_row(i, source, operation, colours) for i, (source, operation) in enumerate(lines))
    middle = 17 if card.lines else card.height / 2 + 4
    return (
        f'<g class="node" transform="translate({place[0]} {place[1]})">'
        f'<rect width="{_WIDTH}" height="{card.height}" rx="7" fill="{fill}" stroke="{LINE}"/>'
        f'<text x="10" y="{middle}" font-size="12.5" font-weight="650" fill="{INK}">{escape(card.title)}</text>'
        f"{rows}</g>"
    )


def _row(i: int, source: str, operation: str, colours: Mapping[str, str]) -> str:
    y = _HEAD + _LINE * (i + 0.5)
    words = f"{operation} of {source}" if operation else source
    shown = operation.replace("_", " ") if operation else source
    return (
        f'<circle cx="12" cy="{y}" r="3.5" fill="{colours.get(operation, _PLAIN)}"/>'
        f'<text x="22" y="{y + 4}" font-size="11.5" fill="{FAINT_INK}">{escape(shown)}<title>{escape(words)}</title>'
        "</text>"
    )


def _in_words(graph: Graph) -> str:
    reads = {node.name: ", ".join(f"{read.operation} of {read.source}" for read in node.reads) for node in graph.nodes}
    nodes = "; ".join(f"{name}: {words}" for name, words in reads.items())
    return f"{graph.name}. {nodes}. output: {', '.join(graph.output)}"
