"""Options of the controller and of its policy gradient. No torch here."""

from __future__ import annotations

import math
from dataclasses import dataclass

from palmette.errors import PalmetteError


@dataclass(frozen=True, kw_only=True)
class ControllerOptions:
    """Sizes of the LSTM and the shape of its distributions (ENAS, Pham et al., 2018; enas.md 2.3 and 3.4)."""

    hidden: int = 64
    """Units of the LSTM; the paper has 100, the released code 64."""
    temperature: float = 5.0
    """Scores are divided by it."""
    tanh_constant: float = 2.5
    """Logits are this times tanh(score / temperature), so no two options' odds exceed exp(2 x this)."""

    def __post_init__(self) -> None:
        for name in ("hidden", "temperature", "tanh_constant"):
            value = getattr(self, name)
            if not value > 0 or not math.isfinite(value):
                raise PalmetteError(f"controller: {name} = {value} was given; it must be above 0")


@dataclass(frozen=True, kw_only=True)
class PolicyGradientOptions:
    """How the controller learns from rewards (enas.md 3.4)."""

    samples: int = 10
    """Architectures per step, their gradients averaged."""
    baseline_decay: float = 0.99
    """Share of the moving average of rewards that a step keeps."""
    entropy: float = 1e-4
    """Weight of the policy's entropy, in nats, beside the reward."""
    entropy_steps: int | None = None
    """Steps over which that weight falls to 0 in a straight line; None keeps it, as the paper does."""
    skip_prior: float = 0.4
    """Probability that a skip connection is expected to have."""
    skip_weight: float = 0.8
    """Weight of the divergence of the skip connections from that, in nats; 0 leaves it out."""

    def __post_init__(self) -> None:
        for name, low in {"samples": 1, "entropy": 0, "skip_weight": 0}.items():
            value = getattr(self, name)
            if not value >= low or not math.isfinite(value):
                raise PalmetteError(f"policy gradient: {name} = {value} was given; it must be at least {low}")
        if self.entropy_steps is not None and self.entropy_steps < 1:
            raise PalmetteError(
                f"policy gradient: entropy_steps = {self.entropy_steps} was given; it must be at least 1, or left out"
            )
        if not 0 <= self.baseline_decay < 1:
            raise PalmetteError(
                f"policy gradient: baseline_decay = {self.baseline_decay} was given; it must lie in [0, 1)"
            )
        if not 0 < self.skip_prior < 1:
            raise PalmetteError(f"policy gradient: skip_prior = {self.skip_prior} was given; it must lie in (0, 1)")
