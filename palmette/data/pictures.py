"""Pictures: image files decoded and resized with Pillow, and folders of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from io import BytesIO
from pathlib import Path
from types import ModuleType

import numpy as np
import numpy.typing as npt

from palmette.errors import DataError, MissingExtraError

Pixels = npt.NDArray[np.uint8]

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp")
GREY_MODES = ("1", "L", "LA")
COLOUR_MODES = ("P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr")


def read_folder(where: str, folder: Path, image_size: int | None) -> tuple[Pixels, list[str]]:
    """Return the images of ``folder/<class>/``, uint8 ``[N, H, W, C]``, and the class name of each, in sorted order.

    Files with other endings than ``SUFFIXES``, and whatever begins with a dot, are not looked at.

    Raises:
        DataError: no class folders, a class without images, or images that cannot be read or differ in size.
    """
    kinds = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    if not kinds:
        raise DataError(
            f"{where}: no folders of classes in {folder}; allowed is {folder.name}/<class>/<image>.png; "
            "put the images of each class into a folder of its name"
        )
    files = [file for kind in kinds for file in _image_files(where, kind)]
    return stacked(where, ((str(file), file) for file in files), image_size), [file.parent.name for file in files]


def stacked(where: str, pictures: Iterable[tuple[str, Path | bytes]], image_size: int | None) -> Pixels:
    """Return the decoded pictures as uint8 ``[N, H, W, C]``: one channel if all are grey, else three.

    Args:
        where: what an error begins with.
        pictures: a name for messages, and the path or the bytes of the file.
        image_size: resize to this height and width, in pixels; without it they must have one size.

    Raises:
        DataError: no pictures, one that cannot be read, or different sizes.
        MissingExtraError: Pillow is missing.
    """
    decoded: list[Pixels] = []
    first = ""
    for name, content in pictures:
        pixels = _decoded(where, name, content)
        if image_size is not None:
            pixels = resized(where, pixels[None], image_size)[0]
        first = first or name
        if decoded and pixels.shape[:2] != decoded[0].shape[:2]:
            raise DataError(
                f"{where}: images of differing size were given: {_size(decoded[0])} ({first}) and {_size(pixels)} "
                f"({name}); they must have one; set image_size (--image-size) to resize them all"
            )
        decoded.append(pixels)
    if not decoded:
        raise DataError(f"{where}: there are no images; at least two classes of them are needed")
    channels = max(pixels.shape[2] for pixels in decoded)
    result = np.empty((len(decoded), *decoded[0].shape[:2], channels), np.uint8)
    for index, pixels in enumerate(decoded):
        result[index] = pixels
    return result


def resized(where: str, images: Pixels, size: int) -> Pixels:
    """Return images ``[N, H, W, C]`` as ``[N, size, size, C]``, bilinear; other proportions are not kept.

    Raises:
        DataError: a size below 1, or voxels.
        MissingExtraError: Pillow is missing.
    """
    if images.ndim != 4:
        raise DataError(f"{where}: image_size = {size} was given for voxels; only images are resized; leave it out")
    if size < 1:
        raise DataError(f"{where}: image_size = {size} was given; allowed are sizes in pixels from 1")
    if images.shape[1:3] == (size, size):
        return images
    pillow = _pillow(where)
    result = np.empty((len(images), size, size, images.shape[3]), np.uint8)
    for index, image in enumerate(images):
        picture = pillow.fromarray(image[..., 0] if image.shape[2] == 1 else image)
        result[index] = np.asarray(picture.resize((size, size), pillow.Resampling.BILINEAR)).reshape(size, size, -1)
    return result


def _image_files(where: str, kind: Path) -> Iterator[Path]:
    files = sorted(file for file in kind.iterdir() if file.suffix.lower() in SUFFIXES and not file.name.startswith("."))
    if not files:
        raise DataError(
            f"{where}: no images in {kind}; allowed are files ending in {', '.join(SUFFIXES)}; "
            "add some, or remove that folder"
        )
    yield from files


def _decoded(where: str, name: str, content: Path | bytes) -> Pixels:
    """Return one picture, upright, as uint8 ``[H, W, 1]`` if it is grey, else ``[H, W, 3]``."""
    pillow = _pillow(where)
    from PIL import ImageOps

    try:
        with pillow.open(BytesIO(content) if isinstance(content, bytes) else content) as picture:
            if picture.mode not in GREY_MODES + COLOUR_MODES:
                raise DataError(
                    f"{where}: {name} has pixels of mode {picture.mode}; allowed are 8 bits per channel; "
                    "convert it to grey or RGB"
                )
            upright = ImageOps.exif_transpose(picture)
            array = np.asarray(upright.convert("L" if picture.mode in GREY_MODES else "RGB"))
    except (OSError, SyntaxError, pillow.DecompressionBombError) as error:  # a broken PNG is a SyntaxError to Pillow
        raise DataError(f"{where}: {name} is not an image that can be read ({error}); replace or remove it") from error
    return array.reshape(*array.shape[:2], -1)


def _pillow(where: str) -> ModuleType:
    try:
        from PIL import Image
    except ImportError as error:
        raise MissingExtraError(f"{where}: this needs Pillow ({error}); pip install palmette[datasets]") from None
    return Image


def _size(pixels: Pixels) -> str:
    height, width = pixels.shape[:2]
    return f"{width}x{height}"
