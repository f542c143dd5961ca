"""R-DARTS's rule: stop a search before it collapses, and take an earlier architecture. No torch here.

Zela et al., "Understanding and Robustifying Differentiable Architecture Search", ICLR 2020, section 5.1; the
numbers are those of the authors' code (gradient.md 11.4).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from palmette.errors import PalmetteError


@dataclass(frozen=True, kw_only=True)
class StopOptions:
    """When a rise of the dominant eigenvalue is taken for good."""

    every: int = 2
    """Epochs between measurements."""
    window: int = 5
    """Measurements in a mean."""
    apart: int = 4
    """Measurements between the two means that are compared."""
    factor: float = 1.3
    """By which the later mean must exceed the earlier one."""
    least_epochs: int = 10

    def __post_init__(self) -> None:
        counts = (self.every, self.window, self.apart, self.least_epochs)
        if min(counts) < 1 or not self.factor > 0:
            raise PalmetteError(
                f"stopping: every, window, apart and least_epochs = {counts} and factor = {self.factor} were given; "
                "allowed are counts from 1 and a factor above 0"
            )


@dataclass
class StopRule:
    """Measurements so far, and whether they say stop. Means of fewer than a window are taken at the start."""

    options: StopOptions
    measure: Callable[[], float]
    """Returns the dominant eigenvalue now."""
    values: list[float] = field(default_factory=list)

    def after_epoch(self, epochs: int) -> None:
        """Measure if it is time to, after so many whole epochs."""
        if epochs % self.options.every == 0:
            self.values.append(self.measure())

    @property
    def is_met(self) -> bool:
        """Whether the search should have ended by now."""
        epochs = len(self.values) * self.options.every
        earlier = len(self.values) - self.options.apart
        if epochs < self.options.least_epochs or earlier < 1:
            return False
        return self._mean(len(self.values)) > self.options.factor * self._mean(earlier)

    @property
    def epoch_to_return(self) -> int:
        """Of how many epochs the architecture should be taken: from before both windows, at least one measurement."""
        back = self.options.window // 2 + self.options.apart
        return max(1, len(self.values) - back) * self.options.every

    def _mean(self, count: int) -> float:
        """Return the mean of the window that ends with the first ``count`` measurements."""
        seen = self.values[max(0, count - self.options.window) : count]
        return sum(seen) / len(seen)
