"""``palmette data``: the data sources there are, and their formats."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from palmette.cli.main import parse
from palmette.data.options import SOURCES


@dataclass(frozen=True)
class Data:
    """List what --data takes, with the format of each."""


def run(arguments: Sequence[str]) -> None:
    parse(Data, arguments, name="data")
    width = max(map(len, SOURCES))
    for name, text in SOURCES.items():
        print(f"{name:<{width}}  {text}")
