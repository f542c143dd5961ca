"""``palmette compare --methods``: methods by seeds on one space and data split, each at the same measured cost.

The first method named sets the budget: what its search is measured to cost at the recipe's settings, in forward passes
of one image through the average network. Of every other method the epochs are then changed until its own measured cost
is the same; for that its first seed is searched, again with other epochs where it missed by more than a tenth. Random
search that trains networks alone simply spends the budget. The page shows what each cost in the end.

Every run is an ordinary run directory, so that a killed comparison goes on where each was.
"""

from __future__ import annotations

import dataclasses
import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from palmette.cli.compare_runs import account_of, judged_by
from palmette.cli.main import parse
from palmette.cli.method_names import METHODS
from palmette.cli.names import SPACES, named
from palmette.cli.search import LimitTexts, Search, opened_job
from palmette.comparison.equal_cost import equal_epochs
from palmette.comparison.named_searches import GENERATION
from palmette.data.options import Splits
from palmette.errors import PalmetteError
from palmette.methods.options import AuditOptions
from palmette.methods.random_training import RandomTraining
from palmette.methods.spos import SPOS
from palmette.searches.evolution import EvolutionOptions
from palmette.workers.options import WorkerOptions

if TYPE_CHECKING:
    from palmette.comparison.of_runs import FinishedRun
    from palmette.methods.job import Method
    from palmette.progress import Advance
    from palmette.storage.journal import Journal


