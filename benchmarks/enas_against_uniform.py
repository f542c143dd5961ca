"""Does a learned controller help? ENAS against uniform sampling on one space, at equal cost, over three seeds.

Digits, the macro space of 6 layers and 16 channels. Both arms train shared weights, score equally many candidates on
the same search-validation images with BatchNorm recalibrated, and retrain the best from scratch. What the controller
spends on rewards, uniform sampling spends on more epochs of weights. Without arguments one seed; ``all`` is three, for
the table in ``results/enas_against_uniform.md``.
"""

from __future__ import annotations

import dataclasses
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from palmette.architecture import Architecture
from palmette.costs.limits import Limits
from palmette.data.images import Dataset
from palmette.data.options import Augmentation, Splits
from palmette.data.sources import load
from palmette.evaluation.from_scratch import train_alone
from palmette.evaluation.inherited import Inherited
from palmette.evaluation.score import score
from palmette.methods.enas import ENAS
from palmette.methods.job import Job, feasible_table, opened
from palmette.methods.single_path import SCORES, run_arm, trained_supernet, uniformly
from palmette.progress import Silent
from palmette.sampling.options import PolicyGradientOptions
from palmette.searches.random import RandomSearch, RandomSearchOptions
from palmette.searches.trial import Trial, best_first
from palmette.space import Space
from palmette.spaces.enas_macro import enas_macro
from palmette.storage.run_directory import RunDirectory
from palmette.training.loop import Watch, passes
from palmette.training.recipe import ArchitectureRecipe, Recipe

RECIPE = Recipe(epochs=12, batch_size=64, lr=0.1, warmup_epochs=1, augmentation=Augmentation(pad=1))
METHOD = ENAS(
    training=RECIPE,
    controller_training=ArchitectureRecipe(
        lr=5e-3, betas=(0.9, 0.999), weight_decay=0.0, batch_size=64, cadence="epoch", steps=10, warmup_epochs=1
    ),
    policy=PolicyGradientOptions(baseline_decay=0.9, entropy=1e-3, skip_weight=0.05),
    derived=16,
    rank_by="loss",
)
SEEDS = (0, 1, 2)


def uniform_epochs(data: Dataset) -> int:
    """Return the epochs of weights that cost what ENAS's epochs and rewards cost together."""
    learning = METHOD.controller_training
    turns = (RECIPE.epochs - learning.warmup_epochs) * learning.steps
    rewards = turns * METHOD.policy.samples * learning.batch_size
    return round(RECIPE.epochs * (1 + rewards / passes(data, RECIPE)))


def by_enas(job: Job) -> tuple[list[Trial], float]:
    found = METHOD.search(job)
    return job.journal.trials("enas"), found.passes


def by_uniform(job: Job) -> tuple[list[Trial], float]:
    recipe = dataclasses.replace(RECIPE, epochs=uniform_epochs(job.data))
    supernet, _ = trained_supernet(job, uniformly(job, recipe))
    options = RandomSearchOptions(evaluations=METHOD.derived)
    algorithm = RandomSearch(job.space.decisions, job.allows, options)
    inherited = Inherited(job.space, supernet, job.data)
    trials = run_arm(job, algorithm, inherited, name="random", evaluations=METHOD.derived)
    images = len(job.data.calibration) + len(job.data.validation)
    return trials, passes(job.data, recipe) + images * len(trials)


ARMS = {"ENAS": by_enas, "uniform": by_uniform}


def retrained(space: Space, data: Dataset, architecture: Architecture, seed: int) -> float:
    network = train_alone(space, architecture, data, RECIPE, seed=seed, watch=Watch())
    return score(network, data.test, data)["accuracy"]


def compare(seed: int) -> dict[str, dict[str, float]]:
    """Run both arms with one seed; return per arm what came out."""
    data = load("digits", splits=Splits(), seed=seed)
    space, results = enas_macro(layers=6, filters=16, channels=1), {}
    table = feasible_table(space, data, Limits({}), seed=seed)
    for name, arm in ARMS.items():
        began = time.process_time()
        with tempfile.TemporaryDirectory() as path:
            directory = RunDirectory.open(Path(path), {"arm": name})
            with opened(space, data, table, Limits({}), directory=directory, seed=seed, progress=Silent()) as job:
                trials, cost = arm(job)
        best = best_first(trials, SCORES["loss"])[0]
        middle = best_first(trials, SCORES["loss"])[len(trials) // 2]
        results[name] = {
            "passes": cost,
            "search seconds": time.process_time() - began,
            "mean shared accuracy": float(np.mean([trial.metrics["accuracy"] for trial in trials])),
            "best shared loss": best.metrics["loss"],
            "test accuracy of the best": retrained(space, data, best.architecture, seed),
            "test accuracy of a middling one": retrained(space, data, middle.architecture, seed),
            "flops of the best": float(table(best.architecture)["flops"]),
        }
        print(f"seed {seed} {name}: " + ", ".join(f"{k} {v:.6g}" for k, v in results[name].items()), flush=True)
    return results


def main() -> None:
    torch.set_num_threads(1)
    seeds = SEEDS if sys.argv[1:] == ["all"] else SEEDS[:1]
    results = [compare(seed) for seed in seeds]
    differences = [
        100 * (r["ENAS"]["test accuracy of the best"] - r["uniform"]["test accuracy of the best"]) for r in results
    ]
    mean = float(np.mean(differences))
    print(f"differences in points: {', '.join(f'{d:+.2f}' for d in differences)}")
    print(f"enas_against_uniform: {mean:+.2f} points of test accuracy for ENAS (target above 0)")


if __name__ == "__main__":
    main()
