"""Random search that trains networks alone: what it spends, what it keeps, and that it goes on after a kill."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tiny import dataset, space

from palmette.costs.limits import Limits
from palmette.errors import PalmetteError
from palmette.evaluation import from_scratch as training
from palmette.methods.job import Found, feasible_table, opened
from palmette.methods.random_training import RandomTraining
from palmette.methods.search import random_best
from palmette.progress import Silent
from palmette.searches.trial import Trial
from palmette.storage.run_directory import RunDirectory
from palmette.training.recipe import Recipe

METHOD = RandomTraining(training=Recipe(epochs=2, batch_size=8), trainings=3, rank_by="loss")
LIMITS = Limits.from_mapping({"flops": 20_000})


def searched(method: RandomTraining, path: Path) -> tuple[Found, list[Trial]]:
    data = dataset()
    table = feasible_table(space(), data, LIMITS, seed=0)
    directory = RunDirectory.open(path, {})
    with opened(space(), data, table, LIMITS, directory=directory, seed=0, progress=Silent()) as job:
        found = method.search(job)
        assert random_best(job, found) == found.best  # it is its own random search, and nothing is trained twice
        return found, job.journal.trials()


def test_it_trains_random_networks_within_limits_and_takes_the_best(tmp_path: Path) -> None:
    found, trials = searched(METHOD, tmp_path / "run")
    assert len({trial.architecture for trial in trials}) == 3
    assert all(trial.costs["flops"] <= 20_000 for trial in trials)
    assert found.best == min(trials, key=lambda trial: trial.metrics["loss"]).architecture
    assert found.passes == 3 * (3 * 2 * 16 + 12)  # 2 epochs of 16 images, and 12 to validate
    assert not list((tmp_path / "run" / "checkpoints").iterdir())


@pytest.mark.parametrize(
    ("passes", "trainings", "epochs"),
    [(216.0, 2, 2), (1.0, 1, 1), (250.0, 2, 2), (156.0, 1, 3)],  # a training of 2 epochs costs 108, of one more 48
)
def test_given_passes_it_spends_these(tmp_path: Path, passes: float, trainings: int, epochs: int) -> None:
    found, trials = searched(replace(METHOD, passes=passes), tmp_path / "run")
    assert len(trials) == trainings
    assert found.passes == trainings * (3 * 16 * epochs + 12)


def test_a_killed_search_trains_no_finished_network_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, trials = searched(METHOD, tmp_path / "whole")
    count, train_alone = 0, training.train_alone

    def counted(*arguments: Any, **named: Any) -> Any:
        nonlocal count
        count += 1
        if count == 3:
            raise KeyboardInterrupt
        return train_alone(*arguments, **named)

    monkeypatch.setattr(training, "train_alone", counted)
    with pytest.raises(KeyboardInterrupt):
        searched(METHOD, tmp_path / "killed")
    again, same = searched(METHOD, tmp_path / "killed")
    assert same == trials
    assert again.best == whole.best
    assert count == 4  # two done, one killed and done again


def test_no_trainings_are_refused() -> None:
    with pytest.raises(PalmetteError, match="at least 1 training"):
        RandomTraining(trainings=0)
