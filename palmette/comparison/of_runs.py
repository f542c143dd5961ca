"""Finished runs side by side: methods by seeds on one space and data split, each beside random search.

Random search comes in two forms. Every run has its own, with as many evaluations by the same weights on the same
images: it asks whether the method's way to decide is worth anything, and the pair shares all else. Where there are runs
of the method ``random``, which trains networks alone, every other method is also held against these, by seed: that asks
whether the supernet is worth its cost, and is fair where the measured costs are equal, which the table shows.

With several seeds the figures compared are those of the seeds. With one seed of each they are the common test images,
right or wrong, so that the test is McNemar's; what another seed would have found remains open.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from palmette.architecture import Architecture
from palmette.comparison.contrast import Entry, Rival
from palmette.errors import PalmetteError, StorageError
from palmette.evaluation.metric import ACCURACY, PERPLEXITY, Metric
from palmette.storage import checkpoint
from palmette.storage.journal import Journal
from palmette.storage.run_directory import flat, read_configuration

OWN = "random search with as many evaluations by the same weights"
ALONE = "random search that trains networks alone"
RANDOM = "random"
"""The method's name."""
FREE = ("seed", "audit", "device", "threads", "method", "options")
"""Settings that may differ between runs that are compared."""
TOLERANCE = 1.1
"""Costs that differ by less than this factor are called equal."""
DECIDING = ("random", "retraining")
"""Phases, beside audits, whose seconds are no part of the search."""


@dataclass(frozen=True)
class FinishedRun:
    """What one run found and what it cost."""

    method: str
    seed: int
    settings: Mapping[str, str]
    """All, flat, as text."""
    metric: Metric
    codes: Mapping[str, str]
    """Of ``winner`` and ``random``."""
    figures: Mapping[str, float]
    """Of the same two, in the metric: on test data, or the true accuracy."""
    costs: Mapping[str, float]
    outcomes: Mapping[str, tuple[float, ...]]
    """Right (1) or wrong (0) by test image, of the same two; empty where there is none."""


def read_run(path: Path) -> FinishedRun:
    """Return the run in a directory.

    Raises:
        StorageError: there is none, it is not finished, or was made by a version that kept no costs.
    """
    configuration = read_configuration(path)
    try:
        result = json.loads((path / "result.json").read_text(encoding="utf-8"))
        pair = {name: result[name] for name in ("winner", "random")}
        costs = {name: float(result["search"][name]) for name in ("evaluations", "passes", "flops")}
        codes = {name: str(one["code"]) for name, one in pair.items()}
        outcomes, state = checkpoint.load(path / "outcomes.safetensors")
        metric = PERPLEXITY if state["metric"] == PERPLEXITY.name else ACCURACY
        figures = {name: float(one["test"][metric.name]) for name, one in pair.items()}
    except (OSError, KeyError, TypeError, ValueError):
        raise StorageError(
            f"{path}: it has no result that can be compared; finish the run with --resume (the same command, the same "
            "--out), also where an older version made it"
        ) from None
    given = configuration.get("method")
    method = str(given["name"] if isinstance(given, Mapping) else given)
    return FinishedRun(
        method=method,
        seed=int(configuration.get("seed", 0)),
        settings=flat(configuration),
        metric=metric,
        codes=codes,
        figures=figures,
        costs={**costs, "seconds": seconds_of(path, method)},
        outcomes={n: tuple(o.double().tolist()) for n, o in outcomes.items()} if metric is ACCURACY else {},
    )


def seconds_of(path: Path, method: str) -> float:
    """Return how long the run in a directory searched: supernet and evaluations, no random search, no retraining."""
    with Journal(path / "trials.sqlite", read_only=True) as journal:
        seconds = {name.removeprefix("seconds/"): value for name, value in journal.records("seconds/", float).items()}
    if method == RANDOM:
        return float(str(seconds.get("random", 0.0)))
    searching = [v for name, v in seconds.items() if name not in DECIDING and not name.startswith("audit")]
    return float(sum(float(str(value)) for value in searching))


