"""The expected cost in the loss that an architecture learns from, as all gradient methods here have it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from palmette.architecture import Architecture
from palmette.costs.expected import ExpectedCost
from palmette.costs.hardware_loss import HardwareLoss
from palmette.errors import PalmetteError
from palmette.methods.job import Job


@dataclass(frozen=True)
class CostInLoss:
    """A cost of the job's table, its form in the loss, and its target in the unit of the cost."""

    job: Job
    loss: HardwareLoss
    expected: ExpectedCost
    target: float

    @staticmethod
    def of(job: Job, loss: HardwareLoss) -> CostInLoss:
        """Return it for a job: the target is the loss's own, the limit's upper end, or what equal probabilities give.

        Raises:
            PalmetteError: cells whose edges are weighed, not their decisions; a unit in which the form has no value.
        """
        if job.space.mixtures.mixtures:
            raise PalmetteError(
                f"space {job.space.name!r}: weights stand on edges of a cell there, and an expected cost needs "
                "probabilities of decisions; search it with darts, hardware.alpha = 0, and set limits"
            )
        expected = ExpectedCost(job.summed, loss.cost)
        options = job.space.mixtures.options()
        equal = expected({name: torch.full((len(each),), 1 / len(each)) for name, each in options.items()})
        limit = job.limits[loss.cost].high if loss.cost in job.limits else None
        target = loss.target or limit or float(equal)
        loss(torch.ones(()), equal, target=target)  # refuses too large a unit now, not after the warm-up
        return CostInLoss(job, loss, expected, target)

    def __call__(self, loss: Tensor, probabilities: Mapping[str, Tensor]) -> Tensor:
        """Return the loss of the architecture, a scalar; ``probabilities`` of decisions, ``[options]``, weigh it."""
        return self.loss(loss, self.expected(probabilities), target=self.target)

    def scalars(self, probabilities: Mapping[str, Tensor], strongest: Architecture) -> dict[str, float]:
        """Return what to log: the expected cost, and that of the most likely architecture, which may differ much."""
        name = self.loss.cost
        likely = self.job.table(strongest)[name]
        return {f"expected {name}": float(self.expected(probabilities).detach()), f"most likely {name}": float(likely)}
