"""Networks trained alone, here or by the workers of the job's cluster, each kept in the journal when it is done.

The audit asks for them, and so does random search without a supernet. A killed run trains only those again that were
under way.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial

from palmette.architecture import Architecture
from palmette.evaluation.from_scratch import from_scratch
from palmette.evaluation.outcomes import metric_of
from palmette.evaluation.score import Metrics
from palmette.evaluation.spread import trained_apart
from palmette.methods.job import Job
from palmette.progress import Advance
from palmette.training.recipe import Recipe


def trained_alone(
    job: Job, architectures: Sequence[Architecture], recipe: Recipe, *, name: str, advance: Advance
) -> list[Metrics]:
    """Return the validation metrics of each architecture after training from scratch, in order.

    Args:
        job: whose journal has those trained before, and whose cluster trains the others, if it has one.
        architectures: distinct ones.
        recipe: of each training.
        name: what they are for; records and checkpoints are called ``NAME/EPOCHS/ARCHITECTURE``.
        advance: called with what is done and what there is to do.

    Raises:
        PalmetteError: the cluster could not train one.
    """
    prefix = f"{name}/{recipe.epochs}/"
    known: dict[str, Metrics] = dict(job.journal.records(prefix, Mapping[str, float]))
    metric = metric_of(job.data).name
    missing = [a for a in architectures if metric not in known.get(prefix + a.id, {})]
    for architecture, metrics in _trained(job, missing, recipe, prefix, advance):
        key = prefix + architecture.id
        known[key] = metrics
        job.journal.record(key, metrics)
        job.run.checkpoint(key).unlink(missing_ok=True)
    return [known[prefix + architecture.id] for architecture in architectures]


def _trained(
    job: Job, architectures: Sequence[Architecture], recipe: Recipe, prefix: str, advance: Advance
) -> Iterator[tuple[Architecture, Metrics]]:
    """Yield each architecture with its metrics, in the order that trainings end."""
    if job.cluster is not None:
        ended = trained_apart(job.cluster, job.space, job.data, recipe, architectures, seed=job.seed)
        for done, pair in enumerate(ended, start=1):
            advance(done, len(architectures))
            yield pair
        return
    for before, architecture in enumerate(architectures):
        watch = job.watch(prefix + architecture.id, partial(_advance, advance, before, len(architectures)))
        yield architecture, from_scratch(job.space, architecture, job.data, recipe, seed=job.seed, watch=watch)


def _advance(advance: Advance, before: int, count: int, done: int, total: int) -> None:
    """Show the progress of one of ``count`` equal trainings, ``before`` of them finished."""
    advance(before * total + done, count * total)
