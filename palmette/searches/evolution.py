"""Evolution under limits, as in SPOS (Guo et al., 2020, algorithm 1; sampling.md 2.7).

A random population, then generations of mutants and crossovers of the best so far, filled up with random
architectures. Never an architecture twice, never one outside the limits; the result is the best trial of all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from palmette.architecture import Architecture
from palmette.decisions import Decisions
from palmette.errors import PalmetteError
from palmette.searches.random import draw_new, make_new
from palmette.searches.trial import Allows, Score, Trial, best_first


@dataclass(frozen=True, kw_only=True)
class EvolutionOptions:
    """The settings of SPOS: 50 + 20 * 50 = 1,050 evaluations."""

    population: int = 50
    """Architectures per generation."""
    generations: int = 20
    """After the first, random one."""
    parents: int = 10
    """The best of all trials so far."""
    mutants: int = 25
    crossovers: int = 25
    mutation_probability: float = 0.1
    """Of redrawing each decision."""

    def __post_init__(self) -> None:
        lows = {"population": 1, "parents": 1, "generations": 0, "mutants": 0, "crossovers": 0}
        for name, low in lows.items():
            if getattr(self, name) < low:
                raise PalmetteError(f"evolution: {name} = {getattr(self, name)} was given; it must be at least {low}")
        if self.mutants + self.crossovers > self.population:
            raise PalmetteError(
                f"evolution: {self.mutants} mutants and {self.crossovers} crossovers do not fit in a population "
                f"of {self.population}; lower them or raise the population"
            )
        if not 0 <= self.mutation_probability <= 1:
            raise PalmetteError(f"evolution: mutation probability {self.mutation_probability} must lie in 0 to 1")

    @property
    def evaluations(self) -> int:
        """The most architectures it evaluates."""
        return self.population * (1 + self.generations)


class Evolution:
    """Mutation and crossover of the best trials so far.

    Args:
        decisions: of the space to search.
        allows: whether an architecture meets the limits.
        score: what ranks trials; higher is better.
        options: sizes and rates.
        start: architectures that the first generation must contain (if allowed): known good ones, or the proof
            that limits can be met where they are so tight that random draws miss them.
    """

    def __init__(
        self,
        decisions: Decisions,
        allows: Allows,
        score: Score,
        options: EvolutionOptions,
        start: Sequence[Architecture] = (),
    ) -> None:
        self.decisions = decisions
        self.allows = allows
        self.score = score
        self.options = options
        self.start = tuple(start)

    def propose(self, history: Sequence[Trial], count: int, generator: np.random.Generator) -> list[Architecture]:
        if history and history[-1].generation >= self.options.generations:
            return []
        wanted = min(count, self.options.population)
        seen = {trial.architecture for trial in history}
        children = self._children(history, seen, generator) if history else self._first()
        children = children[:wanted]
        missing = wanted - len(children)
        return children + draw_new(self.decisions, self.allows, missing, seen | set(children), generator)

    def _first(self) -> list[Architecture]:
        return [architecture for architecture in dict.fromkeys(self.start) if self.allows(architecture)]

    def _children(
        self, history: Sequence[Trial], seen: set[Architecture], generator: np.random.Generator
    ) -> list[Architecture]:
        best = [trial.architecture for trial in best_first(history, self.score)[: self.options.parents]]

        def parent() -> Architecture:
            return best[int(generator.integers(len(best)))]

        def mutant() -> Architecture:
            return self.decisions.mutate(parent(), generator, probability=self.options.mutation_probability)

        def crossover() -> Architecture:
            return self.decisions.cross(parent(), parent(), generator)

        mutants = make_new(mutant, self.options.mutants, seen, self.allows)
        return mutants + make_new(crossover, self.options.crossovers, seen | set(mutants), self.allows)
