"""Search a trained supernet again: other limits, no training (sampling.md 1.1: one supernet, many constraints).

The new search is a run of its own whose supernet checkpoint is that of the old run, so that every method works
unchanged and a killed search goes on where it was.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from palmette.costs.limits import amount
from palmette.errors import StorageError
from palmette.evaluation.metric import Metric
from palmette.evaluation.outcomes import metric_of
from palmette.evaluation.score import Metrics
from palmette.methods.job import Job, Method
from palmette.methods.options import AuditOptions
from palmette.methods.search import random_best, run
from palmette.methods.spos import SPOS
from palmette.storage import checkpoint
from palmette.storage.atomic import write_text
from palmette.storage.run_directory import RunDirectory


@dataclass(frozen=True)
class Answer:
    """The best architecture within some limits, by inherited weights."""

    limits: str
    code: str
    costs: Mapping[str, float]
    validation: Metrics
    """With inherited weights."""
    random: Metrics
    """Of the best of random search with as many evaluations."""
    test_result: float | None
    """Retrained from scratch, if that was asked for."""
    metric: Metric
    directory: Path


def take_supernet(source: Path, directory: RunDirectory) -> None:
    """Give a new run the trained supernet of the run in ``source``; a run that has one keeps it.

    Raises:
        StorageError: there is none, or its training has not come to its end.
    """
    trained, target = source / "checkpoints" / "supernet.safetensors", directory.checkpoint("supernet")
    _, state = checkpoint.load(trained)
    if not state.get("done", state["step"] == state["steps"]):
        raise StorageError(
            f"{source}: its supernet is trained for {state['step']:,} of {state['steps']:,} steps; "
            "finish that run first, with --resume"
        )
    if target.exists():
        return
    try:
        os.link(trained, target)  # checkpoints are replaced, never written to, so both may share the bytes
    except OSError:
        shutil.copyfile(trained, target)


def search_again(job: Job, method: Method, *, retrain: bool) -> Answer:
    """Search the supernet that the job's run has, and retrain the best if wanted, with its page."""
    decisions, test = job.space.decisions, None
    if isinstance(method, SPOS):
        method = replace(method, bins=0)  # bins are of the training, which is done, and of its limits
    if retrain:
        test = run(job, method, AuditOptions(networks=0)).best.test[metric_of(job.data).name]
    found = method.search(job)
    best, random = found.evaluate([found.best, random_best(job, found)])
    write_text(job.run.architecture, found.best.to_json() + "\n")
    return Answer(
        limits=str(job.limits) or "none",
        code=decisions.code(found.best),
        costs=job.table(found.best),
        validation=best,
        random=random,
        test_result=test,
        metric=metric_of(job.data),
        directory=job.run.path,
    )


def as_table(answers: list[Answer]) -> str:
    """Return the answers as one table in Markdown."""
    metric = answers[0].metric
    figures = [f"{metric.name}, inherited", "random search", "test, retrained"]
    head = ["limits", "architecture", *answers[0].costs, *figures]
    rows = [
        [
            answer.limits,
            answer.code,
            *(amount(name, cost) for name, cost in answer.costs.items()),
            metric.show(answer.validation[metric.name]),
            metric.show(answer.random[metric.name]),
            "-" if answer.test_result is None else metric.show(answer.test_result),
        ]
        for answer in answers
    ]
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    ruled = [head, ["-" * width for width in widths], *rows]
    cells = ([cell.ljust(width) for cell, width in zip(row, widths, strict=True)] for row in ruled)
    return "\n".join(f"| {' | '.join(row)} |" for row in cells)
