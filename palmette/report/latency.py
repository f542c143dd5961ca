"""The page of a table of latencies: whole networks against its sums, what each option costs, and the conditions.

One HTML file that loads nothing, a function of the table alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib import resources

import numpy as np

from palmette.costs.additive import Agreement
from palmette.costs.latency import LatencyTable, clock_of
from palmette.report.contents import Picture
from palmette.report.gauges import share_bar
from palmette.report.palette import FAINT_INK, INK, LINE, SERIES
from palmette.report.sections import section
from palmette.report.wording import escape

SIDE, MARGIN = 420, 52
"""Of the picture, in its units."""
TICKS = 4


def render(table: LatencyTable) -> str:
    """Return the page as the text of one HTML file, to be written as UTF-8."""
    title = f"Latency of {table.table.decisions.space}"
    style = resources.files("palmette.report").joinpath("page.css").read_text(encoding="utf-8")
    return f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1"><title>{escape(title)}</title>
<style>{style}</style></head>
<body><main><header class="hero"><p class="eyebrow">Palmette latency table</p><h1>{escape(title)}</h1>
<dl class="facts">{_facts(table)}</dl></header>
{_check(table)}{_options(table)}{_conditions(table)}
<footer>Made by Palmette. This page is one file and loads nothing; every number is in the table's own file.</footer>
</main></body></html>
"""


def check_picture(check: Sequence[tuple[float, float]]) -> Picture:
    """Return the check of a table for the report of a search under it; ``check`` has sums and measurements."""
    predicted, measured = zip(*check, strict=True)
    found = Agreement.of(predicted, measured)
    note = (
        f"The search counted milliseconds by a table. Each point is one of {len(check)} whole networks that the table "
        f"was not made of; on the line its sum is what was measured. R2 {found.r2:.4f}, RMSE {found.rmse:.3g} ms, at "
        f"most {100 * found.worst:.1f}% off."
    )
    return Picture("Latency check", note, f"<figure>{scatter(predicted, measured)}</figure>")


def _facts(table: LatencyTable) -> str:
    found, networks = table.agreement, len(table.codes)
    facts = {
        "R2 of sums against whole networks": (f"{found.r2:.4f}", f"{networks} networks that the table was not made of"),
        "RMSE": (f"{found.rmse:.3g} ms", f"at most {100 * found.worst:.1f}% off"),
        "Measured": (f"{min(table.measured):.3g} to {max(table.measured):.3g} ms", "at the best pace of the machine"),
    }
    return "".join(
        f"<div><dt>{escape(name)}</dt><dd>{escape(value)}<small>{escape(note)}</small></dd></div>"
        for name, (value, note) in facts.items()
    )


def _check(table: LatencyTable) -> str:
    note = (
        f"Each point is a whole network, drawn at random and measured in {table.rounds} rounds; on the line the sum of "
        "the table is what was measured. Other work on the machine slowed the reference network by "
        f"{100 * table.disturbance:.0f}% in the middle round; times are shares of the reference's, in the same moments."
    )
    rows = "".join(
        f"<tr><td><code>{escape(code)}</code></td><td class=number>{p:.4g}</td><td class=number>{m:.4g}</td>"
        f"<td class=number>{100 * (p / m - 1):+.1f}%</td></tr>"
        for code, p, m in zip(table.codes, table.predicted, table.measured, strict=True)
    )
    head = (
        "<thead><tr><th>Network</th><th class=number>Sum, ms</th><th class=number>Measured, ms</th>"
        "<th class=number>Off</th></tr></thead>"
    )
    return section(
        "check",
        "Sums against whole networks",
        f'<p class="note">{escape(note)}</p><figure>{scatter(table.predicted, table.measured)}</figure>'
        f"<details><summary>The networks</summary><table>{head}<tbody>{rows}</tbody></table></details>",
    )