def entries_of(runs: Sequence[FinishedRun]) -> list[Entry]:
    """Return one entry per method and settings.

    Raises:
        PalmetteError: fewer than one run, runs of different spaces, data or limits, or one seed twice.
    """
    check_comparable(runs)
    groups = _groups(runs)
    alone = {run.seed: run for name, group in groups.items() if name == RANDOM for run in group}
    by_image = max(len(group) for group in groups.values()) == 1 and all(run.outcomes for run in runs)
    entries = []
    for name, group in groups.items():
        costs = {key: float(np.mean([run.costs[key] for run in group])) for key in group[0].costs}
        rivals = []
        if group[0].method != RANDOM:
            rivals.append(Rival(OWN, _figures(group, "random", by_image), paired=True))
            if alone:
                rivals.append(_alone(group, alone, by_image))
        entries.append(Entry(name, _figures(group, "winner", by_image), costs, tuple(rivals), _unit(by_image)))
    return entries


def cost_note(entries: Sequence[Entry]) -> str:
    """Say how equal the measured costs are."""
    costs = {entry.name: entry.costs["passes"] for entry in entries}
    low, high = min(costs, key=costs.__getitem__), max(costs, key=costs.__getitem__)
    factor = costs[high] / costs[low]
    if factor <= TOLERANCE:
        return f"Measured costs are equal within {100 * (factor - 1):.0f}%."
    return f"Measured costs differ: {high} cost {factor:.2f} times as much as {low}. Bear that in mind when reading p."


def check_comparable(runs: Sequence[FinishedRun]) -> None:
    """Raise PalmetteError where the runs differ in what must be equal."""
    if not runs:
        raise PalmetteError("compare: no run was given; give the directories of finished runs")
    keys = list(dict.fromkeys(key for run in runs for key in run.settings if not key.startswith(FREE)))
    for key in keys:
        values = list(dict.fromkeys(run.settings.get(key, "unset") for run in runs))
        if len(values) > 1:
            raise PalmetteError(
                f"compare: {key} is {' in one run and '.join(values[:2])} in another; compared are runs of one space, "
                "one data split and the same limits"
            )


def _groups(runs: Sequence[FinishedRun]) -> dict[str, list[FinishedRun]]:
    """Return the runs by method, and where a method comes with several settings by these too."""
    settings = [
        {key: value for key, value in run.settings.items() if key.startswith(("method", "options"))} for run in runs
    ]
    groups: dict[str, list[FinishedRun]] = {}
    for run, own in zip(runs, settings, strict=True):
        others = [s for other, s in zip(runs, settings, strict=True) if other.method == run.method]
        differing = [key for key in own if len({other.get(key) for other in others}) > 1]
        inside = ", ".join(f"{key.removeprefix('options.')} {own[key]}" for key in differing)
        group = groups.setdefault(f"{run.method} ({inside})" if inside else run.method, [])
        if run.seed in {other.seed for other in group}:
            raise PalmetteError(f"compare: two runs of {run.method} have seed {run.seed}; give each once")
        group.append(run)
    return {name: sorted(group, key=lambda run: run.seed) for name, group in groups.items()}


def _alone(group: Sequence[FinishedRun], alone: Mapping[int, FinishedRun], by_image: bool) -> Rival:
    """Return the networks trained alone, by seed where each seed has one."""
    paired = all(run.seed in alone for run in group)
    own = [alone[run.seed] for run in group] if paired else list(alone.values())
    return Rival(ALONE, _figures(own, "winner", by_image), paired=paired)


def _figures(group: Sequence[FinishedRun], of: str, by_image: bool) -> tuple[float, ...]:
    return group[0].outcomes[of] if by_image else tuple(run.figures[of] for run in group)


def _unit(by_image: bool) -> str:
    return "test image" if by_image else "seed"


def with_truth(
    run: FinishedRun, truth: Mapping[Architecture, float], parsed: Mapping[str, Architecture]
) -> FinishedRun:
    """Return the run with true accuracies in place of what retraining measured; codes are read by ``parsed``."""
    figures = {name: truth[parsed[code]] for name, code in run.codes.items()}
    return FinishedRun(**{**vars(run), "metric": ACCURACY, "figures": figures, "outcomes": {}})
