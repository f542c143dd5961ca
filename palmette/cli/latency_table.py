"""Tables of latencies as the command line takes them: a file that ``palmette latency`` wrote."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from palmette.errors import LimitError

if TYPE_CHECKING:
    from palmette.costs.additive import AdditiveTable
    from palmette.costs.latency import LatencyTable
    from palmette.decisions import Decisions


def read_table(path: Path, decisions: Decisions, input_shape: Sequence[int]) -> LatencyTable:
    """Return the table in a file.

    Raises:
        LimitError: it cannot be read, or was made for another space or size of images.
    """
    from palmette.costs.latency import read_latency

    try:
        table = read_latency(path.read_text(encoding="utf-8"), decisions)
    except (OSError, UnicodeDecodeError) as error:
        raise LimitError(f"{path}: cannot be read ({error}); give a file that 'palmette latency' wrote") from None
    except LimitError as error:
        raise LimitError(f"{path}: {error}") from None
    made_for = table.conditions.input_shape
    if made_for != tuple(input_shape):
        raise LimitError(
            f"{path}: it was measured with images of shape {made_for}, needed is {tuple(input_shape)}; "
            f"measure again with 'palmette latency {decisions.space} --resolution {input_shape[-1]}"
            f" --channels {input_shape[0]}'"
        )
    return table


def latency_costs(
    path: Path | None, limits: Mapping[str, object], decisions: Decisions, input_shape: Sequence[int]
) -> AdditiveTable | None:
    """Return the latencies of a search, or none where it has no table.

    Raises:
        LimitError: a limit on the latency without a table; what ``read_table`` raises.
    """
    if path is not None:
        return read_table(path, decisions, input_shape).table
    if "latency" in limits:
        raise LimitError(
            "--limits.latency was given without a table of latencies; make one with "
            f"'palmette latency {decisions.space} --out latency.json' and add --latency-table latency.json"
        )
    return None
