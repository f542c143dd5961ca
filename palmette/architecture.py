"""Architecture: which option each decision takes, as plain data.

An architecture is frozen, hashable and canonical: a space maps the encodings that build one network to one
``Architecture`` (see ``decisions.Decisions.architecture``), so equality means "the same network". It knows
nothing of tensors, and every other part passes it along unchanged.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from palmette.errors import ArchitectureError

SCHEMA_VERSION = 1

Value = str | int | tuple[str, ...]
"""What a decision can be set to: an option's name, an integer, or a sorted tuple of option names."""


FEW = 24
"""Of so many values, the one that is wanted is found as fast by looking at each, without a dictionary to keep."""


@dataclass(frozen=True, slots=True)
class Architecture:
    """A value for every active decision of the named space, in the space's decision order.

    A search of a million architectures keeps them all, so each is small.
    """

    space: str
    values: tuple[tuple[str, Value], ...]
    _hash: int = field(init=False, repr=False, compare=False)
    """Computed once: searches look every architecture up many times."""
    _mapping: dict[str, Value] | None = field(init=False, repr=False, compare=False, default=None)
    """Of many values, once one was asked for."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "_hash", hash((self.space, self.values)))

    def __getitem__(self, decision: str) -> Value:
        if len(self.values) > FEW:
            if self._mapping is None:
                object.__setattr__(self, "_mapping", dict(self.values))
            assert self._mapping is not None
            return self._mapping[decision]
        for name, value in self.values:
            if name == decision:
                return value
        raise KeyError(decision)

    def __hash__(self) -> int:
        return self._hash

    def __reduce__(self) -> tuple[type[Architecture], tuple[str, tuple[tuple[str, Value], ...]]]:
        return Architecture, (self.space, self.values)  # hashes of text differ between processes, so they stay behind

    def __contains__(self, decision: str) -> bool:
        return any(name == decision for name, _ in self.values)

    def as_dict(self) -> dict[str, Value]:
        """Return a new ``{decision: value}`` dictionary."""
        return dict(self.values)

    @property
    def id(self) -> str:
        """Ten hexadecimal digits that are the same for equal architectures on every machine."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()[:10]

    def to_json(self) -> str:
        """Return one line of JSON that ``from_json`` reads back to an equal architecture."""
        return json.dumps({"palmette_architecture": SCHEMA_VERSION, "space": self.space, "values": dict(self.values)})

    @staticmethod
    def from_json(text: str) -> Architecture:
        """Read an architecture; whether it fits a space is for that space to check.

        Raises:
            ArchitectureError: not JSON, not an architecture, or another schema version.
        """
        try:
            record = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise ArchitectureError(
                f"architecture: not valid JSON ({error}); give the architecture.json that a search wrote"
            ) from None
        version = record.get("palmette_architecture") if isinstance(record, Mapping) else None
        if version is None:
            raise ArchitectureError(
                "architecture: the JSON has no 'palmette_architecture' version; "
                "give the architecture.json that a search wrote"
            )
        if version != SCHEMA_VERSION:
            raise ArchitectureError(
                f"architecture: schema version {version!r} was given, this version reads {SCHEMA_VERSION}; "
                "write it again with the installed palmette"
            )
        space, values = record.get("space"), record.get("values")
        if not isinstance(space, str) or not isinstance(values, Mapping):
            raise ArchitectureError(
                "architecture: 'space' must be a name and 'values' a mapping of decision to option; "
                "give the architecture.json that a search wrote"
            )
        return Architecture(space, tuple((name, _value(name, value)) for name, value in values.items()))


def _value(name: str, value: object) -> Value:
    if isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return tuple(value)
    raise ArchitectureError(
        f"architecture: decision {name!r} has value {value!r}; allowed are a name, an integer or a list of names"
    )
