"""The inner widths of SPOS's ShuffleNetV2 blocks as decisions, alone or beside the choice of the block.

Guo et al., "Single Path One-Shot Neural Architecture Search with Uniform Sampling", 2020, sections 3.4 and 4
(sampling.md 2.10, 2.11): each of 20 blocks has one of ten inner widths, 0.2 to 2.0 times that of ``shuffle_choice``;
what goes in and out of a block keeps its width. With fixed blocks that are 10^20 networks, with 4 choices each 40^20.
Widths of a block are leading slices of one set of weights, for each of its four choices.
"""

from __future__ import annotations

from functools import partial

from torch import nn

from palmette.architecture import Architecture
from palmette.errors import ArchitectureError
from palmette.slots import OneOf
from palmette.space import Space
from palmette.spaces.shuffle_choice import GEOMETRY, Published, assembled, choices
from palmette.supernets.sliced import Sliced, Width

SCALES = (0.2, 0.4, 0.6, 0.8, 1.0, 1.2, 1.4, 1.6, 1.8, 2.0)


def shuffle_channels(
    *, classes: int = 1000, channels: int = 3, choice: str = "xception", dropout: float = 0.1
) -> Space:
    """Return the space of widths of 20 blocks of one choice; input as ``shuffle_choice`` takes it.

    The paper searches the widths of its Xception blocks (table 4).

    Raises:
        ArchitectureError: no such choice.
    """
    allowed = list(choices(*GEOMETRY[0]))
    if choice not in allowed:
        raise ArchitectureError(f"choice {choice!r}: allowed are {', '.join(allowed)}")

    def network() -> nn.Module:
        rows = enumerate(GEOMETRY, start=1)
        slots = [Sliced(choices(*shape)[choice], _width(number, shape[1])) for number, shape in rows]
        return assembled(slots, classes, channels, dropout)

    return Space(network, name="shuffle-channels" if choice == "xception" else f"shuffle-channels-{choice}")


def shuffle_joint(*, classes: int = 1000, channels: int = 3, dropout: float = 0.1) -> Space:
    """Return the space of choices and widths together; input as ``shuffle_choice`` takes it."""

    def network() -> nn.Module:
        slots = []
        for number, shape in enumerate(GEOMETRY, start=1):
            width = _width(number, shape[1])
            options = {name: partial(Sliced, make, width) for name, make in choices(*shape).items()}
            slots.append(OneOf(f"block{number}", **options))
        return assembled(slots, classes, channels, dropout)

    return Space(network, name="shuffle-joint")


def joint_architecture(space: Space, network: Published) -> Architecture:
    """Return a published network of blocks and scales as an architecture of ``shuffle_joint``."""
    names = list(choices(*GEOMETRY[0]))
    picks = enumerate(zip(network.genes, network.scales, strict=True), start=1)
    values = {k: v for i, (gene, scale) in picks for k, v in ((f"block{i}", names[gene]), (f"width{i}", str(scale)))}
    return space.decisions.architecture(values)


def _width(number: int, outputs: int) -> Width:
    return Width.scaled(f"width{number}", outputs // 2, SCALES)
