"""The journal: exact round trips, all-or-nothing appends, and files that are not journals."""

from __future__ import annotations

import math
import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from palmette.architecture import Architecture
from palmette.errors import StorageError
from palmette.searches.trial import Trial
from palmette.storage.journal import Journal

ARCHITECTURE = Architecture("toy", (("kind", "k3"), ("width", 16), ("inputs", ("a", "b"))))

KILLED = """
import os, signal, sys
from pathlib import Path
from palmette.architecture import Architecture
from palmette.searches.trial import Trial
from palmette.storage.journal import Journal
journal = Journal(Path(sys.argv[1]))
for start in range(0, 10**6, 50):
    a = Architecture("toy", (("kind", "k3"),))
    journal.append([Trial(start + i, start // 50, "e", a, {"accuracy": 0.1}, {}) for i in range(50)])
    print(start, flush=True)
"""


def trial(number: int, *, arm: str = "evolution", accuracy: float = 0.1) -> Trial:
    return Trial(number, number // 10, arm, ARCHITECTURE, {"accuracy": accuracy}, {"flops": 123456789012345.0})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "trials.sqlite"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=30)
@given(st.lists(st.floats(allow_nan=False), min_size=1, max_size=8))
def test_floats_come_back_exactly(tmp_path: Path, values: list[float]) -> None:
    path = tmp_path / f"{abs(hash(tuple(values)))}.sqlite"
    path.unlink(missing_ok=True)
    written = [trial(i, accuracy=value) for i, value in enumerate(values)]
    with Journal(path) as journal:
        journal.append(written)
        for step, value in enumerate(values):
            journal.log("phase", step, {"loss": value})
    with Journal(path) as journal:
        assert journal.trials() == written
        assert journal.scalars("phase") == {"loss": list(enumerate(values))}


def test_a_metric_that_is_not_a_number_is_kept(path: Path) -> None:
    with Journal(path) as journal:
        journal.append([trial(0, accuracy=math.nan)])
        assert math.isnan(journal.trials()[0].metrics["accuracy"])


def test_trials_come_back_by_arm_and_in_order(path: Path) -> None:
    with Journal(path) as journal:
        journal.append([trial(0), trial(1, arm="random")])
        journal.append([trial(2)])
        assert [t.number for t in journal.trials()] == [0, 1, 2]
        assert [t.number for t in journal.trials("evolution")] == [0, 2]
        assert journal.trials("nobody") == []


def test_an_append_with_one_bad_row_adds_none(path: Path) -> None:
    with Journal(path) as journal:
        journal.append([trial(0)])
        with pytest.raises(StorageError, match="already there; is another process writing"):
            journal.append([trial(1), trial(2), trial(0)])
        assert [t.number for t in journal.trials()] == [0]
        journal.append([trial(1)])
        assert len(journal.trials()) == 2


def test_a_killed_process_leaves_whole_appends_only(path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", KILLED, str(path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    with process.stdout:
        for _ in range(5):
            process.stdout.readline()
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    with Journal(path) as journal:
        numbers = [t.number for t in journal.trials()]
    assert numbers == list(range(len(numbers)))
    assert len(numbers) >= 250
    assert len(numbers) % 50 == 0


def test_a_full_disk_ends_in_one_line_and_loses_no_earlier_trial(path: Path) -> None:
    with Journal(path) as journal:
        journal.append([trial(0)])
        pages = journal._database.execute("PRAGMA page_count").fetchone()[0]
        journal._database.execute(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(StorageError, match=r"trials\.sqlite: no space left on the disk; free some space, then"):
            journal.append([trial(i) for i in range(1, 2000)])
        assert [t.number for t in journal.trials()] == [0]


def test_of_a_repeated_step_or_key_the_last_value_counts(path: Path) -> None:
    with Journal(path) as journal:
        for step, loss in ((10, 2.0), (20, 1.0), (10, 3.0), (15, 1.5)):
            journal.log("supernet", step, {"loss": loss})
        journal.log("retraining", 1, {"lr": 0.1})
        assert journal.scalars("supernet") == {"loss": [(10, 3.0), (15, 1.5), (20, 1.0)]}
        assert journal.phases() == ["supernet", "retraining"]
        journal.record("audit/00", {"accuracy": 0.1 + 0.2})
        journal.record("audit/01", [1, None, "x"])
        journal.record("audit/00", {"accuracy": 0.5})
        journal.record("winner", "0123")
        assert journal.records("audit/") == {"audit/00": {"accuracy": 0.5}, "audit/01": [1, None, "x"]}
        assert journal.records()["winner"] == "0123"


def test_a_reader_sees_the_trials_of_a_running_process_and_cannot_write(path: Path) -> None:
    with Journal(path) as writer:
        writer.append([trial(0)])
        with Journal(path, read_only=True) as reader:
            assert len(reader.trials()) == 1
            writer.append([trial(1)])
            assert len(reader.trials()) == 2
            with pytest.raises(StorageError, match="readonly"):
                reader.append([trial(2)])


def test_a_missing_journal_is_not_made_by_reading_it(path: Path) -> None:
    with pytest.raises(StorageError, match="there is no such journal"):
        Journal(path, read_only=True)
    assert not path.exists()


@pytest.mark.parametrize("content", [b"hello, I am not a database" * 100, b"\0" * 5000])
def test_a_file_that_is_no_database_is_refused(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(StorageError, match=r"trials\.sqlite: ") as caught:
        Journal(path)
    assert "\n" not in str(caught.value)


def test_a_cut_journal_is_refused(path: Path) -> None:
    with Journal(path) as journal:
        journal.append([trial(i) for i in range(2000)])
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(StorageError, match="the journal is damaged"):
        Journal(path)


def test_a_database_of_another_program_or_version_is_refused(tmp_path: Path, path: Path) -> None:
    other = sqlite3.connect(tmp_path / "other.sqlite")
    other.execute("CREATE TABLE songs (title TEXT)")
    other.commit()
    other.close()
    with pytest.raises(StorageError, match="a database of another program"):
        Journal(tmp_path / "other.sqlite")
    with Journal(path) as journal:
        journal._database.execute("PRAGMA user_version = 99")
    with pytest.raises(StorageError, match="it has schema version 99, this version reads 1"):
        Journal(path)


def test_a_damaged_row_is_reported_in_one_line(path: Path) -> None:
    with Journal(path) as journal:
        journal.append([trial(0)])
        journal._database.execute("UPDATE trials SET architecture = '{}'")
        with pytest.raises(StorageError, match="the journal is damaged"):
            journal.trials()
