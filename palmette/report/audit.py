"""The audit section: how far the supernet's ranking can be trusted, beside the ranking that FLOPs alone give."""

from __future__ import annotations

import math
from dataclasses import replace

from palmette.evaluation.metric import Metric
from palmette.evaluation.trust import Audit, Statistic
from palmette.report.contents import Contents
from palmette.report.gauges import axis, interval
from palmette.report.palette import FAINT_INK, SERIES
from palmette.report.sections import missing, section
from palmette.report.wording import STATISTIC_NOTES, cost_title, escape, statistic_title

TITLE = "Can the ranking be trusted?"
SCORE_TITLES = {
    "accuracy": "Accuracy",
    "perplexity": "Negative perplexity",
    "loss": "Negative loss",
    "random": "Random search",
}
BASELINES = ("flops", "params", "random")
"""What a supernet has to beat."""
DIFFERENCE = "_minus_"
"""Between a statistic and the baseline it is compared to: ``kendall_tau_b_minus_flops``."""


def audit(contents: Contents) -> str:
    """Show verdict, scatter of each score against stand-alone accuracy, and the rank statistics with intervals."""
    if contents.audit is None:
        return section(
            "audit",
            TITLE,
            missing(
                "This run was not audited. Nothing on this page shows how far the ranking by shared weights agrees "
                "with training each network alone; palmette audit measures it."
            ),
        )
    record = contents.audit
    items = "".join(f"<li>{escape(sentence)}</li>" for sentence in record.verdict)
    verdict = f'<ul class="verdict">{items}</ul>' if items else ""
    where = f"Stand-alone {contents.metric.name} from {escape(record.source)}"
    words = f"{where}, against scores with shared weights and baselines."
    source = f'<p class="note">{words}</p>'
    return section("audit", TITLE, verdict + source + _plots(record) + _statistics(record, contents.metric))


def _plots(record: Audit) -> str:
    if not record.points:
        return missing("The audited architectures were not recorded, only their statistics.")
    scores = dict.fromkeys(score for point in record.points for score in point.scores)
    figures = "".join(
        f'<figure><figcaption>{_score_title(score)}</figcaption><div class="plot medium" '
        f'data-audit="{escape(score)}"></div></figure>'
        for score in scores
    )
    return f'<div class="grid">{figures}</div>'


def _statistics(record: Audit, metric: Metric) -> str:
    if not record.statistics:
        return missing("No rank statistics were recorded.")
    groups: dict[str, list[Statistic]] = {}
    for statistic in record.statistics:
        groups.setdefault(statistic.name.partition(DIFFERENCE)[0], []).append(statistic)
    bodies = "".join(_group(name, statistics, metric) for name, statistics in groups.items())
    head = '<tr><th>Score</th><th class="number">Value [95% interval]</th><th></th></tr>'
    return f'<table class="statistics"><thead>{head}</thead>{bodies}</table>'


def _group(name: str, statistics: list[Statistic], metric: Metric) -> str:
    """Return one rank statistic of all scores, and below them the differences to the baseline."""
    if name == "regret":
        statistics = [_in_points(statistic, metric.factor) for statistic in statistics]
    statistics = sorted(statistics, key=lambda statistic: DIFFERENCE in statistic.name)
    ends = _ends(statistics)
    note = STATISTIC_NOTES.get(name)
    explained = f"<small>{escape(note)}</small>" if note else ""
    title = f'<tr class="group"><th colspan="3" scope="rowgroup">{escape(statistic_title(name))} {explained}</th></tr>'
    rows = "".join(_row(statistic, ends) for statistic in statistics)
    foot = f'<tr class="axis"><td></td><td></td><td class="drawn">{axis(ends)}</td></tr>'
    return f"<tbody>{title}{rows}{foot}</tbody>"


def _in_points(statistic: Statistic, factor: float) -> Statistic:
    """Return a regret in points of the metric as people read it: hundredths of accuracy."""
    return replace(statistic, value=factor * statistic.value, low=factor * statistic.low, high=factor * statistic.high)


def _row(statistic: Statistic, ends: tuple[float, float]) -> str:
    baseline = statistic.name.partition(DIFFERENCE)[2]
    title, colour = _score_title(statistic.score), SERIES[0]
    if baseline:
        title, colour = f"{title} − {_score_title(baseline)} <small>difference</small>", SERIES[2]
    elif statistic.score in BASELINES:
        title, colour = f'{title} <small class="baseline">baseline</small>', FAINT_INK
    known = all(math.isfinite(number) for number in (statistic.value, statistic.low, statistic.high))
    numbers = f"{statistic.value:.3f} <small>[{statistic.low:.3f}, {statistic.high:.3f}]</small>"
    drawing = interval(statistic.value, statistic.low, statistic.high, ends=ends, colour=colour) if known else ""
    return (
        f'<tr><th scope="row">{title}</th><td class="number">{numbers if known else "undefined"}</td>'
        f'<td class="drawn">{drawing}</td></tr>'
    )


def _ends(statistics: list[Statistic]) -> tuple[float, float]:
    """Return an axis to 1, or to a rounder number that holds all intervals; from 0 where none is negative."""
    numbers = [n for s in statistics for n in (s.value, s.low, s.high) if math.isfinite(n)]
    largest = max(map(abs, numbers), default=1.0)
    end = 1.0 if 0.2 < largest <= 1 else math.ceil(largest * 1.05) if largest > 1 else 0.2
    return (-end if min(numbers, default=0.0) < 0 else 0.0), end


def _score_title(score: str) -> str:
    return escape(SCORE_TITLES.get(score, cost_title(score)))
