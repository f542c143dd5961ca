"""FBNet and ProxylessNAS end to end, tiny: limits kept, costs in the loss felt, killed runs resumed to the bit."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny import dataset, space
from torch import Tensor

import palmette.training.loop as loop
from palmette.costs.additive import AdditiveTable
from palmette.costs.hardware_loss import HardwareLoss
from palmette.costs.limits import Limits
from palmette.errors import PalmetteError, StorageError
from palmette.methods.fbnet import FBNet
from palmette.methods.job import Found, Job, feasible_table, opened
from palmette.methods.options import AuditOptions
from palmette.methods.proxylessnas import ProxylessNAS
from palmette.methods.search import search
from palmette.progress import Silent
from palmette.recipes.fbnet import fbnet_imagenet
from palmette.recipes.proxyless import proxylessnas_imagenet
from palmette.space import Space
from palmette.spaces.fbnet_v2 import Axes, fbnet_v2
from palmette.storage import checkpoint
from palmette.storage.journal import Journal
from palmette.storage.run_directory import RunDirectory
from palmette.training.recipe import ArchitectureRecipe, Recipe

Options = FBNet | ProxylessNAS
RECIPE = Recipe(epochs=4, batch_size=8, lr=0.05)
"""8 steps: 4 epochs of 16 images in batches of 8."""
GATES = ArchitectureRecipe(lr=0.1, betas=(0.0, 0.999), weight_decay=0.0, batch_size=6, warmup_epochs=1)
METHODS: dict[str, Options] = {
    "fbnet": FBNet(
        training=RECIPE,
        architecture=ArchitectureRecipe(lr=0.1, batch_size=6, cadence="epoch", warmup_epochs=1),
        rank_by="loss",
    ),
    "two-paths": ProxylessNAS(training=RECIPE, architecture=GATES, rank_by="loss"),
    "all-paths": ProxylessNAS(training=RECIPE, architecture=GATES, rule="all-paths", candidates=3, rank_by="loss"),
    "reinforce": ProxylessNAS(training=RECIPE, architecture=GATES, rule="reinforce", samples=3, rank_by="loss"),
}


class Killed(Exception):
    """Stands for the end of the process."""


class KilledAt(Silent):
    """Ends the process at one step of the supernet's training."""

    def __init__(self, step: int) -> None:
        self.step = step

    @contextmanager
    def phase(self, name: str) -> Iterator[Callable[[int, int], None]]:
        def advance(done: int, total: int) -> None:
            if name == "supernet" and done == self.step:
                raise Killed

        yield advance


def searched(
    method: Options, path: Path, *, flops: str = "1M", progress: Silent | None = None, made: Space | None = None
) -> tuple[Found, Job, dict[str, list[float]]]:
    """Return what was found, the job, and the learned probabilities."""
    limits, tiny = Limits.from_mapping({"flops": flops}), made or space(3)
    table = feasible_table(tiny, dataset(), limits, seed=0)
    directory = RunDirectory.open(path, {"method": method.name})
    with opened(tiny, dataset(), table, limits, directory=directory, seed=0, progress=progress or Silent()) as job:
        found = method.search(job)
        learned = job.journal.records("probabilities")["probabilities"]
        assert isinstance(learned, dict)
        return found, job, learned


def state(path: Path) -> dict[str, Tensor]:
    tensors, _ = checkpoint.load(path / "checkpoints" / "supernet.safetensors")
    return dict(tensors)


