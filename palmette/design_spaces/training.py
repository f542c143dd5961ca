"""Training a population: every network short and alone, as independent jobs, each result recorded once and for all.

Radosavovic et al., 2020, section 3.1. What a network ends as follows from (study seed, space, index) and not from who
trained it or when, so a resumed study ends with the table of one that was never stopped. A network that diverged or
failed is a result too. The error is that on the validation images; test images are never seen.
"""

from __future__ import annotations

import math
import time
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any, Literal, cast

import numpy as np
import torch
from torch import Tensor

from palmette.data.images import Dataset
from palmette.design_spaces.population import Population
from palmette.design_spaces.space import DesignSpace, Row
from palmette.errors import DivergedError
from palmette.evaluation.score import score
from palmette.storage.journal import Journal
from palmette.training.loop import Advance, Watch, place, train
from palmette.training.recipe import Recipe
from palmette.workers.pool import Failure, Here, Pool

State = Literal["finished", "diverged", "failed"]
DIVERGED_ERROR = 1.0
"""A diverged network counts as always wrong."""


@dataclass(frozen=True)
class Outcome:
    """What became of one network."""

    space: str
    index: int
    state: State
    error: float
    """Share of validation images that are wrong, 0 to 1; 1 where training diverged, NaN where it failed."""
    loss: float
    parameters: Mapping[str, float]
    flops: int
    params: int
    acts: int
    lr: float
    weight_decay: float
    seconds: float
    why: str = ""

    def record(self) -> dict[str, Any]:
        """Return what JSON can hold: NaN as None."""
        fields = asdict(self)
        return {key: None if isinstance(value, float) and math.isnan(value) else value for key, value in fields.items()}

    @staticmethod
    def of_record(record: Mapping[str, Any]) -> Outcome:
        """Undo ``record``."""
        fields: dict[str, Any] = {key: math.nan if value is None else value for key, value in record.items()}
        return Outcome(**fields)


@dataclass(frozen=True)
class Job:
    """One network to be trained."""

    space: DesignSpace
    index: int
    row: Row
    counts: Mapping[str, int]
    recipe: Recipe
    seed: int

    @property
    def weights_seed(self) -> int:
        """The seed of the initial weights, another one for every network."""
        entropy = [self.seed, zlib.crc32(self.space.name.encode()), self.index]
        return int(np.random.SeedSequence(entropy).generate_state(1)[0])


def jobs_of(space: DesignSpace, population: Population, recipe: Recipe, *, seed: int) -> list[Job]:
    """Return a job for every network; all see the same batches."""
    return [
        Job(space, index, population.row(index), population.counts(index), recipe, seed)
        for index in range(len(population))
    ]


def vary_optimisation(
    jobs: Sequence[Job], *, lr: tuple[float, float], weight_decay: tuple[float, float], seed: int
) -> list[Job]:
    """Return the jobs with learning rate and weight decay of their own, log-uniform: the paper's check of both."""
    generator = np.random.default_rng(seed)
    rates = np.exp(generator.uniform(np.log(lr[0]), np.log(lr[1]), len(jobs)))
    decays = np.exp(generator.uniform(np.log(weight_decay[0]), np.log(weight_decay[1]), len(jobs)))
    return [
        replace(job, recipe=replace(job.recipe, lr=float(rate), weight_decay=float(decay)))
        for job, rate, decay in zip(jobs, rates, decays, strict=True)
    ]


def train_population(
    jobs: Sequence[Job],
    data: Dataset,
    journal: Journal,
    *,
    name: str,
    pool: Pool | None = None,
    device: str = "cpu",
    advance: Advance = lambda done, total: None,
) -> list[Outcome]:
    """Train the networks that the journal does not have yet, and return the outcomes of all, by index.

    Args:
        jobs: of one population.
        data: on the CPU; every worker moves a copy of its own.
        journal: gets one record for each network as it ends, under ``population/NAME/INDEX``.
        name: of the population.
        pool: who trains; without one they train here.
        device: what workers train on.
        advance: is told how many networks have ended.
    """
    known = recorded(journal, name)
    open_jobs = [job for job in jobs if job.index not in known]
    advance(len(known), len(jobs))
    for position, result in _with_one_thread(open_jobs, data, pool or Here(), device):
        job = open_jobs[position]
        outcome = _failed(job, result) if isinstance(result, Failure) else result
        journal.record(f"population/{name}/{job.index:05d}", outcome.record())
        known[job.index] = outcome
        advance(len(known), len(jobs))
    return [known[job.index] for job in jobs]


def recorded(journal: Journal, name: str) -> dict[int, Outcome]:
    """Return the outcomes that the journal has of one population, by index."""
    records = journal.records(f"population/{name}/").values()
    outcomes = (Outcome.of_record(cast("Mapping[str, Any]", record)) for record in records)
    return {outcome.index: outcome for outcome in outcomes}


def train_one(job: Job, data: Dataset) -> Outcome:
    """Train one network on the device that the data lie on and return its outcome."""
    began = time.monotonic()
    network = place(job.space.network(job.row, seed=job.weights_seed), data.device)

    def forward(images: Tensor, step: int) -> Tensor:
        logits: Tensor = network(images)
        return logits

    state: State = "finished"
    why, error, loss = "", DIVERGED_ERROR, math.nan
    try:
        train(network, forward, data, job.recipe, seed=job.seed, watch=Watch())
        metrics = score(network, data.validation, data)
        if math.isfinite(metrics["loss"]):
            error, loss = 1 - metrics["accuracy"], metrics["loss"]
        else:
            state, why = "diverged", "the loss on validation images is not finite"
    except DivergedError as diverged:
        state, why = "diverged", str(diverged)
    return _outcome(job, state, error=error, loss=loss, seconds=time.monotonic() - began, why=why)


def _with_one_thread(
    jobs: Sequence[Job], data: Dataset, pool: Pool, device: str
) -> Iterator[tuple[int, Outcome | Failure]]:
    """Run the jobs with one thread each, wherever they run, so that sums come out the same."""
    threads = torch.get_num_threads()
    try:
        yield from pool.run(partial(_Trainer, data, device), jobs)
    finally:
        torch.set_num_threads(threads)


class _Trainer:
    """Trains networks on one copy of the data; made once in every worker."""

    def __init__(self, data: Dataset, device: str) -> None:
        torch.set_num_threads(1)
        self.data = data.to(device)

    def __call__(self, job: Job) -> Outcome:
        return train_one(job, self.data)


def _failed(job: Job, failure: Failure) -> Outcome:
    return _outcome(job, "failed", error=math.nan, loss=math.nan, seconds=0.0, why=failure.why)


def _outcome(job: Job, state: State, *, error: float, loss: float, seconds: float, why: str) -> Outcome:
    return Outcome(
        space=job.space.name,
        index=job.index,
        state=state,
        error=error,
        loss=loss,
        parameters=dict(job.row),
        flops=job.counts["flops"],
        params=job.counts["params"],
        acts=job.counts["acts"],
        lr=job.recipe.lr,
        weight_decay=job.recipe.weight_decay,
        seconds=seconds,
        why=why,
    )
