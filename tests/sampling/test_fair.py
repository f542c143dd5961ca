"""Strict fairness: exact counts, whatever was drawn."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from palmette.decision import Categorical
from palmette.decisions import Decisions
from palmette.errors import PalmetteError
from palmette.sampling.fair import FairSampler
from palmette.spaces.nas_bench_macro import nas_bench_macro


@pytest.mark.parametrize("updates", [1, 2, 7, 50])
def test_after_any_number_of_updates_every_option_was_drawn_equally_often(updates: int) -> None:
    sampler = FairSampler(nas_bench_macro().decisions)
    assert sampler.paths == 3
    counts: Counter[tuple[str, int]] = Counter()
    for update in range(updates):
        counts.update(item for choice in sampler.sample(np.random.default_rng(update)) for item in choice.items())
    assert len(counts) == 8 * 3
    assert set(counts.values()) == {updates}


def test_layers_that_differ_in_options_get_the_least_common_multiple_of_paths() -> None:
    sampler = FairSampler(Decisions("mixed", [Categorical("a", tuple("xyz")), Categorical("b", tuple("pq"))]))
    choices = sampler.sample(np.random.default_rng(0))
    assert len(choices) == 6
    assert Counter(choice["a"] for choice in choices) == {0: 2, 1: 2, 2: 2}
    assert Counter(choice["b"] for choice in choices) == {0: 3, 1: 3}


def test_layers_are_permuted_independently() -> None:
    """Of 2 layers with 3 options each there are 3! ways to pair them; all come up."""
    sampler = FairSampler(Decisions("two", [Categorical("a", tuple("xyz")), Categorical("b", tuple("xyz"))]))
    pairings = {
        tuple(choice["b"] for choice in sorted(sampler.sample(np.random.default_rng(i)), key=lambda c: c["a"]))
        for i in range(100)
    }
    assert len(pairings) == 6


def test_spaces_that_cannot_be_trained_fairly_are_refused() -> None:
    conditional = [Categorical("a", tuple("xy")), Categorical("b", tuple("pq"), active_if=(("a", "x"),))]
    with pytest.raises(PalmetteError, match="not always active"):
        FairSampler(Decisions("conditional", conditional))
    primes = [Categorical(f"d{size}", tuple(map(str, range(size)))) for size in (5, 7, 3)]
    with pytest.raises(PalmetteError, match="need 105 paths"):
        FairSampler(Decisions("primes", primes))
