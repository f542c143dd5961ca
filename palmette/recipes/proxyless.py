"""Settings of ProxylessNAS on ImageNet (gradient.md 9.9), in the form that all methods take over.

Random resized crops and colour jitter are not offered; crop and flip stand in for them.
"""

from __future__ import annotations

from palmette.costs.hardware_loss import HardwareLoss
from palmette.methods.proxylessnas import ProxylessNAS
from palmette.methods.spos import SPOS
from palmette.recipes.mobile_choice import CROP_AND_FLIP
from palmette.training.recipe import ArchitectureRecipe, Recipe


def proxyless() -> SPOS:
    """Return 120 epochs at batch 256 for the supernet, and 300 for the winner."""
    return SPOS(training=_recipe(120, 0.025, 5e-5), retraining=_recipe(300, 0.05, 4e-5))


def proxylessnas_imagenet() -> ProxylessNAS:
    """Return the script's settings for ImageNet: 40 epochs of warm-up, then 120; an architecture step every 5.

    The cost is FLOPs here, with the script's target of 300 million; latency on a device needs a table of it.
    Search-validation images are 50,000 of the training part (``--splits.validation 50000``).
    """
    return ProxylessNAS(
        training=_recipe(160, 0.05, 5e-5),
        architecture=ArchitectureRecipe(
            lr=1e-3, betas=(0.0, 0.999), weight_decay=0.0, batch_size=256, every=5, warmup_epochs=40
        ),
        rule="all-paths",
        hardware=HardwareLoss(form="relative", alpha=0.1, target=300e6),
        retraining=proxyless().retraining,
    )


def _recipe(epochs: int, lr: float, decay: float) -> Recipe:
    return Recipe(
        epochs=epochs, batch_size=256, lr=lr, weight_decay=decay, label_smoothing=0.1, augmentation=CROP_AND_FLIP
    )
