"""What SPOS and its relatives share: a supernet trained path by path, then searched with inherited weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np

from palmette.architecture import Architecture
from palmette.costs.limits import check_feasible
from palmette.evaluation.inherited import Inherited
from palmette.methods.job import Found, Job
from palmette.sampling.uniform import UniformSampler
from palmette.searches.driver import Arm, run_search
from palmette.searches.evolution import Evolution, EvolutionOptions
from palmette.searches.trial import Score, SearchAlgorithm, Trial, best_first
from palmette.space import Supernet
from palmette.training.loop import passes, place
from palmette.training.recipe import Recipe
from palmette.training.supernet import Sampler, train_supernet


def trained_supernet(job: Job, recipe: Recipe, *, sampler: Sampler | None = None) -> Supernet:
    """Return the supernet trained by ``recipe`` on paths of ``sampler`` (default: uniform over the space)."""
    supernet = place(job.space.supernet(seed=job.seed), job.data.train.pixels.device)
    with job.phase("supernet") as advance:
        sampler = sampler or UniformSampler(job.space.decisions)
        watch = job.watch("supernet", advance)
        train_supernet(supernet, job.space, sampler, job.data, recipe, seed=job.seed, watch=watch)
    return supernet


def evolve(
    job: Job, supernet: Supernet, recipe: Recipe, options: EvolutionOptions, rank_by: Literal["accuracy", "loss"]
) -> Found:
    """Search a trained supernet by evolution under the job's limits."""
    inherited, score = Inherited(job.space, supernet, job.data), SCORES[rank_by]
    start = [check_feasible(job.limits, job.space.decisions, job.table, np.random.default_rng(job.seed))]
    evolution = Evolution(job.space.decisions, job.allows, score, options, start=start if job.limits else ())
    history = run_arm(job, evolution, inherited, name="evolution", evaluations=options.evaluations)
    images = len(job.data.calibration) + len(job.data.validation)
    cost = passes(job.data, recipe) + images * len(history)
    return Found(best_first(history, score)[0].architecture, score, inherited, len(history), cost)


def run_arm(
    job: Job,
    algorithm: SearchAlgorithm,
    evaluate: Callable[[Sequence[Architecture]], list[dict[str, float]]],
    *,
    name: str,
    evaluations: int,
) -> list[Trial]:
    """Run or continue one search, at most ``evaluations`` trials, and return them."""
    done = 0
    with job.phase(name) as advance:

        def show(generation: Sequence[Trial]) -> None:
            nonlocal done
            done += len(generation)
            advance(done, evaluations)

        arm = Arm(name=name, seed=job.seed, evaluations=evaluations)
        return run_search(algorithm, evaluate, job.journal, arm=arm, costs=job.table, progress=show)


SCORES: dict[Literal["accuracy", "loss"], Score] = {
    "accuracy": lambda trial: trial.metrics["accuracy"] - 1e-6 * trial.metrics["loss"],  # the loss breaks ties
    "loss": lambda trial: -trial.metrics["loss"],
}
"""Ways to rank trials, higher is better."""
