"""The run directory: where everything of one run lies, held by one process at a time.

It begins with the resolved configuration (``config.toml``); resuming needs the same one. The lock is the operating
system's (``flock``), so it ends with the process that holds it, however that ends.
"""

from __future__ import annotations

import dataclasses
import fcntl
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import tomli_w

from palmette.errors import StorageError
from palmette.storage.atomic import TEMPORARY, cannot_write, write_text
from palmette.storage.typed import record

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

LOCK = ".lock"
T = TypeVar("T")

Configuration = Mapping[str, Any]
"""What TOML can hold: tables, lists, strings, numbers, booleans; no None."""


class RunDirectory:
    """An open run directory; made by ``create`` or ``resume``, closed by ``close`` or as a context manager."""

    def __init__(self, path: Path, lock: int, configuration: Configuration) -> None:
        self.path = path
        self.configuration = configuration
        """The resolved configuration, as read back from TOML."""
        self._lock: int | None = lock

    @staticmethod
    def create(path: Path, configuration: Configuration) -> RunDirectory:
        """Make the directory, or take an empty one, and write the configuration.

        Raises:
            StorageError: it holds files already, is in use, or cannot be written.
        """
        try:
            path.mkdir(parents=True, exist_ok=True)
            occupied = any(_entries(path))
        except OSError as error:
            raise cannot_write(path, error) from None
        if occupied:
            raise StorageError(f"{path}: the directory is not empty; continue it with --resume, or give another --out")
        lock = _acquire(path)
        try:
            write_text(path / "config.toml", tomli_w.dumps(configuration))
            for folder in ("checkpoints", "events"):
                (path / folder).mkdir(exist_ok=True)
            return RunDirectory(path, lock, _read(path / "config.toml"))
        except BaseException:
            os.close(lock)
            raise

    @staticmethod
    def resume(path: Path, configuration: Configuration | None = None) -> RunDirectory:
        """Open a directory made earlier; ``configuration``, if given, must be the one it was made with.

        Raises:
            StorageError: it is no run directory, is in use, or has another configuration.
        """
        if not (path / "config.toml").is_file():
            raise StorageError(f"{path}: there is no run to resume (no config.toml); start it without --resume")
        lock = _acquire(path)
        try:
            stored = _read(path / "config.toml")
            if configuration is not None:
                _check_same(path, stored, tomllib.loads(tomli_w.dumps(configuration)))
            for folder in ("checkpoints", "events"):
                (path / folder).mkdir(exist_ok=True)
            for left_over in path.rglob(TEMPORARY):
                left_over.unlink()
            return RunDirectory(path, lock, stored)
        except BaseException:
            os.close(lock)
            raise

    @staticmethod
    def open(path: Path, configuration: Configuration) -> RunDirectory:
        """Continue the run of this configuration in ``path`` if there is one, else begin it there.

        Raises:
            StorageError: as ``create`` and ``resume``.
        """
        begun = (path / "config.toml").exists()
        return RunDirectory.resume(path, configuration) if begun else RunDirectory.create(path, configuration)

    @property
    def config(self) -> Path:
        return self.path / "config.toml"

    @property
    def environment(self) -> Path:
        return self.path / "environment.json"

    @property
    def trials(self) -> Path:
        return self.path / "trials.sqlite"

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    @property
    def events(self) -> Path:
        """TensorBoard's event files."""
        return self.path / "events"

    @property
    def architecture(self) -> Path:
        return self.path / "architecture.json"

    @property
    def network(self) -> Path:
        return self.path / "network.safetensors"

    @property
    def report(self) -> Path:
        return self.path / "report.html"

    @property
    def result(self) -> Path:
        return self.path / "result.json"

    @property
    def outcomes(self) -> Path:
        """Test outcomes of the winner and of random search's, a checkpoint of two tensors."""
        return self.path / "outcomes.safetensors"

    def checkpoint(self, phase: str) -> Path:
        """Return where the checkpoint of a phase lies; ``/`` in the name (``audit/03``) becomes ``-``."""
        return self.checkpoints / f"{phase.replace('/', '-')}.safetensors"

    def close(self) -> None:
        """Release the lock."""
        if self._lock is not None:
            fcntl.flock(self._lock, fcntl.LOCK_UN)  # also frees it in forked children that inherited it
            os.close(self._lock)
            self._lock = None

    def __enter__(self) -> RunDirectory:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def plain(options: object) -> Any:
    """Return a dataclass, or what is in one, as TOML can hold it: tables for dataclasses, no None, paths as text."""
    if dataclasses.is_dataclass(options) and not isinstance(options, type):
        return plain({field.name: getattr(options, field.name) for field in dataclasses.fields(options)})
    if isinstance(options, Mapping):
        return {key: plain(value) for key, value in options.items() if value is not None}
    return str(options) if isinstance(options, Path) else options


def rebuilt(kind: type[T], table: Configuration) -> T:
    """Return the dataclass that ``plain`` turned into ``table``; what is not in the table keeps its default.

    Raises:
        StorageError: a key that the dataclass does not have, or a value of another type.
    """
    try:
        return record(kind, table)
    except TypeError as error:
        raise StorageError(f"configuration: {error}; use the palmette that wrote it") from None


def read_configuration(path: Path) -> dict[str, Any]:
    """Return the configuration of the run in directory ``path`` without locking it, for reports.

    Raises:
        StorageError: it is no run directory.
    """
    if not (path / "config.toml").is_file():
        raise StorageError(f"{path}: it is no run directory (no config.toml); give the --out of a run")
    return _read(path / "config.toml")


def flat(settings: Configuration, prefix: str = "") -> dict[str, str]:
    """Return nested settings as text by dotted names, such as ``limits.flops``."""
    found: dict[str, str] = {}
    for key, value in settings.items():
        found |= flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {prefix + key: str(value)}
    return found


def _entries(path: Path) -> Iterator[Path]:
    """Yield what a run may not be started beside: all but what a run killed at its first step leaves."""
    return (entry for entry in path.iterdir() if entry.name != LOCK and not entry.match(TEMPORARY))


def _acquire(path: Path) -> int:
    """Return the descriptor of the locked lock file, which holds this process's id."""
    try:
        lock = os.open(path / LOCK, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise cannot_write(path / LOCK, error) from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.ftruncate(lock, 0)
        os.write(lock, str(os.getpid()).encode())
        return lock
    except BlockingIOError:
        holder = os.pread(lock, 20, 0).decode(errors="replace") or "unknown"
        os.close(lock)
        raise StorageError(
            f"{path}: in use by another process (pid {holder}); wait for it, or give another --out"
        ) from None
    except OSError as error:
        os.close(lock)
        raise cannot_write(path / LOCK, error) from None


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        why = " ".join(str(error).split())
        raise StorageError(f"{path}: the configuration cannot be read ({why}); restore it or start a new run") from None


def _check_same(path: Path, stored: Configuration, given: Configuration) -> None:
    old, new = dict(_flat(stored)), dict(_flat(given))
    for key in [*old, *new]:
        if old.get(key) != new.get(key):
            raise StorageError(
                f"{path}: {key} was {_shown(old, key)} when this run began and is {_shown(new, key)} now; "
                "resume with the same settings, or give another --out"
            )


def _flat(table: Configuration, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in table.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def _shown(values: Mapping[str, Any], key: str) -> str:
    return repr(values[key]) if key in values else "not set"
