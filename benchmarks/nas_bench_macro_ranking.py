"""How well a supernet ranks NAS-Bench-Macro: Kendall's tau-b of all 3,969 networks against their true accuracies.

With a GPU: 3 seeds of the benchmark's recipe on CIFAR-10 (train part only), every network evaluated with inherited
weights, the whole under 10 minutes per seed on an H200; results go to results/nas_bench_macro.json. Without one:
a reduced version (few images, few epochs, few networks) that shows the machinery and claims nothing.

    python benchmarks/nas_bench_macro_ranking.py [CIFAR10.npz [TABLE.csv]]
"""

from __future__ import annotations

import dataclasses
import json
import sys
import time
from pathlib import Path

import numpy as np
import torch

from palmette.architecture import Architecture
from palmette.costs.complexity import CostTable
from palmette.data.images import Dataset
from palmette.data.options import Splits
from palmette.data.sources import load
from palmette.evaluation.audit import read_table
from palmette.evaluation.inherited import Inherited
from palmette.evaluation.ranking import audit_statistics
from palmette.evaluation.trust import Statistic
from palmette.recipes.nas_bench_macro import nas_bench_macro as recipe
from palmette.sampling.uniform import UniformSampler
from palmette.space import Space, Supernet
from palmette.spaces.nas_bench_macro import nas_bench_macro
from palmette.storage.environment import environment
from palmette.training.loop import Watch, place
from palmette.training.recipe import Recipe
from palmette.training.supernet import train_supernet

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
TABLE = SHARED / "nas_bench_macro" / "nas_bench_macro_cifar10.csv"
EXACT = SHARED / "cifar10" / "cifar10_exact_subset.npz"
SEEDS = (0, 1, 2)


def main() -> None:
    arguments = [Path(argument) for argument in sys.argv[1:]]
    images, table = [*arguments, *(EXACT, TABLE)[len(arguments) :]]
    if not table.exists() or not images.exists():
        raise SystemExit(f"needed are {images} and {table}; give CIFAR10.npz and TABLE.csv")
    gpu = torch.cuda.is_available()
    if not gpu:
        torch.set_num_threads(1)
    space = nas_bench_macro()
    truth = read_table(table, space.decisions)
    training = recipe().training
    if not gpu:
        training = dataclasses.replace(training, epochs=6, batch_size=64)
        truth = _sample(truth, 60)
    runs = [_run(space, truth, str(images), training, seed, gpu) for seed in (SEEDS if gpu else SEEDS[:1])]
    taus = [run["kendall_tau_b"] for run in runs]
    label = f"mean of {len(runs)} seeds, {len(truth):,} networks"
    if gpu:
        facts = {"environment": environment(torch.device("cuda")), "command": sys.argv, "runs": runs}
        Path("results").mkdir(exist_ok=True)
        Path("results/nas_bench_macro.json").write_text(json.dumps(facts, indent=1) + "\n")
    reduced = "" if gpu else "; reduced version without a GPU, the target is for the full one"
    print(f"nas-bench-macro kendall tau-b: {np.mean(taus):.3f} (target 0.70; {label}{reduced})")


def _run(
    space: Space, truth: dict[Architecture, float], images: str, training: Recipe, seed: int, gpu: bool
) -> dict[str, float]:
    """Train one supernet, rank the networks, and return the figures."""
    splits = Splits() if gpu else Splits(train=1500, validation=300, calibration=256)
    data = load(images, splits=splits, seed=seed).to("cuda" if gpu else "cpu")
    supernet = place(space.supernet(seed=seed), data.train.pixels.device)
    began = time.perf_counter()
    train_supernet(supernet, space, UniformSampler(space.decisions), data, training, seed=seed, watch=Watch())
    trained = time.perf_counter()
    statistics = _statistics(space, supernet, data, truth)
    found = {s.name: s for s in statistics if s.score == "loss"}
    flops = next(s for s in statistics if (s.score, s.name) == ("flops", "kendall_tau_b"))
    for s in statistics:
        print(f"seed {seed}: {s.score:<9} {s.name:<26} {s.value:7.4f}  95% interval {s.low:.4f} to {s.high:.4f}")
    evaluated = time.perf_counter()
    print(f"seed {seed}: supernet {trained - began:.0f} s, ranking {evaluated - trained:.0f} s")
    tau = found["kendall_tau_b"]
    return {
        "seed": seed,
        "kendall_tau_b": tau.value,
        "low": tau.low,
        "high": tau.high,
        "spearman": found["spearman"].value,
        "flops_kendall_tau_b": flops.value,
        "training_seconds": trained - began,
        "ranking_seconds": evaluated - trained,
    }


def _statistics(space: Space, supernet: Supernet, data: Dataset, truth: dict[Architecture, float]) -> list[Statistic]:
    networks = list(truth)
    metrics = Inherited(space, supernet, data)(networks)
    scores = {
        "accuracy": [m["accuracy"] for m in metrics],
        "loss": [-m["loss"] for m in metrics],
        "flops": CostTable(space, data.input_shape).all(networks)[:, 0].astype(float),
    }
    return audit_statistics(scores, np.array(list(truth.values())))


def _sample(truth: dict[Architecture, float], count: int) -> dict[Architecture, float]:
    entries = list(truth.items())
    picks = np.random.default_rng(0).choice(len(entries), count, replace=False)
    return dict(entries[i] for i in picks)


if __name__ == "__main__":
    main()
