"""Gumbel-softmax (Jang et al., 2017; Maddison et al., 2017): a softened draw of one option, by which gradients pass.

Weights of all options for FBNet (Wu et al., 2019, equation 8) and SNAS; straight through, GDAS (Dong & Yang, 2019):
only the drawn option runs, with weight 1 forward and the gradient of the soft weights backward. Temperatures are in
``temperature.py``.
"""

from __future__ import annotations

import torch
from torch import Tensor

from palmette.choice import Gate

SMALLEST = 1e-20
"""Of a uniform draw; keeps its double logarithm finite."""


def gumbel_softmax(logits: Tensor, generator: torch.Generator, *, temperature: float) -> Tensor:
    """Return softmax((logits + Gumbel noise) / temperature), ``[options]``, in at least single precision."""
    logits = logits.float() if logits.dtype in (torch.float16, torch.bfloat16) else logits
    return ((logits + gumbel(logits, generator)) / temperature).softmax(0)


def straight_through(logits: Tensor, generator: torch.Generator, *, temperature: float) -> Gate:
    """Return a gate that runs the most likely option of a Gumbel-softmax draw.

    Its weights are exactly one-hot, and their gradient is that of the soft weights. As only the drawn option runs, only
    its own soft weight passes a gradient on, to all logits.

    Deviation: the released code adds a zero-valued term for every option that does not run, which carries the gradient
    of an output of ones; it estimates nothing and is left out.
    """
    soft = gumbel_softmax(logits, generator, temperature=temperature)
    drawn = int(soft.argmax())
    hard = torch.zeros_like(soft)
    hard[drawn] = 1.0
    return Gate(hard + (soft - soft.detach()), (drawn,))


def gumbel(like: Tensor, generator: torch.Generator) -> Tensor:
    """Return independent draws of the standard Gumbel distribution in the shape of ``like``, on its device."""
    uniform = torch.rand(like.shape, generator=generator, device=generator.device, dtype=torch.float64)
    return -(-uniform.clamp_min(SMALLEST).log()).log().to(like)
