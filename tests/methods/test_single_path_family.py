"""FairNAS and GreedyNAS end to end on digits, small: limits kept, resumed runs equal, accounts of cost right."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import pytest

import palmette as pm
from palmette.costs.limits import Limits
from palmette.data.images import Dataset
from palmette.data.options import Splits
from palmette.data.sources import load
from palmette.errors import LimitError, PalmetteError
from palmette.methods.fairnas import FairNAS
from palmette.methods.greedynas import GreedyNAS
from palmette.methods.job import Found, Job, feasible_table, opened
from palmette.methods.spos import SPOS
from palmette.progress import Silent
from palmette.sampling.greedy import GreedyOptions
from palmette.searches.evolution import EvolutionOptions
from palmette.searches.nsga2 import NSGA2Options
from palmette.spaces.small_images import small_images
from palmette.storage.run_directory import RunDirectory
from palmette.training.loop import passes
from palmette.training.recipe import Recipe

RECIPE = Recipe(epochs=6, batch_size=64, lr=0.1)
NSGA2 = NSGA2Options(objectives=("loss", "flops"), population=8, generations=3)
METHODS = {
    "fairnas": FairNAS(training=RECIPE, nsga2=NSGA2, rank_by="loss"),
    "greedynas": GreedyNAS(
        training=RECIPE, greedy=GreedyOptions(paths=6, kept=3, images=100, pool=20), nsga2=NSGA2, rank_by="loss"
    ),
}
LIMIT = 1e6


@pytest.fixture(scope="module")
def data() -> Dataset:
    return load("digits", splits=Splits(train=600, validation=200, calibration=64), seed=0)


def searched(method: SPOS | FairNAS | GreedyNAS, data: Dataset, path: Path) -> tuple[Found, Sequence[object], Job]:
    space, limits = small_images(), Limits.from_mapping({"flops": LIMIT})
    table = feasible_table(space, data, limits, seed=0)
    directory = RunDirectory.open(path, {"method": method.name})
    with opened(space, data, table, limits, directory=directory, seed=0, progress=Silent()) as job:
        found = method.search(job)
        return found, job.journal.trials(), job


@pytest.mark.parametrize("name", METHODS)
def test_the_best_is_within_the_limits_and_a_second_call_reads_it_from_the_run(
    data: Dataset, tmp_path: Path, name: str
) -> None:
    found, trials, job = searched(METHODS[name], data, tmp_path / "run")
    again, same, _ = searched(METHODS[name], data, tmp_path / "run")
    assert job.table(found.best)["flops"] <= LIMIT
    assert found.evaluations == len(trials) == 32
    assert (again.best, again.passes, same) == (found.best, found.passes, trials)


def test_fair_training_costs_what_uniform_training_of_as_many_epochs_costs(data: Dataset, tmp_path: Path) -> None:
    """Layers have 4 and 3 options: 12 paths per update, so 12 epochs are one epoch of updates."""
    method = dataclasses.replace(METHODS["fairnas"], training=dataclasses.replace(RECIPE, epochs=12))
    found, _, _ = searched(method, data, tmp_path / "run")
    evaluations = 32 * (len(data.calibration) + len(data.validation))
    assert found.passes == passes(data, method.training) + evaluations


def test_greedy_training_pays_for_the_paths_it_scores(data: Dataset, tmp_path: Path) -> None:
    """36 steps, of which the first 2 are warm-up: 34 paths are trained in 12 rounds of 6 scored on 100 images."""
    method = METHODS["greedynas"]
    assert isinstance(method, GreedyNAS)
    never = dataclasses.replace(method, greedy=dataclasses.replace(method.greedy, turnover=0.0))
    found, _, _ = searched(never, data, tmp_path / "run")
    evaluations = 32 * (len(data.calibration) + len(data.validation))
    assert found.passes == passes(data, RECIPE) + 12 * 6 * 100 + evaluations
    share = 100 * (1 + 12 * 6 * 100 / passes(data, RECIPE))
    words = f"GreedyNAS trained 36 of 36 steps and scored 72 paths: {share:.0f}% of the cost of uniform training."
    assert found.remarks == (words,)


def test_spos_samples_by_bins_of_a_limit_with_two_ends(data: Dataset, tmp_path: Path) -> None:
    method = SPOS(training=RECIPE, evolution=EvolutionOptions(population=8, generations=1, mutants=4, crossovers=4))
    space, limits = small_images(), Limits.from_mapping({"flops": (2e5, 1e6)})
    table = feasible_table(space, data, limits, seed=0)
    with opened(
        space, data, table, limits, directory=RunDirectory.open(tmp_path, {}), seed=0, progress=Silent()
    ) as job:
        found = dataclasses.replace(method, bins=4).search(job)
        recorded = job.journal.records("sampling")["sampling"]
    assert isinstance(recorded, dict)
    assert (recorded["cost"], recorded["bins"]) == ("flops", 4)
    share = recorded["fallback_share"]
    assert 0 <= share < 0.5
    words = f"Training paths are uniform in flops by 4 bins; {100 * share:.1f}% fall back to unconstrained draws."
    assert found.remarks == (words,)
    with pytest.raises(LimitError, match="two ends"):
        searched(dataclasses.replace(method, bins=4), data, tmp_path / "open")


def test_an_unknown_objective_is_refused_before_anything_is_trained(data: Dataset, tmp_path: Path) -> None:
    method = dataclasses.replace(METHODS["fairnas"], nsga2=NSGA2Options(objectives=("accuracy", "joules")))
    with pytest.raises(PalmetteError, match="joules"):
        searched(method, data, tmp_path / "run")
    assert not list((tmp_path / "run" / "checkpoints").iterdir())


def test_a_pool_larger_than_the_space_is_refused(data: Dataset, tmp_path: Path) -> None:
    with pytest.raises(PalmetteError, match="larger than space"):
        searched(GreedyNAS(training=RECIPE, greedy=GreedyOptions(pool=10_000)), data, tmp_path / "run")


@pytest.mark.parametrize("name", METHODS)
def test_the_whole_job_runs_with_each_method(data: Dataset, tmp_path: Path, name: str) -> None:
    method = dataclasses.replace(METHODS[name], retraining=dataclasses.replace(RECIPE, epochs=2))
    audit = pm.AuditOptions(networks=0)
    result = pm.search(
        small_images(), data=data, method=method, limits={"flops": LIMIT}, audit=audit, out=tmp_path / "run"
    )
    assert result.best.costs["flops"] <= LIMIT
    assert (tmp_path / "run" / "report.html").exists()
