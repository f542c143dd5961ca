"""A run directory as several ranks hold it: the first has it, the others work in copies that are dropped in the end."""

from __future__ import annotations

import io
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from palmette import ranks
from palmette.storage.run_directory import LOCK, RunDirectory

UNSENT = ("events", LOCK)
"""What the others have no use for."""


@contextmanager
def held(begin: Callable[[], RunDirectory]) -> Iterator[RunDirectory]:
    """Yield the directory that ``begin`` opens on rank 0, and on each other rank a copy of it as it is then.

    All ranks find the same checkpoints and trials and write the same, so a run of N processes goes on as one of M.
    """
    if ranks.own() == 0:
        with begin() as directory:
            if ranks.count() > 1:
                ranks.agreed(_packed(directory.path))
            yield directory
        return
    with tempfile.TemporaryDirectory(prefix="palmette-rank-") as folder:
        with tarfile.open(fileobj=io.BytesIO(ranks.agreed(b""))) as files:
            files.extractall(folder, filter="data")
        with RunDirectory.resume(Path(folder)) as directory:
            yield directory


def _packed(path: Path) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as files:
        for entry in sorted(path.iterdir()):
            if entry.name not in UNSENT:
                files.add(entry, arcname=entry.name)
    return buffer.getvalue()
