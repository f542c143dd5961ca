"""Settings for the small default space: a whole search in under two minutes on two CPU cores."""

from __future__ import annotations

from palmette.data.options import Augmentation
from palmette.methods.spos import SPOS
from palmette.searches.evolution import EvolutionOptions
from palmette.training.recipe import Recipe


def small_images() -> SPOS:
    """Return SPOS with a short supernet training and 240 evaluations."""
    shift = Augmentation(pad=1)
    return SPOS(
        training=Recipe(epochs=32, batch_size=64, lr=0.1, augmentation=shift, warmup_epochs=1),
        evolution=EvolutionOptions(population=30, generations=7, mutants=15, crossovers=15),
        rank_by="loss",
        retraining=Recipe(epochs=16, batch_size=64, lr=0.1, augmentation=shift, warmup_epochs=1),
    )
