"""Searches by name, as ``palmette compare --searches`` takes them: ``evolution``, ``predictor:gaussian-process``, ...

All breed or fit in generations of 20, so that 100 evaluations are several generations.
"""

from __future__ import annotations

from palmette.decisions import Decisions
from palmette.errors import PalmetteError
from palmette.searches.evolution import Evolution, EvolutionOptions
from palmette.searches.nsga2 import NSGA2, NSGA2Options
from palmette.searches.optuna_sampler import OptunaOptions, OptunaSearch
from palmette.searches.predictor import FOLDS, PredictorOptions, PredictorSearch
from palmette.searches.random import RandomSearch, RandomSearchOptions
from palmette.searches.trial import Allows, SearchAlgorithm, Trial

NAMES = "random, evolution, nsga2, nsga2:accuracy+flops, predictor:REGRESSOR, optuna:SAMPLER"
GENERATION = 20


def named_search(name: str, decisions: Decisions, allows: Allows, *, evaluations: int) -> SearchAlgorithm:
    """Return a search for the best accuracy.

    Raises:
        PalmetteError: an unknown name or variant.
    """
    kind, _, variant = name.partition(":")
    size = min(GENERATION, evaluations)
    generations = -(-evaluations // size) - 1
    match kind:
        case "random" if not variant:
            return RandomSearch(decisions, allows, RandomSearchOptions(evaluations=max(1, evaluations)))
        case "evolution" if not variant:
            bred = EvolutionOptions(
                population=size, generations=generations, mutants=size // 2, crossovers=size - size // 2
            )
            return Evolution(decisions, allows, accuracy, bred)
        case "nsga2":
            objectives = tuple((variant or "accuracy").split("+"))
            options = NSGA2Options(objectives=objectives, population=size, generations=generations)
            return NSGA2(decisions, allows, options)
        case "predictor":
            fitted = PredictorOptions(
                regressor=variant or "ridge",  # type: ignore[arg-type]  # it refuses what it does not know
                first=max(2 * FOLDS, min(50, evaluations // 2)),
                evaluations=evaluations,
            )
            return PredictorSearch(decisions, allows, accuracy, fitted)
        case "optuna":
            asked = OptunaOptions(sampler=variant or "TPESampler", generation=size, evaluations=evaluations)
            return OptunaSearch(decisions, allows, accuracy, asked)
    raise PalmetteError(f"searches: {name!r} is unknown; allowed are {NAMES}")


def accuracy(trial: Trial) -> float:
    return trial.metrics["accuracy"]
