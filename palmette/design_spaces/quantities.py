"""Quantities: the laws that the numbers of a design space are drawn from, vectorised.

Quantised as in the authors' code (Radosavovic et al., 2020; design-space notes 8.2): a uniform draw is floored to its
step, a log-uniform one is raised to it, so that the lowest value gets a fair share. Ends are inclusive.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from palmette.errors import ArchitectureError

Column = npt.NDArray[Any]
"""int64 or float64."""


@dataclass(frozen=True)
class OneOf:
    """Each of the listed numbers equally likely: uniform, or log-uniform where the list is geometric."""

    values: tuple[float, ...]

    def draw(self, shape: int | tuple[int, ...], generator: np.random.Generator) -> Column:
        return np.asarray(self.values)[generator.integers(len(self.values), size=shape)]

    def count(self) -> int:
        """Return how many numbers can be drawn."""
        return len(self.values)


@dataclass(frozen=True)
class Uniform:
    """Multiples of ``step`` from ``low`` to ``high``, each equally likely."""

    low: float
    high: float
    step: float = 1

    def __post_init__(self) -> None:
        _check(self.low, self.high, self.step)

    def draw(self, shape: int | tuple[int, ...], generator: np.random.Generator) -> Column:
        first, last = round(self.low / self.step), round(self.high / self.step)
        return _multiples(generator.integers(first, last + 1, size=shape), self.step)

    def count(self) -> int:
        """Return how many numbers can be drawn."""
        return round((self.high - self.low) / self.step) + 1


@dataclass(frozen=True)
class LogUniform:
    """Multiples of ``step`` from ``low`` to ``high``, with logarithms uniform before they are raised to the step."""

    low: float
    high: float
    step: float = 1

    def __post_init__(self) -> None:
        _check(self.low, self.high, self.step)
        if self.low <= 0:
            raise ArchitectureError(f"{self}: low must be above 0 for a log-uniform law")

    def draw(self, shape: int | tuple[int, ...], generator: np.random.Generator) -> Column:
        below = math.log(self.low - min(self.step, self.low / 2))
        drawn = np.exp(generator.uniform(below, math.log(self.high), size=shape))
        steps = np.ceil(drawn / self.step).astype(np.int64)
        return _multiples(steps.clip(round(self.low / self.step), round(self.high / self.step)), self.step)

    def count(self) -> int:
        """Return how many numbers can be drawn."""
        return round((self.high - self.low) / self.step) + 1

    def shares(self) -> npt.NDArray[np.float64]:
        """Return the probability of each number, by rising number."""
        values = np.linspace(self.low, self.high, self.count())
        ends = np.log(np.concatenate([[self.low - min(self.step, self.low / 2)], values]))
        found: npt.NDArray[np.float64] = np.diff(ends) / (ends[-1] - ends[0])
        return found


@dataclass(frozen=True)
class PowerOfTwoOrLogUniform:
    """Powers of two from ``low`` below ``step``, then multiples of ``step`` to ``high``: group widths.

    A power of two is drawn; from ``step`` on a log-uniform multiple replaces it, so the whole stays log-linear.
    """

    low: int
    high: int
    step: int = 8

    def __post_init__(self) -> None:
        for end in (self.low, self.high):
            if end < 1 or end & (end - 1):
                raise ArchitectureError(f"{self}: the ends must be powers of two")
        if self.step & (self.step - 1) or self.step < 1:
            raise ArchitectureError(f"{self}: the step must be a power of two")

    def draw(self, shape: int | tuple[int, ...], generator: np.random.Generator) -> Column:
        lowest, highest = self.low.bit_length() - 1, self.high.bit_length() - 1
        powers = 2 ** generator.integers(lowest, highest + 1, size=shape)
        if self.high < self.step:
            return powers
        multiples = LogUniform(max(self.low, self.step), self.high, self.step).draw(shape, generator)
        return np.where(powers < self.step, powers, multiples)

    def count(self) -> int:
        """Return how many numbers can be drawn."""
        powers = max(0, min(self.high * 2, self.step).bit_length() - self.low.bit_length())
        first = max(self.low, self.step)
        return powers + (0 if self.high < self.step else (self.high - first) // self.step + 1)


Quantity = OneOf | Uniform | LogUniform | PowerOfTwoOrLogUniform


def _multiples(numbers: npt.NDArray[np.int64], step: float) -> Column:
    """Return numbers times step: integers for an integer step, else the nearest doubles to the decimal values."""
    if step == int(step):
        return numbers * int(step)
    return numbers / round(1 / step)


def _check(low: float, high: float, step: float) -> None:
    fits = step > 0 and low <= high and all(math.isclose(end / step, round(end / step)) for end in (low, high))
    if not fits or (step != int(step) and not math.isclose(1 / step, round(1 / step))):
        raise ArchitectureError(
            f"range {low} to {high} by {step}: the ends must be multiples of the step, which must be a whole number or "
            "one over a whole number"
        )
