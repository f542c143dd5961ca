"""Example inputs that exported networks are checked on."""

from __future__ import annotations

from collections.abc import Sequence

import torch


def example(count: int, input_shape: Sequence[int]) -> torch.Tensor:
    """Return normally distributed inputs ``[count, *input_shape]``, the same for the same count."""
    return torch.randn(count, *input_shape, generator=torch.Generator().manual_seed(count))
