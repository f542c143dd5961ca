"""Program: a network as a ``torch.export`` program, for runtimes without its Python code; checked before it is kept."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import nn
from torch.export import ExportedProgram

from palmette.errors import StorageError
from palmette.export.apart import Reader, reading
from palmette.export.checked import write_checked
from palmette.export.example import portable

TOLERANCE = 1e-5
"""Largest absolute difference of an output that counts as equal, in single precision."""


def traced(network: nn.Module, input_shape: Sequence[int]) -> ExportedProgram:
    """Return the network in evaluation mode as a program for any batch size, of which several forms can be written.

    Raises:
        StorageError: torch cannot export the network.
    """
    leaving = portable(network, input_shape)
    batch = tuple({0: torch.export.Dim("batch")} for _ in leaving.inputs)
    with _quiet():
        try:
            return torch.export.export(leaving.network, leaving.example(2), dynamic_shapes=batch)
        except (torch._dynamo.exc.TorchDynamoException, RuntimeError) as error:
            why = " ".join(str(error).split())[:200]
            raise StorageError(f"torch cannot export the network ({why}); use another form") from None


def export_program(
    network: nn.Module,
    path: Path,
    input_shape: Sequence[int],
    *,
    program: ExportedProgram | None = None,
    reader: Reader | None = None,
) -> float:
    """Write the network in evaluation mode, for any batch size, and return the largest difference of its outputs.

    Of a language model one time step is written (``export.one_step``).

    Args:
        network: plain; it is left as it is.
        path: the ``.pt2`` file to write, which ``torch.export.load`` reads.
        input_shape: of one input, without the batch.
        program: what ``traced`` gave of this network, where it is there already.
        reader: what checks the file; by default one is started for it.

    Raises:
        StorageError: torch cannot export the network, the program differs from it by more than ``TOLERANCE``, or the
            file cannot be written; nothing new is left, and an earlier file is intact.
    """
    leaving = portable(network, input_shape)
    program = program or traced(network, input_shape)

    def check(part: Path) -> float:
        with _quiet():
            torch.export.save(program, part)
        load = f"network = torch.export.load({part.name!r}).module()"
        with reading(reader) as process:
            return process.largest_difference(part, load, leaving.network, leaving.example(3))

    part = f"{path.stem}.part.pt2"  # torch insists on the ending
    return write_checked(path, part, check, tolerance=TOLERANCE, cure="export it as ONNX instead")


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep quiet about torch's own use of what it will retire."""
    with warnings.catch_warnings():
        for category in (DeprecationWarning, FutureWarning):
            warnings.filterwarnings("ignore", category=category, module=r"(torch|copyreg)\b")
        yield
