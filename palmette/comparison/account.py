"""The account of a comparison: one table as text, the same as a page with pictures, and every number as JSON."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from palmette.comparison.contrast import Contrast, Row, show_p, verdict
from palmette.costs.limits import number
from palmette.evaluation.metric import Metric
from palmette.evaluation.significance import Estimate
from palmette.report.framed import framed, picture, table
from palmette.report.wording import escape
from palmette.storage.atomic import write_text

LARGE = 1e7
"""Costs from which a table shows three digits and a power of ten."""


@dataclass(frozen=True)
class Drawn:
    """A picture with its title and what to know of it."""

    name: str
    svg: str
    title: str
    note: str


@dataclass(frozen=True)
class Account:
    """A comparison as it is written down."""

    title: str
    metric: Metric
    rows: Sequence[Row]
    rivals: Mapping[str, str]
    """What each rival is called in the head of the table, by its full name."""
    notes: Sequence[str]
    """What figures, rivals and costs are."""
    pictures: Sequence[Drawn]
    settings: Mapping[str, Any]

    def verdicts(self) -> list[str]:
        """Return one sentence per entry and rival, grouped by rival."""
        return [
            verdict(row, contrast, self.metric)
            for name in self.rivals
            for row in self.rows
            for contrast in row.contrasts
            if contrast.rival == name
        ]

    def cells(self) -> tuple[list[str], list[list[str]]]:
        """Return the head and the rows of the table, as text."""
        costs = list(dict.fromkeys(name for row in self.rows for name in row.entry.costs))
        head = ["", f"{self.metric.name}, mean (95% interval)", f"{self.rows[0].entry.unit}s"]
        head += [f"minus {short} (p)" for short in self.rivals.values()]
        head += costs
        rows = []
        for row in self.rows:
            by = {contrast.rival: contrast for contrast in row.contrasts}
            cells = [row.entry.name, _mean(row.mean, self.metric), str(len(row.entry.figures))]
            cells += [_contrast(by.get(name), self.metric) for name in self.rivals]
            cells += [_cost(name, row.entry.costs.get(name)) for name in costs]
            rows.append(cells)
        return head, rows


def as_table(account: Account) -> str:
    """Return the table in Markdown."""
    head, rows = account.cells()
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    ruled = [head, ["-" * max(3, width) for width in widths], *rows]
    return "\n".join(f"| {' | '.join(c.ljust(w) for c, w in zip(row, widths, strict=True))} |" for row in ruled)


def write(account: Account, folder: Path) -> list[str]:
    """Write ``table.md``, ``comparison.json`` and ``report.html``; return the table and the verdicts as lines."""
    lines = [as_table(account), "", *account.verdicts()]
    write_text(folder / "table.md", "\n".join([f"# {account.title}", "", *lines, "", *account.notes]) + "\n")
    rows = [{**dataclasses.asdict(row), "name": row.entry.name} for row in account.rows]
    record = {"title": account.title, "metric": account.metric.name, "rows": rows, "settings": account.settings}
    write_text(folder / "comparison.json", json.dumps(_finite(record), indent=1) + "\n")
    write_text(folder / "report.html", _page(account))
    return lines


def _page(account: Account) -> str:
    said = "".join(f"<li>{escape(line)}</li>" for line in account.verdicts())
    notes = "".join(f'<p class="note">{escape(note)}</p>' for note in account.notes)
    settings = escape("\n".join(f"{name} = {value}" for name, value in account.settings.items()))
    parts = [
        f"<section><h2>What is shown, and what is not</h2><ul>{said}</ul></section>",
        f"<section><h2>Table</h2>{notes}{table(*account.cells())}</section>",
        *(picture(drawn.name, drawn.svg, title=drawn.title, note=drawn.note) for drawn in account.pictures),
        f"<section><h2>Settings</h2><pre>{settings}</pre></section>",
    ]
    return framed(account.title, "".join(parts), kind="comparison", footer="every number is in comparison.json")


def _mean(mean: Estimate, metric: Metric) -> str:
    if math.isnan(mean.low):
        return metric.show(mean.value)
    return f"{metric.show(mean.value)} ({metric.factor * mean.low:.2f} to {metric.factor * mean.high:.2f})"


def _contrast(contrast: Contrast | None, metric: Metric) -> str:
    if contrast is None:
        return ""
    return f"{metric.factor * contrast.difference.value:+.2f} (p {show_p(contrast.corrected)})"


def _cost(name: str, value: float | None) -> str:
    if value is None or math.isnan(value):
        return ""
    if name.endswith("seconds"):
        return f"{value:.3g}"
    return f"{value:.2e}" if value >= LARGE else number(value)


def _finite(value: Any) -> Any:
    """Return the value with None for what JSON cannot say."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _finite(each) for key, each in value.items()}
    return [_finite(each) for each in value] if isinstance(value, (list, tuple)) else value
