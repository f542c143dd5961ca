"""Trials in a storage of Optuna: each once, whatever happens to the process or the database."""

from __future__ import annotations

import contextlib
import gc
import json
import math
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from postgres import Server, running_server

from palmette.cli.main import main
from palmette.decision import Categorical, Integer
from palmette.decisions import Decisions
from palmette.errors import MissingExtraError, PalmetteError, StorageError
from palmette.searches.optuna_trials import frozen
from palmette.searches.pareto import objectives
from palmette.searches.trial import Trial
from palmette.storage import optuna_mirror
from palmette.storage.journal import Journal
from palmette.storage.optuna_mirror import ARCHITECTURE, KEY, Target, UnreachableError, mirror, mirror_run, mirrored

optuna = pytest.importorskip("optuna")

DECISIONS = Decisions(
    "mixed",
    [
        Categorical("kind", ("plain", "residual")),
        Integer("width", 8, 64, step=8),
        Categorical("squeeze", ("no", "yes"), active_if=(("kind", "residual"),)),
    ],
)
BOTH = objectives(("accuracy", "flops"))


def trials(count: int, *, start: int = 0, seed: int = 0) -> list[Trial]:
    """Return distinct-looking trials of two arms; the fourth has no loss to speak of."""
    generator = np.random.default_rng(seed)
    made = []
    for number in range(start, start + count):
        architecture = DECISIONS.sample(generator)
        accuracy = math.nan if number == 3 else number / 1000
        metrics = {"accuracy": accuracy, "loss": 1.0}
        costs = {"flops": float(architecture["width"])}  # type: ignore[arg-type]
        made.append(Trial(number, number // 5, "random" if number % 2 else "evolution", architecture, metrics, costs))
    return made


def there(target: Target) -> list[Any]:
    with optuna_mirror._opened(target) as storage:  # which closes its connections
        return list(optuna.load_study(study_name=target.study, storage=storage).trials)


def numbers(target: Target) -> list[int]:
    return [trial.user_attrs[KEY] for trial in there(target)]


@pytest.fixture
def target(tmp_path: Path) -> Target:
    return Target(f"sqlite:///{tmp_path / 'trials.db'}", "runs/mine", BOTH)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running_server() as running:
        yield running


def test_trials_have_values_parameters_and_attributes(target: Target) -> None:
    made = trials(8)
    assert mirror(made, DECISIONS, target) == 8
    study = optuna.load_study(study_name="runs/mine", storage=target.address)
    assert [direction.name for direction in study.directions] == ["MAXIMIZE", "MINIMIZE"]
    assert study.metric_names == ["accuracy", "flops"]
    for ours, theirs in zip(made, study.trials, strict=True):
        assert theirs.params == ours.architecture.as_dict()
        assert ("squeeze" in theirs.params) == (theirs.params["kind"] == "residual")
        assert theirs.user_attrs[KEY] == ours.number
        assert theirs.user_attrs[ARCHITECTURE] == ours.architecture.id
        assert (theirs.user_attrs["arm"], theirs.user_attrs["generation"]) == (ours.arm, ours.generation)
        assert theirs.user_attrs["flops"] == ours.costs["flops"]
        if ours.number != 3:
            assert theirs.values == [ours.metrics["accuracy"], ours.costs["flops"]]
    assert study.trials[3].state.name == "FAIL"
    assert study.trials[3].user_attrs["accuracy"] == "nan"


def test_importance_can_be_computed_of_what_is_mirrored(target: Target) -> None:
    mirror([t for t in trials(40) if t.number != 3], DECISIONS, target)
    study = optuna.load_study(study_name=target.study, storage=target.address)
    evaluator = optuna.importance.MeanDecreaseImpurityImportanceEvaluator(seed=0)
    found = optuna.importance.get_param_importances(study, target=lambda t: t.values[1], evaluator=evaluator)
    assert max(found, key=found.__getitem__) == "width"  # flops are the width


def test_mirroring_again_adds_what_is_new_and_nothing_twice(target: Target) -> None:
    made = trials(20)
    assert [mirror(made[:n], DECISIONS, target) for n in (7, 7, 12, 20, 20)] == [7, 0, 5, 8, 0]
    assert numbers(target) == list(range(20))


def test_a_mirror_killed_between_two_trials_is_completed(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    made, count = trials(20), 0

    def killed(*arguments: Any, **named: Any) -> Any:
        nonlocal count
        count += 1
        if count == 8:
            raise KeyboardInterrupt
        return frozen(*arguments, **named)

    with monkeypatch.context() as patch:
        patch.setattr(optuna_mirror, "frozen", killed)
        with pytest.raises(KeyboardInterrupt):
            mirror(made, DECISIONS, target)
    assert numbers(target) == list(range(7))
    assert mirror(made, DECISIONS, target) == 13
    assert numbers(target) == list(range(20))


def test_a_trial_doubled_by_a_repeated_commit_is_mended(target: Target) -> None:
    made = trials(6)
    mirror(made, DECISIONS, target)
    study = optuna.load_study(study_name=target.study, storage=target.address)
    study.add_trial(study.trials[2])  # what Optuna does where the answer to a commit was lost
    assert sorted(numbers(target)) == [0, 1, 2, 2, 3, 4, 5]
    mirror(made, DECISIONS, target)
    assert numbers(target) == list(range(6))


def test_a_study_of_another_run_program_or_objective_is_left_alone(target: Target, tmp_path: Path) -> None:
    mirror(trials(5), DECISIONS, target)
    with pytest.raises(StorageError, match="trials of another run; give another --study"):
        mirror(trials(5, seed=1), DECISIONS, target)
    with pytest.raises(StorageError, match="has the objectives accuracy, flops, not accuracy"):
        mirror(trials(5), DECISIONS, Target(target.url, target.study, objectives(("accuracy",))))
    foreign = Target(f"sqlite:///{tmp_path / 'foreign.db'}", "theirs", BOTH)
    study = optuna.create_study(study_name="theirs", storage=foreign.address, directions=["maximize", "minimize"])
    study.add_trial(optuna.trial.create_trial(values=[1.0, 2.0]))
    with pytest.raises(StorageError, match="trials of another program"):
        mirror(trials(5), DECISIONS, foreign)
    assert len(there(foreign)) == 1


def test_an_objective_that_no_trial_has_is_refused_with_those_there_are(target: Target) -> None:
    with pytest.raises(StorageError, match=r"no 'latency' in these trials; allowed are flops, accuracy, loss"):
        mirror(trials(2), DECISIONS, Target(target.url, "other", objectives(("accuracy", "latency"))))


@pytest.mark.parametrize(
    ("url", "kind", "what"),
    [
        ("oracle9://me:secret@host/x", PalmetteError, "give sqlite:///FILE or postgresql"),
        ("mysql+mysqldb://me:secret@host/x", MissingExtraError, "its driver MySQLdb is not installed"),
        ("postgresql://me:secret@127.0.0.1:1/x", UnreachableError, "does not answer"),
        ("sqlite:////nowhere/at/all.db", UnreachableError, "does not answer"),
    ],
)
def test_a_storage_that_cannot_be_used_is_told_in_one_line_without_its_password(
    url: str, kind: type[PalmetteError], what: str
) -> None:
    with pytest.raises(kind, match=what) as caught:
        mirror(trials(1), DECISIONS, Target(url, "study", BOTH))
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_run_is_mirrored_by_one_process_at_a_time(tmp_path: Path, target: Target) -> None:
    import fcntl

    Journal(tmp_path / "trials.sqlite").close()
    with (tmp_path / ".mirror").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(StorageError, match="being mirrored by another process"):
            mirror_run(tmp_path, DECISIONS, target)


def test_a_search_is_mirrored_while_it_runs(tmp_path: Path, target: Target) -> None:
    said: list[str] = []
    with (
        Journal(tmp_path / "trials.sqlite") as journal,
        mirrored(tmp_path, DECISIONS, target, said.append, every=0.02),
    ):
        journal.append(trials(5))
        deadline = time.monotonic() + 60
        while _rows(tmp_path / "trials.db") < 5 and time.monotonic() < deadline:
            time.sleep(0.05)
        assert _rows(tmp_path / "trials.db") == 5
        journal.append(trials(4, start=5))
    assert numbers(target) == list(range(9))
    assert said == []


def test_a_dead_database_does_not_harm_the_search_and_says_what_to_do(tmp_path: Path) -> None:
    said: list[str] = []
    dead = Target("postgresql://me:secret@127.0.0.1:1/x", "study", BOTH)
    began = time.monotonic()
    with (
        Journal(tmp_path / "trials.sqlite") as journal,
        mirrored(tmp_path, DECISIONS, dead, said.append, every=0.02, patience=0.2),
    ):
        journal.append(trials(5))
    assert time.monotonic() - began < 20
    assert "tried again, the search goes on" in said[0]
    assert f"not all trials are mirrored; run: palmette mirror {tmp_path}" in said[-1]
    assert len(said) == 2  # told once, not with every try
    assert "secret" not in "".join(said)


def test_an_error_of_the_search_is_not_hidden_by_the_mirror(tmp_path: Path, target: Target) -> None:
    Journal(tmp_path / "trials.sqlite").close()
    with pytest.raises(KeyboardInterrupt), mirrored(tmp_path, DECISIONS, target, lambda line: None, every=0.02):
        raise KeyboardInterrupt


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # connections that the server broke
def test_postgresql_restarted_in_the_middle_loses_and_doubles_nothing(tmp_path: Path, server: Server) -> None:
    target, said = Target(server.url, "restarted", BOTH), list[str]()
    with (
        Journal(tmp_path / "trials.sqlite") as journal,
        mirrored(tmp_path, DECISIONS, target, said.append, every=0.05),
    ):
        for start in range(0, 120, 10):
            journal.append(trials(10, start=start))
            if start in (30, 60, 90):  # the mirror is in the midst of adding
                time.sleep(0.3)
                server.stop()
                time.sleep(0.3)
                server.start()
    assert numbers(target) == list(range(120))
    assert mirror_run(tmp_path, DECISIONS, target) == 0
    assert all("tried again" in line for line in said)
    gc.collect()  # of the connections now, not in a later test


@pytest.mark.slow
def test_mirrors_killed_at_random_moments_lose_and_double_nothing(tmp_path: Path, server: Server) -> None:
    with Journal(tmp_path / "trials.sqlite") as journal:
        journal.append(trials(60))
    code = (
        "import sys; from pathlib import Path; sys.path.insert(0, sys.argv[3]); "
        "from test_optuna_mirror import BOTH, DECISIONS, Target, mirror_run; "
        "mirror_run(Path(sys.argv[1]), DECISIONS, Target(sys.argv[2], 'killed', BOTH))"
    )
    here = Path(__file__).parent
    environment = {**os.environ, "PYTHONPATH": f"{here.parent}:{os.environ.get('PYTHONPATH', here.parents[1])}"}
    command = [sys.executable, "-c", code, str(tmp_path), server.url, str(here)]
    target, generator, cut = Target(server.url, "killed", BOTH), np.random.default_rng(0), 0
    for _ in range(6):
        process = subprocess.Popen(command, env=environment)
        _wait_for_more(target, process)
        time.sleep(float(generator.uniform(0, 0.15)))
        process.send_signal(signal.SIGKILL)
        cut += process.wait() == -signal.SIGKILL
        assert numbers(target) == list(range(len(numbers(target))))
    mirror_run(tmp_path, DECISIONS, target)
    assert numbers(target) == list(range(60))
    assert cut > 0  # it was killed at work at least once


@pytest.mark.slow
def test_the_dashboard_shows_the_study(tmp_path: Path, target: Target) -> None:
    pytest.importorskip("optuna_dashboard")
    mirror(trials(20), DECISIONS, target)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [str(Path(sys.executable).with_name("optuna-dashboard")), target.address, "--port", str(port)]
    dashboard = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        root = f"http://127.0.0.1:{port}"
        (summary,) = _asked(f"{root}/api/studies")["study_summaries"]
        assert summary["study_name"] == "runs/mine"
        study = _asked(f"{root}/api/studies/{summary['study_id']}")
        assert [trial["number"] for trial in study["trials"]] == list(range(20))
        assert {parameter["name"] for parameter in study["union_search_space"]} == {"kind", "width", "squeeze"}
        assert {parameter["name"] for parameter in study["intersection_search_space"]} == {"kind", "width"}
        assert study["objective_names"] == ["accuracy", "flops"]
        importance = _asked(f"{root}/api/studies/{summary['study_id']}/param_importances")["param_importances"]
        assert {entry["name"] for entry in importance[1]} == {"kind", "width", "squeeze"}
    finally:
        dashboard.terminate()
        dashboard.wait()


def test_a_finished_run_is_mirrored_by_the_command_line(
    finished_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import shutil

    run, url = tmp_path / "runs" / "mine", f"sqlite:///{tmp_path / 'trials.db'}"
    shutil.copytree(finished_run, run)
    assert main(["mirror", str(run), "--optuna", url]) == 0
    assert "24 trials added to study 'runs/mine'" in capsys.readouterr().out
    assert main(["mirror", str(run), "--optuna", url]) == 0
    assert "0 trials added" in capsys.readouterr().out
    with Journal(run / "trials.sqlite", read_only=True) as journal:
        assert numbers(Target(url, "runs/mine", BOTH)) == [trial.number for trial in journal.trials()]
    assert main(["mirror", str(run), "--optuna", "nonsense://x"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def _rows(path: Path) -> int:
    """Return the trials in a file of SQLite, without Optuna, which would make tables at the same time as the mirror."""
    with contextlib.closing(sqlite3.connect(path)) as database:
        try:
            return int(database.execute("SELECT COUNT(*) FROM trials WHERE state != 'RUNNING'").fetchone()[0])
        except sqlite3.OperationalError:
            return 0


def _has(target: Target, count: int) -> bool:
    try:
        return len(there(target)) >= count
    except KeyError:  # the study is not there yet
        return False


def _wait_for_more(target: Target, process: subprocess.Popen[bytes]) -> None:
    """Return once the process has added a trial, or has ended."""
    before = len(there(target)) if _has(target, 0) else 0
    while process.poll() is None and not _has(target, before + 1):
        time.sleep(0.02)


def _asked(url: str) -> Any:
    deadline = time.monotonic() + 60
    while True:
        try:
            with urllib.request.urlopen(url, timeout=20) as answer:
                return json.loads(answer.read())
        except (urllib.error.URLError, ConnectionError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)
