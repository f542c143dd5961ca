"""Settings of the recurrent spaces on text: the papers' on Penn Treebank, and reduced ones for minutes on a CPU.

The papers' are those of enas.md 2.4 and gradient.md 4.3 as far as one recipe of ours has them. Deviations: the released
codes vary the length of segments at random and go over to averaged weights late; here segments are of one length and
``average`` takes the mean over a last share of the steps.
"""

from __future__ import annotations

from dataclasses import replace

from palmette.methods.darts import DARTS
from palmette.methods.spos import SPOS
from palmette.searches.evolution import EvolutionOptions
from palmette.training.recipe import ArchitectureRecipe, Recipe

_SGD = Recipe(lr=20.0, momentum=0.0, nesterov=False, clip_norm=0.25, schedule="constant")


def enas_recurrent() -> SPOS:
    """Return ENAS's: batch 64, 35 steps, SGD at 20 falling by 0.96 per epoch from the 15th, 150 epochs of search."""
    search = replace(_SGD, epochs=150, batch_size=64, weight_decay=1e-7, schedule="exponential", decay_after=15)
    final = replace(_SGD, epochs=2000, batch_size=64, weight_decay=5e-7, slowness_penalty=1e-3)
    final = replace(final, schedule="exponential", decay=0.9991, decay_after=14)
    return SPOS(training=search, retraining=final, rank_by="loss")


def darts_recurrent() -> SPOS:
    """Return DARTS's: search with batch 256 for 50 epochs, evaluation with batch 64 and averaged weights."""
    search = replace(_SGD, epochs=50, batch_size=256, weight_decay=5e-7, slowness_penalty=1e-3)
    final = replace(_SGD, epochs=3600, batch_size=64, weight_decay=8e-7, slowness_penalty=1e-3, average=0.5)
    return SPOS(training=search, retraining=final, rank_by="loss")


def darts_penn_treebank() -> DARTS:
    """Return DARTS's own, first order: the trainings of ``darts_recurrent``, and Adam at 3e-3 for the architecture.

    The architecture learns from the validation text in batches as large as those of the weights.
    """
    trainings = darts_recurrent()
    architecture = ArchitectureRecipe(lr=3e-3, betas=(0.9, 0.999), weight_decay=1e-3, batch_size=256, bptt=35)
    return DARTS(
        training=trainings.training, architecture=architecture, rank_by="loss", retraining=trainings.retraining
    )


def small_recurrent() -> SPOS:
    """Return a reduced setting: on 100,000 words of Penn Treebank a training takes about a minute of a CPU."""
    short = replace(_SGD, epochs=8, batch_size=40, weight_decay=1e-7, schedule="cosine")
    evolution = EvolutionOptions(population=20, generations=4, mutants=10, crossovers=10)
    return SPOS(training=replace(short, epochs=12), evolution=evolution, retraining=short, rank_by="loss")
