"""BatchNorm while architectures are searched: statistics of the batch, and nothing remembered of it.

Running statistics of a supernet mix all architectures, and those of search-validation images have no place in weights.
Whatever is evaluated later recomputes its own (``evaluation/inherited.py``).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn

from palmette.slots import Slot

Norm = nn.modules.batchnorm._BatchNorm


@contextmanager
def batch_statistics_only(module: nn.Module) -> Iterator[None]:
    """Let training-mode passes inside the block leave running statistics as they are."""
    norms = [m for m in module.modules() if isinstance(m, Norm) and m.track_running_stats]
    for norm in norms:
        norm.track_running_stats = False
    try:
        yield
    finally:
        for norm in norms:
            norm.track_running_stats = True


def fix_scales_of_options(network: nn.Module) -> None:
    """Keep scale and shift of every BatchNorm inside a slot at 1 and 0, for good.

    Learned scales would undo the weights of a mixture (Liu et al., DARTS, 2019, appendix A.1.1).
    """
    for slot in network.modules():
        if isinstance(slot, Slot):
            for norm in slot.modules():
                if isinstance(norm, Norm) and norm.affine:
                    norm.weight.requires_grad_(False)
                    norm.bias.requires_grad_(False)
