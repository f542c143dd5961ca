"""The most likely architecture within limits: how a gradient method, which ends in probabilities, keeps hard limits.

Every weight vector names an option; taking another one than its largest costs the logarithm of the ratio of the two.
Architectures are tried in the order of that total cost until one is within the limits, which is exact. Where limits are
so tight that ``TRIED`` are not enough, the cheapest changes towards the limits are made one by one, and then undone as
far as the limits allow, which is not. No torch here.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Iterator, Sequence
from itertools import combinations

from palmette.architecture import Architecture
from palmette.errors import LimitError
from palmette.mixtures import Mixtures, Weights

TRIED = 5_000
"""Combinations tried in order of likelihood."""
ROUNDS = 200
"""Of changes towards the limits, and of changes back."""

Picks = tuple[int, ...]
"""By vector, which option counts as its largest, as a rank: 0 is the largest."""


def most_likely(mixtures: Mixtures, probabilities: Weights, excess: Callable[[Architecture], float]) -> Architecture:
    """Return the architecture that the probabilities end in, or the most likely one found within the limits.

    Args:
        mixtures: of the space.
        probabilities: by weight vector, positive.
        excess: by how much an architecture is outside the limits; 0 is inside.

    Raises:
        LimitError: none was found.
    """
    ranked = _Ranked(mixtures, probabilities)
    for tries, picks in enumerate(ranked.in_order()):
        if tries == TRIED:
            break
        if excess(ranked.architecture(picks)) == 0:
            return ranked.architecture(picks)
    picks = _towards(ranked, excess)
    if excess(ranked.architecture(picks)) > 0:
        raise LimitError("limits: no architecture within them was found from the learned probabilities; widen them")
    return ranked.architecture(_back(ranked, excess, picks))


class _Ranked:
    """The options of every vector from the largest weight down, and what taking each costs."""

    def __init__(self, mixtures: Mixtures, probabilities: Weights) -> None:
        self.mixtures = mixtures
        self.weights = {name: list(vector) for name, vector in probabilities.items()}
        self.orders = [sorted(range(len(v)), key=lambda i: (-v[i], i)) for v in self.weights.values()]
        logs = [
            [math.log(max(v[i], 1e-30)) for i in o] for v, o in zip(self.weights.values(), self.orders, strict=True)
        ]
        self.costs = [[log[0] - value for value in log] for log in logs]

    def cost(self, picks: Picks) -> float:
        return sum(costs[rank] for costs, rank in zip(self.costs, picks, strict=True))

    def architecture(self, picks: Picks) -> Architecture:
        """Return what the weights end in when the picked option of every vector takes the largest weight."""
        weights: dict[str, Sequence[float]] = {}
        for (name, vector), order, rank in zip(self.weights.items(), self.orders, picks, strict=True):
            changed = list(vector)
            top, other = order[0], order[rank]
            changed[top], changed[other] = changed[other], changed[top]
            weights[name] = changed
        return self.mixtures.strongest(weights)

    def in_order(self) -> Iterator[Picks]:
        """Yield all combinations from the cheapest up, each once."""
        start = (0,) * len(self.orders)
        heap: list[tuple[float, Picks, int]] = [(0.0, start, 0)]
        while heap:
            cost, picks, first = heapq.heappop(heap)
            yield picks
            for i in range(first, len(picks)):  # vectors before the last one changed stay: every way is counted once
                if picks[i] + 1 < len(self.orders[i]):
                    step = self.costs[i][picks[i] + 1] - self.costs[i][picks[i]]
                    heapq.heappush(heap, (cost + step, (*picks[:i], picks[i] + 1, *picks[i + 1 :]), i))

    def changes(self, picks: Picks, count: int) -> Iterator[Picks]:
        """Yield the picks with ``count`` vectors changed to each other option."""
        for places in combinations(range(len(picks)), count):
            yield from self._changed(picks, places)

    def _changed(self, picks: Picks, places: Sequence[int]) -> Iterator[Picks]:
        if not places:
            yield picks
            return
        i, *rest = places
        for rank in range(len(self.orders[i])):
            if rank != picks[i]:
                yield from self._changed((*picks[:i], rank, *picks[i + 1 :]), rest)


def _towards(ranked: _Ranked, excess: Callable[[Architecture], float]) -> Picks:
    """Return picks within the limits if single changes lead there, each the cheapest per excess that it removes."""
    picks = (0,) * len(ranked.orders)
    for _ in range(ROUNDS):
        outside = excess(ranked.architecture(picks))
        if outside == 0:
            break
        here = ranked.cost(picks)
        best: tuple[float, Picks] | None = None
        for other in ranked.changes(picks, 1):
            removed = outside - excess(ranked.architecture(other))
            price = max(ranked.cost(other) - here, 0.0) / removed if removed > 0 else math.inf
            if removed > 0 and (best is None or (price, other) < best):
                best = price, other
        if best is None:
            break
        picks = best[1]
    return picks


def _back(ranked: _Ranked, excess: Callable[[Architecture], float], picks: Picks) -> Picks:
    """Return picks that no change of one or two vectors makes cheaper within the limits."""
    for _ in range(ROUNDS):
        here = ranked.cost(picks)
        cheaper = sorted(
            (ranked.cost(other), other)
            for count in (1, 2)
            for other in ranked.changes(picks, count)
            if ranked.cost(other) < here
        )
        better = next((other for _, other in cheaper if excess(ranked.architecture(other)) == 0), None)
        if better is None:
            break
        picks = better
    return picks
