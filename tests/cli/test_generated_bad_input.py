"""Generated bad input, 350 cases: each ends in a correct result or in one line with exit code 2, never in a traceback.

Valid inputs are changed at random, always the same ones (``derandomize``), and given to the commands. After a refusal
nothing that was there before has changed; a case that takes longer than ``DEADLINE`` counts as a hang.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import shutil
import signal
import sqlite3
import struct
import typing
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy
from safetensors.torch import load_file, save_file
from test_refusals import contents, without_results
from tiny import QUICK, npz

from palmette.cli.main import main
from palmette.cli.method_names import METHODS
from palmette.cli.names import SPACES
from palmette.costs.additive import AdditiveTable
from palmette.costs.latency import Conditions, LatencyTable

DEADLINE = 30
"""Seconds of one case on a busy machine; most take some hundredths."""


def cases(count: int) -> settings:
    """Return settings that run so many examples, the same every time."""
    quiet = (HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large)
    return settings(
        max_examples=count,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=quiet,
        phases=[Phase.generate],  # a failing case is small enough as it is
    )


class Hang(BaseException):
    """Not an Exception, so that nothing catches it on the way."""


@contextlib.contextmanager
def within_the_deadline() -> Iterator[None]:
    def end(*_: object) -> None:
        raise Hang(f"no answer within {DEADLINE} s")

    before = signal.signal(signal.SIGALRM, end)
    signal.alarm(DEADLINE)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def answer(*arguments: object, kept: Path | None = None) -> int:
    """Run a command and return its exit code, 0 or 2; a refusal is one line, and leaves the folder ``kept`` alone."""
    before = contents(kept) if kept else {}
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), within_the_deadline():
        code = main([str(argument) for argument in arguments])
    printed = err.getvalue()
    assert code in (0, 2), printed
    assert "Traceback" not in printed + out.getvalue()
    if code == 2:
        complaints = [line for line in printed.splitlines() if line.startswith("palmette: ")]
        assert len(complaints) == 1, printed
        assert printed.splitlines()[-1] == complaints[0], printed  # before it stand progress bars only
        assert len(complaints[0]) < 2000, complaints[0]
        assert contents(kept) == before if kept else True
    return code


WORDS = st.sampled_from(["", " ", "é", "\u202e", "\x00", "../..", "nan", "-1", "None", "conv3", "x" * 3000, "\ud800"])
NUMBERS = st.sampled_from(
    [-1, 0, 1, 2, 7, 2**31, 2**63, 10**30, -(10**400), 0.5, -0.0, 1e308, *map(float, ("nan", "inf"))]
)
ATOMS: SearchStrategy[Any] = st.none() | st.booleans() | NUMBERS | WORDS
VALUES = ATOMS | st.lists(ATOMS, max_size=3) | st.dictionaries(WORDS, ATOMS, max_size=2)


def places(record: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the paths of all values in nested dictionaries and lists."""
    inner = record.items() if isinstance(record, dict) else enumerate(record) if isinstance(record, list) else ()
    return [path, *(place for key, value in inner for place in places(value, (*path, key)))]


def replaced(record: Any, path: tuple[Any, ...], value: Any) -> Any:
    """Return the record with another value at a path; ``...`` removes it."""
    if not path:
        return value
    copy = dict(record) if isinstance(record, dict) else list(record)
    if len(path) == 1 and value is ...:
        del copy[path[0]]
    else:
        copy[path[0]] = replaced(copy[path[0]], path[1:], value)
    return copy


@st.composite
def records(draw: st.DrawFn, record: Any) -> Any:
    """Draw the record with one or two values replaced, removed or added."""
    for _ in range(draw(st.integers(1, 2))):
        path = draw(st.sampled_from(places(record)))
        record = replaced(record, path, draw(VALUES | (st.just(...) if path else st.nothing())))
        if isinstance(record, dict) and draw(st.integers(0, 5)) == 0:
            record = {**record, draw(WORDS): draw(VALUES)}
    return record


@st.composite
def damaged(draw: st.DrawFn, whole: bytes) -> bytes:
    """Draw bytes cut short, altered in places, with bytes between them, or others altogether."""
    at = draw(st.integers(0, len(whole)))
    other = draw(
        st.binary(max_size=12) | st.sampled_from([b"[" * 100_000, b"9" * 5000, b'{"a":' * 20_000, b"\xef\xbb\xbf"])
    )
    return draw(
        st.sampled_from(
            [whole[:at], whole[:at] + other + whole[at:], whole[:at] + other + whole[at + len(other) :], other]
        )
    )


