"""``palmette methods``: the methods there are, with their papers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from palmette.cli.main import parse
from palmette.cli.method_names import METHODS
from palmette.cli.names import SPACES


@dataclass(frozen=True)
class Methods:
    """List the methods there are, with their papers, and the spaces each can search."""


def run(arguments: Sequence[str]) -> None:
    parse(Methods, arguments, name="methods")
    for name, method in METHODS.items():
        print(f"{name:<12} {method.summary} ({method.paper})")
    print(f"\nEach searches {', '.join(SPACES)}, and any network with slots.")
    print("'palmette search --method NAME --help' shows the options of one.")
