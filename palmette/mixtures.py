"""Mixtures: which weight vectors a relaxed search has, and which architecture they end in. No torch here.

Mostly there is one vector per decision, and the largest weight wins. In a cell there is not: DARTS weighs the
operations on every edge, and then keeps two edges per node (Liu et al., 2019, section 2.4). A ``Mixture`` states that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from palmette.architecture import Architecture, Value
from palmette.decision import Categorical
from palmette.decisions import Decisions
from palmette.errors import ArchitectureError

Weights = Mapping[str, Sequence[float]]
"""By name, one weight per option."""


@dataclass(frozen=True)
class Mixture:
    """Weight vectors that stand for some decisions together."""

    decisions: tuple[str, ...]
    """Those that the vectors stand for; unconditional, and of no other mixture."""
    options: Mapping[str, tuple[str, ...]]
    """The vectors by name, each with the options it weighs; names that no decision has."""
    strongest: Callable[[Weights], Mapping[str, Value]]
    """The values of ``decisions`` that the weights end in; ties go to what comes first."""


class Mixtures:
    """All weight vectors of a space: those of its mixtures, and one for every other decision."""

    def __init__(self, decisions: Decisions, mixtures: Sequence[Mixture] = ()) -> None:
        self.decisions = decisions
        self.mixtures = tuple(mixtures)
        self._covered = {name for mixture in mixtures for name in mixture.decisions}
        for name in self._covered:
            if name not in decisions.decisions or decisions.decisions[name].active_if:
                raise ArchitectureError(
                    f"space {decisions.space!r}: a mixture stands for {name!r}; allowed are its unconditional decisions"
                )

    def options(self) -> dict[str, tuple[str, ...]]:
        """Return the name of every weight vector with the options it weighs, as a supernet's choice takes them.

        Raises:
            ArchitectureError: a decision that is no choice of one, and part of no mixture.
        """
        own = {name: decision.options for name, decision in self._others()}
        return own | {name: options for mixture in self.mixtures for name, options in mixture.options.items()}

    def strongest(self, weights: Weights) -> Architecture:
        """Return the architecture the weights end in: the largest of each decision, a mixture's by its own rule."""
        found: dict[str, Value] = {}
        for mixture in self.mixtures:
            found.update(mixture.strongest({name: weights[name] for name in mixture.options}))
        for name, decision in self._others():
            if self.decisions.is_active(name, found):
                found[name] = decision.options[largest(weights[name])]
        return self.decisions.architecture(found)

    def _others(self) -> Iterator[tuple[str, Categorical]]:
        for name, decision in self.decisions.decisions.items():
            if name in self._covered:
                continue
            if not isinstance(decision, Categorical):
                raise ArchitectureError(
                    f"space {self.decisions.space!r}: decision {name!r} is a {type(decision).__name__}, which no "
                    "weights mix; search the space with a method of single paths"
                )
            yield name, decision


def largest(weights: Sequence[float]) -> int:
    """Return the position of the largest weight, the first of several."""
    return max(range(len(weights)), key=lambda i: (weights[i], -i))


def strongest_inputs(weights: Sequence[Sequence[float]], *, keep: int, without: int = 0) -> list[tuple[int, int]]:
    """Return what DARTS keeps of the edges into one node: ``(predecessor, operation)``, the strongest edge first.

    An edge is as strong as the largest weight of its operations, and keeps that operation (Liu et al., 2019, section
    2.4). Of equal ones the earliest edge and the earliest operation are kept.

    Args:
        weights: per predecessor, the weights of the operations, ``[edges][operations]``.
        keep: edges to keep; 2 in convolutional cells, 1 in recurrent ones.
        without: the operation that counts for nothing, the absence of the edge.
    """
    best = []
    for edge, row in enumerate(weights):
        operation = max((i for i in range(len(row)) if i != without), key=lambda i: (row[i], -i))
        best.append((edge, operation))
    return sorted(best, key=lambda pair: -weights[pair[0]][pair[1]])[:keep]  # stable: ties keep the order of edges
