"""Limits: what they accept, what they refuse, and whether infeasible ones are recognised before any training."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from palmette.architecture import Architecture
from palmette.costs.complexity import CostTable
from palmette.costs.limits import Limit, Limits, check_feasible
from palmette.decision import Categorical
from palmette.decisions import Decisions
from palmette.errors import LimitError
from palmette.spaces.nas_bench_macro import nas_bench_macro

LARGE = Decisions("large", [Categorical(f"d{i}", tuple("abcd")) for i in range(20)])


@pytest.fixture(scope="module")
def macro() -> CostTable:
    return CostTable(nas_bench_macro(), (3, 32, 32))


class Table:
    """Costs ``x`` and ``y`` that are sums."""

    names = ("x", "y")

    def __init__(self, decisions: Decisions, fixed: np.ndarray, options: dict[str, np.ndarray]) -> None:
        self.decisions = decisions
        self.fixed = fixed
        self.options = options
        self.joint: dict[tuple[str, ...], np.ndarray] = {}

    def __call__(self, architecture: Architecture) -> dict[str, float]:
        rows = [self.options[name][self.decisions.index(name, value)] for name, value in architecture.values]
        x, y = sum(rows, self.fixed)
        return {"x": float(x), "y": float(y)}


def generator() -> np.random.Generator:
    return np.random.default_rng(0)


def large_costs(architecture: Architecture) -> dict[str, int]:
    """``a`` counts the 'a' three times and the 'b' once, ``not_a`` counts all but 'a'."""
    values = [value for _, value in architecture.values]
    return {"a": 3 * values.count("a") + values.count("b"), "not_a": 20 - values.count("a")}


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        ("50e6", None, 50e6),
        (":50e6", None, 50e6),
        ("40e6:50e6", 40e6, 50e6),
        ("40e6:", 40e6, None),
        ("50M", None, 50e6),
        (" 1.5K : 2G ", 1500.0, 2e9),
    ],
)
def test_a_limit_is_read_from_text(text: str, low: float | None, high: float | None) -> None:
    assert Limit.parse(text) == Limit(low, high)


@given(st.floats(0, 1e12), st.floats(0, 1e12), st.sampled_from(["low", "high", "both"]))
def test_the_text_of_a_limit_reads_back_exactly(one: float, other: float, ends: str) -> None:
    low, high = sorted((one, other))
    limit = Limit(None if ends == "high" else low, None if ends == "low" else high)
    assert Limit.parse(limit.text) == limit


@pytest.mark.parametrize("text", ["", ":", "many", "1:2:3", "50m", "50 MFLOPs", "-1", "nan", "inf", "2M:1M", "K"])
def test_malformed_text_is_refused_in_one_line_that_shows_it(text: str) -> None:
    with pytest.raises(LimitError) as caught:
        Limits.from_mapping({"flops": text})
    assert str(caught.value).startswith("flops: limit")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("value", [None, True, (1, 2, 3), (None, None), (2e6, 1e6), -5, float("nan"), {"high": 1}])
def test_malformed_values_are_refused(value: object) -> None:
    with pytest.raises(LimitError, match="flops"):
        Limits.from_mapping({"flops": value})  # type: ignore[dict-item]


def test_a_bare_number_means_at_most_and_a_pair_a_range_with_inclusive_ends() -> None:
    limits = Limits.from_mapping({"flops": 50e6, "params": (1e6, 2e6), "acts": (10, None)})
    assert limits.allows({"flops": 50_000_000, "params": 1_000_000, "acts": 10})
    assert not limits.allows({"flops": 50_000_001, "params": 1_000_000, "acts": 10})
    assert not limits.allows({"flops": 1, "params": 999_999, "acts": 10})
    assert not limits.allows({"flops": 1, "params": 2_000_001, "acts": 10})
    assert not limits.allows({"flops": 1, "params": 1_000_000, "acts": 9})
    assert str(limits) == "flops at most 50,000,000 and params between 1,000,000 and 2,000,000 and acts at least 10"
    assert Limits.from_mapping(limits.pairs()) == limits


def test_no_limits_allow_everything() -> None:
    assert Limits({}).allows({"flops": 1e30})
    assert Limits({}).allows({})


def test_an_unknown_cost_is_named_with_those_there_are(macro: CostTable) -> None:
    limits = Limits.from_mapping({"flop": 1e6})
    with pytest.raises(LimitError, match=r"'flop'.*allowed are flops, params, acts"):
        limits.allows({"flops": 1, "params": 1, "acts": 1})
    with pytest.raises(LimitError, match=r"'flop'.*allowed are flops, params, acts"):
        check_feasible(limits, macro.decisions, macro, generator())


def test_too_low_a_limit_is_answered_with_the_smallest_architecture(macro: CostTable) -> None:
    with pytest.raises(LimitError) as caught:
        check_feasible(Limits.from_mapping({"flops": 1e6}), macro.decisions, macro, generator())
    assert str(caught.value) == (
        "flops at most 1,000,000: the smallest architecture of space 'nas-bench-macro' has 7,713,280; "
        "raise the limit to at least that"
    )


def test_too_high_a_limit_is_answered_with_the_largest_architecture(macro: CostTable) -> None:
    with pytest.raises(
        LimitError, match=r"params at least 3,000,000: the largest .* 2,932,586; lower the limit to at most"
    ):
        check_feasible(Limits.from_mapping({"params": "3M:"}), macro.decisions, macro, generator())


@pytest.mark.parametrize("limit", ["7713280", "105660928:"])
def test_a_limit_that_one_architecture_meets_exactly_is_feasible(macro: CostTable, limit: str) -> None:
    limits = Limits.from_mapping({"flops": limit})
    found = check_feasible(limits, macro.decisions, macro, generator())
    assert limits.allows(macro(found))


def test_small_spaces_are_searched_completely_for_combined_limits(macro: CostTable) -> None:
    rarest = min(macro.decisions.enumerate(), key=lambda a: macro(a)["params"] / macro(a)["flops"])
    costs = macro(rarest)
    limits = Limits.from_mapping({"flops": (costs["flops"], None), "params": costs["params"]})
    assert limits.allows(macro(check_feasible(limits, macro.decisions, macro, generator())))
    impossible = Limits.from_mapping({"flops": (costs["flops"], None), "params": costs["params"] - 1})
    with pytest.raises(
        LimitError, match=r"no architecture of space 'nas-bench-macro' does; the nearest, [0-2]{8}, has"
    ):
        check_feasible(impossible, macro.decisions, macro, generator())


def test_large_spaces_are_exact_at_one_end_of_a_summed_cost() -> None:
    options = {f"d{i}": np.array([[i + 9, 0], [i + 4, 1], [i + 5, 2], [i + 6, 3]]) for i in range(20)}
    table = Table(LARGE, np.array([7, 5]), options)
    smallest = 7 + sum(i + 4 for i in range(20))
    assert check_feasible(Limits.from_mapping({"x": smallest}), LARGE, table, generator())["d3"] == "b"
    with pytest.raises(LimitError, match=f"the smallest .* has {smallest}; raise the limit"):
        check_feasible(Limits.from_mapping({"x": smallest - 1}), LARGE, table, generator())


def test_the_extreme_of_conditional_decisions_counts_active_ones_only() -> None:
    decisions = Decisions(
        "conditional",
        [
            Categorical("kind", ("plain", "nested")),
            Categorical("inner", tuple("ab"), active_if=(("kind", "nested"),)),
            *[Categorical(f"d{i}", tuple("abcd")) for i in range(12)],
        ],
    )

    options = {f"d{i}": np.array([[0, 0], [1, 0], [2, 0], [3, 0]]) for i in range(12)}
    options |= {"kind": np.array([[10, 0], [1, 0]]), "inner": np.array([[12, 0], [8, 0]])}
    table = Table(decisions, np.array([0, 0]), options)
    found = check_feasible(Limits.from_mapping({"x": 9}), decisions, table, generator())
    assert (found["kind"], found["inner"]) == ("nested", "b")
    with pytest.raises(LimitError, match="has 9; raise"):
        check_feasible(Limits.from_mapping({"x": 8}), decisions, table, generator())


def test_large_spaces_are_searched_locally_for_combined_limits() -> None:
    limits = Limits.from_mapping({"a": (60, None), "not_a": 0})
    found = check_feasible(limits, LARGE, large_costs, generator())
    assert set(found.as_dict().values()) == {"a"}
    with pytest.raises(LimitError, match=r"none was found in space 'large' \(1000 draws and 10 local searches\)"):
        check_feasible(Limits.from_mapping({"a": (60, None), "not_a": (1, None)}), LARGE, large_costs, generator())
