"""``palmette compare --searches``: searches with many seeds on a table of true accuracies."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from palmette.cli.main import parse
from palmette.cli.names import SPACES, named
from palmette.cli.search import LimitTexts
from palmette.data.options import Splits
from palmette.errors import DataError, LimitError, PalmetteError
from palmette.workers.options import WorkerOptions

if TYPE_CHECKING:
    from palmette.comparison.account import Account
    from palmette.comparison.on_table import Prices, Results, SearchJob, Table

ALL = (
    *("random", "evolution", "nsga2", "nsga2:accuracy+flops"),
    *("predictor", "predictor:gradient-boosting", "predictor:gaussian-process"),
)


@dataclass(frozen=True, kw_only=True)
class CompareSearches:
    """Compare searches on a table of true accuracies, every one with as many evaluations, beside random search.

    Examples: `palmette compare --table nas_bench_macro_cifar10.csv`;
    `palmette compare --space nas-bench-201 --table nas_bench_201.csv.gz --table-column c10_test_e200
    --searches evolution,predictor,optuna:TPESampler --evaluations 100 --out runs/cells`.
    """

    table: Path
    """CSV of true accuracies: columns ``arch`` (codes) and ``accuracy`` or several ``test_acc_...``."""
    table_column: str = ""
    """The column of accuracies, where it has another name; NAS-Bench-201's shared table has c10_test_e200."""
    space: str = "nas-bench-macro"
    """Of the table; 'palmette spaces' lists them."""
    searches: str = ",".join(ALL)
    """Separated by commas: random, evolution, nsga2, nsga2:accuracy+flops, predictor:REGRESSOR, optuna:SAMPLER."""
    seeds: int = 20
    evaluations: int = 100
    """Of every search with every seed."""
    limits: LimitTexts = field(default_factory=LimitTexts)
    """As for 'palmette search'; nothing outside them is evaluated."""
    images: int = 50_000
    """Training images of the table's data, by which the costs of a supernet and of its evaluations are counted."""
    splits: Splits = field(default_factory=Splits)
    """Of these images."""
    out: Path = Path("runs/compare-searches")
    """Directory of the table, the page and the numbers."""
    resume: bool = False
    """Go on with the comparison in that directory if there is one."""
    by: Annotated[WorkerOptions, tyro.conf.arg(name="")] = field(default_factory=WorkerOptions)

    def __post_init__(self) -> None:
        if min(self.seeds, self.evaluations, self.images) < 1:
            raise PalmetteError(
                f"compare: seeds {self.seeds}, evaluations {self.evaluations} and images {self.images} "
                "must be at least 1"
            )


def run_searches(arguments: Sequence[str]) -> None:
    options = parse(CompareSearches, arguments, name="compare")
    assert isinstance(options, CompareSearches)
    from palmette.comparison.account import write
    from palmette.comparison.named_searches import named_search
    from palmette.comparison.on_table import done, jobs_of
    from palmette.progress import Bars
    from palmette.storage.journal import Journal
    from palmette.storage.run_directory import RunDirectory, plain

    table, prices = prepared(options)
    names = tuple(dict.fromkeys(name.strip() for name in options.searches.split(",")))
    for name in names:  # mistakes are told now
        named_search(name, table.decisions, table.allows, evaluations=options.evaluations)
    free = {"out", "resume", "by"}  # may differ when a comparison is continued
    settings = {name: value for name, value in plain(options).items() if name not in free}
    begin = RunDirectory.open if options.resume else RunDirectory.create
    jobs = jobs_of(names, options.seeds, options.evaluations, prices)
    with begin(options.out, settings), Journal(options.out / "trials.sqlite") as journal:
        with Bars().phase("searches") as advance:
            results = done(jobs, options.by.pool(), partial(worker, options), journal, advance)
        lines = write(account_of(options, settings, table, prices, results), options.out)
    print("\n".join(lines))
    print(f"Everything is in {options.out}; look at {options.out / 'report.html'}")


def worker(options: CompareSearches) -> Callable[[SearchJob], dict[str, Any]]:
    """Return what does one search; called once in each process."""
    from palmette.comparison.on_table import do_job

    table, _ = prepared(options)
    return partial(do_job, table)


