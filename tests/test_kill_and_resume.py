"""Real searches, killed with ``kill -9`` at random moments and resumed, end as an undisturbed one does, bitwise."""

from __future__ import annotations

import subprocess
import sys

import pytest
from conftest import ROOT


@pytest.mark.parametrize("kills", [3, pytest.param(20, marks=pytest.mark.slow)])
def test_a_search_killed_at_random_moments_ends_as_an_undisturbed_one(kills: int) -> None:
    command = [sys.executable, str(ROOT / "benchmarks" / "kill_and_resume.py"), "--kills", str(kills)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == f"kill and resume: {kills} of {kills} equal (target {kills})", done.stdout
