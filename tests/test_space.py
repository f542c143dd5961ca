"""Slots and spaces: what a definition may be, and what is said of one that cannot be."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from palmette.errors import ArchitectureError
from palmette.slots import OneOf
from palmette.space import Space, chain


def test_a_definition_is_read_without_allocating_any_weight() -> None:
    def huge() -> nn.Module:
        return nn.Linear(10**6, 10**6)

    space = Space(lambda: nn.Sequential(*[OneOf(f"slot{i}", a=huge, b=huge) for i in range(50)]))
    assert space.decisions.count() == 2**50


def test_a_stand_alone_network_holds_no_slot_and_no_unused_weight() -> None:
    space = Space(nn.Sequential(OneOf("slot", small=lambda: nn.Linear(2, 2), large=lambda: nn.Linear(2, 9))))
    network = space.build(space.decisions.parse("0"), seed=0)
    assert [type(module) for module in network.modules()] == [nn.Sequential, nn.Linear]
    assert [tuple(p.shape) for p in network.parameters()] == [(2, 2), (2,)]


def test_options_of_nested_slots_become_conditional() -> None:
    def cell() -> nn.Module:
        return nn.Sequential(OneOf("inner", a=nn.Identity, b=nn.ReLU))

    space = Space(nn.Sequential(OneOf("outer", skip=nn.Identity, one=cell, two=cell)))
    assert space.decisions.decisions["inner"].active_if == (("outer", "one"), ("outer", "two"))
    assert space.decisions.count() == 1 + 2 + 2


def test_a_decision_that_every_option_of_one_slot_reaches_is_always_active() -> None:
    def cell() -> nn.Module:
        return nn.Sequential(OneOf("inner", a=nn.Identity, b=nn.ReLU))

    always, sometimes = OneOf("always", one=cell, two=cell), OneOf("sometimes", skip=nn.Identity, three=cell)
    for slots in ((always, sometimes), (sometimes, always)):
        space = Space(nn.Sequential(*slots))
        assert space.decisions.decisions["inner"].active_if == ()
        assert space.decisions.count() == 2 * 2 * 2


def test_a_slot_can_be_the_whole_network_or_an_option_of_itself() -> None:
    def nested() -> nn.Module:
        return OneOf("inner", a=nn.Identity, b=nn.ReLU)

    space = Space(OneOf("outer", plain=nn.Tanh, nested=nested))
    supernet = space.supernet(seed=0)
    x = torch.tensor([-1.0, 2.0])
    for architecture in space.decisions.enumerate():
        network = space.build(architecture, seed=0)
        assert torch.equal(network(x), supernet(x, space.choice(architecture)))
    assert space.decisions.count() == 3


def test_a_seed_decides_the_weights() -> None:
    space = Space(lambda: nn.Sequential(OneOf("slot", a=lambda: nn.Linear(2, 2))))
    one, same, other = (space.supernet(seed=seed).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not any(torch.equal(one[name], other[name]) for name in one)


def test_a_chain_flattens_nested_sequences_only() -> None:
    inner, slot = nn.ModuleList([nn.ReLU()]), OneOf("slot", a=nn.Identity)
    first, last = nn.Tanh(), nn.Sigmoid()
    assert chain(nn.Sequential(nn.Sequential(first, nn.Sequential(slot)), inner, last)) == [first, slot, inner, last]


def test_a_network_without_slots_is_refused() -> None:
    with pytest.raises(ArchitectureError, match=r"space 'custom': no slots; put pm.OneOf"):
        Space(nn.Linear(2, 2))


def test_tied_slots_need_equal_options() -> None:
    network = nn.Sequential(OneOf("slot", a=nn.Identity), OneOf("slot", b=nn.Identity))
    with pytest.raises(ArchitectureError, match="two slots named 'slot' have different options"):
        Space(network)


def test_a_slot_without_options_is_refused() -> None:
    with pytest.raises(ArchitectureError, match="slot 'empty': no options were given"):
        OneOf("empty")


@pytest.mark.parametrize("option", [nn.ReLU(), 3])
def test_options_are_functions(option: object) -> None:
    with pytest.raises(ArchitectureError, match=r"slot 'slot': option 'a' is (ReLU|int); give a function"):
        OneOf("slot", a=option)  # type: ignore[arg-type]


def test_option_names_have_no_dot() -> None:
    with pytest.raises(ArchitectureError, match=r"option name 'k3\.5' must be non-empty and without a dot"):
        OneOf("slot", **{"k3.5": nn.Identity})


def test_an_unfilled_slot_says_what_to_call() -> None:
    with pytest.raises(ArchitectureError, match=r"slot 'slot' is not filled; call Space\(network\)\.supernet"):
        OneOf("slot", a=nn.Identity)(torch.zeros(1))


def test_a_slot_tied_below_two_decisions_comes_after_both_of_them() -> None:
    def cell() -> nn.Module:
        return nn.Sequential(OneOf("inner", a=nn.Identity, b=nn.Tanh))

    first, second = OneOf("first", skip=nn.Identity, one=cell), OneOf("second", skip=nn.ReLU, two=cell)
    space = Space(nn.Sequential(first, second))  # "inner" is met below "first", before "second" is
    assert list(space.decisions.decisions) == ["first", "second", "inner"]
    assert space.decisions.count() == 1 + 3 * 2
    supernet, x = space.supernet(seed=0), torch.tensor([-1.0, 2.0])
    outputs = set()
    for architecture in space.decisions.enumerate():
        network = space.build(architecture, seed=0)
        assert torch.equal(network(x), supernet(x, space.choice(architecture)))
        outputs.add(tuple(network(x).tolist()))
    assert len(outputs) == 5  # relu, identity, tanh, relu of tanh, tanh of tanh


def test_slots_inside_options_of_each_other_are_told() -> None:
    def inside(name: str) -> nn.Module:
        return nn.Sequential(OneOf(name, x=nn.Identity, y=nn.Identity))

    one = OneOf("one", x=lambda: inside("two"), y=nn.Identity)
    two = OneOf("two", x=lambda: inside("one"), y=nn.Identity)
    with pytest.raises(ArchitectureError, match="the slots 'one', 'two' stand inside options of each other"):
        Space(
            nn.ModuleList([OneOf("outer", x=lambda: one, y=nn.Identity), OneOf("outer", x=lambda: two, y=nn.Identity)])
        )
