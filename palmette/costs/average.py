"""The average network of a space: what a forward pass costs where only the number of passes is known."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from palmette.architecture import Architecture
from palmette.decisions import Decisions

DRAWS = 100


def average(
    decisions: Decisions, costs: Callable[[Architecture], Mapping[str, float]], cost: str, *, draws: int = DRAWS
) -> float:
    """Return the mean of a cost over architectures drawn as random search draws them, the same ones every time."""
    generator = np.random.default_rng(0)
    return float(np.mean([costs(decisions.sample(generator))[cost] for _ in range(draws)]))
