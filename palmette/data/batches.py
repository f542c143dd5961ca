"""Training batches as a function of seed and step, so that a resumed run sees what an unbroken one would.

Nothing is drawn from a state that a run would have to store: the order of an epoch follows from (seed, epoch), and
other random numbers of a step from a generator made for it with ``torch_generator(seed, step, ...)``.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from palmette.data.images import Images
from palmette.errors import PalmetteError


class TrainingBatches:
    """Batches of whole epochs in random order; the last images of an epoch that fill no batch are left out.

    Args:
        images: a set smaller than a batch is one batch, whole.
        batch_size: images per step.
        seed: from 0.

    Raises:
        PalmetteError: no images, a batch size below 1 or a negative seed.
    """

    def __init__(self, images: Images, batch_size: int, seed: int) -> None:
        if len(images) < 1 or batch_size < 1 or seed < 0:
            raise PalmetteError(
                f"batches: {len(images)} images, batch_size = {batch_size} and seed = {seed} were given; "
                "allowed are at least 1 image, a batch size from 1 and a seed from 0"
            )
        self.images = images
        self.batch_size = min(batch_size, len(images))
        self.seed = seed
        self._epoch = -1
        self._order = images.labels[:0]

    @property
    def steps_per_epoch(self) -> int:
        """Batches in one epoch."""
        return len(self.images) // self.batch_size

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        """Return the batch of ``step`` (from 0, through all epochs): uint8 ``[B, C, H, W]`` and int64 ``[B]``."""
        epoch, position = divmod(step, self.steps_per_epoch)
        if epoch != self._epoch:
            order = np.random.default_rng([self.seed, epoch]).permutation(len(self.images))
            self._epoch, self._order = epoch, torch.from_numpy(order).to(self.images.labels.device)
        taken = self.images.take(self._order[position * self.batch_size :][: self.batch_size])
        return taken.pixels, taken.labels


def torch_generator(*entropy: int, device: torch.device | str = "cpu") -> torch.Generator:
    """Return a new generator on ``device``, seeded by a stable hash of the integers; they must not be negative."""
    seed = np.random.SeedSequence([len(entropy), *entropy]).generate_state(1, np.uint64)
    return torch.Generator(device).manual_seed(int(seed[0]))
