"""What gradient methods share after their training: from probabilities to an architecture within the limits, and on.

They evaluate nothing on the way to it, so random search gets as many evaluations as the steps of the architecture
cost; both are accounted for in forward passes of one image through an average network.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from palmette.architecture import Architecture
from palmette.decision import Categorical
from palmette.decisions import Decisions
from palmette.evaluation.inherited_text import inherited
from palmette.methods.job import Found, Job
from palmette.methods.single_path import SCORES, RankBy, run_arm
from palmette.mixtures import Weights
from palmette.searches.given import Given
from palmette.searches.most_likely import most_likely
from palmette.space import Space, Supernet

DRAWS = 1000
"""Architectures that the average network is the mean of."""


def derived(job: Job, probabilities: Weights) -> Architecture:
    """Return the architecture that the probabilities end in: the most likely one that meets the limits."""

    def excess(architecture: Architecture) -> float:
        return job.limits.excess(job.table(architecture)) if job.limits else 0.0

    return most_likely(job.space.mixtures, probabilities, excess)


def found(
    job: Job,
    best: Architecture,
    space: Space,
    supernet: Supernet,
    *,
    rank_by: RankBy,
    training_passes: float,
    deciding_passes: float,
) -> Found:
    """Record the derived architecture with the supernet's weights, and return it with what it cost.

    Args:
        job: where, on what, within which limits.
        best: derived from the architecture parameters.
        space: of the supernet, which may compute less than the job's space does.
        supernet: trained.
        rank_by: what random search's winner is best in, and the audit looks at.
        training_passes: of the weights, in forward passes of one image through an average network.
        deciding_passes: of the architecture, likewise; random search may spend as much on evaluations.
    """
    evaluate = inherited(space, supernet, job.data)
    run_arm(job, Given([best]), evaluate, name="derived", evaluations=1)
    each = len(job.data.calibration) + len(job.data.validation)
    evaluations = max(1, round(deciding_passes / each))
    return Found(best, SCORES[rank_by], evaluate, evaluations, training_passes + deciding_passes + each)


def cost_of_mixture(job: Job, share: int = 1) -> float:
    """Return how many average networks one pass through the mixture of all options costs, by FLOPs.

    With options on 1/``share`` of the channels, their FLOPs are divided by its square, as those of dense convolutions.
    Of sizes, as widths, the largest runs for all; where several resolutions are run, the true cost is higher.
    """
    generator = np.random.default_rng(job.seed)
    drawn = [job.space.decisions.sample(generator) for _ in range(DRAWS)]
    average = float(np.mean([job.table(architecture)["flops"] for architecture in drawn]))
    column = list(job.summed.names).index("flops")
    tables = {(name,): rows for name, rows in job.summed.options.items()} | dict(job.summed.joint)
    options = sum(_of_all(rows[..., column], names, job.space.decisions) for names, rows in tables.items())
    return (float(job.summed.fixed[column]) + options / share**2) / average


def _of_all(costs: npt.NDArray[Any], names: tuple[str, ...], decisions: Decisions) -> float:
    """Return the sum of ``[options, options, ...]`` over options that run beside each other, the largest of sizes."""
    for axis in reversed(range(len(names))):
        decision = decisions.decisions[names[axis]]
        is_size = isinstance(decision, Categorical) and decision.ordered
        costs = costs.max(axis) if is_size else costs.sum(axis)
    return float(costs)
