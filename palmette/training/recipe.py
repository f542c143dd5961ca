"""Recipe: the settings of one training, of a supernet or of a stand-alone network. No torch here."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

from palmette.data.options import Augmentation
from palmette.errors import PalmetteError

SCHEDULES = ("cosine", "linear", "restarts", "constant", "exponential")


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """SGD with momentum, or Adam, on cross-entropy; by default the learning rate falls to 0 over the run, per step."""

    epochs: int = 20
    batch_size: int = 128
    lr: float = 0.1
    """Learning rate at its highest, after the warm-up."""
    optimizer: Literal["sgd", "adam"] = "sgd"
    momentum: float = 0.9
    """Of Adam, the first beta."""
    nesterov: bool = True
    second_moment: float = 0.999
    """Of Adam, the second beta."""
    epsilon: float = 1e-8
    """Of Adam, added to the denominator."""
    weight_decay: float = 5e-4
    decay_everything: bool = False
    """Also decay BatchNorm parameters and biases; off, only weights of two or more dimensions decay."""
    lr_min: float = 0.0
    """Where cosines and lines end, and every cycle of restarts."""
    schedule: Literal["cosine", "linear", "restarts", "constant", "exponential"] = "cosine"
    """``restarts`` is a row of cosines, each of twice the epochs of the one before (Loshchilov and Hutter, 2017)."""
    first_cycle: int = 10
    """Epochs of the first cosine of ``restarts``; cycles then end after 10, 30, 70, 150, 310 epochs."""
    warmup_epochs: float = 0.0
    """Epochs of linear increase from 0 to ``lr``."""
    decay: float = 0.96
    """Of the exponential schedule: the factor per epoch, after ``decay_after``."""
    decay_after: int = 0
    """Of the exponential schedule: epochs at full ``lr``."""
    label_smoothing: float = 0.0
    clip_norm: float = 0.0
    """Largest norm of the whole gradient; 0 is no clipping."""
    auxiliary_weight: float = 0.0
    """Of the loss of the network's auxiliary head, which must have one; 0 leaves its loss out."""
    drop_path: float = 0.0
    """Probability that an image skips a branch in the last epoch, rising from 0 in equal steps per epoch; the network
    must have branches that can be left out."""
    average: float = 0.0
    """End with the mean of the weights over this last share of the steps; 0 ends with the last ones."""
    bptt: int = 35
    """Of text, time steps that back-propagation goes back through."""
    activation_penalty: float = 0.0
    """Of text, times the mean square of the dropped outputs (AR of AWD-LSTM)."""
    slowness_penalty: float = 0.0
    """Of text, times the mean square of the outputs' changes from step to step (TAR of AWD-LSTM)."""
    augmentation: Augmentation = field(default_factory=Augmentation)

    def __post_init__(self) -> None:
        lows = {"epochs": 1, "batch_size": 2, "lr": 0, "weight_decay": 0, "warmup_epochs": 0, "clip_norm": 0}
        lows |= {"auxiliary_weight": 0, "epsilon": 0, "lr_min": 0, "first_cycle": 1}
        lows |= {"bptt": 1, "activation_penalty": 0, "slowness_penalty": 0, "decay": 0, "decay_after": 0}
        for name, low in lows.items():
            value = getattr(self, name)
            if not value >= low or not math.isfinite(value):
                raise PalmetteError(f"recipe: {name} = {value} was given; it must be at least {low}")
        for name in ("momentum", "label_smoothing", "drop_path", "average", "second_moment"):
            if not 0 <= getattr(self, name) < 1:
                raise PalmetteError(f"recipe: {name} = {getattr(self, name)} was given; it must lie in [0, 1)")
        if self.schedule not in SCHEDULES:
            raise PalmetteError(f"recipe: schedule = {self.schedule!r} was given; allowed are {', '.join(SCHEDULES)}")
        if self.optimizer not in ("sgd", "adam"):
            raise PalmetteError(f"recipe: optimizer = {self.optimizer!r} was given; allowed are sgd, adam")
        if self.optimizer == "adam" and self.nesterov:
            raise PalmetteError("recipe: nesterov goes with sgd only; switch it off for adam")
        if self.nesterov and self.momentum == 0:
            raise PalmetteError("recipe: nesterov needs momentum above 0; set momentum or switch nesterov off")

    def learning_rate(self, step: int, steps: int, steps_per_epoch: int) -> float:
        """Return the learning rate of ``step`` (from 0) out of ``steps``."""
        warmup = int(self.warmup_epochs * steps_per_epoch)
        if step < warmup:
            return self.lr * (step + 1) / warmup
        if self.schedule == "constant":
            return self.lr
        if self.schedule == "exponential":
            return self.lr * float(self.decay ** max(0, step // steps_per_epoch - self.decay_after + 1))
        progress = (step - warmup) / max(1, steps - warmup)
        if self.schedule == "restarts":
            progress = self._in_cycle(step - warmup, steps_per_epoch)
        remaining = 1 - progress if self.schedule == "linear" else (1 + math.cos(math.pi * progress)) / 2
        return self.lr_min + (self.lr - self.lr_min) * remaining

    def _in_cycle(self, step: int, steps_per_epoch: int) -> float:
        """Return how much of its cycle a step has behind it, 0 at a restart."""
        cycle = self.first_cycle * steps_per_epoch
        while step >= cycle:
            step, cycle = step - cycle, 2 * cycle
        return step / cycle


@dataclass(frozen=True, kw_only=True)
class ArchitectureRecipe:
    """How architecture parameters learn beside the weights: Adam on search-validation images. Defaults: DARTS."""

    lr: float = 3e-4
    """Constant."""
    betas: tuple[float, float] = (0.5, 0.999)
    weight_decay: float = 1e-3
    batch_size: int = 64
    bptt: int = 35
    """Of text, time steps of a batch."""
    augmentation: Augmentation = field(default_factory=Augmentation)
    cadence: Literal["step", "epoch"] = "step"
    """step: one architecture step before every few weight steps; epoch: a row of them after every epoch of weights."""
    every: int = 1
    """With cadence step: how many weight steps go with one architecture step."""
    steps: int = 0
    """With cadence epoch: architecture steps after each epoch; 0 is one pass over the search-validation images."""
    warmup_epochs: int = 0
    """Epochs at the start in which only weights are trained."""

    def __post_init__(self) -> None:
        lows = {"lr": 0, "weight_decay": 0, "batch_size": 2, "bptt": 1, "every": 1, "steps": 0, "warmup_epochs": 0}
        for name, low in lows.items():
            value = getattr(self, name)
            if not value >= low or not math.isfinite(value):
                raise PalmetteError(f"architecture recipe: {name} = {value} was given; it must be at least {low}")
        if not all(0 <= beta < 1 for beta in self.betas):
            raise PalmetteError(f"architecture recipe: betas = {self.betas} were given; they must lie in [0, 1)")
        if self.cadence not in ("step", "epoch"):
            raise PalmetteError(f"architecture recipe: cadence = {self.cadence!r} was given; allowed are step, epoch")
        if (self.cadence == "step" and self.steps) or (self.cadence == "epoch" and self.every != 1):
            raise PalmetteError(
                f"architecture recipe: cadence {self.cadence} with every = {self.every} and steps = {self.steps} was "
                "given; 'every' goes with cadence step, 'steps' with cadence epoch"
            )

    def turns(self, weight_steps: int, steps_per_epoch: int, pass_steps: int) -> int:
        """Return how many architecture steps go with so many weight steps.

        Args:
            weight_steps: in all.
            steps_per_epoch: of the weights.
            pass_steps: batches in one pass over the search-validation images.
        """
        left = max(0, weight_steps - self.warmup_epochs * steps_per_epoch)
        if self.cadence == "step":
            return -(-left // self.every)
        return left // steps_per_epoch * (self.steps or pass_steps)
