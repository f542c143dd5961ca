"""Uniform-constraint sampling: architectures whose cost is uniform over a range, by bins (sampling.md 2.4).

Uniform draws crowd around the average cost; SPOS (Guo et al., 2020, section 3.2) therefore draws a bin of cost first
and then architectures until one lies in it. Of its 7 bins of 10M FLOPs the rarest holds 1% of the draws. After
``tries`` draws the last one is taken as it is: that is a fallback, and ``fallbacks`` says how many there were.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from palmette.architecture import Architecture
from palmette.decisions import Decisions
from palmette.errors import LimitError

Cost = Callable[[Architecture], float]
"""Any cost of an architecture: FLOPs, latency, BitOPs, ..."""


class BinnedSampler:
    """Draws a bin of ``cost`` uniformly and then encodings uniformly until the cost lies in it.

    What it draws depends on the generator alone. ``draws`` and ``fallbacks`` count what it did so far.

    Args:
        decisions: of the space.
        cost: of an architecture.
        low, high: the range, ends included.
        bins: of equal width.
        tries: draws per sample; the last one is taken wherever it lies.

    Raises:
        LimitError: a range that is empty or not finite, or fewer than one bin or try.
    """

    def __init__(
        self, decisions: Decisions, cost: Cost, *, low: float, high: float, bins: int = 7, tries: int = 500
    ) -> None:
        if not (math.isfinite(low) and math.isfinite(high) and low < high):
            raise LimitError(f"binned sampling: the range {low} to {high} is empty or open; give two rising ends")
        if bins < 1 or tries < 1:
            raise LimitError(f"binned sampling: {bins} bins and {tries} tries were given; both must be at least 1")
        self.decisions = decisions
        self.cost = cost
        self.edges = np.linspace(low, high, bins + 1)
        self.tries = tries
        self.draws = 0
        self.fallbacks = 0

    def fallback_share(self, draws: int = 1000) -> float:
        """Return the share, 0 to 1, of ``draws`` fixed samples that fall back; it leaves the counts as they are."""
        trial = BinnedSampler(
            self.decisions,
            self.cost,
            low=float(self.edges[0]),
            high=float(self.edges[-1]),
            bins=len(self.edges) - 1,
            tries=self.tries,
        )
        generator = np.random.default_rng(0)
        for _ in range(draws):
            trial.sample(generator)
        return trial.fallbacks / draws

    def sample(self, generator: np.random.Generator) -> Architecture:
        """Return an architecture of the drawn bin, or after ``tries`` draws any."""
        position = int(generator.integers(len(self.edges) - 1))
        low, high = self.edges[position : position + 2]
        self.draws += 1
        for _ in range(self.tries):
            architecture = self.decisions.sample(generator)
            if low <= self.cost(architecture) <= high:
                return architecture
        self.fallbacks += 1
        return architecture
