"""Does a learned controller help? ENAS against uniform sampling on one space, at equal cost, over three seeds.

The macro space of 6 layers and 16 channels. Both arms train shared weights, score equally many candidates on the same
search-validation images with BatchNorm recalibrated, and retrain the best from scratch. What the controller spends on
rewards, uniform sampling spends on more epochs of weights. Finished arms are kept in a file, if one is named, and a
second call goes on after them.

    python benchmarks/enas_against_uniform.py                     # digits, one seed
    python benchmarks/enas_against_uniform.py digits [RUNS.json]  # three seeds, for results/enas_against_uniform.md
    python benchmarks/enas_against_uniform.py cifar10 [RUNS.json] # the CIFAR-10 images of ../shared/data, at 16x16
"""

from __future__ import annotations

import dataclasses
import json
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from scipy import stats

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
from palmette.storage.atomic import write_text
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
CIFAR10 = Path(__file__).resolve().parents[2] / "shared" / "data" / "cifar10" / "cifar10_exact_subset.npz"
DATA: dict[str, tuple[str, int | None]] = {"digits": ("digits", None), "cifar10": (str(CIFAR10), 16)}
"""Where the images are from, and their height and width if they are made smaller."""
BEST, MIDDLING = "test accuracy of the best", "test accuracy of a middling one"


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
    assert isinstance(job.data, Dataset)
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


def run(source: str, seed: int, arm: str) -> dict[str, float]:
    """Search and retrain by one arm with one seed; return what came out."""
    where, size = DATA[source]
    data = load(where, splits=Splits(), seed=seed, image_size=size)
    space = enas_macro(layers=6, filters=16, channels=data.input_shape[0], classes=len(data.classes))
    table = feasible_table(space, data, Limits({}), seed=seed)
    began = time.process_time()
    with tempfile.TemporaryDirectory() as path:
        directory = RunDirectory.open(Path(path), {"arm": arm})
        with opened(space, data, table, Limits({}), directory=directory, seed=seed, progress=Silent()) as job:
            trials, cost = ARMS[arm](job)
    searching = time.process_time() - began
    ranked = best_first(trials, SCORES["loss"])
    best, middle = ranked[0], ranked[len(trials) // 2]
    return {
        "passes": cost,
        "search seconds": searching,
        "mean shared accuracy": float(np.mean([trial.metrics["accuracy"] for trial in trials])),
        "mean shared loss": float(np.mean([trial.metrics["loss"] for trial in trials])),
        BEST: retrained(space, data, best.architecture, seed),
        MIDDLING: retrained(space, data, middle.architecture, seed),
        "flops of the best": float(table(best.architecture)["flops"]),
        "mean flops": float(np.mean([table(trial.architecture)["flops"] for trial in trials])),
    }


def main() -> None:
    torch.set_num_threads(1)
    source = (sys.argv[1:] or ["digits"])[0]
    if source not in DATA:
        sys.exit(f"enas_against_uniform: {source!r} was given; allowed are {', '.join(DATA)}")
    seeds = SEEDS if sys.argv[1:] else SEEDS[:1]
    file = Path(sys.argv[2]) if sys.argv[2:] else None
    runs: dict[str, dict[str, float]] = json.loads(file.read_text()) if file and file.exists() else {}
    for seed in seeds:
        for arm in ARMS:
            name = f"{source} seed {seed} {arm}"
            if name not in runs:
                runs[name] = run(source, seed, arm)
                if file:
                    write_text(file, json.dumps(runs, indent=1) + "\n")
            print(f"{name}: " + ", ".join(f"{k} {v:.6g}" for k, v in runs[name].items()), flush=True)
    for figure in (MIDDLING, BEST):
        of = {arm: np.array([100 * runs[f"{source} seed {seed} {arm}"][figure] for seed in seeds]) for arm in ARMS}
        print(f"{figure}: " + ", ".join(f"{arm} {values.mean():.2f}" for arm, values in of.items()), flush=True)
        differences = of["ENAS"] - of["uniform"]
        print(f"  differences in points: {', '.join(f'{d:+.2f}' for d in differences)}{_interval(differences)}")
    print(f"enas_against_uniform: {differences.mean():+.2f} points of test accuracy for ENAS (target above 0)")


def _interval(differences: np.ndarray) -> str:
    """Return the 95% interval of their mean over seeds by Student's t in words, nothing for one seed."""
    if len(differences) < 2:
        return ""
    half = stats.t.ppf(0.975, len(differences) - 1) * differences.std(ddof=1) / np.sqrt(len(differences))
    mean = differences.mean()
    return f"; mean {mean:+.2f} (95% interval {mean - half:+.2f} to {mean + half:+.2f})"


if __name__ == "__main__":
    main()
