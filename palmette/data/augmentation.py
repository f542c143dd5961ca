"""Augmentation: random crop, flip and cutout of a whole batch of uint8 images or voxels, on the device they lie on.

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
from palmette.errors import DataError


def augment(pixels: Tensor, augmentation: Augmentation, generator: torch.Generator) -> Tensor:
    """Return the images, each changed at random; without any change asked for, ``pixels`` itself.

    Args:
        pixels: uint8 ``[N, C, H, W]``, or ``[N, C, D, H, W]`` without cutout.
        augmentation: which changes, and how large.
        generator: draws the changes; on the device of ``pixels``.
    """
    if augmentation.pad or augmentation.flip:
        pixels = _cropped(pixels, augmentation, generator)
    if augmentation.cutout:
        pixels = pixels * _kept(pixels, augmentation.cutout, generator)
    return pixels


def normalise(pixels: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """Return uint8 ``[N, C, ...]`` as float32 ``[N, C, ...]`` of mean 0 and deviation 1.

    ``mean`` and ``std`` are per channel, of pixels from 0 to 1.
    """
    means, stds = (
        torch.tensor(values, dtype=torch.float32, device=pixels.device).view(-1, *[1] * (pixels.ndim - 2))
        for values in (mean, std)
    )
    return pixels.float().mul_(1 / (255 * stds)).sub_(means / stds)


def _cropped(pixels: Tensor, augmentation: Augmentation, generator: torch.Generator) -> Tensor:
    """Return windows of the zero-padded images, mirrored or not."""
    images, channels, *sides = pixels.shape
    padded = pad(pixels, (augmentation.pad, augmentation.pad) * len(sides))
    windows = [_window(images, side, augmentation.pad, generator) for side in sides]
    if augmentation.flip:
        mirrored = torch.rand(images, 1, generator=generator, device=generator.device) < 0.5
        windows[-1] = torch.where(mirrored, windows[-1].flip(1), windows[-1])
    source = windows[0]
    for side, window in zip(padded.shape[3:], windows[1:], strict=True):
        source = (source[:, :, None] * side + window[:, None, :]).flatten(1)
    index = source.view(images, 1, -1).expand(-1, channels, -1)
    return padded.flatten(2).gather(2, index).view(pixels.shape)


def _window(images: int, side: int, margin: int, generator: torch.Generator) -> Tensor:
    """Return which padded rows (or columns) each image shows, int64 ``[N, side]``."""
    start = torch.randint(2 * margin + 1, (images, 1), generator=generator, device=generator.device)
    return start + torch.arange(side, device=generator.device)


def _kept(pixels: Tensor, length: int, generator: torch.Generator) -> Tensor:
    """Return 0 inside each image's square and 1 outside, uint8 ``[N, 1, H, W]``."""
    if pixels.ndim != 4:
        raise DataError("augmentation: cutout was given for voxels; it works on images only; set cutout to 0")
    images, _, height, width = pixels.shape
    rows = _near_a_centre(images, height, length, generator)
    columns = _near_a_centre(images, width, length, generator)
    return 1 - rows[:, None, :, None] * columns[:, None, None, :]  # on uint8 several times as fast as on bool


def _near_a_centre(images: int, side: int, length: int, generator: torch.Generator) -> Tensor:
    """Return 1 for the rows (or columns) in a stretch of ``length`` around a random one, uint8 ``[N, side]``."""
    centre = torch.randint(side, (images, 1), generator=generator, device=generator.device)
    offset = torch.arange(side, device=generator.device) - centre + length // 2
    return ((offset >= 0) & (offset < length)).to(torch.uint8)
