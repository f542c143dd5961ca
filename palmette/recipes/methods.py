"""How other methods take over the settings that a space has for SPOS: equal trainings, equal numbers of evaluations.

So that methods can be compared on a space without settings of their own. Papers' own settings for a space stand with
that space's recipe.
"""

from __future__ import annotations

import dataclasses

from palmette.methods.enas import ENAS
from palmette.methods.fairnas import FairNAS
from palmette.methods.fbnet import FBNet
from palmette.methods.greedynas import GreedyNAS
from palmette.methods.proxylessnas import ProxylessNAS
from palmette.methods.random_training import RandomTraining
from palmette.methods.smash import SMASH, adam
from palmette.methods.spos import SPOS
from palmette.relaxations.temperature import Temperature
from palmette.sampling.greedy import GreedyOptions
from palmette.sampling.options import PolicyGradientOptions
from palmette.searches.nsga2 import NSGA2Options
from palmette.searches.perturbation import PerturbationOptions
from palmette.supernets.options import HyperNetOptions
from palmette.training.recipe import ArchitectureRecipe

FBNET_EPOCHS = 90
LONG = 90
"""Epochs from which the papers' rates of architecture parameters are taken."""
SHORT_RATE = 0.02
"""Adam's for architecture parameters, where there are fewer."""
SMALL_HYPERNETWORK = HyperNetOptions(growth=8, layers=(3, 3, 2))
"""Of SMASH on spaces that are searched with fewer than ``LARGE`` evaluations: networks so small need no larger one."""
SMALL_EPSILON = 1e-8
"""Of Adam there, for hundreds of steps instead of the paper's 90,000. The rate is the paper's: at three times that,
what all architectures have in common was learned so fast that weights hardly differed (results/smash.md)."""
LARGE = 500
POOL = 100
"""Of GreedyNAS on NAS-Bench-Macro (sampling.md 5.7); the paper's 1,000 on ImageNet are a third of a small space."""


def spos(settings: SPOS) -> SPOS:
    """Return the settings as they are."""
    return settings


def random(settings: SPOS) -> RandomTraining:
    """Return random search that trains networks alone, each for a third of the epochs that the winner gets."""
    recipe = settings.retraining
    third = dataclasses.replace(recipe, epochs=max(1, recipe.epochs // 3))
    return RandomTraining(training=third, rank_by=settings.rank_by, retraining=recipe)


def fairnas(settings: SPOS) -> FairNAS:
    """Return FairNAS at the cost of the given SPOS; accuracy, FLOPs and parameters are its objectives (section 4)."""
    return FairNAS(
        training=settings.training,
        nsga2=_nsga2(settings, ("accuracy", "flops", "params")),
        rank_by=settings.rank_by,
        retraining=settings.retraining,
    )


def greedynas(settings: SPOS) -> GreedyNAS:
    """Return GreedyNAS with at most the training of the given SPOS, and as many evaluations."""
    return GreedyNAS(
        training=settings.training,
        greedy=GreedyOptions(pool=POOL),
        nsga2=_nsga2(settings, (settings.rank_by,)),
        rank_by=settings.rank_by,
        retraining=settings.retraining,
    )


def fbnet(settings: SPOS) -> FBNet:
    """Return FBNet with the trainings of the given SPOS; a ninth of the epochs is warm-up (10 of 90 in the paper).

    Its temperature falls as far as in the paper, also where there are fewer epochs.
    """
    training = dataclasses.replace(settings.training, nesterov=False)
    epochs = training.epochs
    return FBNet(
        training=training,
        architecture=dataclasses.replace(
            FBNet().architecture,
            lr=0.01 if epochs >= LONG else SHORT_RATE,
            batch_size=training.batch_size,
            warmup_epochs=epochs // 9,
            augmentation=training.augmentation,
        ),
        temperature=Temperature(rate=0.045 * max(1.0, FBNET_EPOCHS / epochs)),
        rank_by=settings.rank_by,
        retraining=settings.retraining,
    )


def fbnetv2(settings: SPOS) -> FBNet:
    """Return FBNetV2: FBNet, of which the most likely architecture is taken; for spaces with widths and resolutions."""
    return dataclasses.replace(fbnet(settings), candidates=1, name="fbnetv2")


def proxylessnas(settings: SPOS) -> ProxylessNAS:
    """Return ProxylessNAS with the trainings of the given SPOS; a quarter of the epochs is warm-up (40 of 160).

    Where there are few epochs, architecture steps are more and larger, so that the logits can move as far.
    """
    training, is_long = settings.training, settings.training.epochs >= LONG
    return ProxylessNAS(
        training=training,
        architecture=dataclasses.replace(
            ProxylessNAS().architecture,
            lr=1e-3 if is_long else SHORT_RATE,
            every=5 if is_long else 1,
            batch_size=training.batch_size,
            warmup_epochs=training.epochs // 4,
            augmentation=training.augmentation,
        ),
        rank_by=settings.rank_by,
        retraining=settings.retraining,
    )


def smash(settings: SPOS) -> SMASH:
    """Return SMASH with as much training and as many evaluations: 5 random to 1 perturbed and 1 of the chain."""
    evaluations = settings.evolution.evaluations
    varied, is_large = evaluations // 7, evaluations >= LARGE
    training = adam(dataclasses.replace(settings.training, warmup_epochs=0))
    return SMASH(
        training=training if is_large else dataclasses.replace(training, epsilon=SMALL_EPSILON),
        hypernetwork=HyperNetOptions() if is_large else SMALL_HYPERNETWORK,
        perturbation=PerturbationOptions(random=evaluations - 2 * varied, perturbed=varied, chain=varied),
        rank_by=settings.rank_by,
        retraining=settings.retraining,
    )


def enas(settings: SPOS) -> ENAS:
    """Return ENAS with the training of the given SPOS, and a third of its evaluations in the end.

    The controller learns faster than in the paper, for trainings here are shorter: its rate is that of the released
    micro search.
    """
    learning = ArchitectureRecipe(
        lr=3.5e-3, betas=(0.9, 0.999), weight_decay=0.0, batch_size=64, cadence="epoch", steps=10
    )
    return ENAS(
        training=settings.training,
        controller_training=learning,
        policy=PolicyGradientOptions(baseline_decay=0.95, entropy=1e-3),
        derived=max(1, settings.evolution.evaluations // 3),
        rank_by=settings.rank_by,
        retraining=settings.retraining,
    )


def _nsga2(settings: SPOS, objectives: tuple[str, ...]) -> NSGA2Options:
    evolution = settings.evolution
    if settings.rank_by == "loss":
        objectives = tuple("loss" if name == "accuracy" else name for name in objectives)
    return NSGA2Options(objectives=objectives, population=evolution.population, generations=evolution.generations)
