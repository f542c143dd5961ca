"""Atomic writes: the old file or the whole new one."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from palmette.errors import StorageError
from palmette.storage.atomic import write_bytes, write_text

FULL_DISK = """
import resource, sys
from pathlib import Path
from palmette.storage.atomic import write_bytes
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))  # every file ends at 1,000 bytes, as on a full disk
write_bytes(Path(sys.argv[1]), bytes(5000))
"""


def test_a_write_replaces_the_file_and_leaves_nothing_else(tmp_path: Path) -> None:
    write_text(tmp_path / "note.txt", "old")
    write_text(tmp_path / "note.txt", "néw")
    assert (tmp_path / "note.txt").read_text(encoding="utf-8") == "néw"
    assert [entry.name for entry in tmp_path.iterdir()] == ["note.txt"]


def test_a_full_disk_leaves_the_old_file_and_says_so_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "note.txt"
    write_text(path, "old")

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match=r"note\.txt: no space left on the disk; free some space") as caught:
        write_text(path, "new")
    assert "\n" not in str(caught.value)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_write_that_stops_half_way_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "weights.bin"
    write_bytes(path, b"old")
    process = subprocess.run([sys.executable, "-c", FULL_DISK, str(path)], capture_output=True, text=True, check=False)
    assert "StorageError" in process.stderr
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"gone/note\.txt: cannot be written \(No such file or directory\)"):
        write_text(tmp_path / "gone" / "note.txt", "text")
