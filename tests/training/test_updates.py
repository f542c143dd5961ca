"""Updates of several passes, filtered paths, early ends: fairness to the gradient, and resuming to the bit."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

import palmette.training.loop as loop
from palmette.architecture import Architecture
from palmette.data.augmentation import augment
from palmette.data.batches import TrainingBatches
from palmette.data.images import Dataset
from palmette.data.options import Augmentation, Splits
from palmette.data.sources import load
from palmette.evaluation.inherited import Inherited
from palmette.sampling.fair import FairSampler
from palmette.sampling.greedy import GreedyOptions, GreedySampler
from palmette.slots import OneOf
from palmette.space import Space, Supernet
from palmette.training.loop import Watch
from palmette.training.recipe import Recipe
from palmette.training.steps import to_input
from palmette.training.supernet import train_fairly, train_greedily

RECIPE = Recipe(epochs=2, batch_size=32, lr=0.05, augmentation=Augmentation(pad=1))


class Killed(Exception):
    """Stands for the end of the process."""


@pytest.fixture(scope="module")
def data() -> Dataset:
    return load("digits", splits=Splits(train=420, validation=100, calibration=64), seed=0)


def space() -> Space:
    """Return three layers of 2, 3 and 2 options between a fixed stem and a fixed head."""

    def layer(kernel: int) -> Callable[[], nn.Module]:
        return lambda: nn.Sequential(nn.Conv2d(4, 4, kernel, padding=kernel // 2, bias=False), nn.BatchNorm2d(4))

    slots = [
        OneOf("a", k1=layer(1), k3=layer(3)),
        OneOf("b", k1=layer(1), k3=layer(3), k5=layer(5)),
        OneOf("c", k3=layer(3), skip=nn.Identity),
    ]
    return Space(
        lambda: nn.Sequential(
            nn.Conv2d(1, 4, 3), *slots_of(slots), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 10)
        ),
        name="three",
    )


def slots_of(slots: Sequence[OneOf]) -> Iterator[OneOf]:
    return (OneOf(slot.name, **slot.factories) for slot in slots)


def interrupted(at: int) -> Watch:
    def advance(done: int, total: int) -> None:
        if done == at:
            raise Killed

    return Watch(advance=advance)


def same_weights(one: Supernet, other: Supernet) -> bool:
    return all(torch.equal(t, other.state_dict()[name]) for name, t in one.state_dict().items())


def test_a_fair_update_averages_the_gradients_of_the_passes_that_used_each_weight(data: Dataset) -> None:
    """Six paths: the stem is in 6 passes, an option of a in 3, of b in 2. One SGD step without momentum or decay."""
    recipe = Recipe(epochs=1, batch_size=320, lr=0.1, momentum=0.0, nesterov=False, weight_decay=0.0, schedule="linear")
    made = space()
    trained, expected = made.supernet(seed=0), made.supernet(seed=0).train()
    sampler = FairSampler(made.decisions)
    train_fairly(trained, sampler, data, recipe, seed=3, watch=Watch())

    pixels, labels = TrainingBatches(data.train, 320, 3).batch(0)
    images = to_input(augment(pixels, recipe.augmentation, torch.Generator().manual_seed(0)), data)
    counts = dict.fromkeys(expected.parameters(), 0)
    for choice in sampler.sample(np.random.default_rng([3, 0])):
        before = {p: None if p.grad is None else p.grad.clone() for p in counts}
        cross_entropy(expected(images, choice), labels).backward()  # type: ignore[no-untyped-call]
        for p, old in before.items():
            counts[p] += p.grad is not None and (old is None or not torch.equal(p.grad, old))
    names = {name: counts[p] for name, p in expected.named_parameters()}
    assert names["network.0.weight"] == 6
    assert {names["network.1.options.0.0.weight"], names["network.1.options.1.0.weight"]} == {3}
    assert names["network.2.options.2.0.weight"] == 2
    for (name, p), q in zip(expected.named_parameters(), trained.parameters(), strict=True):
        assert p.grad is not None
        assert torch.allclose(q, p - 0.1 * p.grad / counts[p], atol=1e-6), name


@pytest.mark.parametrize("kind", ["fair", "greedy"])
@pytest.mark.parametrize("at", [3, 11, 17])
def test_a_training_killed_anywhere_ends_with_the_bits_of_an_undisturbed_one(
    data: Dataset, tmp_path: Path, kind: str, at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", -1.0)
    monkeypatch.setattr(loop, "LOGS", 1000)

    def run(watch: Watch) -> tuple[Supernet, object]:
        made = space()
        supernet = made.supernet(seed=0)
        if kind == "fair":
            train_fairly(supernet, FairSampler(made.decisions), data, RECIPE, seed=0, watch=watch)
            return supernet, None
        sampler = greedy(made, supernet, data, turnover=0.0)
        done = train_greedily(supernet, made, sampler, data, RECIPE, seed=0, watch=watch)
        return supernet, (sampler.state(), done)

    whole, whole_state = run(Watch())
    checkpoint = tmp_path / "supernet.safetensors"
    with pytest.raises(Killed):
        run(Watch(advance=interrupted(at).advance, checkpoint=checkpoint))
    for _ in range(2):  # the second time all is done, and the state is still there
        resumed, state = run(Watch(checkpoint=checkpoint))
        assert same_weights(resumed, whole)
        assert state == whole_state


def greedy(made: Space, supernet: Supernet, data: Dataset, *, turnover: float) -> GreedySampler:
    inherited = Inherited(made, supernet, data)

    def scores(paths: Sequence[Architecture]) -> list[float]:
        return [-metrics["loss"] for metrics in inherited.on_batch(paths, data.validation)]

    options = GreedyOptions(paths=4, kept=2, pool=4, warmup=0.2, turnover_every=0.1, turnover=turnover)
    return GreedySampler(made.decisions, options, loop.steps_of(data, RECIPE), scores=scores, allows=lambda a: True)


def test_a_settled_pool_ends_the_training_and_a_resumed_run_knows_it(data: Dataset, tmp_path: Path) -> None:
    watch = Watch(checkpoint=tmp_path / "supernet.safetensors")
    steps = []
    for _ in range(2):
        made = space()
        supernet = made.supernet(seed=0)
        sampler = greedy(made, supernet, data, turnover=1.0)
        steps.append(train_greedily(supernet, made, sampler, data, RECIPE, seed=0, watch=watch))
        assert sampler.is_settled
    assert steps == [9, 9]  # warm-up to step 4, looks at steps 6 and 8; the step of the second look is still done
    assert loop.steps_of(data, RECIPE) == 20


def test_scoring_paths_leaves_no_trace_and_equals_batch_statistics(data: Dataset) -> None:
    made = space()
    supernet = made.supernet(seed=0).train()
    before = {name: tensor.clone() for name, tensor in supernet.state_dict().items()}
    paths = list(made.decisions.enumerate())
    found = Inherited(made, supernet, data).on_batch([*paths, paths[0]], data.validation)
    assert supernet.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in supernet.state_dict().items())
    assert len(found) == 13
    for architecture, metrics in zip(paths, found, strict=False):
        network = made.build(architecture, seed=0)
        network.load_state_dict(made.shared_state(supernet, architecture))
        with torch.no_grad():
            logits = network.train()(to_input(data.validation.pixels, data))
        assert metrics["loss"] == pytest.approx(float(cross_entropy(logits, data.validation.labels)), rel=1e-5)