@st.composite
def texts(draw: st.DrawFn, record: Any) -> bytes:
    """Draw JSON of a changed record, or damaged JSON of the record itself."""
    if draw(st.integers(0, 2)):
        return json.dumps(draw(records(record))).encode()
    return draw(damaged(json.dumps(record).encode()))


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Return a folder that is the working directory, for the results of cases that turn out to be valid."""
    with contextlib.chdir(tmp_path):
        yield tmp_path


@pytest.fixture
def run(finished_run: Path, folder: Path) -> Path:
    return Path(shutil.copytree(finished_run, folder / "run"))


def fresh(finished_run: Path, folder: Path) -> Path:
    """Return a copy of the finished run, new for this case."""
    shutil.rmtree(folder / "case", ignore_errors=True)
    return Path(shutil.copytree(finished_run, folder / "case" / "run"))


@cases(50)
@given(data=st.data())
def test_architectures(data: st.DataObject, run: Path, folder: Path) -> None:
    record = json.loads((run / "architecture.json").read_text())
    file = folder / "changed.json"
    file.write_bytes(data.draw(texts(record)))
    command = data.draw(
        st.sampled_from([["cost", "small-images", file], ["draw", file], ["cost", "nas-bench-macro", file]])
    )
    answer(*command, kept=run)


@cases(30)
@given(data=st.data())
def test_arrays(data: st.DataObject, run: Path, folder: Path) -> None:
    file = folder / "images.npz"
    with np.load(npz(file), allow_pickle=False) as archive:
        arrays = {name: archive[name] for name in archive}
    for _ in range(data.draw(st.integers(1, 2))):
        name = data.draw(st.sampled_from(sorted(arrays)))
        kind = data.draw(st.sampled_from(["gone", "dtype", "shape", "values", "object", "cut", "empty", "new"]))
        array = arrays[name]
        if kind == "gone":
            del arrays[name]
            break
        if kind == "new":
            arrays[data.draw(st.sampled_from(["classes", "other"]))] = data.draw(
                st.sampled_from([array, np.array(["a", "b"]), np.array("a")])
            )
        elif kind == "dtype":
            dtype = data.draw(
                st.sampled_from(["f2", "f8", "i1", "u8", "c8", "U9", "S3", "?", "M8[s]", "m8[s]", ">i4", "V4"])
            )
            with contextlib.suppress(TypeError, ValueError):
                arrays[name] = array.astype(dtype)
        elif kind == "shape":
            shapes = [
                (-1,),
                (*array.shape, 1),
                (1, *array.shape),
                array.shape[::-1],
                (*array.shape, 1, 1),
                (len(array), -1),
            ]
            arrays[name] = array.reshape(data.draw(st.sampled_from(shapes))) if array.size else array
        elif kind == "values" and array.size:
            number = data.draw(st.sampled_from([np.nan, np.inf, -1.0, 1e38, 2**40, 300.0, 7.0]))
            arrays[name] = array.astype(data.draw(st.sampled_from(["f4", "f8", "i8"])))
            with contextlib.suppress(ValueError, OverflowError):
                arrays[name].reshape(-1)[data.draw(st.integers(0, array.size - 1))] = number
        elif kind == "object":
            arrays[name] = np.array([{}, None], dtype=object)
        else:
            arrays[name] = array[:0] if kind == "empty" else array[: data.draw(st.integers(1, 5))]
    np.savez(file, **arrays)
    answer("evaluate", run, "--data", file, kept=run)


@cases(20)
@given(data=st.data())
def test_archives(data: st.DataObject, run: Path, folder: Path) -> None:
    file = folder / "images.npz"
    if data.draw(st.booleans()):
        file.write_bytes(data.draw(damaged(npz(file).read_bytes())))
    else:
        with zipfile.ZipFile(file, "w") as archive:
            for name in ("train_x", "train_y", "test_x", "test_y"):
                header = data.draw(st.sampled_from([b"\x93NUMPY\x01\x00", b"\x93NUMPY\x09\x00", b"", b"PK"]))
                text = data.draw(
                    st.sampled_from(
                        [
                            "{'descr': '<u1', 'fortran_order': False, 'shape': (9999999999,), }",
                            "{'descr': '|O'}",
                            "__import__('os')",
                            "(" * 500,
                        ]
                    )
                )
                archive.writestr(f"{name}.npy", header + struct.pack("<H", len(text)) + text.encode())
    answer("evaluate", run, "--data", file, kept=run)


@cases(30)
@given(data=st.data())
def test_weights(data: st.DataObject, finished_run: Path, folder: Path) -> None:
    run = fresh(finished_run, folder)
    file = run / "network.safetensors"
    whole = file.read_bytes()
    kind = data.draw(st.sampled_from(["bytes", "header", "card", "tensors"]))
    length = int.from_bytes(whole[:8], "little")
    header = json.loads(whole[8 : 8 + length])
    if kind == "bytes":
        file.write_bytes(data.draw(damaged(whole)))
    elif kind == "tensors":
        state = load_file(file)
        name = data.draw(st.sampled_from(sorted(key for key in state if state[key].ndim)))
        changed = [
            state[name].double(),
            state[name].reshape(-1),
            state[name].reshape(-1)[:1],
            state[name] * torch.nan,
            torch.zeros(0),
            torch.zeros(()),
        ]
        state[data.draw(st.sampled_from([name, "other"]))] = data.draw(st.sampled_from(changed))
        save_file({key: value.clone() for key, value in state.items()}, file, metadata=header["__metadata__"])
    else:
        if kind == "header":
            header = data.draw(records(header))
        else:
            card = data.draw(records(json.loads(header["__metadata__"]["palmette_card"])))
            header["__metadata__"]["palmette_card"] = json.dumps(card)
        text = json.dumps(header).encode()
        size = data.draw(st.sampled_from([len(text), len(text), len(text), 2**62, 0, len(text) + 1]))
        file.write_bytes(size.to_bytes(8, "little") + text + whole[8 + length :])
    command = data.draw(
        st.sampled_from(
            [
                ["evaluate", run, "--data", finished_run.parent / "images.npz"],
                ["export", run, "--card", folder / "card.md"],
                ["cost", "small-images", run / "architecture.json"],
            ]
        )
    )
    answer(*command, kept=run)


@pytest.mark.slow
@cases(20)
@given(data=st.data())
def test_checkpoints(data: st.DataObject, finished_run: Path, folder: Path) -> None:
    run = fresh(finished_run, folder)
    without_results(run)
    file = data.draw(st.sampled_from(sorted((run / "checkpoints").glob("*.safetensors"))))
    whole = file.read_bytes()
    length = int.from_bytes(whole[:8], "little")
    header = json.loads(whole[8 : 8 + length])
    if data.draw(st.booleans()):
        file.write_bytes(data.draw(damaged(whole)))
    else:
        state = data.draw(records(json.loads(header["__metadata__"]["state"])))
        header["__metadata__"]["state"] = json.dumps(state)
        text = json.dumps(header).encode()
        file.write_bytes(len(text).to_bytes(8, "little") + text + whole[8 + length :])
    answer("search", "--data", finished_run.parent / "images.npz", "--out", run, "--resume", *QUICK)


COLUMNS = {
    "trials": ["generation", "arm", "architecture", "metrics", "costs"],
    "records": ["key", "json"],
    "scalars": ["phase", "step", "name", "value"],
}
CELLS: list[Any] = ["", "{", "[]", "{}", "null", "9" * 5000, "[" * 100_000, b"\xff\xfe", -(2**60), 1.5, "evolution"]
CELLS += ['{"flops": "many"}', '{"accuracy": NaN, "loss": null}']
CHANGES = [
    "UPDATE {table} SET {column} = ? WHERE rowid = {row}",
    "UPDATE {table} SET {column} = ?",
    "DELETE FROM {table} WHERE rowid = {row} AND ? IS NOT 7",
    "ALTER TABLE {table} RENAME COLUMN {column} TO other",
    "DROP TABLE {table}",
    "PRAGMA user_version = 9",
    "PRAGMA application_id = 9",
]


@pytest.mark.slow
@cases(20)
@given(data=st.data())
def test_journals(data: st.DataObject, finished_run: Path, folder: Path) -> None:
    run = fresh(finished_run, folder)
    file = run / "trials.sqlite"
    if data.draw(st.booleans()):
        file.write_bytes(data.draw(damaged(file.read_bytes())))
    else:
        table, column = data.draw(st.sampled_from([(t, c) for t, columns in COLUMNS.items() for c in columns]))
        change = data.draw(st.sampled_from(CHANGES)).format(
            table=table, column=column, row=data.draw(st.integers(1, 6))
        )
        value = data.draw(st.sampled_from(CELLS))
        with contextlib.closing(sqlite3.connect(file)) as database, database:
            database.execute(change, (value,) if "?" in change else ())
    again = ["search", "--data", finished_run.parent / "images.npz", "--out", run, "--resume", *QUICK]
    commands = [["export", run, "--front", folder / "front"], again, ["audit", run, "--networks", 6]]
    command = data.draw(st.sampled_from(commands))
    if command[0] != "export":
        without_results(run)
    answer(*command)


SETTINGS = ["-1", "0", "1e400", "nan", "''", "'x'", "true", "[]", "{}", "[1, 'a']", "9" * 30, "1979-05-27", "-0.5"]


@cases(30)
@given(data=st.data())
def test_settings(data: st.DataObject, finished_run: Path, folder: Path) -> None:
    run = fresh(finished_run, folder)
    lines = (run / "config.toml").read_text().splitlines()
    kind = data.draw(st.sampled_from(["bytes", "value", "value", "gone", "twice"]))
    at = data.draw(st.sampled_from([i for i, line in enumerate(lines) if line.strip()]))
    if kind == "value":
        lines[at] = lines[at].split("=")[0] + "= " + data.draw(st.sampled_from(SETTINGS))
    elif kind == "gone":
        del lines[at]
    elif kind == "twice":
        lines.insert(at, lines[at])
    whole = "\n".join(lines).encode()
    (run / "config.toml").write_bytes(data.draw(damaged(whole)) if kind == "bytes" else whole)
    again = ["search", "--from", run, "--limits.flops", "1"]
    front = ["export", run, "--front", folder / "front"]
    answer(*data.draw(st.sampled_from([["audit", run, "--networks", 0], front, again])), kept=run / "checkpoints")


@cases(30)
@given(data=st.data())
def test_figures(data: st.DataObject, finished_run: Path, folder: Path) -> None:
    run = fresh(finished_run, folder)
    card = ["export", run, "--card", folder / "card.md"]
    files = {"report.json": ["report", run], "result.json": card, "environment.json": card}
    name = data.draw(st.sampled_from(["report.json", *files]))
    (run / name).write_bytes(data.draw(texts(json.loads((run / name).read_text()))))
    answer(*files[name])


@cases(20)
@given(data=st.data())
def test_latency_tables(data: st.DataObject, folder: Path) -> None:
    decisions = SPACES["small-images"].build(10, 1).decisions
    options = {name: np.full((len(decisions.values(name)), 1), 0.25) for name in decisions.decisions}
    table = AdditiveTable(decisions, ("latency",), np.array([1.0]), options)
    whole = LatencyTable(table, Conditions(input_shape=(1, 8, 8)), 100, 20, ("000000",), (2.5,), (2.5,))
    file = folder / "latency.json"
    file.write_bytes(data.draw(texts(json.loads(whole.to_json()))))
    answer("cost", "small-images", "000000", "--latency-table", file, kept=folder)


ODD = [
    b"",
    b"\n",
    b"\n" * 9,
    b"\x00" * 50,
    b"\xff\xfea",
    "\u2028\u00a0é ".encode() * 9,
    b"<unk> <eos> " * 9,
    b"a" * 10**6,
]


@cases(20)
@given(data=st.data())
def test_text(data: st.DataObject, folder: Path) -> None:
    text = folder / "text"
    shutil.rmtree(text, ignore_errors=True)
    text.mkdir()
    words = b"the cat sat on the mat\n" * 20
    for role in ("train", "valid", "test"):
        suffix = data.draw(st.sampled_from([".txt", ".txt", ".txt", ".txt.gz", ""]))
        content = data.draw(st.sampled_from([words, words, words, ...]) | st.sampled_from(ODD))
        (text / f"{role}{suffix}").write_bytes(data.draw(damaged(words)) if content is ... else content)
    sizes = [[], ["--splits.words", "2"], ["--splits.train", "3"], ["--splits.validation", "0.1"]]
    space = data.draw(st.sampled_from(["darts-recurrent-small", "darts-recurrent-small", "small-images"]))
    answer(
        *("search", "--space", space, "--data", text, "--limits.params", "1"),
        *data.draw(st.sampled_from(sizes)),
        kept=folder,
    )


BAD = [
    "-1",
    "0",
    "1",
    "nan",
    "inf",
    "-inf",
    "1e999",
    "9" * 400,
    "",
    " ",
    "é",
    "a\nb",
    "\x00",
    "None",
    "true",
    "[]",
    "--",
]
BAD += ["-", "0x10", "1_000", "\udcff", "x" * 5000]
COMMANDS = {
    "search": [
        *("--space", "--data", "--method", "--limits.flops", "--limits.params", "--limits.latency", "--latency-table"),
        *("--seed", "--device", "--threads", "--training.epochs", "--training.lr", "--training.momentum", "--rank-by"),
        *("--training.schedule", "--training.optimizer", "--evolution.population", "--evolution.mutants", "--stage"),
        *("--audit.networks", "--audit.table", "--splits.validation", "--splits.train", "--splits.calibration"),
        *("--image-size", "--bins", "--objectives", "--unheard-of", "--from", "--ray", "--optuna"),
    ],
    "cost": ["nas-bench-macro", "RegNetX-400MF", "--resolution", "--latency-table", "11111111"],
    "draw": ["DARTS_V2", "--out", "--resolution"],
    "evaluate": ["RUN", "--data", "--seed", "--splits.test", "--image-size"],
    "export": ["RUN", "--onnx", "--python", "--program", "--card", "--packed", "--front", "--objectives"],
    "retrain": ["RUN", "--data", "--out", "--epochs", "--batch-size", "--lr"],
    "report": ["RUN", "--out"],
    "audit": ["--networks", "--table", "--table-column", "--epochs"],
    "latency": ["small-images", "--table", "--rounds", "--networks", "--check", "--threads", "--dtype"],
    "study": [
        *(
            "--spaces",
            "--scale",
            "--block",
            "--squeeze",
            "--networks",
            "--epochs",
            "--workers",
            "--gpu-share",
            "--from",
        ),
    ],
    "hypernetwork": ["--seed", "--out"],
    "mirror": ["RUN", "--optuna", "--study", "--objectives"],
    "compare": [
        "RUN",
        "--methods",
        "--seeds",
        "--epochs",
        "--evaluations",
        "--truth",
        "--ray",
        "--gpu-share",
        "--table",
    ],
    "methods": ["spos"],
    "spaces": ["small-images"],
    "data": ["digits"],
}
NEVER_LONG = {
    "search": ["--limits.acts", "1"],
    "study": ["--limits.flops", "1:2"],
    "latency": ["999", "--rounds", "1"],
    "compare": ["--space", "nowhere"],
    "hypernetwork": ["--data", "nowhere.npz"],
    "retrain": ["--data", "nowhere.npz"],
}
"""Options by which a command that understands the others is refused or done at once."""


@cases(50)
@given(data=st.data())
def test_options(data: st.DataObject, finished_run: Path, folder: Path) -> None:
    verb = data.draw(st.sampled_from([*COMMANDS, *["search"] * 6]))
    bad, arguments = st.sampled_from(BAD), []
    for name in data.draw(st.lists(st.sampled_from(COMMANDS[verb]), min_size=1, max_size=3)):
        arguments.append(str(finished_run) if name == "RUN" else name)
        arguments += [data.draw(bad)] if name.startswith("--") else data.draw(st.lists(bad, max_size=1))
    answer(verb, *arguments, *NEVER_LONG.get(verb, []), kept=finished_run)


def own_options(kind: type, prefix: str = "--") -> list[str]:
    """Return the names of all options of a method, those of its recipes and parts with their dots."""
    hints, found = typing.get_type_hints(kind), []
    for field in (field for field in dataclasses.fields(kind) if field.init):
        name, inner = prefix + field.name.replace("_", "-"), hints[field.name]
        found += own_options(inner, f"{name}.") if dataclasses.is_dataclass(inner) else [name]
    return found


@cases(30)
@given(data=st.data())
def test_options_of_methods(data: st.DataObject, folder: Path) -> None:
    name = data.draw(st.sampled_from(sorted(METHODS)))
    options = data.draw(st.lists(st.sampled_from(own_options(METHODS[name].options)), min_size=1, max_size=3))
    arguments = [part for option in options for part in (option, data.draw(st.sampled_from(BAD)))]
    answer("search", "--method", name, *arguments, *NEVER_LONG["search"], kept=folder)
