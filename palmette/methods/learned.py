"""What FBNet, FBNetV2 and ProxylessNAS share: weights and architecture learn in turn, with a cost in one's loss."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from palmette import ranks
from palmette.architecture import Architecture
from palmette.choice import Choice
from palmette.costs.hardware_loss import HardwareLoss
from palmette.data.batches import torch_generator
from palmette.evaluation.inherited_text import inherited
from palmette.methods.cost_in_loss import CostInLoss
from palmette.methods.job import Found, Job
from palmette.methods.relaxed import derived
from palmette.methods.single_path import SCORES, RankBy, run_arm
from palmette.searches.likely import Likely
from palmette.searches.trial import best_first
from palmette.space import Supernet
from palmette.supernets.architecture_parameters import ArchitectureParameters
from palmette.training.alternating import Learner, Turn, adam, alternately, held_out_steps
from palmette.training.collapse import skips_in
from palmette.training.loop import Updates, place, steps_of, train_by
from palmette.training.recipe import ArchitectureRecipe, Recipe
from palmette.training.steps import Pass

PATHS = 21
"""Keeps what weight steps draw apart from what else is drawn for a step."""

Draw = Callable[[int, torch.Generator], Choice]
"""What a weight step is told, by its number (from 0)."""
Update = Callable[[Turn, torch.optim.Optimizer], Mapping[str, float]]
"""One update of the architecture parameters; returns what to log."""


@dataclass(frozen=True)
class Model:
    """A supernet, the architecture parameters learned beside its weights, and the cost in their loss."""

    supernet: Supernet
    parameters: ArchitectureParameters
    cost: CostInLoss

    @staticmethod
    def new(job: Job, loss: HardwareLoss, *, scale: float) -> Model:
        """Return an untrained one, with logits of standard deviation ``scale``."""
        device = job.data.device
        supernet = place(job.space.supernet(seed=job.seed), device)
        parameters = ArchitectureParameters(job.space.mixtures.options(), seed=job.seed, scale=scale).to(device)
        return Model(supernet, parameters, CostInLoss.of(job, loss))

    def loss_of(self, turn: Turn, choice: Choice, probabilities: Mapping[str, Tensor]) -> Tensor:
        """Return the loss of a choice on the turn's images, a scalar; ``probabilities`` weigh the cost."""
        cross_entropy = turn.batch.loss(lambda x: self.supernet(x, choice))
        return self.cost(cross_entropy, probabilities)

    def architecture(self, job: Job, path: Mapping[str, int]) -> Architecture:
        """Return the architecture that a choice of one option each stands for."""
        hot = {name: [float(i == path[name]) for i in range(len(o))] for name, o in self.parameters.options.items()}
        return job.space.mixtures.strongest(hot)

    def descend(self, loss: Tensor, optimizer: torch.optim.Optimizer) -> None:
        """Update the architecture parameters by the gradient of ``loss``; none of the weights is computed."""
        parameters = list(self.parameters.parameters())
        gradients = torch.autograd.grad(loss, parameters, allow_unused=True)
        ranks.average([gradient for gradient in gradients if gradient is not None])
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = gradient  # none for a decision that the drawn path does not reach
        optimizer.step()


def learn(
    job: Job, model: Model, training: Recipe, architecture: ArchitectureRecipe, *, draw: Draw, update: Update
) -> None:
    """Train, or continue from the checkpoint: weights on training images, architecture on search-validation ones."""

    def passes(step: int) -> Sequence[Pass]:
        with torch.no_grad():
            choice = draw(step, torch_generator(job.seed, step, PATHS))
        return [partial(_called, model.supernet, choice)]

    def scalars() -> dict[str, float]:
        """Return what shows a collapse: skip connections among the strongest, entropy, and what they cost."""
        probabilities = model.parameters.probabilities()
        strongest = job.space.mixtures.strongest({name: p.tolist() for name, p in probabilities.items()})
        watched = {"skips": float(skips_in(strongest)), "entropy": model.parameters.entropy()}
        return watched | model.cost.scalars(probabilities, strongest)

    optimizer = adam(model.parameters, architecture)
    learner = Learner(
        module=model.parameters, optimizer=optimizer, update=lambda turn: update(turn, optimizer), recipe=architecture
    )
    held_out = held_out_steps(job.data, architecture, seed=job.seed)
    updates = alternately(Updates(passes=passes, scalars=scalars), learner, held_out, seed=job.seed)
    with job.phase("supernet") as advance:
        train_by(updates, model.supernet, job.data, training, seed=job.seed, watch=job.watch("supernet", advance))


def judged(
    job: Job, model: Model, *, candidates: int, rank_by: RankBy, training_passes: float, deciding_passes: float
) -> Found:
    """Return the best of ``candidates`` likely architectures within the limits, by inherited weights.

    The first is the most likely one, the others are drawn. Random search may spend as many evaluations as these, and as
    the steps of the architecture cost, both in forward passes of one image through an average network.
    """
    probabilities = {name: p.tolist() for name, p in model.parameters.probabilities().items()}
    job.journal.record("probabilities", probabilities)
    first = derived(job, probabilities)
    evaluate, score = job.spread(inherited(job.space, model.supernet, job.data)), SCORES[rank_by]
    search = Likely(job.space.mixtures, probabilities, job.allows, first=first)
    history = run_arm(job, search, evaluate, name="likely", evaluations=candidates)
    each = len(job.data.calibration) + len(job.data.validation)
    spent = training_passes + deciding_passes + each * len(history)
    best = best_first(history, score)[0].architecture
    return Found(best, score, evaluate, len(history) + round(deciding_passes / each), spent)


def deciding_images(job: Job, training: Recipe, architecture: ArchitectureRecipe) -> int:
    """Return how many images the architecture steps of a training see in all."""
    held_out = held_out_steps(job.data, architecture, seed=job.seed)
    steps = steps_of(job.data, training)
    return held_out.inputs_per_step * architecture.turns(steps, steps // training.epochs, held_out.steps_per_epoch)


def _called(supernet: Supernet, choice: Choice, images: Tensor) -> Tensor:
    logits: Tensor = supernet(images, choice)
    return logits
