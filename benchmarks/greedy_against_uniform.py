"""Does GreedyNAS's filtering of paths rank better than uniform sampling at equal cost?

Both supernets cost the same: images that are only scored (forward, common layers of the ten paths of a round computed
once) count the share of an image trained that they take; so the greedy one trains fewer steps. Every run writes its
figures and scores to a file, and a second call goes on after the last whole run.

    python benchmarks/greedy_against_uniform.py                    # one seed, few epochs and networks: machinery only
    python benchmarks/greedy_against_uniform.py digits [RUNS.json] # 3 seeds on digits, networks trained alone as truth
    python benchmarks/greedy_against_uniform.py full [RUNS.json]   # 3 seeds on NAS-Bench-Macro, its table as truth

Without a GPU CIFAR-10 is reduced to 16x16, which the true accuracies (at 32x32) are not; with one, ``full`` is the
benchmark's recipe on all images that are given: 50 epochs at batch 256, all 3,969 networks. Results:
results/greedy_against_uniform.md.
"""

from __future__ import annotations

import dataclasses
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy import stats

from palmette.architecture import Architecture
from palmette.costs.complexity import CostTable
from palmette.data.images import Dataset
from palmette.data.options import Splits
from palmette.data.sources import load
from palmette.evaluation.audit import read_table
from palmette.evaluation.from_scratch import train_alone
from palmette.evaluation.inherited import Inherited
from palmette.evaluation.ranking import kendall_tau_b, regret
from palmette.evaluation.score import Metrics, score
from palmette.recipes.nas_bench_macro import nas_bench_macro as recipe
from palmette.recipes.small_images import small_images as small_images_recipe
from palmette.sampling.greedy import GreedyOptions, GreedySampler
from palmette.sampling.uniform import UniformSampler
from palmette.space import Space
from palmette.spaces.nas_bench_macro import nas_bench_macro
from palmette.spaces.small_images import small_images
from palmette.storage.atomic import write_text
from palmette.training.loop import Watch, place, steps_of
from palmette.training.recipe import Recipe
from palmette.training.supernet import train_greedily, train_supernet

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
TABLE = SHARED / "nas_bench_macro" / "nas_bench_macro_cifar10.csv"
IMAGES = SHARED / "cifar10" / "cifar10_exact_subset.npz"
SLICES = {"whole": 1.0, "top half": 0.5, "top 10%": 0.1}


@dataclasses.dataclass(frozen=True)
class Setting:
    """How large the comparison is."""

    seeds: Sequence[int]
    epochs: int
    """Of the uniform supernet."""
    batch_size: int
    networks: int
    scored_images: int
    """That a path is scored on while the greedy supernet trains."""
    image_size: int | None
    device: str
    forward: float = 0.12
    """Cost of scoring one image by one path, in images trained, measured on one CPU thread."""
    digits: bool = False
    """Digits and their small space instead of CIFAR-10 and NAS-Bench-Macro."""

    def greedy_epochs(self, greedy: GreedyOptions) -> float:
        """Return the epochs of equal cost."""
        per_step = greedy.paths * self.scored_images * self.forward / (greedy.kept * self.batch_size)
        return self.epochs / (1 + (1 - greedy.warmup) * per_step)


SHORT = Setting((0,), 3, 64, 40, 128, 16, "cpu")
FULL = Setting((0, 1, 2), 14, 64, 200, 128, 16, "cpu")
ON_GPU = Setting((0, 1, 2), 50, 256, 3969, 1000, None, "cuda")
DIGITS = Setting((0, 1, 2), 32, 64, 40, 128, None, "cpu", forward=0.18, digits=True)
ALONE_EPOCHS, ALONE_SEEDS = 6, (0, 1)
"""Of the networks trained alone on digits."""


