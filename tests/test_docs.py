"""Every code block of the documentation runs: Python blocks of a file in order, and quick commands."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT

PAGES = [path for path in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))] if path.exists()]
QUICK = ("cost", "spaces", "methods", "data", "--help", "--version")
"""Commands that take seconds; the others have tests of their own."""


def blocks(page: Path, language: str) -> list[str]:
    """Return the fenced blocks of one language, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)


def commands(page: Path) -> list[str]:
    """Return the quick ``palmette`` commands of the page's bash blocks, each once."""
    lines = [line.split(" #")[0].strip() for block in blocks(page, "bash") for line in block.splitlines()]
    ours = [line for line in lines if line.startswith("palmette ") and line.split()[1] in QUICK and "|" not in line]
    return list(dict.fromkeys(ours))


def run(command: list[str], folder: Path) -> None:
    environment = {**os.environ, "MPLBACKEND": "agg"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"


@pytest.mark.parametrize(
    "page", [page for page in PAGES if blocks(page, "python")], ids=lambda page: page.relative_to(ROOT).as_posix()
)
def test_python_blocks_run(page: Path, tmp_path: Path) -> None:
    script = tmp_path / f"{page.stem}.py"
    script.write_text("\n".join(blocks(page, "python")))
    run([sys.executable, script.name], tmp_path)


@pytest.mark.parametrize("command", sorted({command for page in PAGES for command in commands(page)}))
def test_quick_commands_run(command: str, tmp_path: Path) -> None:
    palmette = Path(sys.executable).with_name("palmette")
    run([str(palmette), *shlex.split(command)[1:]], tmp_path)
