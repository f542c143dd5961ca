"""NAS-Bench-Macro against the shared table of its 6,561 codes."""

from __future__ import annotations

import csv
import time
from pathlib import Path

import pytest

from palmette.architecture import Architecture
from palmette.costs.complexity import CostTable, complexity
from palmette.space import Space
from palmette.spaces.nas_bench_macro import nas_bench_macro

SHAPE = (3, 32, 32)


@pytest.fixture(scope="module")
def space() -> Space:
    return nas_bench_macro()


@pytest.fixture(scope="module")
def rows(shared_data: Path) -> list[dict[str, str]]:
    with (shared_data / "nas_bench_macro" / "nas_bench_macro_cifar10.csv").open() as file:
        return list(csv.DictReader(file))


def encodings(space: Space) -> list[Architecture]:
    """Return all codes as they stand, not in canonical form."""
    return [Architecture(space.name, tuple(values.items())) for values in space.decisions.encodings()]


def test_costs_of_all_codes_equal_the_table(space: Space, rows: list[dict[str, str]]) -> None:
    codes = encodings(space)
    costs = CostTable(space, SHAPE).all(codes)
    counted = {space.decisions.code(code): (int(c[1]), int(c[0])) for code, c in zip(codes, costs, strict=True)}
    assert counted == {row["arch"]: (int(row["params"]), int(row["flops"])) for row in rows}
    assert len(counted) == 6561


@pytest.mark.parametrize(
    ("code", "params", "flops"),
    [("00000000", 387_882, 7_713_280), ("11111111", 1_588_874, 53_246_464), ("22222222", 2_932_586, 105_660_928)],
)
def test_built_network_has_the_published_costs(space: Space, code: str, params: int, flops: int) -> None:
    counted = complexity(space.build(space.decisions.parse(code), seed=0), SHAPE)
    assert (counted["params"], counted["flops"]) == (params, flops)


def test_equal_codes_have_equal_records(space: Space, rows: list[dict[str, str]]) -> None:
    record_of: dict[Architecture, tuple[str, ...]] = {}
    for row in rows:
        record = tuple(value for key, value in row.items() if key != "arch")
        assert record_of.setdefault(space.decisions.parse(row["arch"]), record) == record
    assert len(record_of) == 3969


def test_there_are_6561_codes_and_3969_networks(space: Space) -> None:
    assert space.decisions.count() == 6561
    assert space.decisions.count_distinct() == len(list(space.decisions.enumerate())) == 3969


def test_identities_after_the_first_layer_of_a_stage_go_last(space: Space) -> None:
    assert space.decisions.code(space.decisions.parse("00101002")) == "00110020"
    assert space.decisions.parse("00101002") == space.decisions.parse("00110020")
    assert space.decisions.parse("10000000") != space.decisions.parse("01000000")


def test_costs_of_all_codes_take_less_than_a_second(space: Space) -> None:
    codes = encodings(space)
    start = time.perf_counter()
    CostTable(space, SHAPE).all(codes)
    assert time.perf_counter() - start < 1