def main() -> None:
    wanted, *rest = sys.argv[1:] or ["short"]
    settings = {"short": SHORT, "digits": DIGITS, "full": ON_GPU if torch.cuda.is_available() else FULL}
    setting = settings[wanted]
    torch.set_num_threads(1 if setting.device == "cpu" else torch.get_num_threads())
    file = Path(rest[0]) if rest else None
    space = small_images() if setting.digits else nas_bench_macro()
    runs: list[dict[str, Any]] = json.loads(file.read_text()) if file and file.exists() else []
    networks, truth = _table(space, setting)

    def run_of(method: str, seed: int) -> dict[str, Any]:
        if not any((run["seed"], run["method"]) == (seed, method) for run in runs):
            runs.append(_run(space, networks, method, seed, setting))
            if file:
                write_text(file, json.dumps(runs) + "\n")
        return next(run for run in runs if (run["seed"], run["method"]) == (seed, method))

    if setting.digits:
        truth = -np.mean([run_of("alone", seed)["loss"] for seed in ALONE_SEEDS], axis=0)
    for seed in setting.seeds:
        for method in ("uniform", "greedy"):
            _show(run_of(method, seed), truth, setting)
    size = (1, 8, 8) if setting.digits else (3, 32, 32)
    _compare(runs, truth, CostTable(space, size).all(networks)[:, 0])


def _table(space: Space, setting: Setting) -> tuple[list[Architecture], np.ndarray]:
    """Return the networks to rank and their true accuracies; of digits no truth is known."""
    generator = np.random.default_rng(0)
    if setting.digits:
        everything = list(space.decisions.enumerate())
        return [
            everything[i] for i in sorted(generator.choice(len(everything), setting.networks, replace=False))
        ], np.zeros(0)
    truth = list(read_table(TABLE, space.decisions).items())
    rows = [truth[i] for i in sorted(generator.choice(len(truth), setting.networks, replace=False))]
    return [architecture for architecture, _ in rows], np.array([accuracy for _, accuracy in rows])


def _run(space: Space, networks: list[Architecture], method: str, seed: int, setting: Setting) -> dict[str, Any]:
    """Train one supernet, or all networks alone, and return cost and scores of the networks."""
    splits = Splits(calibration=256) if setting.device == "cpu" else Splits()
    source = "digits" if setting.digits else str(IMAGES)
    data = load(source, splits=splits, seed=seed, image_size=setting.image_size).to(setting.device)
    own = small_images_recipe() if setting.digits else recipe()
    training = dataclasses.replace(own.training, epochs=setting.epochs, batch_size=setting.batch_size)
    began, cpu = time.perf_counter(), time.process_time()
    trained = scored = scoring = 0.0
    if method == "alone":
        training = dataclasses.replace(own.retraining, epochs=ALONE_EPOCHS)
        alone = [train_alone(space, a, data, training, seed=seed, watch=Watch()) for a in networks]
        metrics: list[Metrics] = [score(network, data.test, data) for network in alone]
        trained = len(networks) * steps_of(data, training) * training.batch_size
    else:
        supernet = place(space.supernet(seed=seed), data.train.pixels.device)
        inherited = Inherited(space, supernet, data)
        if method == "uniform":
            train_supernet(supernet, space, UniformSampler(space.decisions), data, training, seed=seed, watch=Watch())
            trained = steps_of(data, training) * training.batch_size
        else:
            trained, scored, scoring = _train_greedily(space, inherited, data, training, seed, setting)
    spent, cpu = time.perf_counter() - began, time.process_time() - cpu
    if method != "alone":
        metrics = inherited(networks)
    return {
        "seed": seed,
        "method": method,
        "images_trained": trained,
        "images_scored": scored,
        "seconds": spent,
        "cpu_seconds": cpu,
        "cpu_seconds_scoring": scoring,
        "loss": [m["loss"] for m in metrics],
        "accuracy": [m["accuracy"] for m in metrics],
    }


