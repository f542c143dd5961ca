"""Slots: the places in an ordinary network where a decision is open.

A slot is an ``nn.Module`` that holds option *factories*. Filled with one option (``Space.build``) it is replaced
by that option, so the stand-alone network contains no slot and no unused weight; filled with all
(``Space.supernet``) it computes what the call's choice picks. A slot may own several decisions.
"""

from __future__ import annotations

import operator
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial, reduce

from torch import Tensor, nn

from palmette.architecture import Architecture, Value
from palmette.choice import Gate, Pick, Term, picked, terms
from palmette.decision import Categorical, Condition, Decision
from palmette.errors import ArchitectureError
from palmette.graphs import Graph
from palmette.probe import probed

Factory = Callable[[], nn.Module]
Case = tuple[str, Value | frozenset[Value]]
"""``(decision, value)`` as a condition has it, or ``(decision, values)``: holds while it takes one of these."""


@dataclass(frozen=True)
class Alternative:
    """One of the modules that a slot can run, for counting what it costs."""

    conditions: tuple[Case, ...]
    """When it runs: under all of these, on the slot's own decisions; a part beside them all, if there are none."""
    make: Factory
    inputs: int | None = None
    """Channels of its input, where the conditions decide them."""
    outputs: int | None = None
    """Channels of its output, where the conditions decide them."""
    key: Hashable = None
    """Alternatives of equal keys, also of other slots, make equal modules without slots; None is equal to none."""
    position: int = 0
    """Which of the slot's inputs it reads, where these are a list."""
    others: tuple[int, ...] = ()
    """Inputs of the same shape that it may read instead, as the conditions say."""


class Slot(nn.Module, ABC):
    """What a space needs to know of a place with open decisions."""

    @abstractmethod
    def decisions(self) -> Sequence[Decision]:
        """Return the decisions read in ``forward``, conditional on each other at most; the space adds nesting."""

    @abstractmethod
    def nested(self) -> Iterator[tuple[Condition, nn.Module]]:
        """Yield each option module that may hold further slots, with the condition that reaches it."""

    def alternatives(self) -> Iterator[Alternative]:
        """Yield everything that the slot can run; unless a slot says otherwise, each of ``nested`` alone."""
        return (Alternative((condition,), partial(given, module)) for condition, module in self.nested())

    def graphs(self, architecture: Architecture) -> Iterator[Graph]:
        """Yield the cells that the slot is made of, if it is, to be drawn; slots of equal cells give equal ones."""
        return iter(())

    @abstractmethod
    def build(self, architecture: Architecture) -> nn.Module:
        """Return a new plain module for the architecture's values; it may hold further slots."""

    @abstractmethod
    def fill(self) -> None:
        """Allocate the weights of all options; they may hold further slots."""

    @abstractmethod
    def active(self, architecture: Architecture) -> nn.Module:
        """Return the filled module whose state is that of ``build(architecture)``."""

    def running(self, architecture: Architecture) -> nn.Module:
        """Return the filled module that runs for the architecture; other than ``active`` if it runs in part."""
        return self.active(architecture)


def given(module: nn.Module) -> nn.Module:
    """Return the module; ``partial(given, module)`` is its factory."""
    return module


class OneOf(Slot):
    """One of several modules, each given by a factory without arguments.

    ``OneOf("layer1", k3=block(3), k5=block(5), skip=nn.Identity)``. Slots of one name share one decision and must
    have the same options. Options must map an input to outputs of one shape.
    """

    def __init__(self, name: str, /, **options: Factory) -> None:
        super().__init__()
        check_factories(name, options)
        self.name = name
        self.factories = dict(options)
        self.options: nn.ModuleList | None = None

    def decisions(self) -> Sequence[Decision]:
        return [Categorical(self.name, tuple(self.factories))]

    def nested(self) -> Iterator[tuple[Condition, nn.Module]]:
        return (((self.name, option), factory()) for option, factory in self.factories.items())

    def build(self, architecture: Architecture) -> nn.Module:
        return self.factories[str(architecture[self.name])]()

    def fill(self) -> None:
        self.options = nn.ModuleList(factory() for factory in self.factories.values())

    def active(self, architecture: Architecture) -> nn.Module:
        assert self.options is not None
        return self.options[list(self.factories).index(str(architecture[self.name]))]

    def forward(self, x: Tensor) -> Tensor:
        if self.options is None:
            raise not_filled(self.name)
        return mixed(self.options, picked(self.name), x)


def mixed(options: Sequence[nn.Module] | nn.ModuleList, pick: Pick, x: Tensor) -> Tensor:
    """Return what the pick makes of the options; of probed ones only the active one is computed now."""
    if isinstance(pick, Gate) and pick.probed:
        return probed(options, pick, x)
    return weighted_sum(options, terms(pick, len(options)), x)


def weighted_sum(options: Sequence[nn.Module] | nn.ModuleList, picks: Sequence[Term], x: Tensor) -> Tensor:
    """Return the sum of ``weight * option(x)`` over the picked options; the others are not computed."""
    outputs = (options[i](x) if weight is None else weight * options[i](x) for i, weight in picks)
    total: Tensor = reduce(operator.add, outputs)
    return total


def check_factories(name: str, options: Mapping[str, Factory]) -> None:
    """Raise ArchitectureError unless there are options, each a function that makes a module, with usable names."""
    if not options:
        raise ArchitectureError(f"slot {name!r}: no options were given; add some, as k3=lambda: nn.Conv2d(...)")
    for option, factory in options.items():
        if isinstance(factory, nn.Module) or not callable(factory):
            raise ArchitectureError(
                f"slot {name!r}: option {option!r} is {type(factory).__name__}; "
                "give a function that builds the module, as lambda: nn.Conv2d(...)"
            )
        if "." in option or not option:
            raise ArchitectureError(f"slot {name!r}: option name {option!r} must be non-empty and without a dot")


def not_filled(name: str) -> ArchitectureError:
    """Return the error of a slot that is called before anything was put into it."""
    return ArchitectureError(f"slot {name!r} is not filled; call Space(network).supernet() or .build(architecture)")
