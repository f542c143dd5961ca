"""Searches on a table: budgets, costs, rivals and resuming, on a space small enough to know the answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from palmette.comparison.named_searches import named_search
from palmette.comparison.on_table import (
    ALONE,
    RANDOM,
    SAME_EVALUATIONS,
    Prices,
    SearchJob,
    Table,
    best_so_far,
    do_job,
    done,
    entries_of,
    jobs_of,
)
from palmette.decision import Categorical
from palmette.decisions import Decisions
from palmette.errors import PalmetteError
from palmette.storage.journal import Journal
from palmette.workers.pool import Failure, Here

DECISIONS = Decisions("made-up", [Categorical(f"d{i}", ("a", "b", "c")) for i in range(4)])
PRICES = Prices(evaluation=10.0, supernet=1000.0, training=600.0, average_flops=2.0)
SEARCHES = ("random", "evolution", "nsga2", "nsga2:accuracy+flops", "predictor", "predictor:gaussian-process")


def table() -> Table:
    """Return 81 architectures whose accuracy is the share of the option ``c``, and whose FLOPs are 2."""
    everything = list(DECISIONS.enumerate())
    accuracy = {a: sum(value == "c" for _, value in a.values) / 4 for a in everything}
    return Table(DECISIONS, accuracy, {a: {"flops": 2.0} for a in everything}, lambda a: True)


def results(evaluations: int = 30, seeds: int = 4) -> dict[SearchJob, Any]:
    jobs = jobs_of(SEARCHES, seeds, evaluations, PRICES)
    return {job: do_job(table(), job) for job in jobs}


@pytest.fixture(scope="module")
def found() -> dict[SearchJob, Any]:
    return results()


def test_every_search_gets_the_same_evaluations_and_its_cost_is_what_it_looked_up(found: dict[SearchJob, Any]) -> None:
    for row in entries_of(found, PRICES):
        assert row.costs["evaluations"] == 30
        assert row.costs["flops"] == 30 * 10 * 2
        assert row.costs["flops with supernet"] == 30 * 10 * 2 + 1000 * 2
        assert row.costs["trainings"] == 2  # 2,600 FLOPs, a training takes 1,200


def test_random_search_that_trains_alone_has_as_many_networks_as_the_whole_cost_pays_for(
    found: dict[SearchJob, Any],
) -> None:
    alone = {job.seed: result["accuracies"] for job, result in found.items() if job.alone}
    assert set(alone) == {4, 5, 6, 7}  # draws of its own
    row = next(row for row in entries_of(found, PRICES) if row.name == "evolution")
    rival = next(rival for rival in row.rivals if rival.name == ALONE)
    assert rival.figures == tuple(max(alone[seed][:2]) for seed in (4, 5, 6, 7))


def test_random_search_is_the_rival_of_all_others(found: dict[SearchJob, Any]) -> None:
    rows = {row.name: row for row in entries_of(found, PRICES)}
    assert list(rows) == list(SEARCHES)
    assert [rival.name for rival in rows[RANDOM].rivals] == [ALONE]
    for name in SEARCHES[1:]:
        assert rows[name].rivals[0].name == SAME_EVALUATIONS
        assert rows[name].rivals[0].figures == rows[RANDOM].figures


def test_the_best_so_far_never_falls_and_searches_that_learn_find_the_best(found: dict[SearchJob, Any]) -> None:
    for name in SEARCHES:
        assert (np.diff(best_so_far(found, name), axis=1) >= 0).all()
    assert (best_so_far(found, "predictor")[:, -1] == 1.0).all()
    assert best_so_far(found, RANDOM)[:, -1].mean() < 1.0


def test_a_search_that_runs_out_of_networks_keeps_its_best() -> None:
    job = SearchJob("random", 0, 200)
    assert best_so_far({job: do_job(table(), job)}, "random").shape == (1, 81)


class Dying:
    """A pool that dies after some jobs."""

    def __init__(self, jobs: int) -> None:
        self.jobs = jobs

    def run(self, make: Callable[[], Callable[[Any], Any]], jobs: Sequence[Any]) -> Iterator[tuple[int, Any]]:
        for position, result in Here().run(make, jobs):
            if position == self.jobs:
                raise KeyboardInterrupt
            yield position, result


def test_a_killed_comparison_goes_on_and_does_no_job_twice(tmp_path: Path) -> None:
    jobs, calls = jobs_of(("evolution",), 3, 20, PRICES), []

    def start() -> Callable[[SearchJob], dict[str, Any]]:
        def do(job: SearchJob) -> dict[str, Any]:
            calls.append(job)
            return do_job(table(), job)

        return do

    with Journal(tmp_path / "trials.sqlite") as journal:
        with pytest.raises(KeyboardInterrupt):
            done(jobs, Dying(4), start, journal, lambda done, total: None)
        again = done(jobs, Here(), start, journal, lambda done, total: None)
    assert len(calls) == len(jobs) + 1  # one was under way when it was killed
    whole = {job: do_job(table(), job) for job in jobs}
    assert {j: r["accuracies"] for j, r in again.items()} == {j: r["accuracies"] for j, r in whole.items()}


class Failing:
    def run(self, make: object, jobs: Sequence[Any]) -> Iterator[tuple[int, Any]]:
        yield 0, Failure("disk full")


def test_a_search_that_fails_is_named(tmp_path: Path) -> None:
    with (
        Journal(tmp_path / "trials.sqlite") as journal,
        pytest.raises(PalmetteError, match="search 'random', seed 0: disk full"),
    ):
        done([SearchJob("random", 0, 5)], Failing(), partial(partial, do_job), journal, lambda done, total: None)


@pytest.mark.parametrize("name", ["hill-climbing", "random:fast", "evolution:2", "predictor:tree", "optuna:NoSampler"])
def test_unknown_searches_and_variants_are_refused(name: str) -> None:
    with pytest.raises(PalmetteError, match="allowed are"):
        named_search(name, DECISIONS, lambda a: True, evaluations=20)
