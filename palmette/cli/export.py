"""``palmette export``: hand a trained network over."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from palmette.cli.main import parse
from palmette.errors import PalmetteError
from palmette.methods.fairnas import FairNAS
from palmette.methods.greedynas import GreedyNAS
from palmette.methods.spos import SPOS

if TYPE_CHECKING:
    from palmette.methods.job import Method


@dataclass(frozen=True, kw_only=True)
class Export:
    """Write a trained network for others, each form checked against the network before it is kept; or a run's front.

    Examples: `palmette export runs/mine --onnx network.onnx`; `palmette export runs/mine --python network.py --card
    MODEL.md`; `palmette export runs/mine --front front`, and then `palmette retrain front/120210.json`. The run's
    network.safetensors is an export already, and the Python file reads it; input is normalised as
    (pixels / 255 - mean) / std, with the printed figures.
    """

    network: Annotated[Path, tyro.conf.Positional]
    """The directory of a run, or a network.safetensors."""
    onnx: Path | None = None
    """Write ONNX, checked with ONNX Runtime; needs the extra onnx."""
    python: Path | None = None
    """Write one readable Python file that imports torch only."""
    program: Path | None = None
    """Write a program of torch.export, FILE.pt2."""
    card: Path | None = None
    """Write the model card of a run, in Markdown."""
    packed: Path | None = None
    """The safetensors file to write with quantised weights as integers of their bits, from a space of bits."""
    front: Path | None = None
    """Folder to write an architecture.json to for every evaluated architecture that no other beats in all objectives,
    by inherited weights; their metrics and costs are printed, one JSON line each."""
    objectives: tuple[str, ...] = ()
    """Of the front, as accuracy flops or name:higher; default: those the run searched for, else accuracy flops."""


def run(arguments: Sequence[str]) -> None:
    options = parse(Export, arguments, name="export")
    assert isinstance(options, Export)
    if options.objectives and options.front is None:
        raise PalmetteError("export: objectives are of the front; add --front FOLDER")
    forms = (options.onnx, options.python, options.program, options.card)
    if not any((*forms, options.packed, options.front)):
        raise PalmetteError("export: no format was given; add --onnx, --python, --program, --card, --packed or --front")
    if options.card and not options.network.is_dir():
        raise PalmetteError(f"export: {options.network} is no directory; a card needs that of a run")
    if options.front is not None:
        _export_front(options.network, options.front, options.objectives)
    if any(forms):
        _export_network(options)
    if options.packed is not None:
        _export_packed(options.network, options.packed)


def _export_network(options: Export) -> None:
    from palmette.cli.trained import trained
    from palmette.export.apart import reading
    from palmette.export.model_card import model_card
    from palmette.export.onnx import export_onnx
    from palmette.export.program import export_program, traced
    from palmette.export.source import export_source
    from palmette.storage.atomic import write_text

    network, card = trained(options.network)
    shape = card.input_shape
    facts: dict[str, object] = {"mean": card.mean, "std": card.std}
    program = traced(network, shape) if options.onnx and options.program else None
    if options.onnx:
        facts["onnx"] = str(options.onnx)
        facts["largest_difference"] = export_onnx(network, options.onnx, shape, program=program)
    with reading() if options.python or options.program else nullcontext() as reader:
        if options.python:
            about = f"Architecture {card.architecture.id} of space {card.architecture.space}, trained on {card.data}."
            facts["python"] = str(options.python)
            facts["largest_difference_python"] = export_source(
                network, options.python, card, about=about, reader=reader
            )
        if options.program:
            facts["program"] = str(options.program)
            facts["largest_difference_program"] = export_program(
                network, options.program, shape, program=program, reader=reader
            )
    if options.card:
        write_text(options.card, model_card(options.network, card))
        facts["card"] = str(options.card)
    print(json.dumps(facts))


def _export_packed(path: Path, file: Path) -> None:
    import torch

    from palmette.blocks.quantizers import weight_bits
    from palmette.cli.trained import space_of, trained
    from palmette.export.packed import save_packed

    network, card = trained(path)
    space = space_of(card.architecture, classes=len(card.classes), channels=card.input_shape[0])
    with torch.device("meta"):
        bits = weight_bits(space.build(space.decisions.check(card.architecture), seed=0))
    if not bits:
        raise PalmetteError(f"export: {path} has no quantised weights; --packed is for networks of spaces of bits")
    print(json.dumps({"packed": str(file), "bytes": save_packed(network.state_dict(), bits, file)}))


def _export_front(path: Path, folder: Path, wanted: Sequence[str]) -> None:
    from palmette.cli.search import stored_search
    from palmette.cli.trained import space_of
    from palmette.searches.pareto import objectives, pareto_front
    from palmette.storage.atomic import write_text
    from palmette.storage.journal import Journal

    chosen = objectives(wanted or _searched_for(stored_search(path).options) or ("accuracy", "flops"))
    with Journal(path / "trials.sqlite", read_only=True) as journal:
        trials = journal.trials()
    if not trials:
        raise PalmetteError(f"{path}: no architecture was evaluated yet; finish the run first, with --resume")
    folder.mkdir(parents=True, exist_ok=True)
    decisions = space_of(trials[0].architecture, classes=2, channels=1).decisions
    for trial in sorted(pareto_front(trials, chosen), key=lambda trial: trial.costs["flops"]):
        code = decisions.code(trial.architecture)
        file = folder / f"{code}.json"
        write_text(file, trial.architecture.to_json() + "\n")
        print(json.dumps({"code": code, "file": str(file), "arm": trial.arm, **trial.metrics, **trial.costs}))


def _searched_for(method: Method) -> tuple[str, ...]:
    """Return the objectives of a method that has several, else none."""
    match method:
        case SPOS(stage="nsga2"):
            return method.objectives or (method.rank_by, "flops")
        case FairNAS() | GreedyNAS() if len(method.nsga2.objectives) > 1:
            return method.nsga2.objectives
    return ()
