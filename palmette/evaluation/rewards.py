"""Rewards: what an architecture earns on one batch of search-validation data with the weights of the moment.

ENAS (Pham et al., 2018): the accuracy on images, and c / perplexity on text, c = 80 (enas.md 2.4). All architectures of
a turn are rewarded on one batch, so that their rewards differ by architecture alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial

import torch

from palmette.architecture import Architecture
from palmette.data.batches import TrainingBatches
from palmette.data.images import Dataset, Images
from palmette.data.text import Corpus, Data
from palmette.evaluation.inherited import Inherited
from palmette.space import Space, Supernet
from palmette.training.alternating import Turn
from palmette.training.learned_paths import RewardOn

PERPLEXITY_SCALE = 80.0
"""The authors' c."""


def rewards(space: Space, supernet: Supernet, data: Data, *, batch_size: int, seed: int) -> RewardOn:
    """Return the rewards with the supernet's weights, on ``batch_size`` images or the turn's segment of text."""
    if isinstance(data, Corpus):
        return partial(_of_text, space, supernet)
    return _of_images(space, supernet, data, batch_size, seed)


def _of_images(space: Space, supernet: Supernet, data: Dataset, batch_size: int, seed: int) -> RewardOn:
    """Return accuracies with the batch's own statistics in BatchNorm; the running ones mix architectures."""
    inherited, batches = Inherited(space, supernet, data), TrainingBatches(data.validation, batch_size, seed)

    def reward(turn: Turn, architectures: Sequence[Architecture]) -> list[float]:
        images = Images(*batches.batch(turn.number))
        return [metrics["accuracy"] for metrics in inherited.on_batch(architectures, images)]

    return reward


@torch.no_grad()
def _of_text(space: Space, supernet: Supernet, turn: Turn, architectures: Sequence[Architecture]) -> list[float]:
    """Return c / perplexity; segments follow on each other, with the hidden state that the last architecture left."""
    was_training = supernet.training
    supernet.eval()
    try:
        choices = [space.choice(architecture) for architecture in architectures]
        losses = [float(turn.batch.loss(partial(supernet, choice=choice))) for choice in choices]
    finally:
        supernet.train(was_training)
    return [PERPLEXITY_SCALE / math.exp(loss) for loss in losses]
