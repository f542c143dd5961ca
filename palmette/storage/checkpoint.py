"""Checkpoints: tensors and a little plain state in one safetensors file, written all or nothing, never unpickled.

The state travels as JSON in the file's metadata with a version and checksums, so that a file that was
cut, altered or written by something else is refused.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_bytes
from torch import Tensor, nn

from palmette.errors import StorageError
from palmette.storage.atomic import write_bytes

VERSION = "1"

State = Mapping[str, Any]
"""What JSON can hold; tuples come back as lists, and keys must be strings."""


def save(path: Path, tensors: Mapping[str, Tensor], state: State) -> None:
    """Write tensors of any shape, device and memory layout (those that share memory become independent copies).

    Raises:
        StorageError: the file cannot be written (an earlier one is then intact), or a type that has no storage form.
    """
    copies = _independent(tensors)
    text = json.dumps(state)
    metadata = {"palmette_checkpoint": VERSION, "state": text, "checksum": _checksum(copies)}
    metadata["state_checksum"] = f"{zlib.crc32(text.encode()):08x}"
    try:
        content = to_bytes(copies, metadata=metadata)
    except (KeyError, SafetensorError) as error:
        raise StorageError(f"{path}: a tensor's type cannot be stored ({error}); convert it first") from None
    write_bytes(path, content)


def load(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return the tensors, on the CPU and bitwise as saved, and the state.

    Raises:
        StorageError: the file is missing, damaged, of another program or another version.
    """
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            metadata = file.metadata() or {}
            _check_version(path, metadata)
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # it is no mapping
        state: dict[str, Any] = json.loads(metadata["state"])
        intact = metadata["checksum"] == _checksum(tensors) and isinstance(state, dict)
        known = metadata.get("state_checksum")  # files of before it was added have none
        intact = intact and known in (None, f"{zlib.crc32(metadata['state'].encode()):08x}")
    except FileNotFoundError:
        raise StorageError(f"{path}: there is no such checkpoint; give the directory of a run") from None
    except (OSError, SafetensorError, KeyError, ValueError, RecursionError) as error:
        raise _damaged(path, str(error)) from None
    if not intact:
        raise _damaged(path, "its content does not match its checksum")
    return tensors, state


def require(path: Path, state: State, expected: State) -> None:
    """Raise StorageError where ``state`` differs from ``expected``: the checkpoint is of another training."""
    for key, value in expected.items():
        if state.get(key) != value:
            raise StorageError(
                f"{path}: the checkpoint is of another training, {key} is {state.get(key)} there and {value} here; "
                "continue with the same settings, or start a new run"
            )


def load_weights(path: Path, module: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Copy ``weights`` (read from ``path``) into all parameters and buffers of ``module``.

    Raises:
        StorageError: names or shapes differ.
    """
    own = module.state_dict()
    for name in own.keys() | weights.keys():
        there, here = _shape(weights.get(name)), _shape(own.get(name))
        if there != here:
            raise StorageError(
                f"{path}: the checkpoint is of another network, {name} is {there} there and {here} here; "
                "continue with the same space and settings, or start a new run"
            )
    module.load_state_dict(dict(weights))


def _independent(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return contiguous CPU tensors of which no two share memory."""
    seen: set[int] = set()
    copies: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        copy = tensor.detach().cpu().contiguous()
        address = copy.untyped_storage().data_ptr()
        copies[name] = copy.clone() if address in seen or copy.untyped_storage().nbytes() != copy.nbytes else copy
        seen.add(address)
    return copies


def _checksum(tensors: Mapping[str, Tensor]) -> str:
    """Return the CRC-32 over the bytes of all tensors in the order of their names."""
    total = 0
    for name in sorted(tensors):
        total = zlib.crc32(name.encode(), total)
        total = zlib.crc32(tensors[name].reshape(-1).view(torch.uint8).numpy().data, total)
    return f"{total:08x}"


def _check_version(path: Path, metadata: Mapping[str, str]) -> None:
    version = metadata.get("palmette_checkpoint")
    if version is None:
        raise StorageError(
            f"{path}: it is no checkpoint of a run (a plain safetensors file); give one that a run wrote"
        )
    if version != VERSION:
        raise StorageError(
            f"{path}: it has checkpoint version {version}, this version reads {VERSION}; use the palmette that wrote it"
        )


def _damaged(path: Path, why: str) -> StorageError:
    why = " ".join(why.split())
    return StorageError(
        f"{path}: the checkpoint is damaged or no checkpoint ({why}); delete it to start that phase anew"
    )


def _shape(tensor: Tensor | None) -> str:
    return "missing" if tensor is None else str(tuple(tensor.shape))
