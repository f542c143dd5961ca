"""The page of several studies: one table of comparisons, and the trends over ranges of FLOPs with their numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from palmette.design_spaces.together import LAWS, verdict
from palmette.report.framed import framed, picture, table
from palmette.report.palette import FAINT_INK, series
from palmette.report.static import svg

SHOWN = ("depth", "d", "b", "g", "wm", "wa", "w0")
"""Parameters drawn over FLOPs where a space has them."""
COMPARED = (
    "Difference of mean errors in percentage points, in pairs of equal FLOPs, with its 95% bootstrap interval; "
    "negative means that the space on the left is better. A finding that generalises is better in every row."
)
TREND = (
    "Best range of each parameter (bar) and its median (dot) over FLOPs, and activations and parameters of the best "
    "quarter of the networks with the fitted laws."
)


def render(joint: Mapping[str, Any], *, title: str) -> str:
    """Return the page as the text of one HTML file, to be written as UTF-8."""
    parts = [_comparisons(joint)]
    for number, (name, drawn) in enumerate(pictures(joint).items()):
        trend = joint["trends"][number]
        parts.append(picture(name, drawn, title=f"Trends of {trend['space']}", note=TREND))
        parts.append(_laws(trend))
    return framed(title, "".join(parts), kind="design-space study", footer="every number is in together.json")


def pictures(joint: Mapping[str, Any]) -> dict[str, str]:
    """Return a picture of each trend as SVG, by name and in order."""
    names = [f"trends_{number}_{trend['space']}" for number, trend in enumerate(joint["trends"], start=1)]
    return {name: _drawn(trend) for name, trend in zip(names, joint["trends"], strict=True)}


def _drawn(trend: Mapping[str, Any]) -> str:
    keys = [key for key in SHOWN if all(key in regime["best_ranges"] for regime in trend["regimes"])]

    def draw(figure: Figure) -> None:
        rows = np.atleast_1d(figure.subplots(1, len(keys) + len(LAWS)))
        flops = [regime["best_ranges"]["flops"]["median"] / 1e6 for regime in trend["regimes"]]
        for axes, key in zip(rows, keys, strict=False):
            ranges = [regime["best_ranges"][key] for regime in trend["regimes"]]
            medians = np.array([r["median"] for r in ranges])
            ends = [medians - [r["low"] for r in ranges], [r["high"] for r in ranges] - medians]
            axes.errorbar(flops, medians, yerr=ends, fmt="o", color=series(0), capsize=3)
            axes.set_title(key, fontsize=9)
        for axes, (key, terms) in zip(rows[len(keys) :], LAWS.items(), strict=True):
            across = np.array([network["flops"] for network in trend["best_networks"]]) / 1e6
            axes.scatter(across, [network[key] for network in trend["best_networks"]], s=8, color=series(0))
            line, law = np.geomspace(across.min(), across.max(), 50), trend["laws"][key]
            grown = {"1": np.ones_like(line), "sqrt": np.sqrt(line), "linear": line}
            axes.plot(line, sum(law[term] * grown[term] for term in terms), color=series(1))
            axes.set_title(f"{key}, slope {law['exponent']:.2f}", fontsize=9)
            axes.set_yscale("log")
        for axes in rows:
            axes.set_xscale("log")
            axes.set_xticks(flops, [f"{value:.2g}" for value in flops])
            axes.set_xticks([], minor=True)
            axes.set_xlabel("MFLOPs", color=FAINT_INK)

    return svg(draw, 2.2 * (len(keys) + len(LAWS)), 2.6)


def _comparisons(joint: Mapping[str, Any]) -> str:
    head = ("Study", "Space", "Beside", "In pairs of equal FLOPs", "Says", "Pairs")
    rows = [
        (
            c["study"],
            c["space"],
            c["beside"],
            "{:+.2f} [{:+.2f}, {:+.2f}]".format(*(100 * c["paired_mean"][key] for key in ("value", "low", "high"))),
            verdict(c),
            c["pairs"],
        )
        for c in sorted(joint["comparisons"], key=lambda c: (c["space"], c["beside"]))
    ]
    return f'<section><h2>The same comparison elsewhere</h2><p class="note">{COMPARED}</p>{table(head, rows)}</section>'


def _laws(trend: Mapping[str, Any]) -> str:
    terms = {"1": "", "sqrt": " sqrt(F)", "linear": " F"}
    rows = [
        (key, f"{law['exponent']:.2f}", " + ".join(f"{law[t]:.4g}{terms[t]}" for t in LAWS[key]), paper)
        for (key, law), paper in zip(trend["laws"].items(), ("0.5, sqrt(F)", "1, a + b F"), strict=True)
    ]
    head = ("Quantity", "Slope of logarithms", "Fitted law, F in MFLOPs", "In the paper")
    return f"<section>{table(head, rows)}</section>"
