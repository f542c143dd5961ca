"""The training of DARTS and its repairs: what the supernet is told in a step, and how the architecture learns from it.

A sum of ``training/alternating.py`` (when), ``training/bilevel.py`` (which gradient), ``relaxations/`` (which weights)
and ``training/collapse.py`` (what to look at after every epoch).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from palmette.choice import Gate
from palmette.data.batches import torch_generator
from palmette.data.text import Data
from palmette.mixtures import Mixtures, Weights
from palmette.relaxations.auxiliary_skip import with_auxiliary_skip
from palmette.relaxations.dirichlet import dirichlet, dirichlet_mean
from palmette.relaxations.gumbel_softmax import gumbel_softmax, straight_through
from palmette.relaxations.relaxation import Relaxation
from palmette.relaxations.sigmoid import sigmoid, zero_one_loss
from palmette.relaxations.softmax import softmax
from palmette.space import Supernet
from palmette.supernets.architecture_parameters import ArchitectureParameters
from palmette.training.alternating import Learner, Turn, adam, alternately, held_out_steps
from palmette.training.batch_norm import batch_statistics_only, fix_scales_of_options
from palmette.training.bilevel import first_order, second_order
from palmette.training.collapse import SKIPS, dominant_eigenvalue, skips_in
from palmette.training.loop import Step, Updates, Watch, steps_of, train_by
from palmette.training.steps import Batch, Pass
from palmette.training.stopping import StopRule

if TYPE_CHECKING:
    from palmette.methods.cost_in_loss import CostInLoss
    from palmette.methods.darts import DARTS

WEIGHT_DRAWS, MEASURED = 21, 22
"""Keep the draws of weight steps, and the images of measurements, apart from the others."""


class DARTSTraining:
    """One training of a supernet and of architecture parameters; both are its results."""

    def __init__(
        self,
        options: DARTS,
        data: Data,
        mixtures: Mixtures,
        supernet: Supernet,
        *,
        seed: int,
        hardware: CostInLoss | None = None,
    ) -> None:
        self.options = options
        self.data = data
        self.mixtures = mixtures
        self.supernet = supernet
        self.seed = seed
        self.hardware = hardware
        self.parameters = ArchitectureParameters(mixtures.options(), seed=seed).to(data.device)
        self.optimizer = adam(self.parameters, options.architecture)
        self.skips = {
            name: next(i for i, option in enumerate(choices) if option in SKIPS)
            for name, choices in self.parameters.options.items()
            if any(option in SKIPS for option in choices)
        }
        self.per_epoch = steps_of(data, options.training) // options.training.epochs
        self.rule = StopRule(options.stop, self._eigenvalue)
        self.history: list[dict[str, list[float]]] = []
        """Probabilities after every epoch, kept where the search may stop early."""
        self.weight_steps = self.architecture_images = 0

    def run(self, watch: Watch) -> None:
        """Train, or continue from the checkpoint of ``watch``."""
        fix_scales_of_options(self.supernet.network)
        recipe = self.options.architecture
        learner = Learner(module=self.parameters, optimizer=self.optimizer, update=self._update, recipe=recipe)
        updates = Updates(
            passes=self._passes,
            after_step=self._after_step,
            is_done=lambda: self.is_stopped,
            scalars=self._scalars,
            state=lambda: {"eigenvalues": self.rule.values, "history": self.history},
            restore=self._restore,
        )
        held_out = held_out_steps(self.data, recipe, seed=self.seed)
        updates = alternately(updates, learner, held_out, seed=self.seed)
        training = self.options.training
        self.weight_steps = train_by(updates, self.supernet, self.data, training, seed=self.seed, watch=watch)
        turns = recipe.turns(self.weight_steps, self.per_epoch, held_out.steps_per_epoch)
        self.architecture_images = held_out.inputs_per_step * turns

    @property
    def is_stopped(self) -> bool:
        """Whether R-DARTS's rule has ended the training."""
        return self.options.collapse == "stop" and self.rule.is_met

    def probabilities(self) -> Weights:
        """Return what the architecture parameters say in the end, by weight vector, in the relaxation's own terms."""
        return self.history[self.rule.epoch_to_return - 1] if self.is_stopped else self._probabilities()

    def _probabilities(self) -> dict[str, list[float]]:
        return {name: weights.tolist() for name, weights in self._deciding().items()}

    def _deciding(self) -> dict[str, Tensor]:
        """Return the weights that an architecture is derived by, with gradient: those of the relaxation, undrawn.

        In a cell, edges compete by their largest weight, and the softmax of one edge says nothing about another where
        weights do not compete (FairDARTS) or do so by other concentrations (DrNAS).
        """
        undrawn: dict[str, Callable[[Tensor], Tensor]] = {"sigmoid": torch.sigmoid, "dirichlet": dirichlet_mean}
        weigh = undrawn.get(self.options.relaxation, partial(torch.softmax, dim=0))
        return {name: weigh(logits) for name, logits in self.parameters.logits.items()}

    def _likely(self) -> dict[str, Tensor]:
        """Return the probabilities that weigh a cost: the deciding weights, over their sum where that is not 1."""
        return {name: weights / weights.sum() for name, weights in self._deciding().items()}

    def _choice(self, step: int, generator: torch.Generator) -> Mapping[str, Tensor | Gate]:
        """Return what the supernet is told in weight step ``step``, or in the architecture steps that go with it."""
        epoch, epochs = step // self.per_epoch, self.options.training.epochs
        choice = self.parameters.choice(self._relaxation(epoch), generator)
        if self.options.auxiliary_skip:
            choice = with_auxiliary_skip(choice, self.skips, 1 - epoch / epochs)
        return choice

    def _relaxation(self, epoch: int) -> Relaxation:
        temperature = self.options.temperature.at(epoch, self.options.training.epochs)
        relaxations: dict[str, Relaxation] = {
            "softmax": softmax,
            "sigmoid": sigmoid,
            "dirichlet": dirichlet,
            "gumbel_softmax": partial(gumbel_softmax, temperature=temperature),
            "straight_through": partial(straight_through, temperature=temperature),
        }
        return relaxations[self.options.relaxation]

    def _passes(self, step: int) -> Sequence[Pass]:
        generator = torch_generator(self.seed, step, WEIGHT_DRAWS)
        with torch.no_grad():  # the weights' pass needs no gradient of the architecture
            choice = self._choice(step, generator)
        return [lambda x: self.supernet(x, choice)]

    def _update(self, turn: Turn) -> Mapping[str, float]:
        """Make one step of the architecture parameters."""
        logits = list(self.parameters.parameters())
        loss = partial(self._loss, turn.weights.number, turn.generator.get_state())

        def held_out_loss() -> Tensor:
            cross_entropy = loss(turn.batch)
            found = cross_entropy if self.hardware is None else self.hardware(cross_entropy, self._likely())
            return found + self._penalty()

        with batch_statistics_only(self.supernet):
            if self.options.second_order:
                optimizer = turn.weights.optimizer
                assert isinstance(optimizer, torch.optim.SGD)
                gradients, held_out = second_order(
                    held_out_loss,
                    lambda: loss(turn.weights.batch),
                    logits,
                    optimizer,
                    clip_norm=self.options.training.clip_norm,
                )
            else:
                gradients, held_out = first_order(held_out_loss, logits)
        for parameter, gradient in zip(logits, gradients, strict=True):
            parameter.grad = gradient
        self.optimizer.step()
        return {"held_out_loss": float(held_out)}

    def _loss(self, step: int, drawing: Tensor, batch: Batch) -> Tensor:
        """Return the loss on a batch; the same state of the generator draws the same weights at every call."""
        generator = torch.Generator()
        generator.set_state(drawing)
        return batch.loss(lambda x: self.supernet(x, self._choice(step, generator)))

    def _penalty(self) -> Tensor | float:
        return self.options.zero_one * zero_one_loss(self.parameters.parameters()) if self.options.zero_one else 0.0

    def _after_step(self, step: Step) -> None:
        epochs, within = divmod(step.number + 1, step.steps_per_epoch)
        if within == 0 and self.options.collapse != "watch":
            self.rule.after_epoch(epochs)
            self.history.append(self._probabilities())

    def _scalars(self) -> dict[str, float]:
        """Return what shows a collapse: skip connections among the strongest, entropy, and the eigenvalue if asked."""
        strongest = self.mixtures.strongest(self._probabilities())
        scalars = {"skips": float(skips_in(strongest)), "entropy": self.parameters.entropy()}
        if self.hardware is not None:
            scalars |= self.hardware.scalars(self._likely(), strongest)
        return scalars | ({"eigenvalue": self.rule.values[-1]} if self.rule.values else {})

    def _eigenvalue(self) -> float:
        """Return the dominant eigenvalue of the Hessian of the held-out loss by the logits, on one batch."""
        images = held_out_steps(self.data, self.options.architecture, seed=self.seed + MEASURED)
        batch = Batch.of(images, len(self.rule.values))
        with batch_statistics_only(self.supernet):
            choice = self._deciding()
            loss = batch.loss(lambda x: self.supernet(x, choice))
            return dominant_eigenvalue(loss, list(self.parameters.parameters()))

    def _restore(self, state: Mapping[str, Any]) -> None:
        self.rule.values = list(state["eigenvalues"])
        self.history = list(state["history"])
