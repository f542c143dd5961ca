"""NAS-Bench-Macro: 8 layers of 3 blocks each, with the true CIFAR-10 accuracy of every network in a public table.

Su et al., "Prioritized Architecture Sampling with Monto-Carlo Tree Search", 2021 (MCT-NAS), section 5. The
6,561 codes are 3,969 networks: within a stage, identities after the first layer are no-ops wherever they stand.
"""

from __future__ import annotations

from functools import partial

from torch import nn

from palmette.blocks.convolution import conv_bn
from palmette.blocks.inverted_residual import InvertedResidual
from palmette.decision import Equivalence, no_ops_last
from palmette.slots import OneOf
from palmette.space import Space

STAGES = ((64, 2), (128, 3), (256, 3))
"""Output channels and number of layers; the first layer of a stage has stride 2."""


def nas_bench_macro(*, classes: int = 10, channels: int = 3) -> Space:
    """Return the space; input ``[N, channels, 32, 32]`` in the benchmark, other sizes divisible by 8 work too."""
    equivalences = [Equivalence(tuple(stage[1:]), no_ops_last("identity")) for stage in _stage_names()]
    return Space(partial(_network, classes, channels), name="nas-bench-macro", equivalences=equivalences)


def _network(classes: int, channels: int) -> nn.Module:
    layers: list[nn.Module] = [conv_bn(channels, 32, 3)]
    inputs = 32
    for (outputs, _), names in zip(STAGES, _stage_names(), strict=True):
        for name in names:
            layers.append(_layer(name, inputs, outputs, stride=2 if name == names[0] else 1))
            inputs = outputs
    head = (conv_bn(inputs, 1280), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(1280, classes))
    return nn.Sequential(*layers, *head)


def _layer(name: str, inputs: int, outputs: int, *, stride: int) -> OneOf:
    keeps_shape = stride == 1 and inputs == outputs
    identity = nn.Identity if keeps_shape else partial(conv_bn, inputs, outputs, stride=stride, relu=False)
    block = partial(InvertedResidual, inputs, outputs, stride=stride)
    return OneOf(
        name,
        identity=identity,
        mb3_k3=partial(block, kernel=3, expansion=3),
        mb6_k5=partial(block, kernel=5, expansion=6),
    )


def _stage_names() -> list[list[str]]:
    names = (f"layer{i}" for i in range(1, 9))
    return [[next(names) for _ in range(depth)] for _, depth in STAGES]
