"""Extremes: the cheapest and the dearest architecture of a space, exactly, where costs are tables.

A cost is a sum of terms that know one decision or a few. The least sum is found decision by decision: of each, the best
option for every setting of the decisions it shares a term with (variable elimination, as of Bertele and Brioschi,
"Nonserial Dynamic Programming", 1972). For a chain of widths that is Viterbi's algorithm.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from palmette.architecture import Value
from palmette.decisions import Decisions

if TYPE_CHECKING:
    from palmette.costs.limits import SummedCosts

LARGEST = 1_000_000
"""Entries of a table while decisions are taken out one by one; where it takes more, no answer is given."""


@dataclass(frozen=True)
class _Term:
    """A cost, ``[options, options, ...]``, of decisions by name; a conditional one has one option more: inactive."""

    names: tuple[str, ...]
    costs: npt.NDArray[np.float64]


def extreme(decisions: Decisions, table: SummedCosts, cost: str, sign: int) -> dict[str, Value] | None:
    """Return the values with the least ``sign * cost``, of active decisions; None where that is too much work."""
    if decisions.grammar is not None:
        return None
    terms = [*_costs(decisions, table, cost, sign), *_conditions(decisions)]
    steps: list[tuple[str, tuple[str, ...], npt.NDArray[np.int64]]] = []
    waiting = list(decisions.decisions)
    while waiting:
        scopes = {name: _scope(name, terms) for name in waiting}
        sizes = {name: int(np.prod([_options(decisions, n) for n in (name, *scope)])) for name, scope in scopes.items()}
        name = min(waiting, key=sizes.__getitem__)
        if sizes[name] > LARGEST:
            return None
        scope = scopes[name]
        total = sum(_spread(term, (*scope, name)) for term in terms if name in term.names)
        assert isinstance(total, np.ndarray)
        total = np.broadcast_to(total, [_options(decisions, n) for n in (*scope, name)])
        steps.append((name, scope, total.argmin(-1)))
        terms = [term for term in terms if name not in term.names] + [_Term(scope, total.min(-1))]
        waiting.remove(name)
    picks: dict[str, int] = {}
    for name, scope, best in reversed(steps):
        picks[name] = int(best[tuple(picks[other] for other in scope)])
    values = {name: decisions.values(name) for name in decisions.decisions}
    return {name: values[name][picks[name]] for name in values if picks[name] < len(values[name])}


def _costs(decisions: Decisions, table: SummedCosts, cost: str, sign: int) -> list[_Term]:
    column = list(table.names).index(cost)
    found = [((name,), rows) for name, rows in table.options.items()]
    terms = []
    for names, rows in [*found, *table.joint.items()]:
        ends = [(0, int(bool(decisions.decisions[name].active_if))) for name in names]  # what is inactive costs nothing
        terms.append(_Term(names, np.pad(sign * np.asarray(rows[..., column], dtype=np.float64), ends)))
    return terms


def _conditions(decisions: Decisions) -> list[_Term]:
    """Return terms that are infinite where a decision is active and should not be, or the other way round."""
    terms = []
    for name, decision in decisions.decisions.items():
        if not decision.active_if:
            continue
        parents = tuple(dict.fromkeys(other for other, _ in decision.active_if))
        names = (*parents, name)
        costs = np.zeros([_options(decisions, other) for other in names])
        for index in np.ndindex(*costs.shape[:-1]):
            rows = zip(parents, index, strict=True)
            values = {n: decisions.values(n)[i] for n, i in rows if i < len(decisions.values(n))}
            allowed = slice(-1, None) if decisions.is_active(name, values) else slice(None, -1)
            costs[(*index, allowed)] = np.inf
        terms.append(_Term(names, costs))
    return terms


def _options(decisions: Decisions, name: str) -> int:
    return len(decisions.values(name)) + bool(decisions.decisions[name].active_if)


def _scope(name: str, terms: Sequence[_Term]) -> tuple[str, ...]:
    """Return the other decisions that terms of ``name`` know."""
    return tuple(dict.fromkeys(other for t in terms if name in t.names for other in t.names if other != name))


def _spread(term: _Term, names: tuple[str, ...]) -> npt.NDArray[np.float64]:
    """Return the costs of a term as an array over ``names``, of size 1 along those that it does not know."""
    known = [name for name in names if name in term.names]
    axes = [term.names.index(name) for name in known]
    sizes = dict(zip(known, term.costs.transpose(axes).shape, strict=True))
    return term.costs.transpose(axes).reshape([sizes.get(name, 1) for name in names])
