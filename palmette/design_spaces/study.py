"""A study: populations of several spaces trained alike, and what they say about the spaces.

The ladder of Radosavovic et al., 2020, section 3, but for any spaces. The journal holds one record per network and is
the study's only state; the analysis is a function of those records, so it can be written again at any time.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from palmette.data.images import Dataset
from palmette.design_spaces.best_range import best_range, value_weights
from palmette.design_spaces.error_distribution import compare, dkw_half_width, expected_best, summary
from palmette.design_spaces.line_fit import LineGrid
from palmette.design_spaces.options import StudyOptions
from palmette.design_spaces.population import Population, Ranges, sample
from palmette.design_spaces.space import AnyNetSpace, DesignSpace, RegNetSpace
from palmette.design_spaces.training import Outcome, jobs_of, train_population, vary_optimisation
from palmette.errors import PalmetteError
from palmette.progress import Progress
from palmette.storage.journal import Journal
from palmette.workers.pool import Here, Pool

OPTIMISATION = "optimisation"
"""Name of the population with random learning rates and weight decays."""
FEW = 12
"""A parameter with at most so many values is described by a weight for each."""


@dataclass(frozen=True)
class Study:
    """Trained populations."""

    spaces: Mapping[str, DesignSpace]
    populations: Mapping[str, Population]
    outcomes: Mapping[str, Sequence[Outcome]]
    """By space, and under ``OPTIMISATION`` the check of learning rates if there was one."""

    def errors(self, name: str) -> np.ndarray[Any, np.dtype[np.float64]]:
        """Return the errors of the networks that were trained, diverged ones included, failed ones not."""
        return np.array([outcome.error for outcome in self.trained(name)])

    def trained(self, name: str) -> list[Outcome]:
        """Return the outcomes that have an error."""
        return [outcome for outcome in self.outcomes[name] if outcome.state != "failed"]


@dataclass(frozen=True, kw_only=True)
class Setting:
    """Where and on what a study runs."""

    data: Dataset
    ranges: Ranges
    seed: int = 0
    pool: Pool = field(default_factory=Here)
    device: str = "cpu"


def run_study(
    spaces: Mapping[str, DesignSpace], options: StudyOptions, setting: Setting, *, journal: Journal, progress: Progress
) -> Study:
    """Sample and train every space; what the journal has already is not trained again.

    Raises:
        PalmetteError: images that are not square, or ranges that a space does not reach.
    """
    height, width = setting.data.input_shape[1:]
    if height != width:
        raise PalmetteError(
            f"study: images of {height} x {width} pixels were given; set image_size to make them square"
        )
    populations = {
        name: sample(space, options.networks, ranges=setting.ranges, resolution=height, seed=setting.seed)
        for name, space in spaces.items()
    }
    outcomes: dict[str, Sequence[Outcome]] = {}
    work = {
        name: jobs_of(spaces[name], population, options.recipe, seed=setting.seed)
        for name, population in populations.items()
    }
    check = options.optimisation
    if check.networks:
        first = next(iter(spaces.values()))
        drawn = sample(first, check.networks, ranges=setting.ranges, resolution=height, seed=setting.seed + 1)
        work[OPTIMISATION] = vary_optimisation(
            jobs_of(first, drawn, options.recipe, seed=setting.seed),
            lr=(check.lr_low, check.lr_high),
            weight_decay=(check.weight_decay_low, check.weight_decay_high),
            seed=setting.seed,
        )
    for name, jobs in work.items():
        with progress.phase(name) as advance:
            outcomes[name] = train_population(
                jobs,
                setting.data,
                journal,
                name=name,
                pool=setting.pool,
                device=setting.device,
                advance=advance,
            )
    return Study(spaces, populations, outcomes)


def analyse(study: Study) -> dict[str, Any]:
    """Return every number of the report, made of JSON's types only."""
    names = list(study.spaces)
    return {
        "spaces": {name: _space(study, name) for name in names},
        "comparisons": [_comparison(study, a, b) for a, b in _pairs(names)],
        "optimisation": _optimisation(study.trained(OPTIMISATION)) if OPTIMISATION in study.outcomes else None,
        "networks": [
            {key: value for key, value in outcome.record().items() if key != "seconds"}
            for outcomes in study.outcomes.values()
            for outcome in outcomes
        ],
    }


