"""Supernet training: which paths are drawn, and that the others rest."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
import torch
from scipy import stats
from tiny import dataset, space
from torch import Tensor, nn

from palmette.architecture import Architecture
from palmette.sampling.uniform import UniformSampler
from palmette.slots import OneOf
from palmette.space import Space
from palmette.storage import checkpoint
from palmette.training import loop
from palmette.training.loop import Watch
from palmette.training.recipe import Recipe
from palmette.training.supernet import train_supernet

RECIPE = Recipe(epochs=3, batch_size=4, weight_decay=0.01, decay_everything=True)


def light() -> Space:
    """Return a space of 27 paths through nothing at all, so that many steps take no time."""
    slots = [OneOf(name, one=nn.Identity, two=nn.Identity, three=nn.Identity) for name in "abc"]
    return Space(nn.Sequential(*slots, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(1, 2)), name="light")


def paths(of: Space, recipe: Recipe, *, seed: int, watch: Watch | None = None) -> list[tuple[int, ...]]:
    """Return the options of each step's path."""
    seen: list[tuple[int, ...]] = []
    supernet = of.supernet(seed=0)
    supernet.register_forward_pre_hook(lambda module, arguments: seen.append(tuple(arguments[1].values())))
    sampler = UniformSampler(of.decisions)
    train_supernet(supernet, of, sampler, dataset(), recipe, seed=seed, watch=watch or Watch())
    return seen


def test_paths_are_a_function_of_the_seed_and_the_step() -> None:
    short = paths(light(), Recipe(epochs=5, batch_size=4), seed=3)
    long = paths(light(), Recipe(epochs=10, batch_size=4), seed=3)
    assert len(short) == 20
    assert long[:20] == short
    assert paths(light(), Recipe(epochs=5, batch_size=4), seed=4) != short


def test_a_resumed_training_draws_the_paths_that_are_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", -1.0)
    recipe = Recipe(epochs=5, batch_size=4)
    whole = paths(light(), recipe, seed=3)

    def kill(done: int, total: int) -> None:
        if done == 9:
            raise InterruptedError

    path = tmp_path / "supernet.safetensors"
    with pytest.raises(InterruptedError):
        paths(light(), recipe, seed=3, watch=Watch(checkpoint=path, advance=kill))
    assert paths(light(), recipe, seed=3, watch=Watch(checkpoint=path)) == whole[8:]


def test_all_paths_are_drawn_equally_often() -> None:
    counts = Counter(paths(light(), Recipe(epochs=270, batch_size=4), seed=0))
    assert sum(counts.values()) == 1080
    assert len(counts) == 27
    assert stats.chisquare(list(counts.values())).pvalue > 0.01


class Recorded:
    """A uniform sampler that remembers."""

    def __init__(self, of: Space) -> None:
        self.of = of
        self.drawn: list[Architecture] = []

    def sample(self, generator: object) -> Architecture:
        self.drawn.append(self.of.decisions.sample(generator))  # type: ignore[arg-type]
        return self.drawn[-1]


def test_options_off_the_path_rest_bitwise_through_each_step_even_with_momentum() -> None:
    of = space()
    supernet, sampler = of.supernet(seed=0), Recorded(of)
    before = {name: tensor.clone() for name, tensor in supernet.state_dict().items()}
    rested_with_momentum = 0
    ever: set[str] = set()

    def compare(done: int, total: int) -> None:
        nonlocal before, rested_with_momentum
        after = {name: tensor.clone() for name, tensor in supernet.state_dict().items()}
        used = on_path(of, supernet, sampler.drawn[-1])
        for name, tensor in after.items():
            assert torch.equal(tensor, before[name]) != (name in used), (done, name)
        rested_with_momentum += len(ever - used)
        ever.update(used)
        before = after

    train_supernet(supernet, of, sampler, dataset(), RECIPE, seed=0, watch=Watch(advance=compare))
    assert len(sampler.drawn) == 12
    assert rested_with_momentum > 50


def on_path(of: Space, supernet: nn.Module, architecture: Architecture) -> set[str]:
    """Return the names of the supernet's tensors that the architecture uses."""
    used = {tensor.data_ptr() for tensor in of.shared_state(supernet, architecture).values()}  # type: ignore[arg-type]
    return {name for name, tensor in supernet.state_dict().items() if tensor.data_ptr() in used}


class Always:
    """Draws one architecture."""

    def __init__(self, architecture: Architecture) -> None:
        self.architecture = architecture

    def sample(self, generator: object) -> Architecture:
        return self.architecture


def test_options_that_were_never_used_get_no_momentum(tmp_path: Path) -> None:
    of = space()
    supernet = of.supernet(seed=0)
    path = tmp_path / "supernet.safetensors"
    one = of.decisions.parse("012")
    train_supernet(supernet, of, Always(one), dataset(), RECIPE, seed=0, watch=Watch(checkpoint=path))
    tensors: dict[str, Tensor] = checkpoint.load(path)[0]
    parameters = {name for name, _ in supernet.named_parameters()}
    assert {name.removeprefix("momentum/") for name in tensors if name.startswith("momentum/")} == (
        on_path(of, supernet, one) & parameters
    )
