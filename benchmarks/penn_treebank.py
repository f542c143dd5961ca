"""Recurrent search on Penn Treebank in a reduced setting, against what costs nothing to think of.

``enas``: a controller and shared weights, 3 seeds; the cell each search derives is trained alone, and so are 10 cells
drawn at random, by the same recipe. ``darts``: the mixture, first order, 3 seeds; beside each derived cell a plain tanh
RNN with as many parameters. Validation perplexities; test text is not read. ``results/penn_treebank.md`` has the
figures. Full settings are in ``recipes/recurrent.py``.

    python benchmarks/penn_treebank.py enas --data ../shared/data/ptb --out RUNS.json  # goes on where it ended
    python benchmarks/penn_treebank.py darts --data ../shared/data/ptb
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from scipy import stats
from torch import nn

from palmette.architecture import Architecture
from palmette.blocks.language_model import Dropout, LanguageModel
from palmette.blocks.recurrent_cell import Cell, RecurrentLayer
from palmette.costs.limits import Limits
from palmette.data.batches import torch_generator
from palmette.data.options import Splits
from palmette.data.text import Corpus, read_text
from palmette.evaluation.from_scratch import from_scratch
from palmette.evaluation.score import score
from palmette.methods.enas import ENAS
from palmette.methods.job import feasible_table, opened
from palmette.progress import Silent
from palmette.relaxations.softmax import softmax
from palmette.sampling.options import PolicyGradientOptions
from palmette.space import Space, called
from palmette.spaces.recurrent_cell import CellSpace, darts_cells, enas_cells
from palmette.storage.atomic import write_text
from palmette.storage.run_directory import RunDirectory
from palmette.supernets.architecture_parameters import ArchitectureParameters
from palmette.training.alternating import Learner, Turn, adam, alternately, held_out_steps
from palmette.training.loop import Updates, Watch, train, train_by
from palmette.training.recipe import ArchitectureRecipe, Recipe
from palmette.training.steps import Pass

T = TypeVar("T", str, float)
SPLITS = Splits(train=30_000, validation=6_000, test=6_000, words=1000)
DROPOUT = Dropout(inputs=0.1, outputs=0.1)
CELLS = CellSpace(nodes=6, hidden=64, dropout=DROPOUT)
RECIPE = Recipe(
    epochs=8, batch_size=20, lr=20.0, momentum=0.0, nesterov=False, weight_decay=1e-7, clip_norm=0.25, bptt=35
)
SEEDS, RANDOM_CELLS = (0, 1, 2), 10
ENAS_CELLS = CellSpace(nodes=4, hidden=64, limit=1.0, init_range=0.1, dropout=DROPOUT)
ENAS_RECIPE = replace(RECIPE, epochs=5, bptt=20, schedule="cosine")
"""Of cells alone."""
ENAS_METHOD = ENAS(
    training=replace(ENAS_RECIPE, epochs=16, lr=10.0),
    controller_training=ArchitectureRecipe(
        lr=0.01,
        betas=(0.9, 0.999),
        weight_decay=0.0,
        batch_size=20,
        bptt=20,
        cadence="epoch",
        steps=10,
        warmup_epochs=4,
    ),
    policy=PolicyGradientOptions(samples=16, baseline_decay=0.9, entropy=0.02, entropy_steps=120),
    derived=30,
    rank_by="loss",
)
RATES = (20.0, 10.0, 5.0, 2.5, 1.25)
"""Learning rates that the tanh RNN may choose from; the cells all have the recipe's."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", choices=["enas", "darts"])
    parser.add_argument("--data", type=Path, default=Path("../shared/data/ptb"))
    parser.add_argument("--out", type=Path)
    parser.add_argument("--seeds", type=int, nargs="*", default=list(SEEDS))
    options = parser.parse_args()
    torch.set_num_threads(1)
    data = read_text(options.data, SPLITS)
    print(
        f"{len(data.train):,} words of train, {len(data.validation):,} of validation, {len(data.classes):,} different"
    )
    if options.part == "enas":
        enas(data, options.seeds, Kept(options.out))
        return
    result = darts(data, options.seeds)
    if options.out:
        options.out.write_text(json.dumps(result, indent=1))


class Kept:
    """What was computed before, by name, in a file if there is one."""

    def __init__(self, file: Path | None) -> None:
        self.file = file
        self.runs: dict[str, Any] = json.loads(file.read_text()) if file and file.exists() else {}

    def __call__(self, name: str, compute: Callable[[], T]) -> T:
        if name not in self.runs:
            self.runs[name] = compute()
            if self.file:
                write_text(self.file, json.dumps(self.runs, indent=1) + "\n")
        print(f"{name}: {self.runs[name]}", flush=True)
        return self.runs[name]  # type: ignore[no-any-return]


def enas(data: Corpus, seeds: Sequence[int], kept: Kept) -> None:
    """Compare derived cells with random ones, trained alike."""
    space = enas_cells(len(data.classes), ENAS_CELLS)

    def trained(code: str, seed: int) -> float:
        architecture = space.decisions.parse(code)
        compute = partial(alone, space, architecture, data, seed=seed, recipe=ENAS_RECIPE)
        return kept(f"cell {code}, seed {seed}, alone", compute)

    drawn = [space.decisions.sample(np.random.default_rng([number, 99])) for number in range(RANDOM_CELLS)]
    random = [trained(space.decisions.code(cell), number % len(SEEDS)) for number, cell in enumerate(drawn)]
    derived = []
    for seed in seeds:
        code = kept(f"search, seed {seed}", partial(enas_search, space, data, seed))
        derived.append(trained(code, seed))
    low, high = welch(random, derived)
    gain = float(np.mean(random) - np.mean(derived))
    print(f"random {np.mean(random):.2f} (standard deviation {np.std(random, ddof=1):.2f})")
    print(f"enas on Penn Treebank: {gain:.2f} below the mean of random cells (95% interval {low:.2f} to {high:.2f})")


