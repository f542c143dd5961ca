"""Architectures as the command line takes them: a code of a known space, or a file that a search wrote."""

from __future__ import annotations

from pathlib import Path

from palmette.architecture import Architecture
from palmette.decisions import Decisions
from palmette.errors import ArchitectureError


def read_architecture(text: str, decisions: Decisions) -> Architecture:
    """Return the architecture of a code or of a ``.json`` file, checked against the space."""
    if text.endswith(".json"):
        return decisions.check(read_file(Path(text)))
    return decisions.parse(text)


def shape_of(text: str) -> tuple[int, tuple[int, ...]] | None:
    """Return classes and input shape of the run that wrote an architecture's file, if its weights lie beside it."""
    weights = Path(text).with_name("network.safetensors")
    if not text.endswith(".json") or not weights.exists():
        return None
    from palmette.export.weights import read_card

    card = read_card(weights)
    return len(card.classes), card.input_shape


def read_file(path: Path) -> Architecture:
    """Return the architecture in a file, or in the directory of a run, not yet checked against a space."""
    path = path / "architecture.json" if path.is_dir() else path
    try:
        return Architecture.from_json(path.read_text())
    except OSError as error:
        raise ArchitectureError(
            f"{path}: cannot be read ({error.strerror}); give the architecture.json of a run"
        ) from None
    except UnicodeDecodeError:
        raise ArchitectureError(f"{path}: not a text file; give the architecture.json of a run") from None
