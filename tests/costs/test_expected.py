"""Expected cost against its definition: the sum over all encodings of probability times cost."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from tiny import chained
from tiny import space as tiny_space
from torch import Tensor

from palmette.architecture import Architecture
from palmette.costs.complexity import CostTable
from palmette.costs.expected import ExpectedCost
from palmette.costs.limits import SummedCosts
from palmette.decision import Categorical
from palmette.decisions import Decisions
from palmette.errors import ArchitectureError, LimitError
from palmette.spaces.nas_bench_macro import nas_bench_macro


class Table:
    """Costs of decisions of which ``kernel`` is reached through ``a`` or ``b``, ``deep`` through ``kernel``."""

    names = ("flops", "params", "acts")

    def __init__(self) -> None:
        through = (("a", "conv"), ("b", "conv"))
        kernel = Categorical("kernel", ("k1", "k3", "deep"), active_if=through)
        deep = Categorical("deep", ("once", "twice"), active_if=(("kernel", "deep"), ("kernel", "k3")))
        ends = [Categorical(name, ("conv", "k5", "skip")) for name in "ab"]
        self.decisions = Decisions("nested", [*ends, kernel, deep])
        generator = np.random.default_rng(0)
        self.fixed = generator.random(3)
        self.options = {d.name: generator.random((len(d.values()), 3)) for d in self.decisions.decisions.values()}
        self.joint: dict[tuple[str, ...], np.ndarray] = {}

    def __call__(self, architecture: Architecture) -> dict[str, float]:
        rows = [self.options[n][self.decisions.index(n, value)] for n, value in architecture.values]
        return dict(zip(self.names, sum(rows, self.fixed), strict=True))


MACRO = CostTable(nas_bench_macro(), (3, 32, 32))


def probabilities(decisions: Decisions, seed: int = 0) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    sizes = {name: len(decisions.values(name)) for name in decisions.decisions}
    return {n: torch.randn(k, generator=generator, dtype=torch.float64).softmax(0) for n, k in sizes.items()}


def by_definition(table: SummedCosts, cost: str, weights: dict[str, Tensor]) -> float:
    decisions, column, total = table.decisions, list(table.names).index(cost), 0.0
    for values in decisions.encodings():
        chosen = {name: decisions.index(name, value) for name, value in values.items()}
        probability = math.prod(float(weights[name][i]) for name, i in chosen.items())
        total += probability * (table.fixed[column] + sum(table.options[n][i][column] for n, i in chosen.items()))
    return total


@pytest.mark.parametrize("cost", ["flops", "params", "acts"])
@pytest.mark.parametrize(
    "table", [CostTable(tiny_space(3), (1, 8, 8)), Table(), MACRO], ids=["tiny", "nested", "macro"]
)
def test_the_expectation_is_the_weighted_sum_over_all_encodings(table: SummedCosts, cost: str) -> None:
    weights = probabilities(table.decisions)
    expected = ExpectedCost(table, cost)(weights)
    assert float(expected) == pytest.approx(by_definition(table, cost, weights), rel=1e-12)


def test_a_decision_under_two_others_counts_once_where_both_reach_it() -> None:
    weights = {"a": [0.5, 0, 0.5], "b": [0.25, 0, 0.75], "kernel": [1, 0, 0], "deep": [0.5, 0.5]}
    table = Table()
    flops = {name: rows[:, 0] for name, rows in table.options.items()}
    a, b = 0.5 * flops["a"][0] + 0.5 * flops["a"][2], 0.25 * flops["b"][0] + 0.75 * flops["b"][2]
    by_hand = table.fixed[0] + a + b + (1 - 0.5 * 0.75) * flops["kernel"][0]
    expected = ExpectedCost(table, "flops")({n: torch.tensor(p, dtype=torch.float64) for n, p in weights.items()})
    assert float(expected) == pytest.approx(by_hand, rel=1e-14)


def test_certain_options_cost_what_the_architecture_costs() -> None:
    architecture = MACRO.decisions.parse("02112201")
    picks = {name: MACRO.decisions.index(name, value) for name, value in architecture.values}
    hot = {name: torch.eye(3, dtype=torch.float64)[pick] for name, pick in picks.items()}
    assert {cost: float(ExpectedCost(MACRO, cost)(hot)) for cost in MACRO.names} == MACRO(architecture)


def test_the_gradient_by_a_probability_is_the_cost_of_the_option() -> None:
    table = CostTable(tiny_space(2), (1, 8, 8))
    weights = {name: p.requires_grad_() for name, p in probabilities(table.decisions).items()}
    ExpectedCost(table, "flops")(weights).backward()
    assert weights["a"].grad is not None
    assert weights["a"].grad.tolist() == table.options["a"][:, 0].tolist()


def test_gradients_reach_the_logits_of_conditions_too() -> None:
    expected = ExpectedCost(Table(), "flops")
    logits = {n: torch.zeros(len(p), dtype=torch.float64) for n, p in probabilities(Table().decisions).items()}

    def cost(*values: Tensor) -> Tensor:
        return expected({name: v.softmax(0) for name, v in zip(logits, values, strict=True)})

    assert torch.autograd.gradcheck(cost, [value.requires_grad_() for value in logits.values()])


def test_what_does_not_fit_is_named() -> None:
    table = CostTable(tiny_space(2), (1, 8, 8))
    with pytest.raises(LimitError, match="'joules': no such cost is known; allowed are flops, params, acts"):
        ExpectedCost(table, "joules")
    with pytest.raises(ArchitectureError, match=r"no probabilities were given for decision 'b'; add them"):
        ExpectedCost(table, "flops")({"a": torch.ones(3)})
    with pytest.raises(ArchitectureError, match=r"of shape \(2,\) were given for decision 'a'; it needs \[3\]"):
        ExpectedCost(table, "flops")({"a": torch.ones(2), "b": torch.ones(3)})


class Chain:
    """Costs of neighbouring decisions together; ``c`` is there only after ``b`` is wide."""

    names = ("flops", "params", "acts")

    def __init__(self) -> None:
        ends = [Categorical("a", ("k3", "k5")), Categorical("b", ("narrow", "wide", "none"))]
        self.decisions = Decisions("chain", [*ends, Categorical("c", ("x", "y", "z"), active_if=(("b", "wide"),))])
        generator = np.random.default_rng(1)
        self.fixed = generator.random(3)
        self.options = {d.name: generator.random((len(d.values()), 3)) for d in self.decisions.decisions.values()}
        shapes = {("a", "b"): (2, 3), ("b", "c"): (3, 3), ("a", "c"): (2, 3), ("a", "b", "c"): (2, 3, 3)}
        self.joint = {names: generator.random((*shape, 3)) for names, shape in shapes.items()}

    def __call__(self, architecture: Architecture) -> dict[str, float]:
        picks = {n: self.decisions.index(n, value) for n, value in architecture.values}
        groups = [tuple(picks[n] for n in names) if set(names) <= set(picks) else None for names in self.joint]
        joint = [table[group] for table, group in zip(self.joint.values(), groups, strict=True) if group is not None]
        total = sum([*(self.options[n][i] for n, i in picks.items()), *joint], self.fixed)
        return dict(zip(self.names, total, strict=True))


@pytest.mark.parametrize("table", [Chain(), CostTable(chained(), (3, 8, 8))], ids=["conditional", "widths"])
def test_costs_that_depend_on_several_decisions_are_weighted_by_the_product_of_their_probabilities(
    table: Chain | CostTable,
) -> None:
    weights, total = probabilities(table.decisions), 0.0
    for values in table.decisions.encodings():
        chances = [float(weights[name][table.decisions.index(name, value)]) for name, value in values.items()]
        total += math.prod(chances) * table(table.decisions.architecture(values))["flops"]
    assert float(ExpectedCost(table, "flops")(weights)) == pytest.approx(total, rel=1e-12)


def test_gradients_of_joint_costs_are_exact() -> None:
    expected = ExpectedCost(Chain(), "flops")
    names = list(expected.costs)
    points = [p.requires_grad_() for p in probabilities(Chain().decisions).values()]
    assert torch.autograd.gradcheck(lambda *p: expected(dict(zip(names, p, strict=True))), points)
