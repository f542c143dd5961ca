"""The driver: resuming, reuse of evaluations across arms, and budgets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from palmette.architecture import Architecture
from palmette.decision import Categorical
from palmette.decisions import Decisions
from palmette.searches.driver import Arm, generation_generator, run_search
from palmette.searches.evolution import Evolution, EvolutionOptions
from palmette.searches.random import RandomSearch, RandomSearchOptions
from palmette.searches.trial import Trial
from palmette.storage.journal import Journal

DECISIONS = Decisions("medium", [Categorical(f"d{i}", tuple("abc")) for i in range(8)])
OPTIONS = EvolutionOptions(population=20, generations=4, parents=5, mutants=8, crossovers=8)


class Killed(Exception):
    """Stands for the end of the process."""


class Evaluation:
    """An awkward score, and what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[Architecture] = []

    def __call__(self, architectures: Sequence[Architecture]) -> list[Mapping[str, float]]:
        self.asked += architectures
        return [{"accuracy": np.float64(int(a.id, 16) % 9973 / 9973), "loss": float("nan")} for a in architectures]


def accuracy(trial: Trial) -> float:
    return trial.metrics["accuracy"]


def costs(architecture: Architecture) -> dict[str, float]:
    return {"flops": int(architecture.id, 16) % 1000, "latency_ms": 0.1}


def everything(architecture: Architecture) -> bool:
    return True


def evolution() -> Evolution:
    return Evolution(DECISIONS, everything, accuracy, OPTIONS)


def compared(trials: Sequence[Trial]) -> list[tuple[object, ...]]:
    """All of the trials as values of which NaN equals itself."""
    return [(t.number, t.generation, t.arm, t.architecture, repr(t.metrics), repr(t.costs)) for t in trials]


@pytest.mark.parametrize("generations", [1, 2, 4, 5])
def test_a_search_killed_after_any_generation_ends_with_the_trials_of_an_undisturbed_one(
    tmp_path: Path, generations: int
) -> None:
    arm = Arm(name="evolution", seed=7)
    with Journal(tmp_path / "whole.sqlite") as journal:
        whole = run_search(evolution(), Evaluation(), journal, arm=arm, costs=costs)

    def kill(trials: Sequence[Trial]) -> None:
        if trials[-1].generation == generations - 1:
            raise Killed

    path = tmp_path / "killed.sqlite"
    with Journal(path) as journal, pytest.raises(Killed):
        run_search(evolution(), Evaluation(), journal, arm=arm, costs=costs, progress=kill)
    with Journal(path) as journal:
        resumed = run_search(evolution(), Evaluation(), journal, arm=arm, costs=costs)
        assert compared(journal.trials()) == compared(resumed)
    assert compared(resumed) == compared(whole)
    assert len(whole) == 100


def test_a_search_killed_during_an_evaluation_leaves_whole_generations_only(tmp_path: Path) -> None:
    calls = 0

    def dies(architectures: Sequence[Architecture]) -> list[Mapping[str, float]]:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise Killed
        return Evaluation()(architectures)

    with Journal(tmp_path / "trials.sqlite") as journal:
        with pytest.raises(Killed):
            run_search(evolution(), dies, journal, arm=Arm(name="evolution", seed=0), costs=costs)
        assert [t.generation for t in journal.trials()] == [0] * 20 + [1] * 20


def test_architectures_known_from_another_arm_are_not_evaluated_again(tmp_path: Path) -> None:
    small = Decisions("small", [Categorical(name, tuple("abc")) for name in "xyz"])
    evaluation = Evaluation()
    random = RandomSearch(small, everything, RandomSearchOptions(evaluations=20, generation=6))
    with Journal(tmp_path / "trials.sqlite") as journal:
        one = run_search(random, evaluation, journal, arm=Arm(name="one", seed=0), costs=costs)
        other = run_search(random, evaluation, journal, arm=Arm(name="other", seed=0), costs=costs)
    assert len(one) == len(other) == 20
    assert [t.architecture for t in one] != [t.architecture for t in other]
    assert len(evaluation.asked) == len(set(evaluation.asked))
    assert set(evaluation.asked) == {t.architecture for t in one + other}
    assert [t.number for t in other] == list(range(20, 40))
    known = {t.architecture: repr(t.metrics) for t in one}
    assert all(repr(t.metrics) == known[t.architecture] for t in other if t.architecture in known)


def test_progress_sees_each_generation_and_on_resuming_what_was_there(tmp_path: Path) -> None:
    seen: list[int] = []
    arm = Arm(name="evolution", seed=0, evaluations=50)
    with Journal(tmp_path / "trials.sqlite") as journal:
        for _ in range(2):
            run_search(evolution(), Evaluation(), journal, arm=arm, costs=costs, progress=lambda t: seen.append(len(t)))
    assert seen == [20, 20, 10, 50]


def test_the_generator_depends_on_seed_arm_and_length_and_on_nothing_else() -> None:
    def draw(seed: int, name: str, trials: int) -> int:
        return int(generation_generator(Arm(name=name, seed=seed), trials).integers(2**62))

    assert draw(0, "random", 50) == draw(0, "random", 50)
    assert len({draw(0, "random", 50), draw(1, "random", 50), draw(0, "evolution", 50), draw(0, "random", 100)}) == 4
