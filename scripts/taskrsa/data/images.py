"""Read image files, and change the size of images, maps of values and maps of ids."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from taskrsa.errors import DataError
from taskrsa.text import one_line

Pixels = Path | bytes  # an image file, or what it would hold

# What Pillow raises on files that are damaged, no image or far too large.
BROKEN = (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError)
HALF = 0.5  # a pixel of a smaller map is known if at least this share of its area is


@contextmanager
def opened(source: Pixels) -> Iterator[Image.Image]:
    """Open an image for a block that reads it; DataError if it is missing, damaged or no image."""
    name = "image" if isinstance(source, bytes) else source
    try:
        with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source) as image:
            yield image
    except FileNotFoundError:
        raise DataError(f"{name}: file not found; restore it or take its image out") from None
    except BROKEN as error:
        raise DataError(
            f"{name}: cannot be read as an image ({one_line(error)}); copy it again"
        ) from None


def read_image(path: Path) -> np.ndarray:
    """Return the pixels of an image file as stored: (H, W) or (H, W, channels)."""
    with opened(path) as image:
        return np.asarray(image)


@contextmanager
def opened_photograph(source: Pixels) -> Iterator[Image.Image]:
    """Open an image as `opened` does; DataError if it has more than 8 bits per channel."""
    with opened(source) as image:
        if image.mode.startswith(("I", "F")):
            raise DataError(
                f"{source}: is not 8 bits per channel (mode {image.mode}); save it as 8-bit RGB"
            )
        yield image


def read_photograph(source: Pixels, upright: bool = False) -> np.ndarray:
    """Return a photograph at its own size, (H, W, 3) uint8, turned as its EXIF tag says if it is to
    be `upright`; what is transparent lies on white. DataError if it is missing, damaged or not 8
    bits per channel."""
    with opened_photograph(source) as image:
        return np.asarray(_on_white(ImageOps.exif_transpose(image) if upright else image))


def _on_white(image: Image.Image) -> Image.Image:
    """Return an image in RGB, over white: what transparent pixels hide is seen nowhere else."""
    if not image.has_transparency_data:
        return image.convert("RGB")
    image = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")


def load_mat(path: str | Path, names: Sequence[str], remedy: str) -> dict[str, np.ndarray]:
    """Return variables of a MATLAB file (before 7.3); DataError if it cannot be read."""
    from scipy.io import loadmat

    try:
        with open(path, "rb") as stream:
            return loadmat(stream, variable_names=list(names))
    except FileNotFoundError:
        raise DataError(f"{path}: file not found; {remedy}") from None
    except NotImplementedError:
        raise DataError(f"{path}: is a MATLAB file of version 7.3; save it with -v7") from None
    except Exception as error:  # a damaged file makes the reader fail in any way
        raise DataError(f"{path}: is not a MATLAB file ({one_line(error)}); {remedy}") from None


def read_levels(path: str | Path) -> np.ndarray:
    """Return a one-channel map of whole numbers (depth, ids) as (H, W) int32; DataError if the
    file cannot be read or has several channels."""
    pixels = read_image(path)
    if pixels.ndim != 2 or pixels.dtype.kind not in "ui":
        raise DataError(f"{path}: must have one channel of whole numbers; export it again")
    return pixels.astype(np.int32)


def check_size(path: str | Path, pixels: np.ndarray, height: int, width: int, of: str) -> None:
    """Raise a DataError unless `pixels` is height x width, the size of `of`."""
    if pixels.shape[:2] != (height, width):
        raise DataError(
            f"{path}: is {pixels.shape[1]} x {pixels.shape[0]} pixels but {of} is "
            f"{width} x {height}; export both at one size"
        )


def resize_rgb(rgb: np.ndarray, size: int) -> np.ndarray:
    """Return a photograph at size x size: the mean over each new pixel's area."""
    if rgb.shape[:2] == (size, size):
        return rgb
    return np.asarray(Image.fromarray(rgb).resize((size, size), Image.Resampling.BOX))


