"""The account of a search: what it found in sentences, the files it leaves, and what its report shows."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from palmette.architecture import Architecture
from palmette.costs.additive import AdditiveTable
from palmette.costs.average import average
from palmette.costs.limits import amount
from palmette.evaluation.metric import Metric
from palmette.evaluation.outcomes import compared, interval, metric_of
from palmette.evaluation.score import Metrics
from palmette.evaluation.trust import Audit
from palmette.export.weights import Card, save_weights
from palmette.methods.job import Found, Job, Method
from palmette.report.breakdown import breakdown
from palmette.report.contents import Contents, Curve, Picture, TrialRow
from palmette.report.graphs import graphs
from palmette.report.latency import check_picture
from palmette.report.layers import layer_rows
from palmette.report.page import render
from palmette.searches.trial import Trial
from palmette.storage import checkpoint
from palmette.storage.atomic import write_text
from palmette.storage.environment import environment


@dataclass(frozen=True)
class Best:
    """An architecture, trained from scratch with the method's recipe."""

    architecture: Architecture
    network: nn.Module
    """Plain, in evaluation mode; no class of this package inside."""
    costs: Mapping[str, float]
    validation: Metrics
    test: Metrics
    outcome: Tensor
    """What ``evaluation.outcomes.outcomes`` gives on test data."""


def headline(job: Job, found: Found, best: Best, other: Best) -> tuple[str, ...]:
    """Return the account in sentences that claim no more than the intervals allow."""
    decisions = job.space.decisions
    metric = metric_of(job.data)
    lines = [
        f"Best network {decisions.code(best.architecture)}: {metric.show(best.test[metric.name])} test {metric.name} "
        f"({_in_words(best.outcome, metric)}), {_costs(best, list(best.costs))}."
    ]
    if other.architecture == best.architecture:
        lines.append(f"Random search at the same cost, {found.evaluations} evaluations, found the same network.")
        return (*lines, *found.remarks)
    limited = [name for name, _ in job.limits.items()] or ["flops"]
    lines.append(
        f"Random search at the same cost, {found.evaluations} evaluations, found {decisions.code(other.architecture)}, "
        f"retrained alike: {metric.show(other.test[metric.name])} "
        f"({_in_words(other.outcome, metric)}), {_costs(other, limited)}."
    )
    return (*lines, compared(best.outcome, other.outcome), *found.remarks)


def _costs(best: Best, names: Sequence[str]) -> str:
    return ", ".join(f"{amount(name, best.costs[name])} {name}" for name in names)


def _in_words(outcome: Tensor, metric: Metric) -> str:
    low, high = interval(outcome)
    return f"95% interval {metric.factor * low:.2f} to {metric.factor * high:.2f}"


def write_account(
    job: Job,
    method: Method,
    found: Found,
    best: Best,
    other: Best,
    *,
    trust: Audit | None,
    lines: tuple[str, ...],
) -> None:
    """Write weights, architecture, figures and page; the page last."""
    save_weights(best.network, job.run.network, Card.of(best.architecture, job.data))
    write_text(job.run.architecture, best.architecture.to_json() + "\n")
    both = {"winner": best, "random": other}
    checkpoint.save(
        job.run.outcomes, {name: b.outcome for name, b in both.items()}, {"metric": metric_of(job.data).name}
    )
    figures = {name: _figures(job, b) for name, b in both.items()}
    verdict = trust and [f"Audit against {trust.source}.", *trust.verdict]
    account = {"headline": lines, **figures, "search": _cost(job, found), "roles": _sizes(job), "audit": verdict}
    write_text(job.run.result, json.dumps(account, indent=1) + "\n")
    page = dataclasses.replace(
        _contents(job, method, best, trust, lines),
        pictures=(*found.pictures, *_latency(job)),
        remarks=found.remarks,
    )
    write_text(job.run.path / "report.json", json.dumps(dataclasses.asdict(page)))
    write_text(job.run.report, render(page))


def _latency(job: Job) -> Iterator[Picture]:
    """Yield the check of the table that the search counted milliseconds by, if it did."""
    table = job.limits.measured
    if isinstance(table, AdditiveTable) and table.check:
        yield check_picture(table.check)


def _figures(job: Job, best: Best) -> dict[str, object]:
    code = job.space.decisions.code(best.architecture)
    figures = {"code": code, "costs": best.costs, "validation": best.validation, "test": best.test}
    return {**figures, "interval": interval(best.outcome)}


def _sizes(job: Job) -> dict[str, int]:
    """Return how many images, or tokens of text, each role has."""
    data = job.data
    roles = {"train": data.train, "validation": data.validation, "calibration": data.calibration, "test": data.test}
    return {name: len(part) for name, part in roles.items()}


def _cost(job: Job, found: Found) -> dict[str, float]:
    """Return what the search cost: FLOPs are those of its forward passes through an average network."""
    flops = found.passes * average(job.space.decisions, job.table, "flops")
    return {"evaluations": found.evaluations, "passes": found.passes, "flops": flops}


def _contents(job: Job, method: Method, best: Best, trust: Audit | None, lines: tuple[str, ...]) -> Contents:
    decisions = job.space.decisions
    seconds = {key.removeprefix("seconds/"): value for key, value in job.journal.records("seconds/", float).items()}
    curves = [
        Curve(phase, name, [step for step, _ in points], [value for _, value in points])
        for phase in job.journal.phases()
        if not phase.startswith(("audit/", "alone/"))
        for name, points in job.journal.scalars(phase).items()
        if name != "lr"
    ]
    cells = graphs(job.space, best.architecture)
    return Contents(
        graphs=cells,
        breakdown=breakdown(job.table),
        space=job.space.name,
        data=job.data.name,
        method=method.name,
        winner_code=decisions.code(best.architecture),
        winner_architecture=best.architecture.to_json(),
        layers=[] if cells else layer_rows(job.space, job.counted, best.architecture),
        costs=best.costs,
        limits={name: (limit.low, limit.high) for name, limit in job.limits.items()},
        metric=metric_of(job.data),
        test_result=best.test[metric_of(job.data).name],
        test_interval=interval(best.outcome),
        headline=lines,
        trials=[_row(job, trial) for trial in job.journal.trials()],
        curves=curves,
        audit=trust,
        seconds={name: float(str(value)) for name, value in seconds.items()},
        environment=environment(job.data.device),
        configuration=job.run.config.read_text(encoding="utf-8"),
    )


def _row(job: Job, trial: Trial) -> TrialRow:
    code = job.space.decisions.code(trial.architecture)
    architecture = trial.architecture.to_json()
    return TrialRow(code, architecture, trial.arm, trial.generation, dict(trial.metrics), dict(trial.costs))
