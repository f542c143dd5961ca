from __future__ import annotations

import torch
from tiny import space
from torch import nn

from palmette.training.batch_norm import batch_statistics_only, fix_scales_of_options


def test_passes_inside_the_block_use_the_batch_and_leave_running_statistics_alone() -> None:
    norm = nn.BatchNorm2d(3)
    x = 5 + 2 * torch.randn(8, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    expected = norm(x)
    kept = {name: tensor.clone() for name, tensor in norm.state_dict().items()}
    with batch_statistics_only(norm):
        torch.testing.assert_close(norm(x), expected)
        torch.testing.assert_close(norm(3 * x), expected)
    assert all(torch.equal(tensor, kept[name]) for name, tensor in norm.state_dict().items())
    norm(x)
    assert int(norm.num_batches_tracked) == 2  # type: ignore[arg-type]


def test_scales_inside_slots_are_fixed_and_those_of_the_stem_are_not() -> None:
    supernet = space(2).supernet(seed=0)
    fix_scales_of_options(supernet.network)
    learned = {name for name, p in supernet.named_parameters() if p.requires_grad and p.ndim == 1}
    assert learned == {"network.0.1.weight", "network.0.1.bias", "network.5.bias"}
