"""Decisions under a grammar: drawn by it, checked by it, never counted or listed; and subsets too large to list."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from palmette.architecture import Architecture, Value
from palmette.costs.limits import Limits, check_feasible
from palmette.decision import Categorical, Grammar, Integer, Subset
from palmette.decisions import LISTED, Decisions
from palmette.errors import ArchitectureError, LimitError
from palmette.searches.random import draw_new

NAMES = tuple(f"n{i}" for i in range(40))


class Balanced:
    """As many names as ``size`` says."""

    def sample(self, generator: np.random.Generator) -> dict[str, Value]:
        size = int(generator.integers(1, 4))
        picks = sorted(generator.choice(len(NAMES), size, replace=False).tolist())
        return {"size": size, "names": tuple(NAMES[i] for i in picks)}

    def mutate(
        self, parent: Mapping[str, Value], generator: np.random.Generator, *, probability: float
    ) -> dict[str, Value]:
        return self.sample(generator) if generator.random() < probability else dict(parent)

    def cross(
        self, one: Mapping[str, Value], other: Mapping[str, Value], generator: np.random.Generator
    ) -> dict[str, Value]:
        return dict(one if generator.random() < 0.5 else other)

    def check(self, values: Mapping[str, Value]) -> None:
        names = values["names"]
        assert isinstance(names, tuple)
        if len(names) != values["size"]:
            raise ArchitectureError(f"size {values['size']} with {len(names)} names; they must agree")

    def at(self, progress: float) -> Grammar:
        return self


@pytest.fixture
def decisions() -> Decisions:
    return Decisions("balanced", [Integer("size", 1, 3), Subset("names", NAMES)], grammar=Balanced())


def test_the_grammar_draws_mutates_and_crosses(decisions: Decisions) -> None:
    generator = np.random.default_rng(0)
    drawn = [decisions.sample(generator) for _ in range(50)]
    drawn += [decisions.mutate(drawn[0], generator, probability=0.5) for _ in range(20)]
    drawn += [decisions.cross(drawn[0], drawn[1], generator) for _ in range(20)]
    assert all(decisions.check(architecture) == architecture for architecture in drawn)
    assert len(set(drawn[70:])) == 2


def test_values_that_do_not_go_together_are_refused_by_the_grammar(decisions: Decisions) -> None:
    with pytest.raises(ArchitectureError, match="size 3 with 2 names"):
        decisions.architecture({"size": 3, "names": ("n0", "n7")})


@pytest.mark.parametrize("names", [("n7", "n0"), ("n0", "n0"), ("n99",), "n0", 3])
def test_a_subset_too_large_to_list_is_still_checked(decisions: Decisions, names: Value) -> None:
    with pytest.raises(ArchitectureError, match="'names' cannot be"):
        decisions.architecture({"size": 1, "names": names})


def test_what_needs_a_list_is_refused_and_sizes_are_exact(decisions: Decisions) -> None:
    architecture = decisions.sample(np.random.default_rng(0))
    assert decisions.size("names") == 2**40 > LISTED
    assert decisions.size("size") == 3
    for refused in (decisions.count, decisions.count_distinct, lambda: list(decisions.encodings())):
        with pytest.raises(ArchitectureError, match="constrain each other"):
            refused()
    for refused in (lambda: list(decisions.neighbours(architecture)), lambda: decisions.encode(architecture)):
        with pytest.raises(ArchitectureError, match="constrain each other"):
            refused()
    with pytest.raises(ArchitectureError, match="1,099,511,627,776 values are not listed"):
        decisions.values("names")
    assert not decisions.is_listable(10**30)


def test_the_code_is_the_id_and_cannot_be_parsed(decisions: Decisions) -> None:
    architecture = decisions.sample(np.random.default_rng(0))
    assert decisions.code(architecture) == architecture.id
    assert decisions.check(Architecture.from_json(architecture.to_json())) == architecture
    with pytest.raises(ArchitectureError, match=r"give the architecture\.json"):
        decisions.parse(architecture.id)


def test_draws_end_where_limits_allow_nothing_and_feasibility_reports_the_nearest(decisions: Decisions) -> None:
    assert draw_new(decisions, lambda a: False, 3, set(), np.random.default_rng(0)) == []
    with pytest.raises(LimitError, match=r"the nearest, .* has flops 1"):
        check_feasible(
            Limits.from_mapping({"flops": 0.5}),
            decisions,
            lambda a: {"flops": float(str(a["size"]))},
            np.random.default_rng(0),
        )


def test_without_a_grammar_a_decision_too_large_to_list_is_refused() -> None:
    with pytest.raises(ArchitectureError, match="more than 4,096 values"):
        Decisions("large", [Categorical("a", ("x", "y")), Subset("names", NAMES)])
