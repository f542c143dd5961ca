"""The closed form against counting the module, on networks nobody published."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from palmette.design_spaces.complexity import anynet_complexity, counted_complexity
from palmette.spaces.anynet import AnyNet, Skeleton, anynet, compatible_stages

SKELETONS = [
    Skeleton(),
    Skeleton(squeeze=0.25, channels=1, classes=10),
    Skeleton(squeeze=0.01, stem_width=8),  # rounds to no squeeze-and-excitation in narrow blocks
    Skeleton(block="ungrouped", stem="cifar", strides=(1, 2, 2)),
    Skeleton(block="linear", squeeze=0.25, stem="imagenet", strides=(1, 2, 2, 2, 1)),
    Skeleton(block="basic", stem="imagenet", head_width=24, strides=(1, 2)),
    Skeleton(block="vanilla", strides=(2, 1, 2)),
    Skeleton(block="single", head_width=8),
    Skeleton(block="residual-single", stem_width=8, strides=(1, 1, 2, 2)),
]


@pytest.mark.parametrize("skeleton", SKELETONS, ids=lambda skeleton: skeleton.block)
@pytest.mark.parametrize("resolution", [32, 37])
def test_closed_form_equals_counting(skeleton: Skeleton, resolution: int) -> None:
    generator = np.random.default_rng(resolution)
    stages = len(skeleton.strides)
    for _ in range(6):
        depths = generator.integers(1, 4, stages).tolist()
        widths = (8 * generator.integers(1, 9, stages)).tolist()
        bottlenecks = generator.choice([0.5, 1.0, 2.0, 4.0], stages).tolist()
        groups = generator.choice([1, 2, 4, 8, 16], stages).tolist()
        network = AnyNet(skeleton, compatible_stages(skeleton, depths, widths, bottlenecks, groups))
        with torch.device("meta"):
            module = anynet(network)
        counted = counted_complexity(module, (skeleton.channels, resolution, resolution))
        assert anynet_complexity(network, resolution) == counted


def test_a_network_counted_by_hand() -> None:
    # 8 x 8 x 1 -> stem of 4 channels, 4 x 4 -> one X block of stride 2, 8 channels, g = 4, 2 x 2 -> 3 classes
    skeleton = Skeleton(stem_width=4, strides=(2,), classes=3, channels=1)
    network = AnyNet(skeleton, compatible_stages(skeleton, [1], [8], [1], [4]))
    stem = 9 * 4 * 16
    block = 4 * 8 * 16 + 9 * 4 * 8 * 4 + 8 * 8 * 4 + 4 * 8 * 4
    assert anynet_complexity(network, 8) == {
        "flops": stem + block + 8 * 3 + 3,
        "params": (36 + 8) + (32 + 16) + (288 + 16) + (64 + 16) + (32 + 16) + 24 + 3,
        "acts": 4 * 16 + 8 * 16 + 8 * 4 + 8 * 4 + 8 * 4 + 3,
    }
