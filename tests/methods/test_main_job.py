"""The main job end to end, on a space and data that take a second."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tiny import dataset, network, space, spos
from torch import nn

import palmette as pm
from palmette.architecture import Architecture
from palmette.costs.complexity import CostTable
from palmette.data.images import Dataset, Images
from palmette.errors import LimitError, PalmetteError, StorageError
from palmette.evaluation.score import score
from palmette.methods import single_path
from palmette.methods.search import Result, search
from palmette.searches.trial import Trial
from palmette.storage import checkpoint
from palmette.storage.journal import Journal

LIMIT = 20_000
"""Of flops; about half of the architectures meet it."""
AUDIT = pm.AuditOptions(networks=6, epochs=1)
FILES = (
    *("config.toml", "environment.json", "trials.sqlite", "architecture.json", "network.safetensors"),
    *("result.json", "outcomes.safetensors", "report.json", "report.html", "checkpoints", "events"),
)


def searched(out: Path, *, data: Dataset | None = None, seed: int = 0, audit: pm.AuditOptions = AUDIT) -> Result:
    limits = {"flops": LIMIT}
    return search(space(), data=data or dataset(), method=spos(), limits=limits, audit=audit, out=out, seed=seed)


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> Result:
    return searched(tmp_path_factory.mktemp("search") / "run")


def trials(result: Result, arm: str) -> list[Trial]:
    with Journal(result.directory / "trials.sqlite", read_only=True) as journal:
        return journal.trials(arm)


def test_every_file_of_the_run_is_there(result: Result) -> None:
    assert {path.name for path in result.directory.iterdir()} == {*FILES, ".lock"}


def test_the_winner_is_the_best_trial_of_the_evolution_and_the_files_hold_it(result: Result) -> None:
    best = min(trials(result, "evolution"), key=lambda trial: trial.metrics["loss"])
    assert result.best.architecture == best.architecture
    text = (result.directory / "architecture.json").read_text()
    assert Architecture.from_json(text) == result.best.architecture
    figures = json.loads((result.directory / "result.json").read_text())
    assert figures["winner"]["test"] == result.best.test
    assert figures["winner"]["validation"] == result.best.validation
    assert figures["winner"]["costs"] == result.best.costs
    assert figures["random"]["test"] == result.random.test
    assert tuple(figures["headline"]) == result.headline


def test_the_run_says_what_the_search_cost_and_keeps_every_test_outcome(result: Result) -> None:
    search = json.loads((result.directory / "result.json").read_text())["search"]
    assert search["evaluations"] == 12
    trained, evaluated = 3 * 2 * 16, 12 * (12 + 12)  # 2 epochs of 16 images; 12 for calibration, 12 to validate
    assert search["passes"] == trained + evaluated
    table = CostTable(space(), (1, 8, 8))
    generator = np.random.default_rng(0)
    mean = np.mean([table(space().decisions.sample(generator))["flops"] for _ in range(100)])
    assert search["flops"] == pytest.approx(search["passes"] * mean)
    outcomes, state = checkpoint.load(result.directory / "outcomes.safetensors")
    assert state == {"metric": "accuracy"}
    assert outcomes["winner"].double().mean() == pytest.approx(result.best.test["accuracy"])
    assert outcomes["random"].double().mean() == pytest.approx(result.random.test["accuracy"])


def test_the_winner_is_plain_and_scores_what_the_result_says(result: Result) -> None:
    found = result.best.network
    assert not found.training
    assert not [m for m in found.modules() if type(m).__module__.startswith("palmette")]
    data = dataset()
    assert score(found, data.test, data) == result.best.test
    assert score(found, data.validation, data) == result.best.validation
    stored = load_file(result.directory / "network.safetensors")
    assert stored.keys() == found.state_dict().keys()
    assert all(torch.equal(tensor, stored[name]) for name, tensor in found.state_dict().items())


def test_every_trial_of_every_arm_meets_the_limits(result: Result) -> None:
    table = CostTable(space(), (1, 8, 8))
    everything = trials(result, "evolution") + trials(result, "random")
    assert any(table(a)["flops"] > LIMIT for a in space().decisions.enumerate())  # the limit excludes some
    for trial in everything:
        assert trial.costs["flops"] == table(trial.architecture)["flops"] <= LIMIT
    assert result.best.costs["flops"] <= LIMIT
    assert result.random.costs["flops"] <= LIMIT


def test_random_search_has_as_many_evaluations_and_no_architecture_twice(result: Result) -> None:
    for arm in ("evolution", "random"):
        architectures = [trial.architecture for trial in trials(result, arm)]
        assert len(architectures) == len(set(architectures)) == 12


def test_random_search_reports_its_best_by_the_same_score(result: Result) -> None:
    best = min(trials(result, "random"), key=lambda trial: trial.metrics["loss"])
    assert result.random.architecture == best.architecture


def test_the_audit_covers_six_networks_trained_from_scratch(result: Result) -> None:
    assert result.audit is not None
    assert result.audit.source == "6 architectures trained from scratch, 1 epochs each"
    codes = [point.code for point in result.audit.points]
    ranked = sorted(trials(result, "random"), key=lambda trial: trial.metrics["loss"])
    assert codes == [space().decisions.code(ranked[rank].architecture) for rank in (0, 2, 4, 7, 9, 11)]


def test_the_same_seed_gives_the_same_result_and_another_seed_another(result: Result, tmp_path: Path) -> None:
    again, other = searched(tmp_path / "again"), searched(tmp_path / "other", seed=1)
    assert figures(again) == figures(result)
    assert audit_of(again) == audit_of(result)
    assert (again.directory / "network.safetensors").read_bytes() == (
        result.directory / "network.safetensors"
    ).read_bytes()
    assert [t.metrics for t in trials(again, "evolution")] == [t.metrics for t in trials(result, "evolution")]
    assert [t.metrics for t in trials(other, "evolution")] != [t.metrics for t in trials(result, "evolution")]


def figures(result: Result) -> str:
    return (result.directory / "result.json").read_text()


def audit_of(result: Result) -> object:
    return json.loads((result.directory / "report.json").read_text())["audit"]


def test_a_finished_run_resumed_gives_the_same_and_trains_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = searched(tmp_path / "run")
    before = {name: (first.directory / name).read_bytes() for name in ("architecture.json", "network.safetensors")}
    figures_before, trials_before = figures(first), trials(first, "evolution")

    def refuse(*arguments: object) -> None:
        raise AssertionError("a step was trained or a candidate evaluated")

    monkeypatch.setattr("palmette.training.loop._backward", refuse)
    second = searched(tmp_path / "run", audit=pm.AuditOptions(networks=6, epochs=1))
    assert figures(second) == figures_before
    assert trials(second, "evolution") == trials_before
    assert {name: (second.directory / name).read_bytes() for name in before} == before


class Looked(Exception):
    """The test images were looked at."""


class Sealed:
    """Test images of which only the number may be known."""

    def __init__(self, count: int) -> None:
        self.count = count

    def __len__(self) -> int:
        return self.count

    def __getattr__(self, name: str) -> object:
        raise Looked(name)


def test_test_images_are_looked_at_only_when_everything_else_is_done(result: Result, tmp_path: Path) -> None:
    data = dataset()
    sealed = replace(data, test=cast(Images, Sealed(len(data.test))))
    with pytest.raises(Looked):
        searched(tmp_path / "run", data=sealed)
    with Journal(tmp_path / "run" / "trials.sqlite", read_only=True) as journal:
        assert len(journal.trials("evolution")) == len(journal.trials("random")) == 12
        assert len(journal.records("audit/")) == 6
    winner = tmp_path / "run" / "checkpoints" / f"retraining-{result.best.architecture.id}.safetensors"
    assert winner.is_file()  # the winner is trained
    opened = searched(tmp_path / "run")
    assert figures(opened) == figures(result)


def test_other_test_images_change_nothing_but_the_test_figures(result: Result, tmp_path: Path) -> None:
    data = dataset()
    darker = Images(data.test.pixels // 2, 1 - data.test.labels)
    other = searched(tmp_path / "run", data=replace(data, test=darker))
    assert other.best.architecture == result.best.architecture
    assert other.best.validation == result.best.validation
    assert other.random.architecture == result.random.architecture
    assert audit_of(other) == audit_of(result)
    assert other.best.test != result.best.test


def forbidden(*arguments: object, **options: object) -> None:
    raise AssertionError("a training began")


def test_limits_that_nothing_meets_are_told_before_anything_exists(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(single_path, "train_supernet", forbidden)
    table = CostTable(space(), (1, 8, 8))
    least = min(table(a)["flops"] for a in space().decisions.enumerate())
    with pytest.raises(LimitError, match=f"the smallest architecture of space 'tiny' has {least:,}; raise the limit"):
        search(space(), data=dataset(), method=spos(), limits={"flops": 10}, out=tmp_path / "run")
    assert list(tmp_path.iterdir()) == []


def test_data_that_do_not_fit_the_network_are_told_before_anything_exists(tmp_path: Path) -> None:
    with pytest.raises(PalmetteError, match=r"it cannot run an input of shape \(3, 8, 8\)"):
        search(space(), data=dataset(shape=(3, 8, 8)), method=spos(), out=tmp_path / "run")
    assert list(tmp_path.iterdir()) == []


def test_a_table_that_cannot_be_read_is_told_before_the_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(single_path, "train_supernet", forbidden)
    with pytest.raises(PalmetteError, match="the table cannot be read"):
        searched(tmp_path / "run", audit=pm.AuditOptions(table=tmp_path / "none.csv"))


def test_a_run_is_not_continued_with_other_settings(result: Result) -> None:
    before = figures(result)
    with pytest.raises(StorageError, match="seed was 0 when this run began and is 5 now; resume with the same"):
        searched(result.directory, seed=5)
    with pytest.raises(StorageError, match=r"data\.images was"):
        searched(result.directory, data=dataset(train=20))
    assert figures(result) == before


def test_limits_that_a_single_architecture_meets_end_with_it_and_without_an_audit(tmp_path: Path) -> None:
    table = CostTable(space(), (1, 8, 8))
    least = min(space().decisions.enumerate(), key=lambda a: table(a)["flops"])
    limits = {"flops": float(table(least)["flops"])}
    found = search(space(), data=dataset(), method=spos(), limits=limits, audit=AUDIT, out=tmp_path / "run")
    assert found.best.architecture == found.random.architecture == least
    assert found.audit is None
    assert found.headline[-1] == "Random search at the same cost, 1 evaluations, found the same network."
    assert (found.directory / "report.html").is_file()


def test_no_audit_is_made_where_none_is_asked_for(tmp_path: Path) -> None:
    found = searched(tmp_path / "run", audit=pm.AuditOptions(networks=0))
    assert found.audit is None
    assert sqlite3.connect(found.directory / "trials.sqlite").execute(
        "SELECT COUNT(*) FROM records WHERE key LIKE 'audit/%'"
    ).fetchone() == (0,)


def test_an_audit_against_a_table_takes_the_rows_asked_for(tmp_path: Path) -> None:
    decisions = space().decisions
    table = tmp_path / "truth.csv"
    rows = [f"{decisions.code(a)},{0.5 + i / 100}" for i, a in enumerate(decisions.enumerate())]
    table.write_text("\n".join(["arch,accuracy", *rows]))
    found = searched(tmp_path / "run", audit=pm.AuditOptions(table=table, table_rows=9))
    assert found.audit is not None
    assert found.audit.source == "table truth.csv, 9 architectures"
    truth = {decisions.code(a): 0.5 + i / 100 for i, a in enumerate(decisions.enumerate())}
    assert len({point.code for point in found.audit.points}) == 9
    assert all(point.stand_alone == pytest.approx(truth[point.code]) for point in found.audit.points)


def test_the_ten_lines_of_the_readme_find_a_trained_plain_network(tmp_path: Path) -> None:
    def block(kernel: int) -> Callable[[], nn.Module]:
        return lambda: nn.Sequential(
            nn.Conv2d(8, 8, kernel, padding=kernel // 2, bias=False), nn.BatchNorm2d(8), nn.ReLU()
        )

    whole = nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(),
        *[pm.OneOf(f"block{i}", k3=block(3), k5=block(5), skip=nn.Identity) for i in range(3)],
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 10),
    )  # fmt: skip
    quick = pm.Recipe(epochs=1, batch_size=64)
    method = pm.methods.SPOS(training=quick, retraining=quick, evolution=spos().evolution)
    result = pm.search(
        whole,
        data=pm.data.digits(),
        method=method,
        limits={"flops": 80_000},
        audit=pm.AuditOptions(networks=0),
        out=tmp_path / "run",
    )
    assert result.best.costs["flops"] <= 80_000
    with torch.no_grad():
        assert result.best.network(torch.zeros(2, 1, 8, 8)).shape == (2, 10)
    assert not [m for m in result.best.network.modules() if type(m).__module__.startswith("palmette")]
    assert all(isinstance(module, pm.OneOf) for module in list(whole)[3:6])  # the user's network is left as it was


def test_ranking_by_accuracy_breaks_ties_by_the_loss(tmp_path: Path) -> None:
    found = search(
        network(), data=dataset(), method=replace(spos(), rank_by="accuracy"), audit=AUDIT, out=tmp_path / "run"
    )
    best = min(trials(found, "evolution"), key=lambda t: (-t.metrics["accuracy"], t.metrics["loss"]))
    assert found.best.architecture == best.architecture


def test_a_run_without_a_directory_lies_in_a_new_temporary_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    found = search(space(), data=dataset(), method=spos(), audit=pm.AuditOptions(networks=0))
    assert found.directory.parent == tmp_path
    assert (found.directory / "report.html").is_file()
