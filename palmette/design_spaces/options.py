"""Options of a study: how many networks, how complex, how trained. No torch here."""

from __future__ import annotations

from dataclasses import dataclass, field

from palmette.errors import PalmetteError
from palmette.training.recipe import Recipe

LADDER = ("A", "B", "C", "D", "E", "RegNet")


@dataclass(frozen=True, kw_only=True)
class Optimisation:
    """The paper's check of learning rate and weight decay: networks of the first space with random values of both."""

    networks: int = 0
    """How many; 0 leaves the check out."""
    lr_low: float = 0.01
    lr_high: float = 1.0
    weight_decay_low: float = 1e-6
    weight_decay_high: float = 1e-3

    def __post_init__(self) -> None:
        ends = (self.lr_low, self.lr_high), (self.weight_decay_low, self.weight_decay_high)
        if self.networks < 0 or not all(0 < low < high for low, high in ends):
            raise PalmetteError(f"optimisation: {self} was given; ranges must rise from above 0, networks from 0")


def study_recipe() -> Recipe:
    """Return a short training: the paper's weight decay and half-period cosine, on batches that suit small data.

    Deviation: the cosine falls per step; the authors' code sets it once per epoch.
    """
    return Recipe(epochs=5, batch_size=64, lr=0.1, weight_decay=5e-5, decay_everything=True)


@dataclass(frozen=True, kw_only=True)
class StudyOptions:
    """What is sampled from every space and how each network is trained."""

    networks: int = 40
    """Networks per space; the paper trains 500."""
    recipe: Recipe = field(default_factory=study_recipe)
    optimisation: Optimisation = field(default_factory=Optimisation)

    def __post_init__(self) -> None:
        if self.networks < 2:
            raise PalmetteError(f"study: {self.networks} networks per space were given; give at least 2")
