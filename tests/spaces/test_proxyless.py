"""ProxylessNAS's space: its size, and the costs of the released networks as logged (gradient.md 9.12)."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from palmette.costs.complexity import complexity
from palmette.spaces.proxyless import PUBLISHED, proxyless, proxyless_small

COSTS = {
    "proxyless-mobile": ("4.081", "320.43"),
    "proxyless-gpu": ("7.120", "465.26"),
    "proxyless-cpu": ("4.362", "439.24"),
    "proxyless-mobile-14": ("6.858", "580.88"),
}
"""Parameters and multiply-accumulates in millions."""


def test_nothing_is_an_option_of_the_15_layers_that_keep_the_shape() -> None:
    decisions = proxyless().decisions
    assert decisions.count() == 6**6 * 7**15
    assert "identity" not in decisions.values("layer13")  # stage 4 changes the width, though not the resolution


@pytest.mark.parametrize("name", COSTS)
def test_released_networks_have_their_logged_costs(name: str) -> None:
    with torch.device("meta"):
        network = PUBLISHED[name].network()
    costs = complexity(network, (3, 224, 224))
    assert (f"{costs['params'] / 1e6:.3f}", f"{costs['flops'] / 1e6:.2f}") == COSTS[name]
    assert (costs["flops"], costs["params"]) == pytest.approx((PUBLISHED[name].flops, PUBLISHED[name].params), rel=3e-4)


def test_batch_norm_has_the_epsilon_of_the_released_code_everywhere() -> None:
    space = proxyless_small()
    network = space.build(space.decisions.parse("0" * 21), seed=0)
    assert {m.eps for m in network.modules() if isinstance(m, nn.BatchNorm2d)} == {1e-3}


def test_the_small_space_ends_in_maps_of_4_by_4() -> None:
    space = proxyless_small()
    network = space.build(space.decisions.parse("0" * 21), seed=0)
    assert network[:24](torch.zeros(1, 3, 32, 32)).shape[-2:] == (4, 4)  # type: ignore[index]
