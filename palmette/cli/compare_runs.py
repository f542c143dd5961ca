"""``palmette compare RUN RUN ...``: finished runs of one space and data split in one table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from palmette.cli.main import parse
from palmette.errors import PalmetteError

if TYPE_CHECKING:
    from palmette.comparison.account import Account
    from palmette.comparison.of_runs import FinishedRun


@dataclass(frozen=True, kw_only=True)
class CompareRuns:
    """Compare methods by their finished runs, each beside random search: table, intervals, tests, page.

    Runs of the method 'random', which trains networks alone, become the baseline of all others. Two more forms run what
    they compare: '--methods spos,random,... --help' and '--table FILE --help' (searches on true accuracies).

    Examples: `palmette compare runs/spos-0 runs/spos-1 runs/fbnet-0 runs/fbnet-1`;
    `palmette compare runs/* --truth nas_bench_macro_cifar10.csv`;
    `palmette compare --methods spos,enas,random --seeds 3`; `palmette compare --table nas_bench_macro_cifar10.csv`.
    """

    runs: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """Directories of finished runs."""
    truth: Path | None = None
    """CSV of true accuracies, as --audit.table of 'palmette search': these are compared in place of test accuracies."""
    truth_column: str = ""
    """The column of accuracies, where it has another name."""
    out: Path = Path("runs/compare")
    """Directory of the table, the page and the numbers."""

    def __post_init__(self) -> None:
        if self.truth_column and self.truth is None:
            raise PalmetteError(f"compare: truth_column = {self.truth_column!r} was given without a table; add --truth")


def run_runs(arguments: Sequence[str]) -> None:
    options = parse(CompareRuns, arguments, name="compare")
    assert isinstance(options, CompareRuns)
    from palmette.comparison.account import write
    from palmette.comparison.of_runs import check_comparable, read_run

    runs = [read_run(path) for path in options.runs]
    check_comparable(runs)
    if options.truth is not None:
        runs = judged_by(options.truth, options.truth_column, runs[0].settings.get("space", ""), runs)
    settings = {"runs": ", ".join(map(str, options.runs)), "truth": str(options.truth or "none")}
    for line in write(account_of(runs, settings), options.out):
        print(line)
    print(f"Everything is in {options.out}; look at {options.out / 'report.html'}")


TRUE = "Figures are the true accuracies that {table} has of what was found; nothing was retrained."


def judged_by(table: Path, column: str, space_name: str, runs: Sequence[FinishedRun]) -> list[FinishedRun]:
    """Return the runs with the true accuracies of what they found.

    Raises:
        PalmetteError: the table cannot be read, or lacks a network that was found.
    """
    from palmette.cli.names import SPACES, named
    from palmette.comparison.of_runs import with_truth
    from palmette.evaluation.audit import read_table

    entry = named(SPACES, space_name, "space")
    decisions = entry.build(entry.classes, entry.input_shape[0]).decisions
    truth = read_table(table, decisions, column)
    parsed = {code: decisions.parse(code) for run in runs for code in run.codes.values()}
    for code, architecture in parsed.items():
        if architecture not in truth:
            raise PalmetteError(f"{table}: it has no accuracy of {code}, which a run found; give the whole table")
    return [with_truth(run, truth, parsed) for run in runs]


def account_of(runs: Sequence[FinishedRun], settings: Mapping[str, Any]) -> Account:
    """Return the comparison as it is written down."""
    from palmette.comparison.account import Account, Drawn
    from palmette.comparison.contrast import contrasted
    from palmette.comparison.of_runs import ALONE, OWN, cost_note, entries_of
    from palmette.comparison.pictures import against_cost, found

    metric, entries = runs[0].metric, entries_of(runs)
    rows = contrasted(entries, metric)
    shown = {rival.name for entry in entries for rival in entry.rivals}
    rivals = {OWN: "its own random", ALONE: "random, trained alone"}
    rivals = {name: short for name, short in rivals.items() if name in shown}
    of = f"{runs[0].settings.get('space', runs[0].settings.get('space.name', ''))}"
    data = f"{runs[0].settings.get('data', runs[0].settings.get('data.name', ''))}"
    drawn = [Drawn("found", found(rows, metric, rivals), "What was found", "Each dot is a seed.")]
    drawn.append(
        Drawn(
            "cost",
            against_cost(rows, metric, "flops", "FLOPs of the search: passes of the average network"),
            "What it cost",
            "The search: supernet and evaluations. Retraining the winner is not in it.",
        )
    )
    return Account(
        title=f"Methods on {of}, {data}",
        metric=metric,
        rows=rows,
        rivals=rivals,
        notes=(
            f"Intervals are Student's over {rows[0].entry.unit}s. p is of a permutation test, paired where runs share "
            "the seed, and corrected by Holm's method for the methods in the column. Costs are forward passes of one "
            "image, a training step counting three, times the FLOPs of the average network of the space; seconds are "
            "wall time.",
            cost_note(entries),
            *((TRUE.format(table=settings["truth"]),) if settings.get("truth") else ()),
        ),
        pictures=drawn,
        settings=settings,
    )
