"""A search that evaluates given architectures and no others, so that what was found by other means is on record too."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from palmette.architecture import Architecture
from palmette.searches.trial import Trial


class Given:
    """Proposes the given architectures, in their order, once."""

    def __init__(self, architectures: Sequence[Architecture]) -> None:
        self.architectures = list(architectures)

    def propose(self, history: Sequence[Trial], count: int, generator: np.random.Generator) -> list[Architecture]:
        return self.architectures[len(history) :][:count]
