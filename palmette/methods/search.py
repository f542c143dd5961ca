"""The main job, end to end, the same for every method: search, compare with random search, audit, retrain, report.

Every phase leaves what it found in the run directory before the next begins, so a killed run goes on where it was.
Test images are read once, by the retrained networks, at the very end.
"""

from __future__ import annotations

import dataclasses
import json
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch import nn

from palmette import ranks
from palmette.architecture import Architecture
from palmette.costs.limits import Limit, Limits, SummedCosts
from palmette.data.text import Data
from palmette.errors import DataError
from palmette.evaluation.audit import affordable_trainings, audit, read_table, stratified
from palmette.evaluation.from_scratch import train_alone
from palmette.evaluation.outcomes import metric_of, outcomes
from palmette.evaluation.score import score
from palmette.evaluation.trust import Audit
from palmette.methods.account import Best, headline, write_account
from palmette.methods.job import Found, Job, Method, feasible_table, opened
from palmette.methods.options import AuditOptions
from palmette.methods.single_path import run_arm
from palmette.methods.trainings import trained_alone
from palmette.progress import shown
from palmette.searches.optuna_trials import the_optuna
from palmette.searches.pareto import objectives
from palmette.searches.random import RandomSearch, RandomSearchOptions
from palmette.searches.trial import best_first
from palmette.space import Definition, Space
from palmette.storage.atomic import write_text
from palmette.storage.environment import environment
from palmette.storage.held import held
from palmette.storage.optuna_mirror import Target, mirrored
from palmette.storage.run_directory import RunDirectory, plain
from palmette.training.loop import passes
from palmette.training.recipe import Recipe
from palmette.workers.options import ClusterOptions

FEWEST_AUDITED = 3


@dataclass(frozen=True)
class Result:
    """What a search ends with."""

    best: Best
    random: Best
    """What random search with as many evaluations found, retrained in the same way."""
    audit: Audit | None
    headline: tuple[str, ...]
    """The account in a few sentences."""
    directory: Path

    def report(self) -> Path:
        """Open the page in a browser and return its path."""
        import webbrowser

        page = self.directory / "report.html"
        webbrowser.open(page.absolute().as_uri())
        return page


def search(  # noqa: PLR0913 - all of them what a user says in one call
    network: nn.Module | Definition | Space,
    *,
    data: Data,
    method: Method,
    limits: Limits | Mapping[str, Limit | float | str | tuple[float | None, float | None]] | None = None,
    audit: AuditOptions | None = None,
    out: str | Path | None = None,
    seed: int = 0,
    ray: str | None = None,
    workers: int = 0,
    optuna: str | None = None,
) -> Result:
    """Find, train and prove the best network of a space within limits.

    Args:
        network: a module with slots, a function that makes one, or a space. It runs on the device of ``data``.
        data: for example ``pm.data.digits()``.
        method: for example ``pm.methods.SPOS()``.
        limits: by cost name (``flops``, ``params``, ``acts``); a number is "at most", a pair a range. A ``Limits`` can
            hold a table of latencies too: ``Limits.from_mapping({"latency": 0.8}, measured_table(...).table)``.
        audit: how much proof is asked for.
        out: directory of the run, continued if it holds one of the same settings; default: a new temporary one.
        seed: of everything random.
        ray: a Ray cluster that evaluates candidates and trains those of the audit, ``HOST:PORT``, ``auto`` or ``local``
            to start one here; what is found does not depend on it.
        workers: of the cluster, jobs at a time; 0 is as many as it has CPUs.
        optuna: a storage that the trials are mirrored to meanwhile, ``sqlite:///FILE`` or ``postgresql://USER@HOST/NAME``.

    Raises:
        PalmetteError: the network, data, limits or directory cannot be used; one line says why and what to do.
    """
    space = network if isinstance(network, Space) else Space(network)
    bounds = limits if isinstance(limits, Limits) else Limits.from_mapping(limits or {})
    options, cluster = audit or AuditOptions(), ClusterOptions(ray=ray, workers=workers).cluster()
    table = feasible_table(space, data, bounds, seed=seed)
    if options.table is not None:
        # its mistakes are told now, not after the training
        read_table(options.table, space.decisions, options.table_column)
    path = Path(out) if out is not None else Path(tempfile.mkdtemp(prefix="palmette-"))
    settings = {
        "space": {"name": space.name, "options": {n: space.decisions.size(n) for n in space.decisions.decisions}},
        "data": {"name": data.name, "images": [len(data.train), len(data.validation), len(data.test)]},
        "method": {"name": method.name, **plain(method)},
        "limits": {name: str(limit) for name, limit in bounds.items()},
        "measured": {} if bounds.measured is None else _rows(bounds.measured),
        "audit": plain(options),
        "seed": seed,
    }
    with (
        ranks.started(),
        held(lambda: RunDirectory.open(path, settings)) as directory,
        opened(space, data, table, bounds, directory=directory, seed=seed, progress=shown()) as job,
        mirroring(job, optuna),
    ):
        return run(dataclasses.replace(job, cluster=cluster), method, options)


