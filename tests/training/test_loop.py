"""The training loop: against SGD written out, and resumed at every step."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from tiny import dataset
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from palmette.data.options import Augmentation
from palmette.errors import PalmetteError, StorageError
from palmette.storage import checkpoint
from palmette.training import loop
from palmette.training.loop import Watch, passes, train
from palmette.training.recipe import Recipe

RECIPE = Recipe(epochs=3, batch_size=4, augmentation=Augmentation(pad=1, flip=True, cutout=2), clip_norm=5.0)
STEPS = 12
"""3 epochs of 16 images in batches of 4."""


class Killed(Exception):
    """Stands for the end of the process."""


def convolutional() -> nn.Sequential:
    """Return a network with BatchNorm and dropout, the same at each call."""
    torch.manual_seed(1)
    layers = [nn.Conv2d(1, 4, 3, bias=False), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.3)]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))


def run(module: nn.Module, *, watch: Watch | None = None, recipe: Recipe = RECIPE, seed: int = 0) -> None:
    train(module, lambda x, step: module(x), dataset(), recipe, seed=seed, watch=watch or Watch())


def killed_after(steps: int) -> Callable[[int, int], None]:
    def advance(done: int, total: int) -> None:
        if done == steps:
            raise Killed

    return advance


def equal(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def written_out(
    weight: Tensor, bias: Tensor, x: Tensor, labels: Tensor, *, recipe: Recipe, steps: int
) -> tuple[Tensor, Tensor]:
    """Return weight and bias of a linear layer after SGD on the whole set (Sutskever et al., 2013, as torch has it)."""
    velocity: list[Tensor | None] = [None, None]
    for step in range(steps):
        parameters = [weight.requires_grad_(), bias.requires_grad_()]
        loss = cross_entropy(x @ weight.T + bias, labels, label_smoothing=recipe.label_smoothing)
        gradients = list(torch.autograd.grad(loss, parameters))
        if recipe.clip_norm:
            norm = sum(float((g**2).sum()) for g in gradients) ** 0.5
            gradients = [g * min(1.0, recipe.clip_norm / (norm + 1e-6)) for g in gradients]
        decays = [recipe.weight_decay, recipe.weight_decay if recipe.decay_everything else 0.0]
        rate = recipe.lr * (1 - step / steps)
        new = []
        for i, (parameter, gradient, decay) in enumerate(zip(parameters, gradients, decays, strict=True)):
            gradient = gradient + decay * parameter.detach()
            before = velocity[i]
            velocity[i] = gradient if before is None else recipe.momentum * before + gradient
            direction = gradient + recipe.momentum * velocity[i] if recipe.nesterov else velocity[i]
            new.append((parameter - rate * direction).detach())
        weight, bias = new
    return weight, bias


@pytest.mark.parametrize(
    "recipe",
    [
        Recipe(epochs=5, batch_size=16, lr=0.5, schedule="linear", weight_decay=0.1, label_smoothing=0.1),
        Recipe(epochs=5, batch_size=16, lr=0.5, schedule="linear", weight_decay=0.1, decay_everything=True),
        Recipe(epochs=5, batch_size=16, lr=0.5, schedule="linear", nesterov=False, clip_norm=0.05),
    ],
)
def test_a_training_equals_sgd_written_out(recipe: Recipe) -> None:
    data = dataset()
    torch.manual_seed(0)
    module = nn.Sequential(nn.Flatten(), nn.Linear(64, 2))
    x = ((data.train.pixels.float() / 255 - data.mean[0]) / data.std[0]).flatten(1)
    first = module[1]
    weight, bias = written_out(
        first.weight.detach().clone(), first.bias.detach().clone(), x, data.train.labels, recipe=recipe, steps=5
    )
    train(module, lambda x, step: module(x), data, recipe, seed=0, watch=Watch())
    assert torch.allclose(first.weight, weight, atol=1e-5)
    assert torch.allclose(first.bias, bias, atol=1e-5)


def test_parameters_outside_the_graph_do_not_move_and_have_no_momentum(tmp_path: Path) -> None:
    module = nn.ModuleDict({"used": convolutional(), "unused": convolutional()})
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    path = tmp_path / "training.safetensors"
    recipe = Recipe(epochs=3, batch_size=4, weight_decay=0.1, decay_everything=True)
    train(module, lambda x, step: module["used"](x), dataset(), recipe, seed=0, watch=Watch(checkpoint=path))
    for name, tensor in module.state_dict().items():
        assert torch.equal(tensor, before[name]) == name.startswith("unused"), name
    momenta = {name for name in checkpoint.load(path)[0] if name.startswith("momentum/")}
    assert momenta == {f"momentum/used.{name}" for name, _ in convolutional().named_parameters()}


@pytest.fixture
def always(monkeypatch: pytest.MonkeyPatch) -> None:
    """Save a checkpoint whenever one may be saved."""
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", -1.0)


@pytest.mark.usefixtures("always")
@pytest.mark.parametrize("step", [1, 2, 3, 4, 5, 8, 9, 11, 12])
def test_a_training_killed_at_any_step_ends_with_the_bits_of_an_undisturbed_one(tmp_path: Path, step: int) -> None:
    whole = convolutional()
    run(whole, watch=Watch(checkpoint=tmp_path / "whole.safetensors"))
    path = tmp_path / "killed.safetensors"
    with pytest.raises(Killed):
        run(convolutional(), watch=Watch(checkpoint=path, advance=killed_after(step)))
    assert path.exists() == (step > 1)
    if path.exists():
        assert checkpoint.load(path)[1] == {"step": step - 1, "steps": STEPS, "done": False, "updates": {}}
    resumed = convolutional()
    run(resumed, watch=Watch(checkpoint=path))
    assert equal(dict(resumed.state_dict()), dict(whole.state_dict()))
    tensors, state = checkpoint.load(path)
    assert equal(tensors, checkpoint.load(tmp_path / "whole.safetensors")[0])
    assert sum(name.startswith("momentum/") for name in tensors) == 5
    assert state == {"step": STEPS, "steps": STEPS, "done": True, "updates": {}}


@pytest.mark.usefixtures("always")
def test_a_resumed_curve_equals_an_undisturbed_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "LOGS", 4)
    whole: dict[int, dict[str, float]] = {}
    run(convolutional(), watch=Watch(log=whole.__setitem__))
    assert list(whole) == [3, 6, 9, 12]
    pieces: dict[int, dict[str, float]] = {}
    path = tmp_path / "killed.safetensors"
    for step in (5, 11):
        with pytest.raises(Killed):
            run(convolutional(), watch=Watch(log=pieces.__setitem__, checkpoint=path, advance=killed_after(step)))
    run(convolutional(), watch=Watch(log=pieces.__setitem__, checkpoint=path))
    assert pieces == whole


def test_a_finished_training_is_loaded_and_not_done_again(tmp_path: Path) -> None:
    path = tmp_path / "training.safetensors"
    whole, again = convolutional(), convolutional()
    run(whole, watch=Watch(checkpoint=path))
    seen: list[int] = []
    train(again, lambda x, step: seen.append(step), dataset(), RECIPE, seed=0, watch=Watch(checkpoint=path))  # type: ignore[arg-type,return-value,func-returns-value]
    assert seen == []
    assert equal(dict(again.state_dict()), dict(whole.state_dict()))


def test_the_seed_alone_decides_and_the_global_generator_is_left_as_it_was() -> None:
    states = []
    for seed, disturbance in ((0, 1), (0, 2), (1, 1)):
        module = convolutional()
        torch.manual_seed(disturbance)
        before = torch.get_rng_state()
        run(module, seed=seed)
        assert torch.equal(torch.get_rng_state(), before)
        states.append(dict(module.state_dict()))
    assert equal(states[0], states[1])
    assert not equal(states[0], states[2])


def test_a_loss_that_is_no_number_ends_the_training_with_one_line() -> None:
    with pytest.raises(PalmetteError, match=r"the loss became (nan|inf) before step \d+; lower the learning") as caught:
        run(convolutional(), recipe=Recipe(epochs=3, batch_size=4, lr=1e30))
    assert "\n" not in str(caught.value)


@pytest.mark.usefixtures("always")
def test_no_checkpoint_of_a_diverged_training_replaces_a_sound_one(tmp_path: Path) -> None:
    path = tmp_path / "training.safetensors"
    module = convolutional()

    def forward(x: Tensor, step: int) -> Tensor:
        logits: Tensor = module(x)
        return logits * float("nan") if step == 5 else logits

    with pytest.raises(PalmetteError, match="the loss became nan before step 6"):
        train(module, forward, dataset(), RECIPE, seed=0, watch=Watch(checkpoint=path))
    tensors, state = checkpoint.load(path)
    assert state == {"step": 5, "steps": STEPS, "done": False, "updates": {}}
    assert all(tensor.isfinite().all() for tensor in tensors.values())


def saved(path: Path) -> bytes:
    run(convolutional(), watch=Watch(checkpoint=path))
    return path.read_bytes()


def test_a_checkpoint_of_a_training_of_another_length_is_refused_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "training.safetensors"
    content = saved(path)
    with pytest.raises(StorageError, match="of another training, steps is 12 there and 16 here"):
        run(convolutional(), watch=Watch(checkpoint=path), recipe=Recipe(epochs=4, batch_size=4))
    assert path.read_bytes() == content


def test_a_checkpoint_of_another_network_is_refused_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "training.safetensors"
    content = saved(path)
    with pytest.raises(StorageError, match="the checkpoint is of another network"):
        run(nn.Sequential(nn.Flatten(), nn.Linear(64, 2)), watch=Watch(checkpoint=path))
    assert path.read_bytes() == content


def test_a_damaged_checkpoint_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "training.safetensors"
    content = bytearray(saved(path))
    content[-3] ^= 16
    path.write_bytes(content)
    with pytest.raises(StorageError, match=r"damaged or no checkpoint .* delete it to start that phase anew"):
        run(convolutional(), watch=Watch(checkpoint=path))


def test_a_step_counts_three_passes_of_each_of_its_images() -> None:
    assert passes(dataset(train=16), Recipe(epochs=5, batch_size=4)) == 3 * 5 * 16
    assert passes(dataset(train=18), Recipe(epochs=5, batch_size=4)) == 3 * 5 * 16  # two images fill no batch
    assert passes(dataset(train=6), Recipe(epochs=5, batch_size=64)) == 3 * 5 * 6


ADAM = Recipe(
    epochs=3, batch_size=4, optimizer="adam", lr=0.01, momentum=0.5, nesterov=False, epsilon=1e-4, weight_decay=0.01
)


def test_adam_takes_the_steps_of_the_optimiser_of_that_name() -> None:
    data = dataset()
    module, other = (nn.Sequential(nn.Flatten(), nn.Linear(64, 2)) for _ in range(2))
    other.load_state_dict(module.state_dict())
    recipe = dataclasses.replace(ADAM, epochs=1, batch_size=16)
    train(module, lambda x, step: module(x), data, recipe, seed=0, watch=Watch())
    x = (data.train.pixels.float() / 255 - data.mean[0]) / data.std[0]
    weight, bias = other[1].weight, other[1].bias
    groups = [{"params": [weight], "weight_decay": 0.01}, {"params": [bias], "weight_decay": 0.0}]
    optimizer = torch.optim.Adam(groups, lr=0.01, betas=(0.5, 0.999), eps=1e-4)
    cross_entropy(other(x), data.train.labels).backward()
    optimizer.step()
    torch.testing.assert_close(module[1].weight, weight, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(module[1].bias, bias, rtol=1e-4, atol=1e-6)


@pytest.mark.usefixtures("always")
def test_a_training_by_adam_killed_and_resumed_ends_with_the_same_bits(tmp_path: Path) -> None:
    whole, resumed = convolutional(), convolutional()
    run(whole, recipe=ADAM)
    path = tmp_path / "killed.safetensors"
    with pytest.raises(Killed):
        run(convolutional(), watch=Watch(checkpoint=path, advance=killed_after(7)), recipe=ADAM)
    run(resumed, watch=Watch(checkpoint=path), recipe=ADAM)
    assert equal(dict(resumed.state_dict()), dict(whole.state_dict()))


def test_nesterov_is_refused_for_adam() -> None:
    with pytest.raises(PalmetteError, match="nesterov goes with sgd only"):
        Recipe(optimizer="adam")
