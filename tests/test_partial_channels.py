"""Partial channels: what is computed, what bypasses, and that a share of one is the ordinary slot."""

from __future__ import annotations

import pytest
import torch
from tiny import space as tiny_space
from torch import nn

from palmette.errors import ArchitectureError
from palmette.partial_channels import ChannelsOneOf, shuffled, with_partial_channels
from palmette.space import Space, Supernet
from palmette.spaces.nas_bench_201 import nas_bench_201

X = torch.randn(2, 8, 4, 4, generator=torch.Generator().manual_seed(0))


def doubled(channels: int) -> nn.Module:
    layer = nn.Conv2d(channels, channels, 1, bias=False)
    nn.init.dirac_(layer.weight)
    layer.weight.data *= 2
    return layer


def slot(share: int) -> ChannelsOneOf:
    made = ChannelsOneOf("op", 8, double=doubled, keep=lambda channels: nn.Identity())
    made.share = share
    made.fill()
    return made


def test_a_quarter_of_the_channels_is_computed_and_the_rest_bypasses_into_a_shuffle() -> None:
    out = Supernet(slot(4))(X, {"op": torch.tensor([0.5, 0.5])})
    expected = torch.cat([1.5 * X[:, :2], X[:, 2:]], 1)[:, [0, 2, 4, 6, 1, 3, 5, 7]]
    torch.testing.assert_close(out, expected)


def test_a_share_of_one_computes_all_channels_in_their_order() -> None:
    torch.testing.assert_close(Supernet(slot(1))(X, {"op": 0}), 2 * X)


def test_a_shuffle_deals_one_channel_of_every_group_in_turn() -> None:
    x = torch.arange(6.0).view(1, 6, 1, 1)
    assert shuffled(x, 3).flatten().tolist() == [0, 2, 4, 1, 3, 5]


def test_the_supernet_of_a_quarter_has_about_a_sixteenth_of_the_weights_in_its_options() -> None:
    whole = nas_bench_201(width=16, cells=1)
    partial = with_partial_channels(whole, 4)
    counts = [
        sum(p.numel() for n, p in s.supernet(seed=0).named_parameters() if "options.3.1" in n) for s in (whole, partial)
    ]
    assert counts[0] == 16 * counts[1]
    assert list(partial.decisions.enumerate())[:50] == list(whole.decisions.enumerate())[:50]
    choice = whole.choice(whole.decisions.parse("333333"))
    assert partial.supernet(seed=0)(torch.randn(2, 3, 16, 16), choice).shape == (2, 10)


def test_slots_that_do_not_know_their_channels_are_refused() -> None:
    with pytest.raises(ArchitectureError, match="a OneOf does not know its channels"):
        with_partial_channels(tiny_space(), 4)


def test_channels_that_cannot_be_shared_out_are_refused() -> None:
    odd = Space(lambda: nn.Sequential(ChannelsOneOf("op", 6, a=doubled, b=doubled)), name="odd")
    with pytest.raises(ArchitectureError, match="1/4 were asked for; slot 'op' has 6 channels"):
        with_partial_channels(odd, 4)