def prepared(options: CompareSearches) -> tuple[Table, Prices]:
    """Read the table and count what things cost.

    Raises:
        PalmetteError: an unknown space, a table that does not fit it, or limits that none of its rows meets.
    """
    from palmette.comparison.on_table import Prices, Table
    from palmette.costs.average import average
    from palmette.costs.counted import cost_table
    from palmette.costs.limits import Limits
    from palmette.evaluation.audit import read_table

    entry = named(SPACES, options.space, "space")
    space = entry.build(entry.classes, entry.input_shape[0])
    accuracy = read_table(options.table, space.decisions, options.table_column)
    counted = cost_table(space.stand_alone, entry.input_shape)
    rows = list(accuracy)
    costs = {
        a: dict(zip(counted.names, map(float, row), strict=True))
        for a, row in zip(rows, counted.all(rows), strict=True)
    }
    limits = Limits.from_mapping({name: text for name, text in vars(options.limits).items() if text is not None})
    allowed = {a for a in rows if not limits or limits.allows(costs[a])}
    if not allowed:
        raise LimitError(f"compare: no architecture of {options.table} meets {limits}; loosen the limits")
    held = options.splits.validation_size(options.images, entry.classes)
    trained = min(options.images, options.splits.train or options.images) - held
    if trained < 1:
        raise DataError(f"compare: of {options.images} images {held} are held out and none is left; give more images")
    settings = entry.spos()
    prices = Prices(
        evaluation=float(held + min(options.splits.calibration, trained)),
        supernet=3.0 * settings.training.epochs * trained,
        training=3.0 * settings.retraining.epochs * trained,
        average_flops=average(space.decisions, counted, "flops"),
    )
    return Table(space.decisions, accuracy, costs, allowed.__contains__), prices


def account_of(
    options: CompareSearches, settings: Mapping[str, Any], table: Table, prices: Prices, results: Results
) -> Account:
    """Return the comparison as it is written down."""
    from palmette.comparison.account import Account, Drawn
    from palmette.comparison.contrast import contrasted
    from palmette.comparison.on_table import ALONE, SAME_EVALUATIONS, best_so_far, entries_of
    from palmette.comparison.pictures import against_cost, curves, found
    from palmette.evaluation.metric import ACCURACY

    rows = contrasted(list(entries_of(results, prices)), ACCURACY)
    rivals = {SAME_EVALUATIONS: "random, as many evaluations", ALONE: "random, trained alone"}
    beside = {SAME_EVALUATIONS: rivals[SAME_EVALUATIONS]}  # few networks trained alone would stretch the axis
    allowed = [a for a in table.accuracy if table.allows(a)]
    top = max(table.accuracy[a] for a in allowed)
    best = {row.entry.name: best_so_far(results, row.entry.name) for row in rows}
    drawn = (
        Drawn("found", found(rows, ACCURACY, beside), "What was found", "Each dot is a seed."),
        Drawn(
            "curves",
            curves(best, ACCURACY, top=top, first=max(1, options.evaluations // 20)),
            "On the way",
            "Mean of the best so far with its 95% interval; dotted: the best of all.",
        ),
        Drawn(
            "cost",
            against_cost(rows, ACCURACY, "flops", "FLOPs of all evaluations, without supernet"),
            "What it cost",
            "Forward passes of the evaluated networks, with calibration.",
        ),
    )
    return Account(
        title=f"Searches on {options.space}, {options.seeds} seeds, {options.evaluations} evaluations",
        metric=ACCURACY,
        rows=rows,
        rivals=rivals,
        notes=_notes(options, prices, len(allowed), top),
        pictures=drawn,
        settings=settings,
    )


def _notes(options: CompareSearches, prices: Prices, allowed: int, top: float) -> tuple[str, ...]:
    return (
        f"Figures are the true accuracies of the best network found, by {options.table.name}; the best of the "
        f"{allowed:,} architectures there has {100 * top:.3f}%. Intervals are Student's and Welch's over the seeds, "
        "each p is of a permutation test of the difference of means, corrected by Holm's method for the searches in "
        "the column.",
        f"Costs are multiply-accumulates. An evaluation is {prices.evaluation:,.0f} forward passes; a supernet is "
        f"trained for {prices.supernet:,.0f} passes of the average network ({prices.average_flops:,.0f} "
        f"multiply-accumulates), one network alone for {prices.training:,.0f}. Seconds are those of the search itself "
        "(CPU), for here an evaluation is a look-up.",
        "Without supernet, random search has as many evaluations. With supernet, it trains networks alone for the "
        "whole cost ('trainings', at least one) and takes the best. The table never errs, so the latter shows what a "
        "supernet would be worth if it ranked perfectly, and no real one does.",
    )
