"""Additive tables: known ones are found again, shared latencies of FBNet are predicted, what cannot be is refused."""

from __future__ import annotations

import csv
import gzip
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny import space as tiny_space

from palmette.costs.additive import AdditiveTable, Agreement, SideBySide, fit_additive, free_entries
from palmette.costs.complexity import CostTable
from palmette.costs.expected import ExpectedCost
from palmette.decision import Categorical, Subset
from palmette.decisions import Decisions
from palmette.errors import PalmetteError

FBNET = Decisions("fbnet", [Categorical(f"layer{i}", tuple("012345678")) for i in range(22)])
TWO = Decisions("two", [Categorical("a", ("x", "y")), Categorical("b", ("x", "y", "z"))])


def test_a_known_table_is_found_from_exact_sums() -> None:
    codes = ["00", "01", "02", "10", "11", "12"]
    milliseconds = [5.0, 7.0, 5.5, 4.0, 6.0, 4.5]  # 4 fixed; a: 1, 0; b: 0, 2, 0.5
    table = fit_additive(TWO, [TWO.parse(code) for code in codes], milliseconds, name="latency")
    assert table.fixed == pytest.approx([4.0])
    assert table.options["a"][:, 0] == pytest.approx([1.0, 0.0], abs=1e-12)
    assert table.options["b"][:, 0] == pytest.approx([0.0, 2.0, 0.5], abs=1e-12)
    assert table(TWO.parse("01")) == {"latency": pytest.approx(7.0)}
    assert table.all([TWO.parse(code) for code in codes])[:, 0] == pytest.approx(milliseconds)


def test_as_many_architectures_as_free_entries_are_enough_without_noise() -> None:
    assert free_entries(TWO) == 4
    table = fit_additive(TWO, [TWO.parse(code) for code in ("00", "01", "02", "10")], [5, 7, 5.5, 4], name="latency")
    assert table(TWO.parse("11"))["latency"] == pytest.approx(6.0)


def test_parts_are_fitted_to_the_decisions_they_read_so_that_noise_stays_in_its_part() -> None:
    """Three networks, fewer than the table has free entries, are enough; one time of the second part is 3 too long."""
    networks = [TWO.parse(code) for code in ("00", "11", "12", "00")]
    parts = [[1.0, 0.0, 4.0], [0.0, 2.0, 4.0], [0.0, 0.5, 4.0], [1.0, 3.0, 4.0]]
    table = fit_additive(TWO, networks, parts, name="latency", reads=[["a"], ["b"], []])
    assert (free_entries(TWO, ["a"]), free_entries(TWO, ["b"]), free_entries(TWO, [])) == (2, 3, 1)
    assert table.options["a"][:, 0] == pytest.approx([1.0, 0.0], abs=1e-12)
    assert table.options["b"][:, 0] == pytest.approx([1.0, 1.5, 0.0], abs=1e-12)  # the mean of 0 and 3 is 1.5
    assert table.fixed == pytest.approx([4.5])
    assert table(TWO.parse("10"))["latency"] == pytest.approx(4.0 + 1.5)


def test_options_that_may_be_taken_together_have_a_share_each() -> None:
    decisions = Decisions("any", [Subset("inputs", ("p", "q", "r"))])
    seen = [decisions.parse(str(decisions.index("inputs", v))) for v in ((), ("p",), ("q",), ("r",))]
    table = fit_additive(decisions, seen, [1.0, 3.0, 4.0, 6.0], name="latency")
    assert free_entries(decisions) == 4
    three = decisions.parse(str(decisions.index("inputs", ("p", "q", "r"))))
    assert table(three)["latency"] == pytest.approx(1 + 2 + 3 + 5)


def test_a_decision_under_a_condition_costs_only_where_it_is_active() -> None:
    inner = Categorical("inner", ("k3", "k5"), active_if=(("outer", "conv"),))
    decisions = Decisions("nested", [Categorical("outer", ("skip", "conv")), inner])
    networks = [decisions.parse(code) for code in ("0_", "10", "11")]
    table = fit_additive(decisions, networks, [2.0, 5.0, 9.0], name="latency")
    assert [table(network)["latency"] for network in networks] == pytest.approx([2.0, 5.0, 9.0])
    weights = {"outer": torch.tensor([0.5, 0.5]), "inner": torch.tensor([0.25, 0.75])}
    assert float(ExpectedCost(table, "latency")(weights)) == pytest.approx(0.5 * 2 + 0.5 * (0.25 * 5 + 0.75 * 9))


def test_an_option_that_was_never_seen_is_named() -> None:
    with pytest.raises(PalmetteError, match="latency: option 2 of decision 'b' is in none of the 3 architectures"):
        fit_additive(TWO, [TWO.parse(code) for code in ("00", "01", "11")], [1, 2, 3], name="latency")
    with pytest.raises(PalmetteError, match="2 architectures need as many finite values"):
        fit_additive(TWO, [TWO.parse("00"), TWO.parse("11")], [1, float("nan")], name="latency")


def test_agreement_by_hand() -> None:
    found = Agreement.of([1.0, 2.0, 4.0], [1.0, 2.0, 3.0])  # squares of differences 1, of deviations 2
    assert found == Agreement(r2=0.5, rmse=pytest.approx(3**-0.5), worst=pytest.approx(1 / 3))
    assert np.isnan(Agreement.of([1.0, 2.0], [2.0, 2.0]).r2)


def test_tables_side_by_side_keep_their_numbers() -> None:
    space = tiny_space(2)
    counted = CostTable(space, (1, 8, 8))
    rows = {name: np.arange(3.0)[:, None] for name in space.decisions.decisions}
    both = SideBySide(counted, AdditiveTable(space.decisions, ("latency",), np.array([0.25]), rows))
    architecture = space.decisions.parse("12")
    assert both.names == ("flops", "params", "acts", "latency")
    assert both(architecture) == {**counted(architecture), "latency": 3.25}
    hot = {name: torch.eye(3)[space.decisions.index(name, value)] for name, value in architecture.values}
    assert float(ExpectedCost(both, "latency")(hot)) == 3.25
    assert float(ExpectedCost(both, "flops")(hot)) == counted(architecture)["flops"]


@pytest.mark.parametrize("device", ["eyeriss", "fpga", "pixel3", "raspi4"])
def test_500_networks_predict_the_other_4500_of_the_additive_devices(shared_data: Path, device: str) -> None:
    with gzip.open(shared_data / "fbnet_latency" / "fbnet_latency.csv.gz", "rt", newline="") as file:
        rows = [(row["arch"], float(row[device])) for row in csv.DictReader(file)]
    networks, values = [FBNET.parse(code) for code, _ in rows], np.array([value for _, value in rows])
    order = np.random.default_rng(0).permutation(len(rows))
    known, others = order[:500], order[500:]
    table = fit_additive(FBNET, [networks[i] for i in known], values[known], name="latency")
    assert free_entries(FBNET) == 177
    assert Agreement.of(table.all([networks[i] for i in others])[:, 0], values[others]).r2 > 0.9999
