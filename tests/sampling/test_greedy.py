"""Greedy path filtering, by hand-worked values (sampling.md 3.2 to 3.5)."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import pytest

from palmette.architecture import Architecture
from palmette.decision import Categorical
from palmette.decisions import Decisions
from palmette.errors import PalmetteError
from palmette.sampling.greedy import CandidatePool, GreedyOptions, GreedySampler, epsilon, keep_best

DECISIONS = Decisions("s", [Categorical(f"d{i}", tuple("0123456789")) for i in range(5)])


def path(number: int) -> Architecture:
    return DECISIONS.parse(f"{number:05d}")


def number(architecture: Architecture) -> int:
    return int(DECISIONS.code(architecture))


def everything(architecture: Architecture) -> bool:
    return True


def pooled(*offers: tuple[int, float], size: int = 3) -> CandidatePool:
    pool = CandidatePool(size)
    for name, score in offers:
        pool.offer(path(name), score)
    return pool


def content(pool: CandidatePool) -> list[tuple[int, float]]:
    return [(number(member), score) for score, member in pool.entries]


def sampler(**options: float) -> GreedySampler:
    def scores(paths: Sequence[Architecture]) -> list[float]:
        return [-number(p) / 1e5 for p in paths]

    settings = GreedyOptions(**{"warmup": 0.1, "turnover_every": 0.1, "pool": 20, **options})  # type: ignore[arg-type]
    return GreedySampler(DECISIONS, settings, 200, scores=scores, allows=everything)


def test_the_pool_is_ordered_by_score_and_drops_the_worst() -> None:
    assert content(pooled((1, -2.0), (2, -1.0), (3, -3.0))) == [(2, -1.0), (1, -2.0), (3, -3.0)]
    assert content(pooled((1, -2.0), (2, -1.0), (3, -3.0), (4, -2.5))) == [(2, -1.0), (1, -2.0), (4, -2.5)]
    assert content(pooled((1, -2.0), (2, -1.0), (3, -3.0), (4, -9.0))) == [(2, -1.0), (1, -2.0), (3, -3.0)]


def test_a_path_offered_again_gets_the_mean_of_its_old_score_and_the_new_and_moves() -> None:
    pool = pooled((1, -2.0), (2, -1.0), (3, -3.0), (3, 0.0))
    assert content(pool) == [(2, -1.0), (3, -1.5), (1, -2.0)]
    pool.offer(path(3), -0.1)
    assert content(pool) == [(3, pytest.approx(-0.8)), (2, -1.0), (1, -2.0)]


def test_of_equal_scores_the_older_stands_first() -> None:
    assert [name for name, _ in content(pooled((1, -1.0), (2, -1.0), (3, -1.0), (4, -1.0)))] == [1, 2, 3]


def test_turnover_is_the_share_of_the_pool_that_is_new() -> None:
    pool = pooled((1, -1.0), (2, -2.0), (3, -3.0), (4, -4.0), size=4)
    assert pool.turnover({path(1), path(2), path(3), path(9)}) == 0.25
    assert pool.turnover({path(i) for i in range(9)}) == 0.0
    assert CandidatePool(4).turnover(set()) == 1.0


def test_epsilon_at_the_steps_of_the_paper() -> None:
    values = [epsilon(step, 10_000, 144_360, 0.8) for step in (0, 10_000, 77_180, 144_360, 200_000)]
    assert values == pytest.approx([0.0, 0.0, 0.4, 0.8, 0.8])


def test_the_best_of_the_drawn_paths_are_kept_best_first() -> None:
    paths = [path(i) for i in range(5)]
    assert keep_best(paths, [-3.0, -1.0, -2.0, -1.0, -9.0], 3) == [path(1), path(3), path(2)]


@pytest.mark.parametrize(("q", "expected"), [(0.6, 0.8338), (0.5, 0.6230), (0.4, 0.3669), (0.3, 0.1503)])
def test_all_five_trained_paths_are_good_as_often_as_the_binomial_sum_says(q: float, expected: float) -> None:
    """P(at least 5 good of 10), by rounds of the sampler itself; good are the best share q by score."""
    rounds, all_good = 4000, 0
    greedy = sampler(warmup=0.0, exploit=0.0, turnover=0.0)
    for seed in range(rounds):
        greedy.queue = []
        trained = [greedy.path(step, np.random.default_rng([seed, step])) for step in range(5)]
        all_good += all(number(p) < q * 1e5 for p in trained)
    assert greedy.scored == 10 * rounds
    assert all_good / rounds == pytest.approx(expected, abs=3.5 * (expected * (1 - expected) / rounds) ** 0.5)


def test_one_round_serves_k_steps_and_the_warm_up_scores_nothing() -> None:
    greedy = sampler()
    for step in range(20):
        greedy.path(step, np.random.default_rng(step))
    assert (greedy.scored, len(greedy.pool)) == (0, 0)
    for step in range(20, 25):
        greedy.path(step, np.random.default_rng(step))
    assert (greedy.scored, len(greedy.pool)) == (10, 10)
    greedy.path(25, np.random.default_rng(25))
    assert greedy.scored == 20


def test_paths_outside_the_limits_are_trained_but_not_pooled() -> None:
    options = GreedyOptions(warmup=0.0, pool=20)
    greedy = GreedySampler(
        DECISIONS, options, 100, scores=lambda paths: [0.0] * len(paths), allows=lambda a: number(a) % 2 == 0
    )
    trained = [greedy.path(step, np.random.default_rng(step)) for step in range(20)]
    assert any(number(p) % 2 for p in trained)
    assert all(number(member) % 2 == 0 for _, member in greedy.pool.entries)


def test_draws_come_from_the_pool_with_probability_epsilon() -> None:
    greedy = sampler()
    for i in range(20):
        greedy.pool.offer(path(i), 0.0)
    generator = np.random.default_rng(0)
    drawn = [greedy._draw(0.4, generator) for _ in range(5000)]
    assert sum(p in greedy.pool for p in drawn) / 5000 == pytest.approx(0.4, abs=0.03)


def test_training_ends_when_the_pool_has_settled() -> None:
    """The pool is looked at every 20 steps after the warm-up; the 20 best of 100,000 change less and less."""
    greedy = sampler(turnover=0.3)
    step = 0
    while step < 200 and not greedy.is_settled:
        greedy.path(step, np.random.default_rng(step))
        step += 1
    assert greedy.is_settled
    assert greedy.last_turnover <= 0.3
    assert (step - 1) % 20 == 0


def test_a_restored_sampler_goes_on_as_the_one_it_was_taken_from() -> None:
    one, other = sampler(turnover=0.0), sampler(turnover=0.0)
    for step in range(83):
        one.path(step, np.random.default_rng(step))
    other.restore(json.loads(json.dumps(one.state())))
    following = [[g.path(step, np.random.default_rng(step)) for step in range(83, 150)] for g in (one, other)]
    assert following[0] == following[1]
    assert one.state() == other.state()


def test_impossible_options_are_refused() -> None:
    with pytest.raises(PalmetteError, match="cannot be kept"):
        GreedyOptions(paths=4, kept=5)
    with pytest.raises(PalmetteError, match="larger than space"):
        GreedySampler(
            Decisions("small", [Categorical("a", tuple("xyz"))]),
            GreedyOptions(),
            10,
            scores=lambda paths: [],
            allows=everything,
        )
    with pytest.raises(PalmetteError, match="exploit"):
        GreedyOptions(exploit=1.2)
