"""Watching collapse: the dominant eigenvalue against exact Hessians, and R-DARTS's rule on made-up measurements."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from palmette.architecture import Architecture
from palmette.errors import PalmetteError
from palmette.training.collapse import dominant_eigenvalue, skips_in
from palmette.training.stopping import StopOptions, StopRule


def test_skips_are_counted_under_their_usual_names() -> None:
    values = (("a", "skip_connect"), ("b", "k3"), ("c", "identity"), ("d", "skip"), ("e", "none"))
    assert skips_in(Architecture("toy", values)) == 3


@pytest.mark.parametrize("sizes", [(3, 2), (7, 8, 10)])
def test_the_eigenvalue_of_a_quadratic_is_that_of_its_matrix(sizes: tuple[int, ...]) -> None:
    total = sum(sizes)
    matrix = torch.from_numpy(np.random.default_rng(1).normal(size=(total, total)))
    matrix = matrix + matrix.T
    parameters = [torch.randn(size, dtype=torch.float64, requires_grad=True) for size in sizes]
    flat = torch.cat(parameters)
    loss = flat @ matrix @ flat / 2
    expected = float(torch.linalg.eigvalsh(matrix)[-1])
    assert dominant_eigenvalue(loss, parameters) == pytest.approx(expected, rel=1e-3)


def test_the_eigenvalue_of_a_network_equals_that_of_the_exact_hessian() -> None:
    torch.manual_seed(0)
    layers = nn.ModuleList(nn.Sequential(nn.Linear(6, 6), nn.Tanh()) for _ in range(12)).double()
    x, labels = torch.randn(32, 6, dtype=torch.float64), torch.randint(6, (32,))

    def loss(logits: Tensor) -> Tensor:
        out = x
        for row, start in zip(logits.view(4, 3).softmax(1), range(0, 12, 3), strict=True):
            out = sum(weight * layers[start + i](out) for i, weight in enumerate(row))  # type: ignore[assignment]
        return nn.functional.cross_entropy(3 * out, labels)

    logits = torch.randn(12, dtype=torch.float64)
    exact = torch.autograd.functional.hessian(loss, logits)
    parameters = [part.clone().requires_grad_() for part in logits.split(3)]
    found = dominant_eigenvalue(loss(torch.cat(parameters)), parameters)
    assert found == pytest.approx(float(torch.linalg.eigvalsh(exact)[-1]), rel=1e-3)


def rule(values: list[float]) -> StopRule:
    remaining: Iterator[float] = iter(values)
    made = StopRule(StopOptions(), lambda: next(remaining))
    for epoch in range(1, 2 * len(values) + 1):
        made.after_epoch(epoch)
        if made.is_met:
            break
    return made


def test_the_rule_measures_every_second_epoch_and_stops_at_a_third_more_than_four_measurements_ago() -> None:
    """Means of five: at measurement 14 that of 10..14 is (1 + 1 + 1 + 2 + 2)/5 = 1.4 of that of 6..10."""
    found = rule([1.0] * 12 + [2.0] * 8)
    assert len(found.values) == 14
    assert found.epoch_to_return == 28 - 12


def test_a_steady_eigenvalue_never_stops_the_search() -> None:
    assert not rule([1.0] * 30).is_met
    assert len(rule([1.0 + 0.01 * i for i in range(30)]).values) == 30  # a slow rise is no collapse


def test_nothing_stops_before_epoch_ten() -> None:
    found = rule([1.0, 9.0, 9.0, 9.0, 9.0, 9.0])
    assert len(found.values) == 5  # ten epochs
    assert found.epoch_to_return == 2


def test_impossible_settings_of_the_rule_are_refused() -> None:
    with pytest.raises(PalmetteError, match="counts from 1"):
        StopOptions(every=0)
