"""A run directory as several ranks hold it: the first has it, the others work in copies that are dropped in the end."""

from __future__ import annotations

import io
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from palmette import ranks
from palmette.errors import StorageError
from palmette.storage.run_directory import LOCK, RunDirectory

UNSENT = ("events", LOCK)
"""What the others have no use for."""


@contextmanager
def held(begin: Callable[[], RunDirectory]) -> Iterator[RunDirectory]:
    """Yield the directory that ``begin`` opens on rank 0, and on each other rank a copy of it as it is then.

    All ranks find the same checkpoints and trials and write the same, so a run of N processes goes on as one of M.

    Raises:
        PalmetteError: what ``begin`` raises, on all ranks.
    """
    if ranks.own() == 0:
        with _begun(begin) as directory:
            yield directory
        return
    why, packed = ranks.agreed(("", b""))
    if why:
        raise StorageError(why)
    with tempfile.TemporaryDirectory(prefix="palmette-rank-") as folder:
        with tarfile.open(fileobj=io.BytesIO(packed)) as files:
            files.extractall(folder, filter="data")
        with RunDirectory.resume(Path(folder)) as directory:
            yield directory


def _begun(begin: Callable[[], RunDirectory]) -> RunDirectory:
    """Open the directory on rank 0, and tell the others what is in it, or why it cannot be used: they wait for it."""
    try:
        directory = begin()
        packed = _packed(directory.path) if ranks.count() > 1 else b""
    except Exception as error:  # whatever it is, they would wait for ever
        ranks.agreed((str(error) or repr(error), b""))
        raise
    ranks.agreed(("", packed))
    return directory


def _packed(path: Path) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as files:
        for entry in sorted(path.iterdir()):
            if entry.name not in UNSENT:
                files.add(entry, arcname=entry.name)
    return buffer.getvalue()
