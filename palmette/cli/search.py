"""``palmette search``: supernet, search, audit, retraining, report."""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Generic, Literal, TypeVar

import tyro

from palmette.cli.main import parse
from palmette.cli.method_names import METHODS, settings
from palmette.cli.names import SPACES, named
from palmette.data.options import Splits
from palmette.errors import PalmetteError
from palmette.methods.options import AuditOptions
from palmette.workers.options import ClusterOptions

if TYPE_CHECKING:
    from palmette.methods.job import Job, Method
    from palmette.progress import Progress
    from palmette.storage.run_directory import RunDirectory

M = TypeVar("M")


@dataclass(frozen=True, kw_only=True)
class LimitTexts:
    """Limits: ``50e6`` or ``50M`` is at most, ``40M:50M`` a range, ``40M:`` at least."""

    flops: str | None = None
    """Multiply-accumulates for one image."""
    params: str | None = None
    """Parameters."""
    acts: str | None = None
    """Output elements of convolution and linear layers for one image."""
    latency: str | None = None
    """Milliseconds by the table that --latency-table gives."""
    bitops: str | None = None
    """Multiply-accumulates times the bits of weight and feature, in spaces of bits."""
    bytes: str | None = None
    """Size of parameters and statistics with quantised weights packed, in spaces of bits."""


@dataclass(frozen=True, kw_only=True)
class Search(Generic[M]):
    """Train a supernet, search it under limits, audit the ranking, retrain the winner, and write a report.

    Without options: the digits data of scikit-learn, a small space, a CPU, under two minutes. Shown are the options of
    the method that is named, spos if none is, with the defaults of the space that is named.

    Examples: `palmette search`; `palmette search --data images.npz --limits.flops 5e6 --out runs/mine`;
    `palmette search --out runs/mine --resume` after it was killed; `palmette search --from runs/mine --limits.flops
    2M,3M` to search its supernet again under other limits ('palmette search --from RUN --help').
    """

    space: str = "small-images"
    """A space by name; 'palmette spaces' lists them."""
    data: str = "digits"
    """digits, FILE.npz, FOLDER, FILE.parquet, hub:NAME or help-topics; 'palmette data' describes the formats."""
    method: str = "spos"
    """A method by name; 'palmette methods' lists them, and '--method NAME --help' shows the options of one."""
    limits: LimitTexts = field(default_factory=LimitTexts)
    latency_table: Path | None = None
    """Milliseconds of the options on a machine, as 'palmette latency SPACE' writes them; latency is then a cost too."""
    out: Path | None = None
    """Directory of the run; default: runs/SPACE-METHOD."""
    resume: bool = False
    """Continue the run in that directory if there is one; with the same settings it ends with the same numbers."""
    seed: int = 0
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """auto takes a GPU if there is one."""
    threads: int = 0
    """CPU threads; 0 leaves the choice to PyTorch."""
    by: Annotated[ClusterOptions, tyro.conf.arg(name="")] = field(default_factory=ClusterOptions)
    options: Annotated[M, tyro.conf.arg(name="")]
    """Of the method."""
    audit: AuditOptions = field(default_factory=AuditOptions)
    splits: Splits = field(default_factory=Splits)
    image_size: int | None = None
    """Resize all images to this height and width, in pixels."""
    optuna: str | None = None
    """Mirror the trials to this storage of Optuna meanwhile: sqlite:///FILE or postgresql://USER@HOST/NAME, for
    optuna-dashboard; 'palmette mirror' does so afterwards."""


def run(arguments: Sequence[str]) -> None:
    if any(argument == "--from" or argument.startswith("--from=") for argument in arguments):
        from palmette.cli.search_again import run_again

        run_again(arguments)
        return
    options = parse_search(arguments)
    options.by.cluster()  # what several processes cannot share is told before they meet
    from palmette import ranks
    from palmette.methods.search import mirroring
    from palmette.methods.search import run as run_job
    from palmette.progress import shown

    with ranks.started():
        with opened_job(options, shown()) as job, mirroring(job, options.optuna):
            result = run_job(job, options.options, options.audit)
        is_first = ranks.own() == 0
    if not is_first:
        return
    trust = [] if result.audit is None else [f"Audit against {result.audit.source}.", *result.audit.verdict]
    for line in [*result.headline, *trust]:
        print(textwrap.fill(line, 110, subsequent_indent="  ", break_on_hyphens=False))
    print(f"Everything is in {result.directory}; look at {result.directory / 'report.html'}")


