"""Training along paths that a controller draws: weight steps on its paths, steps of the controller on rewards.

ENAS (Pham et al., 2018, section 2.2): the weights descend the expected loss under the policy, by one path per batch or
the mean of several; after every epoch the policy ascends the expected reward on search-validation images.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from torch import nn

from palmette.architecture import Architecture
from palmette.data.batches import torch_generator
from palmette.sampling.controller import Encoding
from palmette.space import Space
from palmette.training.alternating import Learner, Turn, adam
from palmette.training.loop import Updates
from palmette.training.policy_gradient import PolicyGradient
from palmette.training.recipe import ArchitectureRecipe
from palmette.training.steps import Pass

PATHS = 13
"""Keeps the draws of paths apart from other draws of the same number."""

RewardOn = Callable[[Turn, Sequence[Architecture]], Sequence[float]]
"""The rewards of architectures with the weights of the moment, on the images (or text) of a turn."""


class LearnedPaths:
    """The paths of weight steps: those of an epoch are drawn at once from the policy as its beginning finds it."""

    def __init__(self, policy: PolicyGradient, *, steps_per_epoch: int, paths: int, seed: int) -> None:
        self.policy = policy
        self.steps_per_epoch = steps_per_epoch
        self.paths = paths
        self.seed = seed
        self._epoch = -1
        self._drawn: list[Encoding] = []

    def at(self, step: int) -> list[Architecture]:
        """Return the paths of a step; the policy must not change within epochs, or a resumed run would draw others."""
        epoch, within = divmod(step, self.steps_per_epoch)
        if epoch != self._epoch:
            generator = torch_generator(self.seed, epoch, PATHS)
            self._epoch, self._drawn = epoch, self.policy.draw(self.steps_per_epoch * self.paths, generator)
        those = self._drawn[within * self.paths :][: self.paths]
        return [self.policy.controller.decisions.architecture(encoding) for encoding in those]


def weight_updates(supernet: nn.Module, space: Space, paths: LearnedPaths) -> Updates:
    """Return the updates of the weights: the gradient is the mean over the paths of a step."""
    parameters = list(supernet.parameters())

    def passes(step: int) -> list[Pass]:
        return [partial(_called, supernet, space.choice(path)) for path in paths.at(step)]

    def average() -> None:
        if paths.paths > 1:
            for parameter in parameters:
                if parameter.grad is not None:
                    parameter.grad /= paths.paths

    return Updates(passes=passes, before_update=average)


def policy_learner(policy: PolicyGradient, recipe: ArchitectureRecipe, reward: RewardOn) -> Learner:
    """Return the policy as what decides architectures between weight steps."""
    optimizer = adam(policy, recipe)

    def update(turn: Turn) -> Mapping[str, float]:
        return policy.step(optimizer, partial(reward, turn), turn.generator)

    return Learner(module=policy, optimizer=optimizer, update=update, recipe=recipe)


def _called(supernet: nn.Module, choice: Mapping[str, int | tuple[int, ...]], x: Any) -> Any:
    return supernet(x, choice)
