"""What a report shows, as plain data: the page is a function of this record and of nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


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
    costs: Mapping[str, int]


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
    """``accuracy`` (0 to 1) and ``loss`` on the search-validation images."""
    costs: Mapping[str, int]


@dataclass(frozen=True)
class Curve:
    """One scalar over the steps of one phase."""

    phase: str
    name: str
    steps: Sequence[int]
    values: Sequence[float]


@dataclass(frozen=True)
class Statistic:
    """A rank statistic of one score against stand-alone accuracy, with its bootstrap interval."""

    score: str
    """``accuracy``, ``loss``, ``flops`` (the baseline) or ``random``."""
    name: str
    """``kendall_tau_b``, ``spearman``, ``top_precision``, ``regret``."""
    value: float
    low: float
    high: float


@dataclass(frozen=True)
class AuditPoint:
    """One audited architecture: its scores with inherited weights and its true accuracy."""

    code: str
    scores: Mapping[str, float]
    stand_alone: float


@dataclass(frozen=True)
class Audit:
    """How far the supernet's ranking can be trusted."""

    source: str
    """``table: NAS-Bench-Macro, 3,969 architectures`` or ``12 architectures trained from scratch, 10 epochs each``."""
    statistics: Sequence[Statistic]
    points: Sequence[AuditPoint]
    verdict: str
    """The plain sentences a reader should take away."""


@dataclass(frozen=True)
class Contents:
    """Everything on the page."""

    space: str
    data: str
    method: str
    winner_code: str
    winner_architecture: str
    layers: Sequence[LayerRow]
    costs: Mapping[str, int]
    limits: Mapping[str, tuple[float | None, float | None]]
    """Lower and upper end per limited cost; None is an open end."""
    test_accuracy: float
    test_interval: tuple[float, float]
    """95% Wilson interval."""
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
