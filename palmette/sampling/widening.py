"""Gradual widening: at first the largest size of every layer, then more and more of the smaller ones.

A supernet of block choices and widths hardly trains when both are open from the start; what works is to train block
choices at full width first and then to widen the range of widths (sampling.md 2.10, where it is users' experience with
SPOS, not of the paper). It is the order of progressive shrinking, too (Once-for-All, Cai et al., 2020).
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from palmette.decision import Categorical
from palmette.decisions import Decisions
from palmette.errors import PalmetteError
from palmette.sampling.uniform import UniformSampler


@dataclass(frozen=True, kw_only=True)
class WideningOptions:
    """When sizes are opened, as shares of the training's steps; 0 and 0 open all from the start."""

    full: float = 0.0
    """Until then every layer has its largest size (0.5 is what users of SPOS report)."""
    opened: float = 0.0
    """From then on all sizes are drawn; between the two, from the largest downwards, ever more of them."""

    def __post_init__(self) -> None:
        if not 0 <= self.full <= self.opened <= 1:
            raise PalmetteError(
                f"widening: full = {self.full}, opened = {self.opened} were given; allowed are shares from 0 to 1, "
                "opened not before full"
            )


class Widening:
    """Uniform samplers over the sizes that are open at a time; decisions that are not sizes are always open.

    Raises:
        PalmetteError: the space has no decision about sizes.
    """

    def __init__(self, decisions: Decisions, options: WideningOptions) -> None:
        self.decisions = decisions
        self.options = options
        self._samplers: dict[int, UniformSampler] = {}
        sizes = [d for d in decisions.decisions.values() if isinstance(d, Categorical) and d.ordered]
        self._most = max((len(size.options) for size in sizes), default=0)
        if not self._most:
            raise PalmetteError(
                f"widening: space {decisions.space!r} has no widths to open; set widening.full and widening.opened to 0"
            )

    def at(self, progress: float) -> UniformSampler:
        """Return the sampler for a step at ``progress``, the share of steps before it, 0 to 1."""
        full, opened = self.options.full, self.options.opened
        if progress >= opened:
            count = self._most
        else:
            count = 1 if progress < full else 1 + int((self._most - 1) * (progress - full) / (opened - full))
        if count not in self._samplers:
            self._samplers[count] = UniformSampler(self._largest(count))
        return self._samplers[count]

    def _largest(self, count: int) -> Decisions:
        """Return the decisions with the ``count`` largest options of those that are sizes."""
        kept = [
            dataclasses.replace(d, options=d.options[-count:]) if isinstance(d, Categorical) and d.ordered else d
            for d in self.decisions.decisions.values()
        ]
        whole = self.decisions
        return Decisions(whole.space, kept, whole.equivalences, whole.grammar, whole.nodes)