@dataclass(frozen=True, kw_only=True)
class CompareMethods:
    """Run methods with several seeds on one space and data split at equal measured cost, and compare them.

    Examples: `palmette compare --methods spos,enas,random --seeds 3`;
    `palmette compare --methods spos,darts,random --space nas-bench-201 --data cifar10.npz
    --truth nas_bench_201.csv.gz --truth-column c10_test_e200 --out runs/cells --resume`.
    """

    methods: str
    """Separated by commas; the cost of the first is the budget of all. 'palmette methods' lists them."""
    space: str = "small-images"
    data: str = "digits"
    seeds: int = 3
    epochs: int = 0
    """Of the supernet of the first method; 0 takes the recipe's."""
    evaluations: int = 0
    """Of each trained supernet, in generations of 20; 0 takes the recipe's."""
    limits: LimitTexts = field(default_factory=LimitTexts)
    splits: Splits = field(default_factory=Splits)
    image_size: int | None = None
    """Resize all images to this height and width, in pixels."""
    truth: Path | None = None
    """CSV of true accuracies: these are compared, and nothing is retrained."""
    truth_column: str = ""
    """The column of accuracies, where it has another name."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    threads: int = 0
    """CPU threads of each run; 0 leaves the choice to PyTorch."""
    out: Path = Path("runs/compare-methods")
    """Directory of the runs, the table, the page and the numbers."""
    resume: bool = False
    """Go on with the comparison in that directory if there is one."""
    by: Annotated[WorkerOptions, tyro.conf.arg(name="")] = field(default_factory=WorkerOptions)

    def __post_init__(self) -> None:
        if self.seeds < 1 or min(self.epochs, self.evaluations) < 0:
            raise PalmetteError(
                f"compare: seeds {self.seeds} must be at least 1, epochs {self.epochs} and evaluations "
                f"{self.evaluations} at least 0"
            )
        if self.truth_column and self.truth is None:
            raise PalmetteError(f"compare: truth_column = {self.truth_column!r} was given without a table; add --truth")


@dataclass(frozen=True)
class MethodJob:
    """One run: a method with settings that follow from ``epochs``, or from ``passes`` where it can spend these."""

    method: str
    epochs: int
    seed: int
    passes: float = 0.0
    only_search: bool = False

    @property
    def key(self) -> str:
        spent = f"{self.passes:.0f}-passes" if self.passes else f"{self.epochs}-epochs"
        return f"{self.method}-{spent}-seed-{self.seed}"


def run_methods(arguments: Sequence[str]) -> None:
    options = parse(CompareMethods, arguments, name="compare")
    assert isinstance(options, CompareMethods)
    from palmette.comparison.account import write
    from palmette.progress import Bars
    from palmette.storage.journal import Journal
    from palmette.storage.run_directory import RunDirectory, plain

    names = [name.strip() for name in options.methods.split(",")]
    check(options, names)
    free = {"out", "resume", "by", "threads"}  # may differ when a comparison is continued
    settings = {name: value for name, value in plain(options).items() if name not in free}
    begin = RunDirectory.open if options.resume else RunDirectory.create
    with (
        begin(options.out, settings),
        Journal(options.out / "trials.sqlite") as journal,
        Bars().phase("runs") as advance,
    ):
        budgeted = jobs_of(options, names, journal)
        jobs = [dataclasses.replace(job, seed=seed) for job in budgeted for seed in range(options.seeds)]
        runs = []
        for done_, finished in enumerate(done(options, jobs, journal), start=1):
            runs.append(finished)
            advance(done_, len(jobs))
    if options.truth is not None:
        runs = judged_by(options.truth, options.truth_column, options.space, runs)
    print("\n".join(write(account_of(runs, settings), options.out)))
    print(f"Everything is in {options.out}; look at {options.out / 'report.html'}")


def check(options: CompareMethods, names: Sequence[str]) -> None:
    """Raise PalmetteError for what would only be noticed after hours."""
    if len(set(names)) < len(names):
        raise PalmetteError(f"compare: a method is named twice in {options.methods!r}; name each once")
    for name in names:
        method_of(options, MethodJob(name, 0, 0))
    if names[0] == "random":
        raise PalmetteError("compare: random spends what another method cost; name that one first")
    if options.truth is not None:
        judged_by(options.truth, options.truth_column, options.space, [])


def method_of(options: CompareMethods, job: MethodJob) -> Method:
    """Return the settings of a job's method, as those of the space with its epochs give them."""
    spos: SPOS = named(SPACES, options.space, "space").spos()
    if job.epochs:
        warmup = spos.training.warmup_epochs * job.epochs / spos.training.epochs
        spos = dataclasses.replace(
            spos, training=dataclasses.replace(spos.training, epochs=job.epochs, warmup_epochs=warmup)
        )
    if options.evaluations:
        spos = dataclasses.replace(spos, evolution=_evolution(options.evaluations))
    method = named(METHODS, job.method, "method").settings(spos)
    return dataclasses.replace(method, passes=job.passes) if isinstance(method, RandomTraining) else method


