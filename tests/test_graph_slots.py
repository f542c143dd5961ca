"""Slots of graphs: sums of the inputs taken, by numbers worked out by hand; gradients only where something ran."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from palmette.errors import ArchitectureError
from palmette.graph_slots import AnyOf, OneOfInputs
from palmette.plain import plain
from palmette.space import Space, Supernet


class Times(nn.Module):
    """Multiplies by a weight."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(factor))

    def forward(self, x: Tensor) -> Tensor:
        return self.factor * x


class Graph(nn.Module):
    """``x`` plus any of 10 x, 100 x and 1000 x, or the one of them that ``pick`` names."""

    def __init__(self) -> None:
        super().__init__()
        options = {name: lambda factor=factor: Times(factor) for name, factor in (("a", 10.0), ("b", 100.0))}
        self.any = AnyOf("any", {**options, "c": lambda: Times(1000.0)})
        self.one = OneOfInputs("one", options)

    def forward(self, x: Tensor) -> Tensor:
        total: Tensor = self.any([x, x, x], x)
        result: Tensor = self.one([total, x])
        return result


@pytest.fixture
def space() -> Space:
    return Space(Graph, name="graph")


@pytest.mark.parametrize(
    ("taken", "one", "expected"),
    [((), "a", 10.0), (("a",), "a", 110.0), (("a", "c"), "a", 10110.0), (("a", "b", "c"), "b", 100.0)],
)
def test_an_architecture_computes_the_sum_of_what_it_takes(
    space: Space, taken: tuple[str, ...], one: str, expected: float
) -> None:
    """One x is 1; the input ``a`` of the second slot is 1 + 10 [a] + 100 [b] + 1000 [c], its input ``b`` is 1."""
    architecture = space.decisions.architecture({"any": taken, "one": one})
    supernet, network = space.supernet(seed=0), space.build(architecture, seed=0)
    assert supernet(torch.ones(1), space.choice(architecture)).item() == expected
    assert network(torch.ones(1)).item() == expected
    assert sum(1 for _ in network.parameters()) == len(taken) + 1


def test_weights_of_any_of_scale_every_option(space: Space) -> None:
    supernet = space.supernet(seed=0)
    output = supernet(torch.ones(1), {"any": torch.tensor([0.5, 0.0, 2.0]), "one": 0})
    assert output.item() == pytest.approx(10 * (1 + 5 + 2000))


def test_options_not_taken_get_no_gradient(space: Space) -> None:
    supernet = space.supernet(seed=0)
    supernet(torch.ones(1), {"any": (1,), "one": 1}).sum().backward()
    given = {name for name, parameter in supernet.named_parameters() if parameter.grad is not None}
    assert given == {"network.one.options.b.factor"}
    supernet(torch.ones(1), {"any": (1,), "one": 0}).sum().backward()
    given = {name for name, parameter in supernet.named_parameters() if parameter.grad is not None}
    assert given == {"network.any.options.b.factor", "network.one.options.a.factor", "network.one.options.b.factor"}


class Foreign(nn.Module):
    """A user's network, which ``plain`` looks through: the slot's remainder in it is traced alone."""

    def __init__(self, part: nn.Module) -> None:
        super().__init__()
        self.part = part

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.part([x, 2 * x, 3 * x], x)
        return result


def test_what_is_left_of_a_slot_alone_can_be_made_plain(space: Space) -> None:
    architecture = space.decisions.architecture({"any": ("a", "c"), "one": "a"})
    network = plain(Foreign(AnyOf("any", Graph().any.factories).build(architecture)))
    assert not [m for m in network.modules() if type(m).__module__.startswith("palmette")]
    assert network(torch.ones(1)).item() == 1 + 10 + 3 * 1000


def test_the_number_of_inputs_must_fit_the_options() -> None:
    slot = AnyOf("any", {"a": nn.Identity, "b": nn.Identity})
    slot.fill()
    with pytest.raises(ArchitectureError, match="slot 'any': 1 inputs for 2 options"):
        Supernet(Foreign1(slot))(torch.ones(1), {"any": ()})


class Foreign1(Foreign):
    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.part([x], x)
        return result


def test_bounds_that_cannot_be_met_are_refused() -> None:
    with pytest.raises(ArchitectureError, match="from 2 to 1 of 3 options"):
        AnyOf("any", dict.fromkeys("abc", nn.Identity), least=2, most=1)


def test_a_slot_without_options_is_refused() -> None:
    with pytest.raises(ArchitectureError, match="slot 'one': no options were given"):
        OneOfInputs("one", {})
