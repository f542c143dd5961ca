"""Settings of FBNet's space (gradient.md 7.3), in the form that all methods take over; FBNet's own are its defaults.

Most figures come from reimplementations, for the paper does not give them. Random resized crops of ImageNet are not
offered; crop and flip stand in for them. The paper lowers the learning rate of retraining in three steps, here it falls
as a cosine.
"""

from __future__ import annotations

from palmette.data.options import Augmentation
from palmette.methods.fbnet import FBNet
from palmette.methods.spos import SPOS
from palmette.recipes.mobile_choice import CROP_AND_FLIP
from palmette.training.recipe import ArchitectureRecipe, Recipe


def fbnet() -> SPOS:
    """Return 90 epochs at batch 192 for the supernet (100 classes of ImageNet), 360 at batch 256 for the winner."""
    return SPOS(
        training=Recipe(
            epochs=90, batch_size=192, lr=0.1, nesterov=False, weight_decay=1e-4, augmentation=CROP_AND_FLIP
        ),
        retraining=Recipe(
            epochs=360, batch_size=256, lr=0.1, nesterov=False, weight_decay=4e-5, augmentation=CROP_AND_FLIP
        ),
    )


def fbnet_imagenet() -> FBNet:
    """Return FBNet on 100 classes of ImageNet: 10 epochs of weights only, then 80 with a pass of the logits after each.

    A fifth of the training part is for the logits (``--splits.validation 0.2``).
    """
    return FBNet(
        training=fbnet().training,
        architecture=ArchitectureRecipe(
            lr=0.01, betas=(0.9, 0.999), weight_decay=5e-4, batch_size=192, cadence="epoch", warmup_epochs=10
        ),
        candidates=6,
        retraining=fbnet().retraining,
    )


def small_mobile() -> SPOS:
    """Return 50 epochs each for supernet and winner on CIFAR-10, for the mobile spaces with strides for 32 x 32."""
    crop_and_flip = Augmentation(pad=4, flip=True)
    recipe = Recipe(epochs=50, batch_size=128, lr=0.05, weight_decay=3e-4, augmentation=crop_and_flip)
    return SPOS(training=recipe, retraining=recipe)
