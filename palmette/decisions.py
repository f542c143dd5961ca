"""Decisions: what can be chosen, and how to sample, count, enumerate, vary and name the choices.

``Decisions`` is the torch-free half of a space: searches see nothing else. Its records are in ``decision.py``. Every
architecture made here is the canonical one of its class (sampling.md 5.2 for NAS-Bench-Macro). Where decisions
constrain each other beyond conditions (budgets, orders of use), a ``Grammar`` draws and checks them.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from palmette.architecture import Architecture, Value
from palmette.decision import Decision, Equivalence, Grammar, Integer, Node, Subset, holds
from palmette.errors import ArchitectureError

CACHED = 10_000
"""Encodings whose canonical architecture is remembered."""

LISTED = 1 << 12
"""Decisions of more values (any of 32 banks) are not listed; only a grammar can draw them."""


class Decisions:
    """All decisions of one space, in order: conditions refer to earlier decisions only.

    Sampling is uniform over encodings, as in the papers; counts are exact integers. With a grammar, sampling is the
    grammar's, and architectures can be neither counted nor listed. ``nodes`` say which decisions describe a graph.
    """

    def __init__(
        self,
        space: str,
        decisions: Sequence[Decision],
        equivalences: Sequence[Equivalence] = (),
        grammar: Grammar | None = None,
        nodes: Sequence[Node] = (),
    ) -> None:
        self.space = space
        self.grammar = grammar
        self.decisions: dict[str, Decision] = {decision.name: decision for decision in decisions}
        self.equivalences = tuple(equivalences)
        self.nodes = tuple(nodes)
        self.notation: Callable[[str], Mapping[str, Value]] | None = None
        """Reads architectures as a publication writes them, where that is another way than ``code``."""
        if len(self.decisions) != len(decisions):
            names = [decision.name for decision in decisions]
            raise ArchitectureError(f"space {space!r}: decision names must differ, got {names}; rename one")
        self._check_equivalences()
        self._check_nodes()
        listed = [decision for decision in decisions if _size(decision) <= LISTED]
        if grammar is None and len(listed) < len(decisions):
            raise ArchitectureError(
                f"space {space!r}: a decision has more than {LISTED:,} values; split it, or give the space a grammar"
            )
        self._values = {decision.name: tuple(decision.values()) for decision in listed}
        self._positions = {name: {v: i for i, v in enumerate(values)} for name, values in self._values.items()}
        self._log_weights = {d.name: _log_uniform(d) for d in decisions if isinstance(d, Integer) and d.log}
        self._conditional = any(decision.active_if for decision in decisions)
        self._made = self._remembered()
        self._pairs: dict[tuple[str, Value], tuple[str, Value]] = {}
        """Every decision with each of its values once, for all architectures to hold."""

    def __getstate__(self) -> dict[str, Any]:
        """Return what a copy in another process needs; caches do not travel."""
        return {name: value for name, value in vars(self).items() if name != "_made"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._made = self._remembered()

    def values(self, name: str) -> tuple[Value, ...]:
        """Return the allowed values of one decision, in option order."""
        if name not in self._values:
            raise ArchitectureError(f"decision {name!r}: its {self.size(name):,} values are not listed; ask for size")
        return self._values[name]

    def size(self, name: str) -> int:
        """Return the number of values of one decision."""
        return _size(self.decisions[name])

    def index(self, name: str, value: Value) -> int:
        """Return the position of ``value`` among the decision's values."""
        return self._positions[name][value]

    def is_active(self, name: str, values: Mapping[str, Value]) -> bool:
        """Say whether a decision is active given the values of the (active) decisions before it."""
        conditions = self.decisions[name].active_if
        return not conditions or any(holds(values.get(other), wanted) for other, wanted in conditions)

    def architecture(self, values: Mapping[str, Value]) -> Architecture:
        """Check the values and return the canonical architecture.

        Raises:
            ArchitectureError: an unknown, missing or inactive decision, or a value that is not allowed.
        """
        kept: dict[str, Value] = {}
        for name in self.decisions:
            if self.is_active(name, kept):
                kept[name] = self._checked(name, values)
        if len(kept) != len(values):
            extra = next(name for name in values if name not in kept)
            state = "is inactive here" if extra in self.decisions else "is unknown"
            raise ArchitectureError(
                f"space {self.space!r}: decision {extra!r} {state}; this architecture has {_few(list(kept))}"
            )
        if self.grammar is not None:
            self.grammar.check(kept)
        return self._canonical(kept)

    def check(self, architecture: Architecture) -> Architecture:
        """Return the architecture in canonical form if it belongs to this space; raise ArchitectureError otherwise."""
        if architecture.space != self.space:
            raise ArchitectureError(
                f"architecture: it is of space {architecture.space!r}, needed is {self.space!r}; "
                f"use it with --space {architecture.space}"
            )
        return self.architecture(architecture.as_dict())

    def is_listable(self, most: int) -> bool:
        """Say whether there are at most ``most`` encodings, and ``encodings`` lists them."""
        return self.grammar is None and self.count() <= most

    def count(self) -> int:
        """Return the exact number of encodings (6,561 for NAS-Bench-Macro)."""
        self._refuse_grammar("counted")
        return self._count(lambda name: len(self._values[name]))

    def count_distinct(self) -> int:
        """Return the exact number of distinct architectures (3,969 for NAS-Bench-Macro)."""
        self._refuse_grammar("counted")
        grouped = {name for equivalence in self.equivalences for name in equivalence.names}
        free = self._count(lambda name: 1 if name in grouped else len(self._values[name]))
        for equivalence in self.equivalences:
            encodings = itertools.product(*(self._values[name] for name in equivalence.names))
            free *= len({equivalence.canonical(encoding) for encoding in encodings})
        return free

    def encodings(self) -> Iterator[dict[str, Value]]:
        """Yield every encoding in lexicographic order, equivalent ones included."""
        self._refuse_grammar("listed")
        yield from self._encodings(list(self.decisions), {})

    def enumerate(self) -> Iterator[Architecture]:
        """Yield every distinct architecture once, in lexicographic order of its first encoding."""
        seen = set()
        for values in self.encodings():
            architecture = self._canonical(values)
            if architecture not in seen:
                seen.add(architecture)
                yield architecture

    def sample(self, generator: np.random.Generator) -> Architecture:
        """Draw each active decision uniformly (log-uniformly where it says so), or as the grammar does."""
        if self.grammar is not None:
            return self._canonical(self.grammar.sample(generator))
        kept: dict[str, Value] = {}
        if not self._conditional and not self._log_weights:
            draws = generator.integers([len(values) for values in self._values.values()])
            kept = {name: values[draw] for (name, values), draw in zip(self._values.items(), draws, strict=True)}
            return self._canonical(kept)
        for name in self.decisions:
            if self.is_active(name, kept):
                kept[name] = self._draw(name, generator)
        return self._canonical(kept)

    def mutate(self, parent: Architecture, generator: np.random.Generator, *, probability: float) -> Architecture:
        """Redraw each decision with ``probability``; the redraw may give the old value (SPOS, sampling.md 2.7)."""
        if self.grammar is not None:
            return self._canonical(self.grammar.mutate(parent.as_dict(), generator, probability=probability))
        if not self._conditional:
            redrawn = (generator.random(len(self.decisions)) < probability).nonzero()[0].tolist()
            values = [value for _, value in parent.values]
            for position in redrawn:
                values[position] = self._draw(parent.values[position][0], generator)
            return self._made(tuple(values)) if redrawn else parent
        kept: dict[str, Value] = {}
        for name in self.decisions:
            if self.is_active(name, kept):
                redraw = name not in parent or generator.random() < probability
                kept[name] = self._draw(name, generator) if redraw else parent[name]
        return self._canonical(kept)

    def cross(self, one: Architecture, other: Architecture, generator: np.random.Generator) -> Architecture:
        """Take each decision from either parent with probability 1/2; draw those that neither parent has."""
        if self.grammar is not None:
            return self._canonical(self.grammar.cross(one.as_dict(), other.as_dict(), generator))
        if not self._conditional:
            coins = (generator.random(len(self.decisions)) < 0.5).tolist()
            pairs = zip(one.values, other.values, coins, strict=True)
            return self._made(tuple([first[1] if coin else second[1] for first, second, coin in pairs]))
        kept: dict[str, Value] = {}
        for name in self.decisions:
            if self.is_active(name, kept):
                first, second = (one, other) if generator.random() < 0.5 else (other, one)
                parent = first if name in first else second
                kept[name] = parent[name] if name in parent else self._draw(name, generator)
        return self._canonical(kept)

    def neighbours(self, architecture: Architecture) -> Iterator[Architecture]:
        """Yield each distinct architecture that differs in one decision; newly active ones take their first value."""
        self._refuse_grammar("listed by neighbourhood")
        seen = {architecture}
        for name, current in architecture.values:
            for value in self._values[name]:
                if value == current:
                    continue
                kept: dict[str, Value] = {}
                for other in self.decisions:
                    if self.is_active(other, kept):
                        old = architecture[other] if other in architecture else self._values[other][0]
                        kept[other] = value if other == name else old
                neighbour = self._canonical(kept)
                if neighbour not in seen:
                    seen.add(neighbour)
                    yield neighbour

    def encode(self, architecture: Architecture) -> np.ndarray:
        """Return the concatenated one-hot encoding (zeros for inactive decisions), float64 ``[sum of values]``."""
        self._refuse_grammar("encoded for predictors")
        row = []
        for name, values in self._values.items():
            hot = np.zeros(len(values))
            if name in architecture:
                hot[self.index(name, architecture[name])] = 1.0
            row.append(hot)
        return np.concatenate(row) if row else np.zeros(0)

    def encode_all(self, architectures: Sequence[Architecture]) -> np.ndarray:
        """Return ``encode`` of several architectures, float64 ``[architectures, sum of values]``."""
        self._refuse_grammar("encoded for predictors")
        sizes = [len(values) for values in self._values.values()]
        hot = np.zeros((len(architectures), sum(sizes)))
        for (name, positions), start in zip(self._positions.items(), np.cumsum([0, *sizes]).tolist(), strict=False):
            columns = [start + positions[a[name]] if name in a else -1 for a in architectures]
            rows = [row for row, column in enumerate(columns) if column >= 0]
            hot[rows, [columns[row] for row in rows]] = 1.0
        return hot

    def code(self, architecture: Architecture) -> str:
        """Return the short code: one digit per decision, or numbers joined by ``-`` when some have over ten values.

        With a grammar there are too many decisions for a code, and the architecture's id stands in for it.
        """
        if self.grammar is not None:
            return architecture.id
        numbers = [str(self.index(n, architecture[n])) if n in architecture else "_" for n in self.decisions]
        return ("" if self._short else "-").join(numbers)

    def parse(self, code: str) -> Architecture:
        """Read a code as ``code`` writes it, option numbers separated by commas, or what ``notation`` reads.

        Raises:
            ArchitectureError: it is none of these, or of another space.
        """
        if self.grammar is not None:
            raise ArchitectureError(
                f"space {self.space!r}: it has no codes, for its architectures are too long; "
                "give the architecture.json that a search wrote"
            )
        if self.notation is not None and not code.strip()[:1].isdigit():
            return self.architecture(self.notation(code))
        separator = "," if "," in code else "-"
        parts = list(code) if self._short and separator not in code else code.split(separator)
        if len(parts) != len(self.decisions):
            raise ArchitectureError(
                f"space {self.space!r}: code {code!r} has {len(parts)} entries, needed are {len(self.decisions)}, "
                f"one per decision; for example {self.code(self._first())}"
            )
        values: dict[str, Value] = {}
        for (name, allowed), part in zip(self._values.items(), parts, strict=True):
            if part == "_":
                continue
            if not (part.isascii() and part.isdigit() and int(part) < len(allowed)):
                raise ArchitectureError(
                    f"space {self.space!r}: code {code!r} has {part!r} for {name!r}; "
                    f"allowed are 0 to {len(allowed) - 1} ({_few(list(allowed))})"
                )
            values[name] = allowed[int(part)]
        return self.architecture(values)

    def _check_equivalences(self) -> None:
        parents = {other for decision in self.decisions.values() for other, _ in decision.active_if}
        names = [name for equivalence in self.equivalences for name in equivalence.names]
        for name in names:
            known = name in self.decisions and not self.decisions[name].active_if and name not in parents
            if not known or names.count(name) > 1:
                raise ArchitectureError(
                    f"space {self.space!r}: {name!r} cannot be part of an equivalence; allowed are decisions "
                    "of the space without conditions, on or by others, in one equivalence each"
                )

    def _check_nodes(self) -> None:
        told = [name for node in self.nodes for name in node.decisions]
        if told != [name for name in self.decisions if name in set(told)]:
            raise ArchitectureError(
                f"space {self.space!r}: its nodes have decisions {_few(told)}; allowed are decisions of the space, "
                "each in one node, in the space's order"
            )

    def _refuse_grammar(self, what: str) -> None:
        if self.grammar is not None:
            raise ArchitectureError(
                f"space {self.space!r}: its architectures cannot be {what}, for its decisions constrain each other; "
                "draw, mutate or cross them"
            )

    @property
    def _short(self) -> bool:
        return all(len(values) <= 10 for values in self._values.values())

    def _first(self) -> Architecture:
        return self._canonical(next(iter(self.encodings())))

    def _canonical(self, values: dict[str, Value]) -> Architecture:
        """Return the architecture of the active decisions' values, in decision order."""
        if not self._conditional and self.grammar is None:
            return self._made(tuple(values.values()))
        return self._canonical_of(values)

    def _canonical_of(self, values: dict[str, Value]) -> Architecture:
        for equivalence in self.equivalences:
            group = tuple([values[name] for name in equivalence.names])
            values.update(zip(equivalence.names, equivalence.canonical(group), strict=True))
        pairs = self._pairs if self.grammar is None else {}
        return Architecture(self.space, tuple([pairs.setdefault(pair, pair) for pair in values.items()]))

    def _remembered(self) -> Callable[[tuple[Value, ...]], Architecture]:
        """Return what makes an architecture of the values of all decisions; of equivalent codes, some are kept."""

        def made(values: tuple[Value, ...]) -> Architecture:
            return self._canonical_of(dict(zip(self.decisions, values, strict=True)))

        return lru_cache(CACHED)(made) if self.equivalences else made

    def _checked(self, name: str, values: Mapping[str, Value]) -> Value:
        if name not in values:
            raise ArchitectureError(f"space {self.space!r}: decision {name!r} has no value; add it")
        value = values[name]
        if name not in self._positions:
            return _checked_subset(self.space, self.decisions[name], value)
        if value not in self._positions[name]:
            raise ArchitectureError(
                f"space {self.space!r}: decision {name!r} cannot be {value!r}; allowed are {_few(self._values[name])}"
            )
        return value

    def _draw(self, name: str, generator: np.random.Generator) -> Value:
        values = self._values[name]
        if name in self._log_weights:
            return values[int(generator.choice(len(values), p=self._log_weights[name]))]
        return values[int(generator.integers(len(values)))]

    def _count(self, size: Callable[[str], int]) -> int:
        parents = {name: {other for other, _ in d.active_if} for name, d in self.decisions.items()}
        if any(len(others) > 1 for others in parents.values()):  # a decision tied under several parents: rare, small
            return sum(1 for _ in self.encodings())
        children: dict[str, list[str]] = {name: [] for name in self.decisions}
        for name, others in parents.items():
            for other in others:
                children[other].append(name)

        def below(name: str) -> int:
            if not children[name]:
                return size(name)
            return sum(
                math.prod(below(child) for child in children[name] if self.is_active(child, {name: value}))
                for value in self._values[name]
            )

        return math.prod(below(name) for name, others in parents.items() if not others)

    def _encodings(self, names: list[str], kept: dict[str, Value]) -> Iterator[dict[str, Value]]:
        if not names:
            yield dict(kept)
            return
        name, rest = names[0], names[1:]
        if not self.is_active(name, kept):
            yield from self._encodings(rest, kept)
            return
        for value in self._values[name]:
            yield from self._encodings(rest, {**kept, name: value})


