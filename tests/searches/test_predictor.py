"""The predictor: what it learns, what it proposes, and whether it helps on true accuracies."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from known import Macro
from scipy import stats

from palmette.architecture import Architecture
from palmette.decision import Categorical
from palmette.decisions import Decisions
from palmette.errors import PalmetteError
from palmette.searches.driver import Arm, Memory, run_search
from palmette.searches.predictor import Predictor, PredictorOptions, PredictorSearch, Regressor, cross_validated
from palmette.searches.random import RandomSearch, RandomSearchOptions
from palmette.searches.trial import Trial

MEDIUM = Decisions("medium", [Categorical(f"d{i}", tuple("abc")) for i in range(6)])
LARGE = Decisions("large", [Categorical(f"d{i}", tuple("abcd")) for i in range(20)])
REGRESSORS: tuple[Regressor, ...] = ("ridge", "gradient-boosting", "gaussian-process")


def everything(architecture: Architecture) -> bool:
    return True


def accuracy(trial: Trial) -> float:
    return trial.metrics["accuracy"]


def additive(architecture: Architecture) -> float:
    """A sum over decisions with unequal weights."""
    return sum((i + 1) * "abcd".index(str(value)) for i, (_, value) in enumerate(architecture.values)) / 100


def sampled(decisions: Decisions, count: int) -> list[Architecture]:
    generator = np.random.default_rng(0)
    return [decisions.sample(generator) for _ in range(count)]


def test_ridge_equals_its_closed_form() -> None:
    """Standardised scores z, centred one-hot columns X: weights (X'X + 1)^-1 X'z, as scikit-learn's Ridge."""
    architectures = sampled(MEDIUM, 30)
    scores = np.array([additive(a) for a in architectures])
    x = np.array([MEDIUM.encode(a) for a in architectures])
    centred, z = x - x.mean(axis=0), (scores - scores.mean()) / scores.std()
    weights = np.linalg.solve(centred.T @ centred + np.eye(x.shape[1]), centred.T @ z)
    expected = scores.mean() + scores.std() * centred @ weights
    assert Predictor(MEDIUM).fit(architectures, scores).predict(architectures) == pytest.approx(expected)


@pytest.mark.filterwarnings("ignore:.*close to the specified:UserWarning")
@pytest.mark.parametrize("regressor", REGRESSORS)
def test_every_regressor_orders_unseen_architectures_of_an_additive_score(regressor: Regressor) -> None:
    architectures = sampled(MEDIUM, 100)
    found = cross_validated(MEDIUM, regressor, architectures, [additive(a) for a in architectures])
    assert found.architectures == 100
    assert found.kendall_tau_b > 0.7
    assert found.spearman > found.kendall_tau_b


def test_cross_validation_of_pure_noise_finds_no_correlation() -> None:
    noise = np.random.default_rng(1).normal(size=200)
    assert abs(cross_validated(MEDIUM, "ridge", sampled(MEDIUM, 200), noise).kendall_tau_b) < 0.15


def test_scores_that_are_not_finite_are_left_out_and_equal_ones_have_no_correlation() -> None:
    architectures = sampled(MEDIUM, 40)
    scores = [additive(a) if i % 4 else float("nan") for i, a in enumerate(architectures)]
    assert cross_validated(MEDIUM, "ridge", architectures, scores).architectures == 30
    assert np.isnan(cross_validated(MEDIUM, "ridge", architectures, np.ones(40)).kendall_tau_b)
    with pytest.raises(PalmetteError, match="at least 2"):
        Predictor(MEDIUM).fit(architectures, np.full(40, np.nan))


@pytest.mark.parametrize("decisions", [MEDIUM, LARGE], ids=["listed", "drawn and bred"])
def test_it_finds_better_architectures_than_it_started_from_and_none_twice(decisions: Decisions) -> None:
    options = PredictorOptions(first=30, generation=10, evaluations=80, candidates=200)
    search = PredictorSearch(decisions, everything, accuracy, options)

    def evaluate(architectures: Sequence[Architecture]) -> list[dict[str, float]]:
        return [{"accuracy": additive(a)} for a in architectures]

    trials = run_search(search, evaluate, Memory(), arm=Arm(name="p", seed=0), costs=lambda a: {})
    assert [t.generation for t in trials] == [0] * 30 + [g for g in range(1, 6) for _ in range(10)]
    assert len({t.architecture for t in trials}) == 80
    assert max(map(accuracy, trials[30:])) > max(map(accuracy, trials[:30]))


def test_limits_and_start_are_kept() -> None:
    start = [MEDIUM.parse("222222"), MEDIUM.parse("000000")]
    search = PredictorSearch(MEDIUM, lambda a: a["d0"] == "a", accuracy, PredictorOptions(first=12), start)
    first = search.propose([], 100, np.random.default_rng(0))
    assert first[0] == start[1]
    assert len(first) == 12
    history = [Trial(i, 0, "p", a, {"accuracy": additive(a)}, {}) for i, a in enumerate(first)]
    following = search.propose(history, 100, np.random.default_rng(1))
    assert len(following) == 25
    assert all(a["d0"] == "a" for a in first + following)


@pytest.mark.parametrize("wrong", [{"first": 5}, {"explore": 1.0}, {"regressor": "oracle"}, {"candidates": 3}])
def test_impossible_options_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(PalmetteError, match="predictor"):
        PredictorOptions(**wrong)  # type: ignore[arg-type]


def test_ridge_on_100_random_accuracies_orders_all_others_as_published(shared_data: Path) -> None:
    """Kendall's tau of ridge on 100 random codes of NAS-Bench-Macro is 0.817, standard deviation 0.035."""
    macro = Macro(shared_data)
    codes = [macro.decisions.architecture(values) for values in macro.decisions.encodings()]
    truth = np.array([macro.truth[a] for a in codes])
    taus = []
    for seed in range(10):
        known = np.random.default_rng(seed).choice(len(codes), 100, replace=False)
        predicted = Predictor(macro.decisions).fit([codes[i] for i in known], truth[known]).predict(codes)
        taus.append(stats.kendalltau(predicted, truth).statistic)
    assert np.mean(taus) == pytest.approx(0.817, abs=0.03)


def test_it_beats_random_search_on_true_accuracies(shared_data: Path) -> None:
    macro = Macro(shared_data)
    found = {"predictor": 0.0, "random": 0.0}
    for seed in range(5):
        algorithms = {
            "predictor": PredictorSearch(macro.decisions, everything, accuracy, PredictorOptions()),
            "random": RandomSearch(macro.decisions, everything, RandomSearchOptions()),
        }
        for name, algorithm in algorithms.items():
            found[name] += max(map(accuracy, macro.search(algorithm, seed, 150))) / 5
    assert found["predictor"] > found["random"] + 0.0005
