"""The most likely architecture within limits, against trying all of them."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

import palmette.searches.most_likely as search
from palmette.architecture import Architecture
from palmette.decision import Categorical
from palmette.decisions import Decisions
from palmette.errors import LimitError
from palmette.mixtures import Mixture, Mixtures, Weights, largest
from palmette.searches.most_likely import most_likely

COSTS = {"x": 1.0, "y": 3.0, "z": 7.0}


def decisions(count: int) -> Decisions:
    return Decisions("toy", [Categorical(f"d{i}", ("x", "y", "z")) for i in range(count)])


def probabilities(count: int, seed: int) -> dict[str, list[float]]:
    vectors = np.random.default_rng(seed).dirichlet([1.0, 1.0, 1.0], size=count)
    return {f"d{i}": vector.tolist() for i, vector in enumerate(vectors)}


def excess_over(limit: float) -> Callable[[Architecture], float]:
    return lambda a: max(0.0, sum(COSTS[str(value)] for _, value in a.values) - limit)


def likelihood(architecture: Architecture, weights: Weights, space: Decisions) -> float:
    return sum(math.log(weights[name][space.index(name, value)]) for name, value in architecture.values)


def test_without_limits_it_is_the_largest_of_every_vector() -> None:
    weights = probabilities(6, seed=0)
    found = most_likely(Mixtures(decisions(6)), weights, lambda a: 0.0)
    assert found.as_dict() == {name: "xyz"[largest(vector)] for name, vector in weights.items()}


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("limit", [6.0, 9.0, 16.0, 25.0])
def test_within_limits_it_is_the_best_of_all(seed: int, limit: float) -> None:
    space, weights = decisions(6), probabilities(6, seed)
    excess = excess_over(limit)
    allowed = [a for a in space.enumerate() if excess(a) == 0]
    best = max(allowed, key=lambda a: likelihood(a, weights, space))
    assert most_likely(Mixtures(space), weights, excess) == best


@pytest.mark.parametrize("seed", range(4))
def test_where_too_many_would_have_to_be_tried_it_is_within_the_limits_and_close_to_the_best(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "TRIED", 1)
    space, weights = decisions(6), probabilities(6, seed)
    excess = excess_over(12.0)
    found = most_likely(Mixtures(space), weights, excess)
    best = max((a for a in space.enumerate() if excess(a) == 0), key=lambda a: likelihood(a, weights, space))
    assert excess(found) == 0
    ranked = sorted((a for a in space.enumerate() if excess(a) == 0), key=lambda a: -likelihood(a, weights, space))
    assert ranked.index(found) < 0.02 * len(ranked)
    assert likelihood(found, weights, space) <= likelihood(best, weights, space)


def test_limits_that_nothing_meets_are_refused() -> None:
    with pytest.raises(LimitError, match="no architecture within them"):
        most_likely(Mixtures(decisions(4)), probabilities(4, 0), excess_over(3.0))


def test_the_rule_of_a_mixture_decides_which_architecture_the_weights_are() -> None:
    """Of two edges the stronger is kept: under the limit the weaker option of the stronger edge, not the other edge."""
    space = Decisions("toy", [Categorical("source", ("0", "1")), Categorical("op", ("x", "z"))])

    def stronger(weights: Weights) -> dict[str, str]:
        edge = max(("edge0", "edge1"), key=lambda name: max(weights[name]))
        return {"source": edge[-1], "op": "xz"[largest(weights[edge])]}

    edges = {"edge0": ("x", "z"), "edge1": ("x", "z")}
    mixtures = Mixtures(space, [Mixture(("source", "op"), edges, stronger)])
    weights = {"edge0": [0.4, 0.6], "edge1": [0.3, 0.7]}
    assert mixtures.strongest(weights).as_dict() == {"source": "1", "op": "z"}
    excess = lambda a: float(a["op"] == "z")  # noqa: E731
    assert most_likely(mixtures, weights, excess).as_dict() == {"source": "1", "op": "x"}
