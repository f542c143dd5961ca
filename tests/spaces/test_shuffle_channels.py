"""The width spaces of SPOS: their sizes and the published network."""

from __future__ import annotations

import numpy as np
import pytest

from palmette.costs.complexity import CostTable, complexity
from palmette.errors import ArchitectureError
from palmette.spaces.shuffle_channels import joint_architecture, shuffle_channels, shuffle_joint
from palmette.spaces.shuffle_choice import PUBLISHED, shuffle_network
from palmette.spaces.small_widths import small_widths


@pytest.mark.slow
def test_published_networks_are_architectures_of_the_joint_space_with_published_costs() -> None:
    space = shuffle_joint()
    table = CostTable(space, (3, 224, 224))
    for published in PUBLISHED.values():
        costs = table(joint_architecture(space, published))
        assert costs["flops"] == pytest.approx(published.flops, abs=0.05e6)
        assert costs["params"] == pytest.approx(published.params, abs=0.005e6)
    network = PUBLISHED["spos-block-channel-search"]
    counted = complexity(shuffle_network(network.genes, network.scales), (3, 224, 224))
    assert table(joint_architecture(space, network)) == counted


def test_sizes_of_the_spaces() -> None:
    assert shuffle_channels().decisions.count() == 10**20
    assert shuffle_joint().decisions.count() == 40**20
    assert small_widths().decisions.count() == 5**6


def test_widths_of_fixed_blocks_cost_what_the_built_network_counts() -> None:
    space = shuffle_channels(choice="k5")
    table = CostTable(space, (3, 64, 64))
    for seed in range(3):
        architecture = space.decisions.sample(np.random.default_rng(seed))
        scales = [float(str(value)) for _, value in architecture.values]
        assert table(architecture) == complexity(shuffle_network((1,) * 20, scales), (3, 64, 64))


def test_an_unknown_choice_is_refused() -> None:
    with pytest.raises(ArchitectureError, match="choice 'k9': allowed are k3, k5, k7, xception"):
        shuffle_channels(choice="k9")
