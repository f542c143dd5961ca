"""Alternating training: who learns from which images and when, and resuming to the bit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import pytest
import torch
from tiny import dataset, space
from torch import Tensor

import palmette.training.loop as loop
from palmette.data.options import Augmentation
from palmette.errors import PalmetteError
from palmette.relaxations.gumbel_softmax import gumbel_softmax
from palmette.supernets.architecture_parameters import ArchitectureParameters
from palmette.training.alternating import Learner, Turn, adam, alternately, held_out_steps
from palmette.training.loop import Updates, Watch, train_by
from palmette.training.recipe import ArchitectureRecipe, Recipe
from palmette.training.steps import Pass, to_input

RECIPE = Recipe(epochs=3, batch_size=4, lr=0.05, augmentation=Augmentation(pad=1))
"""12 steps: 3 epochs of 16 images in batches of 4."""
NOISY = partial(gumbel_softmax, temperature=1.0)


class Killed(Exception):
    """Stands for the end of the process."""


class Run:
    """A training of a mixture with Gumbel-softmax weights, and a record of what it was asked to do."""

    def __init__(self, recipe: ArchitectureRecipe, watch: Watch | None = None) -> None:
        made = space(2)
        self.supernet = made.supernet(seed=0)
        self.parameters = ArchitectureParameters(made.mixtures.options(), seed=1)
        self.optimizer = adam(self.parameters, recipe)
        self.order = ""
        self.turns: list[Turn] = []
        self.rates: list[float] = []
        learner = Learner(module=self.parameters, optimizer=self.optimizer, update=self.update, recipe=recipe)
        updates = alternately(Updates(passes=self.passes), learner, held_out_steps(dataset(), recipe, seed=5), seed=5)
        train_by(updates, self.supernet, dataset(), RECIPE, seed=5, watch=watch or Watch())

    def passes(self, step: int) -> Sequence[Pass]:
        self.order += "w"
        probabilities = self.parameters.probabilities()
        return [lambda images: self.supernet(images, probabilities)]

    def update(self, turn: Turn) -> Mapping[str, float]:
        self.order += "a"
        self.turns.append(turn)
        self.rates.append(turn.weights.optimizer.param_groups[0]["lr"])
        choice = self.parameters.choice(NOISY, turn.generator)
        loss = turn.batch.loss(lambda images: self.supernet(images, choice))
        parameters = list(self.parameters.parameters())
        for parameter, gradient in zip(parameters, torch.autograd.grad(loss, parameters), strict=True):
            parameter.grad = gradient
        self.optimizer.step()
        return {"architecture_loss": float(loss.detach())}

    def state(self) -> dict[str, Tensor]:
        adam_state = self.optimizer.state_dict()["state"]
        moments = {f"{i}/{key}": value for i, values in adam_state.items() for key, value in values.items()}
        return {**self.supernet.state_dict(), **self.parameters.state_dict(), **moments}


def quick(**settings: object) -> ArchitectureRecipe:
    return ArchitectureRecipe(lr=0.1, batch_size=6, **settings)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("recipe", "order"),
    [
        (quick(), "aw" * 12),
        (quick(every=5), "awwwwwawwwwwaww"),
        (quick(warmup_epochs=1, every=2), "wwww" + "aww" * 4),
        (quick(cadence="epoch"), "wwwwaa" * 3),  # 12 search-validation images are two batches of 6
        (quick(cadence="epoch", steps=1, warmup_epochs=2), "wwwwwwww" + "wwwwa"),
        (quick(warmup_epochs=3), "w" * 12),
    ],
)
def test_architecture_steps_stand_where_the_cadence_says(recipe: ArchitectureRecipe, order: str) -> None:
    assert Run(recipe).order == order


def test_the_architecture_learns_from_search_validation_images_and_the_weights_from_others() -> None:
    turns = Run(quick()).turns
    data = dataset()
    held_out = {tuple(image.flatten().tolist()) for image in to_input(data.validation.pixels, data)}
    for number, turn in enumerate(turns):
        assert turn.number == turn.weights.number == number
        assert {tuple(image.flatten().tolist()) for image in turn.batch.input} <= held_out
        assert {tuple(image.flatten().tolist()) for image in turn.weights.batch.input}.isdisjoint(held_out)
    epoch = torch.cat([turn.batch.input for turn in turns[:2]])
    assert len({tuple(image.flatten().tolist()) for image in epoch}) == 12  # two batches of 6 show every image once


def test_the_next_weight_step_is_known_to_the_architecture_step() -> None:
    run = Run(quick())
    weights = run.turns[7].weights
    assert (weights.number, weights.steps, weights.steps_per_epoch) == (7, 12, 4)
    assert run.rates[7] == RECIPE.learning_rate(7, 12, 4)
    assert len(weights.batch.input) == 4


@pytest.mark.parametrize("recipe", [quick(), quick(every=3), quick(cadence="epoch"), quick(warmup_epochs=1)])
@pytest.mark.parametrize("at", [1, 6, 11])
def test_a_training_killed_anywhere_ends_with_the_bits_of_an_undisturbed_one(
    recipe: ArchitectureRecipe, at: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", -1.0)
    whole = Run(recipe).state()
    assert any(name.endswith("exp_avg_sq") for name in whole)

    def killed(done: int, total: int) -> None:
        if done == at:
            raise Killed

    checkpoint = tmp_path / "supernet.safetensors"
    with pytest.raises(Killed):
        Run(recipe, Watch(advance=killed, checkpoint=checkpoint))
    for _ in range(2):  # the second time all is done, and the architecture parameters are still there
        resumed = Run(recipe, Watch(checkpoint=checkpoint)).state()
        assert resumed.keys() == whole.keys()
        assert all(torch.equal(tensor, whole[name]) for name, tensor in resumed.items())


def test_what_the_architecture_step_reports_is_logged_beside_the_loss() -> None:
    logged: list[dict[str, float]] = []
    Run(quick(), Watch(log=lambda step, scalars: logged.append(scalars)))
    assert {"loss", "lr", "architecture_loss"} == set(logged[-1])


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ({"every": 0}, "every = 0"),
        ({"lr": float("nan")}, "lr = nan"),
        ({"betas": (0.5, 1.0)}, "betas"),
        ({"cadence": "never"}, "allowed are step, epoch"),
        ({"steps": 3}, "'steps' with cadence epoch"),
        ({"cadence": "epoch", "every": 2}, "'every' goes with cadence step"),
    ],
)
def test_impossible_settings_are_refused(wrong: dict[str, object], text: str) -> None:
    with pytest.raises(PalmetteError, match=text):
        ArchitectureRecipe(**wrong)  # type: ignore[arg-type]
