from __future__ import annotations

import pytest
import torch
from torch import nn

from palmette.blocks.drop_path import DropPath
from palmette.errors import PalmetteError
from palmette.training.drop_path import drop_path_schedule
from palmette.training.recipe import Recipe


def test_each_image_is_dropped_whole_or_scaled_so_that_the_mean_stays() -> None:
    layer = DropPath()
    layer.probability = 0.25
    torch.manual_seed(0)
    out = layer(torch.ones(4000, 2, 3, 3))
    per_image = out.flatten(1)
    assert per_image.eq(per_image[:, :1]).all()
    assert sorted(set(per_image[:, 0].tolist())) == pytest.approx([0, 4 / 3])
    assert out.mean().item() == pytest.approx(1, abs=0.03)  # 4.4 standard errors


def test_the_input_is_left_as_it_is() -> None:
    layer, x = DropPath(), torch.ones(8, 1, 1, 1)
    layer.probability = 0.5
    layer(x)
    assert x.eq(1).all()
    assert layer.eval()(x) is x


def test_the_probability_rises_by_epochs_to_just_below_the_one_given() -> None:
    network = nn.Sequential(DropPath(), nn.Sequential(DropPath()))
    set_for = drop_path_schedule(network, Recipe(epochs=4, drop_path=0.2))
    seen = []
    for epoch in range(4):
        set_for(epoch)
        seen.append([layer.probability for layer in network.modules() if isinstance(layer, DropPath)])
    assert seen == [pytest.approx([p, p]) for p in (0.0, 0.05, 0.1, 0.15)]


def test_a_network_without_branches_to_drop_is_refused() -> None:
    with pytest.raises(PalmetteError, match=r"drop_path = 0.2 was given and the network has no branch"):
        drop_path_schedule(nn.Linear(2, 2), Recipe(drop_path=0.2))
