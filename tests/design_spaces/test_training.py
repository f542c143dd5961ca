"""Training populations: outcomes do not depend on who trains, and nothing finished is lost."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from palmette.data.images import Dataset, Images
from palmette.design_spaces.ladder import ladder, tiny
from palmette.design_spaces.population import sample
from palmette.design_spaces.quantities import Uniform
from palmette.design_spaces.space import BuiltSpace, Row
from palmette.design_spaces.training import (
    Job,
    Outcome,
    jobs_of,
    recorded,
    train_one,
    train_population,
    vary_optimisation,
)
from palmette.storage.journal import Journal
from palmette.training.recipe import Recipe
from palmette.workers.processes import Processes

SPACE = ladder(tiny())["AnyNetX_E"]
RECIPE = Recipe(epochs=1, batch_size=16, lr=0.1, weight_decay=5e-5)


@pytest.fixture(scope="module")
def data() -> Dataset:
    """Return images whose brightness tells the class."""
    labels = torch.arange(80) % 10
    noise = torch.randint(20, (80, 1, 8, 8), generator=torch.Generator().manual_seed(0))
    images = Images((20 * labels[:, None, None, None] + noise).to(torch.uint8), labels)
    parts = {"train": images, "validation": images, "calibration": images, "test": images}
    return Dataset(name="grey", classes=tuple("0123456789"), mean=(0.4,), std=(0.2,), **parts)


def jobs(count: int) -> list[Job]:
    population = sample(SPACE, count, ranges={"flops": (50e3, 150e3)}, resolution=8)
    return jobs_of(SPACE, population, RECIPE, seed=0)


def table(outcomes: list[Outcome]) -> list[Outcome]:
    """Return the outcomes without what a clock said."""
    return [replace(outcome, seconds=0.0) for outcome in outcomes]


def test_workers_find_what_one_process_finds(data: Dataset, tmp_path: Path) -> None:
    with Journal(tmp_path / "one.sqlite") as one, Journal(tmp_path / "two.sqlite") as two:
        here = train_population(jobs(3), data, one, name="E")
        there = train_population(jobs(3), data, two, name="E", pool=Processes(2))
    assert table(here) == table(there)
    assert [outcome.index for outcome in here] == [0, 1, 2]
    assert all(outcome.state == "finished" and 0 <= outcome.error <= 1 for outcome in here)
    assert len({outcome.loss for outcome in here}) == 3


def test_a_stopped_study_goes_on_to_the_same_table(data: Dataset, tmp_path: Path) -> None:
    seen: list[int] = []
    with Journal(tmp_path / "whole.sqlite") as whole, Journal(tmp_path / "parts.sqlite") as parts:
        expected = train_population(jobs(4), data, whole, name="E")

        def stop(done: int, total: int) -> None:
            if done == 2:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            train_population(jobs(4), data, parts, name="E", advance=stop)
        assert sorted(recorded(parts, "E")) == [0, 1]
        resumed = train_population(jobs(4), data, parts, name="E", advance=lambda done, total: seen.append(done))
    assert seen == [2, 3, 4]
    assert table(resumed) == table(expected)


def brittle(row: Row) -> nn.Module:
    """Return a network that fails at width 2, never ends finite at width 3, and kills its process at width 4."""
    width = int(row["width"])
    head = nn.Linear(64, 10)
    return nn.Sequential(nn.Flatten(), _Trap(width), head)


class _Trap(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not x.is_meta and self.width == 2:
            raise RuntimeError("out of memory")
        if not x.is_meta and self.width == 4:
            os.kill(os.getpid(), signal.SIGKILL)
        return x * (float("inf") if self.width == 3 else 1.0)


BRITTLE = BuiltSpace(name="brittle", quantities={"width": Uniform(1, 4)}, build=brittle, channels=1)


def test_networks_that_fail_or_diverge_are_recorded(data: Dataset, tmp_path: Path) -> None:
    population = sample(BRITTLE, 4, resolution=8)
    work = jobs_of(BRITTLE, population, RECIPE, seed=0)
    with Journal(tmp_path / "journal.sqlite") as journal:
        outcomes = train_population(work, data, journal, name="brittle", pool=Processes(1))
        again = recorded(journal, "brittle")
    by_width = {int(outcome.parameters["width"]): outcome for outcome in outcomes}
    assert {width: outcome.state for width, outcome in by_width.items()} == {
        1: "finished",
        2: "failed",
        3: "diverged",
        4: "failed",
    }
    assert by_width[2].why == "RuntimeError: out of memory"
    assert "the loss became" in by_width[3].why
    assert by_width[3].error == 1
    assert "worker died 3 times" in by_width[4].why
    assert again[by_width[3].index].record() == by_width[3].record()


def test_outcomes_survive_json() -> None:
    job = jobs(1)[0]
    outcome = Outcome("s", 0, "failed", float("nan"), float("nan"), {"d": 3}, 1, 2, 3, 0.1, 0.0, 1.5, "why")
    again = Outcome.of_record(outcome.record())
    assert again.record() == outcome.record()
    assert job.weights_seed != replace(job, index=1).weights_seed


def test_the_check_of_learning_rates_gives_every_network_its_own(data: Dataset) -> None:
    varied = vary_optimisation(jobs(6), lr=(0.01, 1.0), weight_decay=(1e-5, 1e-3), seed=0)
    rates = [job.recipe.lr for job in varied]
    assert len(set(rates)) == 6
    assert 0.01 <= min(rates) <= max(rates) <= 1
    assert train_one(varied[0], data).lr == rates[0]
