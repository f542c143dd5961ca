"""Space: an ordinary network with slots, read as decisions, and filled with one option or with all.

The macro-structure is written once. ``build`` fills each slot with one option and is the stand-alone network;
``supernet`` fills it with all and shares weights between all architectures; the two exchange weights by name.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from palmette.architecture import Architecture
from palmette.choice import Choice, chosen
from palmette.decision import Categorical, Condition, Decision, Equivalence, Grammar, Node, Subset
from palmette.decisions import Decisions
from palmette.errors import ArchitectureError
from palmette.mixtures import Mixture, Mixtures
from palmette.places import copies
from palmette.plain import plain
from palmette.slots import Slot

Definition = Callable[[], nn.Module]


class Supernet(nn.Module):
    """A network whose slots hold all options; which of them run is an argument of the call."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Any, choice: Choice) -> Any:
        """Return the network's output for ``choice``: per decision an index, indices, weights or a gate.

        Args:
            x: one tensor for most networks, a ``Segment`` for language models.
            choice: what to run.
        """
        with chosen(choice):
            return called(self.network, x)


class Space:
    """A named set of architectures: their decisions, and how to build each.

    Args:
        network: a module with slots, or a function that makes one. The layers of a module are initialised anew in
            every network built, by their ``reset_parameters``; for an initialisation of your own give a function.
        name: stored in every architecture, so that it is not used with another space.
        equivalences: which encodings build the same network.
        mixtures: weight vectors of relaxed searches that are not one per decision.
        grammar: which values go together, where decisions constrain each other beyond conditions.
        nodes: which decisions describe a graph, for a controller and for drawings.
        stand_alone: the space whose networks are counted and trained in the end, where that is another one than is
            searched: cells are searched in a small network and trained in a large one. It has the same decisions.

    Raises:
        ArchitectureError: no slots, or slots of one name with different options.
    """

    def __init__(
        self,
        network: nn.Module | Definition,
        *,
        name: str = "custom",
        equivalences: Sequence[Equivalence] = (),
        mixtures: Sequence[Mixture] = (),
        grammar: Grammar | None = None,
        nodes: Sequence[Node] = (),
        stand_alone: Space | None = None,
    ) -> None:
        self.name = name
        self.definition: Definition = copies(network) if isinstance(network, nn.Module) else network
        with torch.device("meta"):
            found = list(_read(self.definition(), ()))
        if not found:
            raise ArchitectureError(f"space {name!r}: no slots; put pm.OneOf(...) where a decision is open")
        self.decisions = Decisions(name, _merge(name, found), equivalences, grammar, nodes)
        self.mixtures = Mixtures(self.decisions, mixtures)
        self.stand_alone = stand_alone or self

    def supernet(self, *, seed: int) -> Supernet:
        """Return a new supernet with the weights of all options, initialised from ``seed``, on the default device."""
        return Supernet(self._filled(fill_all, seed))

    def build(self, architecture: Architecture, *, seed: int) -> nn.Module:
        """Return the stand-alone network of ``architecture``, initialised from ``seed``; it contains no slot."""
        return self._filled(lambda root: _fill_one(root, architecture), seed)

    def choice(self, architecture: Architecture) -> dict[str, int | tuple[int, ...]]:
        """Return the single-path choice that makes a supernet compute ``architecture``."""
        return {name: self._indices(name, architecture) for name, _ in architecture.values}

    def shared_state(self, supernet: Supernet, architecture: Architecture) -> dict[str, Tensor]:
        """Return the supernet's own tensors under the names they have in the stand-alone network.

        Reading them inherits weights (``network.load_state_dict``); writing to them moves weights back.
        """
        return dict(_shared(supernet.network, architecture, ""))

    def extract(self, supernet: Supernet, architecture: Architecture) -> nn.Module:
        """Return the plain network with copies of the supernet's weights; it holds no class of this package."""
        network = self.build(architecture, seed=0).to(next(supernet.parameters()).device)
        network.load_state_dict(self.shared_state(supernet, architecture))
        return plain(network.train(supernet.training))

    def _indices(self, name: str, architecture: Architecture) -> int | tuple[int, ...]:
        value = architecture[name]
        decision = self.decisions.decisions[name]
        if isinstance(decision, Subset) and isinstance(value, tuple):
            return tuple(decision.options.index(option) for option in value)
        return self.decisions.index(name, value)

    def _filled(self, fill: Callable[[nn.Module], nn.Module], seed: int) -> nn.Module:
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)  # weights are initialised on the CPU
            return fill(self.definition())


