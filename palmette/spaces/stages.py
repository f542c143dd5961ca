"""A chain of searched layers in stages, as all mobile spaces have, and the networks published of one.

The first layer of a stage changes width and perhaps resolution; the others keep the shape, and may be left out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import nn

from palmette.decision import Equivalence, no_ops_last
from palmette.slots import Factory, OneOf
from palmette.space import Space

Stages = Sequence[tuple[int, int, int]]
"""Output channels, number of layers, and stride of the first, per stage."""
Options = Callable[[int, int, int], dict[str, Factory]]
"""The options of a layer by its input channels, output channels and stride."""


@dataclass(frozen=True)
class Published:
    """A published network: the space it lies in, its option per layer, and its costs at its resolution."""

    space: Callable[[], Space]
    layers: tuple[str, ...]
    flops: float | None
    """Multiply-adds of convolutions and linear layers; ``None`` where no source gives them."""
    params: float | None
    source: str
    resolution: int = 224
    """Height and width of its input, in pixels."""

    def network(self) -> nn.Module:
        """Return the network, initialised from seed 0 on the default device."""
        space = self.space()
        values = dict(zip(space.decisions.decisions, self.layers, strict=True))
        return space.build(space.decisions.architecture(values), seed=0)


def searched_layers(inputs: int, stages: Stages, options: Options) -> list[OneOf]:
    """Return one slot per layer, named ``layer1``, ``layer2`` and so on; ``inputs`` channels enter the first."""
    layers: list[OneOf] = []
    for outputs, depth, first_stride in stages:
        for position in range(depth):
            stride = first_stride if position == 0 else 1
            layers.append(OneOf(f"layer{len(layers) + 1}", **options(inputs, outputs, stride)))
            inputs = outputs
    return layers


def no_ops_last_in(stages: Stages, option: str) -> list[Equivalence]:
    """Say of each stage that ``option`` does nothing in the layers after its first, wherever among them it stands."""
    found, number = [], 0
    for _, depth, _ in stages:
        names = tuple(f"layer{number + position}" for position in range(2, depth + 1))
        found += [Equivalence(names, no_ops_last(option))] if names else []
        number += depth
    return found
