"""Memory that tensors have freed, kept for the next ones.

The C library of Linux gives a large block back to the system when a tensor is freed, and the next tensor of that size
has to be given pages anew, each of them cleared: up to half of the time of evaluating candidates at 32x32
(``benchmarks/freed_memory.py``).
"""

from __future__ import annotations

import ctypes

BLOCK = 2**30
"""Bytes: larger blocks are still given back at once."""
KEPT = 2**31 - 1
"""Bytes of free memory at the end of the heap that may be kept."""
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""Numbers of the options in malloc.h."""


def keep_freed() -> bool:
    """Let this process keep freed memory, and return whether that could be; no number changes.

    It holds for the whole process, so the commands that train and the workers of pools call it, and ``pm.search`` does
    not. It is the GNU C library's; others have nothing of the kind and are left as they are.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):
        return False
    return bool(mallopt(_MMAP_THRESHOLD, BLOCK) and mallopt(_TRIM_THRESHOLD, KEPT))
