"""Labelled images for semantic segmentation, in the layout of Pascal VOC's devkit.

A folder holds JPEGImages/<id>.jpg (or .jpeg, .png), SegmentationClass/<id>.png (class ids as
palette or grey PNG; 255 is void) and ImageSets/Segmentation/<list>.txt with one id a line. The
classes are those of VOC unless the folder has a classes.txt, one name a line, the first for id 0.
Images keep their own size. Everything that this module writes can be read by it again.
"""

from __future__ import annotations

import io
import json
import os
import re
import tarfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import IO

import numpy as np
from PIL import Image

from taskrsa.errors import DataError
from taskrsa.io.files import atomic_folder, atomic_path, sha256_of

VOC_CLASSES = (
    "background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair",
    "cow", "diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa",
    "train", "tvmonitor",
)  # fmt: skip
VOID = 255
IMAGES, MASKS, _LISTS = "JPEGImages", "SegmentationClass", Path("ImageSets/Segmentation")
_CLASSES_FILE = "classes.txt"
_ABOUT = "about.json"  # marks a folder as written here, so that only such a one is replaced
_SUFFIXES = (".jpg", ".jpeg", ".png")  # the first that exists is the image
_PHOTO_MODES = ("RGB", "L", "RGBA", "LA", "P", "CMYK")  # of 8 bits a channel
_SUBMISSION = "results/VOC2012/Segmentation/comp6_test_cls"  # comp6: trained on other data, too
_ID = re.compile(r"[\w.+@-]+")
_NAMED = 5  # problems that an error names; the rest is counted
_BROKEN = (OSError, SyntaxError, ValueError, EOFError)  # what Pillow raises on damaged files


@dataclass(frozen=True)
class SegmentationSet:
    """One split of a labelled set: names in memory, pixels in files.

    Attributes
    ----------
    name : of its list, such as "train"
    classes : K names; the id of a class is its place
    ids : N image ids
    images, masks : N files each; no masks if the split has none (a test set)
    void : the id of pixels that belong to no class
    """

    name: str
    classes: tuple[str, ...]
    ids: tuple[str, ...]
    images: tuple[Path, ...]
    masks: tuple[Path, ...]
    void: int = VOID

    def __len__(self) -> int:
        return len(self.ids)

    def image(self, i: int) -> np.ndarray:
        """Return image `i` at its own size, (H, W, 3) uint8; DataError if it cannot be read."""
        path = self.images[i]
        try:
            with Image.open(path) as image:
                _check_photo_mode(path, image.mode)
                return np.asarray(image.convert("RGB"))
        except _BROKEN as error:
            raise _unreadable(path, error) from None

    def mask(self, i: int) -> np.ndarray:
        """Return the class ids of image `i`, (H, W) uint8 of 0 to K - 1 and void.

        Raises
        ------
        DataError
            If the split has no masks, or the file cannot be read or holds another id.
        """
        if not self.masks:
            raise DataError(f"split {self.name} of {self.images[i].parent.parent} has no masks")
        ids = read_mask(self.masks[i])
        counts = np.bincount(ids.ravel(), minlength=256)
        counts[: len(self.classes)] = 0
        counts[self.void] = 0
        wrong = np.flatnonzero(counts)
        if wrong.size:
            raise DataError(
                f"{self.masks[i]}: holds class id {wrong[0]}, but ids go from 0 to "
                f"{len(self.classes) - 1}, with {self.void} for void; correct the mask or list "
                f"all classes in {_CLASSES_FILE}"
            )
        return ids


def _unreadable(path: str | Path, error: BaseException) -> DataError:
    if isinstance(error, FileNotFoundError):
        return DataError(f"{path}: file not found; restore it or take its id out of the list")
    reason = " ".join(str(error).split())
    return DataError(f"{path}: cannot be read as an image ({reason}); copy it again")


def _check_photo_mode(path: str | Path, mode: str) -> None:
    if mode not in _PHOTO_MODES:
        raise DataError(f"{path}: is not 8 bits a channel (mode {mode}); save it as 8-bit RGB")


def read_mask(path: str | Path) -> np.ndarray:
    """Return the ids of a palette or grey PNG, (H, W) uint8; colours are never looked at.

    Raises
    ------
    DataError
        If the file is missing, damaged or a picture in colours.
    """
    try:
        with Image.open(path) as image:
            if image.mode not in ("P", "L"):
                raise DataError(
                    f"{path}: is in mode {image.mode}, not a map of class ids; save the ids as an "
                    "8-bit palette or grey PNG"
                )
            return np.asarray(image)
    except _BROKEN as error:
        raise _unreadable(path, error) from None


