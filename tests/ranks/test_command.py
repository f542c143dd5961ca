"""``torchrun -m palmette search``: two processes, one killed, and one that goes on alone, end as one does."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest
from tiny import QUICK

from palmette.cli.main import main
from palmette.storage.journal import Journal

SEARCH = ["search", *QUICK, "--splits.train", "128", "--splits.validation", "50", "--splits.calibration", "30"]
TWO = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m", "palmette"]
LONGEST = 240


def together(*arguments: str) -> subprocess.Popen[str]:
    """Start the command on two processes."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    piped = subprocess.PIPE
    return subprocess.Popen([*TWO, *arguments], env=environment, stdout=piped, stderr=piped, text=True)


def trials_in(out: Path) -> int:
    try:
        with closing(sqlite3.connect(f"file:{out / 'trials.sqlite'}?mode=ro", uri=True)) as database:
            return int(database.execute("SELECT COUNT(*) FROM trials").fetchone()[0])
    except sqlite3.OperationalError:
        return 0


@pytest.mark.slow
def test_a_search_of_two_processes_goes_on_as_one_and_ends_as_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*SEARCH, "--out", str(tmp_path / "one")]) == 0
    said, out = capsys.readouterr().out, tmp_path / "two"
    process = together(*SEARCH, "--out", str(out))
    while trials_in(out) < 4:
        assert process.poll() is None, process.communicate()[1][-3000:]
        time.sleep(0.02)
    os.kill(int((out / ".lock").read_text()), signal.SIGKILL)  # the process that writes
    process.communicate(timeout=LONGEST)
    assert process.returncode != 0
    assert not (out / "report.html").exists()
    assert main([*SEARCH, "--out", str(out), "--resume"]) == 0
    assert (out / "architecture.json").read_text() == (tmp_path / "one" / "architecture.json").read_text()
    with Journal(tmp_path / "one" / "trials.sqlite") as one, Journal(out / "trials.sqlite") as two:
        for trial, other in zip(one.trials(), two.trials(), strict=True):
            assert (other.arm, other.architecture, other.costs) == (trial.arm, trial.architecture, trial.costs)
            assert other.metrics["loss"] == pytest.approx(trial.metrics["loss"], rel=1e-3)  # sums in another order
    process = together(*SEARCH, "--out", str(out), "--resume")
    printed, errors = process.communicate(timeout=LONGEST)
    assert process.returncode == 0, errors[-3000:]
    assert printed.count("Everything is in") == said.count("Everything is in") == 1
    check_one_line("the directory is not empty", *SEARCH, "--out", str(out))


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (["search", "--from", "nowhere"], "search --from: torchrun started several processes"),
        (["search", "--ray", "local"], "each would give out all jobs"),
        (["audit", "nowhere"], "search and retrain can share"),
    ],
)
def test_what_several_processes_cannot_share_is_refused_before_they_meet(
    arguments: list[str], what: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert what in error
    assert error.count("\n") == 1


def check_one_line(what: str, *arguments: str) -> None:
    """Check that all processes end with code 2 and one of them says why."""
    process = together(*arguments)
    printed, errors = process.communicate(timeout=LONGEST)
    assert process.returncode != 0
    told = [line for line in errors.splitlines() if line.startswith("palmette: ")]
    assert len(told) == 1, errors[-3000:]
    assert what in told[0]
    assert "exitcode  : 2" in errors
    assert printed == ""
