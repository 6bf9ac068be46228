"""Pascal VOC: devkits of semantic segmentation, the training masks of SBD, archives to submit.

A devkit's folder holds JPEGImages/<id>.jpg (or .jpeg, .png), SegmentationClass/<id>.png (class ids
as palette or grey PNG; 255 is void) and ImageSets/Segmentation/<list>.txt with one id a line. The
classes are those of VOC unless the folder has a classes.txt, one name a line, the first for id 0.

The Semantic Boundaries Dataset (Hariharan et al., ICCV 2011) has more training masks for VOC, as
MATLAB structs: the folder dataset of benchmark.tgz holds train.txt, val.txt, cls/<id>.mat and
img/<id>.jpg. The published training set of 10,582 images is VOC's train and SBD's train and val,
less VOC's val; VOC's own mask is used where there is one.
"""

from __future__ import annotations

import io
import re
import tarfile
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from taskrsa.errors import DataError
from taskrsa.io.files import atomic_path
from taskrsa.targets.examples import Example, Layout
from taskrsa.targets.pixels import VOID, write_mask
from taskrsa.text import first_few

VOC_CLASSES = (
    "background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair",
    "cow", "diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa",
    "train", "tvmonitor",
)  # fmt: skip
CLASSES_FILE = "classes.txt"
_IMAGES, _MASKS, _LISTS = "JPEGImages", "SegmentationClass", Path("ImageSets/Segmentation")
_PHOTOGRAPH = (".jpg", ".jpeg", ".png")  # the first that exists is the image
_ID = re.compile(r"[\w.+@-]+")
_RESTORE = "restore the files or take the ids out"
_SUBMITTED = "results/VOC2012/Segmentation/comp6_test_cls"  # comp6: trained on other data, too


def is_devkit(path: str | Path) -> bool:
    """Return whether `path` is a devkit or holds one where `devkit_root` looks."""
    return any((root / _LISTS).is_dir() for root in _roots(path))


def devkit_root(path: str | Path) -> Path:
    """Return the folder with the lists: `path`, or VOC2012 or VOCdevkit/VOC2012 in it; DataError
    if none of them has ImageSets/Segmentation."""
    for root in _roots(path):
        if (root / _LISTS).is_dir():
            return root
    raise DataError(
        f"{path}: no folder {_LISTS} there, nor in VOC2012 or VOCdevkit/VOC2012 below; set path to "
        "the unpacked devkit"
    )


def _roots(path: str | Path) -> tuple[Path, ...]:
    return Path(path), Path(path, "VOC2012"), Path(path, "VOCdevkit/VOC2012")


def _sbd_root(path: str | Path) -> Path:
    for root in (Path(path), Path(path, "dataset"), Path(path, "benchmark_RELEASE/dataset")):
        if (root / "cls").is_dir():
            return root
    raise DataError(
        f"{path}: no folder cls there, nor in dataset or benchmark_RELEASE/dataset below; set sbd "
        "to the unpacked benchmark.tgz"
    )


# --- lists and files ---


