"""Equal cost: how many epochs make one method's measured cost that of another.

A method's cost is known when it has searched, not before: evaluations, early ends and steps of the architecture are
part of it. So it is measured, and the epochs are moved along the line through what was measured.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

TOLERANCE = 0.1
"""Share by which a cost may miss the budget."""
MEASUREMENTS = 3
"""Most of one method."""


def equal_epochs(cost: Callable[[int], float], budget: float, *, start: int) -> int:
    """Return the epochs, of those measured, whose cost comes nearest to the budget.

    Args:
        cost: measures what the method costs with so many epochs.
        budget: in the unit of ``cost``.
        start: epochs to begin with.
    """
    measured: dict[int, float] = {}
    epochs = start
    while epochs not in measured and len(measured) < MEASUREMENTS:
        measured[epochs] = cost(epochs)
        if abs(measured[epochs] / budget - 1) <= TOLERANCE:
            return epochs
        epochs = next_epochs(measured, budget)
    return min(measured, key=lambda e: abs(measured[e] - budget))


def next_epochs(measured: Mapping[int, float], budget: float) -> int:
    """Return the epochs whose cost should be the budget, by the line through the last two measured, or through zero."""
    *others, (last, cost) = measured.items()
    before, cost_before = others[-1] if others else (0, 0.0)
    if cost == cost_before:
        return last
    return max(1, round(last + (budget - cost) * (last - before) / (cost - cost_before)))
