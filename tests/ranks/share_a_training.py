"""Methods on two short epochs: the choices of each step and the trained weights, one file per method.

    python share_a_training.py FOLDER STEPS BATCH STOP METHOD/SPACE[+VARIANT] ...

Before supernet call number STOP, if that is not 0, the process ends as if killed; every step is in a checkpoint.
Variants have a fifth of the steps, or two: quantised networks jump where a rounding moves a number across a threshold,
and on one process a change of the first weights by 1e-14 grows to one of a statistic by 20 in ten steps (4e-13 in two).

Alone or, under torchrun, as one of several ranks. All numbers are of double precision: training is so sensitive that
roundings of single precision grow within 50 steps. At the learning rate of 20 of recurrent DARTS those of double
precision do too (a change of the first weights by 1e-15 is one of 1e-2 in the architecture after 20 steps, on one
process), so it is 0.5 here. Nothing is dropped out, for masks are drawn for the part of a batch that a rank has.
"""

from __future__ import annotations

import dataclasses
import faulthandler
import json
import os
import sys
import traceback
from functools import partial
from pathlib import Path
from typing import Any

import torch

from palmette import ranks
from palmette.blocks import language_model
from palmette.blocks import recurrent_cell as blocks_of_cells
from palmette.cli.method_names import settings
from palmette.cli.names import SPACES
from palmette.costs.limits import Limits
from palmette.data.options import Splits
from palmette.data.sources import load_any
from palmette.methods.job import feasible_table, opened
from palmette.progress import Silent
from palmette.searches.evolution import EvolutionOptions
from palmette.space import Supernet
from palmette.spaces import recurrent_cell as spaces_of_cells
from palmette.spaces.nas_bench_201 import nas_bench_201
from palmette.storage.held import held
from palmette.storage.run_directory import RunDirectory
from palmette.training import loop

STEPS = {"epochs": 2, "warmup_epochs": 0, "batch_size": int(sys.argv[3]), "bptt": 3}
HELD_OUT = 10
"""Images or segments."""
LONGEST = 800
"""Seconds, after which a process tells where it stands and ends: ranks that do not agree wait for each other."""
LEARNING_RATE = 0.5
"""At most."""
FEW: dict[str, Any] = {
    "evolution": {"population": 4, "generations": 1, "mutants": 2, "crossovers": 2, "parents": 2},
    "nsga2": {"population": 4, "generations": 1},
    "greedy": {"pool": 8, "paths": 4, "kept": 2},
    "policy": {"samples": 3},
    "controller": {"hidden": 8},
}
"""Sizes that make a search short, by the option of the method that holds them."""
COUNTS = {"derived": 4, "candidates": 4, "random": 4, "audits": 0, "trainings": 2}
SEARCHED = EvolutionOptions(population=6, generations=2, mutants=3, crossovers=3, parents=2)
VARIANTS: dict[str, dict[str, Any]] = {
    "nsga2": {"stage": "nsga2"},
    "predictor": {"stage": "predictor", "evolution": SEARCHED},
    "random": {"stage": "random"},
    "optuna": {"stage": "optuna", "evolution": SEARCHED},
    "second-order": {"second_order": True},
    "limits": {},
    "two-steps": {},
}
STEPS_OF = {"two-steps": 2}
LIMIT = "800K"
"""FLOPs, of the variant ``limits``."""
SMALLER = {"cells": partial(nas_bench_201, width=8, cells=1)}
"""Spaces that the command line has in larger sizes only, with the name they have there."""


def main() -> None:
    faulthandler.dump_traceback_later(LONGEST, exit=True)
    folder = Path(sys.argv[1])
    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float64)
    torch.Tensor.float = torch.Tensor.double  # type: ignore[method-assign]
    for module in (language_model, blocks_of_cells, spaces_of_cells):
        module.locked_mask = lambda like, rate: None  # type: ignore[attr-defined]
    torch.nn.Dropout.forward = lambda self, x: x  # type: ignore[method-assign]
    if int(sys.argv[4]):
        loop.CHECKPOINT_SECONDS = -1.0
    with ranks.started():
        for case in sys.argv[5:]:
            name = case.replace("/", "-")
            seen: list[str] = []
            try:
                searched(case, folder / name, int(sys.argv[2]), int(sys.argv[4]), seen)
            except Exception:  # the other cases are of interest all the same
                seen.append(traceback.format_exc())
            (folder / f"{name}-{ranks.own()}.json").write_text(json.dumps(seen))


def searched(case: str, path: Path, steps: int, stop: int, seen: list[str]) -> None:
    """Search, and add what every training step of the supernet was told, in words."""
    named, _, variant = case.partition("+")
    name, space_name = named.split("/")
    is_text, steps = "recurrent" in space_name, STEPS_OF.get(variant, steps // 5 if variant else steps)
    each = STEPS["bptt"] if is_text else 1
    splits = Splits(train=steps // 2 * STEPS["batch_size"] * each + 25, validation=HELD_OUT * each, calibration=25)
    data = load_any("help-topics" if is_text else "digits", splits=splits, seed=0)
    build = SMALLER.get(space_name)
    classes, channels = len(data.classes), data.input_shape[0]
    space = build(classes=classes, channels=channels) if build else SPACES[space_name].build(classes, channels)
    method = shortened(settings(name, "small-images" if build else space_name))
    method = dataclasses.replace(method, **VARIANTS.get(variant, {}))
    limits = Limits.from_mapping({"flops": LIMIT} if variant == "limits" else {})
    call = Supernet.forward

    def noting(self: Supernet, x: Any, choice: Any, *rest: Any) -> Any:
        if self.training and torch.is_grad_enabled():
            if stop and len(seen) == stop:
                os._exit(9)
            seen.append(worded(choice))
        return call(self, x, choice, *rest)

    Supernet.forward = noting  # type: ignore[method-assign]
    try:
        table = feasible_table(space, data, limits, seed=0)
        with (
            held(lambda: RunDirectory.open(path, {"method": name})) as directory,
            opened(space, data, table, limits, directory=directory, seed=0, progress=Silent()) as job,
        ):
            found = method.search(job)
        seen.append(f"found {space.decisions.code(found.best)}")
    finally:
        Supernet.forward = call  # type: ignore[method-assign]


def shortened(method: Any) -> Any:
    """Return the method with short trainings and few candidates."""
    changes: dict[str, Any] = {}
    for field in dataclasses.fields(method):
        value = getattr(method, field.name)
        if field.name in FEW:
            names = {inner.name for inner in dataclasses.fields(value)}
            changes[field.name] = dataclasses.replace(value, **{k: v for k, v in FEW[field.name].items() if k in names})
        elif field.name in ("training", "architecture", "controller_training"):
            names = {inner.name for inner in dataclasses.fields(value)}
            steps = {k: v for k, v in STEPS.items() if k in names} | {"lr": min(value.lr, LEARNING_RATE)}
            changes[field.name] = dataclasses.replace(value, **steps)
        elif field.name in COUNTS:
            changes[field.name] = COUNTS[field.name]
    return dataclasses.replace(method, **changes)


def worded(choice: Any) -> str:
    """Return a choice as text, weights to eight digits."""

    def one(pick: Any) -> object:
        if isinstance(pick, torch.Tensor):
            return [f"{x:.8g}" for x in pick.detach().flatten().tolist()]
        if dataclasses.is_dataclass(pick):
            return [one(getattr(pick, field.name)) for field in dataclasses.fields(pick)]
        return repr(pick)

    return repr({name: one(pick) for name, pick in choice.items()})


if __name__ == "__main__":
    main()