def run(job: Job, method: Method, options: AuditOptions) -> Result:
    """Do or continue the whole job and write the run directory's results."""
    write_text(job.run.environment, json.dumps(environment(job.data.device), indent=1))
    found = method.search(job)
    random = random_best(job, found)
    trust = audited(job, found, method.retraining, options)
    best = _retrained(job, found.best, method.retraining)
    other = best if random == found.best else _retrained(job, random, method.retraining)
    lines = headline(job, found, best, other)
    write_account(job, method, found, best, other, trust=trust, lines=lines)
    return Result(best, other, trust, lines, job.run.path)


@contextmanager
def mirroring(job: Job, url: str | None) -> Iterator[None]:
    """Mirror the trials to a storage of Optuna inside the block, if there is a URL; rank 0 does it.

    Raises:
        PalmetteError: Optuna is not installed, or the URL is empty.
    """
    if url is None or ranks.own() != 0:
        yield
        return
    the_optuna()  # its absence is told now
    name = "/".join(job.run.path.absolute().parts[-2:])
    target = Target(url, name, objectives((metric_of(job.data).name, "flops")))
    with mirrored(job.run.path, job.space.decisions, target, job.progress.say):
        yield


def random_best(job: Job, found: Found) -> Architecture:
    """Return the best of random search with as many evaluations, on the same weights and images."""
    algorithm = RandomSearch(job.space.decisions, job.allows, RandomSearchOptions(evaluations=found.evaluations))
    trials = run_arm(job, algorithm, found.evaluate, name="random", evaluations=found.evaluations)
    return best_first(trials, found.score)[0].architecture


def audited(job: Job, found: Found, recipe: Recipe, options: AuditOptions) -> Audit | None:
    decisions = job.space.decisions
    if options.table is not None and not metric_of(job.data).higher_is_better:
        raise DataError(f"audit: the table {options.table} holds accuracies; of text, audit with networks instead")
    if options.table is not None:
        truth = read_table(options.table, decisions, options.table_column)
        if 0 < options.table_rows < len(truth):
            picks = np.random.default_rng(job.seed).choice(len(truth), options.table_rows, replace=False)
            rows = list(truth.items())
            truth = dict(rows[i] for i in sorted(picks))
        source = f"table {options.table.name}, {len(truth):,} architectures"
    elif options.networks:
        shorter = dataclasses.replace(recipe, epochs=options.epochs or -(-recipe.epochs // 3))
        truth = _truth_from_scratch(job, found, shorter, options.networks)
        source = f"{len(truth)} architectures trained from scratch, {shorter.epochs} epochs each"
    else:
        return None
    if len(truth) < FEWEST_AUDITED:
        job.progress.say(f"audit: left out, for {len(truth)} architectures have no ranking to speak of")
        return None
    with job.phase("audit: inherited") as advance:
        inherited = dict(zip(truth, found.evaluate(list(truth)), strict=True))
        advance(len(truth), len(truth))
    return audit(
        truth,
        inherited,
        {a: job.table(a)["flops"] for a in truth},
        code={a: decisions.code(a) for a in truth},
        source=source,
        affordable=affordable_trainings(found.passes, passes(job.data, recipe)),
        metric=metric_of(job.data),
    )


def _truth_from_scratch(job: Job, found: Found, recipe: Recipe, count: int) -> dict[Architecture, float]:
    """Train architectures spread over the ranking of the random arm; each finished one is kept in the journal."""
    architectures = stratified(job.journal.trials("random"), found.score, count)
    metric = metric_of(job.data)
    with job.phase("audit: from scratch") as advance:
        trained = trained_alone(job, architectures, recipe, name="audit", advance=advance)
    return {a: metric.gain(metrics[metric.name]) for a, metrics in zip(architectures, trained, strict=True)}


def _rows(table: SummedCosts) -> dict[str, object]:
    """Return a table as plain data, to tell it from another."""
    return {"fixed": table.fixed.tolist(), **{name: rows.tolist() for name, rows in table.options.items()}}


def _retrained(job: Job, architecture: Architecture, recipe: Recipe) -> Best:
    """Train from scratch, and only then look at the test images."""
    with job.phase("retraining") as advance:
        watch = job.watch(f"retraining/{architecture.id}", advance)
        network = train_alone(job.space, architecture, job.data, recipe, seed=job.seed, watch=watch)
    validation, test = score(network, job.data.validation, job.data), score(network, job.data.test, job.data)
    outcome = outcomes(network, job.data)
    return Best(architecture, network, job.table(architecture), validation, test, outcome)
