"""Options of supernets. No torch here."""

from __future__ import annotations

from dataclasses import dataclass

from palmette.errors import PalmetteError


@dataclass(frozen=True, kw_only=True)
class HyperNetOptions:
    """The capacity of a hypernetwork; the paper's sizes, which its author calls ad hoc."""

    first: int = 7
    """Channels that the first convolution adds."""
    growth: int = 10
    """Channels that each dense layer adds."""
    layers: tuple[int, ...] = (8, 10, 4)
    """Dense layers of each block; a transition to half the channels stands between blocks."""

    def __post_init__(self) -> None:
        if min(self.first, self.growth, *self.layers, len(self.layers)) < 1:
            raise PalmetteError("hypernetwork: first, growth and layers must be at least 1, in at least one block")
