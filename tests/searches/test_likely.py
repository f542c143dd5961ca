"""Likely architectures: the given one first, then draws by the probabilities, within the limits."""

from __future__ import annotations

import math

import numpy as np
import pytest
from tiny import space

from palmette.architecture import Architecture
from palmette.mixtures import Mixtures
from palmette.searches.likely import Likely
from palmette.searches.trial import Trial

MIXTURES: Mixtures = space(2).mixtures
PROBABILITIES = {"a": [0.7, 0.2, 0.1], "b": [0.5, 0.3, 0.2]}
FIRST = MIXTURES.strongest(PROBABILITIES)


def generator() -> np.random.Generator:
    return np.random.default_rng(0)


def code(architecture: Architecture) -> str:
    return MIXTURES.decisions.code(architecture)


def test_the_first_proposal_is_the_given_one_and_the_others_are_distinct() -> None:
    proposals = Likely(MIXTURES, PROBABILITIES, lambda a: True, first=FIRST).propose([], 9, generator())
    assert code(proposals[0]) == "00"
    assert sorted(map(code, proposals)) == sorted(f"{i}{j}" for i in range(3) for j in range(3))


def test_draws_follow_the_probabilities() -> None:
    common, counts = generator(), np.zeros((3, 3))
    search = Likely(MIXTURES, PROBABILITIES, lambda a: True, first=FIRST)
    for _ in range(3000):
        i, j = code(search.propose([trial(FIRST)], 1, common)[0])
        counts[int(i), int(j)] += 1
    expected = np.outer(PROBABILITIES["a"], PROBABILITIES["b"])
    expected[0, 0] = 0.0  # is in the history
    expected /= expected.sum()
    assert np.abs(counts / 3000 - expected).max() < 4 * math.sqrt(0.25 / 3000)


def test_nothing_outside_the_limits_is_proposed_and_the_search_ends_when_nothing_is_left() -> None:
    def allows(architecture: Architecture) -> bool:
        return code(architecture)[0] == "0"

    search = Likely(MIXTURES, PROBABILITIES, allows, first=FIRST)
    found = search.propose([], 50, generator())
    assert sorted(map(code, found)) == ["00", "01", "02"]
    assert search.propose([trial(a) for a in found], 50, generator()) == []


def trial(architecture: Architecture) -> Trial:
    return Trial(0, 0, "likely", architecture, {"accuracy": 0.5, "loss": 1.0}, {"flops": 1.0})


@pytest.mark.parametrize("count", [1, 3])
def test_no_more_are_proposed_than_asked_for(count: int) -> None:
    assert len(Likely(MIXTURES, PROBABILITIES, lambda a: True, first=FIRST).propose([], count, generator())) == count
