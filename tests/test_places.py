"""Slots in the place of layers of a network that was written without any."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import palmette as pm
from palmette.errors import ArchitectureError


class Residual(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)


class Network(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 4, 3)
        self.layer1 = nn.Sequential(Residual(4), Residual(4))
        self.layer2 = nn.Sequential(Residual(4), Residual(4))
        self.head = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.layer2(self.layer1(self.stem(x))).mean((2, 3)))


def slot(name: str, block: nn.Module) -> pm.OneOf:
    return pm.OneOf(name, keep=pm.copies(block), none=nn.Identity)


def test_parts_become_decisions_and_the_network_stays_as_it_is() -> None:
    network = Network()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    places = ("layer1.1", "layer2.1")
    space = pm.Space(pm.replace(network, {name: slot(name, network.get_submodule(name)) for name in places}))
    assert {name: decision.values() for name, decision in space.decisions.decisions.items()} == {
        "layer1.1": ("keep", "none"),
        "layer2.1": ("keep", "none"),
    }
    whole = space.build(space.decisions.architecture({"layer1.1": "keep", "layer2.1": "keep"}), seed=0)
    assert whole.state_dict().keys() == before.keys()
    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())


def test_the_kept_part_computes_what_it_did_with_the_same_weights() -> None:
    network = Network().eval()
    space = pm.Space(pm.replace(network, {"layer1.1": slot("block", network.layer1[1])}))
    kept = space.build(space.decisions.architecture({"block": "keep"}), seed=0).eval()
    kept.load_state_dict(network.state_dict())
    x = torch.randn(2, 1, 8, 8)
    assert torch.equal(kept(x), network(x))


def test_slots_of_one_name_are_one_decision() -> None:
    network = Network()
    names = ("layer1.1", "layer2.1")
    space = pm.Space(pm.replace(network, {name: slot("second", network.get_submodule(name)) for name in names}))
    assert space.decisions.count() == 2
    none = space.build(space.decisions.architecture({"second": "none"}), seed=0)
    assert isinstance(none.layer1[1], nn.Identity)
    assert isinstance(none.layer2[1], nn.Identity)


def test_copies_have_the_same_layers_and_weights_of_their_own() -> None:
    layer = nn.Conv2d(2, 3, 3)
    make = pm.copies(layer)
    one, other = make(), make()
    assert repr(one) == repr(layer)
    assert not torch.equal(one.weight, layer.weight)
    assert not torch.equal(one.weight, other.weight)


@pytest.mark.parametrize(
    ("given", "part"),
    [
        ({"layer1.2": nn.Identity}, "the network has no part 'layer1.2'; it has layer1.1, layer1.0"),
        ({"": nn.Identity}, "the network has no part ''"),
        ({"layer1.1": nn.Identity}, "for 'layer1.1' Identity was given; allowed are slots, as pm.OneOf"),
    ],
)
def test_what_cannot_be_replaced_is_told(given: dict[str, type[nn.Module]], part: str) -> None:
    with pytest.raises(ArchitectureError, match=part.replace("(", r"\(")):
        pm.replace(Network(), {name: kind() for name, kind in given.items()})  # type: ignore[misc]


def test_a_part_inside_another_that_is_replaced_is_told() -> None:
    slots = {name: pm.OneOf(name, a=nn.Identity, b=nn.ReLU) for name in ("layer1", "layer1.0")}
    with pytest.raises(ArchitectureError, match=r"'layer1\.0' is a part of 'layer1', which is replaced too"):
        pm.replace(Network(), slots)