def _size(decision: Decision) -> int:
    if isinstance(decision, Subset):
        most = len(decision.options) if decision.most is None else decision.most
        return sum(math.comb(len(decision.options), size) for size in range(decision.least, most + 1))
    return len(decision.values())


def _checked_subset(space: str, decision: Decision, value: Value) -> Value:
    """Return the value of a subset too large to list."""
    assert isinstance(decision, Subset)
    most = len(decision.options) if decision.most is None else decision.most
    chosen = set(value) if isinstance(value, tuple) else None
    in_order = chosen is not None and tuple(option for option in decision.options if option in chosen) == value
    if chosen is None or not in_order or not decision.least <= len(chosen) <= most:
        raise ArchitectureError(
            f"space {space!r}: decision {decision.name!r} cannot be {value!r}; allowed are {decision.least} to {most} "
            f"of {_few(list(decision.options))}, in this order"
        )
    return value


def _log_uniform(decision: Integer) -> np.ndarray:
    """Return the mass of each value when its logarithm is uniform and rounded down to the grid, ``[values]``."""
    values = np.asarray(decision.values(), dtype=float)
    edges = np.log(np.append(values, values[-1] + decision.step))
    mass = np.diff(edges)
    return np.asarray(mass / mass.sum())


def _few(items: Sequence[object]) -> str:
    shown = ", ".join(str(item) for item in items[:8])
    return shown if len(items) <= 8 else f"{shown}, ... ({len(items)} in all)"
