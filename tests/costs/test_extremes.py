"""The cheapest and the dearest architecture against trying all."""

from __future__ import annotations

import numpy as np
import pytest
from tiny import chained

from palmette.architecture import Architecture
from palmette.costs.complexity import CostTable
from palmette.costs.extremes import extreme
from palmette.costs.limits import Limits, check_feasible
from palmette.decision import Categorical
from palmette.decisions import Decisions
from palmette.errors import LimitError
from palmette.spaces.small_widths import small_widths


class Random:
    """Random costs of a chain, a circle and decisions active under one or several others."""

    names = ("x",)

    def __init__(self, seed: int) -> None:
        free = [Categorical(name, ("1", "2", "3")) for name in "abcd"]
        under = Categorical("e", ("1", "2"), active_if=(("a", "1"), ("b", "2")))
        deeper = Categorical("f", ("1", "2"), active_if=(("e", "2"),))
        self.decisions = Decisions("random", [*free, under, deeper])
        generator = np.random.default_rng(seed)
        sizes = {d.name: len(d.options) for d in self.decisions.decisions.values() if isinstance(d, Categorical)}
        self.fixed = generator.normal(size=1)
        self.options = {name: generator.normal(size=(size, 1)) for name, size in sizes.items()}
        groups = [("a", "b"), ("b", "c"), ("c", "d"), ("a", "d"), ("a", "e"), ("d", "f"), ("b", "c", "e")]
        self.joint = {names: generator.normal(size=(*(sizes[n] for n in names), 1)) for names in groups}

    def __call__(self, architecture: Architecture) -> dict[str, float]:
        picks = {n: self.decisions.index(n, value) for n, value in architecture.values}
        total = float(self.fixed[0]) + sum(float(self.options[n][i, 0]) for n, i in picks.items())
        for names, costs in self.joint.items():
            if all(n in picks for n in names):
                total += float(costs[tuple(picks[n] for n in names)][0])
        return {"x": total}


@pytest.mark.parametrize("seed", range(8))
def test_the_extremes_are_those_of_all_architectures(seed: int) -> None:
    table = Random(seed)
    every = [table(architecture)["x"] for architecture in table.decisions.enumerate()]
    for sign, expected in ((1, min(every)), (-1, max(every))):
        values = extreme(table.decisions, table, "x", sign)
        assert values is not None
        assert table(table.decisions.architecture(values))["x"] == pytest.approx(expected, rel=1e-12)


def test_the_extremes_of_a_space_of_widths_are_exact() -> None:
    table = CostTable(chained(), (3, 8, 8))
    for cost in table.names:
        every = [table(architecture)[cost] for architecture in table.decisions.enumerate()]
        for sign, expected in ((1, min(every)), (-1, max(every))):
            values = extreme(table.decisions, table, cost, sign)
            assert values is not None
            assert table(table.decisions.architecture(values))[cost] == expected


def test_a_limit_below_the_narrowest_network_is_refused_with_its_cost() -> None:
    space = small_widths()
    table = CostTable(space, (1, 8, 8))
    narrowest = table(space.decisions.parse("000000"))["flops"]
    generator = np.random.default_rng(0)
    with pytest.raises(LimitError, match=f"the smallest architecture of space 'small-widths' has {narrowest:,}; raise"):
        check_feasible(Limits.from_mapping({"flops": narrowest - 1}), space.decisions, table, generator)
    found = check_feasible(Limits.from_mapping({"flops": narrowest}), space.decisions, table, generator)
    assert space.decisions.code(found) == "000000"
