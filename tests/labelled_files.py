"""Labelled images in files, for tests of targets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from taskrsa.targets.pixels import write_mask

SIZE = (24, 18)  # width and height


def photo(path: Path, seed: int = 0, size: tuple[int, int] = SIZE) -> np.ndarray:
    """Write a photograph of noise, width by height, and return its pixels."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (*size[::-1], 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return pixels


def grey(path: Path, values: np.ndarray) -> None:
    """Write an image of the values given."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path)


def write_devkit(
    path: Path,
    lists: Mapping[str, Sequence[str]],
    images: Iterable[tuple[str, np.ndarray, np.ndarray]],
    classes: Sequence[str],
) -> Path:
    """Write a devkit in Pascal VOC's layout: id, image and ids of each image."""
    for folder in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation"):
        (path / folder).mkdir(parents=True)
    for name, rgb, mask in images:
        Image.fromarray(rgb).save(path / f"JPEGImages/{name}.png")
        write_mask(path / f"SegmentationClass/{name}.png", mask)
    for name, ids in lists.items():
        text = "".join(f"{image_id}\n" for image_id in ids)
        (path / f"ImageSets/Segmentation/{name}.txt").write_text(text)
    (path / "classes.txt").write_text("".join(f"{name}\n" for name in classes))
    return path
