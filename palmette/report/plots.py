"""The numbers behind the interactive plots, as JSON that ``page.js`` draws.

Only trials within the limits count for the Pareto front and for the best so far; the others are shown, faintly.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict

from palmette.costs.limits import UNITS
from palmette.evaluation.metric import ACCURACY, Metric
from palmette.evaluation.trust import Audit
from palmette.report.contents import Contents, Curve, TrialRow
from palmette.report.palette import INK, SERIES, WINNER
from palmette.report.wording import cost_title

Limits = Mapping[str, tuple[float | None, float | None]]
MOST_CURVE_POINTS = 1500


def plot_data(contents: Contents) -> dict[str, object]:
    """Return everything the page's script reads, made of JSON's types only."""
    costs = cost_names(contents)
    return {
        "colours": {"series": list(SERIES), "winner": WINNER, "ink": INK},
        "winner": {"code": contents.winner_code, "architecture": contents.winner_architecture},
        "arms": list(dict.fromkeys(trial.arm for trial in contents.trials)),
        "metric": asdict(contents.metric),
        "costs": [{"name": name, "title": cost_title(name), "unit": UNITS.get(name, "")} for name in costs],
        "limits": {name: [_number(end) for end in ends] for name, ends in contents.limits.items()},
        "trials": [_trial(trial, contents.limits) for trial in contents.trials],
        "fronts": {name: pareto_front(contents.trials, name, contents.limits, contents.metric) for name in costs},
        "breakdown": asdict(contents.breakdown) if contents.breakdown else None,
        "curves": [_curve(curve) for curve in contents.curves],
        "audit": _audit(contents.audit) if contents.audit else None,
    }


def cost_names(contents: Contents) -> list[str]:
    """Return the costs that the trials have, those with limits first, and FLOPs before the others."""
    names = dict.fromkeys(name for trial in contents.trials for name in trial.costs)
    return sorted(names, key=lambda name: (name not in contents.limits, name != "flops"))


def pareto_front(trials: Sequence[TrialRow], cost: str, limits: Limits, metric: Metric = ACCURACY) -> list[int]:
    """Return the positions of the trials within the limits that no other one beats in both cost and metric.

    They come by rising cost, and one of those equal in both.
    """
    candidates = [
        (trial.costs[cost], -metric.gain(result(trial, metric)), position)
        for position, trial in enumerate(trials)
        if cost in trial.costs and math.isfinite(result(trial, metric)) and is_within(trial.costs, limits)
    ]
    front: list[int] = []
    best = -math.inf
    for _, negative, position in sorted(candidates):
        if -negative > best:
            best = -negative
            front.append(position)
    return front


def is_within(costs: Mapping[str, float], limits: Limits) -> bool:
    """Say whether no known cost lies outside its limits."""
    return all(
        (low is None or costs[name] >= low) and (high is None or costs[name] <= high)
        for name, (low, high) in limits.items()
        if name in costs
    )


def result(trial: TrialRow, metric: Metric) -> float:
    """Return the trial's result in the metric, NaN if it has none."""
    return trial.metrics.get(metric.name, math.nan)


def embedded(data: object) -> str:
    """Return JSON that can stand inside ``<script>``: no character of it can end or comment out the element."""
    text = json.dumps(data, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _trial(trial: TrialRow, limits: Limits) -> dict[str, object]:
    return {
        "code": trial.code,
        "architecture": trial.architecture,
        "arm": trial.arm,
        "generation": trial.generation,
        "metrics": _numbers(trial.metrics),
        "costs": _numbers(trial.costs),
        "within": is_within(trial.costs, limits),
    }


def _curve(curve: Curve) -> dict[str, object]:
    stride = -(-len(curve.steps) // MOST_CURVE_POINTS) or 1
    return {
        "phase": curve.phase,
        "name": curve.name,
        "stride": stride,
        "steps": list(curve.steps[::stride]),
        "values": [_number(value) for value in curve.values[::stride]],
    }


def _audit(audit: Audit) -> dict[str, object]:
    return {
        "scores": list(dict.fromkeys(score for point in audit.points for score in point.scores)),
        "points": [
            {"code": point.code, "scores": _numbers(point.scores), "stand_alone": _number(point.stand_alone)}
            for point in audit.points
        ],
    }


def _numbers(values: Mapping[str, float]) -> dict[str, float | None]:
    return {name: _number(value) for name, value in values.items()}


def _number(value: float | None) -> float | None:
    """Return the value with seven digits, or None for what JSON cannot say (NaN, infinity)."""
    if value is None or not math.isfinite(value):
        return None
    return value if isinstance(value, int) else float(f"{value:.7g}")
