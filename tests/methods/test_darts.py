"""DARTS and its repairs end to end, tiny: limits kept, resumed runs equal, costs and collapse on record."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import pytest
import tiny
import torch

import palmette as pm
import palmette.training.loop as loop
from palmette.cli.method_names import settings
from palmette.costs.complexity import flops_of_choice
from palmette.costs.hardware_loss import HardwareLoss
from palmette.costs.limits import Limits
from palmette.data.images import Dataset
from palmette.errors import ArchitectureError, PalmetteError
from palmette.methods.darts import DARTS
from palmette.methods.darts_training import DARTSTraining
from palmette.methods.job import Found, Job, feasible_table, opened
from palmette.methods.relaxed import cost_of_mixture
from palmette.progress import Silent
from palmette.relaxations.temperature import Temperature
from palmette.space import Space
from palmette.spaces.darts import Network, darts_small, darts_space
from palmette.spaces.darts_cell import MIXED, edge
from palmette.spaces.nas_bench_201 import nas_bench_201
from palmette.storage.journal import Journal
from palmette.storage.run_directory import RunDirectory
from palmette.training.loop import Watch, passes
from palmette.training.recipe import ArchitectureRecipe, Recipe
from palmette.training.stopping import StopOptions

RECIPE = Recipe(epochs=2, batch_size=8, lr=0.1)
LEARNING = ArchitectureRecipe(lr=0.05, batch_size=6)
FIRST = DARTS(training=RECIPE, architecture=LEARNING, rank_by="loss", retraining=RECIPE)
VARIANTS = {
    "first order": FIRST,
    "second order": dataclasses.replace(FIRST, second_order=True),
    "GDAS": dataclasses.replace(FIRST, relaxation="straight_through"),
    "Gumbel": dataclasses.replace(FIRST, relaxation="gumbel_softmax", temperature=Temperature(start=3.0)),
    "FairDARTS": dataclasses.replace(FIRST, relaxation="sigmoid", zero_one=10.0),
    "DrNAS": dataclasses.replace(FIRST, relaxation="dirichlet"),
    "DARTS-": dataclasses.replace(FIRST, auxiliary_skip=True),
}
LIMIT = 15_000
"""FLOPs: of three layers one may be a 3x3 convolution, and another one of 1x1."""


class Killed(Exception):
    """Stands for the end of the process."""


@pytest.fixture(scope="module")
def data() -> Dataset:
    return tiny.dataset(train=40, validation=24, calibration=16)


def searched(
    method: DARTS, data: Dataset, path: Path, *, space: Space | None = None, limit: float = LIMIT
) -> tuple[Found, Sequence[pm.Space], Job]:
    space, limits = space or tiny.space(), Limits.from_mapping({"flops": limit})
    table = feasible_table(space, data, limits, seed=0)
    directory = RunDirectory.open(path, {"method": method.name})
    with opened(space, data, table, limits, directory=directory, seed=0, progress=Silent()) as job:
        found = method.search(job)
        return found, job.journal.trials(), job  # type: ignore[return-value]


@pytest.mark.parametrize("name", VARIANTS)
def test_what_is_found_is_within_the_limits_on_record_and_read_again_from_the_run(
    name: str, data: Dataset, tmp_path: Path
) -> None:
    found, trials, job = searched(VARIANTS[name], data, tmp_path / "run")
    assert job.table(found.best)["flops"] <= LIMIT
    assert [trial.architecture for trial in trials] == [found.best]  # type: ignore[attr-defined]
    again, same, _ = searched(VARIANTS[name], data, tmp_path / "run")
    assert (again.best, again.passes, same) == (found.best, found.passes, trials)


def trained(method: DARTS, data: Dataset, watch: Watch | None = None) -> DARTSTraining:
    space = tiny.space()
    training = DARTSTraining(method, data, space.mixtures, space.supernet(seed=0), seed=0)
    training.run(watch or Watch())
    return training


@pytest.mark.parametrize("name", ["second order", "Gumbel", "DrNAS"])
def test_a_search_killed_midway_learns_the_same_bits(
    name: str, data: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", -1.0)

    def killed(done: int, total: int) -> None:
        if done == 7:
            raise Killed

    whole = trained(VARIANTS[name], data)
    with pytest.raises(Killed):
        trained(VARIANTS[name], data, Watch(advance=killed, checkpoint=tmp_path / "c"))
    resumed = trained(VARIANTS[name], data, Watch(checkpoint=tmp_path / "c"))
    for module in ("parameters", "supernet"):
        state = getattr(resumed, module).state_dict()
        assert all(torch.equal(t, state[n]) for n, t in getattr(whole, module).state_dict().items())


@pytest.mark.parametrize("name", ["first order", "GDAS", "FairDARTS", "DrNAS"])
def test_a_heavy_cost_in_the_loss_makes_the_cheapest_option_the_strongest(
    name: str, data: Dataset, tmp_path: Path
) -> None:
    heavy = HardwareLoss(form="sum", alpha=1.0, unit=100.0)
    learning = dataclasses.replace(LEARNING, lr=0.3)
    method = dataclasses.replace(VARIANTS[name], hardware=heavy, architecture=learning, zero_one=0.0)
    found, _, job = searched(method, data, tmp_path / "run", limit=1e9)
    assert job.space.decisions.code(found.best) == "222"  # skips
    with Journal(tmp_path / "run" / "trials.sqlite", read_only=True) as journal:
        curves = {curve: values[-1][1] for curve, values in journal.scalars("supernet").items()}
    assert curves["most likely flops"] == job.table(found.best)["flops"] < curves["expected flops"]


def test_a_cost_in_the_loss_is_refused_where_weights_stand_on_edges(data: Dataset, tmp_path: Path) -> None:
    method = dataclasses.replace(FIRST, hardware=HardwareLoss(form="relative", alpha=0.1))
    cells = darts_small(channels=1, classes=2)
    with pytest.raises(PalmetteError, match="weights stand on edges of a cell") as refused:
        searched(method, data, tmp_path / "run", space=cells, limit=1e12)
    assert "\n" not in str(refused.value)


def test_the_architecture_moves_and_the_scales_of_options_do_not(data: Dataset) -> None:
    training = trained(FIRST, data)
    assert max(float(logits.abs().max()) for logits in training.parameters.state_dict().values()) > 0.05
    options = {n: p for n, p in training.supernet.named_parameters() if ".options." in n and p.ndim == 1}
    assert options
    assert all(torch.equal(p, torch.full_like(p, float(n.endswith("weight")))) for n, p in options.items())


def test_collapse_is_logged_and_the_rule_ends_the_search_with_an_earlier_architecture(data: Dataset) -> None:
    logged: list[dict[str, float]] = []
    longer = dataclasses.replace(FIRST, training=dataclasses.replace(RECIPE, epochs=6))
    always = StopOptions(every=1, window=1, apart=1, factor=1e-9, least_epochs=3)
    method = dataclasses.replace(longer, collapse="stop", stop=always)
    training = trained(method, data, Watch(log=lambda step, scalars: logged.append(scalars)))
    assert training.is_stopped
    assert training.weight_steps == 3 * 5  # five batches of 8 an epoch, and the third is the last
    assert len(training.rule.values) == 3
    assert training.rule.epoch_to_return == 2
    early = trained(dataclasses.replace(longer, collapse="eigenvalue"), data)
    assert training.probabilities() == early.history[1]
    assert {"skips", "entropy", "eigenvalue", "held_out_loss", "loss", "lr"} == set(logged[-1])
    assert 0 < logged[-1]["entropy"] < 1.0987


def test_costs_count_the_mixture_and_random_search_gets_what_the_architecture_steps_cost(
    data: Dataset, tmp_path: Path
) -> None:
    """10 architecture steps of 6 images, forward and backward without weights: 120 passes through the mixture."""
    found, _, job = searched(FIRST, data, tmp_path / "run")
    factor = cost_of_mixture(job)
    total = job.summed.fixed[0] + sum(int(rows[:, 0].sum()) for rows in job.summed.options.values())
    average = sum(job.table(a)["flops"] for a in job.space.decisions.enumerate()) / job.space.decisions.count_distinct()
    assert factor == pytest.approx(total / average, rel=0.15)  # drawn are encodings, some of one network
    each = len(data.calibration) + len(data.validation)
    assert found.evaluations == max(1, round(factor * 120 / each))
    assert found.passes == pytest.approx(factor * (passes(data, RECIPE) + 120) + each)


def test_the_mixture_of_cells_has_all_operations_on_all_edges() -> None:
    """By hand, for 8x8 images: a normal cell of 2 channels and two reduction cells, of 4 and 8, behind a stem of 6."""
    made = darts_space("cells", Network(channels=2, cells=3, searched=True), classes=2, channels=1)
    options = made.mixtures.options()
    equal = {name: torch.full((len(each),), 1 / len(each), device="meta") for name, each in options.items()}

    def edges(width: int, *, reducing_skips: int) -> int:
        dilated = (9 * width + width**2) + (25 * width + width**2)
        separable = 2 * dilated  # depthwise and pointwise, twice
        return 14 * (separable + dilated) + reducing_skips * width**2

    normal = 64 * 2 * (6 + 6) + 64 * edges(2, reducing_skips=0)
    first = 64 * 4 * (6 + 8) + 16 * edges(4, reducing_skips=8)
    second = 16 * 8 * (8 + 16) + 4 * edges(8, reducing_skips=8)
    assert flops_of_choice(made, (1, 8, 8), equal) == 64 * 9 * 6 + normal + first + second + 32 * 2


@pytest.mark.parametrize(
    ("relaxation", "edges", "kept"),
    [
        # Largest sigmoids 0.891, 0.731 and 0.622; largest shares of a softmax 0.136, 0.983 and 0.961.
        ("sigmoid", [(2.0, 2.1), (-5.0, 1.0), (-5.0, 0.5)], {"sigmoid": "0+1", "softmax": "1+2"}),
        # Means 4 / 11, e^-1.1 / (e^-1.1 + 7 e^-4) and e^-1.2 / (e^-1.2 + 7 e^-4); softmaxes of differences 3, 2.9, 2.8.
        ("dirichlet", [(0.0, 3.0), (-4.0, -1.1), (-4.0, -1.2)], {"dirichlet": "1+2", "softmax": "0+1"}),
    ],
)
def test_edges_of_a_cell_compete_by_the_weights_of_their_own_relaxation(
    relaxation: Literal["sigmoid", "dirichlet"], edges: list[tuple[float, float]], kept: dict[str, str]
) -> None:
    """Node 3 keeps two of three edges; each has one logit of the second value, all others of the first."""
    space = darts_small(channels=1, classes=2)
    for name, pair in kept.items():
        method = dataclasses.replace(FIRST, relaxation=name)
        training = DARTSTraining(method, tiny.dataset(), space.mixtures, space.supernet(seed=0), seed=0)
        for state, (others, best) in enumerate(edges):
            logits = training.parameters.logits[edge("normal", state, 3)]
            logits.data.fill_(others)
            logits.data[MIXED.index("sep_conv_3x3")] = best
        found = space.mixtures.strongest(training.probabilities())
        assert found["normal_node3_inputs"] == pair
        assert (found["normal_node3_first"], found["normal_node3_second"]) == ("sep_conv_3x3", "sep_conv_3x3")


def test_partial_channels_search_a_space_that_knows_its_channels(data: Dataset, tmp_path: Path) -> None:
    method = dataclasses.replace(FIRST, partial_channels=4)
    space = nas_bench_201(channels=1, width=8, cells=1)
    found, _, job = searched(method, data, tmp_path / "run", space=space, limit=1e12)
    assert job.space.decisions.check(found.best) == found.best
    with pytest.raises(ArchitectureError, match="does not know its channels"):
        searched(method, data, tmp_path / "other")


def test_a_whole_job_ends_with_a_report(data: Dataset, tmp_path: Path) -> None:
    result = pm.search(
        tiny.space(),
        data=data,
        method=FIRST,
        limits={"flops": LIMIT},
        audit=pm.AuditOptions(networks=0),
        out=tmp_path / "run",
    )
    assert result.best.costs["flops"] <= LIMIT
    assert "entropy" in (tmp_path / "run" / "report.json").read_text()


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ({"zero_one": 1.0}, "needs relaxation sigmoid"),
        ({"auxiliary_skip": True, "relaxation": "straight_through"}, "runs one only"),
        ({"partial_channels": 0}, "allowed are 1 and more"),
        ({"temperature": Temperature(start=2.0)}, "not with softmax"),
    ],
)
def test_settings_that_would_do_nothing_are_refused(wrong: dict[str, object], text: str) -> None:
    with pytest.raises(PalmetteError, match=text):
        DARTS(**wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["darts", "r-darts", "gdas", "pc-darts", "darts-minus", "fairdarts", "drnas"])
def test_every_name_has_settings_of_that_name(name: str) -> None:
    found = settings(name, "small-images")
    assert isinstance(found, DARTS)
    assert found.name == name
