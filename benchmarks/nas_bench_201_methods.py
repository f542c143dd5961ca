"""What methods find on NAS-Bench-201/CIFAR-10, by the public table of true accuracies, against random search.

Without arguments: DARTS, one seed, about two minutes of one core, to see that it works. ``--reduced`` is the run of
results/nas_bench_201.md: every method, three seeds, the benchmark's cells in a smaller network (8 channels, 1 cell a
stage) on the 5,085 CIFAR-10 images with exact pixels, reduced to 16x16. ``--full IMAGES.npz`` is the papers' setting on
all of CIFAR-10 and needs a GPU. Half of the training images teach weights, half decide. Searches that have ended are
kept in ``--out`` and not repeated, one that was killed goes on; several processes can share the seeds.

Random search trains random cells for 12 epochs each, as many as the method's search cost would have paid for, and keeps
the best by validation accuracy at 12 epochs; both accuracies are the table's, which had all training images.

    python benchmarks/nas_bench_201_methods.py [--reduced | --full IMAGES.npz] [--methods "A;B"] [--seeds 0,1] [--out D]
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import gzip
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from palmette.architecture import Architecture
from palmette.costs.hardware_loss import HardwareLoss
from palmette.costs.limits import Limits
from palmette.data.images import Dataset
from palmette.data.options import Augmentation, Splits
from palmette.data.sources import load
from palmette.methods.darts import DARTS
from palmette.methods.job import Method, feasible_table, opened
from palmette.methods.proxylessnas import ProxylessNAS
from palmette.methods.spos import SPOS
from palmette.progress import Bars
from palmette.recipes import differentiable as settings
from palmette.recipes.methods import proxylessnas
from palmette.recipes.nas_bench_201 import nas_bench_201 as recipe
from palmette.relaxations.temperature import Temperature, gdas_temperature
from palmette.searches.evolution import EvolutionOptions
from palmette.space import Space
from palmette.spaces.nas_bench_201 import cell_string, from_cell_string, nas_bench_201
from palmette.storage.run_directory import RunDirectory, plain
from palmette.training.recipe import ArchitectureRecipe, Recipe

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
TABLE = SHARED / "nas_bench_201" / "nas_bench_201.csv.gz"
EXACT = SHARED / "cifar10" / "cifar10_exact_subset.npz"
EPOCHS = 12
"""Of the reduced version; 468 steps."""
SIZE = 16
"""Of its images, in pixels."""
TRAINING_EPOCHS = 12
"""Of one network of random search, as in the table's validation accuracies."""
DRAWS = 20_000
"""Repetitions of random search on the table."""


@dataclasses.dataclass(frozen=True)
class Truth:
    """The table, by distinct architecture (several cells of one network are averaged), in percent."""

    test: Mapping[Architecture, float]
    """After 200 epochs."""
    validation: Mapping[Architecture, float]
    """After 12 epochs."""

    @staticmethod
    def read(space: Space) -> Truth:
        columns: tuple[dict[Architecture, list[float]], ...] = ({}, {})
        with gzip.open(TABLE, "rt") as file:
            for row in csv.DictReader(file):
                architecture = space.decisions.architecture(from_cell_string(row["arch"]))
                for column, name in zip(columns, ("c10_test_e200", "c10_valid_e12"), strict=True):
                    column.setdefault(architecture, []).append(float(row[name]))
        test, validation = ({a: float(np.mean(v)) for a, v in column.items()} for column in columns)
        return Truth(test, validation)

    def random(self, trainings: int) -> np.ndarray:
        """Return what random search finds with so many trainings, test accuracies ``[DRAWS]``."""
        test, validation = (np.array([column[a] for a in self.test]) for column in (self.test, self.validation))
        picks = np.random.default_rng(0).integers(len(test), size=(DRAWS, max(1, trainings)))
        return test[picks[np.arange(DRAWS), validation[picks].argmax(1)]]


def reduced_methods() -> dict[str, Method]:
    """Return every method; Adam's rates are raised, to 0.05 at most, so that 468 steps decide as some 20,000 do."""
    crop = Augmentation(pad=1, flip=True)
    base = SPOS(
        training=Recipe(epochs=EPOCHS, batch_size=64, lr=0.05, clip_norm=5.0, augmentation=crop),
        evolution=EvolutionOptions(population=12, generations=4, parents=4, mutants=6, crossovers=6),
        rank_by="loss",
    )
    darts = settings.darts(base)
    return {
        "DARTS, first order": _with_rate(darts, 0.035),
        "GDAS": _with_rate(settings.gdas(base), 0.05),
        "PC-DARTS": _with_rate(settings.pc_darts(base), 0.05),
        "DARTS-": _with_rate(settings.darts_minus(base), 0.035),
        "Gumbel-softmax (FBNet)": _with_rate(_fbnet_style(darts, epochs=EPOCHS), 0.05),
        "ProxylessNAS gates": _without_cost(proxylessnas(base), rate=0.05),
        "SPOS": base,
    }


