"""Alternating training: steps of the weights on train, steps of the architecture on search-validation images.

The frame of DARTS (Liu et al., 2019, algorithm 1), FBNet, ProxylessNAS and ENAS. How the architecture learns is the
learner's affair, a gradient or REINFORCE; when, and from which images, is decided here. Both kinds of steps are in one
checkpoint, and a resumed run ends with the same bits.

The architecture learns from the search-validation images, ``data.validation``, which decide between architectures in
every method here; candidates are scored on them too. What is reported in the end comes from test images, after
retraining.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from palmette.data.batches import torch_generator
from palmette.data.text import Corpus, Data
from palmette.training.loop import Step, Updates, part
from palmette.training.recipe import ArchitectureRecipe, Recipe
from palmette.training.steps import Batch, ImageSteps, Steps
from palmette.training.text_steps import TextSteps

IMAGES, DRAWS = 11, 12
"""Keep what is random in architecture steps apart from what is random in weight steps of the same number."""


@dataclass(frozen=True, kw_only=True)
class Turn:
    """One architecture step to be done."""

    number: int
    """From 0, of architecture steps."""
    batch: Batch
    """Of search-validation images."""
    weights: Step
    """The weight step that comes next (cadence step) or came last (cadence epoch): its batch, optimiser, progress."""
    generator: torch.Generator
    """For what this turn draws, on the CPU."""


@dataclass(frozen=True, kw_only=True)
class Learner:
    """What decides architectures, and how it learns."""

    module: nn.Module
    """Its parameters and buffers are kept in checkpoints."""
    optimizer: torch.optim.Optimizer
    """Of the module's parameters; its state is kept in checkpoints."""
    update: Callable[[Turn], Mapping[str, float]]
    """Updates the module's parameters once, the weights not at all, and returns what to log."""
    recipe: ArchitectureRecipe


def adam(module: nn.Module, recipe: ArchitectureRecipe) -> torch.optim.Adam:
    """Return the optimiser of architecture parameters that the recipe describes."""
    return torch.optim.Adam(module.parameters(), lr=recipe.lr, betas=recipe.betas, weight_decay=recipe.weight_decay)


def held_out_steps(data: Data, recipe: ArchitectureRecipe, *, seed: int) -> Steps:
    """Return the batches of search-validation images, or text, that the architecture learns from."""
    if isinstance(data, Corpus):
        return TextSteps(data, data.validation, Recipe(batch_size=recipe.batch_size, bptt=recipe.bptt))
    own = int(np.random.SeedSequence([seed, IMAGES]).generate_state(1)[0])
    plain = Recipe(batch_size=recipe.batch_size, augmentation=recipe.augmentation)
    return ImageSteps(data, data.validation, plain, seed=own)


def alternately(updates: Updates, learner: Learner, held_out: Steps, *, seed: int) -> Updates:
    """Return ``updates`` of the weights with the steps of ``learner`` between them, for ``train_by``.

    Args:
        updates: of the weights.
        learner: of the architecture.
        held_out: what it learns from, for example ``held_out_steps(data, ...)``.
        seed: of what it draws.
    """
    recipe = learner.recipe
    last: dict[str, float] = {}

    def turn(number: int, step: Step) -> None:
        generator = torch_generator(seed, number, DRAWS)
        batch = Batch.of(held_out, number)
        last.update(learner.update(Turn(number=number, batch=batch, weights=step, generator=generator)))

    def before_step(step: Step) -> None:
        updates.before_step(step)
        since = step.number - recipe.warmup_epochs * step.steps_per_epoch
        if recipe.cadence == "step" and since >= 0 and since % recipe.every == 0:
            turn(since // recipe.every, step)

    def after_step(step: Step) -> None:
        updates.after_step(step)
        epochs, within = divmod(step.number + 1, step.steps_per_epoch)
        epoch = epochs - 1 - recipe.warmup_epochs
        if recipe.cadence == "epoch" and within == 0 and epoch >= 0:
            count = recipe.steps or held_out.steps_per_epoch
            for number in range(epoch * count, (epoch + 1) * count):
                turn(number, step)

    def restore_tensors(tensors: Mapping[str, Tensor]) -> None:
        updates.restore_tensors(tensors)
        _restore(tensors, learner, held_out)

    return dataclasses.replace(
        updates,
        before_step=before_step,
        after_step=after_step,
        scalars=lambda: {**updates.scalars(), **last},
        tensors=lambda: {**updates.tensors(), **_tensors(learner, held_out)},
        restore_tensors=restore_tensors,
    )


def _tensors(learner: Learner, held_out: Steps) -> dict[str, Tensor]:
    """Return what the learner has learned, the state of its optimiser by parameter number, and that of its data."""
    tensors = {f"held_out/{name}": tensor for name, tensor in held_out.state().items()}
    tensors |= {f"architecture/{name}": tensor for name, tensor in learner.module.state_dict().items()}
    for number, values in learner.optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer/{number}/{key}": value for key, value in values.items() if isinstance(value, Tensor)}
    return tensors


def _restore(tensors: Mapping[str, Tensor], learner: Learner, held_out: Steps) -> None:
    held_out.restore(part(tensors, "held_out/"))
    learner.module.load_state_dict(part(tensors, "architecture/"))
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in part(tensors, "optimizer/").items():
        number, key = name.split("/")
        state.setdefault(int(number), {})[key] = tensor
    groups = learner.optimizer.state_dict()["param_groups"]
    learner.optimizer.load_state_dict({"state": state, "param_groups": groups})
