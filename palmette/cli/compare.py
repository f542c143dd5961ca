"""``palmette compare``: several methods, searches or runs in one table, each beside random search at equal cost."""

from __future__ import annotations

from collections.abc import Sequence

from palmette.cli.compare_searches import run_searches
from palmette.errors import PalmetteError


def run(arguments: Sequence[str]) -> None:
    given = {argument.partition("=")[0] for argument in arguments}
    if given & {"--table", "--searches"}:
        run_searches(arguments)
        return
    raise PalmetteError("compare: give directories of finished runs, or --table FILE")
