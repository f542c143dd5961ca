"""Likely architectures: a first one, then draws from learned probabilities, all within the limits (FBNet, section 3.2).

A draw adds Gumbel noise to the logarithms of the probabilities and takes the strongest, which is a draw by those
probabilities; what a cell makes of its weights (``Mixtures.strongest``) then holds of every draw.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from palmette.architecture import Architecture
from palmette.mixtures import Mixtures, Weights
from palmette.searches.trial import Allows, Trial

TRIES_EACH = 50
"""Draws per wanted architecture before the search ends: where the probabilities are sure, draws repeat themselves."""


class Likely:
    """Proposes ``first``, then distinct draws; stops when draws bring nothing new within the limits.

    Args:
        mixtures: of the space.
        probabilities: by weight vector.
        allows: whether an architecture meets the limits.
        first: the architecture to begin with, for example the most likely one.
    """

    def __init__(self, mixtures: Mixtures, probabilities: Weights, allows: Allows, *, first: Architecture) -> None:
        self.mixtures = mixtures
        self.logarithms = {name: np.log(np.maximum(vector, 1e-30)) for name, vector in probabilities.items()}
        self.allows = allows
        self.first = first

    def propose(self, history: Sequence[Trial], count: int, generator: np.random.Generator) -> list[Architecture]:
        seen = {trial.architecture for trial in history}
        found = {} if self.first in seen else {self.first: None}
        for _ in range(TRIES_EACH * count):
            if len(found) >= count:
                break
            drawn = self._drawn(generator)
            if drawn not in seen and drawn not in found and self.allows(drawn):
                found[drawn] = None
        return list(found)[:count]

    def _drawn(self, generator: np.random.Generator) -> Architecture:
        noisy = {name: vector + generator.gumbel(size=vector.shape) for name, vector in self.logarithms.items()}
        return self.mixtures.strongest({name: vector.tolist() for name, vector in noisy.items()})
