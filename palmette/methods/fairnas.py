"""FairNAS: strict fairness in supernet training (Chu et al., 2019; sampling.md 4).

1. Train a supernet: each update adds up the gradients of m single paths that together use every option of every layer
   equally often (section 3, algorithm 1).
2. Search by NSGA-II for several objectives at once; candidates inherit weights as in SPOS.
3. Retrain the winner from scratch (``methods/search.py`` does this for every method).

Deviations: gradients of layers outside all slots, which take part in all m passes, are averaged and not summed; and
epochs count images, so that an update with m passes is m steps of an epoch and a comparison with SPOS is at equal cost.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from palmette.searches.nsga2 import NSGA2Options
from palmette.training.recipe import Recipe

if TYPE_CHECKING:
    from palmette.methods.job import Found, Job


@dataclass(frozen=True, kw_only=True)
class FairNAS:
    """Options of the method; torch is imported only when it runs."""

    training: Recipe = field(default_factory=Recipe)
    """Of the supernet; epochs count the images of all passes."""
    nsga2: NSGA2Options = field(default_factory=lambda: NSGA2Options(objectives=("accuracy", "flops", "params")))
    rank_by: Literal["accuracy", "loss"] = "accuracy"
    """What the winner is best in, of all that meet the limits."""
    retraining: Recipe = field(default_factory=Recipe)
    """Of the winner, from scratch."""
    name: Literal["fairnas"] = "fairnas"

    def search(self, job: Job) -> Found:
        """Train the supernet, search it, and return the best architecture within the limits."""
        from palmette.methods.single_path import check_objectives, searched, trained_supernet
        from palmette.sampling.fair import FairSampler
        from palmette.training.loop import passes
        from palmette.training.supernet import train_fairly

        check_objectives(job, self.nsga2)
        sampler = FairSampler(job.space.decisions)
        recipe = _per_path(self.training, sampler.paths)
        supernet, _ = trained_supernet(
            job, lambda net, watch: train_fairly(net, sampler, job.data, recipe, seed=job.seed, watch=watch)
        )
        cost = sampler.paths * passes(job.data, recipe)
        return searched(job, supernet, self.nsga2, self.rank_by, training_passes=cost)


def _per_path(recipe: Recipe, paths: int) -> Recipe:
    """Return the recipe with its epochs divided among the passes of an update, at least one."""
    epochs = max(1, round(recipe.epochs / paths))
    return dataclasses.replace(recipe, epochs=epochs, warmup_epochs=recipe.warmup_epochs / paths)
