"""Metric: the figure that a kind of data is judged by, how it is written, and which way is better. No torch here."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Metric:
    """A figure of ``score.Metrics``."""

    name: str
    """Its key."""
    higher_is_better: bool
    factor: float
    """What it is multiplied by where people read it."""
    suffix: str
    """What follows it there."""
    unit: str
    """What the data consist of."""

    def show(self, value: float) -> str:
        """Return ``93.42%`` or ``81.25``."""
        return f"{self.factor * value:.2f}{self.suffix}"

    @property
    def worse_side(self) -> str:
        """Return where worse values lie: below or above better ones."""
        return "below" if self.higher_is_better else "above"

    def gain(self, value: float) -> float:
        """Return the value with its sign such that higher is better."""
        return value if self.higher_is_better else -value


ACCURACY = Metric("accuracy", higher_is_better=True, factor=100.0, suffix="%", unit="image")
PERPLEXITY = Metric("perplexity", higher_is_better=False, factor=1.0, suffix="", unit="word")
