"""``palmette study --from RUN RUN ...``: finished studies side by side, in one table and one page."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from palmette.cli.main import parse


@dataclass(frozen=True, kw_only=True)
class StudiesTogether:
    """Hold finished studies side by side: does the order of the spaces hold elsewhere, and how do good networks grow?

    Run the same spaces at another range of FLOPs, with another block or on other data, each into a directory of its
    own; studies that differ in the range only also give trends.

    Examples: `palmette study --from runs/low runs/high --out runs/regimes`.
    """

    source: Annotated[tuple[Path, ...], tyro.conf.arg(name="from")]
    """Directories of finished studies, at least two."""
    out: Path = Path("runs/studies")
    """Directory of the table, the page and the numbers."""


def run_together(arguments: Sequence[str]) -> None:
    options = parse(StudiesTogether, arguments, name="study")
    assert isinstance(options, StudiesTogether)
    from palmette.design_spaces.together import as_table, read_study, together
    from palmette.design_spaces.together_page import render
    from palmette.storage.atomic import write_text

    joint = together([read_study(path) for path in options.source])
    text = as_table(joint)
    options.out.mkdir(parents=True, exist_ok=True)
    write_text(options.out / "together.json", json.dumps(joint, indent=1) + "\n")
    write_text(options.out / "table.md", text + "\n")
    write_text(options.out / "report.html", render(joint, title=f"{len(options.source)} studies side by side"))
    print(f"{text}\nEverything is in {options.out}; look at {options.out / 'report.html'}")
