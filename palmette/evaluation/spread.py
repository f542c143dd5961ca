"""Spread: candidates evaluated, and networks trained alone, by the workers of a Ray cluster.

What a worker needs, such as a trained supernet and the data, is sent to it once, by ``cloudpickle``, which takes spaces
that users define in a script too. No result depends on who computed it or on what else was computed there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TypeVar

import torch

from palmette.architecture import Architecture
from palmette.data.text import Data
from palmette.errors import PalmetteError
from palmette.evaluation.from_scratch import from_scratch
from palmette.evaluation.score import Metrics
from palmette.space import Space
from palmette.training.loop import Watch
from palmette.training.recipe import Recipe
from palmette.workers.cluster import Cluster
from palmette.workers.pool import Failure

Evaluate = Callable[[Sequence[Architecture]], list[Metrics]]
JobT = TypeVar("JobT")
ResultT = TypeVar("ResultT")

SHARES = 3
"""Jobs for each worker in one generation: more lose more common prefixes, fewer leave workers waiting at the end."""


class Spread:
    """An evaluation whose candidates are shared out over a cluster.

    Args:
        evaluate: with inherited weights, which no longer change.
        cluster: whose workers do it.
    """

    def __init__(self, evaluate: Evaluate, cluster: Cluster) -> None:
        self.cluster = cluster
        self.make = partial(_same, evaluate, torch.get_num_threads())

    def __call__(self, architectures: Sequence[Architecture]) -> list[Metrics]:
        """Return the metrics of each architecture, in order.

        Raises:
            PalmetteError: a worker's evaluation failed, or workers died too often.
        """
        ordered = sorted(dict.fromkeys(architectures), key=lambda architecture: str(architecture.values))
        size = max(1, -(-len(ordered) // (SHARES * self.cluster.size())))
        shares = [ordered[start : start + size] for start in range(0, len(ordered), size)]
        metrics: dict[Architecture, Metrics] = {}
        for position, found in done(self.cluster, self.make, shares):
            metrics.update(zip(shares[position], found, strict=True))
        return [metrics[architecture] for architecture in architectures]


def trained_apart(
    cluster: Cluster, space: Space, data: Data, recipe: Recipe, architectures: Sequence[Architecture], *, seed: int
) -> Iterator[tuple[Architecture, Metrics]]:
    """Yield each architecture with its validation metrics after training from scratch, as trainings end.

    Raises:
        PalmetteError: a training failed, or workers died too often.
    """
    train = partial(from_scratch, space, data=data, recipe=recipe, seed=seed, watch=Watch())
    make = partial(_same, train, torch.get_num_threads())
    for position, metrics in done(cluster, make, list(architectures)):
        yield architectures[position], metrics


def done(
    cluster: Cluster, make: Callable[[], Callable[[JobT], ResultT]], jobs: Sequence[JobT]
) -> Iterator[tuple[int, ResultT]]:
    """Yield what the jobs give, in the order they end.

    Raises:
        PalmetteError: one has no result.
    """
    for position, result in cluster.run(make, jobs):
        if isinstance(result, Failure):
            raise PalmetteError(f"ray: a job has no result: {result.why}; what is done is kept, go on with --resume")
        yield position, result


def _same(do: Callable[[JobT], ResultT], threads: int) -> Callable[[JobT], ResultT]:
    """Return ``do``, to be done with as many threads as here, for sums in another order round differently."""
    torch.set_num_threads(threads)
    return do
