"""How other methods take over the settings that a space has for SPOS: equal trainings, equal numbers of evaluations.

So that methods can be compared on a space without settings of their own. Papers' own settings for a space stand with
that space's recipe.
"""

from __future__ import annotations

from palmette.methods.fairnas import FairNAS
from palmette.methods.greedynas import GreedyNAS
from palmette.methods.spos import SPOS
from palmette.sampling.greedy import GreedyOptions
from palmette.searches.nsga2 import NSGA2Options

POOL = 100
"""Of GreedyNAS on NAS-Bench-Macro (sampling.md 5.7); the paper's 1,000 on ImageNet are a third of a small space."""


def spos(settings: SPOS) -> SPOS:
    """Return the settings as they are."""
    return settings


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


def _nsga2(settings: SPOS, objectives: tuple[str, ...]) -> NSGA2Options:
    evolution = settings.evolution
    if settings.rank_by == "loss":
        objectives = tuple("loss" if name == "accuracy" else name for name in objectives)
    return NSGA2Options(objectives=objectives, population=evolution.population, generations=evolution.generations)
