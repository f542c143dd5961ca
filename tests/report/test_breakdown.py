"""Where costs come from: the tables that the page looks parts up in."""

from __future__ import annotations

import numpy as np
import pytest
from tiny import chained, space

from palmette.architecture import Architecture
from palmette.costs.complexity import CostTable
from palmette.report.breakdown import Breakdown, breakdown
from palmette.space import Space


def total(parts: Breakdown, architecture: Architecture) -> np.ndarray:
    """Add the parts up as the page's script does."""
    picks = {name: parts.values[name].index(str(value)) for name, value in architecture.values}
    costs = np.array(parts.fixed, dtype=float)
    for name, pick in picks.items():
        costs += parts.options[name][pick]
    for joint in parts.joint:
        if all(name in picks for name in joint.names):
            entry = joint.costs
            for name in joint.names:
                entry = entry[picks[name]]
            costs += entry
    return costs


@pytest.mark.parametrize(("made", "shape"), [(space, (1, 8, 8)), (chained, (3, 8, 8))])
def test_parts_add_up_to_the_costs(made: type[Space], shape: tuple[int, int, int]) -> None:
    of = made()
    table = CostTable(of, shape)
    parts = breakdown(table)
    assert parts is not None
    generator = np.random.default_rng(0)
    for architecture in (of.decisions.sample(generator) for _ in range(20)):
        assert total(parts, architecture).tolist() == list(table(architecture).values())


def test_costs_that_are_no_sums_have_no_parts() -> None:
    assert breakdown(lambda architecture: {"flops": 1.0}) is None
