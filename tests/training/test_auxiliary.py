"""The loss of an auxiliary head, and what costs and plain networks make of the head."""

from __future__ import annotations

import pytest
import torch
from tiny import dataset
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from palmette.costs.complexity import complexity
from palmette.errors import PalmetteError
from palmette.plain import TrainingOnly, plain
from palmette.training.loop import training_steps
from palmette.training.recipe import Recipe


class TwoHeads(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(4, 2)
        self.second = TrainingOnly(nn.Linear(4, 2))

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        return (self.head(x), self.second(x)) if self.training else self.head(x)


TwoHeads.__module__ = "palmette.tests"  # so that ``plain`` looks into it


def test_the_second_logits_count_as_much_as_the_recipe_says() -> None:
    steps = training_steps(dataset(), Recipe(batch_size=4, auxiliary_weight=0.4, label_smoothing=0.1), seed=0)
    steps.input(0)
    logits, second = torch.randn(2, 4, 2, generator=torch.Generator().manual_seed(0))
    labels = steps.batches.batch(0)[1]  # type: ignore[attr-defined]
    one, other = (cross_entropy(x, labels, label_smoothing=0.1) for x in (logits, second))
    assert steps.loss((logits, second)).item() == pytest.approx((one + 0.4 * other).item())


def test_without_a_weight_only_the_first_logits_count() -> None:
    steps = training_steps(dataset(), Recipe(batch_size=4), seed=0)
    steps.input(0)
    logits, second = torch.randn(2, 4, 2, generator=torch.Generator().manual_seed(0))
    assert steps.loss((logits, second)) == steps.loss(logits)


def test_a_weight_for_a_head_that_is_not_there_is_refused() -> None:
    steps = training_steps(dataset(), Recipe(batch_size=4, auxiliary_weight=0.4), seed=0)
    steps.input(0)
    with pytest.raises(PalmetteError, match=r"auxiliary_weight = 0.4 was given and the network has no auxiliary head"):
        steps.loss(torch.zeros(4, 2))


def test_no_cost_counts_the_head_and_no_plain_network_has_it() -> None:
    network = TwoHeads().eval()
    assert complexity(network, (4,)) == {"flops": 8, "params": 10, "acts": 2}
    without = plain(network)
    assert sorted(without.state_dict()) == ["head.bias", "head.weight"]