def scatter(predicted: Sequence[float], measured: Sequence[float]) -> str:
    """Return sums (across) against measurements (up), in milliseconds, as SVG; the line is where both are equal."""
    both = [*predicted, *measured]
    low, high = min(both), max(both)
    pad = 0.06 * (high - low) or 0.1 * high or 1.0
    low, high = low - pad, high + pad

    def across(value: float) -> float:
        return MARGIN + (SIDE - 1.4 * MARGIN) * (value - low) / (high - low)

    def up(value: float) -> float:
        return SIDE - across(value)

    ticks = np.linspace(low + pad, high - pad, TICKS)
    numbers = "".join(
        f'<text x="{across(t):.1f}" y="{SIDE - MARGIN + 18}" text-anchor="middle">{t:.3g}</text>'
        f'<text x="{MARGIN - 8}" y="{up(t) + 4:.1f}" text-anchor="end">{t:.3g}</text>'
        f'<line x1="{across(t):.1f}" x2="{across(t):.1f}" y1="{up(low):.1f}" y2="{up(high):.1f}" stroke="{LINE}"/>'
        f'<line x1="{across(low):.1f}" x2="{across(high):.1f}" y1="{up(t):.1f}" y2="{up(t):.1f}" stroke="{LINE}"/>'
        for t in ticks
    )
    points = "".join(
        f'<circle cx="{across(p):.1f}" cy="{up(m):.1f}" r="4.5" fill="{SERIES[0]}" fill-opacity="0.75"/>'
        for p, m in zip(predicted, measured, strict=True)
    )
    middle = (across(low) + across(high)) / 2
    return (
        f'<svg viewBox="0 0 {SIDE} {SIDE}" width="{SIDE}" role="img" aria-label="Sums against measurements" '
        f'font-size="11" font-family="sans-serif" fill="{FAINT_INK}">{numbers}'
        f'<line x1="{across(low):.1f}" y1="{up(low):.1f}" x2="{across(high):.1f}" y2="{up(high):.1f}" stroke="{INK}" '
        f'stroke-dasharray="4 3"/>{points}'
        f'<text x="{middle:.0f}" y="{SIDE - 10}" text-anchor="middle" fill="{INK}">Sum of the table, ms</text>'
        f'<text transform="translate(13 {SIDE - middle:.0f}) rotate(-90)" text-anchor="middle" fill="{INK}">'
        "Measured, ms</text></svg>"
    )


def _options(table: LatencyTable) -> str:
    decisions, options = table.table.decisions, table.table.options
    most = max(float(rows.max()) for rows in options.values()) or 1.0
    rows = "".join(
        f"<tr><td>{escape(name if i == 0 else '')}</td><td>{escape(value)}</td>"
        f'<td class=number>{entry:.4g}</td><td class="drawn">{share_bar(max(0.0, entry) / most)}</td></tr>'
        for name, entries in options.items()
        for i, (value, entry) in enumerate(zip(decisions.values(name), entries[:, 0].tolist(), strict=True))
    )
    note = (
        f"Milliseconds above the cheapest option of the decision, from a fit to {table.fitted_to:,} networks, layer "
        f"by layer. With the cheapest everywhere a network takes {float(table.table.fixed[0]):.4g} ms."
    )
    head = "<thead><tr><th>Decision</th><th>Option</th><th class=number>ms</th><th></th></tr></thead>"
    return section(
        "options",
        "The table",
        f'<p class="note">{escape(note)}</p><table class="bars">{head}<tbody>{rows}</tbody></table>',
    )


def _conditions(table: LatencyTable) -> str:
    facts: Mapping[str, object] = {
        "clock": clock_of(table.conditions)[0],
        **asdict(table.conditions),
        **table.conditions.environment,
    }
    rows = "".join(
        f'<tr><th scope="row">{escape(name)}</th><td>{escape(value)}</td></tr>'
        for name, value in facts.items()
        if name != "environment"
    )
    return section("conditions", "Measured under", f"<table>{rows}</table>")
