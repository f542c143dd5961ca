"""AnyNet: what a network is made of, its compatible widths and groups, its initial weights."""

from __future__ import annotations

import copy
from typing import get_args

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from palmette.blocks.residual import Residual
from palmette.blocks.squeeze_excitation import SqueezeExcitation
from palmette.errors import ArchitectureError
from palmette.plain import plain
from palmette.spaces.anynet import AnyNet, BlockName, Skeleton, Stage, anynet, compatible, compatible_stages
from palmette.spaces.regnet import published_regnets

SMALL = (Stage(1, 8), Stage(2, 16), Stage(1, 16), Stage(1, 24))


def moved(width: int, bottleneck: float, group: int) -> tuple[int, int]:
    widths, groups = compatible(np.array([width]), np.array([bottleneck]), np.array([group]), block="bottleneck")
    return int(widths[0]), int(groups[0])


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ((392, 1, 16), (384, 16)),  # 24.5 groups: a tie, to the even 24; half-up would give 400
        ((24, 1, 16), (32, 16)),  # 1.5 to the even 2
        ((168, 1, 112), (224, 112)),  # 1.5 to the even 2, a third wider
        ((80, 1, 120), (80, 80)),  # no group is wider than the inner width
        ((64, 4, 8), (64, 8)),  # 16 inner channels, 2 groups
        ((72, 4, 8), (64, 8)),  # 18 inner channels: 2.25 groups
        ((8, 4, 32), (8, 2)),
        ((3, 4, 1), (4, 1)),  # 0.75 inner channels become 1
        ((24, 0.5, 16), (24, 16)),  # inverted: 48 inner channels, unit lcm(16, 2)
        ((12, 0.25, 9), (9, 9)),  # 48 inner channels, unit lcm(9, 4) = 36
    ],
)
def test_widths_move_to_multiples_of_the_group_width(given: tuple[int, float, int], expected: tuple[int, int]) -> None:
    assert moved(*given) == expected


def test_compatible_widths_divide_and_move_by_at_most_a_third() -> None:
    generator = np.random.default_rng(0)
    widths = 8 * generator.integers(1, 129, 20_000)
    bottlenecks = generator.choice([1.0, 2.0, 4.0], 20_000)
    groups = generator.choice([1, 2, 4, 8, 16, 32], 20_000)
    new, fitting = compatible(widths, bottlenecks, groups, block="bottleneck")
    inner = new / bottlenecks
    assert (inner % fitting == 0).all()
    assert (np.abs(new - widths) <= widths / 3).all()


def test_blocks_without_groups_keep_their_widths() -> None:
    for block in ("basic", "vanilla", "single", "residual-single"):
        stages = compatible_stages(Skeleton(block=block), [1] * 4, [24] * 4, [4] * 4, [16] * 4)
        assert [(stage.width, stage.group_width) for stage in stages] == [(24, 1)] * 4
    stages = compatible_stages(Skeleton(block="ungrouped"), [1] * 4, [24] * 4, [2] * 4, [16] * 4)
    assert [(stage.width, stage.group_width) for stage in stages] == [(24, 12)] * 4


def test_squeeze_and_excitation_is_a_quarter_of_the_input_width_of_its_block() -> None:
    network = anynet(published_regnets()["RegNetY-400MF"])
    inner = [m.weights[1].out_channels for m in network.modules() if isinstance(m, SqueezeExcitation)]
    # input widths: 32 | 48 104 104 | 104 208 x 5 | 208 440 x 5
    assert inner == [8, 12, 26, 26, 26, *[52] * 5, 52, *[110] * 5]


def test_the_stride_is_on_the_three_by_three_and_projections_only_where_the_shape_changes() -> None:
    network = anynet(AnyNet(Skeleton(strides=(1, 2, 1, 2), stem_width=8), SMALL))
    blocks = [module for module in network.modules() if isinstance(module, Residual)]
    strides = [[layer.stride[0] for layer in block.main if isinstance(layer, nn.Conv2d)] for block in blocks]
    assert strides == [[1, 1, 1], [1, 2, 1], [1, 1, 1], [1, 1, 1], [1, 2, 1]]
    assert [not isinstance(block.shortcut, nn.Identity) for block in blocks] == [False, True, False, False, True]


def test_an_x_block_computes_what_its_layers_say() -> None:
    torch.manual_seed(0)
    block = next(m for m in anynet(AnyNet(Skeleton(squeeze=0.25), SMALL)).modules() if isinstance(m, Residual)).eval()
    conv1, bn1, _, conv2, bn2, _, gate, conv3, bn3 = block.main
    squeeze, excite = gate.weights[1], gate.weights[3]
    x = torch.randn(2, 32, 6, 6)

    def by_hand(x: Tensor) -> Tensor:
        y = bn1(conv1(x)).relu()
        y = bn2(conv2(y)).relu()
        y = y * excite(squeeze(y.mean((2, 3), keepdim=True)).relu()).sigmoid()
        return (bn3(conv3(y)) + block.shortcut(x)).relu()

    assert torch.allclose(block(x), by_hand(x), atol=1e-6)


def test_linear_bottlenecks_have_a_shortcut_only_where_the_shape_is_kept() -> None:
    network = anynet(AnyNet(Skeleton(block="linear"), SMALL))
    assert [len(list(stage)) for stage in network[1:5]] == [1, 2, 1, 1]
    residual = [[isinstance(block, Residual) for block in stage] for stage in network[1:5]]
    assert residual == [[False], [False, True], [False], [False]]


@pytest.mark.parametrize("block", get_args(BlockName))
def test_every_block_runs_at_any_resolution_and_leaves_as_a_plain_network(block: BlockName) -> None:
    skeleton = Skeleton(block=block, classes=7, channels=2, head_width=10, activation="silu")
    network = anynet(AnyNet(skeleton, SMALL), seed=0).eval()
    x = torch.randn(2, 2, 33, 47)
    expected = network(x)
    assert expected.shape == (2, 7)
    assert torch.equal(plain(copy.deepcopy(network))(x), expected)


def test_initial_weights_have_the_published_spread() -> None:
    network = anynet(published_regnets()["RegNetX-400MF"], seed=0)
    last = network[4][0].main[3]  # grouped 3x3 of 384 channels; fan-out is not divided by its 24 groups
    assert last.groups == 24
    assert float(last.weight.detach().std()) == pytest.approx((2 / (9 * 384)) ** 0.5, rel=0.02)
    classifier = network[-1]
    assert float(classifier.weight.detach().std()) == pytest.approx(0.01, rel=0.02)
    assert not classifier.bias.any()


def test_one_seed_is_one_network() -> None:
    network = AnyNet(Skeleton(), SMALL)
    one, same, other = (anynet(network, seed=seed).state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert any(not torch.equal(one[name], other[name]) for name in one)


def test_groups_that_do_not_divide_are_refused() -> None:
    with pytest.raises(ArchitectureError, match="24 inner channels do not divide into groups of 16"):
        AnyNet(Skeleton(strides=(2,)), (Stage(1, 24, 1, 16),))


def test_as_many_stages_as_strides_are_needed() -> None:
    with pytest.raises(ArchitectureError, match="1 stages and 4 strides"):
        AnyNet(Skeleton(), (Stage(1, 24),))


def test_squeeze_and_excitation_needs_a_bottleneck() -> None:
    with pytest.raises(ArchitectureError, match="'basic' has no squeeze-and-excitation"):
        Skeleton(block="basic", squeeze=0.25)
