"""Job: what a method is given, and what it gives back."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from palmette.architecture import Architecture
from palmette.costs.additive import SideBySide
from palmette.costs.complexity import CostTable
from palmette.costs.counted import Costs, CountedCosts, cost_table
from palmette.costs.limits import Limits, SummedCosts, check_feasible
from palmette.data.text import Data
from palmette.errors import ArchitectureError, StorageError
from palmette.evaluation.spread import Evaluate, Spread
from palmette.progress import Advance, Progress
from palmette.report.contents import Picture
from palmette.searches.trial import Score
from palmette.space import Space
from palmette.storage.curves import Curves
from palmette.storage.journal import Journal
from palmette.storage.run_directory import RunDirectory
from palmette.training.loop import Watch
from palmette.training.recipe import Recipe
from palmette.workers.cluster import Cluster


@dataclass(frozen=True, kw_only=True)
class Job:
    """One search to be done: where, on what, within which limits. It runs on the device that the data lie on."""

    space: Space
    data: Data
    table: Costs | SideBySide
    """Costs, with those measured on a machine beside those counted if there is a table of them."""
    limits: Limits
    run: RunDirectory
    journal: Journal
    curves: Curves
    seed: int
    progress: Progress
    cluster: Cluster | None = None
    """Whose workers evaluate candidates and train those of the audit; None: this process."""

    @property
    def counted(self) -> Costs:
        """FLOPs, parameters and activations only."""
        if not isinstance(self.table, SideBySide):
            return self.table
        assert isinstance(self.table.one, CostTable)
        return self.table.one

    def allows(self, architecture: Architecture) -> bool:
        """Say whether the architecture meets every limit."""
        return not self.limits or self.limits.allows(self.table(architecture))

    @property
    def summed(self) -> SummedCosts:
        """The costs as a table of parts.

        Raises:
            ArchitectureError: the space's costs do not sum up from parts.
        """
        if isinstance(self.table, CountedCosts):
            raise ArchitectureError(
                f"space {self.space.name!r}: its costs are counted network by network, which no mixture can be; "
                "search it with smash or spos"
            )
        return self.table

    def spread(self, evaluate: Evaluate) -> Evaluate:
        """Return an evaluation with weights that no longer change, shared out over the cluster if there is one."""
        return evaluate if self.cluster is None else Spread(evaluate, self.cluster)

    @contextmanager
    def phase(self, name: str) -> Iterator[Advance]:
        """Show a phase of work and add its wall time to the journal."""
        began = time.monotonic()
        try:
            with self.progress.phase(name) as advance:
                yield advance
        finally:
            before = self.journal.records("seconds/", float).get(f"seconds/{name}", 0.0)
            self.journal.record(f"seconds/{name}", before + time.monotonic() - began)

    def watch(self, phase: str, advance: Advance) -> Watch:
        """Return the observer of one training: its checkpoint and its curve under the phase's name."""

        def log(step: int, scalars: dict[str, float]) -> None:
            self.curves.log(phase, step, scalars)

        return Watch(advance=advance, log=log, checkpoint=self.run.checkpoint(phase))


def feasible_table(space: Space, data: Data, limits: Limits, *, seed: int) -> Costs | SideBySide:
    """Return the costs of the space on these data, once it is sure that the limits can be met.

    Args:
        space: that is searched.
        data: whose images the network takes.
        limits: to be met; the table has what they were measured by, as latency, beside what is counted.
        seed: of the draws that look for an architecture within limits.

    Raises:
        LimitError: no architecture meets the limits.
        ArchitectureError: the data do not fit the network.
    """
    counted, measured = cost_table(space.stand_alone, data.input_shape), limits.measured
    if measured is not None and isinstance(counted, CountedCosts):
        raise ArchitectureError(
            f"space {space.name!r}: a table of latencies was given, and its networks are no sums of layers that one "
            "can look up; leave the table out"
        )
    table = counted if measured is None or isinstance(counted, CountedCosts) else SideBySide(counted, measured)
    check_feasible(limits, space.decisions, table, np.random.default_rng(seed))
    return table


@contextmanager
def opened(
    space: Space,
    data: Data,
    table: Costs | SideBySide,
    limits: Limits,
    *,
    directory: RunDirectory,
    seed: int,
    progress: Progress,
) -> Iterator[Job]:
    """Yield the job in a run directory, which is released at the end.

    Raises:
        StorageError: the run's journal is damaged, or holds architectures of another space.
    """
    with directory, Journal(directory.trials) as journal:
        _check(journal, space)
        curves = Curves(journal, directory.events)
        try:
            yield Job(
                space=space,
                data=data,
                table=table,
                limits=limits,
                run=directory,
                journal=journal,
                curves=curves,
                seed=seed,
                progress=progress,
            )
        finally:
            curves.close()


def _check(journal: Journal, space: Space) -> None:
    """Raise StorageError for a trial whose architecture the space does not have."""
    for trial in journal.trials():
        try:
            known = space.decisions.check(trial.architecture) == trial.architecture
            why = "it is another code of a network that has one already"
        except ArchitectureError as error:
            known, why = False, str(error)
        if not known:
            raise StorageError(
                f"{journal.path}: trial {trial.number} is of another space ({why}); restore a copy or start a new run"
            )


@dataclass(frozen=True)
class Found:
    """What a method found, and how it judges any architecture of the space."""

    best: Architecture
    score: Score
    """What ranked the trials, higher is better."""
    evaluate: Evaluate
    """Metrics on search-validation images with the method's weights, by the job's cluster if it has one."""
    evaluations: int
    """Architectures evaluated to find the best, or that could have been for what it cost to decide otherwise."""
    passes: float
    """What it all cost, in forward passes of one image through an average network; a training step counts 3 each."""
    remarks: tuple[str, ...] = ()
    """What else a reader of the result should know, in sentences."""
    pictures: tuple[Picture, ...] = ()
    """Of the best, for the report."""


class Method(Protocol):
    """A way to find an architecture, and the recipe its authors retrain the winner with."""

    @property
    def name(self) -> str: ...

    @property
    def retraining(self) -> Recipe: ...

    def search(self, job: Job) -> Found:
        """Train, record every evaluated architecture in the journal, and return the best within the limits."""
        ...