def centre_square(rgb: np.ndarray, size: int) -> np.ndarray:
    """Return the centre square of a photograph at size x size: the mean over the area."""
    height, width = rgb.shape[:2]
    side = min(height, width)
    left, top = (width - side) // 2, (height - side) // 2
    box = (left, top, left + side, top + side)
    return np.asarray(Image.fromarray(rgb).resize((size, size), Image.Resampling.BOX, box=box))


def resize_nearest(values: np.ndarray, size: int) -> np.ndarray:
    """Return a map (H, W, ...) at size x size: the value at each new pixel's centre."""
    rows, columns = (
        ((np.arange(size) + 0.5) * length / size).astype(int) for length in values.shape[:2]
    )
    return values[rows[:, None], columns]


@lru_cache(maxsize=16)
def area_weights(length: int, size: int) -> np.ndarray:
    """Return (size, length) float32: the share of each new pixel that each old pixel covers."""
    edges = np.arange(size + 1) * (length / size)
    old = np.arange(length)
    overlap = np.minimum(edges[1:, None], old + 1) - np.maximum(edges[:-1, None], old)
    weights = np.clip(overlap, 0, None)
    weights = (weights / weights.sum(1, keepdims=True)).astype(np.float32)
    weights.setflags(write=False)
    return weights


def resize_mean(values: np.ndarray, valid: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Resize maps (C, H, W) by the mean over the valid part (H, W) of each new pixel's area.

    Returns values (C, size, size) float32, 0 where invalid, and where at least half of the area is
    valid (size, size). What stands at invalid pixels does not matter.
    """
    rows = area_weights(values.shape[1], size)
    columns = area_weights(values.shape[2], size).T
    share = rows @ valid.astype(np.float32) @ columns
    total = rows @ np.where(valid, values, 0).astype(np.float32) @ columns
    known = share >= HALF - 1e-6
    return np.where(known, total / np.maximum(share, 1e-6), 0).astype(np.float32), known


def resize_majority(ids: np.ndarray, valid: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Resize a map of ids (H, W) by the valid id that covers most of each new pixel; returns as
    `resize_mean`, without channels."""
    names, inverse = np.unique(ids, return_inverse=True)
    inverse = inverse.reshape(ids.shape)
    height, width = ids.shape
    if height % size == 0 and width % size == 0:
        # Whole pixels in each new one: count them all at once.
        place = np.arange(height)[:, None] // (height // size) * size
        place = place + np.arange(width) // (width // size)
        bins = (place * len(names) + inverse)[valid]
        counts = np.bincount(bins, minlength=size * size * len(names)).reshape(size * size, -1)
        known = counts.sum(1) * size * size >= HALF * height * width
        winner = names[counts.argmax(1)]
        return np.where(known, winner, 0).reshape(size, size), known.reshape(size, size)
    rows, columns = area_weights(height, size), area_weights(width, size).T
    known = rows @ valid.astype(np.float32) @ columns >= HALF - 1e-6
    best = np.zeros((size, size), np.float32)
    winner = np.zeros((size, size), ids.dtype)
    for index, name in enumerate(names):  # one at a time: memory stays that of one map
        share = rows @ ((inverse == index) & valid).astype(np.float32) @ columns
        better = share > best + 1e-6
        best[better], winner[better] = share[better], name
    return np.where(known, winner, 0), known


def resize_depth(depth: np.ndarray, size: int) -> np.ndarray:
    """Return depth (H, W; nan unknown) at size x size: the mean over the known part of the area."""
    if depth.shape == (size, size):
        return depth.astype(np.float32)
    values, known = resize_mean(depth[None], np.isfinite(depth), size)
    return np.where(known, values[0], np.nan).astype(np.float32)


def resize_normal(normal: np.ndarray, size: int) -> np.ndarray:
    """Return normals (H, W, 3; nan unknown) at size x size: the mean over the area, unit length."""
    if normal.shape[:2] == (size, size):
        return normal.astype(np.float32)
    known = np.isfinite(normal).all(-1)
    values, known = resize_mean(np.moveaxis(normal, -1, 0), known, size)
    length = np.linalg.norm(values, axis=0)
    known &= length > 1e-3
    unit = np.where(known, values / np.maximum(length, 1e-3), np.nan)
    return np.ascontiguousarray(np.moveaxis(unit, 0, -1), dtype=np.float32)
