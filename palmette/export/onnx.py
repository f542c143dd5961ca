"""ONNX: write a plain network for other runtimes, and check the file against the network before trusting it."""

from __future__ import annotations

import copy
import logging
import warnings
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import nn

from palmette.errors import MissingExtraError
from palmette.export.checked import write_checked
from palmette.export.example import example

TOLERANCE = 1e-4
"""Largest absolute difference of an output that counts as equal, in single precision."""


def export_onnx(network: nn.Module, path: Path, input_shape: Sequence[int]) -> float:
    """Write the network in evaluation mode, for any batch size, and return its largest difference from ONNX Runtime.

    Args:
        network: a plain network, as ``Space.extract`` returns it; it is left as it is.
        path: the ``.onnx`` file to write; weights are inside.
        input_shape: of one input, without the batch.

    Raises:
        MissingExtraError: the ``onnx`` extra is not installed.
        StorageError: the file cannot be written, or ONNX Runtime disagrees with the network by more than
            ``TOLERANCE``; nothing new is left, and an earlier file is intact.
    """
    missing = [name for name in ("onnx", "onnxscript", "onnxruntime") if find_spec(name) is None]
    if missing:
        raise MissingExtraError(f"ONNX export needs {', '.join(missing)}; run: pip install palmette[onnx]")
    network = copy.deepcopy(network).cpu().eval()

    def check(part: Path) -> float:
        _write(network, part, example(2, input_shape))
        return max(_difference(network, part, example(count, input_shape)) for count in (1, 3))

    cure = "try other versions of onnx, onnxscript and onnxruntime"
    return write_checked(path, f"{path.name}.part", check, tolerance=TOLERANCE, cure=cure)


def _write(network: nn.Module, path: Path, images: torch.Tensor) -> None:
    registration = logging.getLogger("torch.onnx._internal.exporter._registration")
    level = registration.level
    registration.setLevel(logging.ERROR)  # it warns of each operation of torchvision where that is not installed
    with warnings.catch_warnings():
        # the exporter's own use of functions that Python or torch will retire, nothing about the network
        for category in (DeprecationWarning, FutureWarning):
            warnings.filterwarnings("ignore", category=category, module=r"(torch|onnxscript|onnx_ir|copyreg)\b")
        torch.onnx.export(
            network,
            (images,),
            path,
            input_names=["images"],
            output_names=["outputs"],
            dynamic_shapes=({0: torch.export.Dim("batch")},),
            dynamo=True,
            external_data=False,
            verbose=False,
        )
    registration.setLevel(level)


def _difference(network: nn.Module, path: Path, images: torch.Tensor) -> float:
    import onnxruntime

    session = onnxruntime.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])
    (outputs,) = session.run(None, {"images": images.numpy()})
    with torch.no_grad():
        return float((network(images) - torch.from_numpy(outputs)).abs().max())
