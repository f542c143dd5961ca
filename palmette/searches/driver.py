"""The driver: asks a search what to evaluate, has it evaluated, and writes each generation to the journal at once.

It is the only writer of trials. Killed at any moment, the same call continues after the last whole generation and
ends with the trials of an undisturbed run: each generation's generator follows from the seed, the arm and the
number of trials before it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from palmette.architecture import Architecture
from palmette.searches.trial import Numbers, SearchAlgorithm, Trial

Evaluate = Callable[[Sequence[Architecture]], Sequence[Mapping[str, float]]]
"""The metrics of several distinct architectures, in their order; must not depend on what is evaluated with them."""

Progress = Callable[[Sequence[Trial]], None]
"""Called with the trials of each generation once they are written; on resuming first with those already there."""


class Trials(Protocol):
    """What the driver needs of a journal; see ``storage.journal.Journal``."""

    def trials(self) -> list[Trial]:
        """Return all trials of all arms, in order."""
        ...

    def append(self, trials: Sequence[Trial]) -> None:
        """Add all trials or none."""
        ...


class Memory:
    """A journal in memory, for searches that cost nothing to do again."""

    def __init__(self) -> None:
        self.rows: list[Trial] = []

    def trials(self) -> list[Trial]:
        return list(self.rows)

    def append(self, trials: Sequence[Trial]) -> None:
        self.rows += trials


@dataclass(frozen=True, kw_only=True)
class Arm:
    """One search of a run: its name in the journal, its randomness and its budget."""

    name: str
    seed: int
    evaluations: int | None = None
    """The most trials of this arm; None leaves the end to the algorithm."""


def run_search(
    algorithm: SearchAlgorithm,
    evaluate: Evaluate,
    journal: Trials,
    *,
    arm: Arm,
    costs: Callable[[Architecture], Mapping[str, float]],
    progress: Progress | None = None,
) -> list[Trial]:
    """Run or continue one arm to its end and return all its trials.

    Architectures that the journal has under any arm are not evaluated again: their metrics are reused.
    """
    everything = journal.trials()
    elsewhere = {trial.architecture: trial.metrics for trial in everything if trial.arm != arm.name}
    history = [trial for trial in everything if trial.arm == arm.name]
    if progress is not None and history:
        progress(history)
    while True:
        count = _most(arm, len(history))
        proposals = algorithm.propose(history, count, generation_generator(arm, len(history))) if count else []
        if not proposals:
            return history
        known = _evaluated([a for a in dict.fromkeys(proposals) if a not in elsewhere], evaluate)
        known |= {a: elsewhere[a] for a in proposals if a in elsewhere}
        generation = history[-1].generation + 1 if history else 0
        trials = [
            Trial(len(everything) + i, generation, arm.name, a, known[a], Numbers.of(costs(a)))
            for i, a in enumerate(proposals)
        ]
        journal.append(trials)
        everything += trials
        history += trials
        if progress is not None:
            progress(trials)


def generation_generator(arm: Arm, trials: int) -> np.random.Generator:
    """Return the generator of the generation that follows ``trials`` trials of the arm."""
    name = int.from_bytes(hashlib.sha256(arm.name.encode()).digest()[:8], "big")
    return np.random.default_rng([arm.seed, name, trials])


def _most(arm: Arm, trials: int) -> int:
    unlimited = 2**31
    return unlimited if arm.evaluations is None else max(arm.evaluations - trials, 0)


def _evaluated(new: Sequence[Architecture], evaluate: Evaluate) -> dict[Architecture, Mapping[str, float]]:
    metrics = evaluate(new) if new else []
    return {architecture: Numbers.of(one) for architecture, one in zip(new, metrics, strict=True)}
