"""Random search: new architectures under the limits, uniform over encodings; the arm every other search must beat.

Also holds the bounded draws of unseen architectures that all evolutions need: ``draw_new`` at random, ``make_new``
with an operator of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import numpy as np

from palmette.architecture import Architecture
from palmette.decisions import Decisions
from palmette.errors import PalmetteError
from palmette.searches.trial import Allows, Trial

TRIES_EACH = 200
"""Draws per wanted architecture before drawing is given up."""
TRIES_EACH_CHILD = 10
"""Tries per wanted child before an operator is given up (SPOS, sampling.md 2.7)."""
LISTABLE = 200_000
"""Spaces with at most this many encodings are listed when drawing is given up."""


@dataclass(frozen=True, kw_only=True)
class RandomSearchOptions:
    """How much to evaluate."""

    evaluations: int = 1050
    """In all; the default equals that of ``EvolutionOptions``."""
    generation: int = 50
    """Evaluated together, so that they can share computation."""

    def __post_init__(self) -> None:
        if self.evaluations < 1 or self.generation < 1:
            raise PalmetteError(
                f"random search: evaluations {self.evaluations} and generation {self.generation} must be at least 1"
            )


class RandomSearch:
    """Proposes architectures that were not proposed before; stops at its evaluations or when none is left."""

    def __init__(self, decisions: Decisions, allows: Allows, options: RandomSearchOptions) -> None:
        self.decisions = decisions
        self.allows = allows
        self.options = options

    def propose(self, history: Sequence[Trial], count: int, generator: np.random.Generator) -> list[Architecture]:
        wanted = min(count, self.options.generation, self.options.evaluations - len(history))
        return draw_new(self.decisions, self.allows, wanted, {t.architecture for t in history}, generator)


def draw_new(
    decisions: Decisions, allows: Allows, wanted: int, seen: Collection[Architecture], generator: np.random.Generator
) -> list[Architecture]:
    """Return up to ``wanted`` distinct allowed architectures outside ``seen``, uniform over encodings.

    Fewer only when ``TRIES_EACH * wanted`` draws did not give enough; a space of at most ``LISTABLE`` encodings
    is then listed, so that there fewer means that none is left.
    """
    found: dict[Architecture, None] = {}
    for _ in range(TRIES_EACH * wanted):
        if len(found) == wanted:
            break
        architecture = decisions.sample(generator)
        if architecture not in seen and architecture not in found and allows(architecture):
            found[architecture] = None
    if len(found) < wanted and decisions.is_listable(LISTABLE):
        left = [a for a in decisions.enumerate() if a not in seen and a not in found and allows(a)]
        picks = generator.permutation(len(left))[: wanted - len(found)]
        found |= dict.fromkeys(left[i] for i in picks)
    return list(found)


def make_new(
    make: Callable[[], Architecture], wanted: int, seen: Collection[Architecture], allows: Allows
) -> list[Architecture]:
    """Return up to ``wanted`` distinct allowed results of ``make`` outside ``seen``, in bounded tries."""
    found: dict[Architecture, None] = {}
    for _ in range(TRIES_EACH_CHILD * wanted):
        if len(found) == wanted:
            break
        child = make()
        if child not in seen and child not in found and allows(child):
            found[child] = None
    return list(found)
