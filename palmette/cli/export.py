"""``palmette export``: hand a trained network over."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from palmette.cli.main import parse
from palmette.errors import PalmetteError


@dataclass(frozen=True, kw_only=True)
class Export:
    """Write a trained network as ONNX, checked against PyTorch with ONNX Runtime.

    Examples: `palmette export runs/mine --onnx network.onnx`. The run's network.safetensors is an export already;
    input is normalised as (pixels / 255 - mean) / std, with the printed figures.
    """

    network: Annotated[Path, tyro.conf.Positional]
    """The directory of a run, or a network.safetensors."""
    onnx: Path | None = None
    """The file to write."""


def run(arguments: Sequence[str]) -> None:
    options = parse(Export, arguments, name="export")
    assert isinstance(options, Export)
    if options.onnx is None:
        raise PalmetteError("export: no format was given; add --onnx FILE.onnx")
    from palmette.cli.trained import trained
    from palmette.export.onnx import export_onnx

    network, card = trained(options.network)
    if len(card.input_shape) == 1:
        raise PalmetteError("export: a language model's loop over time has no ONNX form here; use network.safetensors")
    difference = export_onnx(network, options.onnx, card.input_shape)
    facts = {"onnx": str(options.onnx), "largest_difference": difference, "mean": card.mean, "std": card.std}
    print(json.dumps(facts))