# --- reading a devkit ---


def devkit_root(path: str | Path) -> Path:
    """Return the folder with the lists: `path`, or VOC2012 or VOCdevkit/VOC2012 in it.

    Raises
    ------
    DataError
        If none of them has ImageSets/Segmentation.
    """
    for root in (Path(path), Path(path, "VOC2012"), Path(path, "VOCdevkit/VOC2012")):
        if (root / _LISTS).is_dir():
            return root
    raise DataError(
        f"{path}: no folder {_LISTS} there, nor in VOC2012 or VOCdevkit/VOC2012 below; set path to "
        "the unpacked devkit"
    )


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
        raise DataError(f"{path}: is empty; write one name a line")
    return lines


def read_list(path: str | Path) -> list[str]:
    """Return the image ids of a list, one a line, in its order.

    Raises
    ------
    DataError
        If the list is missing, empty, or holds an id twice or something that is no id.
    """
    ids = read_lines(path)
    seen = set()
    for image_id in ids:
        if not _ID.fullmatch(image_id):
            raise DataError(f"{path}: {image_id!r} is no image id; write one file name a line")
        if image_id in seen:
            raise DataError(f"{path}: holds {image_id} twice; remove one of the lines")
        seen.add(image_id)
    return ids


def list_path(root: Path, split_list: str) -> Path:
    """Return the file of a list of a devkit."""
    return root / _LISTS / f"{split_list}.txt"


def read_classes(root: Path) -> tuple[str, ...]:
    """Return the class names of a devkit: of its classes.txt, or those of VOC without one.

    Raises
    ------
    DataError
        If classes.txt holds a name twice, fewer than 2 or more than 255 names.
    """
    path = root / _CLASSES_FILE
    if not path.exists():
        return VOC_CLASSES
    names = read_lines(path)
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise DataError(f"{path}: holds {twice} twice; give each class a name of its own")
    if not 2 <= len(names) <= VOID:
        raise DataError(f"{path}: has {len(names)} classes; give from 2 to {VOID}")
    return tuple(names)


def _names_in(folder: Path) -> set[str]:
    # One listing instead of a look-up per id: sets have 10,000 images, on slow file systems.
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
    names = _names_in(folder)
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
    names = _names_in(root / MASKS)
    return {i: root / MASKS / f"{i}.png" for i in ids if f"{i}.png" in names}


def some_of(things: Sequence[str], separator: str = ", ") -> str:
    """Return the first five things as one text, and how many more there are."""
    more = f"{separator}and {len(things) - _NAMED} more" if len(things) > _NAMED else ""
    return separator.join(things[:_NAMED]) + more


def open_devkit(
    path: str | Path,
    split_list: str,
    classes: Sequence[str] | None = None,
    labelled: bool = True,
) -> SegmentationSet:
    """Open one split of a devkit by the name of its list. No image or mask is read yet.

    Parameters
    ----------
    path : the folder with ImageSets, or one above (see `devkit_root`)
    split_list : name of a file in ImageSets/Segmentation without .txt
    classes : names of ids 0, 1, ...; of classes.txt or VOC by default
    labelled : False for a split without masks, such as VOC's test images

    Raises
    ------
    DataError
        If the list, the image or the mask of an id is missing (one error names up to five), or the
        list is empty or holds an id twice.
    """
    root = devkit_root(path)
    file = list_path(root, split_list)
    ids = read_list(file)
    images = find_images(root / IMAGES, ids)
    masks = find_masks(root, ids) if labelled else {}
    needed = [(images, IMAGES, "image")] + [(masks, MASKS, "mask")] * labelled
    for found, folder, what in needed:
        missing = [i for i in ids if i not in found]
        if missing:
            raise DataError(
                f"{file}: {len(missing)} of {len(ids)} ids have no {what} in {root / folder}: "
                f"{some_of(missing)}; restore the files or take the ids out"
            )
    return SegmentationSet(
        name=split_list,
        classes=tuple(classes) if classes is not None else read_classes(root),
        ids=tuple(ids),
        images=tuple(images[i] for i in ids),
        masks=tuple(masks[i] for i in ids) if labelled else (),
    )


