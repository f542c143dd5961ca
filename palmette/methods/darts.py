"""DARTS and its repairs: architecture parameters learn by gradient, beside the weights of a mixture of all options.

1. Train the weights on train and, before each of their steps, the architecture on search-validation images (Liu et
   al., DARTS, ICLR 2019, algorithm 1); first order, or second order with the weights one step ahead.
2. Take the most likely architecture that meets the limits.
3. Retrain it from scratch (``methods/search.py`` does this for every method).

The repairs are other relaxations or single options: GDAS (straight through), DrNAS (dirichlet), FairDARTS (sigmoid and
``zero_one``), DARTS- (``auxiliary_skip``), PC-DARTS (``partial_channels``), R-DARTS (``collapse``).

Deviations: hard limits, which no paper of these has, are met when deriving, not while training. BatchNorm inside the
options always uses the batch's statistics, as DARTS's paper says and its code does not.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from palmette.costs.hardware_loss import HardwareLoss
from palmette.errors import PalmetteError
from palmette.relaxations.temperature import Temperature
from palmette.training.recipe import ArchitectureRecipe, Recipe
from palmette.training.stopping import StopOptions

if TYPE_CHECKING:
    from palmette.methods.job import Found, Job
    from palmette.space import Supernet
    from palmette.training.loop import Watch

DRAWING = ("gumbel_softmax", "straight_through")
"""Relaxations with a temperature."""
STOPPED = "The search stopped itself, for the dominant eigenvalue had risen; the architecture is that of epoch {epoch}."
FIRST_ORDER_PASSES, SECOND_ORDER_PASSES = 2.0, 10.0
"""Cost of an architecture step per image: forward and backward without weight gradients; and for second order also one
with them ahead, one with them there, and two without on either side."""


@dataclass(frozen=True, kw_only=True)
class DARTS:
    """Options of the method; torch is imported only when it runs."""

    training: Recipe = field(default_factory=Recipe)
    """Of the supernet's weights."""
    architecture: ArchitectureRecipe = field(default_factory=ArchitectureRecipe)
    """Of the architecture parameters, on search-validation images."""
    second_order: bool = False
    """Look one step of the weights ahead; about twice the time."""
    relaxation: Literal["softmax", "gumbel_softmax", "straight_through", "sigmoid", "dirichlet"] = "softmax"
    """How architecture parameters become weights of the options: DARTS, FBNet and SNAS, GDAS, FairDARTS, DrNAS."""
    temperature: Temperature = field(default_factory=Temperature)
    """Of gumbel_softmax and straight_through."""
    zero_one: float = 0.0
    """Weight of the loss that drives sigmoid weights to 0 or 1; FairDARTS has 10."""
    auxiliary_skip: bool = False
    """Add an identity with a weight that falls from 1 to 0 beside every mixture that has one (DARTS-)."""
    hardware: HardwareLoss = field(default_factory=lambda: HardwareLoss(form="relative", alpha=0.0))
    """A cost in the loss of the architecture, which no paper of these has; alpha 0 leaves it out."""
    partial_channels: int = 1
    """Compute the options on one out of so many channels (PC-DARTS has 4); the space must know its channels."""
    collapse: Literal["watch", "eigenvalue", "stop"] = "watch"
    """watch logs skip connections and entropy after every epoch; eigenvalue also the dominant one of the Hessian, which
    costs some tens of passes; stop also ends the search when it rises (R-DARTS)."""
    stop: StopOptions = field(default_factory=StopOptions)
    rank_by: Literal["accuracy", "loss"] = "accuracy"
    """What random search, with which the result is compared, selects by."""
    retraining: Recipe = field(default_factory=Recipe)
    """Of the winner, from scratch."""
    name: Literal["darts", "gdas", "fairdarts", "darts-minus", "drnas", "pc-darts", "r-darts"] = "darts"
    """What reports call these settings."""

    def __post_init__(self) -> None:
        if self.zero_one and self.relaxation != "sigmoid":
            raise PalmetteError(f"darts: zero_one = {self.zero_one} needs relaxation sigmoid, not {self.relaxation}")
        if self.auxiliary_skip and self.relaxation == "straight_through":
            raise PalmetteError("darts: auxiliary_skip needs a mixture of all options; straight_through runs one only")
        if self.second_order and self.training.optimizer != "sgd":
            raise PalmetteError(
                f"darts: second order follows a step of SGD, and training.optimizer is {self.training.optimizer}; "
                "set it to sgd"
            )
        if self.partial_channels < 1:
            raise PalmetteError(f"darts: partial_channels = {self.partial_channels} was given; allowed are 1 and more")
        if self.temperature != Temperature() and self.relaxation not in DRAWING:
            raise PalmetteError(f"darts: a temperature goes with {' or '.join(DRAWING)}, not with {self.relaxation}")

    def search(self, job: Job) -> Found:
        """Train weights and architecture in turn, and return the most likely architecture within the limits."""
        from palmette.methods.cost_in_loss import CostInLoss
        from palmette.methods.darts_training import DARTSTraining
        from palmette.methods.relaxed import cost_of_mixture, derived, found
        from palmette.methods.single_path import trained_supernet
        from palmette.partial_channels import with_partial_channels
        from palmette.training.loop import passes

        share = self.partial_channels
        space = job.space if share == 1 else with_partial_channels(job.space, share)

        hardware = CostInLoss.of(job, self.hardware) if self.hardware.alpha else None

        def train(supernet: Supernet, watch: Watch) -> DARTSTraining:
            training = DARTSTraining(self, job.data, space.mixtures, supernet, seed=job.seed, hardware=hardware)
            training.run(watch)
            return training

        supernet, training = trained_supernet(job, train, space=space)
        stopped = STOPPED.format(epoch=training.rule.epoch_to_return) if training.is_stopped else ""
        if stopped:
            job.progress.say(stopped)
        one = 1.0 if self.relaxation == "straight_through" else cost_of_mixture(job, space)
        each = SECOND_ORDER_PASSES if self.second_order else FIRST_ORDER_PASSES
        ends = found(
            job,
            derived(job, training.probabilities()),
            space,
            supernet,
            rank_by=self.rank_by,
            training_passes=one * passes(job.data, self.training, steps=training.weight_steps),
            deciding_passes=one * each * training.architecture_images,
        )
        return dataclasses.replace(ends, remarks=(stopped,)) if stopped else ends
