"""GreedyNAS: train mostly paths that look good (You et al., CVPR 2020; sampling.md 3).

1. Train a supernet: each round draws m paths, scores them on few held-out images, and trains the best k (section 3.2).
   Good paths are remembered in a pool that more and more draws come from (3.3); when the pool has settled, stop (3.4).
2. Search by NSGA-II, from the best of the pool (3.5); candidates inherit weights as in SPOS.
3. Retrain the winner from scratch (``methods/search.py`` does this for every method).

Deviation: scoring a path does not touch the supernet's running statistics, which the released code changes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from palmette.sampling.greedy import GreedyOptions
from palmette.searches.nsga2 import NSGA2Options
from palmette.training.recipe import Recipe

if TYPE_CHECKING:
    from palmette.architecture import Architecture
    from palmette.methods.job import Found, Job
    from palmette.space import Supernet
    from palmette.training.loop import Watch


@dataclass(frozen=True, kw_only=True)
class GreedyNAS:
    """Options of the method; torch is imported only when it runs."""

    training: Recipe = field(default_factory=Recipe)
    """Of the supernet, if it does not end before."""
    greedy: GreedyOptions = field(default_factory=GreedyOptions)
    nsga2: NSGA2Options = field(default_factory=NSGA2Options)
    rank_by: Literal["accuracy", "loss"] = "accuracy"
    """What the winner is best in, of all that meet the limits."""
    retraining: Recipe = field(default_factory=Recipe)
    """Of the winner, from scratch."""
    name: Literal["greedynas"] = "greedynas"

    def search(self, job: Job) -> Found:
        """Train the supernet, search it, and return the best architecture within the limits."""
        import numpy as np
        import torch

        from palmette.data.text import images_only
        from palmette.evaluation.inherited import Inherited
        from palmette.methods.single_path import check_objectives, searched, trained_supernet
        from palmette.sampling.greedy import GreedySampler, check_pool
        from palmette.training.loop import passes, steps_of
        from palmette.training.supernet import train_greedily

        check_objectives(job, self.nsga2)
        check_pool(job.space.decisions, self.greedy)
        data = images_only(job.data, "greedynas")
        held_out = data.validation
        some = np.random.default_rng(job.seed).permutation(len(held_out))[: self.greedy.images]
        batch = held_out.take(torch.from_numpy(some).to(held_out.labels.device))
        steps = steps_of(job.data, self.training)

        def train(supernet: Supernet, watch: Watch) -> tuple[GreedySampler, int]:
            inherited = Inherited(job.space, supernet, data)

            def scores(paths: Sequence[Architecture]) -> list[float]:
                return [-metrics["loss"] for metrics in inherited.on_batch(paths, batch)]

            sampler = GreedySampler(job.space.decisions, self.greedy, steps, scores=scores, allows=job.allows)
            done = train_greedily(supernet, job.space, sampler, job.data, self.training, seed=job.seed, watch=watch)
            return sampler, done

        supernet, (sampler, done) = trained_supernet(job, train)
        cost = passes(job.data, self.training, steps=done) + sampler.scored * len(batch)
        words = (
            f"GreedyNAS trained {done:,} of {steps:,} steps and scored {sampler.scored:,} paths: "
            f"{100 * cost / passes(job.data, self.training):.0f}% of the cost of uniform training."
        )
        start = sampler.pool.best(self.nsga2.population)
        return searched(job, supernet, self.nsga2, self.rank_by, training_passes=cost, start=start, remarks=(words,))
