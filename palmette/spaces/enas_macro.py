"""ENAS's macro space: a whole network, layer by layer, each one of six operations and any of the skip connections.

Pham et al., "Efficient Neural Architecture Search via Parameter Sharing", ICML 2018, section 2.3; enas.md 3.1. A layer
reads the layer before it; then any of the earlier tensors join: in depth, followed by a 1x1 convolution, BatchNorm and
ReLU as in the paper, or by plain sums as in the released search. Two thirds of the way are factorised reductions, each
of all tensors so far. L layers have 6^L 2^(L(L-1)/2) architectures, 1.6e29 for 12.

A 1x1 convolution of a concatenation is a sum of 1x1 convolutions, one per tensor: that form is used here, in which
every skip connection owns its weights. Parameters and multiply-accumulates are the same; ``acts`` counts each summand.

Defects of the released code that are not repeated: operations that were bound late, so that all six ran the last one;
separable convolutions and pooling that its final networks lack.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Literal

from torch import Tensor, nn

from palmette.blocks.convolution import conv_bn
from palmette.blocks.factorized_reduce import FactorizedReduce
from palmette.decision import Node
from palmette.errors import ArchitectureError
from palmette.graph_slots import AnyOf
from palmette.slots import Factory, OneOf
from palmette.space import Space

OPERATIONS = ("conv3", "sep3", "conv5", "sep5", "avg3", "max3")
"""In the order of the released code's numbers."""
FEWEST_FILTERS = 8
"""With fewer input channels the gradient of a 1x1 convolution of stride 2 crashes PyTorch 2.13 on a CPU."""
Join = Literal["convolution", "sum"]


def enas_macro(
    *,
    classes: int = 10,
    channels: int = 3,
    layers: int = 12,
    filters: int = 36,
    join: Join = "convolution",
    dropout: float = 0.1,
) -> Space:
    """Return the space; input ``[N, channels, H, W]`` with H and W divisible by 4.

    Args:
        classes: of the images.
        channels: of the images.
        layers: a multiple of 3.
        filters: channels of every layer; even, and at least 8.
        join: how skip connections join, as the paper says or as the released search does.
        dropout: share of features left out before the classifier.

    Raises:
        ArchitectureError: a number of layers that has no third, or of filters that reductions cannot halve.
    """
    if layers < 3 or layers % 3:
        raise ArchitectureError(f"enas-macro: layers = {layers} was given; give a multiple of 3")
    if filters < FEWEST_FILTERS or filters % 2:
        raise ArchitectureError(f"enas-macro: filters = {filters} was given; give an even number from {FEWEST_FILTERS}")
    network = partial(MacroNetwork, classes, channels, layers, filters, join=join, dropout=dropout)
    nodes = [Node("stem"), Node("layer1", ("op1",))]
    nodes += [Node(f"layer{i}", (f"op{i}", f"skips{i}")) for i in range(2, layers + 1)]
    return Space(network, name="enas-macro", nodes=nodes)


class MacroNetwork(nn.Module):
    """``[N, channels, H, W]`` to logits ``[N, classes]``."""

    def __init__(self, classes: int, channels: int, layers: int, filters: int, *, join: Join, dropout: float) -> None:
        super().__init__()
        self.stem = conv_bn(channels, filters, 3, relu=False)
        self.layers = nn.ModuleList(_Layer(i, filters, join) for i in range(1, layers + 1))
        self.reductions = nn.ModuleDict(
            {
                str(i): nn.ModuleList(FactorizedReduce(filters, filters, relu=False) for _ in range(i + 1))
                for i in (layers // 3, 2 * layers // 3)
            }
        )
        head = (nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(dropout), nn.Linear(filters, classes, bias=False))
        self.head = nn.Sequential(*head)

    def forward(self, x: Tensor) -> Tensor:
        stored = [self.stem(x)]
        for i, layer in enumerate(self.layers, start=1):
            stored.append(layer(stored))
            if str(i) in self.reductions:
                reductions: Sequence[nn.Module] = self.reductions[str(i)]  # type: ignore[assignment]
                stored = [reduce(tensor) for reduce, tensor in zip(reductions, stored, strict=True)]
        logits: Tensor = self.head(stored[-1])
        return logits


class _Layer(nn.Module):
    """One operation on the last of the stored tensors, and any of those before it joined to its output."""

    def __init__(self, number: int, filters: int, join: Join) -> None:
        super().__init__()
        self.op = OneOf(f"op{number}", **operations(filters))
        self.joins = number > 1
        if self.joins:
            one: Factory = nn.Identity if join == "sum" else partial(nn.Conv2d, filters, filters, 1, bias=False)
            earlier = ["stem", *(f"layer{j}" for j in range(1, number - 1))]
            self.own = one()
            self.skips = AnyOf(f"skips{number}", dict.fromkeys(earlier, one))
            norm = nn.BatchNorm2d(filters)
            self.joined = norm if join == "sum" else nn.Sequential(norm, nn.ReLU(inplace=True))

    def forward(self, stored: Sequence[Tensor]) -> Tensor:
        out: Tensor = self.op(stored[-1])
        return self.joined(self.skips(stored[:-1], self.own(out))) if self.joins else out


def operations(filters: int) -> dict[str, Factory]:
    """Return the six operations, each after a 1x1 convolution of its own; pooling is followed by nothing."""
    return {
        "conv3": partial(_convolution, filters, 3),
        "sep3": partial(_separable, filters, 3),
        "conv5": partial(_convolution, filters, 5),
        "sep5": partial(_separable, filters, 5),
        "avg3": partial(_pooling, filters, partial(nn.AvgPool2d, 3, 1, padding=1, count_include_pad=False)),
        "max3": partial(_pooling, filters, partial(nn.MaxPool2d, 3, 1, padding=1)),
    }


def _convolution(filters: int, kernel: int) -> nn.Module:
    return nn.Sequential(conv_bn(filters, filters), conv_bn(filters, filters, kernel))


def _separable(filters: int, kernel: int) -> nn.Module:
    depthwise = nn.Conv2d(filters, filters, kernel, padding=kernel // 2, groups=filters, bias=False)
    return nn.Sequential(conv_bn(filters, filters), depthwise, conv_bn(filters, filters))


def _pooling(filters: int, pool: Factory) -> nn.Module:
    return nn.Sequential(conv_bn(filters, filters), pool())
