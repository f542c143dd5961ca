"""Spaces and populations: exact sizes, closed forms equal to built networks, acceptance rates, reproducibility."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from palmette.design_spaces.complexity import counted_complexity
from palmette.design_spaces.ladder import ladder, tiny
from palmette.design_spaces.population import candidates, sample
from palmette.design_spaces.quantities import OneOf, Uniform
from palmette.design_spaces.space import AnyNetSpace, BuiltSpace, Row
from palmette.errors import PalmetteError

MF = {"flops": (360e6, 400e6)}
LADDER = ladder()


@pytest.mark.parametrize(
    ("name", "dimensions", "size"),
    [
        ("AnyNetX_A", 16, 1846757322198614016),
        ("AnyNetX_B", 13, 68398419340689408),
        ("AnyNetX_C", 10, 316659348799488),
        ("AnyNetX_D", 10, 13194139533312),
        ("AnyNetX_E", 10, 549755813888),
        ("RegNetX", 6, 301989888),
    ],
)
def test_sizes_are_those_of_the_paper(name: str, dimensions: int, size: int) -> None:
    assert (LADDER[name].dimensions, LADDER[name].size) == (dimensions, size)


def test_members_of_a_small_ordered_space_counted_one_by_one() -> None:
    space = AnyNetSpace(
        name="small",
        skeleton=tiny().skeleton,
        depths=Uniform(1, 2),
        widths=Uniform(8, 32, 8),
        bottlenecks=OneOf((1, 2)),
        group_widths=OneOf((4,)),
        shares_bottleneck=True,
        shares_group_width=True,
        widths_rise=True,
        depths_rise=True,
    )
    columns = space.draw(20_000, np.random.default_rng(0))
    distinct = {tuple(row) for row in np.stack(list(columns.values()), axis=1).tolist()}
    assert len(distinct) == space.members == 4 * 20 * 2  # rising depths: C(2 + 2, 3), rising widths: C(4 + 2, 3)


@pytest.mark.parametrize("name", LADDER)
def test_closed_form_of_sampled_networks_equals_counting_them(name: str) -> None:
    space = LADDER[name]
    population = sample(space, 4, ranges={"flops": (None, 800e6)}, seed=1)
    for i in range(len(population)):
        with torch.device("meta"):
            module = space.network(population.row(i), seed=0)
        assert counted_complexity(module, (3, 224, 224)) == population.counts(i)


@pytest.mark.parametrize(
    ("name", "networks", "within"),
    [
        ("AnyNetX_A", 1, 0.021),
        ("AnyNetX_B", 1, 0.020),
        ("AnyNetX_C", 1, 0.021),
        ("AnyNetX_D", 1, 0.022),
        ("AnyNetX_E", 1, 0.026),
        ("RegNetX", 0.090, 0.0015),
    ],
)
def test_acceptance_rates_are_those_of_the_notes(name: str, networks: float, within: float) -> None:
    space, draws, found, valid = LADDER[name], 100_000, 0, 0
    generator = np.random.default_rng(0)
    for _ in range(draws // space.chunk):
        positions, mask, _, _ = candidates(space, space.chunk, ranges=MF, resolution=224, generator=generator)
        found, valid = found + len(positions), valid + int(mask.sum())
    assert valid / draws == pytest.approx(networks, abs=0.003)
    spread = 3 * (within * (1 - within) * (1 / draws + 1 / 40_000)) ** 0.5  # theirs are of 40,000 draws (RegNet: more)
    assert found / draws == pytest.approx(within, abs=spread + 0.0005)


def test_a_population_lies_within_its_ranges_and_has_no_network_twice() -> None:
    ranges = {"flops": (1e6, 2e6), "params": (None, 60e3), "acts": (8e3, None)}
    population = sample(ladder(tiny())["AnyNetX_C"], 200, ranges=ranges, resolution=8, seed=3)
    assert len(population) == 200
    counted = population.complexity
    assert counted.flops.min() >= 1e6
    assert counted.flops.max() <= 2e6
    assert counted.params.max() <= 60e3
    assert counted.acts.min() >= 8e3
    assert len({tuple(population.row(i).items()) for i in range(200)}) == 200


def test_one_seed_is_one_population_whatever_its_size() -> None:
    space = LADDER["AnyNetX_A"]
    large, small, other = (sample(space, n, ranges=MF, seed=s) for n, s in ((150, 7), (20, 7), (20, 8)))
    assert [large.row(i) for i in range(20)] == [small.row(i) for i in range(20)]
    assert [other.row(i) for i in range(20)] != [small.row(i) for i in range(20)]
    assert small.draws < large.draws


def test_the_published_number_of_networks_takes_about_25_000_draws() -> None:
    population = sample(LADDER["AnyNetX_A"], 500, ranges=MF)
    assert 0.018 < population.acceptance < 0.024
    depths = sum(population.parameters[f"d{i}"] for i in range(1, 5))
    assert 18 <= np.median(depths) <= 21


def test_d_and_e_are_ordered() -> None:
    columns = LADDER["AnyNetX_E"].draw(1000, np.random.default_rng(0))
    for letter in "dw":
        stages = np.stack([columns[f"{letter}{i}"] for i in range(1, 5)])
        assert (np.diff(stages, axis=0) >= 0).all()
    assert {"b", "g"} <= set(columns)


def test_inverted_bottlenecks_count_right() -> None:
    space = replace(LADDER["AnyNetX_C"], bottlenecks=OneOf((0.25, 0.5, 1)), skeleton=tiny().skeleton)
    population = sample(space, 3, ranges={"params": (None, 3e6)}, resolution=16)
    for i in range(3):
        with torch.device("meta"):
            module = space.network(population.row(i), seed=0)
        assert counted_complexity(module, (1, 16, 16)) == population.counts(i)


def two_layers(row: Row) -> nn.Module | None:
    if row["width"] * row["kernel"] > 100:
        return None
    width, kernel = int(row["width"]), int(row["kernel"])
    return nn.Sequential(nn.Conv2d(3, width, kernel, padding=kernel // 2, bias=False), nn.Conv2d(width, 2, 1))


def test_a_space_of_ones_own_is_quantities_and_a_builder() -> None:
    space = BuiltSpace(
        name="mine", quantities={"width": Uniform(4, 32, 4), "kernel": OneOf((1, 3, 5))}, build=two_layers
    )
    population = sample(space, 10, ranges={"flops": (None, 100e3)}, resolution=8)
    assert len(population) == 10
    for i in range(10):
        row, counts = population.row(i), population.counts(i)
        width, kernel = int(row["width"]), int(row["kernel"])
        assert width * kernel <= 100
        assert counts["flops"] == 64 * (3 * width * kernel**2 + 2 * width + 2) <= 100_000
    module = space.network(population.row(0), seed=5)
    assert torch.equal(module[0].weight, space.network(population.row(0), seed=5)[0].weight)


def test_ranges_that_nothing_meets_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("palmette.design_spaces.population.MOST_DRAWS", 20_000)
    with pytest.raises(PalmetteError, match=r"0 of 3 networks lie within .* in 20,000 draws; widen the ranges"):
        sample(LADDER["AnyNetX_A"], 3, ranges={"flops": (1, 2)})


def test_unknown_ranges_are_refused() -> None:
    with pytest.raises(PalmetteError, match="'latency' is unknown; allowed are flops, params, acts"):
        sample(LADDER["AnyNetX_A"], 3, ranges={"latency": (1, 2)})
