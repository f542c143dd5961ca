"""Progress: how long work tells that it goes on. Bars with the time left on a terminal, a line per phase elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

Advance = Callable[[int, int], None]
"""Called with what is done and what there is in all."""


class Progress(Protocol):
    """Shows phases of work one after another."""

    def phase(self, name: str) -> AbstractContextManager[Advance]:
        """Open a phase; the function it gives is called as the phase advances."""

    def say(self, line: str) -> None:
        """Show a line of text."""


class Silent:
    """Shows nothing."""

    @contextmanager
    def phase(self, name: str) -> Iterator[Advance]:
        yield lambda done, total: None

    def say(self, line: str) -> None:
        pass


def shown() -> Progress:
    """Return bars, on the first of several ranks; nothing on the others."""
    from palmette import ranks

    return Bars() if ranks.own() == 0 else Silent()


class Bars:
    """Rich bars with elapsed and remaining time; plain lines where the output is no terminal."""

    def __init__(self) -> None:
        from rich.console import Console

        self.console = Console(stderr=True)

    @contextmanager
    def phase(self, name: str) -> Iterator[Advance]:
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
        from rich.progress import Progress as RichProgress

        columns = (TextColumn("{task.description:<28}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with RichProgress(*columns, TextColumn("left"), TimeRemainingColumn(), console=self.console) as bars:
            task = bars.add_task(name, total=None)
            yield lambda done, total: bars.update(task, completed=done, total=total)

    def say(self, line: str) -> None:
        self.console.print(line, highlight=False, markup=False, soft_wrap=True)
