"""Audit: how far scores with inherited weights can be trusted, against stand-alone accuracy.

The truth is a table of published accuracies where there is one, else a stratified handful of architectures, each
trained from scratch on an equal budget. Beside the scores stand FLOPs, which cost nothing, and random search at
equal cost: training as many random architectures as the search's cost would have paid for.
"""

from __future__ import annotations

import csv
import gzip
import math
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from palmette.architecture import Architecture
from palmette.decisions import Decisions
from palmette.errors import DataError, PalmetteError
from palmette.evaluation.metric import ACCURACY, Metric
from palmette.evaluation.ranking import audit_statistics, verdict
from palmette.evaluation.score import Metrics
from palmette.evaluation.trust import Audit, AuditPoint, Statistic
from palmette.searches.trial import Score, Trial, best_first


def stratified(trials: Sequence[Trial], score: Score, count: int) -> list[Architecture]:
    """Return ``count`` architectures at equal distances in the ranking of ``trials``, best and worst included."""
    ranked = best_first(trials, score)
    positions = np.linspace(0, len(ranked) - 1, min(count, len(ranked))).round().astype(int)
    return [ranked[position].architecture for position in positions]


def read_table(path: Path, decisions: Decisions, column: str = "") -> dict[Architecture, float]:
    """Return true accuracies (0 to 1) by architecture, from column ``arch`` and ``column``.

    Without a column named, it is ``accuracy``, or all of ``test_acc_...``. The file may be compressed by gzip.
    Accuracies may be in percent; several columns, and codes of one network, are averaged.

    Raises:
        DataError: unreadable, columns missing, or numbers outside 0 to 100.
        ArchitectureError: a code of another space.
    """
    try:
        with gzip.open(path, "rt", newline="") if path.suffix == ".gz" else path.open(newline="") as file:
            rows = list(csv.DictReader(file))
    except (OSError, EOFError, zlib.error, UnicodeDecodeError, csv.Error) as error:
        raise DataError(
            f"{path}: the table cannot be read ({error}); give a CSV file with columns arch,accuracy"
        ) from None
    there = list(rows[0]) if rows else []
    if column and column not in there:
        raise DataError(f"{path}: there is no column {column!r}; it has {', '.join(there)}")
    columns = [column] if column else [n for n in there if n == "accuracy" or n.startswith("test_acc_")]
    if not columns or "arch" not in rows[0]:
        raise DataError(
            f"{path}: needed are columns 'arch' and 'accuracy' (or test_acc_0, ...); add a header, or name the column"
        )
    seen: dict[Architecture, list[float]] = {}
    for row in rows:
        if not row["arch"]:
            raise DataError(f"{path}: a line has no code; mend it")
        try:
            mean = sum(float(row[name]) for name in columns) / len(columns)
        except (TypeError, ValueError):
            raise DataError(f"{path}: the accuracy of {row['arch']!r} is not a number; mend that line") from None
        if not 0 <= mean <= 100:
            raise DataError(f"{path}: the accuracy of {row['arch']!r} is {mean}; it must lie between 0 and 100")
        seen.setdefault(decisions.parse(row["arch"]), []).append(mean)
    scale = 100.0 if max(max(values) for values in seen.values()) > 1 else 1.0
    return {architecture: sum(values) / len(values) / scale for architecture, values in seen.items()}


def audit(
    truth: Mapping[Architecture, float],
    inherited: Mapping[Architecture, Metrics],
    flops: Mapping[Architecture, float],
    *,
    code: Mapping[Architecture, str],
    source: str,
    affordable: int,
    metric: Metric = ACCURACY,
) -> Audit:
    """Return how well each score orders the architectures of ``truth`` (accuracies 0 to 1, or negative perplexities).

    Args:
        truth: stand-alone result of each audited architecture, higher is better.
        inherited: metrics of each with the method's weights.
        flops: of each.
        code: the short name of each.
        source: where the truth is from, in words.
        affordable: trainings from scratch that the search's cost would have paid for.
        metric: what the truth is a figure of.
    """
    architectures = list(truth)
    true = np.array([truth[a] for a in architectures])
    scores = {
        metric.name: np.array([metric.gain(inherited[a][metric.name]) for a in architectures]),
        "loss": -np.array([inherited[a]["loss"] for a in architectures]),
        "flops": np.array([flops[a] for a in architectures], dtype=float),
    }
    statistics = audit_statistics(scores, true)
    chance = random_regret(true, affordable)
    points = [
        AuditPoint(code[a], {name: float(values[i]) for name, values in scores.items()}, float(true[i]))
        for i, a in enumerate(architectures)
    ]
    words = [
        *verdict(statistics, len(architectures), metric=metric),
        _chance_in_words(chance, affordable, len(true), metric),
    ]
    return Audit(source, [*statistics, chance], points, words)


def _chance_in_words(chance: Statistic, affordable: int, audited: int, metric: Metric) -> str:
    cost = f"The search cost as much as {affordable:,} trainings from scratch with the retraining's recipe"
    if affordable >= audited:
        return f"{cost}: at that cost random search would have trained all {audited} of these and kept the best."
    return (
        f"{cost}: the best of so many random ones is {metric.factor * chance.value:.2f} points "
        f"{metric.worse_side} the best of all on average (in 90% of draws {metric.factor * chance.low:.2f} to "
        f"{metric.factor * chance.high:.2f})."
    )


def random_regret(true: npt.NDArray[np.float64], draws: int) -> Statistic:
    """Return the expected regret of the best of ``draws`` distinct architectures, exact, with 5% and 95% points."""
    draws = max(1, min(draws, len(true)))
    regrets = np.sort(true.max() - true)
    remaining = np.arange(len(true), 0, -1, dtype=float)  # architectures at least as far from the best as each
    log_choose = [_log_choices(r, draws) - _log_choices(len(true), draws) for r in [*remaining, 0.0]]
    at_least = np.exp(log_choose)  # probability that the best drawn is this one or worse
    mass = at_least[:-1] - at_least[1:]
    below = np.cumsum(mass) + 1e-9  # rounding must not push a point that is met exactly to the next network
    low, high = (float(regrets[min(int(np.searchsorted(below, q)), len(true) - 1)]) for q in (0.05, 0.95))
    return Statistic("random", "regret", float(mass @ regrets), low, high)


def affordable_trainings(search_passes: float, training_passes: float) -> int:
    """Return how many trainings from scratch cost what the search cost, at least one."""
    if training_passes <= 0:
        raise PalmetteError("audit: a training from scratch must cost something; set its epochs to at least 1")
    return max(1, round(search_passes / training_passes))


def _log_choices(n: float, k: int) -> float:
    """Return the logarithm of n choose k, minus infinity where there is no choice."""
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1) if n >= k else -math.inf
