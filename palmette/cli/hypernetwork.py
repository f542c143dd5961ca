"""``palmette hypernetwork``: the questions of the SMASH paper, asked of a run of that method."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from palmette.cli.main import parse
from palmette.data.options import Splits
from palmette.errors import PalmetteError
from palmette.supernets.options import HyperNetOptions

if TYPE_CHECKING:
    from palmette.methods.hypernetwork_ranking import Target
    from palmette.methods.hypernetwork_study import Answer
    from palmette.methods.job import Job
    from palmette.methods.smash import SMASH

SMALLER = (HyperNetOptions(first=2, growth=2, layers=(1, 1, 1)),)


@dataclass(frozen=True, kw_only=True)
class Hypernetwork:
    """Ask of a finished run of --method smash what the paper asked; 'palmette audit RUN' asks for the correlation.

    corrupted: do wrong encodings give worse weights? capacity: does a smaller hypernetwork still rank? fixed: do scores
    still rank when most weights are not generated? guidance: does the gradient with respect to the encoding lead to
    better networks than chance? transfer: is the network found here good on other data? capacity and fixed take the
    accuracies that an audit has measured.

    Examples: `palmette hypernetwork corrupted runs/memory-bank-small-smash`;
    `palmette hypernetwork transfer runs/memory-bank-smash --data modelnet10_vox30.npz`.
    """

    question: Annotated[Literal["corrupted", "capacity", "fixed", "guidance", "transfer"], tyro.conf.Positional]
    run: Annotated[Path, tyro.conf.Positional]
    """The directory of a run."""
    networks: int = 30
    """Architectures that are drawn: to be scored, to start from, or to be trained on the other data."""
    proposals: int = 8
    """Of guidance: architectures scored from each start."""
    data: str | None = None
    """Of transfer: where to, as for 'palmette search'."""
    epochs: int = 0
    """Of transfer: of each training; 0 takes a third of the run's retraining."""
    splits: Splits = field(default_factory=Splits)
    """Of the other data."""


def run(arguments: Sequence[str]) -> None:
    options = parse(Hypernetwork, arguments, name="hypernetwork")
    assert isinstance(options, Hypernetwork)
    if options.networks < 6 or options.proposals < 1:
        raise PalmetteError(
            f"hypernetwork: networks = {options.networks} and proposals = {options.proposals} were given; allowed are "
            "networks from 6 and proposals from 1"
        )
    if (options.question == "transfer") != (options.data is not None):
        raise PalmetteError("hypernetwork: transfer needs --data, and the other questions take none")
    from palmette.cli.search import reopened
    from palmette.methods.hypernetwork_study import write_answer
    from palmette.methods.smash import SMASH
    from palmette.progress import Bars

    with reopened(options.run, Bars()) as (job, method):
        if not isinstance(method, SMASH):
            raise PalmetteError(f"{options.run}: a run of {method.name}; these questions are asked of --method smash")
        answer = _answered(options, job, method)
        write_answer(job, options.question, answer)
    print("\n".join(answer.sentences))


def _answered(options: Hypernetwork, job: Job, method: SMASH) -> Answer:
    from palmette.methods import hypernetwork_ranking as ranking
    from palmette.methods import hypernetwork_study as study

    match options.question:
        case "corrupted":
            return study.corrupted(job, method, networks=options.networks)
        case "capacity":
            return ranking.capacity(job, method, capacities=SMALLER)
        case "fixed":
            return ranking.fixed(job, method)
        case "guidance":
            return study.guidance(job, method, bases=options.networks, proposals=options.proposals)
        case "transfer":
            return ranking.transfer(job, method, _target(options, job, method), networks=options.networks)


def _target(options: Hypernetwork, job: Job, method: SMASH) -> Target:
    """Return the same budget of memory banks on other data."""
    from dataclasses import replace

    from palmette.data.sources import load
    from palmette.methods.hypernetwork_ranking import Target
    from palmette.spaces.bank_grammar import BankGrammar
    from palmette.spaces.memory_bank import memory_bank, sizes_of, transferred

    assert options.data is not None
    decisions = job.space.decisions
    if not isinstance(decisions.grammar, BankGrammar):
        raise PalmetteError(f"{options.run}: space {job.space.name!r} has no memory banks; transfer is between those")
    data = load(options.data, splits=options.splits, seed=job.seed).to(job.data.device)
    channels, *sides = data.input_shape
    sizes = replace(sizes_of(decisions), axes=len(sides))
    space = memory_bank(
        classes=len(data.classes), channels=channels, sizes=sizes, stem_kernel=3, name=f"{job.space.name}-elsewhere"
    )
    recipe = replace(method.retraining, epochs=options.epochs or -(-method.retraining.epochs // 3))
    return Target(space, data, lambda a: transferred(a, decisions, space.decisions), recipe)
