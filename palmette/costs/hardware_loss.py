"""Hardware loss: how an expected cost joins the loss that the architecture learns from. No torch here.

FBNet multiplies (Wu et al., CVPR 2019, equation 2; gradient.md 7.2), ProxylessNAS adds (Cai et al., ICLR 2019, section
3.3; 9.10); their implementations differ among each other, so each form is offered by name. No form has a hard target:
limits are kept by the search that follows.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from palmette.errors import PalmetteError

if TYPE_CHECKING:
    from torch import Tensor

FORMS = ("log", "log-of-power", "power", "log-ratio", "relative", "sum")


@dataclass(frozen=True, kw_only=True)
class HardwareLoss:
    """What is made of the cross-entropy CE and the expected cost C, with T a target."""

    cost: str = "flops"
    """flops, params, acts, or another cost that the run has a table of."""
    form: Literal["log", "log-of-power", "power", "log-ratio", "relative", "sum"] = "log"
    """log: CE * alpha * log(C)^beta. log-of-power: CE * alpha * log(C^beta). power: CE + alpha * C^beta. log-ratio:
    CE * alpha * (log(C) / log(T))^beta. relative: CE + alpha * (C - T) / T. sum: CE + alpha * C. The first is FBNet's,
    the next two are of reimplementations; then come those of ProxylessNAS's code, and of its paper."""
    alpha: float = 0.2
    beta: float = 0.6
    target: float = 0.0
    """T, in the unit of the cost; 0 takes the upper limit on the cost, or what equal probabilities give."""
    unit: float = 1.0
    """C and T are divided by this; where a logarithm is taken, both must be above 1 afterwards."""

    def __post_init__(self) -> None:
        if self.form not in FORMS:
            raise PalmetteError(f"hardware loss: form = {self.form!r} was given; allowed are {', '.join(FORMS)}")
        if not (self.alpha >= 0 and self.beta >= 0 and self.target >= 0 and self.unit > 0):
            raise PalmetteError(
                f"hardware loss: alpha = {self.alpha}, beta = {self.beta}, target = {self.target}, unit = {self.unit} "
                "were given; allowed are numbers from 0, and a unit above 0"
            )

    def __call__(self, loss: Tensor, cost: Tensor, *, target: float) -> Tensor:
        """Return the loss of the architecture, a scalar; gradients reach ``loss`` and ``cost``.

        Raises:
            PalmetteError: a cost or target of at most 1 whose logarithm is needed.
        """
        c, t = cost / self.unit, target / self.unit
        if self.form.startswith("log"):
            self._check_above_one(float(c.detach()), t)
        match self.form:
            case "log":
                return loss * self.alpha * c.log() ** self.beta
            case "log-of-power":
                return loss * self.alpha * self.beta * c.log()
            case "power":
                return loss + self.alpha * c**self.beta
            case "log-ratio":
                return loss * self.alpha * (c.log() / math.log(t)) ** self.beta
            case "relative":
                return loss + self.alpha * (c - t) / t
            case "sum":
                return loss + self.alpha * c

    def _check_above_one(self, cost: float, target: float) -> None:
        for what, value in (("expected cost", cost), ("target", target)):
            if value <= 1 and (what == "expected cost" or self.form == "log-ratio"):
                raise PalmetteError(
                    f"hardware loss: the {what} of {self.cost!r} is {value:.4g} in units of {self.unit:.4g}, and form "
                    f"{self.form} takes its logarithm; give a smaller unit, so that it is above 1"
                )
