"""Augmentation: random crop, flip and cutout of a whole batch of uint8 images, on the device they lie on.

Crop and flip are one look-up: for every image, a table of which pixel of the padded original each output pixel
shows. Cutout (DeVries & Taylor, 2017, section 3) sets a square to zero whose centre is any pixel of the image, so
that part of the square may lie outside.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import pad

from palmette.data.options import Augmentation


def augment(pixels: Tensor, augmentation: Augmentation, generator: torch.Generator) -> Tensor:
    """Return the images, each changed at random; without any change asked for, ``pixels`` itself.

    Args:
        pixels: uint8 ``[N, C, H, W]``.
        augmentation: which changes, and how large.
        generator: draws the changes; on the device of ``pixels``.
    """
    if augmentation.pad or augmentation.flip:
        pixels = _cropped(pixels, augmentation, generator)
    if augmentation.cutout:
        pixels = pixels * _kept(pixels, augmentation.cutout, generator)
    return pixels


def normalise(pixels: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """Return uint8 ``[N, C, H, W]`` as float32 ``[N, C, H, W]`` of mean 0 and deviation 1.

    ``mean`` and ``std`` are per channel, of pixels from 0 to 1.
    """
    means = torch.tensor(mean, dtype=torch.float32, device=pixels.device).view(-1, 1, 1)
    stds = torch.tensor(std, dtype=torch.float32, device=pixels.device).view(-1, 1, 1)
    return pixels.float().mul_(1 / (255 * stds)).sub_(means / stds)


def _cropped(pixels: Tensor, augmentation: Augmentation, generator: torch.Generator) -> Tensor:
    """Return windows of the zero-padded images, mirrored or not."""
    images, channels, height, width = pixels.shape
    padded = pad(pixels, (augmentation.pad,) * 4)
    rows = _window(images, height, augmentation.pad, generator)
    columns = _window(images, width, augmentation.pad, generator)
    if augmentation.flip:
        mirrored = torch.rand(images, 1, generator=generator, device=generator.device) < 0.5
        columns = torch.where(mirrored, columns.flip(1), columns)
    source = rows[:, :, None] * padded.shape[3] + columns[:, None, :]
    index = source.view(images, 1, -1).expand(-1, channels, -1)
    return padded.flatten(2).gather(2, index).view(pixels.shape)


def _window(images: int, side: int, margin: int, generator: torch.Generator) -> Tensor:
    """Return which padded rows (or columns) each image shows, int64 ``[N, side]``."""
    start = torch.randint(2 * margin + 1, (images, 1), generator=generator, device=generator.device)
    return start + torch.arange(side, device=generator.device)


def _kept(pixels: Tensor, length: int, generator: torch.Generator) -> Tensor:
    """Return 0 inside each image's square and 1 outside, uint8 ``[N, 1, H, W]``."""
    images, _, height, width = pixels.shape
    rows = _near_a_centre(images, height, length, generator)
    columns = _near_a_centre(images, width, length, generator)
    return 1 - rows[:, None, :, None] * columns[:, None, None, :]  # on uint8 several times as fast as on bool


def _near_a_centre(images: int, side: int, length: int, generator: torch.Generator) -> Tensor:
    """Return 1 for the rows (or columns) in a stretch of ``length`` around a random one, uint8 ``[N, side]``."""
    centre = torch.randint(side, (images, 1), generator=generator, device=generator.device)
    offset = torch.arange(side, device=generator.device) - centre + length // 2
    return ((offset >= 0) & (offset < length)).to(torch.uint8)