@pytest.mark.parametrize("name", METHODS)
def test_the_best_is_within_a_limit_that_few_architectures_meet(name: str, tmp_path: Path) -> None:
    found, job, _ = searched(METHODS[name], tmp_path / "run", flops="7K")
    within = [a for a in job.space.decisions.enumerate() if job.table(a)["flops"] <= 7000]
    assert 1 <= len(within) < 27
    assert found.best in within
    assert found.evaluations >= METHODS[name].candidates


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("step", [3, 7])
def test_a_search_killed_while_it_learns_ends_with_the_bits_of_an_undisturbed_one(
    name: str, step: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", -1.0)
    whole, _, learned = searched(METHODS[name], tmp_path / "whole")
    with pytest.raises(Killed):
        searched(METHODS[name], tmp_path / "killed", progress=KilledAt(step))
    resumed, _, again = searched(METHODS[name], tmp_path / "killed")
    assert (resumed.best, learned) == (whole.best, again)
    expected, found = state(tmp_path / "whole"), state(tmp_path / "killed")
    assert expected.keys() == found.keys()
    assert all(torch.equal(tensor, found[key]) for key, tensor in expected.items())


@pytest.mark.parametrize("name", ["fbnet", "two-paths", "all-paths"])
def test_a_heavy_cost_in_the_loss_makes_the_cheapest_option_the_most_likely(name: str, tmp_path: Path) -> None:
    heavy = HardwareLoss(form="sum", alpha=1.0, unit=100.0)
    longer = dataclasses.replace(RECIPE, epochs=30)
    method = dataclasses.replace(METHODS[name], hardware=heavy, training=longer, candidates=1)
    found, job, learned = searched(method, tmp_path / "run")
    assert all(max(probabilities) == probabilities[2] > 0.5 for probabilities in learned.values())  # the skip
    assert job.space.decisions.code(found.best) == "222"
    with Journal(tmp_path / "run" / "trials.sqlite", read_only=True) as journal:
        curves = {curve: values[-1][1] for curve, values in journal.scalars("supernet").items()}
    assert curves["skips"] == 3
    assert curves["most likely flops"] == job.table(found.best)["flops"]
    assert curves["most likely flops"] < curves["expected flops"]


@pytest.mark.parametrize("name", ["fbnet", "two-paths"])
def test_a_table_of_latencies_given_with_the_limits_is_in_the_loss_and_in_the_result(name: str, tmp_path: Path) -> None:
    """Where k3 takes no time and all else 5 ms a layer, a heavy latency ends in the option of the most FLOPs."""
    tiny = space(3)
    rows = np.array([[5.0], [0.0], [5.0]])
    latency = AdditiveTable(tiny.decisions, ("latency",), np.array([2.0]), dict.fromkeys("abc", rows))
    method = dataclasses.replace(
        METHODS[name],
        hardware=HardwareLoss(cost="latency", form="sum", alpha=10.0),
        training=dataclasses.replace(RECIPE, epochs=30),
        candidates=1,
    )
    limits = Limits.from_mapping({"latency": 6.9}, latency)
    result = search(
        tiny, data=dataset(), method=method, limits=limits, audit=AuditOptions(networks=0), out=tmp_path / "run"
    )
    assert tiny.decisions.code(result.best.architecture) == "111"
    assert result.best.costs["latency"] == 2.0
    assert result.random.costs["latency"] <= 6.9
    others = Limits.from_mapping({"latency": 6.9}, dataclasses.replace(latency, fixed=np.array([1.0])))
    with pytest.raises(StorageError, match="measured"):
        search(tiny, data=dataset(), method=method, limits=others, audit=AuditOptions(networks=0), out=tmp_path / "run")


def test_two_paths_leave_the_probability_of_the_third_alone_in_every_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One architecture step, of which each of the three decisions measures two of its three options."""
    once = dataclasses.replace(GATES, warmup_epochs=3, every=2)
    _, _, learned = searched(dataclasses.replace(METHODS["two-paths"], architecture=once), tmp_path / "once")
    never = dataclasses.replace(GATES, warmup_epochs=4)
    _, _, before = searched(dataclasses.replace(METHODS["two-paths"], architecture=never), tmp_path / "never")
    for name, probabilities in learned.items():
        changes = sorted(abs(p - q) for p, q in zip(probabilities, before[name], strict=True))
        assert changes[0] < 1e-6 < 1e-3 < changes[1]


def test_momentum_on_gates_is_refused_for_it_moves_paths_that_were_not_drawn() -> None:
    with pytest.raises(PalmetteError, match=r"first beta and the decay must be 0"):
        ProxylessNAS(architecture=ArchitectureRecipe())


def test_impossible_options_are_refused() -> None:
    with pytest.raises(PalmetteError, match="allowed are two-paths, all-paths, reinforce"):
        ProxylessNAS(rule="full")  # type: ignore[arg-type]
    with pytest.raises(PalmetteError, match="candidates = 0"):
        FBNet(candidates=0)


def test_masks_and_resolutions_are_searched_within_a_limit_that_depends_on_all_of_them(tmp_path: Path) -> None:
    """FBNetV2's space: a cost of a layer depends on its kind, on two widths and on the resolution."""
    axes = Axes(
        widths=((4, 8), (8, 12)),
        depths=(1, 2),
        strides=(1, 2),
        expansions=(1.0, 2.0),
        kinds=("k3R", "k5R"),
        resolutions=(4, 8),
        stem=4,
        stem_stride=1,
        last=8,
    )
    method = dataclasses.replace(METHODS["fbnet"], name="fbnetv2", candidates=1)
    made = fbnet_v2(classes=2, channels=1, axes=axes)
    found, job, learned = searched(method, tmp_path / "run", flops="50K", made=made)
    assert job.table(found.best)["flops"] <= 50_000
    assert learned.keys() == made.decisions.decisions.keys()
    untouched = [name for name, p in learned.items() if len(p) > 1 and abs(p[0] - p[-1]) < 1e-4]
    assert untouched == []  # a gradient has reached each


def test_settings_for_imagenet_are_those_of_the_notes() -> None:
    proxyless, fbnet = proxylessnas_imagenet(), fbnet_imagenet()
    assert (proxyless.training.epochs, proxyless.architecture.warmup_epochs) == (40 + 120, 40)
    assert (proxyless.architecture.lr, proxyless.architecture.every, proxyless.training.batch_size) == (1e-3, 5, 256)
    assert (fbnet.training.epochs, fbnet.architecture.warmup_epochs, fbnet.candidates) == (90, 10, 6)
    temperatures = [fbnet.temperature.at(epoch, 90) for epoch in (0, 10, 40, 80)]
    assert temperatures == pytest.approx([5.0, 3.19, 0.826, 0.137], abs=5e-3)