def enas_search(space: Space, data: Corpus, seed: int) -> str:
    """Search as ``palmette search --method enas`` does, show what was learned, and return the code that is derived."""
    table = feasible_table(space, data, Limits({}), seed=seed)
    with tempfile.TemporaryDirectory() as path:
        directory = RunDirectory.open(Path(path), {"method": "enas"})
        with opened(space, data, table, Limits({}), directory=directory, seed=seed, progress=Silent()) as job:
            found = ENAS_METHOD.search(job)
            curves = job.journal.scalars("supernet")
            shared = [trial.metrics["perplexity"] for trial in job.journal.trials("enas")]
    for name in ("loss", "baseline", "entropy"):
        tenths = curves[name][:: -(-len(curves[name]) // 10)]
        print(f"  {name}, by tenths of the search: {' '.join(f'{value:.3f}' for _, value in tenths)}")
    print(f"  {len(shared)} different cells drawn, shared perplexity {min(shared):.1f} to {max(shared):.1f}")
    return space.decisions.code(found.best)


def darts(data: Corpus, seeds: Sequence[int]) -> Mapping[str, object]:
    """Compare derived cells with tanh RNNs of equal size, trained alike."""
    space = darts_cells(len(data.classes), CELLS)
    derived, plain = [], []
    for seed in seeds:
        began = time.monotonic()
        found = darts_search(space, data, seed)
        derived.append(alone(space, found, data, seed))
        code = space.decisions.code(found)
        print(f"seed {seed}: derived {code}, {derived[-1]:.2f}, {time.monotonic() - began:.0f} s", flush=True)
        size = sum(p.numel() for p in space.build(found, seed=0).parameters())
        tuned = {rate: tanh_rnn(data, size, rate, seed) for rate in RATES}
        plain.append(min(tuned.values()))
        print(f"  tanh RNN of as many parameters: {plain[-1]:.2f}, the best of {tuned}", flush=True)
    low, high = welch(plain, derived)
    gain = float(np.mean(plain) - np.mean(derived))
    print(f"darts on Penn Treebank: {gain:.2f} below a tanh RNN of equal size (95% interval {low:.2f} to {high:.2f})")
    return {"derived": derived, "plain": plain, "interval": [low, high]}


def darts_search(space: Space, data: Corpus, seed: int) -> Architecture:
    """Train weights and architecture parameters in turn, first order, and return the strongest edges."""
    supernet = space.supernet(seed=seed)
    parameters = ArchitectureParameters(space.mixtures.options(), seed=seed)
    recipe = ArchitectureRecipe(lr=3e-3, betas=(0.9, 0.999), batch_size=20, every=2)
    optimizer = adam(parameters, recipe)

    def passes(step: int) -> list[Pass]:
        with torch.no_grad():
            choice = parameters.choice(softmax, torch_generator(seed, step, 9))
        return [lambda x: supernet(x, choice)]

    def update(turn: Turn) -> Mapping[str, float]:
        loss = turn.batch.loss(lambda x: supernet(x, parameters.choice(softmax, turn.generator)))
        gradients = torch.autograd.grad(loss, list(parameters.parameters()))
        for parameter, gradient in zip(parameters.parameters(), gradients, strict=True):
            parameter.grad = gradient
        optimizer.step()
        return {"held_out_loss": float(loss.detach())}

    learner = Learner(module=parameters, optimizer=optimizer, update=update, recipe=recipe)
    held_out = held_out_steps(data, recipe, seed=seed)
    updates = alternately(Updates(passes=passes), learner, held_out, seed=seed)
    train_by(updates, supernet, data, RECIPE, seed=seed, watch=Watch())
    return space.mixtures.strongest({name: w.tolist() for name, w in parameters.probabilities().items()})


def alone(space: Space, architecture: Architecture, data: Corpus, seed: int, recipe: Recipe = RECIPE) -> float:
    """Return the validation perplexity of a cell trained alone."""
    return from_scratch(space, architecture, data, recipe, seed=seed, watch=Watch())["perplexity"]


def tanh_rnn(data: Corpus, size: int, rate: float, seed: int) -> float:
    """Return the validation perplexity of a plain tanh RNN with about ``size`` parameters."""
    words = len(data.classes)  # size = words H + 2 H^2
    hidden = round((-words + math.sqrt(words**2 + 8 * size)) / 4)
    torch.manual_seed(seed)
    layer = RecurrentLayer(Cell("tanh", ()), hidden, hidden, highway=False)
    network: nn.Module = LanguageModel(words, hidden, layer, dropout=DROPOUT)
    train(network, lambda x, step: called(network, x), data, replace(RECIPE, lr=rate), seed=seed, watch=Watch())
    return score(network, data.validation, data)["perplexity"]


def welch(one: Sequence[float], other: Sequence[float]) -> tuple[float, float]:
    """Return the 95% interval of the difference between two means (Welch, 1947)."""
    interval = stats.ttest_ind(one, other, equal_var=False).confidence_interval(0.95)
    return float(interval.low), float(interval.high)


if __name__ == "__main__":
    main()
