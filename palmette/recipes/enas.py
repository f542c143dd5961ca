"""Settings of ENAS's convolutional spaces on CIFAR-10 (enas.md 3.3), in the form that all methods take over.

Weight decay is twice the authors' L2 factor, which multiplies the plain sum of squares of all parameters. Clipping of
gradients at 5 is coded there but without effect; it works here. At the papers' sizes these are recipes for a GPU.
"""

from __future__ import annotations

from palmette.data.options import Augmentation
from palmette.methods.spos import SPOS
from palmette.training.recipe import Recipe

_CIFAR = Augmentation(pad=4, flip=True)


def _recipe(
    epochs: int, batch: int, lr_min: float, l2: float, *, auxiliary: float = 0.0, drop_path: float = 0.0
) -> Recipe:
    return Recipe(
        epochs=epochs,
        batch_size=batch,
        lr=0.05,
        lr_min=lr_min,
        schedule="restarts",
        weight_decay=2 * l2,
        decay_everything=True,
        clip_norm=5.0,
        auxiliary_weight=auxiliary,
        drop_path=drop_path,
        augmentation=_CIFAR,
    )


def enas_macro() -> SPOS:
    """Return 310 epochs at batch 128 for the supernet and at batch 100 for the winner."""
    return SPOS(training=_recipe(310, 128, 5e-4, 2.5e-4), retraining=_recipe(310, 100, 1e-3, 2e-4))


def enas_micro() -> SPOS:
    """Return 150 epochs at batch 160 for the supernet; 630 at batch 144 for the winner, with its auxiliary head."""
    winner = _recipe(630, 144, 1e-4, 2e-4, auxiliary=0.4, drop_path=0.4)
    return SPOS(training=_recipe(150, 160, 5e-4, 1e-4), retraining=winner)


def enas_small() -> SPOS:
    """Return 30 epochs each for supernet and winner: the small spaces on digits or CIFAR-10."""
    recipe = Recipe(epochs=30, batch_size=64, lr=0.05, warmup_epochs=1, augmentation=Augmentation(pad=1))
    return SPOS(training=recipe, rank_by="loss", retraining=recipe)
