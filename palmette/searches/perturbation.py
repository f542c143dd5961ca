"""Random search, then perturbations of the best, then a Markov chain (SMASH, Brock et al., 2018; smash.md 8).

A perturbation redraws each element of an architecture with a small probability. The chain perturbs the best so far, one
at a time, and moves only to what scores better.
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
class PerturbationOptions:
    """The numbers of the released code: 500 + 100 + 100 evaluations."""

    random: int = 500
    perturbed: int = 100
    """All of the best random one."""
    chain: int = 100
    """Each of the best before it."""
    probability: float = 0.05
    """Of redrawing each element of an architecture."""

    def __post_init__(self) -> None:
        if self.random < 1 or min(self.perturbed, self.chain) < 0 or not 0 < self.probability <= 1:
            raise PalmetteError(
                f"perturbation: random = {self.random}, perturbed = {self.perturbed}, chain = {self.chain} and "
                f"probability = {self.probability} were given; allowed are at least 1, 0 and 0, and above 0 up to 1"
            )

    @property
    def evaluations(self) -> int:
        """The most architectures it evaluates."""
        return self.random + self.perturbed + self.chain


class Perturbation:
    """Proposes by the length of the history alone: which of the three phases it is."""

    def __init__(self, decisions: Decisions, allows: Allows, score: Score, options: PerturbationOptions) -> None:
        self.decisions = decisions
        self.allows = allows
        self.score = score
        self.options = options

    def propose(self, history: Sequence[Trial], count: int, generator: np.random.Generator) -> list[Architecture]:
        options, done = self.options, len(history)
        seen = {trial.architecture for trial in history}
        if done < options.random:
            return draw_new(self.decisions, self.allows, min(count, options.random - done), seen, generator)
        if done < options.random + options.perturbed:
            wanted, bases = options.random + options.perturbed - done, history[: options.random]
        else:
            wanted, bases = min(1, options.evaluations - done), history
        if wanted < 1:
            return []
        base = best_first(bases, self.score)[0].architecture

        def perturbed() -> Architecture:
            return self.decisions.mutate(base, generator, probability=options.probability)

        found = make_new(perturbed, min(count, wanted), seen, self.allows)
        return found or draw_new(self.decisions, self.allows, 1, seen, generator)
