"""Random, then perturbed, then a chain: which phase it is follows from the history alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from tiny import space

from palmette.architecture import Architecture
from palmette.errors import PalmetteError
from palmette.searches.driver import Arm, run_search
from palmette.searches.perturbation import Perturbation, PerturbationOptions
from palmette.searches.trial import Trial


class Journal:
    def __init__(self) -> None:
        self.all: list[Trial] = []

    def trials(self) -> list[Trial]:
        return list(self.all)

    def append(self, trials: Sequence[Trial]) -> None:
        self.all += trials


DECISIONS = space(8).decisions
OPTIONS = PerturbationOptions(random=20, perturbed=10, chain=12, probability=0.1)


def skips(architecture: Architecture) -> float:
    return float(sum(value == "skip" for _, value in architecture.values))


def ran(journal: Journal) -> list[Trial]:
    search = Perturbation(DECISIONS, lambda a: True, lambda t: t.metrics["skips"], OPTIONS)
    arm = Arm(name="perturbation", seed=0, evaluations=OPTIONS.evaluations)
    return run_search(search, lambda them: [{"skips": skips(a)} for a in them], journal, arm=arm, costs=lambda a: {})


def differences(one: Architecture, other: Architecture) -> int:
    return sum(one[name] != value for name, value in other.values)


def test_each_phase_starts_from_the_best_before_it() -> None:
    trials = ran(Journal())
    assert len(trials) == len({t.architecture for t in trials}) == OPTIONS.evaluations
    best = max(trials[:20], key=lambda t: t.metrics["skips"])
    assert np.mean([differences(best.architecture, t.architecture) for t in trials[20:30]]) < 2.5
    for number in range(30, 42):
        base = max(trials[:number], key=lambda t: t.metrics["skips"])
        assert differences(base.architecture, trials[number].architecture) <= 5
    assert max(t.metrics["skips"] for t in trials) > best.metrics["skips"]


def test_a_resumed_search_ends_with_the_same_trials() -> None:
    whole, cut = Journal(), Journal()
    trials = ran(whole)
    cut.all = trials[:33]
    assert ran(cut) == trials


@pytest.mark.parametrize("wrong", [{"random": 0}, {"chain": -1}, {"probability": 0.0}])
def test_numbers_that_make_no_search_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(PalmetteError, match="perturbation:"):
        PerturbationOptions(**wrong)  # type: ignore[arg-type]
