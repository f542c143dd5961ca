"""Generated weights: another network gives the weights that a supernet runs with (SMASH, Brock et al., 2018).

The call is that of every supernet, ``(x, choice)``. The hypernetwork sees the choice and returns one tensor per
name; gradients of the output flow through them into the hypernetwork.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call

from palmette.choice import Choice
from palmette.errors import ArchitectureError

_swapping = threading.RLock()
"""Held while a supernet's own parameters are replaced: ``functional_call`` does so in the module itself."""


class GeneratedWeights(nn.Module):
    """A supernet whose parameters ``names`` are, for each call, what ``hypernetwork(choice)`` returns.

    Calls from several threads take turns. Activation checkpointing inside the supernet is not possible: it would
    recompute with the supernet's own parameters.

    Args:
        supernet: called as ``supernet(x, choice)``; its own values of the named parameters are never used.
        hypernetwork: maps a choice to a list of tensors, in the order and the shapes of the named parameters; of a
            matrix that is used in part only the leading rows.
        names: parameters of the supernet, as ``supernet.named_parameters()`` names them.
    """

    def __init__(self, supernet: nn.Module, hypernetwork: nn.Module, names: Sequence[str]) -> None:
        super().__init__()
        unknown = set(names) - {name for name, _ in supernet.named_parameters()}
        if unknown:
            raise ArchitectureError(
                f"generated weights: the supernet has no parameter {min(unknown)!r}; "
                "give names that supernet.named_parameters() lists"
            )
        for name in names:
            supernet.get_parameter(name).requires_grad_(False)
        self.supernet = supernet
        self.hypernetwork = hypernetwork
        self.names = tuple(names)

    @torch.no_grad()
    def write(self, generated: Sequence[Tensor]) -> None:
        """Copy generated weights into the supernet's own, so that it can be evaluated and extracted without these.

        Args:
            generated: what ``hypernetwork(choice)`` returned; leading rows where a matrix has more than are used.
        """
        for name, tensor in zip(self.names, generated, strict=True):
            self.supernet.get_parameter(name)[: len(tensor)].copy_(tensor)

    def forward(self, x: Tensor, choice: Choice) -> Tensor:
        generated = dict(zip(self.names, self.hypernetwork(choice), strict=True))
        with _swapping:
            result: Tensor = functional_call(self.supernet, generated, (x, choice))
        return result
