"""REINFORCE: its mean over all paths is the exact gradient of the expected reward, whatever the baseline."""

from __future__ import annotations

from itertools import product

import pytest
import torch

from palmette.relaxations.reinforce import log_probability, policy_loss


@pytest.mark.parametrize("baseline", [0.0, 1.7, -4.0])
def test_of_three_options_the_mean_gradient_is_minus_p_times_the_reward_less_its_mean(baseline: float) -> None:
    """p = (0.5, 0.3, 0.2) and R = (1, 2, 3): dE[R] is p (R - 1.7) = (-0.35, 0.09, 0.26)."""
    p, rewards = torch.tensor([0.5, 0.3, 0.2]), torch.tensor([1.0, 2.0, 3.0])
    logits = p.log().requires_grad_()
    mean = torch.zeros(3)
    for i in range(3):
        loss = policy_loss({"a": logits}, [{"a": i}], rewards[i : i + 1], baseline)
        mean += p[i] * torch.autograd.grad(loss, logits)[0]
    torch.testing.assert_close(mean, -torch.tensor([-0.35, 0.09, 0.26]))


def test_over_two_decisions_the_mean_gradient_is_that_of_the_expectation_by_enumeration() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = {name: torch.randn(3, generator=generator, dtype=torch.float64).requires_grad_() for name in "ab"}
    paths = [dict(zip("ab", pair, strict=True)) for pair in product(range(3), repeat=2)]
    rewards = torch.randn(9, generator=generator, dtype=torch.float64)  # no sum over decisions
    probabilities = torch.outer(logits["a"].softmax(0), logits["b"].softmax(0)).flatten()
    exact = torch.autograd.grad(probabilities @ rewards, list(logits.values()))
    found = [torch.zeros(3, dtype=torch.float64) for _ in logits]
    for i, path in enumerate(paths):
        gradients = torch.autograd.grad(policy_loss(logits, [path], rewards[i : i + 1], 0.3), list(logits.values()))
        for total, gradient in zip(found, gradients, strict=True):
            total -= probabilities[i].detach() * gradient
    torch.testing.assert_close(found, list(exact))


def test_several_paths_are_averaged_each_by_its_own_reward() -> None:
    """Uniform logits, paths 0 and 2 with advantages 1 and -2: -(1 (e0 - u) - 2 (e2 - u)) / 2."""
    logits = {"a": torch.zeros(3, requires_grad=True)}
    loss = policy_loss(logits, [{"a": 0}, {"a": 2}], torch.tensor([1.5, -1.5]), torch.tensor(0.5))
    (gradient,) = torch.autograd.grad(loss, logits["a"])
    torch.testing.assert_close(gradient, torch.tensor([-2 / 3, -1 / 6, 5 / 6]))


def test_the_log_probability_of_a_path_is_the_sum_over_its_decisions() -> None:
    logits = {"a": torch.tensor([0.5, 0.5]).log(), "b": torch.tensor([0.1, 0.2, 0.7]).log()}
    assert log_probability(logits, {"a": 1, "b": 2}).exp().item() == pytest.approx(0.35)
