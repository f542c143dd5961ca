"""Relaxations: what they draw against the laws they claim, their gradients by hand, their temperatures by the notes."""

from __future__ import annotations

import math
from functools import partial

import pytest
import torch

from palmette.choice import Gate
from palmette.errors import ArchitectureError, PalmetteError
from palmette.relaxations.auxiliary_skip import with_auxiliary_skip
from palmette.relaxations.dirichlet import dirichlet
from palmette.relaxations.gumbel_softmax import gumbel, gumbel_softmax, straight_through
from palmette.relaxations.sigmoid import sigmoid, zero_one_loss
from palmette.relaxations.softmax import softmax
from palmette.relaxations.temperature import Temperature, gdas_temperature

LOGITS = torch.tensor([0.5, -1.0, 0.0, 1.2])


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_softmax_weights_are_exponentials_by_their_sum() -> None:
    weights = softmax(torch.tensor([0.0, math.log(2.0), math.log(5.0)]), generator())
    torch.testing.assert_close(weights, torch.tensor([1 / 8, 2 / 8, 5 / 8]))


def test_the_largest_of_logits_with_gumbel_noise_is_drawn_as_softmax_says() -> None:
    draws = gumbel(LOGITS.expand(20_000, 4), generator())
    counts = (LOGITS + draws).argmax(1).bincount(minlength=4) / 20_000
    assert (counts - LOGITS.softmax(0)).abs().max() < 4 * math.sqrt(0.25 / 20_000)  # four standard deviations


def test_gumbel_noise_has_the_mean_and_variance_of_its_law() -> None:
    noise = gumbel(torch.empty(200_000), generator())
    assert float(noise.mean()) == pytest.approx(0.5772, abs=0.012)  # Euler's constant
    assert float(noise.var()) == pytest.approx(math.pi**2 / 6, rel=0.02)


def test_gumbel_softmax_is_the_softmax_of_noisy_logits_over_the_temperature() -> None:
    noise = gumbel(LOGITS, generator(3))
    expected = ((LOGITS + noise) / 0.7).softmax(0)
    torch.testing.assert_close(gumbel_softmax(LOGITS, generator(3), temperature=0.7), expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_a_low_temperature_makes_the_weights_one_hot_and_finite_in_every_precision(dtype: torch.dtype) -> None:
    weights = gumbel_softmax(LOGITS.to(dtype), generator(), temperature=1e-3)
    assert weights.dtype == torch.float32
    torch.testing.assert_close(weights.sort().values, torch.tensor([0.0, 0.0, 0.0, 1.0]))


def test_straight_through_runs_the_drawn_option_with_weight_one() -> None:
    for seed in range(20):
        gate = straight_through(LOGITS, generator(seed), temperature=2.0)
        drawn = int((LOGITS + gumbel(LOGITS, generator(seed))).argmax())
        assert gate.active == (drawn,)
        assert torch.equal(gate.weights, torch.eye(4)[drawn])


def test_straight_through_has_the_gradient_of_the_soft_weight_of_the_drawn_option() -> None:
    logits = LOGITS.clone().requires_grad_()
    gate = straight_through(logits, generator(1), temperature=0.5)
    gate.weights[gate.active[0]].backward()  # type: ignore[no-untyped-call]
    p = gumbel_softmax(LOGITS, generator(1), temperature=0.5)
    i = gate.active[0]
    expected = p[i] * (torch.eye(4)[i] - p) / 0.5  # the derivative of softmax, by hand
    torch.testing.assert_close(logits.grad, expected)


@pytest.mark.parametrize("relaxation", [partial(gumbel_softmax, temperature=1.0), softmax])
def test_equal_generators_draw_equal_weights(relaxation: object) -> None:
    assert callable(relaxation)
    assert torch.equal(relaxation(LOGITS, generator(5)), relaxation(LOGITS, generator(5)))


@pytest.mark.parametrize(("epoch", "expected"), [(0, 5.0), (10, 3.19), (40, 0.826), (80, 0.137), (90, 0.1)])
def test_the_exponential_schedule_has_the_temperatures_of_the_notes(epoch: int, expected: float) -> None:
    assert Temperature().at(epoch, 90) == pytest.approx(expected, abs=0.005)  # 90 would be 0.087, below the floor


def test_gdas_goes_from_ten_to_a_tenth_in_equal_steps() -> None:
    temperatures = [gdas_temperature().at(epoch, 12) for epoch in range(12)]
    assert temperatures[0] == 10.0
    assert temperatures[-1] == pytest.approx(0.1)
    assert temperatures[1] - temperatures[0] == pytest.approx(-0.9)


@pytest.mark.parametrize("wrong", [{"start": 0.0}, {"end": -1.0}, {"rate": -0.1}, {"schedule": "cosine"}])
def test_impossible_temperatures_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(PalmetteError, match="temperature"):
        Temperature(**wrong)  # type: ignore[arg-type]


def test_sigmoid_weights_do_not_compete_and_the_zero_one_loss_pushes_them_apart() -> None:
    logits = torch.tensor([0.0, math.log(3.0)], requires_grad=True)
    torch.testing.assert_close(sigmoid(logits, generator()), torch.tensor([0.5, 0.75]))
    loss = zero_one_loss([logits])
    assert loss.item() == pytest.approx(-(0.25**2) / 2)
    (gradient,) = torch.autograd.grad(loss, logits)
    torch.testing.assert_close(gradient, torch.tensor([0.0, -0.25 * 0.75 * 0.25]))  # -(s - 1/2) s (1 - s), two logits


def test_dirichlet_weights_have_the_mean_and_variance_of_their_law() -> None:
    logits = torch.tensor([0.0, 1.0, -0.5])
    concentration = torch.tensor([1.0, 2.0, math.exp(-0.5)])  # elu + 1
    total = float(concentration.sum())
    source = generator()
    draws = torch.stack([dirichlet(logits, source) for _ in range(5000)])
    torch.testing.assert_close(draws.sum(1), torch.ones(5000))
    mean = concentration / total
    torch.testing.assert_close(draws.mean(0), mean, atol=0.015, rtol=0)
    torch.testing.assert_close(draws.var(0), mean * (1 - mean) / (total + 1), atol=0.006, rtol=0)


def test_dirichlet_gradients_move_the_mean_as_the_law_says() -> None:
    """The mean pathwise derivative of a weight is the derivative of its mean, (total - c_0) / total^2 by c_0."""
    logits = torch.tensor([0.3, 0.8, 0.5], requires_grad=True)
    source = generator(2)
    mean = torch.stack([dirichlet(logits, source)[0] for _ in range(2000)]).mean()
    (gradient,) = torch.autograd.grad(mean, logits)
    c = logits.detach() + 1
    total = float(c.sum())
    expected = torch.stack([(total - c[0]) / total**2, -c[0] / total**2, -c[0] / total**2])
    torch.testing.assert_close(gradient, expected, atol=0.03, rtol=0)


def test_an_auxiliary_skip_adds_its_weight_to_the_skip_option_only() -> None:
    choice = {"a": torch.tensor([0.2, 0.8]), "b": torch.tensor([0.5, 0.5])}
    found = with_auxiliary_skip(choice, {"a": 1}, 0.4)
    torch.testing.assert_close(found["a"], torch.tensor([0.2, 1.2]))
    assert found["b"] is choice["b"]
    with pytest.raises(ArchitectureError, match="a gate runs some of them only"):
        with_auxiliary_skip({"a": Gate(torch.ones(2), (0,))}, {"a": 0}, 1.0)
