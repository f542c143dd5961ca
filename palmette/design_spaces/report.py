"""What a study leaves in its run directory: ``study.json``, ``figures/*.svg``, ``report.html``."""

from __future__ import annotations

import json
from collections.abc import Iterator

import torch

from palmette.design_spaces.figures import figures
from palmette.design_spaces.page import render
from palmette.design_spaces.study import Study, analyse
from palmette.storage.atomic import write_text
from palmette.storage.environment import environment
from palmette.storage.run_directory import RunDirectory


def write_report(study: Study, directory: RunDirectory, *, title: str, device: str) -> Iterator[str]:
    """Write everything, and yield a line on each space and each comparison."""
    analysis, drawn = analyse(study), figures(study)
    (directory.path / "figures").mkdir(exist_ok=True)
    for name, svg in drawn.items():
        write_text(directory.path / "figures" / f"{name}.svg", svg)
    write_text(directory.path / "study.json", json.dumps(analysis, indent=1) + "\n")
    facts = environment(torch.device(device))
    write_text(directory.environment, json.dumps(facts, indent=1) + "\n")
    configuration = directory.config.read_text(encoding="utf-8")
    write_text(directory.report, render(title, analysis, drawn, configuration=configuration, environment=facts))
    for name, record in analysis["spaces"].items():
        states = ", ".join(f"{count} {state}" for state, count in record["states"].items() if count)
        errors = f"; error min {record['min']:.2%}, mean {record['mean']:.2%}" if "mean" in record else ""
        yield f"{name}: {states}{errors}"
    for record in analysis["comparisons"]:
        if "mean" in record:
            mean = record["paired_mean"]
            yield (
                f"{record['space']} beside {record['beside']}: mean error {100 * mean['value']:+.2f} points in pairs "
                f"of equal FLOPs, 95% interval {100 * mean['low']:+.2f} to {100 * mean['high']:+.2f}"
            )