def _train_greedily(
    space: Space, inherited: Inherited, data: Dataset, training: Recipe, seed: int, setting: Setting
) -> tuple[int, int, float]:
    """Train the supernet for as much as the uniform one costs; return images trained, scored, seconds of scoring."""
    options = GreedyOptions(pool=100, images=setting.scored_images, turnover=0)  # no early end: equal cost is the point
    shorter = dataclasses.replace(training, epochs=round(setting.greedy_epochs(options)))
    some = np.random.default_rng(seed).permutation(len(data.validation))[: options.images]
    batch = data.validation.take(torch.from_numpy(some).to(data.validation.labels.device))

    scoring = 0.0

    def scores(paths: Sequence[Architecture]) -> list[float]:
        nonlocal scoring
        began = time.process_time()
        found = [-metrics["loss"] for metrics in inherited.on_batch(paths, batch)]
        scoring += time.process_time() - began
        return found

    steps = steps_of(data, shorter)
    sampler = GreedySampler(space.decisions, options, steps, scores=scores, allows=lambda _: True)
    train_greedily(inherited.supernet, space, sampler, data, shorter, seed=seed, watch=Watch())
    return steps * shorter.batch_size, sampler.scored * len(batch), scoring


def _figures(scores: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """Return tau-b in each slice of the best by truth, and the regret of the first choice in percentage points."""
    order = np.argsort(-truth, kind="stable")
    slices = {name: order[: round(share * len(truth))] for name, share in SLICES.items()}
    taus = {name: kendall_tau_b(scores[rows], truth[rows]) for name, rows in slices.items() if len(rows) > 2}
    return {**taus, "regret": 100 * regret(scores, truth)}


def _show(run: dict[str, Any], truth: np.ndarray, setting: Setting) -> None:
    cost = run["images_trained"] + setting.forward * run["images_scored"]
    figures = ", ".join(f"{name} {value:.3f}" for name, value in _figures(-np.array(run["loss"]), truth).items())
    print(
        f"seed {run['seed']} {run['method']:<8} {run['images_trained']:,.0f} images trained, "
        f"{run['images_scored']:,.0f} scored, cost {cost:,.0f}, {run['cpu_seconds']:.0f} s of CPU, of which scoring "
        f"{run.get('cpu_seconds_scoring', float('nan')):.0f}: {figures}",
        flush=True,
    )


def _compare(runs: list[dict[str, Any]], truth: np.ndarray, flops: np.ndarray) -> None:
    """Print means over seeds, and the difference with its bootstrap interval over networks."""
    scores = {m: [-np.array(run["loss"]) for run in runs if run["method"] == m] for m in ("uniform", "greedy")}
    scores["FLOPs"] = [flops.astype(float)]
    means = {method: _mean([_figures(one, truth) for one in each]) for method, each in scores.items()}
    generator, resampled = np.random.default_rng(0), []
    for _ in range(1000):
        rows = generator.integers(len(truth), size=len(truth))
        one = {m: _mean([_figures(s[rows], truth[rows]) for s in scores[m]]) for m in ("uniform", "greedy")}
        resampled.append({name: one["greedy"][name] - one["uniform"][name] for name in one["greedy"]})
    for name in means["greedy"]:
        low, high = np.nanpercentile([sample[name] for sample in resampled], [2.5, 97.5])
        values = ", ".join(f"{m} {mean[name]:.3f}{_over_seeds(scores[m], truth, name)}" for m, mean in means.items())
        difference = means["greedy"][name] - means["uniform"][name]
        print(f"{name}: {values}; greedy - uniform {difference:+.3f} (95% over networks {low:+.3f} to {high:+.3f})")
    difference = means["greedy"]["whole"] - means["uniform"]["whole"]
    print(
        f"greedy against uniform, tau-b: {difference:+.3f} (target above 0; {len(scores['greedy'])} seeds, "
        f"{len(truth):,} networks)"
    )


def _over_seeds(scores: Sequence[np.ndarray], truth: np.ndarray, name: str) -> str:
    """Return half the width of the 95% interval of a mean over seeds, Student's t."""
    if len(scores) < 2:
        return ""
    half = stats.t.ppf(0.975, len(scores) - 1) * stats.sem([_figures(one, truth)[name] for one in scores])
    return f" ± {half:.3f}"


def _mean(figures: list[dict[str, float]]) -> dict[str, float]:
    return {name: float(np.mean([one[name] for one in figures])) for name in figures[0]}


if __name__ == "__main__":
    main()