def _evolution(evaluations: int) -> EvolutionOptions:
    size = min(GENERATION, evaluations)
    return EvolutionOptions(
        population=size,
        generations=-(-evaluations // size) - 1,
        parents=min(EvolutionOptions.parents, size),
        mutants=size // 2,
        crossovers=size - size // 2,
    )


def jobs_of(options: CompareMethods, names: Sequence[str], journal: Journal) -> list[MethodJob]:
    """Return a job of every method, of its first seed, at the cost of the first method."""
    own = options.epochs or named(SPACES, options.space, "space").spos().training.epochs
    budget = _cost(options, journal, names[0], own)
    jobs = [MethodJob(names[0], own, 0)]
    for name in names[1:]:
        if name == "random":
            jobs.append(MethodJob(name, own, 0, passes=budget))
        else:
            epochs = equal_epochs(partial(_cost, options, journal, name), budget, start=own)
            jobs.append(MethodJob(name, epochs, 0))
    return [dataclasses.replace(job, only_search=options.truth is not None) for job in jobs]


def done(
    options: CompareMethods, jobs: Sequence[MethodJob], journal: Journal, advance: Advance | None = None
) -> list[FinishedRun]:
    """Do the jobs that are not done yet, and return all in order.

    Raises:
        PalmetteError: one failed.
    """
    from palmette.comparison.of_runs import FinishedRun, read_run
    from palmette.evaluation.metric import ACCURACY, PERPLEXITY, Metric
    from palmette.workers.pool import Failure

    stored = journal.records("runs/")
    waiting = [job for job in jobs if f"runs/{_kind(job)}/{job.key}" not in stored]
    finished = len(jobs) - len(waiting)
    for position, result in options.by.pool().run(partial(worker, options), waiting):
        if isinstance(result, Failure):
            raise PalmetteError(f"compare: {waiting[position].key}: {result.why}")
        journal.record(f"runs/{_kind(waiting[position])}/{waiting[position].key}", result)
        finished += 1
        if advance is not None:
            advance(finished, len(jobs))
    stored = journal.records("runs/")
    runs = []
    for job in jobs:
        if not job.only_search:
            runs.append(read_run(options.out / job.key))
            continue
        record: Any = stored[f"runs/{_kind(job)}/{job.key}"]
        metrics: dict[str, Metric] = {metric.name: metric for metric in (ACCURACY, PERPLEXITY)}
        runs.append(FinishedRun(**{**record, "metric": metrics[record["metric"]]}))
    return runs


def worker(options: CompareMethods) -> Callable[[MethodJob], dict[str, Any]]:
    """Return what does one run; called once in each process.

    Raises:
        PalmetteError: it is on a machine that does not see the comparison's directory.
    """
    if not (options.out / "config.toml").is_file():
        raise PalmetteError(
            f"compare: {options.out.absolute()} is not there on {platform.node()}; start the comparison in a folder "
            "that all nodes of the cluster see under the same path"
        )
    return partial(do_run, options)


def do_run(options: CompareMethods, job: MethodJob) -> dict[str, Any]:
    """Search, and retrain unless only the search was asked for; return what was found, made of JSON's types."""
    from palmette.comparison.of_runs import seconds_of
    from palmette.costs.average import average
    from palmette.evaluation.outcomes import metric_of
    from palmette.methods.search import random_best
    from palmette.methods.search import run as run_job
    from palmette.progress import Silent
    from palmette.storage.run_directory import flat, plain

    method, audit, splits = method_of(options, job), AuditOptions(networks=0), options.splits
    if splits.validation is None:
        splits = dataclasses.replace(splits, validation=SPACES[options.space].validation)
    search = Search(
        space=options.space,
        data=options.data,
        method=job.method,
        limits=options.limits,
        out=options.out / job.key,
        resume=True,
        seed=job.seed,
        device=options.device,
        threads=options.threads or SPACES[options.space].threads,
        options=method,
        audit=audit,
        splits=splits,
        image_size=options.image_size,
    )
    with opened_job(search, Silent()) as opened:
        if not job.only_search:
            run_job(opened, method, audit)
            return {}
        found = method.search(opened)
        random = random_best(opened, found)
        code, flops = opened.space.decisions.code, average(opened.space.decisions, opened.table, "flops")
        metric = metric_of(opened.data)
    costs = {"evaluations": found.evaluations, "passes": found.passes, "flops": found.passes * flops}
    return {
        "method": job.method,
        "seed": job.seed,
        "settings": flat({name: value for name, value in plain(search).items() if name not in ("out", "resume")}),
        "metric": metric.name,
        "codes": {"winner": code(found.best), "random": code(random)},
        "figures": {},
        "costs": {**costs, "seconds": seconds_of(options.out / job.key, job.method)},
        "outcomes": {},
    }


def _cost(options: CompareMethods, journal: Journal, method: str, epochs: int) -> float:
    """Search with the first seed and return what it cost, in passes."""
    job = MethodJob(method, epochs, 0, only_search=True)
    return float(done(options, [job], journal)[0].costs["passes"])


def _kind(job: MethodJob) -> str:
    return "search" if job.only_search else "whole"
