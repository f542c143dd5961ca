"""``palmette search --from RUN``: search the supernet of a run again, under other limits; one table for several."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated

import tyro

from palmette.cli.main import parse
from palmette.cli.search import LimitTexts, opened_job, stored_search
from palmette.errors import PalmetteError
from palmette.workers.options import ClusterOptions


@dataclass(frozen=True, kw_only=True)
class SearchAgain:
    """Search the trained supernet of a run again under other limits, without training it.

    Several limits, separated by commas, give one table, from the same command.

    Examples: `palmette search --from runs/mine --limits.flops 40M`;
    `palmette search --from runs/mine --limits.flops 20M,40M,60M --retrain`.
    """

    source: Annotated[Path, tyro.conf.arg(name="from")]
    """The directory of a run whose supernet is trained."""
    limits: LimitTexts = field(default_factory=LimitTexts)
    latency_table: Path | None = None
    """Milliseconds of the options on a machine, as 'palmette latency SPACE' writes them; default: that of the run."""
    out: Path | None = None
    """Directory of the new runs, one for each limit, continued where they were stopped; default: RUN/again."""
    retrain: bool = False
    """Also retrain each winner and its rival from scratch, and write the page of each run."""
    by: Annotated[ClusterOptions, tyro.conf.arg(name="")] = field(default_factory=ClusterOptions)


def run_again(arguments: Sequence[str]) -> None:
    options = parse(SearchAgain, arguments, name="search")
    assert isinstance(options, SearchAgain)
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise PalmetteError(
            "search --from: torchrun started several processes, and nothing is trained that they could share; start "
            "one, with --ray local for several workers"
        )
    from palmette.methods.search_again import as_table, search_again, take_supernet
    from palmette.progress import Bars
    from palmette.storage.atomic import write_text

    before = stored_search(options.source)
    out = options.out or options.source / "again"
    answers = []
    for limits in each_limit(options.limits):
        latency = options.latency_table or before.latency_table
        wanted = replace(before, limits=limits, latency_table=latency, out=out / _folder(limits), resume=True)
        wanted = replace(wanted, by=options.by)
        with opened_job(wanted, Bars()) as job:
            take_supernet(options.source, job.run)
            answers.append(search_again(job, wanted.options, retrain=options.retrain))
    table = as_table(answers)
    write_text(out / "table.md", table + "\n")
    print(f"{table}\nEvery architecture.json is in {out}")


def each_limit(texts: LimitTexts) -> list[LimitTexts]:
    """Return one set of limits per position of the lists; a cost with one limit has it in every set.

    Raises:
        PalmetteError: lists of different lengths.
    """
    lists = {name: text.split(",") for name, text in vars(texts).items() if text is not None}
    count = max(map(len, lists.values()), default=1)
    for name, values in lists.items():
        if len(values) not in (1, count):
            raise PalmetteError(
                f"limits: {len(values)} were given for {name} and {count} for another cost; "
                "give as many for each, or one that holds for all"
            )
    return [
        LimitTexts(**{name: values[i if len(values) > 1 else 0].strip() for name, values in lists.items()})
        for i in range(count)
    ]


def _folder(limits: LimitTexts) -> str:
    parts = [f"{name}-{text}" for name, text in vars(limits).items() if text is not None]
    return re.sub(r"[^\w.+-]", "_", "-".join(parts)) or "no-limits"