def _with_rate(method: DARTS, rate: float) -> DARTS:
    return dataclasses.replace(method, architecture=dataclasses.replace(method.architecture, lr=rate))


def full_methods() -> dict[str, Method]:
    """Return every method with its paper's settings, as far as the notes have them (gradient.md)."""
    base = dataclasses.replace(recipe(), evolution=EvolutionOptions())
    darts, pc = settings.darts(base), settings.pc_darts(base)
    gdas = settings.gdas(base)
    longer = dataclasses.replace(gdas.training, epochs=250)
    return {
        "DARTS, first order": darts,
        "GDAS": dataclasses.replace(gdas, training=longer, temperature=gdas_temperature()),
        "PC-DARTS": pc,
        "DARTS-": settings.darts_minus(base),
        "Gumbel-softmax (FBNet)": _fbnet_style(darts, epochs=90),
        "ProxylessNAS gates": _without_cost(proxylessnas(dataclasses.replace(base, training=longer)), rate=1e-3),
        "SPOS": base,
    }


def _without_cost(method: ProxylessNAS, *, rate: float) -> ProxylessNAS:
    """Return ProxylessNAS for accuracy alone, as all the others here."""
    architecture = dataclasses.replace(method.architecture, lr=rate)
    return dataclasses.replace(method, architecture=architecture, hardware=HardwareLoss(form="relative", alpha=0.0))


def _fbnet_style(darts: DARTS, *, epochs: int) -> DARTS:
    """Return FBNet's relaxation and schedule (gradient.md 7.2, 7.3), its 90 epochs compressed to ``epochs``."""
    architecture = ArchitectureRecipe(
        lr=0.01,
        weight_decay=5e-4,
        betas=(0.9, 0.999),
        batch_size=darts.architecture.batch_size,
        augmentation=darts.architecture.augmentation,
        cadence="epoch",
        warmup_epochs=epochs // 9,
    )
    return dataclasses.replace(
        darts,
        training=dataclasses.replace(darts.training, epochs=epochs),
        architecture=architecture,
        relaxation="gumbel_softmax",
        temperature=Temperature(rate=0.045 * 90 / epochs),
    )


def run(name: str, method: Method, space: Space, data: Dataset, *, seed: int, out: Path) -> dict[str, Any]:
    """Search once, or read what an earlier search found, and return it with its curves."""
    finished = out / f"{''.join(c if c.isalnum() else '-' for c in name.lower())}-{seed}"
    if (finished / "found.json").exists():
        found: dict[str, Any] = json.loads((finished / "found.json").read_text())
        return found
    began = time.process_time()
    table = feasible_table(space, data, Limits.from_mapping({}), seed=seed)
    directory = RunDirectory.open(finished, {"name": name, "seed": seed, "method": plain(method)})
    limits = Limits.from_mapping({})
    with opened(space, data, table, limits, directory=directory, seed=seed, progress=Bars()) as job:
        result = method.search(job)
        curves = job.journal.scalars("supernet")
    found = {
        "method": name,
        "seed": seed,
        "cell": cell_string(result.best),
        "passes": result.passes,
        "cpu_seconds": time.process_time() - began,
        "curves": {key: values for key, values in curves.items() if key in ("skips", "entropy", "loss")},
    }
    (finished / "found.json").write_text(json.dumps(found) + "\n")
    return found


HEAD = """| method | found, % | mean | skips | entropy, nats | random search: trainings, mean (5 to 95%) | p | CPU s |
|---|---|---|---|---|---|---|---|"""


def table(runs: Sequence[Mapping[str, Any]], truth: Truth, space: Space, images: int) -> list[str]:
    """Return the rows: what each method found, by seed, and random search at the same cost.

    ``p`` is the chance that as many random searches as there are seeds have at least the mean of the method.
    """
    lines = []
    for name in dict.fromkeys(str(r["method"]) for r in runs):
        own = [r for r in runs if r["method"] == name]
        accuracies = found_by(own, truth, space)
        count = trainings(own, images)
        random = truth.random(count)
        low, high = np.percentile(random, [5, 95])
        means = np.random.default_rng(1).choice(random, (DRAWS, len(own))).mean(1)
        skips = ", ".join(str(str(r["cell"]).count("skip_connect")) for r in own)
        entropy = ", ".join(f"{r['curves']['entropy'][-1][1]:.2f}" for r in own if "entropy" in r["curves"]) or "-"
        lines.append(
            f"| {name} | {', '.join(f'{a:.2f}' for a in accuracies)} | {np.mean(accuracies):.2f} | {skips} | {entropy} "
            f"| {count}: {random.mean():.2f} ({low:.2f} to {high:.2f}) | {(means >= np.mean(accuracies)).mean():.2f} "
            f"| {np.mean([r['cpu_seconds'] for r in own]):.0f} |"
        )
    return lines


