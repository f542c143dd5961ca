"""Settings for the small spaces: a whole search in under two minutes on two CPU cores."""

from __future__ import annotations

from dataclasses import replace

from palmette.data.options import Augmentation
from palmette.methods.spos import SPOS
from palmette.sampling.widening import WideningOptions
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


def small_widths() -> SPOS:
    """Return the same for the small space of widths, which are opened one after another in the first half."""
    return replace(small_images(), widening=WideningOptions(full=0.1, opened=0.5))


def small_bits() -> SPOS:
    """Return the same for the small space of bits, with decay of all parameters: of the clips of PACT, too."""
    settings = small_images()
    return replace(
        settings,
        training=replace(settings.training, decay_everything=True),
        retraining=replace(settings.retraining, decay_everything=True),
    )
