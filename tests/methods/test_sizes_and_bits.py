"""Spaces of widths and of bits under every method, small: limits kept, costs of theirs in every trial."""

from __future__ import annotations

from pathlib import Path

import pytest

from palmette.costs.limits import Limits
from palmette.data.options import Splits
from palmette.data.sources import load
from palmette.methods.fairnas import FairNAS
from palmette.methods.greedynas import GreedyNAS
from palmette.methods.job import feasible_table, opened
from palmette.methods.spos import SPOS
from palmette.progress import Silent
from palmette.sampling.greedy import GreedyOptions
from palmette.sampling.widening import WideningOptions
from palmette.searches.evolution import EvolutionOptions
from palmette.searches.nsga2 import NSGA2Options
from palmette.spaces.resnet_bits import small_bits
from palmette.spaces.small_widths import small_widths
from palmette.storage.run_directory import RunDirectory
from palmette.training.recipe import Recipe

RECIPE = Recipe(epochs=3, batch_size=64, lr=0.1)
SIZES = EvolutionOptions(population=6, generations=2, mutants=3, crossovers=3)
NSGA2 = NSGA2Options(objectives=("loss", "flops"), population=6, generations=2)
GREEDY = GreedyOptions(paths=4, kept=2, images=50, pool=8)
BITS = ("loss", "bitops", "bytes")
METHODS: dict[str, tuple[str, SPOS | FairNAS | GreedyNAS]] = {
    "spos": ("flops", SPOS(training=RECIPE, widening=WideningOptions(full=0.3, opened=0.6), evolution=SIZES)),
    "nsga2": ("bitops", SPOS(training=RECIPE, evolution=SIZES, stage="nsga2", objectives=BITS, rank_by="loss")),
    "fairnas": ("flops", FairNAS(training=RECIPE, nsga2=NSGA2, rank_by="loss")),
    "fairnas-bits": ("bytes", FairNAS(training=RECIPE, nsga2=NSGA2, rank_by="loss")),
    "greedynas": ("flops", GreedyNAS(training=RECIPE, greedy=GREEDY, nsga2=NSGA2, rank_by="loss")),
}
LIMITS = {"flops": 0.7e6, "bitops": 6e6, "bytes": 20e3}


@pytest.mark.slow
@pytest.mark.parametrize("name", METHODS)
def test_every_evaluated_network_meets_the_limit_on_its_cost(tmp_path: Path, name: str) -> None:
    cost, method = METHODS[name]
    space = small_widths() if cost == "flops" else small_bits()
    data = load("digits", splits=Splits(train=300, validation=100, calibration=64), seed=0)
    limits = Limits.from_mapping({cost: LIMITS[cost]})
    table = feasible_table(space, data, limits, seed=0)
    directory = RunDirectory.open(tmp_path / "run", {"method": method.name})
    with opened(space, data, table, limits, directory=directory, seed=0, progress=Silent()) as job:
        found = method.search(job)
        trials = job.journal.trials()
    assert len(trials) == found.evaluations
    assert all(trial.costs == table(trial.architecture) for trial in trials)
    assert all(trial.costs[cost] <= LIMITS[cost] for trial in trials)
    assert found.best in {trial.architecture for trial in trials}
