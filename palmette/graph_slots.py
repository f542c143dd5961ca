"""Slots of graphs: which of several inputs a place reads, each through a module of its own.

``OneOfInputs`` reads one, ``AnyOf`` adds up any of them, for example skip connections, and ``LooseEnds`` those that
nothing else reads (ENAS, Pham et al., 2018). The inputs are handed over as a list in the order of the options; an
option is best named like the node that it stands for (``decision.Node``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from torch import Tensor, nn

from palmette.architecture import Architecture
from palmette.choice import picked, terms
from palmette.decision import Categorical, Condition, Decision, Subset
from palmette.errors import ArchitectureError
from palmette.slots import Alternative, Case, Factory, Slot, check_factories, not_filled


class OneOfInputs(Slot):
    """One of several inputs, each through a module of its own that a factory without arguments makes.

    ``OneOfInputs("input", {"node1": nn.Identity, "node2": nn.Identity})([node1, node2])``. Outputs must have one shape.
    Slots of one name share one decision, as those of ``OneOf``. Options made by one factory read inputs of one shape.
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
        """Yield one alternative per factory, so that cells with many edges are counted in little time."""
        names = list(self.factories)
        for factory in dict.fromkeys(self.factories.values()):
            those = [name for name in names if self.factories[name] is factory]
            first, *others = (names.index(name) for name in those)
            yield Alternative(((self.name, frozenset(those)),), factory, position=first, others=tuple(others))

    def build(self, architecture: Architecture) -> nn.Module:
        option = str(architecture[self.name])
        return _Summing({option: self.factories[option]()}, [list(self.factories).index(option)])

    def fill(self) -> None:
        self.options = nn.ModuleDict({option: factory() for option, factory in self.factories.items()})

    def active(self, architecture: Architecture) -> nn.Module:
        assert self.options is not None
        option = str(architecture[self.name])
        return _Summing({option: self.options[option]}, [list(self.factories).index(option)])

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
        """Yield each option with the input that it reads."""
        for position, (option, factory) in enumerate(self.factories.items()):
            yield Alternative(((self.name, option),), factory, position=position)

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


class LooseEnds(Slot):
    """The sum of the nodes that no later one reads, each through a module of its own; it has no decisions of its own.

    A 1x1 convolution of the loose ends' concatenation is such a sum, with a 1x1 convolution per node.

    Args:
        reads: for every node after the inputs, in order, the decisions by which it reads earlier ones; their options
            are names of inputs and nodes, in order.
        factory: makes the module of one node.
    """

    def __init__(self, reads: Mapping[str, Sequence[Categorical]], factory: Factory) -> None:
        super().__init__()
        self.reads = {node: tuple(decisions) for node, decisions in reads.items()}
        self.factory = factory
        self.options: nn.ModuleDict | None = None
        first = next(iter(self.reads.values()))
        self.names = [*first[0].options, *self.reads]
        """Of all inputs and nodes, in the order in which they are handed over."""

    def decisions(self) -> Sequence[Decision]:
        return [decision for decisions in self.reads.values() for decision in decisions]

    def nested(self) -> Iterator[tuple[Condition, nn.Module]]:
        return iter(())

    def alternatives(self) -> Iterator[Alternative]:
        """Yield each node's module, which runs where all decisions after it read something else."""
        for node in self.reads:
            cases: list[Case] = [
                (decision.name, frozenset(decision.options) - {node})
                for decision in self.decisions()
                if isinstance(decision, Categorical) and node in decision.options
            ]
            yield Alternative(tuple(cases), self.factory, position=self.names.index(node))

    def build(self, architecture: Architecture) -> nn.Module:
        return self._summing({node: self.factory() for node in self.loose(architecture)})

    def fill(self) -> None:
        self.options = nn.ModuleDict({node: self.factory() for node in self.reads})

    def active(self, architecture: Architecture) -> nn.Module:
        assert self.options is not None
        return self._summing({node: self.options[node] for node in self.loose(architecture)})

    def loose(self, values: Architecture | Mapping[str, str]) -> list[str]:
        """Return the nodes that no other reads, in order; the last one always is."""
        read = {values[decision.name] for decision in self.decisions()}
        return [node for node in self.reads if node not in read]

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        if self.options is None:
            raise not_filled(", ".join(decision.name for decision in self.decisions()))
        loose = self.loose({d.name: _read(d) for d in self.decisions() if isinstance(d, Categorical)})
        first, *others = (self.options[node](inputs[self.names.index(node)]) for node in loose)
        return _added(first, others)

    def _summing(self, taken: Mapping[str, nn.Module]) -> nn.Module:
        return _Summing(taken, [self.names.index(node) for node in taken])


class _Summing(nn.Module):
    """What is left of ``OneOfInputs`` and ``LooseEnds`` in a network of its own."""

    def __init__(self, taken: Mapping[str, nn.Module], positions: Sequence[int]) -> None:
        super().__init__()
        self.options = nn.ModuleDict(taken)
        self.positions = tuple(positions)

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        modules = zip(self.options.values(), self.positions, strict=True)
        first, *others = [module(inputs[position]) for module, position in modules]
        return _added(first, others)


class _Adding(nn.Module):
    """What is left of ``AnyOf`` in a network of its own."""

    def __init__(self, taken: Mapping[str, nn.Module], positions: Sequence[int]) -> None:
        super().__init__()
        self.options = nn.ModuleDict(taken)
        self.positions = tuple(positions)

    def forward(self, inputs: Sequence[Tensor], x: Tensor) -> Tensor:
        modules = zip(self.options.values(), self.positions, strict=True)
        return _added(x, [module(inputs[position]) for module, position in modules])


def _read(decision: Categorical) -> str:
    """Return the option that the call picks, which must be a single one."""
    pick = picked(decision.name)
    if not isinstance(pick, int):
        raise ArchitectureError(
            f"decision {decision.name!r}: loose ends are known for one index per decision only, not for {pick!r}"
        )
    return decision.options[pick]


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
