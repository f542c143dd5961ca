"""Uniform sampling of architectures under limits: every allowed encoding is equally likely.

SPOS trains its supernet this way (Guo et al., 2020, section 3.2; sampling.md 2.4). Its code falls back to an
unconstrained draw after 500 tries; here limits hold always, so rare architectures are listed instead of waited for.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

import numpy as np

from palmette.architecture import Architecture
from palmette.decision import Integer
from palmette.decisions import Decisions
from palmette.errors import LimitError

TRIES = 10_000
"""Draws before a sample is given up: at an acceptance of one in 1,000, fewer than one sample in 20,000 fails."""
LISTABLE = 200_000
RARE = 0.05


class UniformSampler:
    """Draws encodings uniformly until ``allows`` holds for one; ``None`` allows all.

    Its draws depend on the generator alone, never on earlier draws, so a resumed training draws as an undisturbed one.
    """

    def __init__(self, decisions: Decisions, allows: Callable[[Architecture], bool] | None = None) -> None:
        self.decisions = decisions
        self.allows = allows

    def sample(self, generator: np.random.Generator) -> Architecture:
        """Return an allowed architecture.

        Raises:
            LimitError: none is allowed, or none came up in ``TRIES`` draws.
        """
        if self.allows is None:
            return self.decisions.sample(generator)
        if self._listed:
            return self._listed[int(generator.integers(len(self._listed)))]
        for _ in range(TRIES):
            architecture = self.decisions.sample(generator)
            if self.allows(architecture):
                return architecture
        raise LimitError(
            f"limits: none of {TRIES:,} architectures drawn from space {self.decisions.space!r} meets them; widen them"
        )

    @cached_property
    def _listed(self) -> list[Architecture]:
        """All allowed encodings, where they are rare and the space is small enough to list; else empty."""
        assert self.allows is not None
        plain = all(
            not d.active_if and not (isinstance(d, Integer) and d.log) for d in self.decisions.decisions.values()
        )
        if not plain or not self.decisions.is_listable(LISTABLE):
            return []
        trial = np.random.default_rng(0)
        accepted = sum(self.allows(self.decisions.sample(trial)) for _ in range(200))
        if accepted >= 200 * RARE:
            return []
        encodings = (self.decisions.architecture(values) for values in self.decisions.encodings())
        return [architecture for architecture in encodings if self.allows(architecture)]
