"""The published latencies of ProxylessNAS's blocks on a phone: sums and expectations worked out in the notes (9.11)."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from palmette.costs.additive import AdditiveTable
from palmette.costs.expected import ExpectedCost
from palmette.costs.limits import Limits, check_feasible
from palmette.spaces.proxyless import proxyless

FIRST_AND_INNER = {
    24: ((6.241, 7.519, 9.144, 16.766, 18.941, 22.105), (6.273, 7.902, 10.215, 11.095, 14.131, 18.541)),
    40: ((3.941, 4.383, 5.026, 7.139, 7.881, 9.191), (2.857, 3.484, 4.367, 5.363, 6.622, 8.377)),
    80: ((1.810, 1.985, 2.229, 3.454, 3.798, 4.252), (1.841, 2.127, 2.500, 3.469, 4.080, 4.880)),
    96: ((1.961, 2.253, 2.630, 3.672, 4.289, 5.090), (2.455, 2.792, 3.235, 4.923, 5.645, 6.647)),
    192: ((1.648, 1.755, 1.902, 3.243, 3.491, 3.788), (2.054, 2.241, 2.457, 3.800, 4.164, 4.693)),
    320: ((2.644, 2.829, 3.050, 4.877, 5.265, 5.828), ()),
}
"""Milliseconds by output channels: of the first block of a stage and of the others, by expansion, then kernel."""
CONSTANT = 4.084 + 3.882 + 3.089 + 0.310


@pytest.fixture(scope="module")
def table() -> AdditiveTable:
    decisions = proxyless().decisions
    rows = [
        row
        for first, inner in FIRST_AND_INNER.values()
        for row in [first, *([(*inner, 0.0)] * 3 if inner else [])]  # nothing takes no time
    ]
    options = {name: np.array(row)[:, None] for name, row in zip(decisions.decisions, rows, strict=True)}
    return AdditiveTable(decisions, ("latency",), np.array([CONSTANT]), options)


@pytest.mark.parametrize(("option", "expected"), [(0, 76.050), (3, 136.466), (5, 191.033)])
def test_sums_over_networks_of_one_kind_of_block_are_those_of_the_notes(
    table: AdditiveTable, option: int, expected: float
) -> None:
    architecture = table.decisions.parse(str(option) * 21)
    assert table(architecture)["latency"] == pytest.approx(expected, abs=5e-4)


def test_the_smallest_network_leaves_out_what_it_can(table: AdditiveTable) -> None:
    smallest = table.decisions.architecture(
        {n: "identity" if "identity" in table.decisions.values(n) else "e3_k3" for n in table.decisions.decisions}
    )
    assert table(smallest)["latency"] == pytest.approx(29.610, abs=5e-4)
    limits = Limits.from_mapping({"latency": 29.6105})
    assert check_feasible(limits, table.decisions, table, np.random.default_rng(0)) == smallest


def test_equal_probabilities_expect_what_the_notes_say_and_each_option_its_own_latency(table: AdditiveTable) -> None:
    counts = {name: len(table.decisions.values(name)) for name in table.decisions.decisions}
    equal = {n: torch.full((c,), 1 / c, dtype=torch.float64, requires_grad=True) for n, c in counts.items()}
    expected = ExpectedCost(table, "latency")(equal)
    assert float(expected.detach()) == pytest.approx(113.991, abs=5e-4)
    expected.backward()  # type: ignore[no-untyped-call]
    first = equal["layer1"].grad
    assert first is not None
    assert first.tolist() == list(FIRST_AND_INNER[24][0])
