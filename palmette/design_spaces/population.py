"""Populations: networks drawn from a design space within ranges of complexity, reproducible by seed.

Draws come in chunks, each with a generator of its own (seed, chunk), so the first networks do not depend on how many
are asked for. Nothing is built: a network is a row of numbers. Radosavovic et al., 2020, section 3.1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from palmette.design_spaces.complexity import COMPLEXITIES, Complexity
from palmette.design_spaces.space import Columns, DesignSpace, Mask, Row
from palmette.errors import PalmetteError
from palmette.spaces.anynet import Integers

Ranges = Mapping[str, tuple[float | None, float | None]]
"""Lowest and highest flops, params or acts, inclusive; None is an open end."""
MOST_DRAWS = 10_000_000


@dataclass(frozen=True, eq=False)
class Population:
    """Distinct networks of one space, in the order drawn."""

    space: str
    parameters: Columns
    complexity: Complexity
    draws: int
    """How many were drawn to find them."""
    networks_drawn: int
    """How many of the draws were networks at all, within the ranges or not."""

    def __len__(self) -> int:
        return len(self.complexity.flops)

    @property
    def acceptance(self) -> float:
        """The share of draws that lay within the ranges."""
        return len(self) / self.draws

    def row(self, index: int) -> Row:
        """Return the parameters of one network as plain numbers."""
        return {name: column[index].item() for name, column in self.parameters.items()}

    def counts(self, index: int) -> dict[str, int]:
        """Return the complexity of one network."""
        return {name: int(values[index]) for name, values in self.complexity.as_dict().items()}


def sample(
    space: DesignSpace, count: int, *, ranges: Ranges | None = None, resolution: int = 224, seed: int = 0
) -> Population:
    """Return ``count`` distinct networks of the space within the ranges, for square images of ``resolution`` pixels.

    Raises:
        PalmetteError: an unknown range, or too few networks within the ranges in ten million draws.
    """
    ranges = dict(ranges or {})
    unknown = [name for name in ranges if name not in COMPLEXITIES]
    if unknown:
        raise PalmetteError(f"ranges: {unknown[0]!r} is unknown; allowed are {', '.join(COMPLEXITIES)}")
    if count < 1:
        raise PalmetteError(f"{space.name}: {count} networks were asked for; ask for at least 1")
    found: list[tuple[Columns, Complexity]] = []
    seen: set[bytes] = set()
    draws = networks = kept = 0
    while kept < count:
        if draws >= MOST_DRAWS:
            raise PalmetteError(
                f"{space.name}: {kept} of {count} networks lie within {dict(ranges)} in {draws:,} draws; "
                "widen the ranges, or ask for fewer"
            )
        drawn, valid, columns, counted = _chunk(space, ranges, resolution, seed, draws // space.chunk)
        new = _unseen(columns, seen)[: count - kept]
        if len(new) == count - kept:  # the draws after the last network kept do not count
            last = int(drawn[new[-1]]) + 1
            valid, draws = valid[:last], draws + last
        else:
            draws += space.chunk
        networks += int(valid.sum())
        kept += len(new)
        found.append(({name: column[new] for name, column in columns.items()}, counted.take(new)))
    return Population(space.name, *_joined(found), draws, networks)


def candidates(
    space: DesignSpace, count: int, *, ranges: Ranges, resolution: int, generator: np.random.Generator
) -> tuple[Integers, Mask, Columns, Complexity]:
    """Draw ``count`` candidates and check them.

    Returns the positions of the draws within the ranges, which draws are networks ``[count]``, and the parameters and
    complexity of those within the ranges.
    """
    columns = space.draw(count, generator)
    valid, counted = space.count(columns, resolution)
    within = np.ones(len(counted.flops), dtype=np.bool_)
    for name, (low, high) in ranges.items():
        values = counted.as_dict()[name]
        if low is not None:
            within &= values >= low
        if high is not None:
            within &= values <= high
    positions = np.flatnonzero(valid)[within]
    return positions, valid, {name: column[positions] for name, column in columns.items()}, counted.take(within)


def _chunk(
    space: DesignSpace, ranges: Ranges, resolution: int, seed: int, number: int
) -> tuple[Integers, Mask, Columns, Complexity]:
    generator = np.random.default_rng([seed, number])
    return candidates(space, space.chunk, ranges=ranges, resolution=resolution, generator=generator)


def _unseen(columns: Columns, seen: set[bytes]) -> Integers:
    """Return the positions of rows that were not seen before, and remember them."""
    rows = np.ascontiguousarray(np.stack(list(columns.values()), axis=1).astype(np.float64))
    new = []
    for i, row in enumerate(rows):
        key = row.tobytes()
        if key not in seen:
            seen.add(key)
            new.append(i)
    return np.array(new, dtype=np.int64)


def _joined(found: list[tuple[Columns, Complexity]]) -> tuple[Columns, Complexity]:
    names = list(found[0][0])
    columns = {name: np.concatenate([part[name] for part, _ in found]) for name in names}
    sums = (np.concatenate([counts.as_dict()[name] for _, counts in found]) for name in COMPLEXITIES)
    return columns, Complexity(*sums)
