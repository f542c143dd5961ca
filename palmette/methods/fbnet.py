"""FBNet: every layer a Gumbel-softmax mixture of blocks, latency or FLOPs in the loss (Wu et al., CVPR 2019).

1. Train weights and architecture parameters in turn; each pass mixes all blocks with Gumbel-softmax weights whose
   temperature falls from epoch to epoch (section 3.2, equations 5 and 8; gradient.md 7.2).
2. Draw architectures from the learned distribution, within the limits, and take the best.
3. Retrain the winner from scratch (``methods/search.py`` does this for every method).

FBNetV2 (Wan et al., CVPR 2020) is the same algorithm on spaces whose widths are masks and whose resolutions are
subsamplings (``spaces/fbnet_v2.py``), so that their number costs no memory; it takes the most likely architecture.

Deviations: drawn architectures are compared with inherited weights, where the paper trains each (some six); weight
steps have the cross-entropy alone, as a factor that holds the latency would only change their learning rate from step
to step; the temperature has a floor, for very small ones were seen to give no numbers in half precision.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from palmette.costs.hardware_loss import HardwareLoss
from palmette.errors import PalmetteError
from palmette.relaxations.temperature import Temperature
from palmette.training.recipe import ArchitectureRecipe, Recipe

if TYPE_CHECKING:
    from torch import Generator, Tensor
    from torch.optim import Optimizer

    from palmette.methods.job import Found, Job
    from palmette.training.alternating import Turn

FORWARD_AND_BACKWARD = 2.0
"""Cost of an architecture step per image, in forward passes: no gradients of weights are computed."""


@dataclass(frozen=True, kw_only=True)
class FBNet:
    """Options of the method; torch is imported only when it runs."""

    training: Recipe = field(default_factory=Recipe)
    """Of the supernet's weights."""
    architecture: ArchitectureRecipe = field(
        default_factory=lambda: ArchitectureRecipe(
            lr=0.01, betas=(0.9, 0.999), weight_decay=5e-4, cadence="epoch", warmup_epochs=2
        )
    )
    """Of the architecture parameters, on search-validation images."""
    hardware: HardwareLoss = field(default_factory=HardwareLoss)
    """The cost in the loss of the architecture parameters."""
    temperature: Temperature = field(default_factory=Temperature)
    """Of the Gumbel-softmax."""
    candidates: int = 6
    """Architectures compared at the end: the most likely one, and draws."""
    rank_by: Literal["accuracy", "loss"] = "accuracy"
    """What the best of them is best in."""
    retraining: Recipe = field(default_factory=Recipe)
    """Of the winner, from scratch."""
    name: Literal["fbnet", "fbnetv2"] = "fbnet"
    """What reports call these settings; the two differ by the spaces they search, and by what is taken in the end."""

    def __post_init__(self) -> None:
        if self.candidates < 1:
            raise PalmetteError(f"fbnet: candidates = {self.candidates} was given; allowed are numbers from 1")

    def search(self, job: Job) -> Found:
        """Train the mixture, and return the best of the likely architectures within the limits."""
        from palmette.methods.learned import Model, deciding_images, judged, learn
        from palmette.methods.relaxed import cost_of_mixture
        from palmette.relaxations.gumbel_softmax import gumbel_softmax
        from palmette.training.loop import passes, steps_of

        model = Model.new(job, self.hardware, scale=0.0)  # all options equally likely at first
        epochs = self.training.epochs
        steps_per_epoch = steps_of(job.data, self.training) // epochs

        def mixture(step: int, generator: Generator) -> dict[str, Tensor]:
            temperature = self.temperature.at(step // steps_per_epoch, epochs)
            logits = model.parameters.logits
            return {name: gumbel_softmax(v, generator, temperature=temperature) for name, v in logits.items()}

        def update(turn: Turn, optimizer: Optimizer) -> dict[str, float]:
            weights = mixture(turn.weights.number, turn.generator)
            loss = model.loss_of(turn, weights, weights)
            model.descend(loss, optimizer)
            return {"architecture loss": float(loss.detach())}

        learn(job, model, self.training, self.architecture, draw=mixture, update=update)
        one = cost_of_mixture(job)
        deciding = FORWARD_AND_BACKWARD * one * deciding_images(job, self.training, self.architecture)
        return judged(
            job,
            model,
            candidates=self.candidates,
            rank_by=self.rank_by,
            training_passes=one * passes(job.data, self.training),
            deciding_passes=deciding,
        )
