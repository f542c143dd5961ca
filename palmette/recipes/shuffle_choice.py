"""Settings of SPOS on ImageNet (Guo et al., 2020, section 4; sampling.md 2.5, 2.8).

Random resized crops and colour jitter of the original are not offered; crop and flip stand in for them.
"""

from __future__ import annotations

from palmette.data.options import Augmentation
from palmette.methods.spos import SPOS
from palmette.sampling.widening import WideningOptions
from palmette.training.recipe import Recipe


def shuffle_choice() -> SPOS:
    """Return SPOS with 120 epochs for the supernet and 240 for the winner, at batch 1024."""
    return SPOS(training=_recipe(120), retraining=_recipe(240))


def shuffle_channels() -> SPOS:
    """Return the same for the spaces of widths: full width for half of the training, all widths from three quarters.

    Widening is what users report that joint training needs (sampling.md 2.10); where it ends is not known.
    """
    return SPOS(training=_recipe(120), widening=WideningOptions(full=0.5, opened=0.75), retraining=_recipe(240))


def _recipe(epochs: int) -> Recipe:
    return Recipe(
        epochs=epochs,
        batch_size=1024,
        lr=0.5,
        nesterov=False,
        weight_decay=4e-5,
        schedule="linear",
        label_smoothing=0.1,
        augmentation=Augmentation(pad=16, flip=True),
    )
