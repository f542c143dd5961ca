"""SMASH (Brock et al., ICLR 2018): a hypernetwork generates the weights of every architecture from its description.

1. Train hypernetwork and shared weights end to end, one sampled architecture per step.
2. Score random architectures with generated weights on held-out images, then perturbations of the best, then a Markov
   chain from there (smash.md 8).
3. Retrain the best from scratch, all weights free (``methods/search.py`` does this for every method).

Where the released code searches other networks than it trains: no bottleneck is truncated here, and the statistics of
BatchNorm are recomputed for each candidate; that only trained networks have BatchNorm inside ops is kept
(``blocks/memory_bank.py``, ``evaluation/rebuilt.py``).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, ClassVar, Literal

from palmette.errors import PalmetteError
from palmette.searches.perturbation import PerturbationOptions
from palmette.supernets.options import HyperNetOptions
from palmette.training.recipe import Recipe

if TYPE_CHECKING:
    from palmette.methods.job import Found, Job


@dataclass(frozen=True, kw_only=True)
class SMASH:
    """Options of the method; torch is imported only when it runs."""

    training: Recipe = field(default_factory=lambda: adam(Recipe(epochs=20, batch_size=50)))
    """Of hypernetwork and shared weights."""
    hypernetwork: HyperNetOptions = field(default_factory=HyperNetOptions)
    weights: Literal["generated", "shared"] = "generated"
    """shared: the same training and search with ordinary shared weights in place of generated ones, to compare."""
    perturbation: PerturbationOptions = field(default_factory=PerturbationOptions)
    rank_by: Literal["accuracy", "loss"] = "accuracy"
    retraining: Recipe = field(default_factory=Recipe)
    """Of the winner, from scratch."""
    name: ClassVar[str] = "smash"

    def __post_init__(self) -> None:
        for option, allowed in (("weights", ("generated", "shared")), ("rank_by", ("accuracy", "loss"))):
            if getattr(self, option) not in allowed:
                raise PalmetteError(
                    f"smash: {option} = {getattr(self, option)!r} was given; allowed are {', '.join(allowed)}"
                )

    def search(self, job: Job) -> Found:
        """Train, score, perturb, and return the best architecture within the limits."""
        from palmette.methods.generated_weights import evaluator, images_of, pictured, trained
        from palmette.methods.job import Found
        from palmette.methods.single_path import SCORES, run_arm
        from palmette.searches.perturbation import Perturbation
        from palmette.searches.trial import best_first
        from palmette.training.loop import passes

        module = trained(job, self)
        evaluate = job.spread(evaluator(module, job.space, images_of(job), seed=job.seed))
        options, score = self.perturbation, SCORES[self.rank_by]
        algorithm = Perturbation(job.space.decisions, job.allows, score, options)
        history = run_arm(job, algorithm, evaluate, name="perturbation", evaluations=options.evaluations)
        cost = passes(job.data, self.training)
        cost += (len(job.data.calibration) + len(job.data.validation)) * len(history)
        best = best_first(history, score)[0].architecture
        return Found(best, score, evaluate, len(history), cost, pictures=pictured(module, job, best))


def adam(recipe: Recipe) -> Recipe:
    """Return the recipe with the optimiser of the released code (smash.md 7); it spares the hypernetwork decay."""
    return replace(recipe, optimizer="adam", lr=1e-3, momentum=0.5, nesterov=False, epsilon=1e-4, weight_decay=1e-4)
