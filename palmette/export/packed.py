"""Packed weights: what a mixed-precision network takes when its quantised weights are stored as integers.

A weight of b bits is a number from 0 to ``2^b - 1``; these stand one after another, bit by bit. Unpacking gives the
quantised values that the network computes with, exactly (DoReFa; ``blocks/quantizers.py``).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from safetensors.torch import save as to_bytes
from torch import Tensor

from palmette.blocks.quantizers import quantized_weight
from palmette.errors import StorageError
from palmette.storage.atomic import write_bytes

Shapes = Mapping[str, torch.Size]
_METADATA = "palmette_packed"


def pack(state: Mapping[str, Tensor], bits: Mapping[str, int]) -> dict[str, Tensor]:
    """Return the floating-point tensors of a network's state, with the weights named in ``bits`` packed.

    A packed weight is uint8 ``[bytes]``; one of one bit has a scale beside it, float32 under its name and ``.scale``.
    The sizes of all tensors returned add up to the cost ``bytes`` of the network.

    Args:
        state: of the network, as ``state_dict`` gives it; counters of BatchNorm are left out.
        bits: by name, as ``blocks.quantizers.weight_bits`` gives them.
    """
    packed: dict[str, Tensor] = {}
    for name, tensor in state.items():
        if name in bits:
            weight = quantized_weight(tensor.detach().cpu(), bits[name])
            packed[name] = _packed(_levels(weight, bits[name]), bits[name])
            if bits[name] == 1:
                packed[f"{name}.scale"] = weight.abs().max()
        elif tensor.is_floating_point():
            packed[name] = tensor.detach().cpu()
    return packed


def unpack(packed: Mapping[str, Tensor], bits: Mapping[str, int], shapes: Shapes) -> dict[str, Tensor]:
    """Return the state that ``pack`` was given, with quantised weights in the place of those in ``bits``."""
    state = {name: tensor for name, tensor in packed.items() if name.removesuffix(".scale") not in bits}
    for name, count in bits.items():
        levels = _unpacked(packed[name], count, shapes[name].numel()).view(shapes[name])
        if count == 1:
            scale = packed[f"{name}.scale"]
            state[name] = torch.where(levels == 0, -scale, scale)
        else:
            state[name] = 2 * (levels.float() / (2**count - 1)) - 1
    return state


def save_packed(state: Mapping[str, Tensor], bits: Mapping[str, int], path: Path) -> int:
    """Write the packed state as safetensors, atomically, and return the bytes of its tensors.

    Raises:
        StorageError: the file cannot be written; an earlier one is then intact.
    """
    packed = {name: tensor.contiguous() for name, tensor in pack(state, bits).items()}
    facts = {name: {"bits": count, "shape": list(state[name].shape)} for name, count in bits.items()}
    write_bytes(path, to_bytes(packed, metadata={_METADATA: json.dumps(facts)}))
    return sum(tensor.nbytes for tensor in packed.values())


def load_packed(path: Path) -> dict[str, Tensor]:
    """Return the state that ``save_packed`` wrote, with the quantised values of its weights.

    Raises:
        StorageError: no such file, or none of packed weights.
    """
    try:
        packed = load_file(path)
        with safe_open(path, framework="pt") as file:
            facts = json.loads((file.metadata() or {})[_METADATA])
    except (OSError, SafetensorError, KeyError, ValueError, RecursionError):
        raise StorageError(f"{path}: it holds no packed weights; give what 'palmette export --packed' wrote") from None
    bits = {name: int(fact["bits"]) for name, fact in facts.items()}
    return unpack(packed, bits, {name: torch.Size(fact["shape"]) for name, fact in facts.items()})


def _levels(weight: Tensor, bits: int) -> Tensor:
    """Return the numbers 0 to ``2^bits - 1`` of quantised weights, int64."""
    numbers: Tensor = weight >= 0 if bits == 1 else ((weight + 1) / 2 * (2**bits - 1)).round()
    return numbers.long()


def _packed(levels: Tensor, bits: int) -> Tensor:
    digits = (levels.flatten().numpy()[:, None] >> np.arange(bits)) & 1
    packed: Tensor = torch.from_numpy(np.packbits(digits.astype(np.uint8).reshape(-1)))
    return packed


def _unpacked(packed: Tensor, bits: int, count: int) -> Tensor:
    digits = np.unpackbits(packed.numpy(), count=count * bits).reshape(count, bits).astype(np.int64)
    levels: Tensor = torch.from_numpy((digits << np.arange(bits)).sum(1))
    return levels
