"""``palmette report``: write the page of a finished run again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from palmette.cli.main import parse


@dataclass(frozen=True, kw_only=True)
class Report:
    """Write the report page of a finished run again, from the figures the run left.

    Examples: `palmette report runs/mine --out page.html`.
    """

    run: Annotated[Path, tyro.conf.Positional]
    """The directory of a run."""
    out: Path | None = None
    """Where to write; default: report.html in the run."""


def run(arguments: Sequence[str]) -> None:
    options = parse(Report, arguments, name="report")
    assert isinstance(options, Report)
    from palmette.report.contents import read_contents
    from palmette.report.page import render
    from palmette.storage.atomic import write_text

    out = options.out or options.run / "report.html"
    write_text(out, render(read_contents(options.run / "report.json")))
    print(out)
