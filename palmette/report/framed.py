"""A page of pictures and tables without a script: one HTML file that loads nothing, for what has no plots to hover."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib import resources

from palmette.report.wording import escape


def framed(title: str, body: str, *, kind: str, footer: str) -> str:
    """Return a whole page around its sections; ``body`` and ``footer`` are HTML, title and kind are text."""
    style = resources.files("palmette.report").joinpath("page.css").read_text(encoding="utf-8")
    return f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<meta name="viewport" content="width=device-width, initial-scale=1"><title>{escape(title)}</title>
<style>{style} figure svg {{ max-width: 100%; height: auto; }} .wide {{ overflow-x: auto; }}
.wide td, .wide th {{ overflow-wrap: normal; word-break: normal; }}
@media (max-width: 560px) {{ figure {{ overflow-x: auto; }} figure svg {{ min-width: 560px; }} }}</style></head>
<body><main><header class="hero"><p class="eyebrow">Palmette {escape(kind)}</p><h1>{escape(title)}</h1></header>
{body}
<footer>Made by Palmette. This page is one file and loads nothing; {footer}.</footer>
</main></body></html>
"""


def picture(name: str, svg: str, *, title: str, note: str) -> str:
    """Return a section with one picture."""
    return (
        f'<section id="{escape(name)}"><h2>{escape(title)}</h2><p class="note">{escape(note)}</p>'
        f"<figure>{svg}</figure></section>"
    )


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return a table of texts and numbers that scrolls sideways where it is too wide."""
    return f'<div class="wide"><table>{rows_of([head], "th")}{rows_of(rows)}</table></div>'


def rows_of(rows: Iterable[Iterable[object]], cell: str = "td") -> str:
    """Return the rows of a table."""
    return "".join(f"<tr>{''.join(f'<{cell}>{escape(value)}</{cell}>' for value in row)}</tr>" for row in rows)
