"""Trust: what an audit says of a search, as plain data. No torch here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Statistic:
    """A rank statistic of one score against stand-alone accuracy, with its bootstrap interval."""

    score: str
    """``accuracy``, ``loss``, ``flops`` (the baseline) or ``random``."""
    name: str
    """``kendall_tau_b``, ``spearman``, ``top_precision``, ``regret``; ``regret_minus_flops``: a difference."""
    value: float
    low: float
    high: float


@dataclass(frozen=True)
class AuditPoint:
    """One audited architecture: its scores with inherited weights and its true accuracy."""

    code: str
    scores: Mapping[str, float]
    """Higher is better: the loss is negated."""
    stand_alone: float


@dataclass(frozen=True)
class Audit:
    """How far the supernet's ranking can be trusted."""

    source: str
    """``table: NAS-Bench-Macro, 3,969 architectures`` or ``12 architectures trained from scratch, 10 epochs each``."""
    statistics: Sequence[Statistic]
    points: Sequence[AuditPoint]
    verdict: Sequence[str]
    """The plain sentences a reader should take away."""
