"""FBNetV2's published networks: their costs, and how the release's own figures follow (gradient.md 8.6)."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from palmette.costs.complexity import complexity
from palmette.spaces.fbnet_v2 import PUBLISHED

# Multiply-accumulates in millions and parameters, and both in millions as the release prints them.
COSTS = {
    "fbnet-v2-f1": ("56.232", 6_026_336, "56.41", "5.999"),
    "fbnet-v2-f2": ("85.163", 6_026_336, "85.44", "5.999"),
    "fbnet-v2-f3": ("121.424", 6_926_816, "121.82", "6.900"),
    "fbnet-v2-f4": ("237.606", 7_024_848, "238.35", "6.995"),
    "fbnet-v2-l1": ("325.025", 8_540_760, "326.02", "8.497"),
    "fbnet-v2-l2": ("422.610", 8_540_760, "423.91", "8.497"),
}


@pytest.mark.parametrize("name", COSTS)
def test_published_networks_have_their_published_costs_in_both_conventions(name: str) -> None:
    published = PUBLISHED[name]
    shape = (3, published.resolution, published.resolution)
    with torch.device("meta"):
        network = published.network()
    costs = complexity(network, shape)
    flops, params, printed_flops, printed_params = COSTS[name]
    assert f"{costs['flops'] / 1e6:.3f}" == flops
    assert costs["params"] == params == published.params
    assert costs["flops"] == published.flops
    assert f"{(costs['flops'] + pooled_elements(network, shape)) / 1e6:.2f}" == printed_flops
    weights = [m.weight.numel() for m in network.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    assert f"{sum(weights) / 1e6:.3f}" == printed_params


def test_f0_counts_as_its_comment_says_without_the_last_layer() -> None:
    with torch.device("meta"):
        network = PUBLISHED["fbnet-v2-f0"].network()
    costs = complexity(network, (3, 224, 224))
    assert (f"{costs['flops'] / 1e6:.2f}", f"{costs['params'] / 1e6:.3f}") == ("66.28", "2.824")


def pooled_elements(network: nn.Module, shape: tuple[int, int, int]) -> int:
    """Return how many elements enter average poolings."""
    entered: list[int] = []

    def note(module: nn.Module, inputs: tuple[Tensor]) -> None:
        entered.append(inputs[0].numel())

    for module in network.modules():
        if isinstance(module, nn.AdaptiveAvgPool2d):
            module.register_forward_pre_hook(note)
    network.eval()(torch.empty(1, *shape, device="meta"))
    return sum(entered)
