"""Studies: what they leave, that a kill loses nothing, and a real one on digits."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ray_cluster import WARNINGS, cluster, kill_node

from palmette import data
from palmette.cli.main import main
from palmette.design_spaces.ladder import ladder, tiny
from palmette.design_spaces.options import Optimisation, StudyOptions
from palmette.design_spaces.report import write_report
from palmette.design_spaces.study import OPTIMISATION, Setting, Study, analyse, features, run_study
from palmette.errors import PalmetteError
from palmette.progress import Silent
from palmette.storage.journal import Journal
from palmette.storage.run_directory import RunDirectory
from palmette.training.recipe import Recipe

RECIPE = Recipe(epochs=1, batch_size=128, lr=0.1, weight_decay=5e-5)
SMALL = ["--networks", "4", "--recipe.epochs", "1", "--recipe.batch-size", "128", "--limits.flops", "50K:100K"]


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    spaces = {name: space for name, space in ladder(tiny()).items() if name in ("AnyNetX_C", "AnyNetX_E", "RegNetX")}
    options = StudyOptions(networks=4, recipe=RECIPE, optimisation=Optimisation(networks=3))
    setting = Setting(data=data.digits(), ranges={"flops": (50e3, 100e3)})
    with Journal(tmp_path_factory.mktemp("study") / "trials.sqlite") as journal:
        return run_study(spaces, options, setting, journal=journal, progress=Silent())


def test_every_space_has_its_networks_and_its_numbers(study: Study) -> None:
    analysis = analyse(study)
    json.dumps(analysis, allow_nan=False)
    assert list(analysis["spaces"]) == ["AnyNetX_C", "AnyNetX_E", "RegNetX"]
    record = analysis["spaces"]["RegNetX"]
    errors = study.errors("RegNetX")
    assert record["states"] == {"finished": 4, "diverged": 0, "failed": 0}
    assert (record["min"], record["mean"]) == (errors.min(), errors.mean())
    assert record["expected_best"]["1"][0] == pytest.approx(errors.mean())
    assert list(record["expected_best"]) == ["1", "2", "4"]
    assert set(record["best_ranges"]) == {"d", "w0", "wa", "wm", "b", "g", "flops", "params", "acts"}
    assert sum(record["value_weights"]["b"].values()) == pytest.approx(1)
    assert record["line_error"]["mean"] >= 0
    pairs = [(comparison["space"], comparison["beside"]) for comparison in analysis["comparisons"]]
    assert pairs == [("AnyNetX_E", "AnyNetX_C"), ("RegNetX", "AnyNetX_E"), ("RegNetX", "AnyNetX_C")]
    assert set(analysis["optimisation"]) == {"lr", "weight_decay", "lr * weight_decay"}
    assert len(analysis["networks"]) == 3 * 4 + 3


def test_features_of_anynets_have_their_depth(study: Study) -> None:
    found = features(study, "AnyNetX_C")
    assert found["depth"] == [
        sum(outcome.parameters[f"d{i}"] for i in (1, 2, 3)) for outcome in study.trained("AnyNetX_C")
    ]


def test_the_check_of_learning_rates_takes_networks_of_the_first_space(study: Study) -> None:
    outcomes = study.outcomes[OPTIMISATION]
    assert {outcome.space for outcome in outcomes} == {"AnyNetX_C"}
    assert len({outcome.lr for outcome in outcomes}) == 3


def test_the_report_is_one_page_with_every_picture(study: Study, tmp_path: Path) -> None:
    with RunDirectory.create(tmp_path / "run", {"a": 1}) as directory:
        lines = list(write_report(study, directory, title="<title>", device="cpu"))
    assert lines[0].startswith("AnyNetX_C: 4 finished; error min")
    page = directory.report.read_text()
    names = {"error_distributions", "search_efficiency", "line_fit", "width_profiles", "optimisation"}
    names |= {f"best_ranges_{name}" for name in study.spaces}
    assert {path.stem for path in (directory.path / "figures").iterdir()} == names
    assert page.count("<svg") == len(names)
    assert "&lt;title&gt;" in page
    assert "<title>" not in page.split("<title>", 1)[1]
    assert "<script" not in page
    assert "http-equiv" in page


def test_images_that_are_not_square_are_refused(study: Study, tmp_path: Path) -> None:
    whole = data.digits()
    object.__setattr__(whole.train, "pixels", whole.train.pixels[:, :, :7])
    with Journal(tmp_path / "trials.sqlite") as journal, pytest.raises(PalmetteError, match="7 x 8 pixels"):
        run_study(study.spaces, StudyOptions(), Setting(data=whole, ranges={}), journal=journal, progress=Silent())


def test_one_network_is_no_population() -> None:
    with pytest.raises(PalmetteError, match="give at least 2"):
        StudyOptions(networks=1)


def test_spaces_are_asked_for_by_letter(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["study", "--spaces", "F", "--out", str(tmp_path / "run")]) == 2
    assert "RegNet" in capsys.readouterr().err


def started(out: Path, *more: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", "import sys; from palmette.cli.main import main; sys.exit(main(sys.argv[1:]))"]
    command += ["study", "--spaces", "A", "RegNet", "--out", str(out), *SMALL, *more]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)


def recorded(out: Path) -> int:
    if not (out / "trials.sqlite").exists():
        return 0
    try:
        with Journal(out / "trials.sqlite", read_only=True) as journal:
            return len(journal.records("population/"))
    except PalmetteError:  # the file is being made
        return 0


def workers(pid: int) -> list[int]:
    """Return the processes that train; another child keeps track of resources."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(child) for child in children if "spawn_main" in Path(f"/proc/{child}/cmdline").read_text()]


