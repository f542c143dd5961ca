"""What gradient methods share after their training: from probabilities to an architecture within the limits, and on.

They evaluate nothing on the way to it, so random search gets as many evaluations as the steps of the architecture
cost; both are accounted for in forward passes of one image through an average network.
"""

from __future__ import annotations

import numpy as np
import torch

from palmette.architecture import Architecture
from palmette.costs.complexity import flops_of_choice
from palmette.costs.counted import cost_table
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
    evaluate = job.spread(inherited(space, supernet, job.data))
    run_arm(job, Given([best]), evaluate, name="derived", evaluations=1)
    each = len(job.data.calibration) + len(job.data.validation)
    evaluations = max(1, round(deciding_passes / each))
    return Found(best, SCORES[rank_by], evaluate, evaluations, training_passes + deciding_passes + each)


def cost_of_mixture(job: Job, space: Space | None = None) -> float:
    """Return how many average networks one pass through the mixture of all options costs, by FLOPs.

    Both are counted in the network that is searched, which may be smaller than the one that is retrained.

    Args:
        job: whose space and data they are.
        space: of the supernet, where that computes less than the job's space does, as with partial channels.
    """
    generator = np.random.default_rng(job.seed)
    drawn = [job.space.decisions.sample(generator) for _ in range(DRAWS)]
    shape = job.data.input_shape
    table = job.table if job.space.stand_alone is job.space else cost_table(job.space, shape)
    average = float(np.mean([table(architecture)["flops"] for architecture in drawn]))
    options = job.space.mixtures.options()
    equal = {name: torch.full((len(each),), 1 / len(each), device="meta") for name, each in options.items()}
    return flops_of_choice(space or job.space, shape, equal) / average
