"""Atomic writes: a file is either the old one or the whole new one, whatever happens in between.

The new content goes to a temporary file in the same folder, is flushed to the disk and then renamed over the old
name. A full disk leaves the old file as it was and no temporary file behind.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path

from palmette.errors import StorageError

TEMPORARY = ".*.tmp"
"""Pattern of temporary files; those of a killed process can be deleted."""


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text as ``write_bytes`` does."""
    write_bytes(path, text.encode())


def write_bytes(path: Path, content: bytes) -> None:
    """Replace the file ``path`` by ``content``, all or nothing.

    Raises:
        StorageError: it cannot be written; an earlier file is then intact.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        try:
            with open(temporary, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        _flush_folder(path.parent)
    except OSError as error:
        raise cannot_write(path, error) from None


def cannot_write(path: Path, error: OSError) -> StorageError:
    """Return the error to raise for a failed write to ``path``."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StorageError(f"{path}: no space left on the disk; free some space, then continue with --resume")
    return StorageError(f"{path}: cannot be written ({error.strerror}); check that the folder exists and is writable")


def _flush_folder(folder: Path) -> None:
    """Make the rename itself durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