def line_errors(study: Study, name: str) -> list[float]:
    """Return e_fit of the networks that were trained; empty for spaces that are no AnyNets."""
    space = study.spaces[name]
    if not isinstance(space, (AnyNetSpace, RegNetSpace)):
        return []
    widths = [space.anynet(outcome.parameters).widths_per_block() for outcome in study.trained(name)]
    grid = LineGrid(max(map(len, widths), default=1))
    return [grid.fit(row).error for row in widths]


def features(study: Study, name: str) -> dict[str, list[float]]:
    """Return what the networks that were trained are described by: parameters, depth and complexity."""
    outcomes, space = study.trained(name), study.spaces[name]
    found = (
        {key: [outcome.parameters[key] for outcome in outcomes] for key in outcomes[0].parameters} if outcomes else {}
    )
    if isinstance(space, AnyNetSpace):
        networks = [space.anynet(outcome.parameters) for outcome in outcomes]
        found["depth"] = [sum(stage.depth for stage in network.stages) for network in networks]
    for key in ("flops", "params", "acts"):
        found[key] = [getattr(outcome, key) for outcome in outcomes]
    return found


def _space(study: Study, name: str) -> dict[str, Any]:
    errors, population, space = study.errors(name), study.populations[name], study.spaces[name]
    states = [outcome.state for outcome in study.outcomes[name]]
    record: dict[str, Any] = {
        "size": space.size if isinstance(space, AnyNetSpace) else None,
        "draws": population.draws,
        "acceptance": population.acceptance,
        "states": {state: states.count(state) for state in ("finished", "diverged", "failed")},
    }
    if not len(errors):
        return record
    fits = line_errors(study, name)
    return record | {
        **summary(errors),
        "band": dkw_half_width(len(errors)),
        "best_ranges": {key: asdict(best_range(values, errors)) for key, values in features(study, name).items()},
        "value_weights": {
            key: {f"{value:g}": weight for value, weight in value_weights(values, errors).items()}
            for key, values in features(study, name).items()
            if len(set(values)) <= FEW
        },
        "line_error": {"mean": float(np.mean(fits)), **asdict(best_range(fits, errors))} if fits else None,
        "expected_best": {str(k): expected_best(errors, k) for k in powers_of_two(len(errors))},
    }


def powers_of_two(most: int) -> list[int]:
    """Return 1, 2, 4, ... up to ``most``."""
    return [2**i for i in range(int(math.log2(most)) + 1)]


def _pairs(names: Sequence[str]) -> list[tuple[str, str]]:
    """Return each space beside the one before it, and the last beside the first."""
    ends = [(names[-1], names[0])] if len(names) > 2 else []
    return [(after, before) for before, after in itertools.pairwise(names)] + ends


def _comparison(study: Study, name: str, other: str) -> dict[str, Any]:
    a, b = study.trained(name), study.trained(other)
    if not a or not b:
        return {"space": name, "beside": other}
    flops = [outcome.flops for outcome in a], [outcome.flops for outcome in b]
    return {
        "space": name,
        "beside": other,
        **asdict(compare(study.errors(name), study.errors(other), complexity=flops)),
    }


def _optimisation(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    errors = [outcome.error for outcome in outcomes]
    values = {
        "lr": [outcome.lr for outcome in outcomes],
        "weight_decay": [outcome.weight_decay for outcome in outcomes],
        "lr * weight_decay": [outcome.lr * outcome.weight_decay for outcome in outcomes],
    }
    return {key: asdict(best_range(numbers, errors)) for key, numbers in values.items()}