def called(network: nn.Module, x: Any) -> Any:
    """Return the network's output for one input: a tensor, or a tuple of the network's arguments."""
    return network(*x) if isinstance(x, tuple) else network(x)


def chain(network: nn.Module) -> list[nn.Module]:
    """Return the modules that run one after another: nested ``nn.Sequential`` flattened, anything else whole."""
    if type(network) is not nn.Sequential:
        return [network]
    return [link for child in network for link in chain(child)]


def slots(network: nn.Module) -> list[Slot]:
    """Return all slots of a filled network, nested ones included, in module order."""
    return [module for module in network.modules() if isinstance(module, Slot)]


def _read(module: nn.Module, reached_if: tuple[Condition, ...]) -> Iterator[Decision]:
    """Yield every decision at or below ``module``, active if its slot is reached.

    A decision's own conditions are on others of its slot, which hold only where the slot is reached.
    """
    if not isinstance(module, Slot):
        for child in module.children():
            yield from _read(child, reached_if)
        return
    for decision in module.decisions():
        yield decision if decision.active_if else dataclasses.replace(decision, active_if=reached_if)
    for condition, option in module.nested():
        yield from _read(option, (condition,))


def _merge(space: str, found: Sequence[Decision]) -> list[Decision]:
    """Return one decision per name: slots of one name are tied, and active where any of them is reached."""
    merged: dict[str, Decision] = {}
    for decision in found:
        first = merged.get(decision.name, decision)
        if dataclasses.replace(first, active_if=()) != dataclasses.replace(decision, active_if=()):
            raise ArchitectureError(
                f"space {space!r}: two slots named {decision.name!r} have different options; "
                "tied slots need equal option names, other slots a name of their own"
            )
        always = not first.active_if or not decision.active_if
        either = () if always else tuple(dict.fromkeys(first.active_if + decision.active_if))
        merged[decision.name] = dataclasses.replace(first, active_if=either)
    merged = _parents_first(space, merged)
    for name, decision in merged.items():
        merged[name] = dataclasses.replace(decision, active_if=_simplified(decision.active_if, merged))
    return list(merged.values())


def _parents_first(space: str, merged: dict[str, Decision]) -> dict[str, Decision]:
    """Return the decisions in their order, but none before one that it depends on: tied slots may be met before."""
    waiting, placed = dict(merged), dict[str, Decision]()
    while waiting:
        ready = (name for name, d in waiting.items() if all(parent in placed for parent, _ in d.active_if))
        name = next(ready, None)
        if name is None:
            raise ArchitectureError(
                f"space {space!r}: the slots {', '.join(map(repr, waiting))} stand inside options of each other; "
                "give slots of different levels different names"
            )
        placed[name] = waiting.pop(name)
    return placed


def _simplified(active_if: tuple[Condition, ...], merged: dict[str, Decision]) -> tuple[Condition, ...]:
    """Return the conditions of a parent in place of itself, where every option of that parent reaches a decision."""
    for name in dict.fromkeys(name for name, _ in active_if):
        parent = merged[name]
        if isinstance(parent, Categorical) and {v for n, v in active_if if n == name} == set(parent.options):
            others = tuple(condition for condition in active_if if condition[0] != name)
            active_if = tuple(dict.fromkeys(others + parent.active_if)) if parent.active_if else ()
    return active_if


def fill_all(module: nn.Module) -> nn.Module:
    """Allocate the options of every slot at or below ``module``, in place."""
    for child in module.modules():  # a slot filled here shows its options to the loop, so nested slots follow
        if isinstance(child, Slot):
            child.fill()
    return module


def _fill_one(module: nn.Module, architecture: Architecture) -> nn.Module:
    """Return ``module`` with every slot at or below it replaced by the architecture's option."""
    while isinstance(module, Slot):
        module = module.build(architecture)
    for name, child in module.named_children():
        setattr(module, name, _fill_one(child, architecture))
    return module


def _shared(module: nn.Module, architecture: Architecture, prefix: str) -> Iterator[tuple[str, Tensor]]:
    while isinstance(module, Slot):
        module = module.active(architecture)
    own = [*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)]
    yield from ((prefix + name, tensor.detach()) for name, tensor in own)
    for name, child in module.named_children():
        yield from _shared(child, architecture, f"{prefix}{name}.")
