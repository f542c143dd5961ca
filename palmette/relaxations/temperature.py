"""Temperatures of relaxations that draw: high at first, so that all options learn, then low, so that one remains."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from palmette.errors import PalmetteError


@dataclass(frozen=True, kw_only=True)
class Temperature:
    """A schedule over epochs. The defaults are FBNet's (gradient.md 7.2): 5 at first, times exp(-0.045) every epoch."""

    start: float = 5.0
    end: float = 0.1
    """The lowest; linear schedules reach it in the last epoch."""
    schedule: Literal["exponential", "linear"] = "exponential"
    rate: float = 0.045
    """Of the exponential schedule, per epoch."""

    def __post_init__(self) -> None:
        if not (self.start > 0 and self.end > 0 and math.isfinite(self.start) and self.rate >= 0):
            raise PalmetteError(
                f"temperature: start = {self.start}, end = {self.end} and rate = {self.rate} were given; "
                "temperatures must be above 0 and the rate at least 0"
            )
        if self.schedule not in ("exponential", "linear"):
            raise PalmetteError(f"temperature: schedule = {self.schedule!r} was given; allowed are exponential, linear")

    def at(self, epoch: int, epochs: int) -> float:
        """Return the temperature of ``epoch`` (from 0) out of ``epochs``."""
        if self.schedule == "linear":
            return self.start + (self.end - self.start) * epoch / max(1, epochs - 1)
        return max(self.end, self.start * math.exp(-self.rate * epoch))


def gdas_temperature() -> Temperature:
    """Return GDAS's schedule: 10 to 0.1, linear (gradient.md 11.3)."""
    return Temperature(start=10.0, end=0.1, schedule="linear")
