"""The auxiliary skip connection of DARTS- (Chu et al., 2021): an identity beside the mixture, which fades away.

A skip connection helps every deep network to train, whatever it is worth as a candidate; a second one with a weight of
its own takes over the help, so that the candidate's weight shows its worth only. Where one of the options is the
identity, adding to its weight is the same computation. Deviation: where the skip option has weights (as between
sizes), the auxiliary one shares them, and has none of its own.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from palmette.choice import Gate
from palmette.errors import ArchitectureError


def with_auxiliary_skip(
    choice: Mapping[str, Tensor | Gate], skips: Mapping[str, int], weight: float
) -> dict[str, Tensor | Gate]:
    """Return the choice with ``weight`` added to the skip option of every decision that has one.

    Args:
        choice: mixtures, as ``ArchitectureParameters.choice`` makes them.
        skips: the index of the skip option by decision.
        weight: 1 at first, falling to 0.

    Raises:
        ArchitectureError: a gate that does not run all options.
    """
    return {name: _added(pick, skips[name], weight) if name in skips else pick for name, pick in choice.items()}


def _added(pick: Tensor | Gate, skip: int, weight: float) -> Tensor:
    if isinstance(pick, Gate):
        raise ArchitectureError("an auxiliary skip needs a mixture of all options; a gate runs some of them only")
    extra = torch.zeros_like(pick)
    extra[skip] = weight
    return pick + extra
