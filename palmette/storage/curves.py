"""Curves: every scalar of a run goes to the journal, which the report reads, and to TensorBoard's event files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from palmette.storage.journal import Journal

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter


class Curves:
    """Scalars by phase and step; ``tensorboard --logdir RUN/events`` shows them while the run goes on."""

    def __init__(self, journal: Journal, events: Path) -> None:
        self.journal = journal
        self.events = events
        self._writer: SummaryWriter | None = None

    def log(self, phase: str, step: int, scalars: Mapping[str, float]) -> None:
        """Add the scalars of one step of a phase; a repeated step replaces the earlier one."""
        self.journal.log(phase, step, scalars)
        if self._writer is None:
            from torch.utils.tensorboard import SummaryWriter  # takes a second to import

            self._writer = SummaryWriter(str(self.events))
        for name, value in scalars.items():
            self._writer.add_scalar(f"{phase}/{name}", value, step)

    def close(self) -> None:
        """Write what is still held back."""
        if self._writer is not None:
            self._writer.close()