def open_splits(
    path: str | Path,
    train: str = "train",
    val: str = "val",
    classes: Sequence[str] | None = None,
) -> dict[str, SegmentationSet]:
    """Open the lists to train and to score by, as {"train": ..., "val": ...}.

    Raises
    ------
    DataError
        As `open_devkit`, and if an id is in both lists: what is trained on cannot be scored.
    """
    splits = {role: open_devkit(path, name, classes) for role, name in
              (("train", train), ("val", val))}  # fmt: skip
    validation = set(splits["val"].ids)
    both = [i for i in splits["train"].ids if i in validation]
    if both:
        raise DataError(
            f"{list_path(devkit_root(path), train)}: {len(both)} ids are in {val}.txt as well: "
            f"{some_of(both)}; take them out of one of the lists"
        )
    return splits


def files(path: str | Path, *split_lists: str) -> list[str]:
    """Return the files that `open_devkit` and the sets of these lists read (train, val by default).

    Raises
    ------
    DataError
        As `open_devkit`.
    """
    root = devkit_root(path)
    found = [str(root / _CLASSES_FILE)] if (root / _CLASSES_FILE).exists() else []
    for name in split_lists or ("train", "val"):
        split = open_devkit(root, name)
        found.append(str(list_path(root, name)))
        found += [str(file) for pair in zip(split.images, split.masks, strict=True)
                  for file in pair]  # fmt: skip
    return list(dict.fromkeys(found))  # trainval repeats what train and val list


# --- checking a set ---


