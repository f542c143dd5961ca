"""Hardware loss: the numbers of the notes for FBNet and ProxylessNAS, and gradients by hand (gradient.md 7.2, 9.10)."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from palmette.costs.hardware_loss import HardwareLoss
from palmette.errors import PalmetteError


def value(loss: HardwareLoss, cost: float, *, target: float = 0.0, cross_entropy: float = 1.0) -> float:
    return float(loss(torch.tensor(cross_entropy), torch.tensor(cost), target=target))


@pytest.mark.parametrize(
    ("latency", "in_ms", "in_us"), [(19.8, 0.386, 0.791), (23.1, 0.397, 0.798), (28.1, 0.412, 0.808)]
)
def test_the_factor_of_fbnet_has_the_values_of_the_notes_in_both_units(
    latency: float, in_ms: float, in_us: float
) -> None:
    assert value(HardwareLoss(), latency) == pytest.approx(in_ms, abs=5e-4)
    assert value(HardwareLoss(), 1000 * latency) == pytest.approx(in_us, abs=5e-4)
    assert value(HardwareLoss(unit=1e-3), latency) == pytest.approx(in_us, abs=5e-4)


def test_the_factor_of_proxylessnas_is_alpha_at_the_target_and_hardly_more_at_twice_of_it() -> None:
    loss = HardwareLoss(form="log-ratio", alpha=0.2, beta=0.3)
    assert value(loss, 80.0, target=80.0) == pytest.approx(0.2)
    assert value(loss, 160.0, target=80.0) == pytest.approx(0.209, abs=5e-4)


def test_sums_and_powers_are_as_written() -> None:
    assert value(HardwareLoss(form="relative", alpha=0.1), 120.0, target=80.0, cross_entropy=2.0) == pytest.approx(2.05)
    assert value(HardwareLoss(form="sum", alpha=0.01), 50.0, cross_entropy=2.0) == pytest.approx(2.5)
    assert value(HardwareLoss(form="power", alpha=0.5, beta=2.0), 3.0, cross_entropy=2.0) == pytest.approx(6.5)
    assert value(HardwareLoss(form="log-of-power", alpha=0.2, beta=0.6), math.e**5) == pytest.approx(0.2 * 0.6 * 5)


def test_the_gradient_of_fbnets_loss_has_both_terms() -> None:
    ce, latency = torch.tensor(1.7, requires_grad=True), torch.tensor(23.1, requires_grad=True)
    HardwareLoss()(ce, latency, target=0.0).backward()  # type: ignore[no-untyped-call]
    log = math.log(23.1)
    assert gradient(ce) == pytest.approx(0.2 * log**0.6)
    assert gradient(latency) == pytest.approx(1.7 * 0.2 * 0.6 * log ** (0.6 - 1) / 23.1)


def gradient(tensor: Tensor) -> float:
    assert tensor.grad is not None
    return float(tensor.grad)


@pytest.mark.parametrize("form", ["log", "log-of-power", "log-ratio"])
def test_a_cost_below_one_is_refused_where_its_logarithm_is_needed(form: str) -> None:
    loss = HardwareLoss(form=form, cost="latency")  # type: ignore[arg-type]
    with pytest.raises(PalmetteError, match=r"expected cost of 'latency' is 0.5 in units of 1.*smaller unit"):
        value(loss, 0.5, target=2.0)


def test_impossible_settings_are_refused() -> None:
    with pytest.raises(PalmetteError, match="allowed are log, log-of-power"):
        HardwareLoss(form="squared")  # type: ignore[arg-type]
    with pytest.raises(PalmetteError, match="a unit above 0"):
        HardwareLoss(unit=0.0)
