"""Settings of DARTS and its repairs for a space that has settings for SPOS: equal training of the weights.

The settings of the architecture's steps are the papers' (gradient.md 3.5, 11.2 to 11.7). Trainings shorter than the 50
epochs of DARTS take a larger rate, so that the logits can move as far.
"""

from __future__ import annotations

import dataclasses

from palmette.methods.darts import DARTS
from palmette.methods.spos import SPOS
from palmette.relaxations.temperature import gdas_temperature
from palmette.training.recipe import ArchitectureRecipe

EPOCHS = 50
"""Of DARTS on CIFAR-10."""
CLIP_NORM = 5.0
"""Of the weights' gradient, where a space's settings have none of their own."""
SHORT_RATE = 0.01
"""Adam's, where there are fewer."""
WARMUP_SHARE = 0.3
"""Of PC-DARTS's epochs, in which the architecture waits: 15 of 50."""


def darts(settings: SPOS) -> DARTS:
    """Return DARTS, first order (Liu et al., 2019)."""
    clip_norm = settings.training.clip_norm or CLIP_NORM
    training = dataclasses.replace(settings.training, nesterov=False, clip_norm=clip_norm)
    architecture = ArchitectureRecipe(
        lr=3e-4 if training.epochs >= EPOCHS else SHORT_RATE,
        batch_size=training.batch_size,
        augmentation=training.augmentation,
    )
    return DARTS(training=training, architecture=architecture, rank_by=settings.rank_by, retraining=settings.retraining)


def r_darts(settings: SPOS) -> DARTS:
    """Return DARTS with the stopping rule of Zela et al. (2020)."""
    return dataclasses.replace(darts(settings), collapse="stop", name="r-darts")


def gdas(settings: SPOS) -> DARTS:
    """Return GDAS (Dong & Yang, 2019): one option at a time, straight through a Gumbel-softmax from 10 to 0.1.

    Deviation: the architecture steps come before those of the weights, as in DARTS, and not after them.
    """
    base = darts(settings)
    training = dataclasses.replace(base.training, nesterov=base.training.momentum > 0)
    return dataclasses.replace(
        base, training=training, relaxation="straight_through", temperature=gdas_temperature(), name="gdas"
    )


def pc_darts(settings: SPOS) -> DARTS:
    """Return PC-DARTS (Xu et al., 2020): a quarter of the channels, the architecture waits for 0.3 of the epochs.

    Deviations: without edge normalisation, the weights beta that a cell's edges have beside those of their operations;
    not on cells of DARTS; batch and rate of the weights are the space's, not 256 and 0.1.
    """
    base = darts(settings)
    wait = int(WARMUP_SHARE * base.training.epochs)
    rate = 2 * base.architecture.lr if base.training.epochs >= EPOCHS else SHORT_RATE
    architecture = dataclasses.replace(base.architecture, lr=rate, warmup_epochs=wait)
    return dataclasses.replace(base, architecture=architecture, partial_channels=4, name="pc-darts")


def darts_minus(settings: SPOS) -> DARTS:
    """Return DARTS- (Chu et al., 2021): an auxiliary skip that fades away."""
    return dataclasses.replace(darts(settings), auxiliary_skip=True, name="darts-minus")


def fairdarts(settings: SPOS) -> DARTS:
    """Return FairDARTS (Chu et al., 2020): independent weights, driven to 0 or 1.

    Deviation: the best option of every decision is kept, however small its weight; a decision without one has no place
    in most spaces.
    """
    base = darts(settings)
    architecture = dataclasses.replace(base.architecture, lr=max(3e-3, base.architecture.lr), betas=(0.9, 0.999))
    return dataclasses.replace(base, architecture=architecture, relaxation="sigmoid", zero_one=10.0, name="fairdarts")


def drnas(settings: SPOS) -> DARTS:
    """Return DrNAS (Chen et al., 2021): weights drawn from a Dirichlet distribution.

    Deviation: without the second, wider stage on a part of the options.
    """
    base = darts(settings)
    architecture = dataclasses.replace(base.architecture, lr=max(6e-4, base.architecture.lr))
    return dataclasses.replace(base, architecture=architecture, relaxation="dirichlet", name="drnas")
