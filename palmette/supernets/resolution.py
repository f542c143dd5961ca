"""Resolution: one network for several input sizes, which subsamples its input (FBNetV2, Wan et al., 2020, section 3.2).

The input is subsampled to the nearest pixels *before* the network, so that its kernels see what they see in the
stand-alone network; running it on a large map filled with zeros would shrink their field. What the paper sums on a
common lattice of the large map is here summed after the network has pooled over positions, which is the same, as only
filled positions count.
"""

from __future__ import annotations

import operator
from collections.abc import Iterator, Sequence
from functools import reduce

from torch import Tensor, nn

from palmette.architecture import Architecture
from palmette.choice import checkpointed, picked, terms
from palmette.decision import Categorical, Condition, Decision
from palmette.errors import ArchitectureError
from palmette.slots import Factory, Slot, not_filled


class Subsample(nn.Module):
    """``[N, C, H, W]`` to ``[N, C, size, size]`` by the nearest of the pixels, no mixture of them."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.interpolate(x, size=(self.size, self.size), mode="nearest-exact")


class ResolutionOneOf(Slot):
    """A network behind one of several subsamplings of its input; it may hold slots, and has one set of weights.

    ``[N, C, H, W]`` to whatever the network gives, which must have one shape for all sizes: let it end in a pooling
    over positions. Weights over the sizes run one size after another, and keep the activations of none: the backward
    pass computes them again, so memory is that of one size.
    """

    def __init__(self, name: str, sizes: Sequence[int], network: Factory) -> None:
        super().__init__()
        if not sizes or min(sizes) < 1 or list(sizes) != sorted(set(sizes)):
            raise ArchitectureError(f"slot {name!r}: sizes {list(sizes)}; give positive integers in rising order")
        self.name = name
        self.sizes = tuple(sizes)
        self.factory = network
        self.network: nn.Module | None = None

    def decisions(self) -> Sequence[Decision]:
        return [Categorical(self.name, tuple(map(str, self.sizes)), ordered=True)]

    def nested(self) -> Iterator[tuple[Condition, nn.Module]]:
        return (((self.name, str(size)), nn.Sequential(Subsample(size), self.factory())) for size in self.sizes)

    def build(self, architecture: Architecture) -> nn.Module:
        return nn.Sequential(Subsample(int(str(architecture[self.name]))), self.factory())

    def fill(self) -> None:
        self.network = self.factory()

    def active(self, architecture: Architecture) -> nn.Module:
        assert self.network is not None
        return nn.Sequential(Subsample(int(str(architecture[self.name]))), self.network)

    def forward(self, x: Tensor) -> Tensor:
        if self.network is None:
            raise not_filled(self.name)
        picks = terms(picked(self.name), len(self.sizes))
        if len(picks) == 1 and picks[0][1] is None:
            alone: Tensor = self.network(self._at(x, picks[0][0]))
            return alone
        outputs = [checkpointed(self.network, self._at(x, i)) for i, _ in picks]
        weighted = [y if weight is None else weight * y for y, (_, weight) in zip(outputs, picks, strict=True)]
        total: Tensor = reduce(operator.add, weighted)
        return total

    def _at(self, x: Tensor, index: int) -> Tensor:
        subsampled: Tensor = Subsample(self.sizes[index])(x)
        return subsampled
