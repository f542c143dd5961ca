"""The networks of DARTS, all from one definition: cells in a row, each fed by the two before it.

Searched small (8 cells, 16 channels, BatchNorm without parameters) and trained large: 20 cells and 36 channels on
CIFAR-10, 14 cells and 48 channels on ImageNet (Liu et al., 2019, sections 3.1 to 3.3 and appendix A). Cells at one and
two thirds of the depth reduce: half the size, twice the channels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

from torch import Tensor, nn

from palmette.blocks.auxiliary import auxiliary_head
from palmette.plain import TrainingOnly
from palmette.space import Space
from palmette.spaces.darts_cell import KINDS, NODES, CellSlot, mixture


@dataclass(frozen=True, kw_only=True)
class Network:
    """The numbers of one network."""

    channels: int
    """Of each node in the first cells."""
    cells: int
    stem: Literal["cifar", "imagenet"] = "cifar"
    """``cifar`` keeps the size of the images, ``imagenet`` leaves an eighth of it."""
    searched: bool = False
    """The form of a search: BatchNorm without parameters, no auxiliary head."""
    auxiliary: bool = True
    """A second classifier after the second reduction, which only training uses."""


SEARCHED = Network(channels=16, cells=8, searched=True)
CIFAR = Network(channels=36, cells=20)
SEARCHED_IMAGENET = Network(channels=16, cells=8, stem="imagenet", searched=True)
IMAGENET = Network(channels=48, cells=14, stem="imagenet")
SMALL_SEARCHED = Network(channels=4, cells=3, searched=True)
SMALL = Network(channels=8, cells=5)


def darts(*, classes: int = 10, channels: int = 3) -> Space:
    """Return the space of 1.08e18 pairs of cells; input ``[N, channels, H, W]`` with H and W divisible by 4."""
    return darts_space("darts", SEARCHED, classes=classes, channels=channels, retrained=CIFAR)


def darts_imagenet(*, classes: int = 1000, channels: int = 3) -> Space:
    """Return the same cells in networks for large images; input ``[N, channels, H, W]``, H and W divisible by 32."""
    return darts_space("darts-imagenet", SEARCHED_IMAGENET, classes=classes, channels=channels, retrained=IMAGENET)


def darts_small(*, classes: int = 10, channels: int = 3) -> Space:
    """Return the same cells in networks that a CPU trains: 3 cells of 4 channels, and 5 of 8 in the end."""
    return darts_space("darts-small", SMALL_SEARCHED, classes=classes, channels=channels, retrained=SMALL)


def darts_space(name: str, network: Network, *, classes: int, channels: int, retrained: Network | None = None) -> Space:
    """Return the space of cells over one network; ``retrained`` is the network that is trained in the end."""
    final = None if retrained is None else darts_space(name, retrained, classes=classes, channels=channels)
    return Space(
        partial(cell_network, network, classes=classes, channels=channels),
        name=name,
        mixtures=[mixture(kind) for kind in KINDS],
        stand_alone=final,
    )


class CellNetwork(nn.Module):
    """``[N, channels, H, W]`` to logits ``[N, classes]``; in training, with an auxiliary head, to a pair of logits."""

    def __init__(self, stem: Sequence[nn.Module], cells: Sequence[nn.Module], head: nn.Module) -> None:
        super().__init__()
        self.stem = nn.ModuleList(stem)
        self.cells = nn.ModuleList(cells)
        self.head = head
        self.auxiliary: TrainingOnly | None = None
        self.auxiliary_after = 2 * len(cells) // 3
        """The cell that the auxiliary head reads, counted from 0."""

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        before = self.stem[0](x)
        last = self.stem[1](before)
        second = None
        for index, cell in enumerate(self.cells):
            before, last = last, cell((before, last))
            if self.training and self.auxiliary is not None and index == self.auxiliary_after:
                second = self.auxiliary(last)
        logits: Tensor = self.head(last)
        return logits if second is None else (logits, second)


def cell_network(network: Network, *, classes: int, channels: int) -> CellNetwork:
    """Return the network with its cells open."""
    stem, before, last = _stem(network, channels)
    cells: list[nn.Module] = []
    width, after_reduction = network.channels, network.stem == "imagenet"
    for index in range(network.cells):
        kind = KINDS[1] if index in (network.cells // 3, 2 * network.cells // 3) else KINDS[0]
        width *= 2 if kind == "reduce" else 1
        slot = CellSlot(kind, before, last, width, after_reduction=after_reduction, searched=network.searched)
        cells.append(slot)
        before, last, after_reduction = last, len(NODES) * width, kind == "reduce"
    made = CellNetwork(stem, cells, nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(last, classes)))
    if network.auxiliary and not network.searched:
        cifar = network.stem == "cifar"
        reduced = len(NODES) * 4 * network.channels
        made.auxiliary = TrainingOnly(auxiliary_head(reduced, classes, stride=3 if cifar else 2, last_norm=cifar))
    return made


def _stem(network: Network, channels: int) -> tuple[list[nn.Module], int, int]:
    """Return the two stems, and the channels of their outputs; only the BatchNorm here has parameters in a search."""
    norm = partial(nn.BatchNorm2d, track_running_stats=not network.searched)
    if network.stem == "cifar":
        width = 3 * network.channels
        conv = nn.Conv2d(channels, width, 3, padding=1, bias=False)
        return [nn.Sequential(conv, norm(width)), nn.Identity()], width, width
    width = network.channels
    first = nn.Sequential(
        nn.Conv2d(channels, width // 2, 3, stride=2, padding=1, bias=False),
        norm(width // 2),
        nn.ReLU(inplace=True),
        nn.Conv2d(width // 2, width, 3, stride=2, padding=1, bias=False),
        norm(width),
    )
    second = nn.Sequential(nn.ReLU(), nn.Conv2d(width, width, 3, stride=2, padding=1, bias=False), norm(width))
    return [first, second], width, width
