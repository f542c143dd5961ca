"""Images: labelled pixels, and the data set as four roles of them.

Pixels stay uint8 and can lie on the device; augmentation and normalisation happen there, a batch at a time.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from palmette.errors import DataError


@dataclass(frozen=True, eq=False)
class Images:
    """Labelled images of one shape.

    Raises:
        DataError: other types or shapes than below.
    """

    pixels: Tensor
    """uint8 ``[N, C, H, W]``, or voxels ``[N, C, D, H, W]``."""
    labels: Tensor
    """Class indices, int64 ``[N]``."""

    def __post_init__(self) -> None:
        pixels, labels = self.pixels, self.labels
        fits = pixels.ndim in (4, 5) and labels.shape == pixels.shape[:1]
        if not fits or pixels.dtype != torch.uint8 or labels.dtype != torch.int64:
            raise DataError(
                f"images: pixels {pixels.dtype} {list(pixels.shape)} and labels {labels.dtype} {list(labels.shape)} "
                "were given; allowed are torch.uint8 [N, C, H, W] or [N, C, D, H, W], and torch.int64 [N]"
            )

    def __len__(self) -> int:
        return len(self.labels)

    def to(self, device: torch.device | str) -> Images:
        """Return the images on ``device``."""
        return Images(self.pixels.to(device), self.labels.to(device))

    def take(self, index: Tensor) -> Images:
        """Return a copy of the images at ``index``, int64 ``[M]`` on any device, in that order."""
        index = index.to(self.labels.device)
        return Images(self.pixels.index_select(0, index), self.labels.index_select(0, index))


@dataclass(frozen=True, eq=False)
class Dataset:
    """One data set in its roles; train, validation and test are disjoint, calibration is a part of train."""

    name: str
    train: Images
    """Trains weights."""
    validation: Images
    """Decides between architectures."""
    calibration: Images
    """Recomputes BatchNorm statistics."""
    test: Images
    """Is reported once, at the end."""
    classes: tuple[str, ...]
    mean: tuple[float, ...]
    """Of each channel of train, with pixels from 0 to 1."""
    std: tuple[float, ...]
    """Of each channel of train, with pixels from 0 to 1."""

    @property
    def input_shape(self) -> tuple[int, ...]:
        """``(C, H, W)``, of voxels ``(C, D, H, W)``."""
        return tuple(self.train.pixels.shape[1:])

    @property
    def device(self) -> torch.device:
        """Where the images lie, and therefore where networks run."""
        return self.train.pixels.device

    def to(self, device: torch.device | str) -> Dataset:
        """Return the data set on ``device``."""
        return Dataset(
            name=self.name,
            train=self.train.to(device),
            validation=self.validation.to(device),
            calibration=self.calibration.to(device),
            test=self.test.to(device),
            classes=self.classes,
            mean=self.mean,
            std=self.std,
        )
