"""Options of a search that are no method's: how much proof is asked for. No torch here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from palmette.errors import PalmetteError


@dataclass(frozen=True, kw_only=True)
class AuditOptions:
    """How the ranking of a search is held against the truth."""

    networks: int = 8
    """Architectures trained from scratch, spread over the ranking; 0 leaves the audit out."""
    epochs: int = 0
    """Of each of these trainings; 0 takes a third of the retraining's."""
    table: Path | None = None
    """CSV of true accuracies instead: columns ``arch`` (codes) and ``accuracy`` or several ``test_acc_...``."""
    table_column: str = ""
    """The column of accuracies, where it has another name; NAS-Bench-201's shared table has c10_test_e200."""
    table_rows: int = 0
    """Architectures of the table to evaluate, drawn at random; 0 takes all."""

    def __post_init__(self) -> None:
        if self.networks < 0 or 0 < self.networks < 6:
            raise PalmetteError(f"audit: networks = {self.networks} was given; allowed are 0, for none, or at least 6")
        if self.table_column and self.table is None:
            raise PalmetteError(f"audit: table_column = {self.table_column!r} was given without a table; name it too")
        if min(self.epochs, self.table_rows) < 0:
            raise PalmetteError("audit: epochs and table_rows must be at least 0")
