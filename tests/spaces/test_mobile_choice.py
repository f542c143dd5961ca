"""The MobileNetV2 spaces of GreedyNAS and FairNAS: sizes, and costs of the published networks."""

from __future__ import annotations

import pytest

from palmette.costs.complexity import CostTable, complexity
from palmette.spaces.mobile_choice import PUBLISHED, fair_mobile, greedy_mobile, greedy_mobile_se

# Multiply-accumulates of convolutions and linear layers in millions, those of squeeze-and-excitation apart, and
# parameters in millions (sampling.md 3.9 and 4).
COSTS = {
    "greedynas-a": (367.7, 2.24, 6.50),
    "greedynas-b": (322.0, 1.48, 5.21),
    "greedynas-c": (283.2, 1.07, 4.74),
    "mct-nas-a": (438.0, 3.68, 8.45),
    "mct-nas-b": (324.9, 2.36, 6.41),
    "mct-nas-c": (278.9, 1.42, 4.95),
    "fairnas-a": (388.1, 0.0, 4.65),
    "fairnas-b": (345.3, 0.0, 4.51),
    "fairnas-c": (321.0, 0.0, 4.40),
}


def test_the_spaces_have_their_published_sizes() -> None:
    assert greedy_mobile().decisions.count() == 7**21
    assert greedy_mobile_se().decisions.count() == 13**21
    assert fair_mobile().decisions.count() == fair_mobile().decisions.count_distinct() == 6**19


def test_options_stand_in_the_order_of_the_authors() -> None:
    options = greedy_mobile_se().decisions.values("layer1")
    assert options[:7] == ("e3_k3", "e3_k5", "e3_k7", "e3_k3_se", "e3_k5_se", "e3_k7_se", "e6_k3")
    assert options[-1] == "identity"
    assert greedy_mobile().decisions.values("layer21") == (
        "e3_k3", "e3_k5", "e3_k7", "e6_k3", "e6_k5", "e6_k7", "identity",
    )  # fmt: skip


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_networks_have_their_published_costs(name: str) -> None:
    published = PUBLISHED[name]
    space = published.space()
    names = list(space.decisions.decisions)
    architecture = space.decisions.architecture(dict(zip(names, published.layers, strict=True)))
    costs = CostTable(space, (3, 224, 224))(architecture)
    layers, squeezing, params = COSTS[name]
    assert costs["flops"] / 1e6 == pytest.approx(layers + squeezing, abs=0.06)
    assert costs["params"] / 1e6 == pytest.approx(params, abs=0.006)
    assert (published.flops, published.params) == pytest.approx((costs["flops"], costs["params"]), rel=2e-3)
    assert complexity(space.build(architecture, seed=0), (3, 224, 224)) == costs
