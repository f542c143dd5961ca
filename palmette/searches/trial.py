"""Trial and SearchAlgorithm: what a search remembers, and the one question it is asked.

A search is a function of the recorded trials: the history is its only state, and resuming is rereading. It sees
architectures and numbers, never supernets, files or devices.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np

from palmette.architecture import Architecture


class Numbers(Mapping[str, float]):
    """Floats by name, as small as they can be: the names are held once for all trials that have the same."""

    __slots__ = ("_names", "_numbers")
    _held: ClassVar[dict[tuple[str, ...], tuple[str, ...]]] = {}

    def __init__(self, names: tuple[str, ...], numbers: tuple[float, ...]) -> None:
        self._names = self._held.setdefault(names, names)
        self._numbers = numbers

    @staticmethod
    def of(numbers: Mapping[str, float]) -> Numbers:
        """Return plain floats, exactly as the journal gives them back."""
        return Numbers(tuple(numbers), tuple([float(number) for number in numbers.values()]))

    def __getitem__(self, name: str) -> float:
        for position, known in enumerate(self._names):
            if known == name:
                return self._numbers[position]
        raise KeyError(name)

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __repr__(self) -> str:
        return repr(dict(self))


@dataclass(frozen=True, slots=True)
class Trial:
    """One evaluated architecture."""

    number: int
    """Position in the journal, from 0, counted over all arms."""
    generation: int
    """Which call of ``propose`` within its arm, from 0."""
    arm: str
    """Which search proposed it: ``evolution``, ``random``, ..."""
    architecture: Architecture
    metrics: Mapping[str, float]
    """``accuracy`` (0 to 1), ``loss`` (nats), ..."""
    costs: Mapping[str, float]
    """``flops`` (multiply-accumulates), ``params``, ``acts``, ..."""


Score = Callable[[Trial], float]
"""What ranks trials: higher is better, for example accuracy or negative loss."""

Allows = Callable[[Architecture], bool]
"""Whether an architecture meets the limits."""


class SearchAlgorithm(Protocol):
    """Decides which architectures to evaluate next."""

    def propose(self, history: Sequence[Trial], count: int, generator: np.random.Generator) -> list[Architecture]:
        """Return the next generation: distinct architectures that are not in ``history``, ``[]`` at the end.

        Args:
            history: all trials of this search so far, in order.
            count: the most architectures to return (what is left of the budget).
            generator: the only source of randomness.
        """
        ...


def best_first(history: Sequence[Trial], score: Score) -> list[Trial]:
    """Return the trials by falling score; ties in order of evaluation, scores that are not numbers last."""
    scores = [score(trial) for trial in history]
    order = sorted(range(len(history)), key=lambda i: math.inf if math.isnan(scores[i]) else -scores[i])
    return [history[i] for i in order]
