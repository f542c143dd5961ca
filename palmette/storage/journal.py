"""The journal of a run: every evaluated architecture, curve and phase result, in one SQLite file, append-only.

``trials.sqlite`` (WAL) is the only state of a search. Each append is one transaction: a killed process leaves all of
it or nothing. Numbers come back as exactly the floats that were written.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

from palmette.architecture import Architecture
from palmette.errors import StorageError
from palmette.searches.trial import Numbers, Trial
from palmette.storage.typed import typed

SCHEMA_VERSION = 1
_APPLICATION = 0x50414C4D  # "PALM", which marks the file as ours
_TABLES = """
CREATE TABLE trials (
    number INTEGER PRIMARY KEY, generation INTEGER NOT NULL, arm TEXT NOT NULL,
    architecture TEXT NOT NULL, metrics TEXT NOT NULL, costs TEXT NOT NULL
);
CREATE TABLE scalars (
    id INTEGER PRIMARY KEY, phase TEXT NOT NULL, step INTEGER NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL
);
CREATE TABLE records (id INTEGER PRIMARY KEY, key TEXT NOT NULL, json TEXT NOT NULL);
"""


class Journal:
    """An open journal; a context manager.

    Args:
        path: the file; made if it does not exist, unless ``read_only``.
        read_only: for readers beside a running process, as reports.

    Raises:
        StorageError: the file is missing (``read_only``), damaged, of another program or another schema version.
    """

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self.path = path
        if read_only and not path.is_file():
            raise StorageError(f"{path}: there is no such journal; give the directory of a run")
        with self._errors():
            self._database = _connect(path, read_only)
        try:
            with self._errors():
                self._prepare(read_only)
        except BaseException:
            self._database.close()
            raise

    def append(self, trials: Sequence[Trial]) -> None:
        """Add all trials or, on any error, none."""
        rows = [
            (t.number, t.generation, t.arm, t.architecture.to_json(), _dumps(t.metrics), _dumps(t.costs))
            for t in trials
        ]
        self._insert("INSERT INTO trials VALUES (?, ?, ?, ?, ?, ?)", rows)

    def trials(self, arm: str | None = None) -> list[Trial]:
        """Return the trials of one arm, or of all, in order."""
        query = "SELECT * FROM trials WHERE ?1 IS NULL OR arm = ?1 ORDER BY number"
        with self._errors():
            rows = self._database.execute(query, (arm,)).fetchall()
        try:
            return [_trial(*row) for row in rows]
        except (ValueError, TypeError, RecursionError) as error:
            raise self._damaged(str(error)) from None

    def count(self) -> int:
        """Return the number of trials of all arms."""
        with self._errors():
            return self._number("SELECT COUNT(*) FROM trials")

    def log(self, phase: str, step: int, scalars: Mapping[str, float]) -> None:
        """Add scalars of one step of a phase."""
        rows = [(phase, step, name, repr(float(value))) for name, value in scalars.items()]
        self._insert("INSERT INTO scalars (phase, step, name, value) VALUES (?, ?, ?, ?)", rows)

    def phases(self) -> list[str]:
        """Return the phases that have scalars, in the order of their first."""
        with self._errors():
            rows = self._database.execute("SELECT phase FROM scalars GROUP BY phase ORDER BY MIN(id)").fetchall()
        return [phase for (phase,) in rows]

    def scalars(self, phase: str) -> dict[str, list[tuple[int, float]]]:
        """Return ``{name: [(step, value), ...]}`` of a phase by rising step; of a repeated step the last value."""
        query = "SELECT name, step, value FROM scalars WHERE phase = ? ORDER BY id"
        with self._errors():
            rows = self._database.execute(query, (phase,)).fetchall()
        curves: dict[str, dict[int, float]] = {}
        try:
            for name, step, value in rows:
                curves.setdefault(typed(str, name, where="name"), {})[typed(int, step, where="step")] = float(value)
        except (ValueError, TypeError) as error:
            raise self._damaged(str(error)) from None
        return {name: sorted(curve.items()) for name, curve in curves.items()}

    def record(self, key: str, value: object) -> None:
        """Add a phase's result, anything JSON can hold, under a key such as ``audit/03``."""
        self._insert("INSERT INTO records (key, json) VALUES (?, ?)", [(key, json.dumps(value))])

    def records(self, prefix: str = "", kind: Any = object) -> dict[str, Any]:
        """Return the results whose key starts with ``prefix``, in the order they came; of a repeated key the last.

        Args:
            prefix: of the keys.
            kind: the type of the values, as ``typed`` takes it.
        """
        with self._errors():
            rows = self._database.execute("SELECT key, json FROM records ORDER BY id").fetchall()
        try:
            found = {key: json.loads(text) for key, text in rows if key.startswith(prefix)}
            return {key: typed(kind, value, where=key) for key, value in found.items()}
        except (ValueError, TypeError, AttributeError, RecursionError) as error:
            raise self._damaged(str(error)) from None

    def close(self) -> None:
        """Close the file; the journal cannot be used afterwards."""
        with self._errors():
            self._database.close()

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _insert(self, statement: str, rows: Sequence[tuple[object, ...]]) -> None:
        with self._errors(), self._transaction():
            self._database.executemany(statement, rows)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._database.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._database.execute("COMMIT")
        except BaseException:
            if self._database.in_transaction:  # SQLite itself rolls back on a full disk
                self._database.execute("ROLLBACK")
            raise

    def _prepare(self, read_only: bool) -> None:
        """Make the tables of a new file; check that an old one is whole and ours."""
        if not read_only and not self._number("SELECT COUNT(*) FROM sqlite_master") and self._is_unmarked():
            self._database.execute("PRAGMA journal_mode = WAL")
            with self._transaction():
                for statement in filter(str.strip, _TABLES.split(";")):
                    self._database.execute(statement)
                self._database.execute(f"PRAGMA application_id = {_APPLICATION}")
                self._database.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        self._database.execute("PRAGMA synchronous = NORMAL")  # safe against a kill; WAL stays whole on power loss
        if self._number("PRAGMA application_id") != _APPLICATION:
            raise StorageError(f"{self.path}: it is a database of another program; give the directory of a run")
        version = self._number("PRAGMA user_version")
        if version != SCHEMA_VERSION:
            raise StorageError(
                f"{self.path}: it has schema version {version}, this version reads {SCHEMA_VERSION}; "
                "use the palmette that wrote it, or start a new run"
            )
        (state,) = self._database.execute("PRAGMA quick_check(1)").fetchone()
        if state != "ok":
            raise self._damaged(str(state))

    def _is_unmarked(self) -> bool:
        return not self._number("PRAGMA application_id") and not self._number("PRAGMA user_version")

    def _number(self, query: str) -> int:
        return int(self._database.execute(query).fetchone()[0])

    def _damaged(self, why: str) -> StorageError:
        why = " ".join(why.split())
        return StorageError(f"{self.path}: the journal is damaged ({why}); restore a copy or start a new run")

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Turn SQLite's errors into one line each."""
        try:
            yield
        except sqlite3.IntegrityError:
            raise StorageError(
                f"{self.path}: these trials are already there; is another process writing to this run?"
            ) from None
        except sqlite3.ProgrammingError:
            raise
        except sqlite3.OperationalError as error:
            text = str(error)
            if "full" in text:
                cure = "no space left on the disk; free some space, then continue with --resume"
            elif "locked" in text or "busy" in text:
                cure = "another process is writing to this run; wait for it to end"
            else:
                cure = f"cannot be used ({text}); check that the folder exists and is writable"
            raise StorageError(f"{self.path}: {cure}") from None
        except sqlite3.DatabaseError as error:
            raise self._damaged(str(error)) from None


def _connect(path: Path, read_only: bool) -> sqlite3.Connection:
    """Open without Python's implicit transactions."""
    mode = "ro" if read_only else "rwc"
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode={mode}", uri=True, isolation_level=None, timeout=30)


def _trial(number: object, generation: object, arm: object, architecture: str, metrics: str, costs: str) -> Trial:
    numbers = Mapping[str, float]
    return Trial(
        typed(int, number, where="number"),
        typed(int, generation, where="generation"),
        typed(str, arm, where="arm"),
        Architecture.from_json(architecture),
        Numbers.of(typed(numbers, json.loads(metrics), where="metrics")),
        Numbers.of(typed(numbers, json.loads(costs), where="costs")),
    )


def _dumps(numbers: Mapping[str, float]) -> str:
    return json.dumps(dict(numbers))
