"""Weights of a plain network as safetensors, with a card that says what they belong to; reading executes nothing."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from safetensors.torch import save as to_bytes
from torch import Tensor, nn

from palmette.architecture import Architecture
from palmette.data.text import Corpus, Data
from palmette.errors import StorageError
from palmette.storage.atomic import write_bytes
from palmette.storage.typed import record


@dataclass(frozen=True)
class Card:
    """What is needed to build the network again and to feed it."""

    architecture: Architecture
    data: str
    classes: tuple[str, ...]
    input_shape: tuple[int, ...]
    """``(C, H, W)``, or ``(1,)``, one token, of text."""
    mean: tuple[float, ...]
    """Per channel, of pixels from 0 to 1; subtracted from the input."""
    std: tuple[float, ...]
    """Per channel; the input is divided by it."""

    @property
    def is_text(self) -> bool:
        """Say whether the network is a language model."""
        return len(self.input_shape) == 1

    @staticmethod
    def of(architecture: Architecture, data: Data) -> Card:
        """Return the card of an architecture trained on ``data``."""
        if isinstance(data, Corpus):
            return Card(architecture, data.name, data.classes, data.input_shape, (), ())
        return Card(architecture, data.name, data.classes, data.input_shape, data.mean, data.std)


def save_weights(network: nn.Module, path: Path, card: Card) -> None:
    """Write the network's parameters and buffers under their names, atomically.

    Raises:
        StorageError: the file cannot be written; an earlier one is then intact.
    """
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    facts = {**vars(card), "architecture": card.architecture.to_json()}
    write_bytes(path, to_bytes(state, metadata={"palmette_card": json.dumps(facts)}))


def read_card(path: Path) -> Card:
    """Return the card of a weights file.

    Raises:
        StorageError: no such file, not safetensors, or not written by ``save_weights``.
    """
    try:
        with safe_open(path, framework="pt") as file:
            facts = json.loads((file.metadata() or {})["palmette_card"])
        card = record(Card, {**facts, "architecture": Architecture.from_json(facts["architecture"])})
        _check_shape(card)
        return card
    except (OSError, SafetensorError) as error:
        raise _unreadable(path, error) from None
    except (KeyError, TypeError, ValueError, RecursionError):
        raise StorageError(f"{path}: it has no card of a network; give the network.safetensors of a run") from None


def load_weights(network: nn.Module, path: Path) -> None:
    """Read into the network, in place, what ``save_weights`` wrote for a network of the same shape.

    Raises:
        StorageError: no such file, not safetensors, or names and shapes of another network.
    """
    try:
        state = load_file(path)
    except (OSError, SafetensorError) as error:
        raise _unreadable(path, error) from None
    own = network.state_dict()
    wrong = sorted(name for name in own.keys() | state.keys() if _shape(own, name) != _shape(state, name))
    if wrong:
        raise StorageError(
            f"{path}: {wrong[0]!r} is {_shape(state, wrong[0])} in the file and {_shape(own, wrong[0])} in the "
            "network; give the weights of this architecture"
        )
    network.load_state_dict(state)


def _check_shape(card: Card) -> None:
    """Raise ValueError for a card whose parts do not go together: images have a mean and a std per channel."""
    channels = card.input_shape[0] if len(card.input_shape) > 1 else 0
    sound = card.classes and card.input_shape and min(card.input_shape) > 0
    if not sound or {len(card.mean), len(card.std)} != {channels}:
        raise ValueError("parts of the card do not go together")


def _unreadable(path: Path, error: Exception) -> StorageError:
    why = " ".join(str(error).split())
    return StorageError(f"{path}: the weights cannot be read ({why}); give the network.safetensors of a run")


def _shape(state: dict[str, Tensor], name: str) -> tuple[int, ...] | str:
    return tuple(state[name].shape) if name in state else "absent"
