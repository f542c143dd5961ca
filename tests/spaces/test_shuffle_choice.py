"""The SPOS block space against the costs that the released code and the paper give (at 224 x 224)."""

from __future__ import annotations

import numpy as np
import pytest

from palmette.costs.complexity import CostTable, complexity
from palmette.errors import ArchitectureError
from palmette.space import Space
from palmette.spaces.shuffle_choice import PUBLISHED, shuffle_choice, shuffle_network

SHAPE = (3, 224, 224)
MMACS = {  # first block of each stage, then each of its others: k3, k5, k7, xception
    1: (13.397, 15.805, 19.418, 13.146),
    2: (7.326, 8.931, 11.340, 12.343),
    5: (26.305, 28.111, 30.821, 20.296),
    6: (10.600, 11.603, 13.108, 16.746),
    9: (30.670, 31.674, 33.179, 21.199),
    10: (10.317, 10.819, 11.572, 15.900),
    17: (30.388, 30.890, 31.642, 20.635),
    18: (10.176, 10.427, 10.804, 15.476),
}
PARAMS = {
    1: (3024, 3792, 4944, 4640),
    2: (2528, 3040, 3808, 4320),
    5: (18960, 21264, 24720, 27104),
    6: (14000, 15280, 17200, 22320),
    9: (81280, 86400, 94080, 110720),
    10: (53600, 56160, 60000, 83040),
    17: (316160, 326400, 341760, 426240),
    18: (209600, 214720, 222400, 319680),
}


@pytest.fixture(scope="module")
def space() -> Space:
    return shuffle_choice()


@pytest.fixture(scope="module")
def table(space: Space) -> CostTable:
    return CostTable(space, SHAPE)


def test_there_are_four_to_the_power_of_twenty_networks(space: Space) -> None:
    assert space.decisions.count() == space.decisions.count_distinct() == 4**20


@pytest.mark.parametrize("block", range(1, 21))
def test_costs_of_each_block_equal_the_notes(table: CostTable, block: int) -> None:
    listed = max(first for first in MMACS if first <= block)
    options = table.options[f"block{block}"]
    np.testing.assert_array_equal((options[:, 0] / 1e6).round(3), MMACS[listed])
    np.testing.assert_array_equal(options[:, 1], PARAMS[listed])


def test_fixed_layers_cost_their_share(table: CostTable) -> None:
    assert table.fixed[0] / 1e6 == pytest.approx(5.419 + 33.137, abs=1e-3)


@pytest.mark.parametrize(
    ("gene", "mflops", "mparams"), [(0, 295.84, 3.155), (1, 313.65, 3.212), (2, 340.37, 3.298), (3, 358.83, 3.871)]
)
def test_networks_of_one_choice_cost_what_the_notes_say(
    space: Space, table: CostTable, gene: int, mflops: float, mparams: float
) -> None:
    architecture = space.decisions.parse(str(gene) * 20)
    counted = complexity(space.build(architecture, seed=0), SHAPE)
    assert counted == table(architecture)
    assert round(counted["flops"] / 1e6, 2) == mflops
    assert round(counted["params"] / 1e6, 3) == mparams


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_networks_have_their_published_costs(space: Space, table: CostTable, name: str) -> None:
    published = PUBLISHED[name]
    counted = complexity(shuffle_network(published.genes, published.scales), SHAPE)
    assert round(counted["flops"], -5) == published.flops
    assert round(counted["params"], -4) == pytest.approx(published.params, abs=10_000)
    if set(published.scales) == {1.0}:
        architecture = space.decisions.parse("".join(map(str, published.genes)))
        assert counted == table(architecture) == complexity(space.build(architecture, seed=0), SHAPE)


def test_sampled_networks_cost_as_much_as_those_of_the_notes(space: Space, table: CostTable) -> None:
    generator = np.random.default_rng(0)
    flops = table.all([space.decisions.sample(generator) for _ in range(5000)])[:, 0] / 1e6
    assert flops.mean() == pytest.approx(327.1, abs=0.7)
    assert flops.std() == pytest.approx(11.8, abs=0.5)


@pytest.mark.parametrize("genes", [(0,) * 19, (4,) * 20])
def test_wrong_genes_are_refused(genes: tuple[int, ...]) -> None:
    with pytest.raises(ArchitectureError, match="give 20 of them, each 0, 1, 2 or 3"):
        shuffle_network(genes)


def test_wrong_scales_are_refused() -> None:
    with pytest.raises(ArchitectureError, match=r"give 20 of them, each from 0\.1 to 4"):
        shuffle_network((0,) * 20, (0.0,) * 20)
