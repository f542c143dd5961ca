"""ONNX: write a plain network for other runtimes, and check the file against the network before trusting it."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import nn
from torch.export import ExportedProgram

from palmette.errors import MissingExtraError
from palmette.export.checked import write_checked
from palmette.export.example import Portable, portable
from palmette.export.program import traced

TOLERANCE = 1e-4
"""Largest absolute difference of an output that counts as equal, in single precision."""


def export_onnx(
    network: nn.Module, path: Path, input_shape: Sequence[int], *, program: ExportedProgram | None = None
) -> float:
    """Write the network in evaluation mode, for any batch size, and return its largest difference from ONNX Runtime.

    Of a language model one time step is written (``export.one_step``).

    Args:
        network: a plain network, as ``Space.extract`` returns it; it is left as it is.
        path: the ``.onnx`` file to write; weights are inside.
        input_shape: of one input, without the batch.
        program: what ``export.program.traced`` gave of this network, where it is there already.

    Raises:
        MissingExtraError: the ``onnx`` extra is not installed.
        StorageError: torch cannot export the network, the file cannot be written, or ONNX Runtime disagrees with the
            network by more than ``TOLERANCE``; nothing new is left, and an earlier file is intact.
    """
    missing = [name for name in ("onnx", "onnxscript", "onnxruntime") if find_spec(name) is None]
    if missing:
        raise MissingExtraError(f"ONNX export needs {', '.join(missing)}; run: pip install palmette[onnx]")
    leaving = portable(network, input_shape)
    program = program or traced(network, input_shape)

    def check(part: Path) -> float:
        _write(leaving, program, part)
        return max(_difference(leaving, part, leaving.example(count)) for count in (1, 3))

    cure = "try other versions of onnx, onnxscript and onnxruntime"
    return write_checked(path, f"{path.name}.part", check, tolerance=TOLERANCE, cure=cure)


def _write(leaving: Portable, program: ExportedProgram, path: Path) -> None:
    registration = logging.getLogger("torch.onnx._internal.exporter._registration")
    level = registration.level
    registration.setLevel(logging.ERROR)  # it warns of each operation of torchvision where that is not installed
    with warnings.catch_warnings():
        # the exporter's own use of functions that Python or torch will retire, nothing about the network
        for category in (DeprecationWarning, FutureWarning):
            warnings.filterwarnings("ignore", category=category, module=r"(torch|onnxscript|onnx_ir|copyreg)\b")
        warnings.filterwarnings("ignore", message="# The axis name")  # of the batch, once more for each further input
        torch.onnx.export(
            program,
            (),
            path,
            input_names=leaving.inputs,
            output_names=leaving.outputs,
            dynamo=True,
            external_data=False,
            verbose=False,
        )
    registration.setLevel(level)


def _difference(leaving: Portable, path: Path, inputs: Sequence[torch.Tensor]) -> float:
    import onnxruntime

    session = onnxruntime.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])
    given = {name: tensor.numpy() for name, tensor in zip(leaving.inputs, inputs, strict=True)}
    there = [torch.from_numpy(output) for output in session.run(None, given)]
    with torch.no_grad():
        here = leaving.network(*inputs)
    here = here if isinstance(here, tuple) else (here,)
    return max(float((one - other).abs().max()) for one, other in zip(here, there, strict=True))
