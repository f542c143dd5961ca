"""Counted costs: each architecture is built on the meta device and counted, where no table of parts sums up to it.

A layer's cost may depend on what other decisions make of its input (memory banks); ``cost_table`` knows which spaces
need this.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import torch

from palmette.architecture import Architecture
from palmette.costs.complexity import COSTS, CostTable, Shape, complexity
from palmette.errors import ArchitectureError
from palmette.space import Space

KEPT = 10_000
"""Architectures whose costs are remembered."""


class CountedCosts:
    """Exact costs of any architecture of a space, by counting its stand-alone network.

    Raises:
        ArchitectureError: input that does not fit the network.
    """

    names = COSTS

    def __init__(self, space: Space, input_shape: Shape) -> None:
        self.decisions = space.decisions
        self.space = space
        self.input_shape = tuple(input_shape)
        self._counted = lru_cache(KEPT)(self._count)
        try:
            self._count(space.decisions.sample(np.random.default_rng(0)))
        except RuntimeError as error:
            why = " ".join(str(error).split())
            raise ArchitectureError(
                f"space {space.name!r}: it cannot run an input of shape {self.input_shape} ({why}); "
                "give data that fit the network, or choose another space"
            ) from None

    def __call__(self, architecture: Architecture) -> dict[str, int]:
        """Return ``{"flops", "params", "acts"}`` of one architecture."""
        return dict(self._counted(architecture))

    def all(self, architectures: Sequence[Architecture]) -> npt.NDArray[np.int64]:
        """Return the costs of many architectures, int64 ``[architectures, 3]``."""
        return np.array([list(self._counted(a).values()) for a in architectures], dtype=np.int64).reshape(
            -1, len(COSTS)
        )

    def _count(self, architecture: Architecture) -> Mapping[str, int]:
        with torch.device("meta"):
            network = self.space.build(architecture, seed=0)
        return complexity(network, self.input_shape)


Costs = CostTable | CountedCosts


def cost_table(space: Space, input_shape: Shape) -> Costs:
    """Return the exact costs of the space: as a table, or counted where decisions constrain each other."""
    return CountedCosts(space, input_shape) if space.decisions.grammar is not None else CostTable(space, input_shape)
