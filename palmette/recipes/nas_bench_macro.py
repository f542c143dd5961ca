"""Settings of NAS-Bench-Macro on CIFAR-10.

The supernet follows the benchmark's authors (Su et al., 2021; sampling.md 5.7), the retraining is the one that the
table of true accuracies was made with (5.3), but for the images held out of its training.
"""

from __future__ import annotations

from palmette.data.options import Augmentation
from palmette.methods.spos import SPOS
from palmette.training.recipe import Recipe


def nas_bench_macro() -> SPOS:
    """Return SPOS with 50 epochs for the supernet and 50 for the winner."""
    crop_and_flip = Augmentation(pad=4, flip=True)
    return SPOS(
        training=Recipe(epochs=50, batch_size=256, lr=0.1, augmentation=crop_and_flip),
        retraining=Recipe(
            epochs=50, batch_size=256, lr=0.1, nesterov=False, decay_everything=True, augmentation=crop_and_flip
        ),
    )
