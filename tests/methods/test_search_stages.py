"""The search stage of SPOS: all evaluate equally many, say what they should, and refuse what they cannot."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from tiny import QUICK, npz

from palmette.cli.main import main
from palmette.methods.spos import SPOS
from palmette.searches.evolution import EvolutionOptions
from palmette.storage.journal import Journal

SIZES = EvolutionOptions(population=20, generations=4, mutants=5, crossovers=5)


@pytest.mark.parametrize("stage", ["evolution", "nsga2", "predictor", "random", "optuna"])
def test_every_stage_evaluates_as_many_as_evolution(stage: str) -> None:
    assert SPOS(evolution=SIZES, stage=stage).searching().evaluations == 100


@pytest.mark.slow
def test_the_predictor_reports_its_own_rank_correlation(tmp_path: Path) -> None:
    data, out = npz(tmp_path / "images.npz"), tmp_path / "run"
    sizes = ("--evolution.population", "10", "--evolution.generations", "1")
    assert main(["search", "--data", str(data), "--out", str(out), *QUICK, *sizes, "--stage", "predictor"]) == 0
    with Journal(out / "trials.sqlite") as journal:
        found = journal.records("predictor")["predictor"]
        assert {trial.arm for trial in journal.trials()} == {"predictor", "random"}
    assert isinstance(found, dict)
    assert found["architectures"] == 20
    sentence = f"The ridge predictor orders architectures it has not seen to Kendall tau-b {found['kendall_tau_b']:.3f}"
    assert any(line.startswith(sentence) for line in json.loads((out / "result.json").read_text())["headline"])
    assert sentence in (out / "report.html").read_text()


@pytest.mark.slow
def test_a_sampler_of_optuna_searches_and_the_trials_are_mirrored_meanwhile(tmp_path: Path) -> None:
    optuna = pytest.importorskip("optuna")
    data, out, url = npz(tmp_path / "images.npz"), tmp_path / "run", f"sqlite:///{tmp_path / 'trials.db'}"
    options = ("--stage", "optuna", "--optuna-sampler", "NSGAIISampler", "--optuna", url)
    assert main(["search", "--data", str(data), "--out", str(out), *QUICK, *options]) == 0
    with Journal(out / "trials.sqlite") as journal:
        trials = journal.trials()
    assert [trial.arm for trial in trials] == ["optuna"] * 12 + ["random"] * 12
    assert all(trial.costs["flops"] <= 400_000 for trial in trials)
    (summary,) = optuna.get_all_study_summaries(url)
    study = optuna.load_study(study_name=summary.study_name, storage=url)
    assert [mirrored.values for mirrored in study.trials] == [[t.metrics["accuracy"], t.costs["flops"]] for t in trials]
    assert url not in (out / "config.toml").read_text()  # it may hold a password


@pytest.mark.slow
def test_points_of_the_front_leave_as_architectures_that_other_commands_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, out = npz(tmp_path / "images.npz"), tmp_path / "run"
    objectives = ("--stage", "nsga2", "--objectives", "loss", "flops")
    assert main(["search", "--data", str(data), "--out", str(out), *QUICK, *objectives]) == 0
    capsys.readouterr()
    assert main(["export", str(out), "--front", str(tmp_path / "front")]) == 0
    points = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [point["flops"] for point in points] == sorted(point["flops"] for point in points)
    assert [point["loss"] for point in points] == sorted((point["loss"] for point in points), reverse=True)
    for point in points:
        assert main(["cost", "small-images", point["file"]]) == 0
        assert json.loads(capsys.readouterr().out)["canonical"] == point["code"]


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--stage", "nsga2", "--objectives", "loss", "loss"], "objectives loss, loss: give at least one, and each on"),
        (
            ["--stage", "nsga2", "--objectives", "loss", "joules"],
            "objective 'joules': not known here; allowed are accu",
        ),
        (["--objectives", "loss", "flops"], "objectives are of nsga2, not of evolution; add --stage nsga2"),
        (["--optuna-sampler", "GPSampler"], "a sampler of Optuna was given for evolution; add --stage optuna"),
        (["--stage", "optuna", "--optuna-sampler", "Tpe"], "sampler 'Tpe' cannot be used here; allowed are"),
        (["--stage", "optuna", "--objectives", "joules"], "objective 'joules': not known here; allowed are accu"),
        (["--regressor", "gaussian-process"], "a regressor is of predictor, not of evolution; add --stage predictor"),
        (["--method", "fairnas", "--nsga2.objectives", "flops", "flops"], "objectives flops, flops: give at least one"),
        (["--method", "greedynas", "--greedy.pool", "100000"], "a pool of 100,000 is larger than space 'small-images'"),
        (["--method", "greedynas", "--greedy.paths", "4"], "5 paths cannot be kept of 4 drawn; keep at least 1 and at"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_trained_or_written(
    options: list[str], complaint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["search", "--out", str(tmp_path / "run"), *options]) == 2
    error = capsys.readouterr().err
    assert re.search(complaint, error), error
    assert error.count("\n") == 1
    assert not list(tmp_path.glob("run/checkpoints/*"))
