"""Greedy path filtering: train only paths that look good, found by rejection and remembered in a pool.

GreedyNAS (You et al., 2020; sampling.md 3.2 to 3.5). Each round draws m paths, scores them on few images and trains
the best k; if a share q of the space is good, at least k of m draws are with the probability that a binomial variable
of m and q is k or more. Scored paths within the limits enter a pool, from which more and more draws come; when the pool
changes little any more, the supernet is trained enough. No torch here: scores come from a function.
"""

from __future__ import annotations

import math
from bisect import insort
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from palmette.architecture import Architecture
from palmette.decisions import Decisions
from palmette.errors import PalmetteError

Scores = Callable[[Sequence[Architecture]], Sequence[float]]
"""The scores of paths, higher is better: the negative loss on few held-out images."""
Allows = Callable[[Architecture], bool]


@dataclass(frozen=True, kw_only=True)
class GreedyOptions:
    """The numbers of the authors; lengths are shares of the training, of 144,360 steps there."""

    paths: int = 10
    """Drawn and scored per round, m."""
    kept: int = 5
    """Trained of these, one step each, k."""
    images: int = 1000
    """Held-out images that a path is scored on."""
    pool: int = 1000
    """The most paths remembered."""
    warmup: float = 10_000 / 144_360
    """Share of the training with uniform paths, before any is scored."""
    exploit: float = 0.8
    """Probability, at the end, of drawing a path from the pool; it rises linearly from 0 after the warm-up."""
    turnover_every: float = 10_000 / 144_360
    """Share of the training between two looks at how much of the pool has changed."""
    turnover: float = 0.08
    """The training ends when at most this share of the pool is new; 0 trains to the end."""

    def __post_init__(self) -> None:
        if not 1 <= self.kept <= self.paths:
            raise PalmetteError(
                f"greedy: {self.kept} paths cannot be kept of {self.paths} drawn; keep at least 1 and at most all"
            )
        if self.pool < 1 or self.images < 2:
            raise PalmetteError(f"greedy: pool {self.pool} must be at least 1 and images {self.images} at least 2")
        for name in ("warmup", "exploit", "turnover_every", "turnover"):
            if not 0 <= getattr(self, name) <= 1:
                raise PalmetteError(f"greedy: {name} {getattr(self, name)} must lie in 0 to 1")


