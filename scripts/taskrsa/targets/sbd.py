"""The Semantic Boundaries Dataset (Hariharan et al., ICCV 2011): more training masks for VOC.

The published training set of 10,582 images is made by set operations on the lists of both sets:
VOC's train and SBD's train and val, less VOC's val. SBD's masks are MATLAB structs; VOC's own mask
is used where there is one.

Layout: train.txt, val.txt, cls/<id>.mat and img/<id>.jpg in the folder dataset of benchmark.tgz.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from taskrsa.errors import DataError
from taskrsa.targets.devkit import (
    CLASSES_FILE,
    IMAGES,
    devkit_root,
    find_images,
    find_masks,
    list_path,
    names_in,
    read_classes,
    read_list,
    require_all,
)
from taskrsa.targets.examples import Example, Layout


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


def read_merged(voc: str | Path, sbd: str | Path, train: str = "train", val: str = "val") -> Layout:
    """Return VOC's labelled images with SBD's added to those to train on.

    Parameters
    ----------
    voc, sbd : the unpacked sets
    train, val : VOC's lists

    Raises
    ------
    DataError
        If a list is missing, empty or holds an id twice, or an id has no image or mask.
    """
    root, extra = devkit_root(voc), sbd_root(sbd)
    lists = (list_path(root, train), list_path(root, val), extra / "train.txt", extra / "val.txt")
    voc_train, validation, *of_sbd = (read_list(file) for file in lists)
    training = merge_lists(voc_train, validation, *of_sbd)
    ids = training + validation
    # VOC's devkit holds the photographs of SBD as well; SBD's copy is the second choice.
    images = find_images(root / IMAGES, ids)
    lacking = [image_id for image_id in ids if image_id not in images]
    if lacking:
        images |= find_images(extra / "img", lacking)
    labels = find_masks(root, ids)
    names, scored = names_in(extra / "cls"), set(validation)
    for image_id in ids:
        # SBD's masks have no void, so none is scored on.
        if image_id not in labels and image_id not in scored and f"{image_id}.mat" in names:
            labels[image_id] = extra / "cls" / f"{image_id}.mat"
    for found, what in ((images, "image"), (labels, "mask")):
        require_all(f"{root} and {extra}", ids, found, what, "unpack both archives again")
    if (root / CLASSES_FILE).exists():
        lists = (*lists, root / CLASSES_FILE)
    examples = [Example(i, "train", images[i], labels[i]) for i in training]
    examples += [Example(i, "val", images[i], labels[i]) for i in validation]
    return Layout(examples, read_classes(root), lists, upright=False)
