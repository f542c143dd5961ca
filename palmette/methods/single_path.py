"""What SPOS and its relatives share: a supernet trained path by path, then searched with inherited weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Literal, TypeVar

import numpy as np

from palmette.architecture import Architecture
from palmette.costs.limits import check_feasible
from palmette.errors import PalmetteError
from palmette.evaluation.inherited_text import inherited
from palmette.evaluation.outcomes import metric_of
from palmette.methods.job import Found, Job
from palmette.sampling.uniform import UniformSampler
from palmette.searches.driver import Arm, run_search
from palmette.searches.evolution import Evolution, EvolutionOptions
from palmette.searches.nsga2 import NSGA2, NSGA2Options
from palmette.searches.optuna_sampler import OptunaOptions, OptunaSearch
from palmette.searches.pareto import objectives
from palmette.searches.predictor import FOLDS, PredictorOptions, PredictorSearch, cross_validated
from palmette.searches.random import RandomSearch, RandomSearchOptions
from palmette.searches.trial import Score, SearchAlgorithm, Trial, best_first
from palmette.space import Space, Supernet
from palmette.training.loop import Watch, place
from palmette.training.recipe import Recipe
from palmette.training.supernet import Sampler, SamplerAt, train_supernet

T = TypeVar("T")
RankBy = Literal["accuracy", "loss"]
LEAST_SCORED = 2 * FOLDS
SearchOptions = EvolutionOptions | NSGA2Options | PredictorOptions | RandomSearchOptions | OptunaOptions


def trained_supernet(
    job: Job, train: Callable[[Supernet, Watch], T], *, space: Space | None = None
) -> tuple[Supernet, T]:
    """Return a new supernet that ``train`` has trained, or continued from its checkpoint, and what that returned.

    ``space`` is that of the supernet, where it is not the job's own.
    """
    supernet = place((space or job.space).supernet(seed=job.seed), job.data.device)
    with job.phase("supernet") as advance:
        return supernet, train(supernet, job.watch("supernet", advance))


def uniformly(
    job: Job, recipe: Recipe, sampler: Sampler | SamplerAt | None = None
) -> Callable[[Supernet, Watch], None]:
    """Return the training on paths of ``sampler`` (default: uniform over the space), for ``trained_supernet``."""
    chosen = sampler or UniformSampler(job.space.decisions)

    def train(supernet: Supernet, watch: Watch) -> None:
        train_supernet(supernet, job.space, chosen, job.data, recipe, seed=job.seed, watch=watch)

    return train


def searched(
    job: Job,
    supernet: Supernet,
    options: SearchOptions,
    rank_by: RankBy,
    *,
    training_passes: float,
    start: Sequence[Architecture] = (),
    remarks: Sequence[str] = (),
) -> Found:
    """Search a trained supernet under the job's limits, from ``start`` if some good architectures are known.

    Args:
        job: where, on what, within which limits.
        supernet: trained.
        options: which search, with its settings.
        rank_by: what the best is best in.
        training_passes: what the training cost, in forward passes of one image.
        start: architectures for the first generation.
        remarks: on the training, for the report.
    """
    evaluate, score = job.spread(inherited(job.space, supernet, job.data)), SCORES[rank_by]
    if job.limits:  # where limits are so tight that random draws miss them, one that meets them starts the search
        feasible = check_feasible(job.limits, job.space.decisions, job.table, np.random.default_rng(job.seed))
        start = [*start, feasible]
    name, algorithm = _algorithm(job, options, score, start)
    history = run_arm(job, algorithm, evaluate, name=name, evaluations=options.evaluations)
    cost = training_passes + (len(job.data.calibration) + len(job.data.validation)) * len(history)
    best = best_first(history, score)[0].architecture
    found_out = _of_predictor(job, options, history, score) if isinstance(options, PredictorOptions) else ()
    return Found(best, score, evaluate, len(history), cost, (*remarks, *found_out))


def check_objectives(job: Job, options: NSGA2Options | OptunaOptions) -> None:
    """Raise PalmetteError, before anything is trained, for an objective that evaluations here do not give."""
    known = [metric_of(job.data).name, "loss", *job.table(job.space.decisions.sample(np.random.default_rng(0)))]
    for objective in objectives(options.objectives):
        if objective.name not in known:
            raise PalmetteError(f"objective {objective.name!r}: not known here; allowed are {', '.join(known)}")


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


def _algorithm(
    job: Job, options: SearchOptions, score: Score, start: Sequence[Architecture]
) -> tuple[str, SearchAlgorithm]:
    """Return the search that the options are of, and the name of its arm."""
    decisions = job.space.decisions
    match options:
        case EvolutionOptions():
            return "evolution", Evolution(decisions, job.allows, score, options, start=start)
        case NSGA2Options():
            return "nsga2", NSGA2(decisions, job.allows, options, start=start)
        case PredictorOptions():
            return "predictor", PredictorSearch(decisions, job.allows, score, options, start=start)
        case RandomSearchOptions():
            return "random", RandomSearch(decisions, job.allows, options)
        case OptunaOptions():
            return "optuna", OptunaSearch(decisions, job.allows, score, options, start=start)


def _of_predictor(job: Job, options: PredictorOptions, history: Sequence[Trial], score: Score) -> tuple[str, ...]:
    """Say how well the predictor orders architectures that it has not seen, and keep the figures."""
    if len(history) < LEAST_SCORED:
        return (f"With {len(history)} scores the predictor could not be cross-validated.",)
    architectures, scores = [trial.architecture for trial in history], [score(trial) for trial in history]
    found = cross_validated(job.space.decisions, options.regressor, architectures, scores)
    job.journal.record("predictor", asdict(found))
    return (
        f"The {options.regressor} predictor orders architectures it has not seen to Kendall tau-b "
        f"{found.kendall_tau_b:.3f} and Spearman's rho {found.spearman:.3f} with their inherited scores "
        f"(cross-validation over its {found.architectures} trials, most of which it chose itself).",
    )


SCORES: dict[RankBy, Score] = {
    "accuracy": lambda trial: trial.metrics.get("accuracy", 0.0) - 1e-6 * trial.metrics["loss"],  # the loss breaks ties
    "loss": lambda trial: -trial.metrics["loss"],
}
"""Ways to rank trials, higher is better; perplexity, which text has in place of accuracy, ranks as the loss does."""
