"""MobileNetV2 blocks by kernel, expansion and squeeze-and-excitation: the ImageNet spaces of GreedyNAS and FairNAS.

GreedyNAS (You et al., 2020, section 5; sampling.md 3.8): 21 layers of 6 blocks or nothing, 7^21 codes; each block with
or without squeeze-and-excitation, 13^21, which MCT-NAS (Su et al., 2021) searches too. FairNAS (Chu et al., 2019;
sampling.md 4): 19 layers of 6 blocks, 6^19 codes. ``PUBLISHED`` holds their networks. Input ``[N, 3, 224, 224]`` in the
papers; other sizes divisible by 32 work too.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from torch import nn

from palmette.blocks.convolution import Activation, conv_bn, hard_swish, in_place_relu, relu6
from palmette.blocks.inverted_residual import InvertedResidual
from palmette.slots import Factory
from palmette.space import Space
from palmette.spaces.stages import Options, Published, Stages, no_ops_last_in, searched_layers

GREEDY_STAGES = ((32, 4, 2), (40, 4, 2), (80, 4, 2), (96, 4, 1), (192, 4, 2), (320, 1, 1))
FAIR_STAGES = ((32, 2, 2), (40, 4, 2), (80, 4, 2), (96, 4, 1), (192, 4, 2), (320, 1, 1))
"""Output channels, number of layers, and stride of the first."""
STEM, FIRST, HEAD = 32, 16, 1280


def greedy_mobile(*, classes: int = 1000, channels: int = 3) -> Space:
    """Return the plain space of GreedyNAS, 7^21 codes, with ReLU."""
    network = partial(_network, GREEDY_STAGES, _greedy_options, in_place_relu, 0.0, classes, channels)
    return Space(network, name="greedy-mobile", equivalences=no_ops_last_in(GREEDY_STAGES, "identity"))


def greedy_mobile_se(*, classes: int = 1000, channels: int = 3) -> Space:
    """Return the space of GreedyNAS with squeeze-and-excitation, 13^21 codes, with hard swish."""
    network = partial(_network, GREEDY_STAGES, _greedy_se_options, hard_swish, 0.0, classes, channels)
    return Space(network, name="greedy-mobile-se", equivalences=no_ops_last_in(GREEDY_STAGES, "identity"))


def fair_mobile(*, classes: int = 1000, channels: int = 3, dropout: float = 0.2) -> Space:
    """Return the space of FairNAS, 6^19 codes, with ReLU6; every layer has as many options."""
    return Space(partial(_network, FAIR_STAGES, _fair_options, relu6, dropout, classes, channels), name="fair-mobile")


def _network(
    stages: Stages, options: Options, activation: Activation, dropout: float, classes: int, channels: int
) -> nn.Module:
    stem = conv_bn(channels, STEM, 3, stride=2, activation=activation)
    first = InvertedResidual(STEM, FIRST, kernel=3, expansion=1, activation=activation)
    head = [conv_bn(stages[-1][0], HEAD, activation=activation), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    regular = [nn.Dropout(dropout)] if dropout else []
    layers = searched_layers(FIRST, stages, options)
    return nn.Sequential(stem, first, *layers, *head, *regular, nn.Linear(HEAD, classes))


def _greedy_options(inputs: int, outputs: int, stride: int) -> dict[str, Factory]:
    return {**mobile_blocks(inputs, outputs, stride, in_place_relu), "identity": _identity(inputs, outputs, stride)}


def _greedy_se_options(inputs: int, outputs: int, stride: int) -> dict[str, Factory]:
    """Return them in the order of the authors: by expansion, without and then with squeezing; identity last."""
    without = mobile_blocks(inputs, outputs, stride, hard_swish)
    squeezed = {f"{name}_se": partial(block, squeeze=True) for name, block in without.items()}
    blocks = {**without, **squeezed}
    order = [f"e{e}_k{k}{se}" for e in (3, 6) for se in ("", "_se") for k in (3, 5, 7)]
    return {**{name: blocks[name] for name in order}, "identity": _identity(inputs, outputs, stride)}


def _fair_options(inputs: int, outputs: int, stride: int) -> dict[str, Factory]:
    return dict(mobile_blocks(inputs, outputs, stride, relu6))


def mobile_blocks(
    inputs: int, outputs: int, stride: int, activation: Activation
) -> dict[str, partial[InvertedResidual]]:
    """Return the six blocks of expansion 3 and 6 and kernel 3, 5 and 7 by name, as ``e3_k5``."""
    block = partial(InvertedResidual, inputs, outputs, stride=stride, activation=activation)
    return {f"e{e}_k{k}": partial(block, kernel=k, expansion=e) for e in (3, 6) for k in (3, 5, 7)}


def _identity(inputs: int, outputs: int, stride: int) -> Factory:
    """Return what does nothing where the shape is kept, and the least that changes it elsewhere."""
    if stride == 1 and inputs == outputs:
        return nn.Identity
    return partial(conv_bn, inputs, outputs, stride=stride, relu=False)


def _layers(text: str) -> tuple[str, ...]:
    """Read the notation of the papers' tables: ``e3k5s`` with and ``e3k5-`` without squeezing, ``id``."""
    names = {"id": "identity"}
    return tuple(names.get(t) or f"{t[:2]}_{t[2:4]}{'_se' if t[4:] == 's' else ''}" for t in text.split())


