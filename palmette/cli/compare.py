"""``palmette compare``: several methods, searches or runs in one table, each beside random search at equal cost."""

from __future__ import annotations

from collections.abc import Sequence

from palmette.cli.compare_methods import run_methods
from palmette.cli.compare_runs import run_runs
from palmette.cli.compare_searches import run_searches


def run(arguments: Sequence[str]) -> None:
    given = {argument.partition("=")[0] for argument in arguments}
    if "--methods" in given:
        run_methods(arguments)
    elif given & {"--table", "--searches"}:
        run_searches(arguments)
    else:
        run_runs(arguments)
