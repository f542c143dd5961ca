"""FBNet's space: size, blocks, and the costs of the published networks in both conventions (gradient.md 7.6)."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from palmette.blocks.fbnet_block import FBNetBlock, fbnet_block, rounded
from palmette.costs.complexity import complexity
from palmette.spaces.fbnet import PUBLISHED, fbnet, fbnet_small

# Multiply-accumulates and parameters in millions, as printed.
COSTS = {
    "fbnet-a": ("249.9", "4.321"),
    "fbnet-a-release": ("244.5", "4.320"),
    "fbnet-b-paper": ("296.6", "4.813"),
    "fbnet-b-release": ("291.0", "4.816"),
    "fbnet-c": ("385.0", "5.572"),
    "fbnet-c-release": ("378.1", "5.591"),
}


def counted(name: str) -> dict[str, int]:
    with torch.device("meta"):
        network = PUBLISHED[name].network()
    return complexity(network, (3, PUBLISHED[name].resolution, PUBLISHED[name].resolution))


def test_the_space_has_its_published_size_and_order_of_options() -> None:
    assert fbnet().decisions.count() == 9**22
    assert set(map(fbnet().decisions.values, fbnet().decisions.decisions)) == {
        ("k3_e1", "k3_e1_g2", "k3_e3", "k3_e6", "k5_e1", "k5_e1_g2", "k5_e3", "k5_e6", "skip")
    }


@pytest.mark.parametrize("name", COSTS)
def test_published_networks_have_their_published_costs(name: str) -> None:
    flops, params = COSTS[name]
    costs = counted(name)
    assert f"{costs['flops'] / 1e6:.1f}" == flops
    assert f"{costs['params'] / 1e6:.3f}" == params
    assert (costs["flops"], costs["params"]) == pytest.approx((PUBLISHED[name].flops, PUBLISHED[name].params), rel=3e-4)


def test_the_release_counts_the_elements_that_enter_the_last_pooling_too() -> None:
    last = {"fbnet-a-release": 1504, "fbnet-b-release": 1984, "fbnet-c-release": 1984}
    printed = [f"{(counted(name)['flops'] + 49 * width) / 1e6:.2f}" for name, width in last.items()]
    assert printed == ["244.53", "291.10", "378.23"]


def test_fbnet_96_has_the_12_8_million_of_the_release() -> None:
    assert f"{counted('fbnet-96-0.35-1-release')['flops'] / 1e6:.2f}" == "12.80"


def test_a_block_of_expansion_1_has_two_or_three_convolutions_and_biases_only_in_the_release() -> None:
    paper = FBNetBlock(kernel=3, expansion=1)
    release = FBNetBlock(kernel=3, expansion=1, released=True, biases=True)
    for block, convolutions, biases in ((paper, 3, 0), (release, 2, 2)):
        found = [m for m in fbnet_block(16, 24, block).modules() if isinstance(m, nn.Conv2d)]
        assert len(found) == convolutions
        assert sum(m.bias is not None for m in found) == biases


def test_two_groups_exchange_channels_between_the_1x1_convolutions() -> None:
    block = fbnet_block(4, 8, FBNetBlock(kernel=3, expansion=2, groups=2)).eval()
    for parameter in block.parameters():
        parameter.data.abs_()  # so that no ReLU ends what it hides
    x = torch.zeros(1, 4, 3, 3)
    x[:, 0] = 1.0  # of the first group of inputs
    changed = (block(x) - block(torch.zeros_like(x))).abs().sum((0, 2, 3)) > 0
    assert changed[4:].any()  # outputs of the second group


@pytest.mark.parametrize(
    ("channels", "expected"), [(16.0, 16), (11.99, 16), (11.0, 16), (20.0, 24), (19.9, 24), (130.95, 128), (3.0, 8)]
)
def test_widths_are_rounded_to_multiples_of_8_but_not_far_down(channels: float, expected: int) -> None:
    assert rounded(channels) == expected


def test_the_small_space_ends_in_maps_of_4_by_4() -> None:
    space = fbnet_small()
    network = space.build(space.decisions.parse("8" * 22), seed=0)
    assert network[:24](torch.zeros(1, 3, 32, 32)).shape[-2:] == (4, 4)  # type: ignore[index]
