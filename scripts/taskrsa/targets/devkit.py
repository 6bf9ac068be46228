"""Devkits of semantic segmentation, in the layout of Pascal VOC's.

A folder holds JPEGImages/<id>.jpg (or .jpeg, .png), SegmentationClass/<id>.png (class ids as
palette or grey PNG; 255 is void) and ImageSets/Segmentation/<list>.txt with one id a line. The
classes are those of VOC unless the folder has a classes.txt, one name a line, the first for id 0.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from taskrsa.errors import DataError
from taskrsa.targets.examples import Example, Layout
from taskrsa.targets.pixels import VOID
from taskrsa.text import first_few

VOC_CLASSES = (
    "background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair",
    "cow", "diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa",
    "train", "tvmonitor",
)  # fmt: skip
IMAGES, MASKS, LISTS = "JPEGImages", "SegmentationClass", Path("ImageSets/Segmentation")
CLASSES_FILE = "classes.txt"
_SUFFIXES = (".jpg", ".jpeg", ".png")  # the first that exists is the image
_ID = re.compile(r"[\w.+@-]+")


def devkit_root(path: str | Path) -> Path:
    """Return the folder with the lists: `path`, or VOC2012 or VOCdevkit/VOC2012 in it.

    Raises
    ------
    DataError
        If none of them has ImageSets/Segmentation.
    """
    for root in _roots(path):
        if (root / LISTS).is_dir():
            return root
    raise DataError(
        f"{path}: no folder {LISTS} there, nor in VOC2012 or VOCdevkit/VOC2012 below; set path to "
        "the unpacked devkit"
    )


def is_devkit(path: str | Path) -> bool:
    """Return whether `path` is a devkit or holds one where `devkit_root` looks."""
    return any((root / LISTS).is_dir() for root in _roots(path))


def _roots(path: str | Path) -> tuple[Path, ...]:
    return Path(path), Path(path, "VOC2012"), Path(path, "VOCdevkit/VOC2012")


def read_lines(path: str | Path) -> list[str]:
    """Return the lines of a text file without their ends and without empty ones.

    Raises
    ------
    DataError
        If the file is missing, not UTF-8 or has no lines.
    """
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise DataError(f"{path}: file not found; restore it or correct its name") from None
    except UnicodeDecodeError:
        raise DataError(f"{path}: is not UTF-8 text; save it as plain text") from None
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines:
        raise DataError(f"{path}: is empty; write one name per line")
    return lines


def read_list(path: str | Path) -> list[str]:
    """Return the image ids of a list, one a line, in its order.

    Raises
    ------
    DataError
        If the list is missing or empty, or holds an id twice or something that cannot be an id.
    """
    ids = read_lines(path)
    seen = set()
    for image_id in ids:
        if not _ID.fullmatch(image_id):
            raise DataError(
                f"{path}: {image_id!r} is not an image id; write one file name per line"
            )
        if image_id in seen:
            raise DataError(f"{path}: holds {image_id} twice; remove one of the lines")
        seen.add(image_id)
    return ids


def list_path(root: Path, split_list: str) -> Path:
    """Return the file of a list of a devkit."""
    return root / LISTS / f"{split_list}.txt"


def read_classes(root: Path) -> tuple[str, ...]:
    """Return the class names of a folder's classes.txt, or those of VOC without one.

    Raises
    ------
    DataError
        If classes.txt holds a name twice, fewer than 2 or more than 255 names.
    """
    path = root / CLASSES_FILE
    if not path.exists():
        return VOC_CLASSES
    names = read_lines(path)
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise DataError(f"{path}: holds {twice} twice; give each class another name")
    if not 2 <= len(names) <= VOID:
        raise DataError(f"{path}: has {len(names)} classes; give from 2 to {VOID}")
    return tuple(names)


def names_in(folder: Path) -> set[str]:
    """Return the names in a folder; DataError without one.

    One listing instead of a look-up for each id: sets have 10,000 images, on slow file systems.
    """
    try:
        with os.scandir(folder) as entries:
            return {entry.name for entry in entries}
    except (FileNotFoundError, NotADirectoryError):
        raise DataError(f"{folder}: no such folder; restore it") from None


def find_images(folder: Path, ids: Iterable[str]) -> dict[str, Path]:
    """Return the image file of each id that has one in `folder`; .jpg goes before .png.

    Raises
    ------
    DataError
        If there is no such folder.
    """
    names = names_in(folder)
    found = {}
    for image_id in ids:
        for suffix in _SUFFIXES:
            if image_id + suffix in names:
                found[image_id] = folder / (image_id + suffix)
                break
    return found


def find_masks(root: Path, ids: Iterable[str]) -> dict[str, Path]:
    """Return the mask file of each id that has one in a devkit.

    Raises
    ------
    DataError
        If there is no folder of masks.
    """
    names = names_in(root / MASKS)
    return {i: root / MASKS / f"{i}.png" for i in ids if f"{i}.png" in names}


def require_all(
    where: str | Path, ids: Sequence[str], found: dict[str, Path], what: str, remedy: str
) -> None:
    """Raise DataError for ids that have no file; one error names the first few."""
    missing = [image_id for image_id in ids if image_id not in found]
    if missing:
        raise DataError(
            f"{where}: {len(missing)} of {len(ids)} ids have no {what}: {first_few(missing)}; "
            f"{remedy}"
        )


def listed_images(path: str | Path, split_list: str) -> dict[str, Path]:
    """Return the image files of a list by id, in its order; masks are not needed.

    Raises
    ------
    DataError
        If the list or the image of an id is missing, or the list is empty or holds an id twice.
    """
    root = devkit_root(path)
    file = list_path(root, split_list)
    ids = read_list(file)
    images = find_images(root / IMAGES, ids)
    remedy = "restore the files or take the ids out"
    require_all(file, ids, images, f"image in {root / IMAGES}", remedy)
    return {image_id: images[image_id] for image_id in ids}


def read_devkit(path: str | Path, train: str = "train", val: str = "val") -> Layout:
    """Return the labelled images of a devkit. No image or mask is read yet.

    Parameters
    ----------
    path : the folder with ImageSets, or one above (see `devkit_root`)
    train, val : names of files in ImageSets/Segmentation without .txt

    Raises
    ------
    DataError
        If a list, or the image or mask of an id, is missing (one error names up to five), a list is
        empty or holds an id twice, or an id is in both: what is trained on cannot be scored.
    """
    root = devkit_root(path)
    examples, lists = [], []
    for role, name in (("train", train), ("val", val)):
        file = list_path(root, name)
        images = listed_images(root, name)
        masks = find_masks(root, images)
        remedy = "restore the files or take the ids out"
        require_all(file, list(images), masks, f"mask in {root / MASKS}", remedy)
        examples += [Example(i, role, image, masks[i]) for i, image in images.items()]
        lists.append(file)
    validation = {one.id for one in examples if one.split == "val"}
    both = [one.id for one in examples if one.split == "train" and one.id in validation]
    if both:
        raise DataError(
            f"{lists[0]}: {len(both)} ids are in {val}.txt as well: {first_few(both)}; take them "
            "out of one of the lists"
        )
    if (root / CLASSES_FILE).exists():
        lists.append(root / CLASSES_FILE)
    return Layout(examples, read_classes(root), tuple(lists), upright=False)
