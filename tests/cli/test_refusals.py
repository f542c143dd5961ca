"""Bad input: one line on stderr, exit code 2, and what was written before stays as it was."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.torch import save_file
from tiny import QUICK, npz
from torch import zeros

from palmette.cli.main import main
from palmette.storage import checkpoint

PROGRAM = Path(sys.executable).with_name("palmette")


def refused(capsys: pytest.CaptureFixture[str], *arguments: object, phases: tuple[str, ...] = ()) -> str:
    """Run a command that must be refused and return its one line; before it stand the bars of ``phases`` only."""
    capsys.readouterr()
    assert main([str(argument) for argument in arguments]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    lines = [line for line in printed.err.splitlines() if not (phases and line.startswith(phases))]
    assert len(lines) == 1, printed.err
    assert lines[0].startswith("palmette: ")
    return lines[0]


def contents(folder: Path) -> dict[str, str]:
    """Return a digest of every file, but for the lock, which names the last process."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != ".lock"]
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture
def copied(finished_run: Path, tmp_path: Path) -> Path:
    """Return a copy of the finished run."""
    return Path(shutil.copytree(finished_run, tmp_path / "run"))


@pytest.fixture
def again(finished_run: Path, copied: Path) -> tuple[object, ...]:
    """Return the command that continues the copied run."""
    return ("search", "--data", finished_run.parent / "images.npz", "--out", copied, "--resume", *QUICK)


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["serch"], ["unknown command 'serch'", "allowed are search, study, ", "did you mean 'search'?"]),
        (["frobnicate"], ["unknown command 'frobnicate'", "'palmette --help' lists what each does"]),
        (
            ["search", "--space", "nas-bench-makro"],
            ["unknown space 'nas-bench-makro'", "did you mean 'nas-bench-macro'"],
        ),
        (["search", "--space"], ["--space", "expected one argument"]),
        (["search", "--method", "darts2"], ["unknown method 'darts2'; allowed are spos"]),
        (["search", "--data", "digitz"], ["data 'digitz'", "did you mean 'digits'?"]),
        (["search", "--data", "none.npz"], ["data 'none.npz': there is no such file or folder"]),
        (["search", "--frobnicate", "1"], ["--frobnicate", "'palmette COMMAND --help' lists all options"]),
        (["search", "--seed", "many"], ["--seed", "many"]),
        (["search", "--seed", "-1"], ["seed = -1 was given; allowed are integers from 0"]),
        (["search", "--rank-by", "flops"], ["--rank-by", "flops"]),
        (["search", "--device", "tpu"], ["--device", "tpu"]),
        (["search", "--training.epochs", "0"], ["epochs = 0 was given; it must be at least 1"]),
        (["search", "--training.lr", "-1"], ["lr = -1.0 was given; it must be at least 0"]),
        (["search", "--training.augmentation.pad", "-1"], ["pad = -1 was given; it must be at least 0"]),
        (["search", "--evolution.mutants", "99"], ["99 mutants and 15 crossovers do not fit in a population of 30"]),
        (["search", "--audit.networks", "2"], ["networks = 2 was given; allowed are 0, for none, or at least 6"]),
        (["search", "--splits.validation", "0.9"], ["validation = 0.9 was given", "a fraction above 0 and up to 0.5"]),
        (["search", "--threads", "-2"], ["threads = -2 was given"]),
        (["search", "--limits.flops", "many"], ["limit 'many'", "is not a number", "allowed are 50e6"]),
        (["search", "--limits.flops", ":"], ["limit ':': it has no value"]),
        (["search", "--limits.flops", "5M:1M"], ["the low end lies above the high end; exchange them"]),
        (["search", "--limits.flops", "-5"], ["finite and not negative"]),
        (["search", "--limits.latency", "5"], ["--limits.latency"]),
        (["search", "--limits.flops", "10k"], ["flops at most 10,000: the smallest architecture", "raise the limit"]),
        (["search", "--limits.params", "9G:"], ["params at least 9,000,000,000: the largest", "lower the limit to"]),
        (["search", "--limits.flops", "300000:300001"], ["limits flops between 300,000 and 300,001", "the nearest"]),
        (["search", "--audit.table", "none.csv"], ["none.csv: the table cannot be read"]),
        (["cost"], ["nothing was named; give a space and codes"]),
        (
            ["draw", "enas-recurrent-cel"],
            ["'enas-recurrent-cel' is no file and no published graph", "enas-recurrent-cell"],
        ),
        (["cost", "nas-bench-makro", "00000000"], ["'nas-bench-makro' is no space and no published network"]),
        (["cost", "nas-bench-macro"], ["no code was given for nas-bench-macro"]),
        (["cost", "nas-bench-macro", "0000"], ["code '0000' has 4 entries, needed are 8"]),
        (["cost", "nas-bench-macro", "00000009"], ["has '9' for 'layer8'; allowed are 0 to 2"]),
        (["cost", "nas-bench-macro", "none.json"], ["none.json: cannot be read"]),
        (["cost", "nas-bench-macro", "00000000", "--resolution", "0"], ["resolution = 0 was given"]),
        (["report"], ["report: Missing from palmette report: PATH The directory of a run. (required); 'palmette"]),
        (["report", "nowhere"], ["nowhere", "finish the run first"]),
        (["audit", "nowhere"], ["nowhere: it is no run directory (no config.toml)"]),
        (["evaluate", "nowhere"], ["nowhere: the weights cannot be read"]),
        (["export", "nowhere"], ["no format was given; add --onnx, --python, --program, --card, --packed or --front"]),
        (["export", "network.safetensors", "--card", "x.md"], ["no directory; a card needs that of a run"]),
        (["export", "nowhere", "--onnx", "x.onnx"], ["nowhere: the weights cannot be read"]),
        (["draw", "none.json"], ["none.json: cannot be read"]),
        (["draw"], ["--help"]),
        (["retrain", "none.json"], ["none.json: cannot be read"]),
        (["methods", "spos"], ["spos"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) and len(value) < 6 else None,
)
def test_a_mistake_is_answered_in_one_line(
    arguments: list[str],
    parts: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    line = refused(capsys, *arguments)
    assert [part for part in parts if part not in line] == [], line
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def broken(path: Path, **changes: Any) -> Path:
    """Write the tiny data with some arrays replaced; a function is applied to the array."""
    with np.load(npz(path), allow_pickle=False) as archive:
        arrays = {name: archive[name] for name in archive}
    for name, change in changes.items():
        arrays[name] = change(arrays[name])
    np.savez(path, **arrays)
    return path


def with_nan(x: np.ndarray) -> np.ndarray:
    x = x.astype(np.float32)
    x[3, 2, 2] = np.nan
    return x


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({"train_y": lambda y: y * 0}, ["train labels hold 1 class; at least 2 are needed"]),
        ({"train_x": with_nan}, ["NaN in 1 of 48 images", "replace the NaN"]),
        ({"train_x": lambda x: x[:, None]}, ["(48, 1, 8, 8)", "they look channels-first"]),
        (
            {"train_x": lambda x: x.reshape(48, 64)[:, :60]},
            ["shape (48, 60)", "allowed are (N, H, W) and (N, H, W, C)"],
        ),
        ({"test_x": lambda x: x[:, :6]}, ["train images of shape (1, 8, 8) and test images of shape (1, 6, 8)"]),
        ({"train_x": lambda x: x[:40]}, ["40 images and 48 labels were given"]),
        ({"train_y": lambda y: y - 1}, ["labels hold -1; allowed are integers from 0"]),
        ({"train_y": lambda y: y * 7}, ["train labels reach 7 but no train image is of class"]),
        ({"test_y": lambda y: y + 1}, ["test labels hold 2, which train does not"]),
        ({"train_y": lambda y: y.astype(float)}, ["train labels are float64; allowed are integers from 0"]),
        ({"train_x": lambda x: x[:3], "train_y": lambda y: y[:3]}, ["each class needs at least 2"]),
    ],
)
def test_data_that_cannot_be_used_are_refused_in_one_line(
    changes: dict[str, Any], parts: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = broken(tmp_path / "images.npz", **changes)
    line = refused(capsys, "search", "--data", data, "--out", tmp_path / "run")
    assert [part for part in ["data 'images", *parts] if part not in line] == [], line
    assert not (tmp_path / "run").exists()


def test_too_few_images_for_the_splits_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = ("search", "--data", npz(tmp_path / "images.npz"), "--out", tmp_path / "run")
    line = refused(capsys, *given, "--splits.validation", "40")
    assert "validation = 40 images were asked for" in line
    assert "at most 24 can be held out; lower splits.validation" in line
    line = refused(capsys, *given, "--splits.train", "100")
    assert "train = 100 images were asked for; there are 48" in line
    assert not (tmp_path / "run").exists()


def test_a_file_of_data_that_is_damaged_or_holds_pickled_objects_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = npz(tmp_path / "images.npz")
    whole = data.read_bytes()
    data.write_bytes(whole[: len(whole) // 2])
    assert "is not an .npz file, or its end is missing" in refused(capsys, "search", "--data", data)
    np.savez(data, train_x=np.array([{}], dtype=object), train_y=[0], test_x=[0], test_y=[0])
    assert "holds pickled Python objects, which can run code" in refused(capsys, "search", "--data", data)


def without_results(run: Path) -> None:
    """Make the run look killed before its end."""
    for name in ("result.json", "report.json", "report.html", "network.safetensors", "architecture.json"):
        (run / name).unlink()


PHASES = ("supernet ", "evolution ", "random ", "audit: ", "retraining ")


@pytest.mark.parametrize("name", ["supernet", "retraining"])
def test_a_damaged_checkpoint_is_told_and_left(
    name: str, copied: Path, again: tuple[object, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    without_results(copied)
    file = next((copied / "checkpoints").glob(f"{name}*"))
    whole = file.read_bytes()
    for damage in (whole[:100], whole[:-1], whole[:-9] + b"\0" * 9, b"", b"not a checkpoint"):
        file.write_bytes(damage)
        line = refused(capsys, *again, phases=PHASES)
        assert f"{file}: the checkpoint is damaged or no checkpoint" in line
        assert "delete it to start that phase anew" in line
        assert file.read_bytes() == damage
        assert not (copied / "result.json").exists()
    file.unlink()
    assert main([str(argument) for argument in again]) == 0  # the cure that the line names


def test_foreign_checkpoints_are_told_and_left(
    copied: Path, again: tuple[object, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    file = copied / "checkpoints" / "supernet.safetensors"
    tensors, state = checkpoint.load(file)
    save_file({"weight": zeros(2)}, file)
    assert "it is no checkpoint of a run (a plain safetensors file)" in refused(capsys, *again, phases=PHASES)
    checkpoint.save(file, tensors, {**state, "steps": 77})
    assert "of another training, steps is 77 there and" in refused(capsys, *again, phases=PHASES)
    checkpoint.save(file, {"weights/other": zeros(2)}, state)
    before = contents(copied / "checkpoints")
    assert "the checkpoint is of another network" in refused(capsys, *again, phases=PHASES)
    assert contents(copied / "checkpoints") == before


def test_a_damaged_journal_is_told(copied: Path, again: tuple[object, ...], capsys: pytest.CaptureFixture[str]) -> None:
    file = copied / "trials.sqlite"
    file.write_bytes(b"no database" * 400)
    before = contents(copied)
    line = refused(capsys, *again)
    assert f"{file}: the journal is damaged" in line
    assert contents(copied) == before
    file.unlink()
    sqlite3.connect(file).execute("CREATE TABLE songs (name TEXT)").connection.close()
    assert "it is a database of another program" in refused(capsys, *again)


def test_an_occupied_directory_is_not_touched(
    finished_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = finished_run.parent / "images.npz"
    before = contents(finished_run)
    line = refused(capsys, "search", "--data", data, "--out", finished_run, *QUICK)
    assert "the directory is not empty; continue it with --resume, or give another --out" in line
    assert contents(finished_run) == before
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("do not touch")
    refused(capsys, "search", "--data", data, "--out", tmp_path / "mine", "--resume", *QUICK)
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["thesis.txt"]
    (tmp_path / "file").write_text("a file")
    assert "cannot be written" in refused(capsys, "search", "--data", data, "--out", tmp_path / "file", *QUICK)


def test_other_settings_on_resume_are_told_by_name(
    copied: Path, again: tuple[object, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    before = contents(copied)
    line = refused(capsys, *again, "--seed", "5")
    assert f"{copied}: seed was 0 when this run began and is 5 now; resume with the same settings" in line
    line = refused(capsys, *again, "--training.lr", "0.5")
    assert "options.training.lr was 0.1 when this run began and is 0.5 now" in line
    assert contents(copied) == before


def test_a_run_in_use_by_another_process_is_told_with_its_number(
    copied: Path, again: tuple[object, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    holder = (
        "import sys; from pathlib import Path; from palmette.storage.run_directory import RunDirectory\n"
        "run = RunDirectory.resume(Path(sys.argv[1])); print('held', flush=True); sys.stdin.read()"
    )
    before = contents(copied)
    with subprocess.Popen(
        [sys.executable, "-c", holder, str(copied)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        assert f"{copied}: in use by another process (pid {process.pid})" in refused(capsys, *again)
        assert "in use by another process" in refused(capsys, "audit", copied)
        assert contents(copied) == before
    assert main([str(argument) for argument in again]) == 0


def changed(run: Path, tmp_path: Path, **changes: object) -> Path:
    record = json.loads((run / "architecture.json").read_text())
    path = tmp_path / "changed.json"
    path.write_text(json.dumps({**record, **changes}))
    return path


def test_architectures_of_another_space_or_version_are_told(
    finished_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = finished_run / "architecture.json"
    line = refused(capsys, "cost", "nas-bench-macro", own)
    assert "it is of space 'small-images', needed is 'nas-bench-macro'" in line
    future = changed(finished_run, tmp_path, palmette_architecture=9)
    for command in (["cost", "small-images"], ["draw"], ["retrain"]):
        assert "schema version 9 was given, this version reads 1" in refused(capsys, *command, future)
    unknown = changed(finished_run, tmp_path, space="unheard-of")
    assert "unknown space 'unheard-of'" in refused(capsys, "draw", unknown, "--out", tmp_path / "x.svg")
    assert "space 'unheard-of' is not one of" in refused(capsys, "retrain", unknown, "--out", tmp_path / "run")
    option = changed(finished_run, tmp_path, values={"stage1_layer1": "conv9"})
    assert "decision 'stage1_layer1' cannot be 'conv9'" in refused(capsys, "cost", "small-images", option)
    for text in ("{", "[]", "{}", '{"palmette_architecture": 1}'):
        option.write_text(text)
        assert "architecture.json that a search wrote" in refused(capsys, "cost", "small-images", option)
    option.write_bytes(b"\xff\xfe\x80")
    assert "not a text file" in refused(capsys, "cost", "small-images", option)


def test_weights_of_something_else_are_told(copied: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    weights = copied / "network.safetensors"
    data = npz(tmp_path / "colour.npz", shape=(8, 8, 3))
    line = refused(capsys, "evaluate", copied, "--data", data)
    assert "images (3, 8, 8) of 2 classes were given, the network takes (1, 8, 8) of 2" in line
    weights.write_bytes(weights.read_bytes()[:200])
    assert "the weights cannot be read" in refused(capsys, "evaluate", copied)
    save_file({"weight": zeros(2)}, weights)
    assert "it has no card of a network" in refused(capsys, "evaluate", copied)


def test_a_run_that_is_not_finished_or_damaged_has_no_report(copied: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (copied / "report.json").write_text("{")
    assert "not the figures of a run" in refused(capsys, "report", copied)
    (copied / "report.json").unlink()
    assert "finish the run first, with --resume" in refused(capsys, "report", copied)
    (copied / "config.toml").write_text("seed = = 3")
    assert "the configuration cannot be read" in refused(capsys, "audit", copied)


def test_a_real_process_answers_a_mistake_with_code_2_and_one_line(tmp_path: Path) -> None:
    command = [PROGRAM, "search", "--limits.flops", "10k", "--out", tmp_path / "run"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert len(done.stderr.splitlines()) == 1
    assert "the smallest architecture of space 'small-images' has" in done.stderr
    assert not (tmp_path / "run").exists()


@pytest.fixture
def small_disk(tmp_path: Path) -> Any:
    """Return a function that makes, or changes the size of, a file system in memory; unmounted at the end."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if os.geteuid() != 0 or not shutil.which("mount"):
        pytest.skip("a small file system needs root and mount")
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1M", "tmpfs", folder], capture_output=True, check=False)
    if made.returncode:
        pytest.skip(f"no file system can be mounted here: {made.stderr.decode().strip()}")

    def resize(size: str) -> Path:
        subprocess.run(["mount", "-o", f"remount,size={size}", folder], check=True)
        return folder

    yield resize
    subprocess.run(["umount", "-l", folder], check=True)


@pytest.mark.slow
@pytest.mark.parametrize("size", ["64k", "400k", "2M"])  # full at the journal, the supernet's checkpoint, the report
def test_a_full_disk_is_told_and_with_space_again_the_run_ends_as_any_other(
    size: str, small_disk: Any, finished_run: Path
) -> None:
    out = small_disk(size) / "run"
    command = [PROGRAM, "search", "--data", finished_run.parent / "images.npz", "--out", out, *QUICK]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    complaints = [line for line in done.stderr.splitlines() if line.startswith("palmette: ")]
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr, done.stderr
    assert len(complaints) == 1
    assert "no space left on the disk; free some space, then continue with --resume" in complaints[0]
    assert not list(out.rglob(".*.tmp"))
    small_disk("64M")
    done = subprocess.run([*command, "--resume"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for name in ("result.json", "network.safetensors", "architecture.json"):
        assert (out / name).read_bytes() == (finished_run / name).read_bytes()


@pytest.mark.parametrize(
    ("change", "part"),
    [
        (
            "UPDATE trials SET architecture = replace(architecture, 'small-images', 'other')",
            "trial 0 is of another space",
        ),
        ("UPDATE records SET json = '{}' WHERE key LIKE 'seconds/%'", "it must be a number); restore a copy"),
        ("UPDATE trials SET metrics = '[1]'", "metrics is [1]; it must be a table"),
    ],
)
def test_what_a_journal_should_not_hold_is_told(
    change: str, part: str, copied: Path, again: tuple[object, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    without_results(copied)
    database = sqlite3.connect(copied / "trials.sqlite")
    with database:
        database.execute(change)
    database.close()
    line = refused(capsys, *again, phases=PHASES)
    assert part in line
    assert str(copied / "trials.sqlite") in line
