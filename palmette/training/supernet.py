"""Supernet training: one sampled path per step (Guo et al., "Single Path One-Shot", 2020, section 3.3)."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from torch import Tensor

from palmette.architecture import Architecture
from palmette.data.images import Dataset
from palmette.space import Space, Supernet
from palmette.training.loop import Watch, train
from palmette.training.recipe import Recipe


class Sampler(Protocol):
    """Which architecture a training step uses."""

    def sample(self, generator: np.random.Generator) -> Architecture: ...


def train_supernet(
    supernet: Supernet, space: Space, sampler: Sampler, data: Dataset, recipe: Recipe, *, seed: int, watch: Watch
) -> None:
    """Train the shared weights in place; options off the sampled path get no gradient, momentum or decay."""

    def forward(images: Tensor, step: int) -> Tensor:
        architecture = sampler.sample(np.random.default_rng([seed, step]))
        logits: Tensor = supernet(images, space.choice(architecture))
        return logits

    train(supernet, forward, data, recipe, seed=seed, watch=watch)
