"""Trained networks as the command line takes them: a run directory, or a ``network.safetensors`` file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from palmette.cli.names import SPACES
from palmette.errors import PalmetteError

if TYPE_CHECKING:
    from torch import nn

    from palmette.architecture import Architecture
    from palmette.export.weights import Card
    from palmette.space import Space


def trained(path: Path) -> tuple[nn.Module, Card]:
    """Return the plain network, in evaluation mode with its weights, and its card."""
    from palmette.export.weights import load_weights, read_card
    from palmette.plain import plain

    file = path / "network.safetensors" if path.is_dir() else path
    card = read_card(file)
    space = space_of(card.architecture, classes=len(card.classes), channels=card.input_shape[0])
    network = plain(space.stand_alone.build(space.decisions.check(card.architecture), seed=0).eval())
    load_weights(network, file)
    return network, card


def space_of(architecture: Architecture, *, classes: int, channels: int) -> Space:
    """Return the named space of an architecture.

    Raises:
        PalmetteError: a space of the user's own, which has no name here.
    """
    if architecture.space not in SPACES:
        raise PalmetteError(
            f"space {architecture.space!r} is not one of {', '.join(SPACES)}; "
            "for a space of your own use Space.build and the export functions in Python"
        )
    return SPACES[architecture.space].build(classes, channels)