def _image_size(path: Path) -> tuple[int, int]:
    """Return height and width of an image after reading it to its end at an eighth of its size.

    Its header alone would not tell a truncated file, which would stop a training in its midst.
    """
    try:
        with Image.open(path) as image:
            _check_photo_mode(path, image.mode)
            width, height = image.size
            image.draft(None, (max(width // 8, 1), max(height // 8, 1)))  # of JPEG only
            image.load()
    except _BROKEN as error:
        raise _unreadable(path, error) from None
    return height, width


def check_set(split: SegmentationSet) -> list[tuple[int, int]]:
    """Read every image and mask of a split once and return the images' (height, width).

    Raises
    ------
    DataError
        If a file is missing, truncated or in colours where ids belong, a mask has another size
        than its image, or holds an id that no class has. One error of one line names the first
        five problems and counts the rest.
    """
    sizes, problems = [], []
    for i in range(len(split)):
        # Of a pair, both files may be damaged; each is named.
        try:
            sizes.append(_image_size(split.images[i]))
        except DataError as error:
            sizes.append(None)
            problems.append(str(error))
        if not split.masks:
            continue
        try:
            shape = split.mask(i).shape
        except DataError as error:
            problems.append(str(error))
            continue
        if sizes[i] not in (None, shape):
            height, width = sizes[i]
            problems.append(
                f"{split.masks[i]}: is {shape[1]} x {shape[0]} pixels but {split.images[i].name} "
                f"is {width} x {height}; export both at one size"
            )
    if problems:
        count = f"{len(problems)} problem{'s' * (len(problems) > 1)}"
        raise DataError(f"split {split.name} has {count}: {some_of(problems, '; ')}")
    return sizes


def set_rows(role: str, split: SegmentationSet, sizes: list[tuple[int, int]]) -> list[dict]:
    """Return one row for each image: id, split, image, mask, height, width and both files' SHA-256.

    Files are named from the devkit's folder on, so that a table says the same wherever it is.
    """
    return [
        {
            "id": image_id,
            "split": role,
            "image": f"{image.parent.name}/{image.name}",
            "mask": f"{mask.parent.name}/{mask.name}",
            "height": height,
            "width": width,
            "image_sha256": sha256_of(image),
            "mask_sha256": sha256_of(mask),
        }
        for image_id, image, mask, (height, width) in zip(
            split.ids, split.images, split.masks, sizes, strict=True
        )
    ]


# --- writing ---


@lru_cache(maxsize=1)
def voc_palette() -> np.ndarray:
    """Return VOC's colours of the ids 0 to 255, (256, 3) uint8.

    The bits of an id, three by three from the lowest, are the bits of red, green and blue from the
    highest: 1 is (128, 0, 0), 2 (0, 128, 0), 255 (224, 224, 192).
    """
    ids = np.arange(256)
    colours = np.zeros((256, 3), dtype=np.uint8)
    for step in range(3):
        for channel in range(3):
            colours[:, channel] |= (((ids >> (3 * step + channel)) & 1) << (7 - step)).astype(
                np.uint8
            )
    colours.setflags(write=False)
    return colours


def write_mask(file: str | Path | IO[bytes], mask: np.ndarray) -> None:
    """Write ids (H, W) uint8 as a palette PNG in VOC's colours."""
    image = Image.fromarray(np.ascontiguousarray(mask, dtype=np.uint8))
    image.putpalette(voc_palette().tobytes())
    image.save(file, format="PNG")


@contextmanager
def new_devkit(path: str | Path, about: Mapping[str, object]) -> Iterator[Path]:
    """Yield a temporary folder beside `path` with a devkit's empty folders; rename it at the end.

    When the block raises, the temporary folder is removed and `path` is left as it was.

    Parameters
    ----------
    path : replaced only if empty or written by this function
    about : how the devkit was made; kept in its about.json

    Raises
    ------
    DataError
        If `path` holds anything else.
    """
    with atomic_folder(path, _ABOUT) as temporary:
        for folder in (IMAGES, MASKS, _LISTS):
            (temporary / folder).mkdir(parents=True)
        yield temporary
        text = json.dumps(dict(about), indent=2, sort_keys=True)
        (temporary / _ABOUT).write_text(text + "\n", encoding="utf-8")


def write_lists(root: Path, lists: Mapping[str, Sequence[str]]) -> None:
    """Write the lists of image ids of a devkit."""
    for name, ids in lists.items():
        list_path(root, name).write_text("".join(f"{i}\n" for i in ids), encoding="utf-8")


def write_devkit(
    path: str | Path,
    lists: Mapping[str, Sequence[str]],
    images: Iterable[tuple[str, np.ndarray, np.ndarray]],
    classes: Sequence[str],
    about: Mapping[str, object],
) -> None:
    """Write a devkit whole or not at all: images as lossless PNG, masks as palette PNG.

    Parameters
    ----------
    path, about : as of `new_devkit`
    lists : the ids of each list
    images : id, rgb (H, W, 3) uint8 and ids (H, W) uint8 of every listed image once, in any order
    classes : names of ids 0, 1, ...

    Raises
    ------
    DataError
        If an image is not listed, missing, given twice, or of another size than its mask.
    """
    waiting = {image_id for ids in lists.values() for image_id in ids}
    with new_devkit(path, about) as root:
        for image_id, rgb, mask in images:
            if image_id not in waiting:
                raise DataError(f"{path}: image {image_id} is in no list or was given before")
            if rgb.shape != (*mask.shape, 3):
                raise DataError(
                    f"{path}: image {image_id} has shape {rgb.shape}, its mask {mask.shape}"
                )
            waiting.remove(image_id)
            Image.fromarray(rgb).save(root / IMAGES / f"{image_id}.png")
            write_mask(root / MASKS / f"{image_id}.png", mask)
        if waiting:
            raise DataError(f"{path}: listed images were not given: {some_of(sorted(waiting))}")
        write_lists(root, lists)
        text = "".join(f"{name}\n" for name in classes)
        (root / _CLASSES_FILE).write_text(text, encoding="utf-8")


def write_submission(
    archive: str | Path, masks: Iterable[tuple[str, np.ndarray]], n_classes: int = len(VOC_CLASSES)
) -> None:
    """Write predictions as the organisers' test server takes them: a tar of palette PNGs.

    The bytes depend on the predictions alone, not on the time or the user.

    Parameters
    ----------
    archive : a .tar file, written whole or not at all
    masks : id and predicted classes (H, W) uint8, 0 to `n_classes` - 1; the server allows no void

    Raises
    ------
    DataError
        If there are no predictions, two of one image, or an id that no class has.
    """
    seen = set()
    with (
        atomic_path(archive) as temporary,
        tarfile.open(temporary, "w", format=tarfile.USTAR_FORMAT) as tar,
    ):
        for image_id, mask in masks:
            if image_id in seen:
                raise DataError(f"{archive}: two predictions of {image_id}; give one an image")
            if mask.max() >= n_classes:
                raise DataError(
                    f"{archive}: the prediction of {image_id} holds id {mask.max()}, but ids go "
                    f"from 0 to {n_classes - 1}"
                )
            seen.add(image_id)
            png = io.BytesIO()
            write_mask(png, mask)
            entry = tarfile.TarInfo(f"{_SUBMISSION}/{image_id}.png")
            entry.size = png.tell()
            png.seek(0)
            tar.addfile(entry, png)
        if not seen:
            raise DataError(f"{archive}: no predictions to write; check the list of test images")
