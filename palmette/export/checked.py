"""Writing a file that is kept only if it holds the network: under another name first, then checked, then moved."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from palmette.errors import StorageError


def write_checked(path: Path, part: str, check: Callable[[Path], float], *, tolerance: float, cure: str) -> float:
    """Write and check a file, and return how far its outputs are from the network's.

    Args:
        path: of the file in the end.
        part: name of the file until it is checked, in the same folder.
        check: writes the file at the path it is given and returns the largest difference of outputs.
        tolerance: largest difference that counts as equal.
        cure: what to do if it is larger.

    Raises:
        StorageError: the file cannot be written, or differs; nothing new is left, and an earlier file is intact.
    """
    unchecked = path.with_name(part)
    try:
        difference = check(unchecked)
        if not difference <= tolerance:
            raise StorageError(
                f"{path}: it differs from the network by {difference:.1e}, allowed is {tolerance:.0e}; {cure}"
            )
        unchecked.replace(path)
    except OSError as error:
        raise StorageError(f"{path}: it cannot be written ({error.strerror}); give another file") from None
    finally:
        unchecked.unlink(missing_ok=True)
    return difference
