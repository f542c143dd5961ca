"""Searches on a table of true accuracies: every evaluation is a look-up, so that seeds are cheap and nothing is noise.

What the look-ups stand for decides what a search cost, and both are told:

- without supernet: a search costs its evaluations only, and random search has as many of them;
- with supernet: before the first evaluation a supernet was trained. For that cost random search trains networks alone,
  one by one, and knows each exactly. As the table also never errs, this is the best that a supernet could do: one whose
  ranking is perfect. What real supernets do, ``palmette compare --methods`` and ``palmette audit`` measure.

Costs are forward passes of one image times FLOPs: of the networks that were evaluated, and of the average network of
the space for the supernet and for trainings.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from palmette.architecture import Architecture
from palmette.comparison.contrast import Entry, Rival
from palmette.comparison.named_searches import named_search
from palmette.decisions import Decisions
from palmette.errors import PalmetteError
from palmette.progress import Advance
from palmette.searches.driver import Arm, Memory, run_search
from palmette.searches.trial import SearchAlgorithm, Trial
from palmette.storage.journal import Journal
from palmette.workers.pool import Failure, Pool

RANDOM = "random"
SAME_EVALUATIONS = "random search with as many evaluations"
ALONE = "random search that trains networks alone for the cost, supernet included"


@dataclass(frozen=True)
class SearchJob:
    """One search with one seed."""

    search: str
    seed: int
    evaluations: int
    alone: bool = False
    """Of random search that trains networks alone; its draws are its own, so that it can be held against all."""


@dataclass(frozen=True)
class Prices:
    """What is paid for, in forward passes of one image."""

    evaluation: float
    """One architecture with inherited weights: calibration and validation images."""
    supernet: float
    training: float
    """One network alone."""
    average_flops: float
    """Of one pass through the average network."""

    def trainings(self, flops: float) -> int:
        """Return how many networks can be trained alone for so many FLOPs, at least one."""
        return max(1, round(flops / (self.training * self.average_flops)))


@dataclass(frozen=True)
class Table:
    """True accuracies (0 to 1) and FLOPs of the architectures of a space."""

    decisions: Decisions
    accuracy: Mapping[Architecture, float]
    costs: Mapping[Architecture, Mapping[str, float]]
    allows: Callable[[Architecture], bool]

    def searched(self, algorithm: SearchAlgorithm, job: SearchJob) -> list[Trial]:
        """Return the trials of a search whose evaluations are look-ups."""

        def evaluate(architectures: Sequence[Architecture]) -> list[Mapping[str, float]]:
            return [{"accuracy": self.accuracy[a]} for a in architectures]

        arm = Arm(name=job.search, seed=job.seed, evaluations=job.evaluations)  # no two share their draws
        return run_search(algorithm, evaluate, Memory(), arm=arm, costs=self.costs.__getitem__)


Results = Mapping[SearchJob, Mapping[str, Any]]
"""What ``do_job`` gave, by job."""


def do_job(table: Table, job: SearchJob) -> dict[str, Any]:
    """Run one search and return what it found, made of JSON's types; accuracies are in order of evaluation."""
    began = time.process_time()
    trials = table.searched(named_search(job.search, table.decisions, table.allows, evaluations=job.evaluations), job)
    seconds = time.process_time() - began
    return {
        "accuracies": [trial.metrics["accuracy"] for trial in trials],
        "flops": float(sum(trial.costs["flops"] for trial in trials)),
        "seconds": seconds,
    }


def done(
    jobs: Sequence[SearchJob],
    pool: Pool,
    start: Callable[[], Callable[[SearchJob], dict[str, Any]]],
    journal: Journal,
    advance: Advance,
) -> Results:
    """Do the jobs that the journal has no result of, and return all results.

    Raises:
        PalmetteError: a job failed.
    """
    stored = journal.records("searches/")
    results: dict[SearchJob, Mapping[str, Any]] = {}
    for job in jobs:
        known = stored.get(_key(job))
        if isinstance(known, dict):
            results[job] = known
    waiting = [job for job in jobs if job not in results]
    for position, result in pool.run(start, waiting):
        job = waiting[position]
        if isinstance(result, Failure):
            raise PalmetteError(f"compare: search {job.search!r}, seed {job.seed}: {result.why}")
        journal.record(_key(job), result)
        results[job] = result
        advance(len(results), len(jobs))
    return results


def jobs_of(searches: Sequence[str], seeds: int, evaluations: int, prices: Prices) -> list[SearchJob]:
    """Return all jobs, random search first, and those that train alone last, as many as could be paid for."""
    flops = (prices.supernet + prices.evaluation * evaluations) * prices.average_flops
    affordable = 2 * prices.trainings(flops)  # networks larger than the average make evaluations dearer
    names = list(dict.fromkeys([RANDOM, *searches]))
    jobs = [SearchJob(search, seed, evaluations) for search in names for seed in range(seeds)]
    return jobs + [SearchJob(RANDOM, seeds + seed, affordable, alone=True) for seed in range(seeds)]


def entries_of(results: Results, prices: Prices) -> Iterator[Entry]:
    """Yield each search, random search first; figures are the best true accuracies found."""
    trained = _padded([result["accuracies"] for job, result in results.items() if job.alone])
    random = tuple(best_so_far(results, RANDOM)[:, -1].tolist())
    for name in dict.fromkeys(job.search for job in results):
        own = [result for job, result in results.items() if job.search == name and not job.alone]
        evaluated = prices.evaluation * float(np.mean([result["flops"] for result in own]))
        costs = {
            "evaluations": float(np.mean([len(result["accuracies"]) for result in own])),
            "seconds": float(np.mean([result["seconds"] for result in own])),
            "flops": evaluated,
            "flops with supernet": evaluated + prices.supernet * prices.average_flops,
        }
        count = prices.trainings(costs["flops with supernet"])
        alone = Rival(ALONE, tuple(trained[:, :count][:, -1].tolist()), paired=False)
        beside = (alone,) if name == RANDOM else (Rival(SAME_EVALUATIONS, random, paired=False), alone)
        figures = tuple(best_so_far(results, name)[:, -1].tolist())
        yield Entry(name, figures, {**costs, "trainings": float(count)}, beside)


def best_so_far(results: Results, name: str) -> npt.NDArray[np.float64]:
    """Return the best accuracy after each evaluation, ``[seeds, evaluations]``; a search that ended keeps its best."""
    return _padded([r["accuracies"] for job, r in results.items() if job.search == name and not job.alone])


def _padded(rows: Sequence[Sequence[float]]) -> npt.NDArray[np.float64]:
    """Return the running maxima, as long as the longest row."""
    most = max(map(len, rows))
    padded = [[*row, *[-np.inf] * (most - len(row))] for row in rows]
    return np.asarray(np.maximum.accumulate(np.array(padded), axis=1))


def _key(job: SearchJob) -> str:
    return f"searches/{job.search}/{job.evaluations}/{job.seed}"