def parse_search(arguments: Sequence[str]) -> Search[Method]:
    """Return the options; the defaults are those of the recipe of the space that is named."""
    peek = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    peek.add_argument("--space", default="small-images")
    peek.add_argument("--method", default="spos")
    try:
        known, _ = peek.parse_known_args(list(arguments))
    except argparse.ArgumentError as error:
        raise PalmetteError(f"search: {error}; 'palmette search --help' lists all options") from None
    method = named(METHODS, known.method, "method")
    entry = named(SPACES, known.space, "space")
    default = Search(
        space=known.space,
        method=known.method,
        threads=entry.threads,
        options=settings(known.method, known.space),
        splits=Splits(validation=entry.validation),
    )
    options = parse(Search[method.options], arguments, name="search", default=default)  # type: ignore[name-defined]
    assert isinstance(options, Search)
    return options


@contextmanager
def opened_job(options: Search[Method], progress: Progress) -> Iterator[Job]:
    """Check all that can be checked, then open the run directory and yield the job.

    Raises:
        PalmetteError: whatever the options, the data, the limits or the directory do not allow.
    """
    import torch

    from palmette.cli.latency_table import latency_costs
    from palmette.costs.limits import Limits
    from palmette.data.sources import load_any
    from palmette.evaluation.audit import read_table
    from palmette.methods.job import feasible_table, opened
    from palmette.storage.held import held

    if options.threads < 0:
        raise PalmetteError(
            f"threads = {options.threads} was given; allowed are numbers from 1, and 0 for PyTorch's own"
        )
    if options.threads:
        torch.set_num_threads(options.threads)
    cluster = options.by.cluster()
    bounds = {name: text for name, text in vars(options.limits).items() if text is not None}
    device = chosen_device(options.device)
    data = load_any(options.data, splits=options.splits, seed=options.seed, image_size=options.image_size).to(device)
    SPACES[options.space].check_data(data)
    space = SPACES[options.space].build(len(data.classes), data.input_shape[0])
    latency = latency_costs(options.latency_table, bounds, space.decisions, data.input_shape)
    limits = Limits.from_mapping(bounds, latency)
    table = feasible_table(space, data, limits, seed=options.seed)
    if options.audit.table is not None:
        read_table(
            options.audit.table, space.decisions, options.audit.table_column
        )  # its mistakes are told now, not after the training
    with (
        held(lambda: _directory(options)) as directory,
        opened(space, data, table, limits, directory=directory, seed=options.seed, progress=progress) as job,
    ):
        yield replace(job, cluster=cluster)


@contextmanager
def reopened(path: Path, progress: Progress, *, by: ClusterOptions | None = None) -> Iterator[tuple[Job, Method]]:
    """Open the run in ``path`` as it was begun, and yield its job and method; ``by`` says which cluster helps.

    Raises:
        StorageError: it is no run of the command line, or is in use.
    """
    options = replace(stored_search(path), out=path, resume=True, by=by or ClusterOptions())
    with opened_job(options, progress) as job:
        yield job, options.options


def stored_search(path: Path) -> Search[Method]:
    """Return the options that the run in ``path`` was begun with.

    Raises:
        StorageError: it is no run of the command line.
    """
    from palmette.storage.run_directory import read_configuration, rebuilt

    stored = read_configuration(path)
    if not isinstance(stored.get("space"), str) or "options" not in stored:
        raise PalmetteError(f"{path}: the run was begun in Python with a space of its own; go on with it there")
    name, options = stored.get("method"), stored["options"]
    if not isinstance(name, str) or not isinstance(options, dict):
        raise PalmetteError(f"{path}: its config.toml names no method and its options; restore it or start a new run")
    method = rebuilt(named(METHODS, name, "method").options, options)
    return replace(rebuilt(Search, stored), options=method)


def _directory(options: Search[Method]) -> RunDirectory:
    from palmette.storage.run_directory import RunDirectory, plain

    path = options.out or Path("runs") / f"{options.space}-{options.method}"
    free = {"out", "resume", "threads", "optuna", "by"}
    # these may differ when a run is continued; the URL of Optuna may hold a password
    kept = {name: value for name, value in plain(options).items() if name not in free}
    return RunDirectory.open(path, kept) if options.resume else RunDirectory.create(path, kept)


def chosen_device(name: str) -> str:
    """Return ``cpu`` or ``cuda``; ``auto`` takes a GPU if there is one."""
    import torch

    if name == "cuda" and not torch.cuda.is_available():
        raise PalmetteError("device cuda was given and there is none; allowed here is cpu, or auto")
    return ("cuda" if torch.cuda.is_available() else "cpu") if name == "auto" else name
