"""Random search that trains networks alone: the baseline that costs nothing to understand and is often left out.

Li and Talwalkar ("Random Search and Reproducibility for Neural Architecture Search", UAI 2019) found that few methods
beat it at equal cost. Random architectures within the limits are trained from scratch, for fewer epochs than the winner
will be, and the best on search-validation images is taken. With ``passes`` it gets the cost of another method.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from palmette.errors import PalmetteError
from palmette.training.recipe import Recipe

if TYPE_CHECKING:
    from palmette.architecture import Architecture
    from palmette.evaluation.score import Metrics
    from palmette.methods.job import Found, Job
    from palmette.searches.trial import SearchAlgorithm


@dataclass(frozen=True, kw_only=True)
class RandomTraining:
    """Options of the method; torch is imported only when it runs."""

    training: Recipe = field(default_factory=Recipe)
    """Of each network that is tried."""
    trainings: int = 8
    """Networks to try."""
    passes: float = 0.0
    """Try as many as so many forward passes of one image pay for, at least one, for a few epochs more or less than
    ``training`` says, so that the whole is spent; 0 leaves it to ``trainings``."""
    rank_by: Literal["accuracy", "loss"] = "accuracy"
    """What the best is best in, on search-validation images."""
    retraining: Recipe = field(default_factory=Recipe)
    """Of the winner, from scratch."""
    name: Literal["random"] = "random"

    def __post_init__(self) -> None:
        if self.trainings < 1 or self.passes < 0:
            raise PalmetteError(
                f"random: trainings = {self.trainings} and passes = {self.passes} were given; allowed are at least 1 "
                "training, and passes from 0"
            )

    def search(self, job: Job) -> Found:
        """Train random networks, each kept when it is done, and return the best; on a cluster many at a time."""
        from palmette.methods.job import Found
        from palmette.methods.single_path import SCORES, run_arm
        from palmette.methods.trainings import trained_alone
        from palmette.searches.random import RandomSearch, RandomSearchOptions
        from palmette.searches.trial import best_first
        from palmette.training.loop import passes

        held_out = len(job.data.validation)
        recipe, count = self.training, self.trainings
        if self.passes:
            count = max(1, round(self.passes / (passes(job.data, recipe) + held_out)))
            epoch = passes(job.data, recipe) / recipe.epochs  # a few more or less, so that the whole is spent
            epochs = max(1, round((self.passes / count - held_out) / epoch))
            recipe = dataclasses.replace(recipe, epochs=epochs, warmup_epochs=min(recipe.warmup_epochs, epochs))
        each = passes(job.data, recipe) + held_out

        def evaluate(architectures: Sequence[Architecture]) -> list[Metrics]:
            return trained_alone(job, architectures, recipe, name="alone", advance=lambda done, total: None)

        one_by_one = RandomSearchOptions(evaluations=count, generation=1)  # so that a kill loses one training at most
        algorithm = RandomSearch(job.space.decisions, job.allows, one_by_one)
        if job.cluster is not None:
            with job.phase("random") as advance:
                trained_alone(job, _ahead(job, algorithm, count), recipe, name="alone", advance=advance)
        history = run_arm(job, algorithm, evaluate, name="random", evaluations=count)
        score = SCORES[self.rank_by]
        return Found(best_first(history, score)[0].architecture, score, evaluate, len(history), each * len(history))


def _ahead(job: Job, algorithm: SearchAlgorithm, count: int) -> list[Architecture]:
    """Return what the search will propose and the journal does not have; no draw depends on a result."""
    from palmette.searches.driver import Arm, Memory, run_search

    def unseen(architectures: Sequence[Architecture]) -> list[Metrics]:
        return [{} for _ in architectures]

    arm = Arm(name="random", seed=job.seed, evaluations=count)
    drawn = run_search(algorithm, unseen, Memory(), arm=arm, costs=lambda architecture: {})
    done = {trial.architecture for trial in job.journal.trials()}
    return [trial.architecture for trial in drawn if trial.architecture not in done]
