"""Published networks by name, for ``palmette cost``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn


def published() -> Mapping[str, Callable[[], tuple[nn.Module, tuple[int, int, int]]]]:
    """Return, by name, what makes each network and the shape of its input; nothing is allocated."""
    import torch

    from palmette.spaces import mobile_choice
    from palmette.spaces.shuffle_choice import PUBLISHED, Published, shuffle_network

    def mobile(network: mobile_choice.Published) -> tuple[nn.Module, tuple[int, int, int]]:
        with torch.device("meta"):
            return network.network(), (3, 224, 224)

    def make(network: Published) -> tuple[nn.Module, tuple[int, int, int]]:
        with torch.device("meta"):
            return shuffle_network(network.genes, network.scales), (3, 224, 224)

    shuffle = {name: partial(make, network) for name, network in PUBLISHED.items()}
    return shuffle | {name: partial(mobile, network) for name, network in mobile_choice.PUBLISHED.items()}
