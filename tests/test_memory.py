"""Freed memory that is kept: the pages that a process asks for, counted by the system."""

from __future__ import annotations

import subprocess
import sys

import pytest

COUNTING = """
import resource, sys
import torch
from palmette.memory import keep_freed
if sys.argv[1] == "kept":
    assert keep_freed()
network = torch.nn.Sequential(*[torch.nn.Conv2d(16, 16, 3, padding=1) for _ in range(4)])
images = torch.ones(64, 16, 64, 64)
with torch.no_grad():
    for turn in range(6):
        if turn == 3:
            before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        network(images)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="it is the GNU C library's")
def test_a_forward_pass_takes_the_memory_of_the_last_one() -> None:
    kept, given_back = (
        int(subprocess.run([sys.executable, "-c", COUNTING, how], capture_output=True, text=True, check=True).stdout)
        for how in ("kept", "given back")
    )
    assert kept < 1000
    assert given_back > 10 * kept
