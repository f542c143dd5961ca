"""Uniform sampling under limits."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from scipy import stats

from palmette.architecture import Architecture
from palmette.decision import Categorical, Equivalence, no_ops_last
from palmette.decisions import Decisions
from palmette.errors import LimitError
from palmette.sampling import uniform
from palmette.sampling.uniform import UniformSampler

NAMES = ("x", "y", "z")
SMALL = Decisions(
    "small", [Categorical(name, ("skip", "a", "b")) for name in NAMES], [Equivalence(NAMES, no_ops_last("skip"))]
)


def skips(architecture: Architecture) -> int:
    return [value for _, value in architecture.values].count("skip")


@pytest.mark.parametrize("most", [3, 2, 1])
def test_allowed_encodings_are_equally_likely(most: int) -> None:
    sampler = UniformSampler(SMALL, lambda a: skips(a) <= most)
    generator = np.random.default_rng(1)
    drawn = Counter(sampler.sample(generator) for _ in range(6000))
    expected = Counter(a for a in map(SMALL.architecture, SMALL.encodings()) if skips(a) <= most)
    assert set(drawn) == set(expected)
    frequencies = [6000 * expected[a] / sum(expected.values()) for a in expected]
    assert stats.chisquare([drawn[a] for a in expected], frequencies).pvalue > 0.001


def test_rare_architectures_are_listed_in_small_spaces() -> None:
    decisions = Decisions("macro", [Categorical(f"d{i}", tuple("abc")) for i in range(10)])  # 59,049 encodings
    sampler = UniformSampler(decisions, lambda a: set(a.as_dict().values()) == {"b"})
    assert sampler.sample(np.random.default_rng(0)).as_dict() == {f"d{i}": "b" for i in range(10)}


def test_draws_depend_on_the_generator_alone() -> None:
    allows = lambda a: skips(a) == 3  # noqa: E731
    used = UniformSampler(SMALL, allows)
    for _ in range(5):
        used.sample(np.random.default_rng(3))
    fresh, one, other = UniformSampler(SMALL, allows), np.random.default_rng(4), np.random.default_rng(4)
    assert [used.sample(one) for _ in range(20)] == [fresh.sample(other) for _ in range(20)]


def test_limits_that_nothing_meets_end_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uniform, "TRIES", 50)
    with pytest.raises(LimitError, match="none of 50 architectures drawn from space 'small' meets them"):
        UniformSampler(SMALL, lambda a: False).sample(np.random.default_rng(0))
