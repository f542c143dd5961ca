"""ENAS end to end on digits, small: limits kept, resumed runs equal, account of cost right, known defects absent."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import palmette as pm
from palmette.architecture import Architecture
from palmette.costs.limits import Limits
from palmette.data.images import Dataset
from palmette.data.options import Splits
from palmette.data.sources import load
from palmette.errors import PalmetteError
from palmette.evaluation.inherited import Inherited
from palmette.methods.enas import ENAS, Drawn
from palmette.methods.job import Found, Job, feasible_table, opened
from palmette.progress import Silent
from palmette.recipes.enas import enas_macro as macro_recipe
from palmette.sampling.controller import Controller
from palmette.sampling.options import ControllerOptions, PolicyGradientOptions
from palmette.space import Space
from palmette.spaces.enas_macro import enas_macro
from palmette.spaces.enas_micro import Network, enas_micro
from palmette.spaces.small_images import small_images
from palmette.storage import checkpoint
from palmette.storage.run_directory import RunDirectory
from palmette.training.learned_paths import LearnedPaths, weight_updates
from palmette.training.loop import Watch, passes, train_by
from palmette.training.policy_gradient import PolicyGradient
from palmette.training.recipe import ArchitectureRecipe, Recipe

RECIPE = Recipe(epochs=3, batch_size=64, lr=0.1)
LEARNING = ArchitectureRecipe(
    lr=5e-3, betas=(0.9, 0.999), weight_decay=0.0, batch_size=50, cadence="epoch", steps=2, warmup_epochs=1
)
METHOD = ENAS(
    training=RECIPE,
    controller=ControllerOptions(hidden=8),
    controller_training=LEARNING,
    policy=PolicyGradientOptions(samples=4),
    derived=6,
    rank_by="loss",
)
LIMIT = 1e6


@pytest.fixture(scope="module")
def data() -> Dataset:
    return load("digits", splits=Splits(train=300, validation=100, calibration=64), seed=0)


def searched(
    method: ENAS, data: Dataset, path: Path, space: Space, limit: float = LIMIT
) -> tuple[Found, Sequence[object], Job]:
    limits = Limits.from_mapping({"flops": limit})
    table = feasible_table(space, data, limits, seed=0)
    directory = RunDirectory.open(path, {"method": method.name})
    with opened(space, data, table, limits, directory=directory, seed=0, progress=Silent()) as job:
        found = method.search(job)
        return found, job.journal.trials(), job


def test_every_candidate_meets_the_limits_and_a_second_call_reads_the_run(data: Dataset, tmp_path: Path) -> None:
    space = small_images()
    found, trials, _ = searched(METHOD, data, tmp_path / "run", space)
    assert len(trials) == found.evaluations == 6
    assert all(trial.costs["flops"] <= LIMIT for trial in trials)  # type: ignore[attr-defined]
    assert len({trial.architecture for trial in trials}) == 6  # type: ignore[attr-defined]
    again, same, _ = searched(METHOD, data, tmp_path / "run", space)
    assert (again.best, again.passes, same) == (found.best, found.passes, trials)


def test_the_account_of_cost_adds_up(data: Dataset, tmp_path: Path) -> None:
    """3 epochs of weights; after 2 of them 2 controller steps of 4 samples on 50 images; 6 candidates in the end."""
    found, _, _ = searched(METHOD, data, tmp_path / "run", small_images())
    images = len(data.calibration) + len(data.validation)
    assert found.passes == passes(data, RECIPE) + 2 * 2 * 4 * 50 + 6 * images


def test_a_killed_training_ends_with_the_same_weights_and_controller(
    data: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed in the fourth step of the controller, which comes after the second epoch of weights."""
    method = dataclasses.replace(METHOD, controller_training=dataclasses.replace(LEARNING, warmup_epochs=0))
    monkeypatch.setattr("palmette.training.loop.CHECKPOINT_SECONDS", 0.0)
    searched(method, data, tmp_path / "whole", small_images())
    original = PolicyGradient.step
    calls = 0

    def killed(self: PolicyGradient, *arguments: object) -> dict[str, float]:
        nonlocal calls
        calls += 1
        if calls == 4:
            raise KeyboardInterrupt
        return original(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(PolicyGradient, "step", killed)
    with pytest.raises(KeyboardInterrupt):
        searched(method, data, tmp_path / "cut", small_images())
    monkeypatch.setattr(PolicyGradient, "step", original)
    searched(method, data, tmp_path / "cut", small_images())
    tensors, state = checkpoint.load(tmp_path / "whole" / "checkpoints" / "supernet.safetensors")
    others, other_state = checkpoint.load(tmp_path / "cut" / "checkpoints" / "supernet.safetensors")
    assert state == other_state
    assert tensors.keys() == others.keys()
    assert any("controller" in name for name in tensors)
    assert all(torch.equal(tensor, others[name]) for name, tensor in tensors.items())


@pytest.mark.parametrize(
    "space",
    [
        enas_macro(layers=3, filters=8, channels=1),
        enas_micro(nodes=4, channels=1, searched=Network(cells=3, filters=8)),
    ],
    ids=lambda space: space.name,
)
def test_its_own_spaces_are_searched_within_limits(data: Dataset, tmp_path: Path, space: Space) -> None:
    generator = np.random.default_rng(0)
    table = pm.CostTable(space, data.input_shape)
    middle = float(np.median([table(space.decisions.sample(generator))["flops"] for _ in range(50)]))
    method = dataclasses.replace(METHOD, training=dataclasses.replace(RECIPE, epochs=2))
    found, trials, _ = searched(method, data, tmp_path / "run", space, limit=middle)
    assert len(trials) == 6
    assert table(found.best)["flops"] <= middle


def test_the_whole_job_runs(data: Dataset, tmp_path: Path) -> None:
    method = dataclasses.replace(METHOD, retraining=dataclasses.replace(RECIPE, epochs=2))
    audit = pm.AuditOptions(networks=0)
    space = enas_macro(layers=3, filters=8, channels=1)
    result = pm.search(space, data=data, method=method, limits={"flops": LIMIT}, audit=audit, out=tmp_path / "run")
    assert result.best.costs["flops"] <= LIMIT
    assert (tmp_path / "run" / "report.html").exists()


def test_the_policy_finds_the_one_option_that_learns(data: Dataset) -> None:
    """One layer that is either useful or erases its input: the reward alone shows which."""

    class Erase(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x * 0

    def network() -> nn.Module:
        options = {"erase": Erase, "keep": nn.Identity}
        slots = [pm.OneOf(f"layer{i}", **options) for i in range(2)]
        return nn.Sequential(*slots, nn.Flatten(), nn.Linear(64, 10))

    space = Space(network)
    supernet = space.supernet(seed=0)
    policy = PolicyGradient(Controller(space.decisions, ControllerOptions(hidden=8)), METHOD.policy)
    paths = LearnedPaths(policy, steps_per_epoch=4, paths=1, seed=0)
    train_by(weight_updates(supernet, space, paths), supernet, data, RECIPE, seed=0, watch=Watch())
    inherited, optimizer = Inherited(space, supernet, data), torch.optim.Adam(policy.parameters(), lr=0.02)

    def reward(those: Sequence[Architecture]) -> list[float]:
        return [metrics["accuracy"] for metrics in inherited.on_batch(those, data.validation)]

    for step in range(40):
        policy.step(optimizer, reward, torch.Generator().manual_seed(step))
    assert policy.controller.most_likely() == {"layer0": "keep", "layer1": "keep"}


def test_gradients_of_several_paths_are_averaged(data: Dataset) -> None:
    """One step of plain SGD with two paths moves the classifier by the mean of their two gradients."""
    space = small_images()
    policy = PolicyGradient(Controller(space.decisions, ControllerOptions(hidden=8)))
    recipe = Recipe(epochs=1, batch_size=300, lr=0.1, momentum=0.0, nesterov=False, weight_decay=0.0)

    def moved(paths: LearnedPaths) -> torch.Tensor:
        supernet = space.supernet(seed=0)
        before = supernet.network[-1].weight.detach().clone()  # type: ignore[index]
        train_by(weight_updates(supernet, space, paths), supernet, data, recipe, seed=0, watch=Watch())
        return supernet.network[-1].weight.detach() - before  # type: ignore[index,no-any-return]

    both = LearnedPaths(policy, steps_per_epoch=1, paths=2, seed=0)
    one, other = both.at(0)

    class Fixed(LearnedPaths):
        def at(self, step: int) -> list[Architecture]:
            return [self.path]

    single = []
    for path in (one, other):
        fixed = Fixed(policy, steps_per_epoch=1, paths=1, seed=0)
        fixed.path = path
        single.append(moved(fixed))
    assert one != other
    torch.testing.assert_close(moved(both), (single[0] + single[1]) / 2, rtol=1e-4, atol=1e-6)


def test_clipping_works(data: Dataset) -> None:
    """In the released code the clipped gradient is computed and the other one applied."""
    space = enas_macro(layers=3, filters=8, channels=1)
    policy = PolicyGradient(Controller(space.decisions, ControllerOptions(hidden=8)))
    recipe = Recipe(epochs=1, batch_size=300, lr=1.0, momentum=0.0, nesterov=False, weight_decay=0.0, clip_norm=1e-3)
    supernet = space.supernet(seed=0)
    before = nn.utils.parameters_to_vector(supernet.parameters()).detach()
    paths = LearnedPaths(policy, steps_per_epoch=1, paths=1, seed=0)
    train_by(weight_updates(supernet, space, paths), supernet, data, recipe, seed=0, watch=Watch())
    moved = nn.utils.parameters_to_vector(supernet.parameters()).detach() - before
    assert moved.norm().item() == pytest.approx(1e-3, rel=0.01)
    assert macro_recipe().training.clip_norm == 5.0


def test_a_policy_without_more_architectures_derives_fewer() -> None:
    space = Space(nn.Sequential(pm.OneOf("only", a=nn.Identity, b=nn.ReLU)))
    drawn = Drawn(PolicyGradient(Controller(space.decisions)), 10)
    assert len(drawn.propose([], 10, np.random.default_rng(0))) == 2


def test_a_cadence_within_epochs_is_refused() -> None:
    with pytest.raises(PalmetteError, match="cadence = 'step' was given; the controller learns after whole epochs"):
        ENAS(controller_training=ArchitectureRecipe(cadence="step"))