def found_by(runs: Sequence[Mapping[str, Any]], truth: Truth, space: Space) -> list[float]:
    """Return the true test accuracies of what the runs found, in percent."""
    return [truth.test[space.decisions.architecture(from_cell_string(str(run["cell"])))] for run in runs]


def picture(runs: Sequence[Mapping[str, Any]], truth: Truth, space: Space, images: int, path: Path) -> None:
    """Draw what each method found beside random search at its cost, and entropy and skips over the training."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    names = list(dict.fromkeys(run["method"] for run in runs))
    figure, (left, middle, right) = pyplot.subplots(1, 3, figsize=(14, 4), constrained_layout=True)
    for row, name in enumerate(names):
        own = [run for run in runs if run["method"] == name]
        random = truth.random(trainings(own, images))
        left.plot(np.percentile(random, [5, 95]), [row, row], color="0.8", linewidth=8, zorder=1)
        left.plot(random.mean(), row, "|", color="0.3", markersize=14, zorder=2)
        left.plot(found_by(own, truth, space), [row] * len(own), "o", color=f"C{row}", zorder=3)
        for curve, axes in (("entropy", middle), ("skips", right)):
            several = [np.array(run["curves"][curve]) for run in own if run["curves"].get(curve)]
            for each in several:  # one line a seed: a mean over seeds would hide the one that collapses
                window = np.full(len(each) // 20 or 1, 1 / (len(each) // 20 or 1))
                smooth = np.convolve(each[:, 1], window, "valid")
                axes.plot(each[-len(smooth) :, 0] / each[-1, 0], smooth, color=f"C{row}", linewidth=0.9)
            if several:
                axes.plot([], [], color=f"C{row}", label=name)
    left.set_yticks(range(len(names)), names)
    left.invert_yaxis()
    left.set_xlabel("true CIFAR-10 test accuracy, %; grey: random search at equal cost")
    middle.set_ylabel("entropy of the decisions, nats")
    right.set_ylabel("skip connections among the strongest, of 6")
    for axes in (middle, right):
        axes.set_xlabel("share of the training")
        axes.set_title("a line for each seed, running mean over a twentieth", fontsize=9)
    middle.legend(fontsize=8)
    figure.savefig(path, dpi=110)


def trainings(runs: Sequence[Mapping[str, Any]], images: int) -> int:
    """Return how many cells random search may train for what the runs cost on average."""
    cost = float(np.mean([run["passes"] for run in runs]))
    return max(1, round(cost / (3.0 * TRAINING_EPOCHS * images)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--reduced", action="store_true")
    parser.add_argument("--full", type=Path)
    parser.add_argument("--methods", default="")
    parser.add_argument("--seeds", default="")
    parser.add_argument("--out", type=Path, default=Path("runs/nas-bench-201"))
    options = parser.parse_args()
    if options.full:
        data_of = lambda seed: load(str(options.full), splits=Splits(validation=0.5), seed=seed).to("cuda")  # noqa: E731
        space, methods, seeds = nas_bench_201(), full_methods(), (0, 1, 2)
    else:
        torch.set_num_threads(1)
        splits = Splits(validation=0.5, calibration=640)
        data_of = lambda seed: load(str(EXACT), splits=splits, seed=seed, image_size=SIZE)  # noqa: E731
        space, methods, seeds = nas_bench_201(width=8, cells=1), reduced_methods(), (0, 1, 2)
        if not options.reduced:
            methods, seeds = {"DARTS, first order": methods["DARTS, first order"]}, (0,)
    seeds = tuple(map(int, options.seeds.split(","))) if options.seeds else seeds
    wanted = options.methods.split(";") if options.methods else list(methods)
    truth = Truth.read(space)
    runs, images = [], 0
    for seed in seeds:
        data = data_of(seed)
        images = len(data.train)
        for name in wanted:
            runs.append(run(name, methods[name], space, data, seed=seed, out=options.out))
            print(table(runs[-1:], truth, space, images)[0], flush=True)
    print(HEAD, *table(runs, truth, space, images), sep="\n")
    picture(runs, truth, space, images, options.out / "methods.png")
    best = max(truth.test.values())
    first = [r for r in runs if r["method"] == runs[0]["method"]]
    mean, random = np.mean(found_by(first, truth, space)), truth.random(trainings(first, images)).mean()
    print(f"nas-bench-201: {wanted[0]} {mean:.2f} (target: random search at equal cost, {random:.2f}; best {best:.2f})")


if __name__ == "__main__":
    main()
