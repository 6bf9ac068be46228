"""Image files of labelled sets as arrays: photographs, masks of class ids, maps of values.

Masks are palette or grey PNGs whose numbers are class ids, 255 for void; colours are never looked
at. Those of the Semantic Boundaries Dataset are MATLAB structs, GTcls.Segmentation, without void.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import IO

import numpy as np
from PIL import Image

from taskrsa.data.images import (
    BROKEN,
    Pixels,
    load_mat,
    opened,
    opened_photograph,
    resize_nearest,
)
from taskrsa.errors import DataError

VOID = 255
TURNED = 5  # from this EXIF orientation on, rows are columns
_ORIENTATION = 0x0112


def checked_size(source: Pixels, upright: bool = False) -> tuple[int, int]:
    """Return height and width of a photograph after reading it to its end.

    A JPEG is read at an eighth of its size. The header alone would not reveal a truncated file,
    which would stop a training halfway. Parameters and errors are those of
    `taskrsa.data.images.read_photograph`.
    """
    with opened_photograph(source) as image:
        width, height = image.size
        turned = upright and image.getexif().get(_ORIENTATION, 1) >= TURNED
        image.draft(None, (max(width // 8, 1), max(height // 8, 1)))  # of JPEG only
        image.load()
    return (width, height) if turned else (height, width)


def orientation_of(source: Pixels) -> int:
    """Return the EXIF tag of a photograph that says how it is turned: 2 to 8, or 1 for none."""
    with opened_photograph(source) as image:
        tag = image.getexif().get(_ORIENTATION, 1)
    return tag if tag in range(2, 9) else 1


def read_mask(
    source: Pixels, n_classes: int | None = None, values: Sequence[int] = ()
) -> np.ndarray:
    """Return the ids of a mask, (H, W) uint8: what it holds, or the place of that in `values`.

    DataError if the file is missing, damaged or a picture in colours, or holds an id from
    `n_classes` on, or a value that is not among `values`, that is not void.
    """
    is_mat = isinstance(source, Path) and source.suffix == ".mat"
    ids = mask_of_mat(source) if is_mat else _read_ids(source)
    if values:
        return _places(source, ids, values)
    highest = ids[ids != VOID].max(initial=0)
    if n_classes is not None and highest >= n_classes:
        raise DataError(
            f"{source}: holds class id {highest}, but ids go from 0 to {n_classes - 1}, with "
            f"{VOID} for void; correct the mask or list all classes in classes.txt"
        )
    return ids


def _places(source: Pixels, held: np.ndarray, values: Sequence[int]) -> np.ndarray:
    places = np.full(256, VOID, np.uint8)
    places[list(values)] = np.arange(len(values))
    others = set(np.unique(held).tolist()) - {*values, VOID}
    if others:
        raise DataError(
            f"{source}: holds the value {min(others)}, which mask_values does not list; add it, or "
            f"write {VOID} for void there"
        )
    return places[held]


def _read_ids(source: Pixels) -> np.ndarray:
    with opened(source) as image:
        if image.mode not in ("P", "L"):
            raise DataError(
                f"{source}: is in mode {image.mode}, not a map of class ids; save the ids as an "
                "8-bit palette or grey PNG"
            )
        return np.asarray(image)


def mask_of_mat(path: Path) -> np.ndarray:
    """Return the class ids of one of SBD's cls/<id>.mat, (H, W) uint8; errors as of `read_mask`."""
    struct = load_mat(path, ("GTcls",), "unpack benchmark.tgz again").get("GTcls")
    names = struct.dtype.names if isinstance(struct, np.ndarray) else None
    if names is None or "Segmentation" not in names or struct.size != 1:
        raise DataError(f"{path}: has no GTcls.Segmentation; take the file from SBD's folder cls")
    ids = np.asarray(struct["Segmentation"].item())
    if ids.ndim != 2 or not ids.size or ids.dtype.kind not in "ui" or ids.min() < 0:
        raise DataError(f"{path}: GTcls.Segmentation is not a map of class ids; copy it again")
    if ids.max() > VOID:
        raise DataError(f"{path}: GTcls.Segmentation holds id {ids.max()}; copy it again")
    return ids.astype(np.uint8)


def read_map(path: Path, unknown: float | None) -> np.ndarray:
    """Return a map of values (H, W) float32 from a grey PNG or a .npy file.

    Values equal to `unknown`, and what is not finite, are nan. DataError if the file is damaged or
    holds anything but one number a pixel.
    """
    palette = False
    try:
        if path.suffix.lower() == ".npy":
            # Mapped, so that a header cannot ask for more memory than the file has numbers.
            values = np.load(path, mmap_mode="r", allow_pickle=False)
        else:
            with Image.open(path) as image:
                palette = image.mode == "P"
                values = np.asarray(image)
    except BROKEN as error:
        raise DataError(f"{path}: cannot be read as a map ({error}); export it again") from None
    if palette:
        raise DataError(f"{path}: holds colours of a palette, not values; save a grey PNG")
    if not isinstance(values, np.ndarray):
        raise DataError(f"{path}: is an archive of arrays (npz); save the one array with np.save")
    if values.ndim != 2 or values.dtype.kind not in "uif":
        raise DataError(
            f"{path}: holds {values.dtype} of shape {values.shape}, not one number per pixel; save "
            "a grey PNG or a 2D array"
        )
    values = values.astype(np.float32)
    if unknown is not None:
        values[values == unknown] = np.nan
    values[~np.isfinite(values)] = np.nan
    return values


def centre_labels(labels: np.ndarray, size: int) -> np.ndarray:
    """Return the centre square of labels (H, W) at (size, size), the nearest of each."""
    side = min(labels.shape)
    top, left = ((length - side) // 2 for length in labels.shape)
    return resize_nearest(labels[top : top + side, left : left + side], size)


def voc_palette() -> np.ndarray:
    """Return VOC's colours of the ids 0 to 255, (256, 3) uint8.

    The bits of an id, three by three from the lowest, are the bits of red, green and blue from the
    highest: 1 is (128, 0, 0), 2 (0, 128, 0), 255 (224, 224, 192).
    """
    ids = np.arange(256)
    colours = np.zeros((256, 3), dtype=np.uint8)
    for step in range(3):
        for channel in range(3):
            bits = ((ids >> (3 * step + channel)) & 1) << (7 - step)
            colours[:, channel] |= bits.astype(np.uint8)
    return colours


def write_mask(file: str | Path | IO[bytes], mask: np.ndarray) -> None:
    """Write ids (H, W) uint8 as a palette PNG in VOC's colours."""
    image = Image.fromarray(np.ascontiguousarray(mask, dtype=np.uint8))
    image.putpalette(voc_palette().tobytes())
    image.save(file, format="PNG")


def as_png(rgb: np.ndarray, mask: np.ndarray) -> tuple[bytes, bytes]:
    """Return an image (H, W, 3) uint8 and its ids (H, W) uint8 as the PNG files they would be."""
    photograph, labels = io.BytesIO(), io.BytesIO()
    Image.fromarray(rgb).save(photograph, format="PNG")
    write_mask(labels, mask)
    return photograph.getvalue(), labels.getvalue()
