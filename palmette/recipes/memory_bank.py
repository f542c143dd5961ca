"""Settings of memory-bank networks (SMASH, Brock et al., 2018; smash.md 7, 8 and 9), in the form all methods take over.

``smash`` makes of them what the released code does: Adam for the hypernetwork, 500 random, 100 perturbed and 100
chained evaluations. The lengths for STL-10, ModelNet10 and ImageNet 32x32 could not be checked against the paper. Data:
files in the layouts of ``palmette data``, or the hub, by the names in ``DATA`` (not checked, for lack of a network).

Deviations for ModelNet10: voxels are normalised by mean and deviation, shifted and mirrored, not rotated.
"""

from __future__ import annotations

from dataclasses import replace

from palmette.data.options import Augmentation
from palmette.methods.spos import SPOS
from palmette.searches.evolution import EvolutionOptions
from palmette.training.recipe import Recipe

DATA = {
    "CIFAR-10": "hub:uoft-cs/cifar10",
    "CIFAR-100": "hub:uoft-cs/cifar100:fine_label",
    "STL-10": "hub:tanganke/stl10",
    "ImageNet 32x32": "hub:benjamin-paine/imagenet-1k-32x32",
    "ModelNet10": "modelnet10_vox30.npz",
}
"""What ``--data`` is given; ModelNet10 as voxels packed to bits in a file."""
EVALUATIONS = EvolutionOptions(population=50, generations=13)
"""700 in all."""


def cifar() -> SPOS:
    """Return 100 epochs at batch 50 for the supernet and 300 for the winner; CIFAR-10 and CIFAR-100."""
    return _settings(Augmentation(pad=4, flip=True), searching=100, retraining=300)


def stl10() -> SPOS:
    """Return the settings for STL-10, 96x96: 300 epochs for the winner trained on all 5,000 images."""
    return _settings(Augmentation(pad=12, flip=True), searching=100, retraining=300)


def imagenet32() -> SPOS:
    """Return the settings for ImageNet 32x32: 55 epochs for the winner."""
    return _settings(Augmentation(pad=4, flip=True), searching=55, retraining=55)


def modelnet10() -> SPOS:
    """Return the settings for voxels: 100 epochs for both, shifts by 2."""
    return _settings(Augmentation(pad=2, flip=True), searching=100, retraining=100)


def small() -> SPOS:
    """Return settings for 8x8 digits on a CPU, minutes in all."""
    shift = Augmentation(pad=1)
    return SPOS(
        training=Recipe(epochs=48, batch_size=50, augmentation=shift),
        evolution=EvolutionOptions(population=20, generations=5, mutants=10, crossovers=10),
        rank_by="loss",
        retraining=Recipe(epochs=12, batch_size=50, lr=0.1, augmentation=shift, warmup_epochs=1),
    )


def _settings(augmentation: Augmentation, *, searching: int, retraining: int) -> SPOS:
    recipe = Recipe(batch_size=50, lr=0.1, weight_decay=1e-4, augmentation=augmentation, decay_everything=True)
    return SPOS(
        training=replace(recipe, epochs=searching),
        evolution=EVALUATIONS,
        retraining=replace(recipe, epochs=retraining),
    )
