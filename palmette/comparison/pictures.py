"""The pictures of a comparison: what each method found by seed, what it cost, and how a search came to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from palmette.comparison.contrast import Row
from palmette.evaluation.metric import Metric
from palmette.evaluation.significance import mean_of
from palmette.report.palette import FAINT_INK, series
from palmette.report.static import svg

MARKERS = "osD^vP*X"
"""Beside colours, for those who cannot tell these apart."""


def found(rows: Sequence[Row], metric: Metric, rivals: Mapping[str, str]) -> str:
    """Return every figure by seed, the mean with its interval, and each rival's mean; ``rivals`` are shown by name."""

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        for y, row in enumerate(rows):
            values = metric.factor * np.asarray(row.entry.figures)
            jitter = np.linspace(-0.18, 0.18, len(values)) if len(values) > 1 else [0.0]
            if row.entry.unit == "seed":
                axes.plot(values, y + np.asarray(jitter), "o", ms=3, color=FAINT_INK, alpha=0.6)
            low, high = (metric.factor * end for end in (row.mean.low, row.mean.high))
            if np.isfinite(low):
                axes.plot([low, high], [y, y], color=series(0), linewidth=2)
            label = "mean, 95% interval" if y == 0 else None
            axes.plot(metric.factor * row.mean.value, y, "D", ms=6, color=series(0), label=label)
            for i, (name, short) in enumerate(rivals.items(), start=1):
                for contrast in row.contrasts:
                    if contrast.rival == name:
                        key = short if not any(t.get_label() == short for t in axes.lines) else None
                        style = "|" if i == 1 else "x"
                        axes.plot(
                            metric.factor * contrast.rival_mean, y, style, ms=9, mew=2, color=series(i), label=key
                        )
        axes.set_yticks(range(len(rows)), [row.entry.name for row in rows])
        axes.invert_yaxis()
        axes.set_xlabel(f"{metric.name}{', %' if metric.suffix else ''}", color=FAINT_INK)
        axes.legend(frameon=False, fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=3)

    return svg(draw, 7.5, 1.3 + 0.36 * len(rows))


def against_cost(rows: Sequence[Row], metric: Metric, cost: str, title: str) -> str:
    """Return the mean figure of each entry over a cost, on a logarithmic axis."""

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        for i, row in enumerate(rows):
            half = metric.factor * (row.mean.high - row.mean.value)
            axes.errorbar(
                row.entry.costs[cost],
                metric.factor * row.mean.value,
                yerr=None if np.isnan(half) else half,
                fmt=MARKERS[i % len(MARKERS)],
                color=series(i),
                capsize=3,
                label=row.entry.name,
            )
        axes.set_xscale("log")
        axes.set_xlabel(title, color=FAINT_INK)
        axes.set_ylabel(f"{metric.name}{', %' if metric.suffix else ''}", color=FAINT_INK)
        axes.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))

    return svg(draw, 7.5, 3.6)


def curves(best: Mapping[str, npt.NDArray[np.float64]], metric: Metric, *, top: float, first: int) -> str:
    """Return the mean of the best so far over evaluations, with its 95% interval.

    Args:
        best: by search, ``[seeds, evaluations]``.
        metric: of the figures.
        top: what the best architecture of all has, drawn as a dotted line.
        first: the evaluation from which the vertical axis is scaled; before it the curves rise too fast to tell.
    """

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        lows = []
        for i, (name, values) in enumerate(best.items()):
            at = np.arange(1, values.shape[1] + 1)
            intervals = [mean_of(column) for column in metric.factor * values.T]
            mean = np.array([interval.value for interval in intervals])
            axes.plot(at, mean, color=series(i), linestyle=("-", "--", "-.")[i // 7 % 3], label=name)
            low, high = (np.array([getattr(interval, end) for interval in intervals]) for end in ("low", "high"))
            axes.fill_between(at, low, high, color=series(i), alpha=0.12, linewidth=0)
            lows.append(float(mean[min(first, len(mean)) - 1]))
        axes.axhline(metric.factor * top, color=FAINT_INK, linestyle=":", linewidth=1)
        margin = 0.05 * (metric.factor * top - min(lows)) or 0.01
        axes.set_ylim(min(lows) - margin, metric.factor * top + margin)
        axes.set_xlabel("evaluations", color=FAINT_INK)
        axes.set_ylabel(f"best true {metric.name} so far, %", color=FAINT_INK)
        axes.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))

    return svg(draw, 8.5, 4.2)
