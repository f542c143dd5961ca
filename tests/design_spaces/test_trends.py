"""Trends with complexity, on hand-worked numbers and on the published networks."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from palmette.design_spaces.trends import exponent, relative_fit


def test_exact_laws_are_found() -> None:
    x = np.array([0.2, 1, 4, 9])
    assert relative_fit(x, 6 * x + 19 * np.sqrt(x), ("linear", "sqrt")) == pytest.approx({"linear": 6, "sqrt": 19})
    assert exponent(x, 3 * x**0.5) == pytest.approx(0.5)


def test_one_coefficient_by_hand() -> None:
    # y = c x with relative residuals c / 2 - 1 and c / 4 - 1 (x = 1): c = (1/2 + 1/4) / (1/4 + 1/16)
    assert relative_fit([1, 1], [2, 4], ("linear",))["linear"] == pytest.approx(0.75 / 0.3125)


@pytest.mark.parametrize(
    ("family", "acts", "slope", "params"),
    [("RegNetX", 5.7, 0.55, (2.7, 3.8)), ("RegNetY", 5.9, 0.52, (2.5, 4.6))],
)
def test_published_networks_follow_the_trends_of_the_notes(
    shared_data: Path,
    family: str,
    acts: float,
    slope: float,
    params: tuple[float, float],
) -> None:
    with open(shared_data / "imagenet_model_results" / "pycls_baselines.csv", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["model"].startswith(family)]
    flops = np.array([float(row["flops"]) for row in rows]) / 1e9
    activations = np.array([float(row["acts"]) for row in rows]) / 1e6
    assert relative_fit(flops, activations, ("sqrt",))["sqrt"] == pytest.approx(acts, abs=0.05)
    assert exponent(flops, activations) == pytest.approx(slope, abs=0.005)
    parameters = relative_fit(flops, [float(row["params"]) / 1e6 for row in rows], ("1", "linear"))
    assert (parameters["1"], parameters["linear"]) == pytest.approx(params, abs=0.05)
    ceiling = 3 + 5.5 * flops
    assert (np.array([float(row["params"]) for row in rows]) / 1e6 < ceiling).all()
