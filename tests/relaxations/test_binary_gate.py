"""Binary gates: gradients against the exact formula and the numbers of the notes (gradient.md 9.4, 9.5)."""

from __future__ import annotations

import math

import pytest
import torch

from palmette.relaxations.binary_gate import all_paths, gate_probabilities, one_path, rescale, two_paths

LOGITS = torch.tensor([0.2, -0.1, 0.5])


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_the_gradient_of_all_paths_is_p_times_q_less_its_mean() -> None:
    logits = torch.tensor([0.5, 0.3, 0.2]).log().requires_grad_()
    (all_paths(logits, generator()).weights @ torch.tensor([1.0, 2.0, 3.0])).backward()
    torch.testing.assert_close(logits.grad, torch.tensor([-0.35, 0.09, 0.26]))


def test_the_gradient_of_two_paths_is_that_of_their_own_softmax_and_leaves_the_third_alone() -> None:
    logits = LOGITS.clone().requires_grad_()
    gate = next(g for g in (two_paths(logits, generator(seed)) for seed in range(50)) if g.probed == (0, 2))
    torch.testing.assert_close(
        gate_probabilities(LOGITS, gate), torch.tensor([0.42556, 0.0, 0.57444]), atol=5e-6, rtol=0
    )
    (gate.weights @ torch.tensor([1.0, 100.0, 3.0])).backward()
    torch.testing.assert_close(logits.grad, torch.tensor([-0.48892, 0.0, 0.48892]), atol=5e-6, rtol=0)


def test_rescaling_keeps_the_probability_of_the_path_that_was_not_drawn() -> None:
    gate = next(g for g in (two_paths(LOGITS, generator(seed)) for seed in range(50)) if g.probed == (0, 2))
    logits = torch.tensor([0.25, -0.1, 0.42])
    rescale(logits, LOGITS, gate)
    torch.testing.assert_close(logits, torch.tensor([0.27260, -0.1, 0.44260]), atol=5e-6, rtol=0)
    assert float(logits.softmax(0)[1]) == pytest.approx(0.239694, abs=5e-7)


@pytest.mark.parametrize("relaxation", [all_paths, two_paths])
def test_gates_are_exactly_one_hot_at_the_one_option_that_runs(relaxation: object) -> None:
    assert callable(relaxation)
    for seed in range(20):
        gate = relaxation(LOGITS, generator(seed))
        assert len(gate.active) == 1
        assert gate.active[0] in gate.probed
        assert torch.equal(gate.weights, torch.eye(3)[gate.active[0]])


def test_paths_are_drawn_by_the_softmax() -> None:
    common = generator()
    draws = torch.tensor([one_path(LOGITS, common) for _ in range(8000)]).bincount(minlength=3) / 8000
    assert (draws - LOGITS.softmax(0)).abs().max() < 4 * math.sqrt(0.25 / 8000)


def test_pairs_are_drawn_without_replacement() -> None:
    common = generator()
    pairs = [two_paths(LOGITS, common).probed for _ in range(4000)]
    p0, p1, _ = LOGITS.softmax(0).tolist()
    expected = p0 * p1 / (1 - p0) + p1 * p0 / (1 - p1)  # either first
    assert pairs.count((0, 1)) / 4000 == pytest.approx(expected, abs=4 * math.sqrt(0.25 / 4000))
    assert set(pairs) == {(0, 1), (0, 2), (1, 2)}


def test_a_decision_with_one_option_takes_it() -> None:
    for relaxation in (all_paths, two_paths):
        assert relaxation(torch.zeros(1), generator()).active == (0,)
