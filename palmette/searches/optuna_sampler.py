"""Any sampler of Optuna as a search: TPE, NSGA-II, Gaussian processes, ... asked for the next architectures.

The history is the only state, so each generation is asked of a new study in memory that holds the trials so far; a
killed search thus goes on with the same trials. Samplers know neither limits nor that an architecture may come once
only: what they propose is taken if it is new and allowed, they are asked again a bounded number of times, and ordinary
random draws fill up what is then missing.

CMA-ES and QMC sample numbers only: of categorical decisions, which most are, they draw at random (Optuna's design).
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from palmette.architecture import Architecture, Value
from palmette.decisions import Decisions
from palmette.errors import ArchitectureError, MissingExtraError, PalmetteError
from palmette.searches.optuna_trials import DIRECTIONS, distributions, frozen, the_optuna, value_of
from palmette.searches.pareto import objectives
from palmette.searches.random import TRIES_EACH_CHILD, draw_new
from palmette.searches.trial import Allows, Score, Trial


@dataclass(frozen=True, kw_only=True)
class OptunaOptions:
    """Which sampler, and how much it is asked for."""

    sampler: str = "TPESampler"
    """A class of ``optuna.samplers`` that needs no arguments but a seed."""
    objectives: tuple[str, ...] = ()
    """Several, as ``accuracy flops``, for samplers that take them; none searches what ranks trials."""
    evaluations: int = 1050
    """In all."""
    generation: int = 20
    """Asked for at once; smaller learns sooner and takes longer."""

    def __post_init__(self) -> None:
        if self.evaluations < 1 or self.generation < 1:
            raise PalmetteError(
                f"optuna: evaluations {self.evaluations} and generation {self.generation} must be at least 1"
            )


class OptunaSearch:
    """Asks a sampler.

    Args:
        decisions: of the space to search; it may have no grammar.
        allows: whether an architecture meets the limits.
        score: what ranks trials, higher is better; the one objective if the options name none.
        options: sampler and sizes.
        start: architectures that the first generation contains (those allowed).

    Raises:
        MissingExtraError: Optuna is not installed.
        PalmetteError: an unknown sampler, or a space whose decisions constrain each other.
    """

    def __init__(
        self,
        decisions: Decisions,
        allows: Allows,
        score: Score,
        options: OptunaOptions,
        start: Sequence[Architecture] = (),
    ) -> None:
        if decisions.grammar is not None:
            raise PalmetteError(
                f"optuna: the decisions of space {decisions.space!r} constrain each other, which samplers cannot know; "
                "search it with evolution, nsga2 or random"
            )
        self.decisions = decisions
        self.allows = allows
        self.score = score
        self.options = options
        self.start = tuple(start)
        self.objectives = objectives(options.objectives) if options.objectives else ()
        self.sampler = sampler_class(options.sampler)

    def propose(self, history: Sequence[Trial], count: int, generator: np.random.Generator) -> list[Architecture]:
        wanted = min(count, self.options.generation, self.options.evaluations - len(history))
        if wanted <= 0:
            return []
        seen = {trial.architecture for trial in history}
        found = {} if history else dict.fromkeys([a for a in self.start if self.allows(a)][:wanted])
        seed = int(generator.integers(2**31))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that a sampler is experimental, or draws categorical decisions at random
            study = self._study(history, seed)
            for _ in range(TRIES_EACH_CHILD * wanted):
                if len(found) == wanted:
                    break
                proposal = self._asked(study)
                if proposal is not None and proposal not in seen and proposal not in found:
                    found[proposal] = None
        return [*found, *draw_new(self.decisions, self.allows, wanted - len(found), {*seen, *found}, generator)]

    def _study(self, history: Sequence[Trial], seed: int) -> Any:
        """Return a study of the trials so far; those without finite values are left out, as failed."""
        optuna = the_optuna()
        sampler = self.sampler(seed=seed)
        directions = [DIRECTIONS[objective.better] for objective in self.objectives] or ["maximize"]
        study = optuna.create_study(sampler=sampler, directions=directions)
        population = getattr(sampler, "population_size", None) or 0
        for position, trial in enumerate(history):
            values = self._values(trial)
            if not np.isfinite(values).all():
                continue
            attributes = {f"{self.sampler.__name__}:generation": position // population} if population else {}
            study.add_trial(frozen(self.decisions, trial.architecture, values, system=attributes))
        return study

    def _values(self, trial: Trial) -> list[float]:
        if not self.objectives:
            return [self.score(trial)]
        return [float({**trial.costs, **trial.metrics}[objective.name]) for objective in self.objectives]

    def _asked(self, study: Any) -> Architecture | None:
        """Return the sampler's next proposal, or none if it is outside the limits; it is told so."""
        optuna, values = the_optuna(), dict[str, Value]()
        with _refusals(self.options.sampler):
            trial = study.ask()
            for name, decision in self.decisions.decisions.items():
                if self.decisions.is_active(name, values):
                    given = {key: _suggested(trial, key, d) for key, d in distributions(decision).items()}
                    values[name] = value_of(decision, given)
        try:
            architecture = self.decisions.architecture(values)
        except ArchitectureError:  # too few or too many of any of n
            architecture = None
        if architecture is None or not self.allows(architecture):
            study.tell(trial, state=optuna.trial.TrialState.FAIL)
            return None
        return architecture


def sampler_class(name: str) -> Any:
    """Return a sampler by the name it has in Optuna.

    Raises:
        MissingExtraError: Optuna is not installed.
        PalmetteError: there is none of that name, or it needs arguments.
    """
    optuna = the_optuna()
    there = {n: vars(optuna.samplers)[n] for n in optuna.samplers.__all__ if n.endswith("Sampler")}
    usable = {n: sampler for n, sampler in there.items() if _needs_only_a_seed(sampler)}
    if name not in usable:
        raise PalmetteError(f"optuna: sampler {name!r} cannot be used here; allowed are {', '.join(usable)}")
    return usable[name]


@contextmanager
def _refusals(sampler: str) -> Iterator[None]:
    """Say in one line what a sampler lacks, or does not do."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            f"optuna: {sampler} needs {error.name}, which is not installed; run: pip install {error.name}"
        ) from None
    except ValueError as error:  # several objectives for a sampler of one
        raise PalmetteError(f"optuna: {sampler} cannot do this ({' '.join(str(error).split())[:200]})") from None


def _suggested(trial: Any, name: str, distribution: Any) -> Any:
    if hasattr(distribution, "choices"):
        return trial.suggest_categorical(name, distribution.choices)
    return trial.suggest_int(name, distribution.low, distribution.high, step=distribution.step, log=distribution.log)


def _needs_only_a_seed(sampler: Any) -> bool:
    given = inspect.signature(sampler).parameters
    return "seed" in given and all(p.default is not p.empty for p in given.values())
