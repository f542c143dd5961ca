"""The account of a search: which costs the sentence on random search tells."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from palmette.costs.limits import Limits
from palmette.data.options import Splits
from palmette.data.sources import load
from palmette.methods.account import Best, headline
from palmette.spaces.small_images import small_images


@pytest.mark.parametrize(
    ("limits", "told"),
    [
        ({}, "1,200 flops."),
        ({"bitops": (None, 90.0)}, "88 bitops."),
        ({"flops": (None, 2000.0), "bytes": (1.0, 9.0)}, "1,200 flops, 7 bytes."),
    ],
)
def test_random_searchs_network_is_told_with_the_costs_that_are_limited(limits: dict[str, Any], told: str) -> None:
    decisions, generator = small_images().decisions, np.random.default_rng(0)
    costs, right = {"flops": 1200.0, "bitops": 88.0, "bytes": 7.0}, torch.tensor([True, True, False])
    best, other = (
        Best(decisions.sample(generator), nn.Identity(), costs, {}, {"accuracy": 2 / 3}, right) for _ in range(2)
    )
    data = load("digits", splits=Splits(train=100, validation=20, calibration=10), seed=0)
    job: Any = SimpleNamespace(
        space=SimpleNamespace(decisions=decisions), data=data, limits=Limits.from_mapping(limits)
    )
    found: Any = SimpleNamespace(evaluations=5, remarks=("A remark.",))
    winner, random, _, remark = headline(job, found, best, other)
    assert winner.endswith("1,200 flops, 88 bitops, 7 bytes.")
    assert random.startswith("Random search at the same cost, 5 evaluations, found ")
    assert random.endswith(told)
    assert remark == "A remark."
