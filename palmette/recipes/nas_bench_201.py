"""Settings of NAS-Bench-201 on CIFAR-10.

The supernet is trained as its authors trained that of GDAS, but for the epochs (gradient.md 11.3: 250); the retraining
is that of the benchmark's own networks as far as the notes have it.
"""

from __future__ import annotations

from palmette.data.options import Augmentation
from palmette.methods.spos import SPOS
from palmette.training.recipe import Recipe


def nas_bench_201() -> SPOS:
    """Return SPOS with 50 epochs for the supernet and 200 for the winner."""
    crop_and_flip = Augmentation(pad=4, flip=True)
    return SPOS(
        training=Recipe(epochs=50, batch_size=64, lr=0.025, clip_norm=5.0, augmentation=crop_and_flip),
        retraining=Recipe(epochs=200, batch_size=256, lr=0.1, decay_everything=True, augmentation=crop_and_flip),
    )
