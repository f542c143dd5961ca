"""NSGA-II (Deb et al., 2002): evolution towards the whole Pareto front of several objectives, under limits.

The parents of a generation are the best ``population`` of all trials so far, by front and then by crowding; children
come from binary tournaments, uniform crossover and mutation. FairNAS and GreedyNAS search their supernets this way.

Deviations: survivors are taken from the whole history rather than from the last parents and children, so nothing good
is ever forgotten and the history is the only state; no architecture is evaluated twice; and parents that cross are
similar, and rather from the ends of the front (Ishibuchi and Shibata, 2003). A child of the cheapest and the best
network is a middling one: most evaluations then fill the middle of the front and few extend it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from palmette.architecture import Architecture
from palmette.decisions import Decisions
from palmette.errors import PalmetteError
from palmette.searches.pareto import Array, Integers, crowding, minimised, objectives, ranks
from palmette.searches.random import draw_new, make_new
from palmette.searches.trial import Allows, Trial

FIRSTS = 2
"""Candidates for a child's first parent; the one farthest from the middle of the parents' objectives is taken."""
MATES = 10
"""Candidates for the second parent; the most similar to the first is taken. Both: see results/nsga2_mating.md."""

Violation = Callable[[Trial], float]
"""How far a trial lies outside the limits on what is known only after evaluation; 0 inside."""


@dataclass(frozen=True, kw_only=True)
class NSGA2Options:
    """50 + 20 * 50 = 1,050 evaluations, as SPOS's evolution."""

    objectives: tuple[str, ...] = ("accuracy", "flops")
    """Metrics and costs; of ``accuracy`` more is better, of all others less, or say ``name:higher``, ``name:lower``."""
    population: int = 50
    """Architectures per generation, and parents of the next."""
    generations: int = 20
    """After the first, random one."""
    crossover_probability: float = 0.9
    """Of a child having two parents."""
    mutation_probability: float = 0.1
    """Of redrawing each decision of a child."""

    def __post_init__(self) -> None:
        objectives(self.objectives)
        if self.population < 2 or self.generations < 0:
            raise PalmetteError(
                f"nsga2: population {self.population} must be at least 2, generations {self.generations} at least 0"
            )
        for name in ("crossover_probability", "mutation_probability"):
            if not 0 <= getattr(self, name) <= 1:
                raise PalmetteError(f"nsga2: {name} {getattr(self, name)} must lie in 0 to 1")

    @property
    def evaluations(self) -> int:
        """The most architectures it evaluates."""
        return self.population * (1 + self.generations)


class NSGA2:
    """Breeds the trials that no others dominate.

    Args:
        decisions: of the space to search.
        allows: whether an architecture meets the limits on costs; others are never proposed.
        options: objectives, sizes and rates.
        start: architectures that the first generation contains (those allowed), as the pool of GreedyNAS.
        violation: how far a trial misses limits that only an evaluation can tell; constrained domination then
            breeds the nearest towards the limits.
    """

    def __init__(
        self,
        decisions: Decisions,
        allows: Allows,
        options: NSGA2Options,
        *,
        start: Sequence[Architecture] = (),
        violation: Violation | None = None,
    ) -> None:
        self.decisions = decisions
        self.allows = allows
        self.options = options
        self.objectives = objectives(options.objectives)
        self.start = tuple(start)
        self.violation = violation

    def propose(self, history: Sequence[Trial], count: int, generator: np.random.Generator) -> list[Architecture]:
        if history and history[-1].generation >= self.options.generations:
            return []
        wanted = min(count, self.options.population)
        seen = {trial.architecture for trial in history}
        children = self._children(history, wanted, seen, generator) if history else self._first()[:wanted]
        missing = wanted - len(children)
        return children + draw_new(self.decisions, self.allows, missing, seen | set(children), generator)

    def _first(self) -> list[Architecture]:
        return [architecture for architecture in dict.fromkeys(self.start) if self.allows(architecture)]

    def _children(
        self, history: Sequence[Trial], wanted: int, seen: set[Architecture], generator: np.random.Generator
    ) -> list[Architecture]:
        violations = None if self.violation is None else np.array([self.violation(trial) for trial in history])
        values = minimised(history, self.objectives)
        best = survivors(values, violations, self.options.population)
        parents = [history[i].architecture for i in best]

        pairs = couples(values[best], generator)

        def child() -> Architecture:
            first, second = next(pairs)
            made = parents[first]
            if generator.random() < self.options.crossover_probability:
                made = self.decisions.cross(made, parents[second], generator)
            return self.decisions.mutate(made, generator, probability=self.options.mutation_probability)

        return make_new(child, wanted, seen, self.allows)


def survivors(values: Array, violations: Array | None, count: int) -> Integers:
    """Return the positions of the best ``count`` points, best first: by front, then by falling crowding distance.

    Args:
        values: ``[n, objectives]``, to be minimised.
        violations: ``[n]``, 0 where all limits are met; None: everywhere.
        count: how many to keep.
    """
    rank = ranks(values, violations, enough=count)
    chosen: list[int] = []
    for front in range(int(rank.max()) + 1 if len(rank) else 0):
        members = np.flatnonzero(rank == front)
        chosen += members[np.argsort(-crowding(values[members]), kind="stable")].tolist()
        if len(chosen) >= count:
            break
    return np.array(chosen[:count], dtype=np.int64)


def couples(values: Array, generator: np.random.Generator) -> Iterator[tuple[int, int]]:
    """Yield, without end, the positions of a first parent and of a second one with objectives like the first one's.

    All candidates are winners of binary tournaments: parents stand best first, so of two the earlier wins. Distances
    are Euclidean, of objectives as shares of their ranges among the parents.

    Args:
        values: objectives of the parents, best first, ``[parents, objectives]``.
        generator: of the draws.
    """
    n, scaled = len(values), _scaled(values)
    from_middle = np.square(scaled - scaled.mean(axis=0)).sum(axis=1)
    while True:
        winners = generator.integers(n, size=(n, FIRSTS + MATES, 2)).min(axis=2)
        firsts, mates = winners[:, :FIRSTS], winners[:, FIRSTS:]
        first = firsts[np.arange(n), from_middle[firsts].argmax(axis=1)]
        apart = np.square(scaled[mates] - scaled[first, None]).sum(axis=2)
        apart[mates == first[:, None]] = np.inf
        second = mates[np.arange(n), apart.argmin(axis=1)]
        yield from zip(first.tolist(), second.tolist(), strict=True)


def _scaled(values: Array) -> Array:
    """Return objectives as shares of their range, ``[n, objectives]``; infinite ones lie at the worst finite one."""
    finite = np.isfinite(values)
    highest = np.where(finite, values, -np.inf).max(axis=0)
    values = np.where(finite, values, np.where(np.isfinite(highest), highest, 0.0))
    spread = np.ptp(values, axis=0)
    return np.asarray((values - values.min(axis=0)) / np.where(spread > 0, spread, 1.0))