def _greedy(text: str, flops: float, params: float, source: str) -> Published:
    return Published(greedy_mobile_se, _layers(text), flops, params, source)


def _fair(pairs: str, flops: float, params: float, source: str) -> Published:
    """Read ``37 33 ...``: expansion and kernel of each layer."""
    return Published(fair_mobile, tuple(f"e{pair[0]}_k{pair[1]}" for pair in pairs.split()), flops, params, source)


PUBLISHED: Mapping[str, Published] = {
    "greedynas-a": _greedy(
        "e3k5s e3k3- id e3k3s  e3k5- e3k7- e6k3s e6k5s  e3k5s e3k7s e6k7- e3k5-  e3k5s e3k3s e6k3- e3k7s  "
        "e3k7s e6k7s e3k5- e6k3s  e6k7s",
        369.94e6,
        6.50e6,
        "hunto/image_classification_sota configs/models/GreedyNAS, top-1 77.1",
    ),
    "greedynas-b": _greedy(
        "e3k5s e3k5s e3k5s id  e3k5s e3k7s e3k5s e3k3-  e6k5- id e3k7s e3k7s  e3k3s e3k5- e3k5- e3k7s  "
        "e6k5s e3k7s e3k3s e3k7s  e6k7s",
        323.48e6,
        5.21e6,
        "hunto/image_classification_sota configs/models/GreedyNAS, top-1 76.8",
    ),
    "greedynas-c": _greedy(
        "e3k7- id id e3k3s  e3k5s id e3k3s e3k3s  e3k7s e6k5s e3k5s id  e3k5s e3k5- e6k3- e3k7-  "
        "e3k5s e3k3- e3k7s e3k5-  e6k7s",
        284.27e6,
        4.74e6,
        "hunto/image_classification_sota configs/models/GreedyNAS, top-1 76.2",
    ),
    "mct-nas-a": _greedy(
        "e6k3s e3k3s e3k3s e3k3s  e3k3s e3k5s e3k5s e3k3s  e6k3s e3k5s e3k5s e6k3s  e6k3s e6k7s e6k3s e6k5s  "
        "e6k7s e6k7s e6k5s e6k5s  e6k7s",
        441.68e6,
        8.45e6,
        "hunto/image_classification_sota configs/models/MCT-NAS, top-1 78.0",
    ),
    "mct-nas-b": _greedy(
        "e3k7s id id e3k3s  e3k5s e3k5s e6k3s e3k3s  e3k3s id e6k5s e6k5s  e6k5s e3k3s e3k3s e3k3s  "
        "e6k5s e3k5s e6k7s e3k3s  e6k7s",
        327.26e6,
        6.41e6,
        "hunto/image_classification_sota configs/models/MCT-NAS, top-1 76.9",
    ),
    "mct-nas-c": _greedy(
        "e3k3s id e3k3s e3k3s  e3k5s e3k5s e3k3s e3k3s  e3k5s e3k7s id e3k5s  e3k7s e3k7s id e3k3s  "
        "e3k5s e3k5s e3k5s e3k7s  e6k7s",
        280.32e6,
        4.95e6,
        "hunto/image_classification_sota configs/models/MCT-NAS, top-1 76.3",
    ),
    "fairnas-a": _fair(
        "37 33  37 63 67 33  33 67 67 35  63 35 35 63  63 67 63 67  65",
        388.1e6,
        4.65e6,
        "xiaomi-automl/FairNAS models/FairNAS_A.py, top-1 75.3",
    ),
    "fairnas-b": _fair(
        "35 33  35 33 63 35  37 33 63 35  33 63 37 33  67 65 67 63  65",
        345.3e6,
        4.51e6,
        "xiaomi-automl/FairNAS, top-1 75.1",
    ),
    "fairnas-c": _fair(
        "35 33  37 33 33 33  33 33 33 63  33 33 33 33  67 67 63 63  65",
        321.0e6,
        4.40e6,
        "xiaomi-automl/FairNAS, top-1 74.7",
    ),
}
