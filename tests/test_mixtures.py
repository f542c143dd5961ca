from __future__ import annotations

import pytest

from palmette.decision import Categorical, Integer
from palmette.decisions import Decisions
from palmette.errors import ArchitectureError
from palmette.mixtures import Mixture, Mixtures, Weights, largest


def test_the_largest_weight_of_every_decision_wins_and_the_first_of_equal_ones() -> None:
    decisions = Decisions("toy", [Categorical("a", ("x", "y", "z")), Categorical("b", ("u", "v"))])
    mixtures = Mixtures(decisions)
    assert mixtures.options() == {"a": ("x", "y", "z"), "b": ("u", "v")}
    assert mixtures.strongest({"a": [0.2, 0.4, 0.4], "b": [0.1, 0.9]}).as_dict() == {"a": "y", "b": "v"}
    assert largest([1.0, 1.0]) == 0


def test_a_decision_that_is_not_reached_has_weights_and_no_value() -> None:
    outer = Categorical("outer", ("plain", "deep"))
    decisions = Decisions("toy", [outer, Categorical("inner", ("x", "y"), active_if=(("outer", "deep"),))])
    mixtures = Mixtures(decisions)
    assert list(mixtures.options()) == ["outer", "inner"]
    assert mixtures.strongest({"outer": [0.9, 0.1], "inner": [0.0, 1.0]}).as_dict() == {"outer": "plain"}


def test_a_mixture_has_vectors_and_a_rule_of_its_own() -> None:
    decisions = Decisions(
        "toy", [Categorical("source", ("0", "1")), Categorical("op", ("x", "y")), Categorical("c", ("u", "v"))]
    )

    def best_edge(weights: Weights) -> dict[str, str]:
        edge = max(("edge0", "edge1"), key=lambda name: max(weights[name]))
        return {"source": edge[-1], "op": "xy"[largest(weights[edge])]}

    mixture = Mixture(("source", "op"), {"edge0": ("x", "y"), "edge1": ("x", "y")}, best_edge)
    mixtures = Mixtures(decisions, [mixture])
    assert list(mixtures.options()) == ["c", "edge0", "edge1"]
    found = mixtures.strongest({"edge0": [0.4, 0.6], "edge1": [0.7, 0.3], "c": [0.0, 1.0]})
    assert found.as_dict() == {"source": "1", "op": "x", "c": "v"}


def test_what_cannot_be_mixed_is_refused() -> None:
    with pytest.raises(ArchitectureError, match="decision 'width' is a Integer, which no weights mix"):
        Mixtures(Decisions("toy", [Integer("width", 1, 3)])).options()
    with pytest.raises(ArchitectureError, match="a mixture stands for 'other'"):
        Mixtures(Decisions("toy", [Categorical("a", ("x",))]), [Mixture(("other",), {}, lambda weights: {})])
