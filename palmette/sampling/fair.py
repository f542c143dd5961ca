"""Strict fairness: after every update all options of a layer have been trained equally often.

FairNAS (Chu et al., 2019, section 3; sampling.md 4): each layer's options are drawn without replacement, so that m
single paths cover every option of every layer once; their gradients add up to one update. Here layers may also differ
in their number of options: m is then the least common multiple, and a layer of n options sees m / n permutations.
"""

from __future__ import annotations

import math

import numpy as np

from palmette.decisions import Decisions
from palmette.errors import PalmetteError

MOST_PATHS = 60
"""Paths per update before the numbers of options are said not to fit together."""


class FairSampler:
    """Draws the paths of one update as choices, ``{decision: option index}``.

    They are choices and not architectures: an architecture is canonical, and moving an identity to the end of its stage
    would train one layer's option in place of another's.

    Raises:
        PalmetteError: conditional decisions, whose options cannot be trained equally often, or numbers of options with
            no common multiple up to ``MOST_PATHS``.
    """

    def __init__(self, decisions: Decisions) -> None:
        self.sizes = {name: len(decisions.values(name)) for name in decisions.decisions}
        self.paths = math.lcm(*self.sizes.values())
        """Paths per update, m."""
        conditional = [name for name, decision in decisions.decisions.items() if decision.active_if]
        if conditional:
            raise PalmetteError(
                f"fair sampling: decision {conditional[0]!r} of space {decisions.space!r} is not always active; "
                "use uniform sampling for this space"
            )
        if self.paths > MOST_PATHS:
            raise PalmetteError(
                f"fair sampling: layers with {sorted(set(self.sizes.values()))} options need {self.paths} paths per "
                f"update, {MOST_PATHS} at most are sensible; use uniform sampling for this space"
            )

    def sample(self, generator: np.random.Generator) -> list[dict[str, int]]:
        """Return ``paths`` choices that together take every option of a decision equally often."""
        columns = {
            name: np.concatenate([generator.permutation(size) for _ in range(self.paths // size)]).tolist()
            for name, size in self.sizes.items()
        }
        return [{name: column[i] for name, column in columns.items()} for i in range(self.paths)]
