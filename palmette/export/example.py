"""How an exported network is called: the names of its inputs and outputs, and examples that it is checked on.

A network for images is exported as it is. A language model leaves as one time step, for its loop over time is of any
length: a word of every stream and the state go in, the scores of the next word and the next state come out.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from palmette.blocks.language_model import LanguageModel
from palmette.export.one_step import OneStep


@dataclass(frozen=True)
class Portable:
    """A network in the form that it leaves in: a copy on the CPU, in evaluation mode."""

    network: nn.Module
    inputs: tuple[str, ...]
    """Names; the first dimension of each is the batch."""
    outputs: tuple[str, ...]
    example: Callable[[int], tuple[Tensor, ...]]
    """Inputs of so many images or streams, the same for the same number."""


def portable(network: nn.Module, input_shape: Sequence[int]) -> Portable:
    """Return the network as it leaves; ``input_shape`` is that of one image, and plays no part for a language model."""
    network = copy.deepcopy(network).cpu().eval()
    if not isinstance(network, LanguageModel):
        return Portable(network, ("images",), ("outputs",), lambda count: (_normal(count, *input_shape),))
    step = OneStep(network).eval()
    words, units = network.embedding.weight.shape

    def example(count: int) -> tuple[Tensor, ...]:
        generator = torch.Generator().manual_seed(count)
        return torch.randint(words, (count,), generator=generator), 0.5 * _normal(count, units)

    return Portable(step, ("tokens", "hidden"), ("logits", "next_hidden"), example)


def _normal(count: int, *shape: int) -> Tensor:
    return torch.randn(count, *shape, generator=torch.Generator().manual_seed(count))
