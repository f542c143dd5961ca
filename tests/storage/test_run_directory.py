"""The run directory: one process at a time, one configuration for ever."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from palmette.errors import StorageError
from palmette.storage.run_directory import RunDirectory, read_configuration

CONFIGURATION = {"seed": 3, "method": {"name": "spos", "epochs": 20, "lr": 0.1}, "limits": {"flops": "50M"}}

HOLDER = """
import sys
from pathlib import Path
from palmette.storage.run_directory import RunDirectory
run = RunDirectory.resume(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "runs" / "first"


def test_a_new_run_has_its_configuration_and_folders(path: Path) -> None:
    with RunDirectory.create(path, CONFIGURATION) as run:
        assert run.configuration == CONFIGURATION
        assert run.config.is_file()
        assert run.checkpoints.is_dir()
        assert run.events.is_dir()
        assert run.checkpoint("audit/03") == path / "checkpoints" / "audit-03.safetensors"
    assert read_configuration(path) == CONFIGURATION


def test_the_files_of_a_run_have_fixed_names(path: Path) -> None:
    with RunDirectory.create(path, {}) as run:
        files = (run.config, run.environment, run.trials, run.architecture, run.network, run.report, run.result)
        assert run.outcomes == path / "outcomes.safetensors"
    assert [file.relative_to(path).as_posix() for file in files] == [
        "config.toml",
        "environment.json",
        "trials.sqlite",
        "architecture.json",
        "network.safetensors",
        "report.html",
        "result.json",
    ]


def test_a_directory_with_files_is_not_overwritten(path: Path) -> None:
    RunDirectory.create(path, CONFIGURATION).close()
    with pytest.raises(StorageError, match="not empty; continue it with --resume, or give another --out"):
        RunDirectory.create(path, CONFIGURATION)
    other = path.parent / "mine"
    other.mkdir()
    (other / "thesis.txt").write_text("do not touch")
    with pytest.raises(StorageError, match="not empty"):
        RunDirectory.create(other, CONFIGURATION)
    assert [entry.name for entry in other.iterdir()] == ["thesis.txt"]


def test_an_empty_directory_and_one_of_a_run_killed_at_its_first_step_can_be_used(path: Path) -> None:
    path.mkdir(parents=True)
    (path / ".lock").write_text("123")
    (path / ".config.toml.123.tmp").write_text("half")
    RunDirectory.create(path, CONFIGURATION).close()
    RunDirectory.resume(path, CONFIGURATION).close()
    assert not (path / ".config.toml.123.tmp").exists()


def test_a_file_in_the_place_of_the_directory_is_named(path: Path) -> None:
    path.parent.mkdir()
    path.write_text("a file")
    with pytest.raises(StorageError, match="first: cannot be written"):
        RunDirectory.create(path, CONFIGURATION)


def test_only_a_run_can_be_resumed(path: Path) -> None:
    with pytest.raises(StorageError, match=r"no run to resume \(no config.toml\); start it without --resume"):
        RunDirectory.resume(path)
    assert not path.exists()
    with pytest.raises(StorageError, match="no run directory"):
        read_configuration(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seed": 4}, "seed was 3 when this run began and is 4 now"),
        (
            {"method": {"name": "spos", "epochs": 30, "lr": 0.2}},
            "method.epochs was 20 when this run began and is 30 now",
        ),
        ({"limits": {}}, "limits.flops was '50M' when this run began and is not set now"),
        ({"device": "cpu"}, "device was not set when this run began and is 'cpu' now"),
    ],
)
def test_resuming_with_other_settings_names_the_first_that_differs(
    path: Path, change: dict[str, object], message: str
) -> None:
    RunDirectory.create(path, CONFIGURATION).close()
    with pytest.raises(StorageError) as caught:
        RunDirectory.resume(path, {**CONFIGURATION, **change})
    assert message in str(caught.value)
    RunDirectory.resume(path, CONFIGURATION).close()


def test_a_damaged_configuration_is_refused(path: Path) -> None:
    RunDirectory.create(path, CONFIGURATION).close()
    (path / "config.toml").write_text("seed = = 3")
    with pytest.raises(StorageError, match="the configuration cannot be read"):
        RunDirectory.resume(path)


def test_a_run_is_held_by_one_process_until_that_ends_in_any_way(path: Path) -> None:
    RunDirectory.create(path, CONFIGURATION).close()
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdin is not None
    assert holder.stdout is not None
    with holder.stdin, holder.stdout:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(StorageError, match=rf"in use by another process \(pid {holder.pid}\)"):
            RunDirectory.resume(path, CONFIGURATION)
        holder.kill()
        holder.wait()
    RunDirectory.resume(path, CONFIGURATION).close()


def test_a_run_is_held_against_the_same_process_too_and_free_after_closing(path: Path) -> None:
    with RunDirectory.create(path, CONFIGURATION), pytest.raises(StorageError, match=f"pid {os.getpid()}"):
        RunDirectory.resume(path)
    run = RunDirectory.resume(path)
    run.close()
    run.close()
    RunDirectory.resume(path).close()
