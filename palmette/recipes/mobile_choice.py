"""Settings of GreedyNAS and FairNAS on ImageNet (sampling.md 3.7 and 4), in the form that all methods take over.

Random resized crops of the originals are not offered; crop and flip stand in for them. GreedyNAS retrains networks with
squeeze-and-excitation by RMSprop, which is not offered either; both spaces have the recipe of the plain one here. The
supernet recipe of FairNAS could not be checked against its paper.
"""

from __future__ import annotations

from palmette.data.options import Augmentation
from palmette.methods.spos import SPOS
from palmette.training.recipe import Recipe

CROP_AND_FLIP = Augmentation(pad=16, flip=True)


def greedy_mobile() -> SPOS:
    """Return 120 epochs at batch 1024 for the supernet and 300 at batch 512 for the winner."""
    return SPOS(
        training=Recipe(
            epochs=120, batch_size=1024, lr=0.12, weight_decay=4e-5, label_smoothing=0.1, augmentation=CROP_AND_FLIP
        ),
        retraining=Recipe(
            epochs=300,
            batch_size=512,
            lr=0.2,
            weight_decay=5e-5,
            warmup_epochs=5,
            label_smoothing=0.1,
            augmentation=CROP_AND_FLIP,
        ),
    )


def fair_mobile() -> SPOS:
    """Return 150 epochs at batch 256 for the supernet, and the retraining of ``greedy_mobile``."""
    return SPOS(
        training=Recipe(
            epochs=150, batch_size=256, lr=0.045, nesterov=False, weight_decay=4e-5, augmentation=CROP_AND_FLIP
        ),
        retraining=greedy_mobile().retraining,
    )
