"""Slots of graphs: which of several inputs a place reads, each through a module of its own.

``OneOfInputs`` reads one, ``AnyOf`` adds up any of them, for example skip connections (ENAS, Pham et al., 2018).
The inputs are handed over as a list in the order of the options; an option is best named like the node that it stands
for (``decisions.Node``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial

from torch import Tensor, nn

from palmette.architecture import Architecture
from palmette.choice import picked, terms
from palmette.decisions import Categorical, Condition, Decision, Subset
from palmette.errors import ArchitectureError
from palmette.slots import Alternative, Factory, Slot, check_factories, given, not_filled


class OneOfInputs(Slot):
    """One of several inputs, each through a module of its own that a factory without arguments makes.

    ``OneOfInputs("input", {"node1": nn.Identity, "node2": nn.Identity})([node1, node2])``. Outputs must have one shape.
    Slots of one name share one decision, as those of ``OneOf``.
    """

    def __init__(self, name: str, options: Mapping[str, Factory]) -> None:
        super().__init__()
        check_factories(name, options)
        self.name = name
        self.factories = dict(options)
        self.options: nn.ModuleDict | None = None

    def decisions(self) -> Sequence[Decision]:
        return [Categorical(self.name, tuple(self.factories))]

    def nested(self) -> Iterator[tuple[Condition, nn.Module]]:
        return (((self.name, option), factory()) for option, factory in self.factories.items())

    def alternatives(self) -> Iterator[Alternative]:
        return _alternatives(self)

    def build(self, architecture: Architecture) -> nn.Module:
        option = str(architecture[self.name])
        return _Reading(option, self.factories[option](), list(self.factories).index(option))

    def fill(self) -> None:
        self.options = nn.ModuleDict({option: factory() for option, factory in self.factories.items()})

    def active(self, architecture: Architecture) -> nn.Module:
        assert self.options is not None
        option = str(architecture[self.name])
        return _Reading(option, self.options[option], list(self.factories).index(option))

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        first, *others = _outputs(self.options, self.name, inputs)
        return _added(first, others)


class AnyOf(Slot):
    """Any of several inputs, each through a module of its own, added to what is given; that alone if none is taken.

    ``AnyOf("skips", {"stem": nn.Identity, "layer1": nn.Identity})([stem, layer1], x)``.

    Args:
        name: of the decision.
        options: functions that make the modules; their outputs must have the shape of what they are added to.
        least: fewest that are taken.
        most: most that are taken; None is all.
    """

    def __init__(self, name: str, options: Mapping[str, Factory], *, least: int = 0, most: int | None = None) -> None:
        super().__init__()
        check_factories(name, options)
        if not 0 <= least <= (len(options) if most is None else most) <= len(options):
            raise ArchitectureError(
                f"slot {name!r}: from {least} to {most} of {len(options)} options were asked for; "
                "give 0 <= least <= most <= number of options"
            )
        self.name = name
        self.least, self.most = least, most
        self.factories = dict(options)
        self.options: nn.ModuleDict | None = None

    def decisions(self) -> Sequence[Decision]:
        return [Subset(self.name, tuple(self.factories), self.least, self.most)]

    def nested(self) -> Iterator[tuple[Condition, nn.Module]]:
        return (((self.name, option), factory()) for option, factory in self.factories.items())

    def alternatives(self) -> Iterator[Alternative]:
        return _alternatives(self)

    def build(self, architecture: Architecture) -> nn.Module:
        return self._adding({option: self.factories[option]() for option in self._taken(architecture)})

    def fill(self) -> None:
        self.options = nn.ModuleDict({option: factory() for option, factory in self.factories.items()})

    def active(self, architecture: Architecture) -> nn.Module:
        assert self.options is not None
        return self._adding({option: self.options[option] for option in self._taken(architecture)})

    def forward(self, inputs: Sequence[Tensor], x: Tensor) -> Tensor:
        return _added(x, _outputs(self.options, self.name, inputs))

    def _taken(self, architecture: Architecture) -> tuple[str, ...]:
        value = architecture[self.name]
        assert isinstance(value, tuple)
        return value

    def _adding(self, taken: Mapping[str, nn.Module]) -> nn.Module:
        return _Adding(taken, [list(self.factories).index(option) for option in taken])


class _Reading(nn.Module):
    """What is left of ``OneOfInputs`` in a network of its own."""

    def __init__(self, option: str, module: nn.Module, position: int) -> None:
        super().__init__()
        self.options = nn.ModuleDict({option: module})
        self.option, self.position = option, position

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        output: Tensor = self.options[self.option](inputs[self.position])
        return output


class _Adding(nn.Module):
    """What is left of ``AnyOf`` in a network of its own."""

    def __init__(self, taken: Mapping[str, nn.Module], positions: Sequence[int]) -> None:
        super().__init__()
        self.options = nn.ModuleDict(taken)
        self.positions = tuple(positions)

    def forward(self, inputs: Sequence[Tensor], x: Tensor) -> Tensor:
        modules = zip(self.options.values(), self.positions, strict=True)
        return _added(x, [module(inputs[position]) for module, position in modules])


def _alternatives(slot: Slot) -> Iterator[Alternative]:
    """Yield each option with the input that it reads."""
    for position, (condition, module) in enumerate(slot.nested()):
        yield Alternative((condition,), partial(given, module), position=position)


def _outputs(options: nn.ModuleDict | None, name: str, inputs: Sequence[Tensor]) -> list[Tensor]:
    """Return the outputs of the options that the call picks, weighted where it gives weights."""
    if options is None:
        raise not_filled(name)
    modules = list(options.values())
    if len(inputs) != len(modules):
        raise ArchitectureError(f"slot {name!r}: {len(inputs)} inputs for {len(modules)} options; give one for each")
    outputs = []
    for i, weight in terms(picked(name), len(modules)):
        output = modules[i](inputs[i])
        outputs.append(output if weight is None else weight * output)
    return outputs


def _added(x: Tensor, others: Sequence[Tensor]) -> Tensor:
    """Return the sum in one order, so that a supernet and a network of its own agree to the last bit."""
    for other in others:
        x = x + other
    return x