def networks(out: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((out / "study.json").read_text())["networks"]
    return found


@pytest.mark.slow
def test_killing_a_worker_and_then_the_driver_loses_nothing(tmp_path: Path) -> None:
    assert started(tmp_path / "whole", "--workers", "1").wait() == 0

    killed = started(tmp_path / "killed", "--workers", "2")
    for killings in (1, 3):
        while recorded(tmp_path / "killed") < killings:
            assert killed.poll() is None
            time.sleep(0.05)
        if killings == 1:
            os.kill(workers(killed.pid)[0], signal.SIGKILL)
        else:
            killed.kill()
    killed.wait()
    finished = recorded(tmp_path / "killed")
    assert 3 <= finished < 8
    with Journal(tmp_path / "killed" / "trials.sqlite", read_only=True) as journal:
        before = journal.records("population/")
    assert started(tmp_path / "killed", "--workers", "1", "--resume").wait() == 0
    with Journal(tmp_path / "killed" / "trials.sqlite", read_only=True) as journal:
        after = journal.records("population/")
    assert {key: after[key] for key in before} == before  # seconds too: nothing was trained twice
    assert networks(tmp_path / "killed") == networks(tmp_path / "whole")


@pytest.mark.slow
def test_a_real_study_on_digits(tmp_path: Path) -> None:
    out = tmp_path / "run"
    assert main(["study", "--out", str(out), "--workers", "2", "--networks", "10", "--recipe.epochs", "3"]) == 0
    analysis = json.loads((out / "study.json").read_text())
    assert len(analysis["spaces"]) == 6
    for name, record in analysis["spaces"].items():
        assert record["states"]["finished"] + record["states"]["diverged"] == 10, name
        assert record["mean"] < 0.5, name
        assert record["band"] == pytest.approx(np.sqrt(np.log(2 / 0.05) / 20))
    comparisons = {(c["space"], c["beside"]): c for c in analysis["comparisons"]}
    best = comparisons["RegNetX", "AnyNetX_A"]
    assert best["pairs"] == 10
    assert best["mean"]["low"] < best["mean"]["value"] < best["mean"]["high"]


@pytest.mark.slow
@pytest.mark.filterwarnings(*WARNINGS)
def test_a_study_on_a_cluster_that_loses_a_node_ends_with_the_same_table(tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="needs the extra ray")
    assert started(tmp_path / "whole", "--workers", "1").wait() == 0
    with cluster() as (address, second):
        on_cluster = started(tmp_path / "cluster", "--ray", address, "--workers", "2")
        while recorded(tmp_path / "cluster") < 2:
            assert on_cluster.poll() is None
            time.sleep(0.05)
        kill_node(second)
        assert on_cluster.wait(timeout=300) == 0
    assert networks(tmp_path / "cluster") == networks(tmp_path / "whole")
