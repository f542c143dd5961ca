"""Expected cost: a table weighted by the probabilities of its options, so that a loss can hold FLOPs or latency.

Decisions are independent, so the expectation of a sum over layers is the sum of expectations, and its derivative by the
probability of an option is that option's cost: gradients reach the architecture parameters without sampling
(ProxylessNAS, Cai et al., ICLR 2019, section 3.3; gradient.md 9.10). With weights of a Gumbel softmax in place of
probabilities it is the latency term of FBNet (Wu et al., CVPR 2019, section 3.2; gradient.md 7.2).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from palmette.costs.limits import SummedCosts
from palmette.decisions import Decisions
from palmette.errors import ArchitectureError, LimitError


class ExpectedCost:
    """The expectation of one cost over architectures whose decisions are drawn independently; differentiable.

    Args:
        table: for example ``CostTable(space, input_shape)``; encodings count as the table's rows say, so encodings of
            one network that a table tells apart are told apart here too.
        cost: which of the table's costs, in the unit of the table.

    Raises:
        LimitError: a cost that the table does not have.
    """

    def __init__(self, table: SummedCosts, cost: str) -> None:
        if cost not in table.names:
            raise LimitError(f"expected cost of {cost!r}: no such cost is known; allowed are {', '.join(table.names)}")
        column = list(table.names).index(cost)
        self.fixed = float(table.fixed[column])
        self.costs = {name: np.asarray(rows[:, column], dtype=np.float64) for name, rows in table.options.items()}
        """By decision, ``[options]``."""
        self.paths = {name: _ways_to(name, table.decisions) for name in self.costs}
        """By decision, the settings of other decisions that make it active; none where it always is."""
        self.joint = [_Joint(names, rows[..., column], table.decisions) for names, rows in table.joint.items()]

    def __call__(self, probabilities: Mapping[str, Tensor]) -> Tensor:
        """Return the expected cost, a scalar of the type and on the device of the probabilities.

        Args:
            probabilities: by decision, ``[options]``, also of decisions that are active only under conditions: given
                that they are.

        Raises:
            ArchitectureError: a decision is missing, or its tensor has another number of options.
        """
        self._check(probabilities)
        parts = [probabilities[name] * self._activity(name, probabilities) for name in self.costs]
        weights = torch.cat(parts)
        costs = torch.from_numpy(np.concatenate(list(self.costs.values()))).to(weights)
        joint = sum((part(probabilities) for part in self.joint), start=weights.new_zeros(()))
        return weights @ costs + joint + self.fixed

    def _activity(self, name: str, probabilities: Mapping[str, Tensor]) -> Tensor | float:
        """Return the probability that a decision is active: of any of the ways to it, which exclude each other."""
        ways = self.paths[name]
        if not ways:
            return 1.0
        return torch.stack([torch.stack([probabilities[d][i] for d, i in way]).prod() for way in ways]).sum()

    def _check(self, probabilities: Mapping[str, Tensor]) -> None:
        for name, costs in self.costs.items():
            if name not in probabilities:
                raise ArchitectureError(f"expected cost: no probabilities were given for decision {name!r}; add them")
            if probabilities[name].shape != costs.shape:
                raise ArchitectureError(
                    f"expected cost: probabilities of shape {tuple(probabilities[name].shape)} were given for decision "
                    f"{name!r}; it needs [{len(costs)}]"
                )


class _Joint:
    """A cost that several decisions have together, while all of them are active."""

    def __init__(self, names: tuple[str, ...], costs: npt.NDArray[Any], decisions: Decisions) -> None:
        self.names = names
        self.costs = np.asarray(costs, dtype=np.float64)
        above = set().union(*(_above(name, decisions) for name in names)) - set(names)
        conditional = any(decisions.decisions[name].active_if for name in names)
        self.ways = _settings(names, above, decisions) if conditional else []
        """Settings of the decisions and of those above them in which all are active; empty where they always are."""

    def __call__(self, probabilities: Mapping[str, Tensor]) -> Tensor:
        if not self.ways:
            total = torch.from_numpy(self.costs).to(probabilities[self.names[0]])
            for name in reversed(self.names):
                total = total @ probabilities[name]
            return total
        chances = [torch.stack([probabilities[d][i] for d, i in way.items()]).prod() for way in self.ways]
        costs = [self.costs[tuple(way[name] for name in self.names)] for way in self.ways]
        return torch.stack(chances) @ torch.tensor(costs).to(chances[0])


def _settings(names: Sequence[str], above: set[str], decisions: Decisions) -> list[dict[str, int]]:
    those = Decisions(decisions.space, [d for n, d in decisions.decisions.items() if n in above or n in names])
    return [
        {other: those.index(other, value) for other, value in values.items()}
        for values in those.encodings()
        if all(name in values for name in names)
    ]


def _ways_to(name: str, decisions: Decisions) -> list[list[tuple[str, int]]]:
    """Return the settings ``(decision, option)`` of the decisions above ``name`` that make it active, each complete."""
    above = _above(name, decisions)
    if not above:
        return []
    those = Decisions(decisions.space, [d for n, d in decisions.decisions.items() if n in above])
    return [
        [(other, those.index(other, value)) for other, value in values.items()]
        for values in those.encodings()
        if decisions.is_active(name, values)
    ]


def _above(name: str, decisions: Decisions) -> set[str]:
    """Return the decisions that conditions of ``name`` are on, and those above these."""
    found: set[str] = set()
    waiting = [name]
    while waiting:
        new = {other for other, _ in decisions.decisions[waiting.pop()].active_if} - found
        found |= new
        waiting += new
    return found
