"""Optuna's samplers as a search: any of them, within limits, the same after a kill."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import numpy as np
import pytest

from palmette.architecture import Architecture
from palmette.decision import Categorical, Integer, Subset
from palmette.decisions import Decisions
from palmette.errors import MissingExtraError, PalmetteError
from palmette.searches.driver import Arm, Memory, run_search
from palmette.searches.optuna_sampler import OptunaOptions, OptunaSearch
from palmette.searches.optuna_trials import distributions, frozen, parameters, value_of
from palmette.searches.trial import Trial
from palmette.spaces.memory_bank import memory_bank

optuna = pytest.importorskip("optuna")

DECISIONS = Decisions(
    "mixed",
    [
        Categorical("kind", ("plain", "residual", "none")),
        Integer("width", 8, 64, step=8),
        Integer("rate", 1, 100, log=True),
        Subset("skips", ("a", "b", "c"), least=1),
        Categorical("squeeze", ("no", "yes"), active_if=(("kind", "residual"),)),
    ],
)
MANY = Subset("from", tuple(f"node{i}" for i in range(20)))
SAMPLERS = (
    *("TPESampler", "NSGAIISampler", "NSGAIIISampler", "CmaEsSampler", "QMCSampler", "RandomSampler"),
    *("BruteForceSampler", pytest.param("GPSampler", marks=pytest.mark.slow)),
)


def everything(architecture: Architecture) -> bool:
    return True


def quality(architecture: Architecture) -> float:
    return float(architecture["kind"] == "residual") + int(architecture["width"]) / 64 + ("b" in architecture["skips"])  # type: ignore[operator]


def score(trial: Trial) -> float:
    return trial.metrics["accuracy"]


def search(
    options: OptunaOptions, *, evaluations: int = 30, journal: Memory | None = None, allows=everything, seed: int = 0
) -> list[Trial]:
    def evaluate(architectures: Sequence[Architecture]) -> list[dict[str, float]]:
        return [{"accuracy": quality(a)} for a in architectures]

    algorithm = OptunaSearch(DECISIONS, allows, score, options)
    arm = Arm(name="optuna", seed=seed, evaluations=evaluations)
    costs = lambda a: {"flops": float(a["width"])}  # noqa: E731
    return run_search(algorithm, evaluate, journal or Memory(), arm=arm, costs=costs)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_sampler_proposes_new_architectures_within_the_limits(sampler: str) -> None:
    allows = lambda a: int(a["width"]) <= 32  # noqa: E731
    trials = search(OptunaOptions(sampler=sampler, generation=6), evaluations=12, allows=allows)
    architectures = [trial.architecture for trial in trials]
    assert len(set(architectures)) == 12
    assert all(allows(architecture) for architecture in architectures)
    assert all(DECISIONS.check(architecture) == architecture for architecture in architectures)


@pytest.mark.parametrize("sampler", ["TPESampler", "NSGAIISampler"])
def test_a_killed_search_goes_on_with_the_trials_of_an_undisturbed_one(sampler: str) -> None:
    options = OptunaOptions(sampler=sampler, generation=5)
    whole = search(options)
    killed = Memory()
    killed.rows = whole[:15]
    assert search(options, journal=killed) == whole
    assert [t.architecture for t in search(options, seed=1)] != [t.architecture for t in whole]


def test_tpe_learns_what_is_good() -> None:
    asked = search(OptunaOptions(generation=5), evaluations=60)
    drawn = search(OptunaOptions(sampler="RandomSampler", generation=5), evaluations=60)
    late = lambda trials: np.mean([score(trial) for trial in trials[30:]])  # noqa: E731
    assert late(asked) > late(drawn) + 0.3


def test_several_objectives_are_told_to_the_sampler() -> None:
    options = OptunaOptions(sampler="NSGAIISampler", objectives=("accuracy", "flops"), generation=10)
    algorithm = OptunaSearch(DECISIONS, everything, score, options)
    trials = search(options, evaluations=10)
    study = algorithm._study(trials, 0)
    assert [direction.name for direction in study.directions] == ["MAXIMIZE", "MINIMIZE"]
    assert study.trials[3].values == [trials[3].metrics["accuracy"], trials[3].costs["flops"]]


def test_a_trial_that_failed_is_not_told_and_not_proposed_again() -> None:
    trials = search(OptunaOptions(generation=5), evaluations=10)
    broken = [Trial(t.number, t.generation, t.arm, t.architecture, {"accuracy": float("nan")}, t.costs) for t in trials]
    algorithm = OptunaSearch(DECISIONS, everything, score, OptunaOptions(generation=5))
    proposed = algorithm.propose(broken, 5, np.random.default_rng(0))
    assert len(proposed) == 5
    assert not set(proposed) & {trial.architecture for trial in broken}
    assert algorithm._study(broken, 0).trials == []


def test_where_the_sampler_finds_nothing_allowed_random_draws_do() -> None:
    only = DECISIONS.sample(np.random.default_rng(5))
    algorithm = OptunaSearch(DECISIONS, lambda a: a == only, score, OptunaOptions())
    assert algorithm.propose([], 3, np.random.default_rng(0)) == [only]  # the space is listed in the end


@pytest.mark.parametrize("name", ["GridSampler", "PartialFixedSampler", "BaseSampler", "tpe", "samplers"])
def test_a_sampler_that_cannot_be_used_is_refused_with_those_that_can(name: str) -> None:
    with pytest.raises(PalmetteError, match=r"allowed are .*TPESampler"):
        OptunaSearch(DECISIONS, everything, score, OptunaOptions(sampler=name))


def test_a_space_with_a_grammar_is_refused() -> None:
    with pytest.raises(PalmetteError, match="constrain each other"):
        OptunaSearch(memory_bank().decisions, everything, score, OptunaOptions())


def test_without_optuna_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(MissingExtraError, match=r"pip install palmette\[optuna\]"):
        OptunaSearch(DECISIONS, everything, score, OptunaOptions())


def test_a_package_that_a_sampler_lacks_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def ask(study: object) -> None:
        raise ModuleNotFoundError("No module named 'cmaes'", name="cmaes")

    algorithm = OptunaSearch(DECISIONS, everything, score, OptunaOptions(sampler="CmaEsSampler"))
    monkeypatch.setattr(optuna.Study, "ask", ask)
    with pytest.raises(MissingExtraError, match="CmaEsSampler needs cmaes"):
        algorithm.propose([], 3, np.random.default_rng(0))


def test_several_objectives_for_a_sampler_of_one_are_refused() -> None:
    options = OptunaOptions(sampler="CmaEsSampler", objectives=("accuracy", "flops"))
    with pytest.raises(PalmetteError, match="CmaEsSampler cannot do this"):
        search(options, evaluations=30)


def test_inactive_decisions_are_absent_and_ranges_keep_their_steps() -> None:
    values = {"kind": "plain", "width": 16, "rate": 10, "skips": ("a", "c")}
    trial = frozen(DECISIONS, DECISIONS.architecture(values), [0.5])
    assert trial.params == {"kind": "plain", "width": 16, "rate": 10, "skips": "a+c"}
    assert trial.distributions["width"] == optuna.distributions.IntDistribution(8, 64, step=8)
    assert trial.distributions["rate"] == optuna.distributions.IntDistribution(1, 100, log=True)
    assert trial.distributions["kind"].choices == ("plain", "residual", "none")
    assert len(trial.distributions["skips"].choices) == 7


def test_every_value_comes_back_from_its_parameters() -> None:
    generator = np.random.default_rng(0)
    for _ in range(50):
        for name, value in DECISIONS.sample(generator).values:
            decision = DECISIONS.decisions[name]
            given = parameters(decision, value)
            assert value_of(decision, given) == value
            assert all(d._contains(d.to_internal_repr(given[key])) for key, d in distributions(decision).items())


def test_subsets_too_many_to_list_are_one_yes_or_no_each() -> None:
    assert list(distributions(MANY))[:2] == ["from/node0", "from/node1"]
    given = parameters(MANY, ("node3", "node7"))
    assert [key for key, value in given.items() if value == "yes"] == ["from/node3", "from/node7"]
    assert value_of(MANY, given) == ("node3", "node7")