def _read_lines(path: Path) -> list[str]:
    """Return the lines of a text file without their ends and without empty ones."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise DataError(f"{path}: file not found; restore it or correct its name") from None
    except UnicodeDecodeError:
        raise DataError(f"{path}: is not UTF-8 text; save it as plain text") from None
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines:
        raise DataError(f"{path}: is empty; write one name per line")
    return lines


def _read_list(path: Path) -> list[str]:
    """Return the image ids of a list in its order."""
    ids = _read_lines(path)
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


def read_classes(root: Path) -> tuple[str, ...]:
    """Return the class names of a folder's classes.txt, or those of VOC without one; DataError if
    it holds a name twice, fewer than 2 or more than 255 names."""
    path = root / CLASSES_FILE
    if not path.exists():
        return VOC_CLASSES
    names = _read_lines(path)
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise DataError(f"{path}: holds {twice} twice; give each class a name of its own")
    if not 2 <= len(names) <= VOID:
        raise DataError(f"{path}: has {len(names)} classes; give from 2 to {VOID}")
    return tuple(names)


def _find(folder: Path, ids: Iterable[str], suffixes: Sequence[str]) -> dict[str, Path]:
    """Return the file of each id that has one in a folder; the first suffix goes first."""
    # One listing instead of a look-up for each id: sets have 10,000 images, on slow file systems.
    try:
        names = {file.name for file in folder.iterdir()}
    except (FileNotFoundError, NotADirectoryError):
        raise DataError(f"{folder}: no such folder; restore it") from None
    found = {}
    for image_id in ids:
        name = next((image_id + end for end in suffixes if image_id + end in names), None)
        if name is not None:
            found[image_id] = folder / name
    return found


def _require_all(
    where: str | Path, ids: Sequence[str], found: dict[str, Path], what: str, remedy: str
) -> None:
    """Raise DataError for ids that have no file; one error names the first few."""
    missing = [image_id for image_id in ids if image_id not in found]
    if missing:
        raise DataError(
            f"{where}: {len(missing)} of {len(ids)} ids have no {what}: {first_few(missing)}; "
            f"{remedy}"
        )


# --- layouts ---


def listed_images(path: str | Path, split_list: str) -> dict[str, Path]:
    """Return the image files of a list by id, in its order; DataError if the list or an image is
    missing, or the list is empty or holds an id twice. Masks are not needed."""
    root = devkit_root(path)
    file = root / _LISTS / f"{split_list}.txt"
    ids = _read_list(file)
    images = _find(root / _IMAGES, ids, _PHOTOGRAPH)
    _require_all(file, ids, images, f"image in {root / _IMAGES}", _RESTORE)
    return images


def read_devkit(path: str | Path, train: str = "train", val: str = "val") -> Layout:
    """Return the labelled images of a devkit. No image or mask is read yet.

    `train` and `val` are names of files in ImageSets/Segmentation without .txt. Errors as of
    `listed_images`, also of masks; DataError if an id is in both lists: what is trained on cannot
    be scored.
    """
    root = devkit_root(path)
    lists = [root / _LISTS / f"{name}.txt" for name in (train, val)]
    listed, masks = [], {}
    for file, name in zip(lists, (train, val), strict=True):
        images = listed_images(root, name)
        masks |= _find(root / _MASKS, images, (".png",))
        _require_all(file, list(images), masks, f"mask in {root / _MASKS}", _RESTORE)
        listed.append(images)
    training, validation = listed
    both = [image_id for image_id in training if image_id in validation]
    if both:
        raise DataError(
            f"{lists[0]}: {len(both)} ids are in {val}.txt as well: {first_few(both)}; take them "
            "out of one of the lists"
        )
    return _layout(root, training, validation, training | validation, masks, lists)


def merge_lists(
    voc_train: Iterable[str],
    voc_val: Iterable[str],
    sbd_train: Iterable[str],
    sbd_val: Iterable[str],
) -> list[str]:
    """Return the training ids, sorted: VOC's train and all of SBD, less VOC's val."""
    return sorted({*voc_train, *sbd_train, *sbd_val} - set(voc_val))


def read_merged(voc: str | Path, sbd: str | Path, train: str = "train", val: str = "val") -> Layout:
    """Return VOC's labelled images with SBD's added to those to train on.

    Parameters and errors are those of `read_devkit`; `sbd` is the unpacked SBD.
    """
    root, extra = devkit_root(voc), _sbd_root(sbd)
    lists = [*(root / _LISTS / f"{name}.txt" for name in (train, val)),
             extra / "train.txt", extra / "val.txt"]  # fmt: skip
    voc_train, validation, *of_sbd = map(_read_list, lists)
    training = merge_lists(voc_train, validation, *of_sbd)
    ids = training + validation
    # VOC's devkit holds the photographs of SBD as well; SBD's copy is the second choice.
    images = _find(root / _IMAGES, ids, _PHOTOGRAPH)
    lacking = [image_id for image_id in ids if image_id not in images]
    if lacking:
        images |= _find(extra / "img", lacking, _PHOTOGRAPH)
    # SBD's masks have no void, so none is scored on.
    masks = _find(extra / "cls", training, (".mat",)) | _find(root / _MASKS, ids, (".png",))
    for found, what in ((images, "image"), (masks, "mask")):
        _require_all(f"{root} and {extra}", ids, found, what, "unpack both archives again")
    return _layout(root, training, validation, images, masks, lists)


def _layout(
    root: Path,
    training: Iterable[str],
    validation: Iterable[str],
    images: dict[str, Path],
    masks: dict[str, Path],
    lists: Sequence[Path],
) -> Layout:
    examples = [Example(i, "train", images[i], masks[i]) for i in training]
    examples += [Example(i, "val", images[i], masks[i]) for i in validation]
    if (root / CLASSES_FILE).exists():
        lists = [*lists, root / CLASSES_FILE]
    return Layout(examples, read_classes(root), tuple(lists), upright=False)


# --- predictions ---


def write_submission(archive: str | Path, masks: Iterable[tuple[str, np.ndarray]]) -> None:
    """Write predictions as the tar of palette PNGs that the server of VOC's test set takes.

    The bytes depend on the predictions alone, not on the time or the user.

    Parameters
    ----------
    archive : a .tar file, written whole or not at all
    masks : ids, and predicted classes (H, W) uint8; the server allows no void
    """
    with (
        atomic_path(archive) as temporary,
        tarfile.open(temporary, "w", format=tarfile.USTAR_FORMAT) as tar,
    ):
        for image_id, mask in masks:
            png = io.BytesIO()
            write_mask(png, mask)
            entry = tarfile.TarInfo(f"{_SUBMITTED}/{image_id}.png")
            entry.size = png.tell()
            png.seek(0)
            tar.addfile(entry, png)
