"""Several studies together: does what one says of the spaces hold elsewhere, and how do good networks grow?

Generalisation (Radosavovic et al., 2020, section 3.4): the same spaces at another range of FLOPs, block type or data
set, one row for each study. Trends (section 4): of studies that differ in their range only, where the parameters of the
best networks lie over FLOPs, and whether activations grow as sqrt(flops) and parameters as flops.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from palmette.design_spaces.trends import exponent, relative_fit
from palmette.errors import PalmetteError, StorageError
from palmette.storage.run_directory import flat, read_configuration

FREE = ("seed", "device", "spaces", "splits")
"""Settings by which a study is not named."""
BEST_SHARE = 0.25
"""Share of each population, best first, that fits of trends take."""
LAWS = {"acts": ("sqrt",), "params": ("1", "linear")}
"""The paper's laws, of flops in millions."""
RANGE = "limits.flops"


@dataclass(frozen=True)
class Finished:
    """A study that is done: its directory, its settings as flat text, and its numbers."""

    path: Path
    settings: Mapping[str, str]
    analysis: Mapping[str, Any]


def read_study(path: Path) -> Finished:
    """Return the study in a run directory.

    Raises:
        StorageError: there is none, or it is not finished.
    """
    settings = flat(read_configuration(path))
    try:
        analysis = json.loads((path / "study.json").read_text(encoding="utf-8"))
        analysis = {key: analysis[key] for key in ("spaces", "comparisons", "networks")}
    except FileNotFoundError:
        raise StorageError(
            f"{path}: no study.json; finish the study with 'palmette study --resume --out {path}'"
        ) from None
    except (KeyError, TypeError, ValueError):
        raise StorageError(f"{path / 'study.json'}: it is damaged; write it again with --resume") from None
    return Finished(path, settings, analysis)


def together(studies: Sequence[Finished]) -> dict[str, Any]:
    """Return what the studies say together, made of JSON's types only.

    Raises:
        PalmetteError: fewer than two studies, or two of the same settings.
    """
    if len(studies) < 2:
        raise PalmetteError(f"study: {len(studies)} finished studies were given; give at least 2 after --from")
    names = _names(studies)
    named = {study.path: name for study, name in zip(studies, names, strict=True)}
    return {
        "studies": [
            {"name": name, "directory": str(study.path), "settings": dict(study.settings)}
            for name, study in zip(names, studies, strict=True)
        ],
        "comparisons": [
            {"study": name, **comparison}
            for name, study in zip(names, studies, strict=True)
            for comparison in study.analysis["comparisons"]
            if "paired_mean" in comparison
        ],
        "trends": [trend for group in _regimes(studies) for trend in _trends(group, named)],
    }


def verdict(comparison: Mapping[str, Any]) -> str:
    """Say in a word what the interval of the paired difference says of the left space."""
    mean = comparison["paired_mean"]
    return "better" if mean["high"] < 0 else "worse" if mean["low"] > 0 else "unclear"


def as_table(joint: Mapping[str, Any]) -> str:
    """Return the comparisons in Markdown: a row for each study, a column for each pair of spaces."""
    pairs = list(dict.fromkeys((c["space"], c["beside"]) for c in joint["comparisons"]))
    cells = {(c["study"], c["space"], c["beside"]): _cell(c) for c in joint["comparisons"]}
    rows = [["study", *(f"{space} beside {other}" for space, other in pairs)]]
    rows.append(["---"] * len(rows[0]))
    rows += [[s["name"], *(cells.get((s["name"], *pair), "") for pair in pairs)] for s in joint["studies"]]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def _cell(comparison: Mapping[str, Any]) -> str:
    value, low, high = (100 * comparison["paired_mean"][key] for key in ("value", "low", "high"))
    return f"{value:+.2f} [{low:+.2f}, {high:+.2f}] {verdict(comparison)}"


def _names(studies: Sequence[Finished]) -> list[str]:
    """Name each study by the settings in which they differ."""
    keys = list(dict.fromkeys(key for study in studies for key in study.settings if not key.startswith(FREE)))
    differing = [key for key in keys if len({study.settings.get(key) for study in studies}) > 1]
    names = [
        ", ".join(f"{key.removeprefix('limits.')} {_short(study.settings.get(key, 'unset'))}" for key in differing)
        for study in studies
    ]
    for name in names:
        if names.count(name) > 1:
            raise PalmetteError(f"study: two of the studies have the same settings ({name or 'all'}); give each once")
    return names


def _short(value: str) -> str:
    return Path(value).stem if "/" in value else value


def _regimes(studies: Sequence[Finished]) -> list[list[Finished]]:
    """Return the groups of studies that differ in their range of FLOPs only, two or more in each."""
    groups: dict[tuple[tuple[str, str], ...], list[Finished]] = {}
    for study in studies:
        rest = tuple(sorted((k, v) for k, v in study.settings.items() if k != RANGE and not k.startswith(FREE)))
        groups.setdefault(rest, []).append(study)
    return [group for group in groups.values() if len(group) > 1]


def _trends(group: Sequence[Finished], names: Mapping[Path, str]) -> list[dict[str, Any]]:
    """Return for each space that all studies of the group have: best ranges by regime, and laws over all regimes."""
    shared = [space for space in group[0].analysis["spaces"] if all(space in s.analysis["spaces"] for s in group)]
    found = []
    for space in shared:
        best = [network for study in group for network in _best(study, space)]
        ranges = [study.analysis["spaces"][space].get("best_ranges") for study in group]
        if not best or not all(ranges):
            continue
        flops = np.array([network["flops"] for network in best]) / 1e6
        laws = {
            key: {
                "exponent": exponent(flops, [network[key] for network in best]),
                **relative_fit(flops, [network[key] for network in best], terms),
            }
            for key, terms in LAWS.items()
        }
        regimes = sorted(
            ({"study": names[study.path], "best_ranges": r} for study, r in zip(group, ranges, strict=True)),
            key=lambda regime: float(regime["best_ranges"]["flops"]["median"]),
        )
        points = [{key: network[key] for key in ("flops", "params", "acts")} for network in best]
        found.append({"space": space, "regimes": regimes, "laws": laws, "best_networks": points})
    return found


def _best(study: Finished, space: str) -> list[Mapping[str, Any]]:
    networks = [n for n in study.analysis["networks"] if n["space"] == space and n["error"] is not None]
    return sorted(networks, key=lambda network: float(network["error"]))[: max(1, round(BEST_SHARE * len(networks)))]
