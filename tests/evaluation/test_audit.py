"""Audits: tables of true accuracies, picks and chance worked out by hand or by listing all cases."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from palmette.architecture import Architecture
from palmette.decision import Categorical
from palmette.decisions import Decisions
from palmette.errors import ArchitectureError, DataError, PalmetteError
from palmette.evaluation.audit import affordable_trainings, audit, random_regret, read_table, stratified
from palmette.evaluation.trust import Audit
from palmette.searches.trial import Trial
from palmette.spaces.nas_bench_macro import nas_bench_macro

DECISIONS = Decisions("two", [Categorical("a", tuple("xyz")), Categorical("b", tuple("xyz"))])


def trials(losses: Sequence[float]) -> list[Trial]:
    made = itertools.islice(DECISIONS.enumerate(), len(losses))
    return [Trial(i, 0, "random", a, {"loss": loss}, {}) for i, (a, loss) in enumerate(zip(made, losses, strict=True))]


def written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_the_picks_lie_at_equal_distances_in_the_ranking() -> None:
    ranked = trials([0.3, 0.1, 0.7, 0.5, 0.2, 0.6, 0.4])  # by rising loss: 1 4 0 6 3 5 2
    picks = stratified(ranked, lambda trial: -trial.metrics["loss"], 4)
    assert picks == [ranked[i].architecture for i in (1, 0, 3, 2)]  # ranks 0, 2, 4, 6


def test_more_picks_than_trials_take_all_best_first() -> None:
    ranked = trials([0.3, 0.1, 0.2])
    picks = stratified(ranked, lambda trial: -trial.metrics["loss"], 8)
    assert picks == [ranked[i].architecture for i in (1, 2, 0)]


def test_a_table_of_fractions_is_read_as_it_is(tmp_path: Path) -> None:
    path = written(tmp_path / "t.csv", "arch,accuracy,flops\n01,0.5,7\n22,0.75,8\n")
    assert read_table(path, DECISIONS) == {DECISIONS.parse("01"): 0.5, DECISIONS.parse("22"): 0.75}


def test_percent_and_several_columns_are_averaged_to_fractions(tmp_path: Path) -> None:
    path = written(tmp_path / "t.csv", "arch,test_acc_0,test_acc_1\n01,50,60\n22,90,91\n")
    assert read_table(path, DECISIONS) == pytest.approx({DECISIONS.parse("01"): 0.55, DECISIONS.parse("22"): 0.905})


def test_codes_of_one_network_are_averaged(tmp_path: Path) -> None:
    decisions = nas_bench_macro().decisions
    path = written(tmp_path / "t.csv", "arch,accuracy\n20010110,80\n20001110,82\n20001101,84\n11111111,90\n")
    found = read_table(path, decisions)
    assert found == pytest.approx({decisions.parse("20010110"): 0.82, decisions.parse("11111111"): 0.9})


def test_the_published_table_has_3969_networks(shared_data: Path) -> None:
    found = read_table(shared_data / "nas_bench_macro" / "nas_bench_macro_cifar10.csv", nas_bench_macro().decisions)
    assert len(found) == 3969
    assert max(found.values()) == pytest.approx(0.9313, abs=1e-4)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "needed are columns 'arch' and 'accuracy'"),
        ("arch,accuracy\n", "needed are columns 'arch' and 'accuracy'"),
        ("code,accuracy\n01,0.5\n", "needed are columns 'arch' and 'accuracy'"),
        ("arch,top1\n01,0.5\n", "needed are columns 'arch' and 'accuracy'"),
        ("arch,accuracy\n01,good\n", "the accuracy of '01' is not a number; mend that line"),
        ("arch,accuracy\n01\n", "the accuracy of '01' is not a number; mend that line"),
        ("arch,accuracy\n01,nan\n", "the accuracy of '01' is nan; it must lie between 0 and 100"),
        ("arch,accuracy\n01,-1\n", "the accuracy of '01' is -1.0; it must lie between 0 and 100"),
        ("arch,accuracy\n01,100.5\n", "the accuracy of '01' is 100.5; it must lie between 0 and 100"),
        ("accuracy,arch\n0.5\n", "a line has no code; mend it"),
    ],
)
def test_tables_that_cannot_be_used_are_refused_in_one_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        read_table(written(tmp_path / "t.csv", text), DECISIONS)
    assert "\n" not in str(caught.value)


def test_a_table_of_another_space_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArchitectureError, match="code '012' has 3 entries, needed are 2"):
        read_table(written(tmp_path / "t.csv", "arch,accuracy\n012,0.5\n"), DECISIONS)
    with pytest.raises(ArchitectureError, match="allowed are 0 to 2"):
        read_table(written(tmp_path / "t.csv", "arch,accuracy\n09,0.5\n"), DECISIONS)


def test_a_table_that_is_no_text_or_not_there_is_refused(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(b"\xff\xfe\x00\x01")
    for path in (tmp_path / "t.csv", tmp_path / "none.csv", tmp_path):
        with pytest.raises(DataError, match="the table cannot be read"):
            read_table(path, DECISIONS)


def listed(true: np.ndarray, draws: int) -> tuple[float, float, float]:
    """Return mean, 5% and 95% points of the regret by listing every subset."""
    regrets = sorted(true.max() - max(subset) for subset in itertools.combinations(true, draws))
    low, high = (regrets[math.ceil(share * len(regrets) - 1e-9) - 1] for share in (0.05, 0.95))
    return sum(regrets) / len(regrets), low, high


@pytest.mark.parametrize("draws", [1, 2, 3, 6, 8, 9])
@pytest.mark.parametrize("ties", [False, True])
def test_the_regret_of_chance_equals_that_over_all_subsets(draws: int, ties: bool) -> None:
    true = np.random.default_rng(2).random(9)
    true = true.round(1) if ties else true
    chance = random_regret(true, draws)
    mean, low, high = listed(true, draws)
    assert (chance.score, chance.name) == ("random", "regret")
    assert chance.value == pytest.approx(mean, abs=1e-12)
    assert (chance.low, chance.high) == (low, high)


@pytest.mark.parametrize("count", [20, 40, 100, 200])
def test_the_points_of_chance_are_exact_where_they_fall_between_two_networks(count: int) -> None:
    true = np.arange(count) / 1000
    chance = random_regret(true, 1)
    assert (chance.low, chance.high) == listed(true, 1)[1:]


def test_chance_with_more_draws_than_networks_finds_the_best() -> None:
    chance = random_regret(np.array([0.1, 0.4, 0.2]), 50)
    assert (chance.value, chance.low, chance.high) == (0, 0, 0)


def test_the_cost_of_a_search_is_told_in_whole_trainings() -> None:
    assert affordable_trainings(1049, 100) == 10
    assert affordable_trainings(1051, 100) == 11
    assert affordable_trainings(1, 100) == 1
    with pytest.raises(PalmetteError, match="a training from scratch must cost something"):
        affordable_trainings(1, 0)


def words(found: Audit) -> str:
    return " ".join(found.verdict)


def audited(
    losses: Sequence[float], flops: Sequence[float], *, affordable: int = 2
) -> tuple[list[Architecture], Audit]:
    architectures = list(itertools.islice(DECISIONS.enumerate(), 5))
    truth = dict(zip(architectures, [0.5, 0.6, 0.7, 0.8, 0.9], strict=True))
    inherited = {
        a: {"accuracy": 0.1 * i, "loss": loss} for i, (a, loss) in enumerate(zip(architectures, losses, strict=True))
    }
    return architectures, audit(
        truth,
        inherited,
        dict(zip(architectures, flops, strict=True)),
        code={a: DECISIONS.code(a) for a in architectures},
        source="a test",
        affordable=affordable,
    )


def test_an_audit_states_every_score_and_its_difference_to_flops() -> None:
    _, found = audited([5, 4, 3, 1, 2], [1, 3, 2, 4, 5])
    values = {(s.score, s.name): s.value for s in found.statistics}
    assert values["accuracy", "kendall_tau_b"] == pytest.approx(1.0)
    assert values["loss", "kendall_tau_b"] == pytest.approx(0.8)  # one of ten pairs is turned
    assert values["flops", "kendall_tau_b"] == pytest.approx(0.8)
    assert values["loss", "kendall_tau_b_minus_flops"] == pytest.approx(0.0)
    assert values["loss", "regret"] == pytest.approx(0.1)
    assert values["flops", "regret"] == pytest.approx(0.0)
    # best of two of five: regrets 0, .1, .2, .3 in 4, 3, 2, 1 of 10 pairs
    assert values["random", "regret"] == pytest.approx(0.1)


def test_an_audit_keeps_each_point_with_the_negative_loss() -> None:
    architectures, found = audited([5, 4, 3, 1, 2], [1, 3, 2, 4, 5])
    points = found.points
    assert [point.code for point in points] == [DECISIONS.code(a) for a in architectures]
    assert [point.scores["loss"] for point in points] == [-5, -4, -3, -1, -2]
    assert [point.scores["flops"] for point in points] == [1, 3, 2, 4, 5]
    assert [point.stand_alone for point in points] == [0.5, 0.6, 0.7, 0.8, 0.9]


def test_the_verdict_says_when_the_interval_contains_the_baseline() -> None:
    _, found = audited([5, 4, 3, 1, 2], [1, 3, 2, 4, 5])
    assert "it is not shown to rank better than flops" in words(found)


def test_the_verdict_says_when_the_score_is_shown_to_rank_better_or_worse() -> None:
    _, better = audited([5, 4, 3, 2, 1], [5, 4, 3, 2, 1])
    assert "is above zero: it ranks better than flops" in words(better)
    _, worse = audited([1, 2, 3, 4, 5], [1, 2, 3, 4, 5])
    assert "is below zero: it ranks worse than flops, so do not trust it" in words(worse)


def test_the_verdict_says_what_random_search_would_have_found_at_equal_cost() -> None:
    _, few = audited([5, 4, 3, 2, 1], [1, 2, 3, 4, 5], affordable=2)
    assert "cost as much as 2 trainings from scratch" in words(few)
    assert "is 10.00 points below the best of all on average" in words(few)
    _, many = audited([5, 4, 3, 2, 1], [1, 2, 3, 4, 5], affordable=5)
    assert "random search would have trained all 5 of these" in words(many)
