"""SMASH end to end on digits, small: resumed alike, searched by generated or shared weights, asked its questions."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch

import palmette as pm
from palmette.cli.main import main
from palmette.costs.limits import Limits
from palmette.data.images import Dataset
from palmette.data.options import Splits
from palmette.data.sources import load
from palmette.errors import PalmetteError
from palmette.evaluation.inherited_text import inherited
from palmette.evaluation.rebuilt import Rebuilt
from palmette.evaluation.score import score
from palmette.methods.generated_weights import drawn_for_training
from palmette.methods.job import Found, Job, feasible_table, opened
from palmette.methods.smash import SMASH, adam
from palmette.progress import Silent
from palmette.recipes import memory_bank as recipes
from palmette.recipes.methods import smash
from palmette.searches.perturbation import PerturbationOptions
from palmette.space import Space
from palmette.spaces.memory_bank import small_memory_bank
from palmette.spaces.small_images import small_images
from palmette.storage.run_directory import RunDirectory
from palmette.supernets.options import HyperNetOptions
from palmette.training.recipe import Recipe
from palmette.training.steps import to_input

METHOD = SMASH(
    training=adam(Recipe(epochs=2, batch_size=50)),
    hypernetwork=HyperNetOptions(first=2, growth=2, layers=(1, 1)),
    perturbation=PerturbationOptions(random=4, perturbed=1, chain=1),
    rank_by="loss",
    retraining=Recipe(epochs=1, batch_size=50),
)


@pytest.fixture(scope="module")
def data() -> Dataset:
    return load("digits", splits=Splits(train=200, validation=50, calibration=50, test=50), seed=0)


def searched(method: SMASH, space: Space, data: Dataset, path: Path) -> tuple[Found, Job]:
    table = feasible_table(space, data, Limits({}), seed=0)
    directory = RunDirectory.open(path, {"method": method.name})
    with opened(space, data, table, Limits({}), directory=directory, seed=0, progress=Silent()) as job:
        return method.search(job), job


@pytest.mark.parametrize("weights", ["generated", "shared"])
def test_a_search_reads_its_run_again_and_scores_each_network_the_same_each_time(
    data: Dataset, tmp_path: Path, weights: str
) -> None:
    method = dataclasses.replace(METHOD, weights=weights)
    found, _ = searched(method, small_memory_bank(), data, tmp_path)
    again, _ = searched(method, small_memory_bank(), data, tmp_path)
    assert (again.best, found.evaluations) == (found.best, 6)
    assert again.evaluate([found.best]) == found.evaluate([found.best]) == found.evaluate([found.best])


def test_hypernetwork_and_ordinary_sharing_search_the_same_ordinary_space(data: Dataset, tmp_path: Path) -> None:
    for weights in ("generated", "shared"):
        method = dataclasses.replace(METHOD, weights=weights)
        found, job = searched(method, small_images(), data, tmp_path / weights)
        assert found.evaluations == 6
        assert job.space.decisions.check(found.best) == found.best


def test_the_weights_are_those_of_the_encoding_and_statistics_those_of_the_calibration_images(data: Dataset) -> None:
    space = small_memory_bank()
    supernet = space.supernet(seed=0)
    architecture = drawn_for_training(space, data, METHOD.training, seed=0)(0)
    rebuilt = Rebuilt(space, supernet, data)
    network = rebuilt.network(architecture)
    expected = space.build(architecture, seed=1)
    expected.load_state_dict(space.shared_state(supernet, architecture))
    expected.train()
    for module in expected.modules():
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
            module.reset_running_stats()
            module.momentum = 1.0  # one batch, whole
    with torch.no_grad():
        expected(to_input(data.calibration.pixels, data))
    assert score(expected, data.validation, data) == pytest.approx(rebuilt([architecture])[0], rel=1e-4)
    assert not network.training


@pytest.mark.slow
def test_the_whole_job_ends_in_a_report_and_answers_questions(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = str(tmp_path / "run")
    quick = [
        *("--space", "memory-bank-small", "--method", "smash", "--audit.networks", "6", "--audit.epochs", "1"),
        *("--training.epochs", "1", "--retraining.epochs", "1", "--retraining.warmup-epochs", "0"),
        *("--perturbation.random", "6", "--perturbation.perturbed", "1", "--perturbation.chain", "1"),
        *("--splits.train", "250", "--splits.validation", "60", "--splits.test", "50", "--splits.calibration", "50"),
        *("--hypernetwork.growth", "2", "--hypernetwork.layers", "1", "1"),
    ]
    assert main(["search", "--out", run, *quick]) == 0
    assert (tmp_path / "run" / "report.html").exists()
    assert "<svg" in (tmp_path / "run" / "encoding.svg").read_text()
    capsys.readouterr()
    assert main(["hypernetwork", "corrupted", run, "--networks", "6"]) == 0
    assert "With the dilations corrupted" in capsys.readouterr().out
    assert main(["hypernetwork", "guidance", run, "--networks", "6", "--proposals", "1"]) == 0
    assert "at equal cost" in capsys.readouterr().out
    assert main(["hypernetwork", "fixed", run]) == 0
    assert "Generated weights in the first block" in capsys.readouterr().out
    assert main(["hypernetwork", "capacity", run]) == 0
    assert capsys.readouterr().out.count("Kendall tau-b") == 2
    assert main(["hypernetwork", "transfer", run]) == 2
    assert "transfer needs --data" in capsys.readouterr().err
    transfer = ["hypernetwork", "transfer", run, "--data", "digits", "--networks", "6", "--epochs", "1"]
    assert main([*transfer, "--splits.train", "150", "--splits.validation", "40"]) == 0
    assert "it beats" in capsys.readouterr().out


def test_recipes_have_the_lengths_of_the_notes() -> None:
    """smash.md 7, 8 and 9: epochs of the supernet and of the winner, and pixels that images are shifted by."""
    lengths = {recipes.cifar: (100, 300, 4), recipes.imagenet32: (55, 55, 4), recipes.modelnet10: (100, 100, 2)}
    for recipe, expected in (lengths | {recipes.stl10: (100, 300, 12)}).items():
        made = smash(recipe())
        training = made.training
        assert (training.epochs, made.retraining.epochs, training.augmentation.pad) == expected
        assert (training.batch_size, training.optimizer, training.lr, training.epsilon) == (50, "adam", 1e-3, 1e-4)
        assert (training.momentum, training.second_moment, training.schedule) == (0.5, 0.999, "cosine")
        assert 499 <= made.perturbation.random <= 501
        assert (made.perturbation.perturbed, made.perturbation.chain) == (100, 100)
        assert (made.retraining.lr, made.retraining.momentum, made.retraining.nesterov) == (0.1, 0.9, True)


def test_weights_of_a_third_kind_are_refused() -> None:
    with pytest.raises(PalmetteError, match="weights = 'borrowed'"):
        SMASH(weights="borrowed")  # type: ignore[arg-type]
    assert pm.methods.SMASH is SMASH


def test_other_searches_with_shared_weights_score_memory_banks_rebuilt(data: Dataset) -> None:
    space = small_memory_bank()
    assert isinstance(inherited(space, space.supernet(seed=0), data), Rebuilt)
