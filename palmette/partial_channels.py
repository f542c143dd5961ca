"""Partial channels: a supernet computes its options on the first 1/k of the channels (PC-DARTS, Xu et al., 2020).

The other channels bypass the options, and a shuffle mixes both, so that over depth every channel is used. That costs
about 1/k of memory and time, and no option without weights wins only because the weighted ones are untrained. Options
are then narrower than those of stand-alone networks: such a supernet decides an architecture, its weights are no one's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor, nn

from palmette.architecture import Architecture
from palmette.choice import picked
from palmette.decision import Categorical, Condition, Decision
from palmette.errors import ArchitectureError
from palmette.slots import Slot, mixed, not_filled
from palmette.space import Space

ChannelsFactory = Callable[[int], nn.Module]
"""Builds an option for a number of channels, which it keeps, as it keeps height and width."""


class ChannelsOneOf(Slot):
    """One of several modules that keep the shape of ``[N, channels, H, W]``, each given by a function of channels.

    With ``share`` 1, which is the default, it is ``OneOf`` in all respects.
    """

    def __init__(self, name: str, channels: int, /, **options: ChannelsFactory) -> None:
        super().__init__()
        self.name = name
        self.channels = channels
        self.factories = dict(options)
        self.share = 1
        """The supernet computes the first ``channels / share`` channels."""
        self.options: nn.ModuleList | None = None

    def decisions(self) -> Sequence[Decision]:
        return [Categorical(self.name, tuple(self.factories))]

    def nested(self) -> Iterator[tuple[Condition, nn.Module]]:
        return (((self.name, option), factory(self.channels)) for option, factory in self.factories.items())

    def build(self, architecture: Architecture) -> nn.Module:
        return self.factories[str(architecture[self.name])](self.channels)

    def fill(self) -> None:
        self.options = nn.ModuleList(factory(self.channels // self.share) for factory in self.factories.values())

    def active(self, architecture: Architecture) -> nn.Module:
        assert self.options is not None
        return self.options[list(self.factories).index(str(architecture[self.name]))]

    def forward(self, x: Tensor) -> Tensor:
        if self.options is None:
            raise not_filled(self.name)
        pick = picked(self.name)
        if self.share == 1:
            return mixed(self.options, pick, x)
        computed = self.channels // self.share
        changed = mixed(self.options, pick, x[:, :computed])
        return shuffled(torch.cat([changed, x[:, computed:]], 1), self.share)


def with_partial_channels(space: Space, share: int) -> Space:
    """Return a space of the same architectures whose supernet computes 1/``share`` of the channels.

    Raises:
        ArchitectureError: a slot does not know its channels, or they are no multiple of ``share``.
    """

    def definition() -> nn.Module:
        network = space.definition()
        for slot in network.modules():
            if isinstance(slot, ChannelsOneOf):
                if share < 1 or slot.channels % share:
                    raise ArchitectureError(
                        f"space {space.name!r}: partial channels of 1/{share} were asked for; slot {slot.name!r} has "
                        f"{slot.channels} channels, of which it must be a whole part"
                    )
                slot.share = share
            elif isinstance(slot, Slot):
                raise ArchitectureError(
                    f"space {space.name!r}: partial channels were asked for, and a {type(slot).__name__} does not "
                    "know its channels; write the slots as ChannelsOneOf, or leave partial channels out"
                )
        return network

    decisions = space.decisions
    return Space(
        definition,
        name=space.name,
        equivalences=decisions.equivalences,
        mixtures=space.mixtures.mixtures,
        nodes=decisions.nodes,
    )


def shuffled(x: Tensor, groups: int) -> Tensor:
    """Return the channels of ``[N, C, H, W]`` dealt out: one of every group in turn."""
    images, channels, height, width = x.shape
    dealt = x.view(images, groups, channels // groups, height, width).transpose(1, 2)
    return dealt.reshape(images, channels, height, width)
