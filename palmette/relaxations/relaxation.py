"""Relaxation: how the architecture parameters of one decision become what a supernet is told, differentiably.

A relaxation takes logits ``[options]`` and a generator for what it draws, and returns the pick of that decision: the
weights of all options, or a gate that runs some of them only. Settings, as a temperature, are bound beforehand by
``functools.partial``; a new draw is a new call.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from palmette.choice import Gate

Relaxation = Callable[[Tensor, torch.Generator], Tensor | Gate]
"""``(logits [options], generator) -> weights [options]`` or a gate, with gradients to the logits."""
