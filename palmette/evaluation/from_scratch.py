"""Evaluation from scratch: build a network alone, train it by a recipe, score it; what a supernet stands in for."""

from __future__ import annotations

from typing import Any

from torch import nn

from palmette.architecture import Architecture
from palmette.data.text import Data
from palmette.evaluation.score import Metrics, score
from palmette.plain import plain
from palmette.space import Space, called
from palmette.training.loop import Watch, place, train
from palmette.training.recipe import Recipe


def train_alone(
    space: Space, architecture: Architecture, data: Data, recipe: Recipe, *, seed: int, watch: Watch
) -> nn.Module:
    """Return the network trained from scratch on ``data.train``, in evaluation mode, free of our classes."""
    network = place(space.stand_alone.build(architecture, seed=seed), data.device)

    def forward(x: Any, step: int) -> Any:
        return called(network, x)

    train(network, forward, data, recipe, seed=seed, watch=watch)
    return plain(network.eval())


def from_scratch(
    space: Space, architecture: Architecture, data: Data, recipe: Recipe, *, seed: int, watch: Watch
) -> Metrics:
    """Return the metrics on ``data.validation`` of the network trained from scratch; test images are never seen."""
    network = train_alone(space, architecture, data, recipe, seed=seed, watch=watch)
    return score(network, data.validation, data)
