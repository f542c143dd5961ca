"""Dependencies point one way: the imports in the code against the table at the end of ``docs/parts.md``."""

from __future__ import annotations

import ast
import itertools
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import ROOT

PACKAGE = ROOT / "palmette"
FOR_ALL = {"errors"}
WITH_TORCH = {"palmette.sampling.controller", "palmette.sampling.distributions"}
"""The one sampler that is a network."""
WITHOUT_TORCH = [
    "architecture",
    "decision",
    "decisions",
    "mixtures",
    "errors",
    "searches",
    "sampling",
    "storage.journal",
]
"""Parts that import no torch but for the above; the options of methods and data are added below."""


def table() -> dict[str, set[str]]:
    """Return which parts each part may import: all that stand to the right of it, and right of those."""
    block = (ROOT / "docs" / "parts.md").read_text().split("```text\n")[-1].split("```")[0]
    right: dict[str, set[str]] = {}
    for line in block.strip().splitlines():
        groups = [[part.strip() for part in group.split(",")] for group in line.split("->")]
        for left, following in itertools.pairwise(groups):
            for part in left:
                right.setdefault(part, set()).update(following)
    return {part: reachable(part, right) | FOR_ALL for part in right}


def reachable(part: str, right: dict[str, set[str]]) -> set[str]:
    found: set[str] = set()
    waiting = [part]
    while waiting:
        new = right.get(waiting.pop(), set()) - found
        found |= new
        waiting += new
    return found


def imports(path: Path) -> Iterator[str]:
    """Yield every part of palmette that a file imports, inside functions too."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import; write the whole name"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        yield from (name.split(".")[1] for name in names if name.startswith("palmette."))


def part_of(path: Path) -> str:
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


FILES = [path for path in sorted(PACKAGE.rglob("*.py")) if part_of(path) != "__init__"]


def test_the_table_has_no_circle() -> None:
    allowed = table()
    assert not [part for part in allowed if part in allowed[part]]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_imports_point_from_left_to_right(path: Path) -> None:
    part = part_of(path)
    wrong = {other for other in imports(path) if other != part and other not in table().get(part, FOR_ALL)}
    assert not wrong, f"{path.relative_to(ROOT)} imports {sorted(wrong)}; docs/parts.md does not let {part} do so"


def modules_without_torch() -> list[str]:
    options = [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in PACKAGE.rglob("options.py")]
    inside = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for part in WITHOUT_TORCH
        for path in [PACKAGE / f"{part.replace('.', '/')}.py", *PACKAGE.glob(f"{part}/*.py")]
        if path.exists() and path.name != "__init__.py"
    ]
    return sorted({*options, *inside, "palmette", "palmette.cli.main"} - WITH_TORCH)


@pytest.mark.parametrize("module", modules_without_torch())
def test_these_import_no_torch(module: str) -> None:
    code = f"import sys, {module}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
