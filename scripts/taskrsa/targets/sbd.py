"""The Semantic Boundaries Dataset (Hariharan et al., ICCV 2011): more training masks for VOC.

The published training set of 10,582 images is made by set operations on the lists of both sets:
VOC's train and SBD's train and val, less VOC's val. SBD's masks are MATLAB structs,
cls/<id>.mat with GTcls.Segmentation, without void; VOC's own mask is used where there is one.

Layout: train.txt, val.txt, cls/<id>.mat and img/<id>.jpg in the folder dataset of benchmark.tgz.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from taskrsa.errors import DataError
from taskrsa.io.files import atomic_path, digest_of
from taskrsa.targets.devkit import (
    IMAGES,
    MASKS,
    devkit_root,
    find_images,
    find_masks,
    list_path,
    new_devkit,
    read_list,
    some_of,
    write_lists,
    write_mask,
)


def sbd_root(path: str | Path) -> Path:
    """Return the folder with the lists: `path`, or dataset or benchmark_RELEASE/dataset in it.

    Raises
    ------
    DataError
        If none of them has the folder cls.
    """
    for root in (Path(path), Path(path, "dataset"), Path(path, "benchmark_RELEASE/dataset")):
        if (root / "cls").is_dir():
            return root
    raise DataError(
        f"{path}: no folder cls there, nor in dataset or benchmark_RELEASE/dataset below; set sbd "
        "to the unpacked benchmark.tgz"
    )


def merge_lists(
    voc_train: Iterable[str],
    voc_val: Iterable[str],
    sbd_train: Iterable[str],
    sbd_val: Iterable[str],
) -> list[str]:
    """Return the training ids, sorted: VOC's train and all of SBD, less VOC's val."""
    return sorted({*voc_train, *sbd_train, *sbd_val} - set(voc_val))


def mask_of_mat(path: str | Path) -> np.ndarray:
    """Return the class ids of one of SBD's cls/<id>.mat, (H, W) uint8.

    Raises
    ------
    DataError
        If the file is missing, damaged or has no GTcls.Segmentation of whole numbers 0 to 255.
    """
    from scipy.io import loadmat

    try:
        with open(path, "rb") as stream:
            content = loadmat(stream, variable_names=["GTcls"])
    except FileNotFoundError:
        raise DataError(f"{path}: file not found; unpack benchmark.tgz again") from None
    except Exception as error:  # a damaged file makes the reader fail in any way
        reason = " ".join(str(error).split())
        raise DataError(f"{path}: is no MATLAB file ({reason}); copy it again") from None
    struct = content.get("GTcls")
    names = struct.dtype.names if isinstance(struct, np.ndarray) else None
    if names is None or "Segmentation" not in names or struct.size != 1:
        raise DataError(f"{path}: has no GTcls.Segmentation; take the file from SBD's folder cls")
    ids = np.asarray(struct["Segmentation"].item())
    if ids.ndim != 2 or not ids.size or ids.dtype.kind not in "ui" or ids.min() < 0:
        raise DataError(f"{path}: GTcls.Segmentation is no map of class ids; copy it again")
    if ids.max() > 255:
        raise DataError(f"{path}: GTcls.Segmentation holds id {ids.max()}; copy it again")
    return ids.astype(np.uint8)


def convert_masks(labels: Mapping[str, Path], folder: str | Path) -> None:
    """Write masks of SBD as palette PNGs in VOC's colours, `folder`/<id>.png.

    Masks that are there already are kept, so that an interrupted conversion goes on where it was.

    Parameters
    ----------
    labels : the cls/<id>.mat of every id
    folder : made if it is not there

    Raises
    ------
    DataError
        If files are damaged: one error of one line names the first five and counts the rest, after
        all the others are converted.
    """
    from tqdm import tqdm

    folder, problems = Path(folder), []
    for image_id, label in tqdm(labels.items(), desc="masks of SBD", mininterval=5):
        mask = folder / f"{image_id}.png"
        if mask.exists():
            continue
        try:
            ids = mask_of_mat(label)
        except DataError as error:
            problems.append(str(error))
            continue
        with atomic_path(mask) as temporary:
            write_mask(temporary, ids)
    if problems:
        count = f"{len(problems)} of {len(labels)} masks of SBD cannot be used"
        raise DataError(f"{count}: {some_of(problems, '; ')}")


def _plan(
    voc: str | Path, sbd: str | Path, train: str, val: str
) -> tuple[list[str], list[str], dict[str, Path], dict[str, Path]]:
    """Return the merged training ids, VOC's val ids, and image and label file of all of them."""
    root, extra = devkit_root(voc), sbd_root(sbd)
    validation = read_list(list_path(root, val))
    training = merge_lists(
        read_list(list_path(root, train)),
        validation,
        read_list(extra / "train.txt"),
        read_list(extra / "val.txt"),
    )
    ids = training + validation
    # VOC's devkit holds the photographs of SBD as well; SBD's copy is the second choice.
    images = find_images(root / IMAGES, ids)
    lacking = [i for i in ids if i not in images]
    if lacking:
        images |= find_images(extra / "img", lacking)
    labels = find_masks(root, ids)
    with os.scandir(extra / "cls") as entries:
        names = {entry.name for entry in entries}
    listed = set(validation)
    for image_id in ids:
        if image_id not in labels and image_id not in listed and f"{image_id}.mat" in names:
            labels[image_id] = extra / "cls" / f"{image_id}.mat"
    for found, what in ((images, "image"), (labels, "mask")):
        missing = [i for i in ids if i not in found]
        if missing:
            raise DataError(
                f"{root} and {extra}: {len(missing)} of {len(ids)} listed ids have no {what}: "
                f"{some_of(missing)}; unpack both archives again"
            )
    return training, validation, images, labels


