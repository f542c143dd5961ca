"""Evaluation by rebuilding: each architecture alone, with copies of the weights that a supernet has for it.

Where all candidates share weights, ``Inherited`` is quicker: it computes common layers once. Generated weights differ
with the whole architecture (SMASH, Brock et al., 2018), and layers that are slices of common tensors have no BatchNorm
statistics of their own. BatchNorm is recalibrated for each candidate; the released code of SMASH scores with running
averages over random architectures (smash.md 10.6).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import nn

from palmette import ranks
from palmette.architecture import Architecture
from palmette.data.images import Dataset
from palmette.evaluation.score import Metrics, batched, score
from palmette.space import Space, Supernet

Norm = nn.modules.batchnorm._BatchNorm


class Rebuilt:
    """Evaluate architectures with the weights that the supernet has after ``prepare(architecture)``."""

    def __init__(
        self, space: Space, supernet: Supernet, data: Dataset, prepare: Callable[[Architecture], None] | None = None
    ) -> None:
        self.space = space
        self.supernet = supernet
        self.data = data
        self.prepare = prepare

    def __call__(self, architectures: Sequence[Architecture]) -> list[Metrics]:
        """Return the metrics of each architecture on ``data.validation``, in order."""

        def one_by_one(mine: Sequence[Architecture]) -> list[Metrics]:
            return [score(self.network(a), self.data.validation, self.data) for a in mine]

        return ranks.shared_out(architectures, one_by_one)

    def network(self, architecture: Architecture) -> nn.Module:
        """Return the network of an architecture with copies of its weights and BatchNorm recalibrated."""
        if self.prepare is not None:
            self.prepare(architecture)
        with torch.device("meta"):
            network = self.space.build(architecture, seed=0)
        state = self.space.shared_state(self.supernet, architecture)
        network.load_state_dict({name: tensor.clone() for name, tensor in state.items()}, assign=True)
        recalibrate(network, self.data)
        return network.eval()


@torch.no_grad()
def recalibrate(network: nn.Module, data: Dataset, *, batch_size: int = 256) -> None:
    """Set the statistics of all BatchNorm layers to the averages over the calibration images, in place."""
    norms = [module for module in network.modules() if isinstance(module, Norm)]
    network.eval()
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a cumulative average
        norm.train()
    for x, _ in batched(data.calibration, data, batch_size):
        network(x)
    network.eval()
