"""Settings of ProxylessNAS on ImageNet (gradient.md 9.9), in the form that all methods take over.

Random resized crops and colour jitter are not offered; crop and flip stand in for them.
"""

from __future__ import annotations

from palmette.methods.spos import SPOS
from palmette.recipes.mobile_choice import CROP_AND_FLIP
from palmette.training.recipe import Recipe


def proxyless() -> SPOS:
    """Return 120 epochs at batch 256 for the supernet, and 300 for the winner."""
    return SPOS(training=_recipe(120, 0.025, 5e-5), retraining=_recipe(300, 0.05, 4e-5))


def _recipe(epochs: int, lr: float, decay: float) -> Recipe:
    return Recipe(
        epochs=epochs, batch_size=256, lr=lr, weight_decay=decay, label_smoothing=0.1, augmentation=CROP_AND_FLIP
    )
