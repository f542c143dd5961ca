"""SPOS: Single Path One-Shot (Guo et al., ECCV 2020).

1. Train a supernet, each step one path drawn uniformly, over the space or over a range of cost (section 3.3).
2. Search by evolution; a candidate inherits the supernet's weights, its BatchNorm statistics are recomputed, and it
   is scored on held-out images (section 3.4). Every candidate meets the limits.
3. Retrain the winner from scratch (``methods/search.py`` does this for every method).

Deviations, each a defect of the released code (sampling.md 2.14): all candidates are scored on one fixed,
class-balanced set held out of the training images, and unused weights have no gradient at all.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from palmette.searches.evolution import EvolutionOptions
from palmette.training.recipe import Recipe

if TYPE_CHECKING:
    from palmette.methods.job import Found, Job


@dataclass(frozen=True, kw_only=True)
class SPOS:
    """Options of the method; torch is imported only when it runs."""

    training: Recipe = field(default_factory=Recipe)
    """Of the supernet."""
    bins: int = 0
    """Sample training paths uniform in cost instead: this many bins of the first limit that has two ends (7 in the
    released code, for 290 to 360 MFLOPs); 0 samples uniformly over the space."""
    evolution: EvolutionOptions = field(default_factory=EvolutionOptions)
    rank_by: Literal["accuracy", "loss"] = "accuracy"
    """What selects candidates; on few images the loss ranks better."""
    retraining: Recipe = field(default_factory=Recipe)
    """Of the winner, from scratch."""
    name: Literal["spos"] = "spos"

    def search(self, job: Job) -> Found:
        """Train the supernet, search it, and return the best architecture within the limits."""
        from palmette.methods.single_path import binned, searched, trained_supernet, uniformly
        from palmette.training.loop import passes

        sampler = binned(job, self.bins) if self.bins else None
        supernet, _ = trained_supernet(job, uniformly(job, self.training, sampler))
        cost = passes(job.data, self.training)
        return searched(job, supernet, self.evolution, self.rank_by, training_passes=cost)