class CandidatePool:
    """The best paths so far, best first; of equal scores the older first."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.entries: list[tuple[float, Architecture]] = []
        self._scores: dict[Architecture, float] = {}

    def __len__(self) -> int:
        return len(self.entries)

    def __contains__(self, path: Architecture) -> bool:
        return path in self._scores

    def offer(self, path: Architecture, score: float) -> None:
        """Add a scored path; one that is here already gets the mean of its old score and the new. The worst falls out.

        Scores age: losses fall while the supernet trains, and this mean is the only refreshment, as in the paper.
        """
        if path in self._scores:
            old = self._scores[path]
            self.entries.remove((old, path))
            score = (old + score) / 2
        self._insert(path, score)
        if len(self.entries) > self.size:
            _, worst = self.entries.pop()
            del self._scores[worst]

    def best(self, count: int) -> list[Architecture]:
        """Return the best ``count`` paths, best first."""
        return [path for _, path in self.entries[:count]]

    def turnover(self, before: set[Architecture]) -> float:
        """Return the share of the pool that was not in ``before``; 1 for an empty pool."""
        return 1 - sum(path in before for _, path in self.entries) / len(self.entries) if self.entries else 1.0

    def _insert(self, path: Architecture, score: float) -> None:
        insort(self.entries, (score, path), key=lambda entry: -entry[0])
        self._scores[path] = score


class GreedySampler:
    """Gives the path of every training step; keeps the pool and the queue of paths to train.

    Args:
        decisions: of the space.
        options: sizes and lengths.
        steps: of the whole training.
        scores: of paths with the weights of the moment.
        allows: whether a path is within the limits; others may be trained but are not pooled.

    Raises:
        PalmetteError: a pool larger than the space.
    """

    def __init__(
        self, decisions: Decisions, options: GreedyOptions, steps: int, *, scores: Scores, allows: Allows
    ) -> None:
        check_pool(decisions, options)
        self.decisions = decisions
        self.options = options
        self.steps = steps
        self.scores = scores
        self.allows = allows
        self.pool = CandidatePool(options.pool)
        self.queue: list[Architecture] = []
        self.scored = 0
        """Paths scored so far, for the account of costs."""
        self.last_turnover = 1.0
        self.is_settled = False
        """Whether the pool has changed so little that the training can end."""
        self._snapshot: set[Architecture] | None = None

    def path(self, step: int, generator: np.random.Generator) -> Architecture:
        """Return the path to train at ``step``; at the beginning of a round, draw and score the next paths."""
        self._look_at_turnover(step)
        if step < self._in_steps(self.options.warmup):
            return self.decisions.sample(generator)
        if not self.queue:
            self.queue = self._round(self.epsilon(step), generator)
        return self.queue.pop(0)

    def epsilon(self, step: int) -> float:
        """Return the probability of drawing from the pool."""
        return epsilon(step, self._in_steps(self.options.warmup), self.steps, self.options.exploit)

    def state(self) -> dict[str, Any]:
        """Return, as JSON can hold it, all that a resumed training cannot draw anew."""
        code = self.decisions.code
        return {
            "pool": [[score, code(path)] for score, path in self.pool.entries],
            "queue": [code(path) for path in self.queue],
            "snapshot": None if self._snapshot is None else sorted(map(code, self._snapshot)),
            "scored": self.scored,
            "turnover": self.last_turnover,
            "settled": self.is_settled,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take over what ``state`` returned."""
        parse = self.decisions.parse
        self.pool = CandidatePool(self.options.pool)
        for score, code in state["pool"]:
            self.pool.offer(parse(code), score)
        self.queue = [parse(code) for code in state["queue"]]
        self._snapshot = None if state["snapshot"] is None else {parse(code) for code in state["snapshot"]}
        self.scored, self.last_turnover = state["scored"], state["turnover"]
        self.is_settled = state["settled"]

    def _round(self, probability: float, generator: np.random.Generator) -> list[Architecture]:
        """Draw m paths, score them, offer them to the pool, and return the best k."""
        paths = [self._draw(probability, generator) for _ in range(self.options.paths)]
        scores = [score if score == score else -math.inf for score in self.scores(paths)]
        self.scored += len(paths)
        for path, score in zip(paths, scores, strict=True):
            if self.allows(path):
                self.pool.offer(path, score)
        return keep_best(paths, scores, self.options.kept)

    def _draw(self, probability: float, generator: np.random.Generator) -> Architecture:
        if generator.random() < probability and len(self.pool):
            return self.pool.entries[int(generator.integers(len(self.pool)))][1]
        return self.decisions.sample(generator)

    def _look_at_turnover(self, step: int) -> None:
        every, since = self._in_steps(self.options.turnover_every), step - self._in_steps(self.options.warmup)
        if since <= 0 or since % max(1, every):
            return
        now = {path for _, path in self.pool.entries}
        if self._snapshot is not None:
            self.last_turnover = self.pool.turnover(self._snapshot)
            self.is_settled = self.options.turnover > 0 and self.last_turnover <= self.options.turnover
        self._snapshot = now

    def _in_steps(self, share: float) -> int:
        return round(share * self.steps)


def check_pool(decisions: Decisions, options: GreedyOptions) -> None:
    """Raise PalmetteError for a pool larger than the space."""
    if options.pool > decisions.count_distinct():
        raise PalmetteError(
            f"greedy: a pool of {options.pool:,} is larger than space {decisions.space!r}, which has "
            f"{decisions.count_distinct():,} architectures; make it smaller"
        )


def epsilon(step: int, warmup: int, last: int, highest: float) -> float:
    """Return 0 until ``warmup``, then linearly more, ``highest`` from step ``last`` on."""
    return highest * min(1.0, max(0, step - warmup) / max(1, last - warmup))


def keep_best(paths: Sequence[Architecture], scores: Sequence[float], count: int) -> list[Architecture]:
    """Return the ``count`` paths of highest score, best first; of equal scores the earlier first."""
    order = sorted(range(len(paths)), key=lambda i: -scores[i])
    return [paths[i] for i in order[:count]]