def files(voc: str | Path, sbd: str | Path, train: str = "train", val: str = "val") -> list[str]:
    """Return the files that `merge_devkit` reads.

    Raises
    ------
    DataError
        As `merge_devkit`.
    """
    training, validation, images, labels = _plan(voc, sbd, train, val)
    root, extra = devkit_root(voc), sbd_root(sbd)
    lists = [list_path(root, train), list_path(root, val), extra / "train.txt", extra / "val.txt"]
    pairs = [file for i in training + validation for file in (images[i], labels[i])]
    return [str(file) for file in lists + pairs]


def merge_devkit(
    voc: str | Path, sbd: str | Path, folder: str | Path, train: str = "train", val: str = "val"
) -> None:
    """Write a devkit of the merged training set and VOC's val, lists "train" and "val".

    Images and VOC's masks are symbolic links to where they are; SBD's masks become palette PNGs. An
    interrupted or failed merge leaves the finished ones in a hidden folder beside `folder`, from
    which the next one of the same SBD goes on; it is removed at the end.

    Parameters
    ----------
    voc, sbd : the unpacked sets
    folder : the new devkit, written whole or not at all
    train, val : VOC's lists

    Raises
    ------
    DataError
        If a list is missing, empty or holds an id twice, an id has no image or mask, or files of
        SBD are damaged.
    """
    training, validation, images, labels = _plan(voc, sbd, train, val)
    matlab = {i: label for i, label in labels.items() if label.suffix == ".mat"}
    folder = Path(folder)
    # Named by the SBD it is made of: another copy may hold other masks.
    started = folder.parent / f".{folder.name}.sbd-{digest_of([str(sbd_root(sbd).resolve())])[:12]}"
    about = {"kind": "voc", "voc": str(voc), "sbd": str(sbd), "train": train, "val": val}
    with new_devkit(folder, about) as root:
        convert_masks(matlab, started)
        for image_id in training + validation:
            image, label = images[image_id].resolve(), labels[image_id].resolve()
            (root / IMAGES / f"{image_id}{images[image_id].suffix}").symlink_to(image)
            if image_id not in matlab:
                (root / MASKS / f"{image_id}.png").symlink_to(label)
        write_lists(root, {"train": training, "val": validation})
        # Last, when nothing else can fail: what is moved is not there to go on from.
        for image_id in matlab:
            os.replace(started / f"{image_id}.png", root / MASKS / f"{image_id}.png")
    shutil.rmtree(started, ignore_errors=True)
