"""Finished runs side by side: which are compared with which, and what is refused."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from scipy import stats

from palmette.architecture import Architecture
from palmette.comparison.contrast import contrasted
from palmette.comparison.of_runs import ALONE, OWN, FinishedRun, cost_note, entries_of, read_run, with_truth
from palmette.errors import PalmetteError, StorageError
from palmette.evaluation.metric import ACCURACY, PERPLEXITY
from palmette.storage.journal import Journal

COSTS = {"evaluations": 10.0, "passes": 100.0, "flops": 1e6, "seconds": 3.0}


def run(method: str, seed: int, winner: float, random: float = 0.8, **settings: str) -> FinishedRun:
    return FinishedRun(
        method=method,
        seed=seed,
        settings={"space": "tiny", "data": "digits", "method": method, "seed": str(seed), **settings},
        metric=ACCURACY,
        codes={"winner": "012", "random": "111"},
        figures={"winner": winner, "random": random},
        costs=COSTS,
        outcomes={},
    )


def test_runs_of_one_method_are_one_entry_held_against_their_own_random_search_by_seed() -> None:
    (entry,) = entries_of([run("spos", 1, 0.92, 0.85), run("spos", 0, 0.90, 0.84)])
    assert entry.name == "spos"
    assert entry.figures == (0.90, 0.92)
    (own,) = entry.rivals
    assert (own.name, own.figures, own.paired) == (OWN, (0.84, 0.85), True)


def test_networks_trained_alone_are_the_rival_of_all_others_by_seed() -> None:
    alone = [run("random", seed, 0.7 + seed / 100) for seed in (0, 1, 2)]
    entries = {entry.name: entry for entry in entries_of([run("spos", 2, 0.9), run("spos", 1, 0.8), *alone])}
    assert [rival.name for rival in entries["spos"].rivals] == [OWN, ALONE]
    assert entries["spos"].rivals[1].figures == (0.71, 0.72)
    assert entries["spos"].rivals[1].paired
    assert entries["random"].rivals == ()


def test_without_networks_trained_alone_of_every_seed_there_are_no_pairs() -> None:
    entries = entries_of([run("spos", 0, 0.9), run("spos", 7, 0.8), run("random", 0, 0.7), run("random", 1, 0.6)])
    assert not entries[0].rivals[1].paired


def test_settings_that_differ_within_a_method_tell_its_entries_apart() -> None:
    runs = [run("spos", 0, 0.9, **{"options.training.epochs": epochs}) for epochs in ("8", "16")]
    assert [entry.name for entry in entries_of(runs)] == ["spos (training.epochs 8)", "spos (training.epochs 16)"]


@pytest.mark.parametrize(
    ("runs", "what"),
    [
        ([run("spos", 0, 0.9), run("enas", 0, 0.9, data="other")], "data is digits in one run and other in another"),
        ([run("spos", 0, 0.9), run("enas", 0, 0.9, **{"limits.flops": "1M"})], "limits.flops is unset in one run"),
        ([run("spos", 0, 0.9), run("spos", 0, 0.8)], "two runs of spos have seed 0"),
        ([], "no run was given"),
    ],
)
def test_runs_that_cannot_be_compared_are_refused(runs: list[FinishedRun], what: str) -> None:
    with pytest.raises(PalmetteError, match=what):
        entries_of(runs)


def test_unequal_costs_are_said_to_be_unequal() -> None:
    dear = replace(run("enas", 0, 0.9), costs={**COSTS, "passes": 250.0})
    assert "enas cost 2.50 times as much as spos" in cost_note(entries_of([run("spos", 0, 0.9), dear]))
    assert cost_note(entries_of([run("spos", 0, 0.9)])) == "Measured costs are equal within 0%."


def test_one_seed_is_compared_by_test_images_with_mcnemars_test() -> None:
    right = {"winner": (1.0,) * 95 + (0.0,) * 5, "random": (1.0,) * 83 + (0.0,) * 12 + (1.0,) * 2 + (0.0,) * 3}
    (row,) = contrasted(entries_of([replace(run("spos", 0, 0.95, 0.85), outcomes=right)]), ACCURACY)
    assert row.entry.unit == "test image"
    assert row.mean.value == pytest.approx(0.95)
    assert row.contrasts[0].p == pytest.approx(stats.binomtest(12, 14).pvalue)


def test_true_accuracies_stand_in_for_measured_ones() -> None:
    parsed = {code: Architecture("tiny", (("a", code),)) for code in ("012", "111")}
    truth = {parsed["012"]: 0.5, parsed["111"]: 0.6}
    judged = with_truth(replace(run("spos", 0, 0.95), outcomes={"winner": (1.0,)}), truth, parsed)
    assert judged.figures == {"winner": 0.5, "random": 0.6}
    assert judged.outcomes == {}


def test_a_finished_run_is_read_with_its_cost(finished_run: Path) -> None:
    read = read_run(finished_run)
    assert (read.method, read.seed, read.metric) == ("spos", 0, ACCURACY)
    assert read.costs["evaluations"] == 12
    assert read.costs["seconds"] > 0
    assert len(read.outcomes["winner"]) == 16
    assert sum(read.outcomes["winner"]) / 16 == read.figures["winner"]
    with Journal(finished_run / "trials.sqlite", read_only=True) as journal:
        seconds = {key.removeprefix("seconds/"): value for key, value in journal.records("seconds/").items()}
    assert read.costs["seconds"] == pytest.approx(seconds["supernet"] + seconds["evolution"])


def test_a_run_that_is_not_finished_says_how_to_finish_it(finished_run: Path, tmp_path: Path) -> None:
    shutil.copytree(finished_run, tmp_path / "run")
    (tmp_path / "run" / "outcomes.safetensors").unlink()
    with pytest.raises(StorageError, match="finish the run with --resume"):
        read_run(tmp_path / "run")


def test_perplexities_are_compared_over_seeds_only() -> None:
    text = [replace(run("enas", seed, 90.0 - seed, 95.0), metric=PERPLEXITY) for seed in (0, 1)]
    (row,) = contrasted(entries_of(text), PERPLEXITY)
    assert row.entry.unit == "seed"
    assert row.contrasts[0].difference.value == pytest.approx(5.5)
