"""``palmette spaces``: the spaces there are, with their sizes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from palmette.cli.main import parse
from palmette.cli.names import SPACES
from palmette.decisions import Decisions


@dataclass(frozen=True)
class Spaces:
    """List the spaces there are: what they hold, their exact sizes, their papers."""


def run(arguments: Sequence[str]) -> None:
    parse(Spaces, arguments, name="spaces")
    for name, entry in SPACES.items():
        decisions = entry.build(entry.classes, entry.input_shape[0]).decisions
        print(f"{name}\n  {entry.title}\n  {_size(decisions)}")
        print(f"  {entry.paper}")


def _size(decisions: Decisions) -> str:
    if decisions.grammar is not None:
        return f"{len(decisions.decisions):,} decisions that constrain each other; their networks cannot be counted"
    return f"{decisions.count():,} codes, {decisions.count_distinct():,} distinct networks"
