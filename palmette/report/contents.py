"""What a report shows, as plain data: the page is a function of this record and of nothing else."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from palmette.errors import StorageError
from palmette.evaluation.metric import Metric
from palmette.evaluation.trust import Audit
from palmette.graphs import Graph
from palmette.report.breakdown import Breakdown
from palmette.storage.typed import record

WATCHED = ("skips", "entropy", "eigenvalue")


@dataclass(frozen=True)
class LayerRow:
    """One step of the winner from input to output."""

    label: str
    """Name of the decision (``layer3``), or of a fixed part (``stem``)."""
    option: str | None
    """The option taken; None for a fixed part."""
    alternatives: Sequence[str]
    """All options of the decision, in order; empty for a fixed part."""
    output_shape: Sequence[int]
    costs: Mapping[str, float]
    taken: Sequence[str] = ()
    """All options taken, where a decision may take several (``option`` is then their text); else left empty."""


@dataclass(frozen=True)
class TrialRow:
    """One evaluated architecture."""

    code: str
    architecture: str
    """The architecture's JSON, shown on click."""
    arm: str
    """``evolution`` (the search), ``random`` (the same number of evaluations), ..."""
    generation: int
    metrics: Mapping[str, float]
    """``accuracy`` (0 to 1) or ``perplexity``, and ``loss``, on the search-validation data."""
    costs: Mapping[str, float]


@dataclass(frozen=True)
class Curve:
    """One scalar over the steps of one phase."""

    phase: str
    name: str
    steps: Sequence[int]
    values: Sequence[float]


@dataclass(frozen=True)
class Picture:
    """A further picture of the winner, as the method sees it."""

    title: str
    note: str
    svg: str


@dataclass(frozen=True)
class Contents:
    """Everything on the page."""

    space: str
    data: str
    method: str
    winner_code: str
    winner_architecture: str
    layers: Sequence[LayerRow]
    costs: Mapping[str, float]
    limits: Mapping[str, tuple[float | None, float | None]]
    """Lower and upper end per limited cost; None is an open end."""
    metric: Metric
    """What networks are judged by."""
    test_result: float
    """Of the winner, in that metric."""
    test_interval: tuple[float, float]
    """95%."""
    headline: Sequence[str]
    """Short factual sentences: what was found, what random search at equal cost found."""
    trials: Sequence[TrialRow]
    curves: Sequence[Curve]
    audit: Audit | None
    seconds: Mapping[str, float]
    """Wall time by phase."""
    environment: Mapping[str, str]
    configuration: str
    """The resolved configuration, TOML."""
    pictures: Sequence[Picture] = ()
    graphs: Sequence[Graph] = ()
    """The cells that the winner is made of, if it is; then ``layers`` is empty."""
    breakdown: Breakdown | None = None
    """Where costs come from, if they are sums that can be told apart."""
    remarks: Sequence[str] = ()
    """What the method says of its own search, as where it stopped."""

    @property
    def watched(self) -> dict[str, Curve]:
        """The curves by name that tell of a collapse into skip connections; none but of differentiable searches."""
        curves = {curve.name: curve for curve in self.curves if curve.phase == "supernet" and curve.name in WATCHED}
        return curves if "skips" in curves and curves["skips"].values else {}


def read_contents(path: Path) -> Contents:
    """Return the contents that a finished run left as JSON.

    Raises:
        StorageError: the file is missing, or is not what a run leaves.
    """
    try:
        return record(Contents, json.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise StorageError(f"{path}: cannot be read ({error.strerror}); finish the run first, with --resume") from None
    except (ValueError, TypeError, RecursionError) as error:
        raise StorageError(f"{path}: not the figures of a run ({error}); finish the run again, with --resume") from None
