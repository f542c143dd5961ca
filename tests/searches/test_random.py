"""Random search."""

from __future__ import annotations

import numpy as np
import pytest

from palmette.architecture import Architecture
from palmette.decision import Categorical
from palmette.decisions import Decisions
from palmette.errors import PalmetteError
from palmette.searches.random import RandomSearch, RandomSearchOptions, draw_new
from palmette.searches.trial import Trial

SMALL = Decisions("small", [Categorical(name, tuple("abc")) for name in "xyz"])


def everything(architecture: Architecture) -> bool:
    return True


def starts_with_a(architecture: Architecture) -> bool:
    return architecture["x"] == "a"


def trials(architectures: list[Architecture]) -> list[Trial]:
    return [Trial(i, 0, "random", a, {}, {}) for i, a in enumerate(architectures)]


def test_a_small_space_is_proposed_to_its_last_architecture_and_then_nothing() -> None:
    search = RandomSearch(SMALL, starts_with_a, RandomSearchOptions(evaluations=100, generation=4))
    found: list[Architecture] = []
    sizes = []
    for generation in range(5):
        new = search.propose(trials(found), 100, np.random.default_rng(generation))
        sizes.append(len(new))
        found += new
    assert sizes == [4, 4, 1, 0, 0]
    assert set(found) == {a for a in SMALL.enumerate() if starts_with_a(a)}


def test_it_stops_at_its_evaluations_and_at_the_callers_count() -> None:
    search = RandomSearch(SMALL, everything, RandomSearchOptions(evaluations=10, generation=8))
    first = search.propose([], 100, np.random.default_rng(0))
    assert len(first) == 8
    assert len(search.propose(trials(first), 100, np.random.default_rng(1))) == 2
    assert len(search.propose(trials(first), 1, np.random.default_rng(1))) == 1


def test_rare_allowed_architectures_of_a_small_space_are_all_found() -> None:
    decisions = Decisions("macro", [Categorical(f"d{i}", tuple("abc")) for i in range(10)])
    rare = lambda a: [v for _, v in a.values].count("a") >= 9  # noqa: E731  # 21 of 59,049
    assert len(draw_new(decisions, rare, 50, (), np.random.default_rng(0))) == 21


def test_options_that_are_too_small_are_refused() -> None:
    with pytest.raises(PalmetteError, match="at least 1"):
        RandomSearchOptions(evaluations=0)
