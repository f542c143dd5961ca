"""Steps: what one step of a training sees and what its loss is; images with labels here, text in ``text_steps.py``.

The loop knows nothing else of the data. What a step sees is a function of (seed, step) and, for text, of the hidden
state that the step before ended with, which checkpoints keep.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from palmette import ranks
from palmette.data.augmentation import augment, normalise
from palmette.data.batches import TrainingBatches, torch_generator
from palmette.data.images import Dataset, Images
from palmette.errors import PalmetteError
from palmette.training.recipe import Recipe

Pass = Callable[[Any], Any]
"""``input -> output``, one forward pass of one step; for example images ``[N, C, H, W]`` to logits ``[N, classes]``."""


class Steps(Protocol):
    """The batches of a training in order, and the loss of what a network makes of them."""

    @property
    def device(self) -> torch.device: ...

    @property
    def steps_per_epoch(self) -> int: ...

    @property
    def inputs_per_step(self) -> int:
        """Images, or tokens: what costs are counted by."""
        ...

    @property
    def share(self) -> float:
        """This rank's part of a batch, in equal parts: 1 for one process alone."""
        ...

    def input(self, step: int) -> Any:
        """Return what the network is given in ``step`` (from 0, through all epochs): images, or a text segment.

        Of several ranks each gets a part of it.
        """
        ...

    def loss(self, output: Any) -> Tensor:
        """Return the loss of the network's output for the last input, a scalar."""
        ...

    def state(self) -> Mapping[str, Tensor]:
        """Return what the next step needs besides its number."""
        ...

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Take over what ``state`` gave."""
        ...


@dataclass(frozen=True, eq=False)
class Batch:
    """What one step sees, and the loss of forward passes on it, until ``steps`` goes on to the next."""

    steps: Steps
    input: Any
    """Images, or a text segment."""

    @staticmethod
    def of(steps: Steps, step: int) -> Batch:
        """Return the batch of ``step`` (from 0, through all epochs)."""
        return Batch(steps, steps.input(step))

    def loss(self, forward: Pass) -> Tensor:
        """Return the loss of a forward pass over all ranks, a scalar; the pass runs in bfloat16 on a GPU."""
        device = self.steps.device.type
        with torch.autocast(device, torch.bfloat16, enabled=device == "cuda"):
            output = forward(self.input)
        return ranks.mean_loss(self.steps.loss(output), self.steps.share)


class ImageSteps:
    """Augmented images of one role in random order, cross-entropy with label smoothing.

    A network with an auxiliary head returns a pair of logits in training; the recipe says what the second counts.
    """

    def __init__(self, data: Dataset, images: Images, recipe: Recipe, *, seed: int) -> None:
        self.data = data
        self.recipe = recipe
        self.seed = seed
        self.batches = TrainingBatches(images, recipe.batch_size, seed)
        self.mine = ranks.part(self.batches.batch_size)
        self._labels = images.labels[:0]

    @property
    def device(self) -> torch.device:
        return self.data.device

    @property
    def steps_per_epoch(self) -> int:
        return self.batches.steps_per_epoch

    @property
    def inputs_per_step(self) -> int:
        return self.batches.batch_size

    @property
    def share(self) -> float:
        return ranks.share(self.batches.batch_size)

    def input(self, step: int) -> Tensor:
        pixels, labels = self.batches.batch(step)
        self._labels = labels[self.mine]
        generator = torch_generator(self.seed, step, device=pixels.device)
        augmented = augment(pixels, self.recipe.augmentation, generator)  # all, so that every image gets the same draw
        return to_input(augmented[self.mine], self.data)

    def loss(self, output: Tensor | tuple[Tensor, Tensor]) -> Tensor:
        logits, second = output if isinstance(output, tuple) else (output, None)
        loss = self._cross_entropy(logits)
        if not self.recipe.auxiliary_weight:
            return loss
        if second is None:
            raise PalmetteError(
                f"recipe: auxiliary_weight = {self.recipe.auxiliary_weight} was given and the network has no auxiliary "
                "head; set it to 0, or train a network of a space that has one, as darts"
            )
        return loss + self.recipe.auxiliary_weight * self._cross_entropy(second)

    def state(self) -> Mapping[str, Tensor]:
        return {}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """There is nothing to take over."""

    def _cross_entropy(self, logits: Tensor) -> Tensor:
        return cross_entropy(logits.float(), self._labels, label_smoothing=self.recipe.label_smoothing)


def to_input(pixels: Tensor, data: Dataset) -> Tensor:
    """Return uint8 pixels as normalised float images in the memory format that networks here run fastest in."""
    return normalise(pixels, data.mean, data.std).contiguous(memory_format=memory_format(pixels.ndim))


def memory_format(axes: int) -> torch.memory_format:
    """Return channels last, for images and for voxels of ``axes == 5``."""
    return torch.channels_last_3d if axes == 5 else torch.channels_last
