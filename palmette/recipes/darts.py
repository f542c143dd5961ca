"""Settings of the DARTS cells (Liu et al., 2019, appendix A; gradient.md 3.5), in the form that all methods take over.

The paper searches with half of the training images for the weights and half for the architecture, as the command line
does by default on these spaces (``--splits.validation``), and retrains on all of them; here images held out stay held
out. The random resized crops and colour jitter of its ImageNet training are not offered, crop and flip stand in for
them; the learning rate there falls along a cosine, not by 3% an epoch.
"""

from __future__ import annotations

from dataclasses import replace

from palmette.data.options import Augmentation
from palmette.methods.spos import SPOS
from palmette.searches.evolution import EvolutionOptions
from palmette.training.recipe import Recipe

SEARCH = Recipe(
    epochs=50,
    batch_size=64,
    lr=0.025,
    nesterov=False,
    weight_decay=3e-4,
    decay_everything=True,
    clip_norm=5.0,
    augmentation=Augmentation(pad=4, flip=True),
)


def darts() -> SPOS:
    """Return 50 epochs at batch 64 for the supernet, and 600 at batch 96 for the winner, with all that they add."""
    cutout = Augmentation(pad=4, flip=True, cutout=16)
    final = replace(SEARCH, epochs=600, batch_size=96, augmentation=cutout, auxiliary_weight=0.4, drop_path=0.2)
    return SPOS(training=SEARCH, retraining=final)


def darts_imagenet() -> SPOS:
    """Return the same search, and 250 epochs at batch 128 for the winner."""
    search = replace(SEARCH, augmentation=Augmentation(pad=16, flip=True))
    final = replace(
        search, epochs=250, batch_size=128, lr=0.1, weight_decay=3e-5, label_smoothing=0.1, auxiliary_weight=0.4
    )
    return SPOS(training=search, retraining=final)


def darts_small() -> SPOS:
    """Return a reduced recipe, minutes on a CPU for some thousand images: it shows that the parts work."""
    return SPOS(
        training=replace(SEARCH, epochs=4),
        evolution=EvolutionOptions(population=20, generations=3, mutants=10, crossovers=10),
        rank_by="loss",
        retraining=replace(SEARCH, epochs=8, auxiliary_weight=0.4, drop_path=0.1),
    )
