"""Architecture parameters: one vector of logits for every mixture of a space, from which relaxations make choices.

They belong to no supernet and to no optimiser of weights: a training holds both, and hands the choice to the call.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from palmette.choice import Gate
from palmette.relaxations.relaxation import Relaxation


class ArchitectureParameters(nn.Module):
    """Logits ``[options]`` by name, normally distributed at first with deviation ``scale`` (DARTS: 1e-3).

    Args:
        options: the names of the options of each decision, as ``space.mixtures.options()`` gives them (in a cell: of
            each edge).
        seed: of the first values.
        scale: their standard deviation; 0 starts at zero, as the paper of DARTS says and its code does not.
    """

    def __init__(self, options: Mapping[str, Sequence[str]], *, seed: int, scale: float = 1e-3) -> None:
        super().__init__()
        self.options = {name: tuple(names) for name, names in options.items()}
        generator = torch.Generator().manual_seed(seed)
        self.values = nn.ParameterList(
            nn.Parameter(scale * torch.randn(len(names), generator=generator)) for names in options.values()
        )

    @property
    def logits(self) -> dict[str, Tensor]:
        """The parameters by decision, each ``[options]``."""
        return dict(zip(self.options, self.values, strict=True))

    def choice(self, relaxation: Relaxation, generator: torch.Generator) -> dict[str, Tensor | Gate]:
        """Return what a supernet is told: the relaxation of every decision, drawn one after another."""
        return {name: relaxation(logits, generator) for name, logits in self.logits.items()}

    @torch.no_grad()
    def probabilities(self) -> dict[str, Tensor]:
        """Return the softmax of every decision's logits, ``[options]`` each, without gradient."""
        return {name: logits.softmax(0) for name, logits in self.logits.items()}

    def most_likely(self) -> dict[str, int]:
        """Return the index of each decision's largest logit, the first of equal ones; it is a single-path choice."""
        return {name: int(logits.argmax()) for name, logits in self.logits.items()}

    @torch.no_grad()
    def entropy(self) -> float:
        """Return the mean entropy of the decisions' softmax in nats, from 0 to the logarithm of the options."""
        return float(torch.stack([-(p * p.clamp_min(1e-30).log()).sum() for p in self.probabilities().values()]).mean())
