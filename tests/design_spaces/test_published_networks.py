"""Every published RegNet, ResNet and ResNeXt: structure, and counts in closed form and of the built module."""

from __future__ import annotations

import csv
from pathlib import Path

import published_networks as known
import pytest
import torch

from palmette.costs.complexity import complexity
from palmette.design_spaces.complexity import anynet_complexity, counted_complexity
from palmette.spaces.anynet import AnyNet, anynet
from palmette.spaces.regnet import REGNETS, published_regnets
from palmette.spaces.resnet import published_resnets

NETWORKS = {**published_regnets(), **published_resnets()}
COUNTS = {**known.REGNETS, **known.RESNETS}


def resolution(name: str) -> int:
    return 32 if NETWORKS[name].skeleton.stem == "cifar" else 224


def on_meta(network: AnyNet) -> torch.nn.Module:
    with torch.device("meta"):
        return anynet(network)


def test_all_of_them_are_there() -> None:
    assert set(NETWORKS) == set(COUNTS)


@pytest.mark.parametrize("name", known.STRUCTURES)
def test_regnets_have_their_published_widths_depths_and_groups(name: str) -> None:
    stages = NETWORKS[name].stages
    widths, depths, groups = known.STRUCTURES[name]
    assert tuple(stage.width for stage in stages) == widths
    assert tuple(stage.depth for stage in stages) == depths
    assert tuple(stage.group_width for stage in stages) == groups
    assert all(stage.bottleneck == 1 for stage in stages)


@pytest.mark.parametrize("name", COUNTS)
def test_closed_form_equals_the_published_integers(name: str) -> None:
    counted = anynet_complexity(NETWORKS[name], resolution(name))
    assert (counted["flops"], counted["params"], counted["acts"]) == COUNTS[name]


@pytest.mark.parametrize("name", COUNTS)
def test_counting_the_module_equals_the_published_integers(name: str) -> None:
    shape = (3, resolution(name), resolution(name))
    counted = counted_complexity(on_meta(NETWORKS[name]), shape)
    assert (counted["flops"], counted["params"], counted["acts"]) == COUNTS[name]


@pytest.mark.parametrize(
    ("name", "biases", "pooled"),
    [("RegNetX-400MF", 1000, 0), ("ResNet-50", 1000, 64 * 56 * 56), ("V-56", 10, 0)],
)
def test_the_other_convention_leaves_out_biases_and_max_pools(name: str, biases: int, pooled: int) -> None:
    flops, params, acts = COUNTS[name]
    others = complexity(on_meta(NETWORKS[name]), (3, resolution(name), resolution(name)))
    assert others == {"flops": flops - biases, "params": params, "acts": acts - pooled}


def test_regnets_equal_the_rows_of_the_shared_results(shared_data: Path) -> None:
    with open(shared_data / "imagenet_model_results" / "pycls_baselines.csv", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["family"].startswith("regnet")]
    assert len(rows) == len(REGNETS) == 24
    for row in rows:
        regnet = REGNETS[row["model"]]
        assert (regnet.depth, regnet.w0, regnet.wa, regnet.wm, regnet.group_width) == (
            int(row["depth"]),
            int(row["w0"]),
            float(row["wa"]),
            float(row["wm"]),
            int(row["group_w"]),
        )
        counted = anynet_complexity(NETWORKS[row["model"]], 224)
        assert counted == {name: int(row[name]) for name in ("flops", "params", "acts")}
