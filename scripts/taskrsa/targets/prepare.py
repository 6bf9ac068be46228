"""From files to a target's data.h5: every file is read and checked once."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np

from taskrsa.data.images import Pixels, centre_square, read_photograph
from taskrsa.errors import DataError
from taskrsa.io.files import refuse_braces, sha256_of
from taskrsa.targets.config import TargetData
from taskrsa.targets.csv_file import read_csv
from taskrsa.targets.devkit import is_devkit, read_devkit, read_merged
from taskrsa.targets.examples import Example, Layout
from taskrsa.targets.folder import read_folder
from taskrsa.targets.pixels import (
    TURNED,
    VOID,
    centre_labels,
    checked_size,
    orientation_of,
    read_map,
    read_mask,
)
from taskrsa.targets.sets import ROLES, ArraySet, FileSet, write_sets
from taskrsa.text import first_few

_NAMED = 5  # problems that are named


def read_layout(target: TargetData, seed: int) -> Layout:
    """Return the labelled files of a target, which has some; `seed` draws those to score on, if
    the data does not say which. Errors as of the readers."""
    kind, path, share = target.kind, target.path, target.val_share
    if kind == "segmentation":
        lists = (target.train_list, target.val_list)
        if target.mask_values and (target.sbd or is_devkit(path)):
            raise DataError(f"{path}: is a devkit, whose masks hold ids; leave out mask_values")
        if target.sbd:
            return read_merged(path, target.sbd, *lists)
        if target.source == "voc2012" or is_devkit(path):
            return read_devkit(path, *lists)
    if kind == "values" or (kind == "classification" and Path(path).is_file()):
        return read_csv(kind, path, share, seed, target.unknown)
    return read_folder(kind, path, share, seed)


def files_of(target: TargetData) -> list[str]:
    """Return all files that a target is read from, none of what is rendered; errors as of
    `read_layout`."""
    is_file_based = target.source != "outdoor" and target.kind != "network"
    files = read_layout(target, seed=0).files() if is_file_based else []
    refuse_braces("labelled images", files)
    return files


def write_target(
    target: TargetData, layout: Layout, path: str | Path, progress: Callable = iter
) -> list[dict]:
    """Write a target's data.h5 and return one row for each image: id, split, image, label (name of
    its file, class or values), height, width, image_sha256 and label_sha256.

    Files are named from their folder on, so that a table says the same wherever it is. Images are
    kept at the target's `image_size`, but those of a segmentation. `progress` wraps the examples.

    Raises
    ------
    DataError
        If files cannot be read, an image and its label differ in size, ids and classes do not go
        together, or there is nothing to learn or to score. One line names the first five problems.
    """
    read = _file_sets if target.kind == "segmentation" else _array_sets
    sets, rows = read(target, layout, progress)
    write_sets(path, sets)
    return rows


def _file_sets(
    target: TargetData, layout: Layout, progress: Callable
) -> tuple[list[FileSet], list[dict]]:
    values = target.mask_values or ()
    held = {role: set() for role in ROLES}  # the ids in the masks of a split
    rows, problems = [], []
    for one in progress(layout.examples):
        found = []
        # Both files of a pair may be damaged; each is named.
        for read, *words in (
            (checked_size, one.image, layout.upright),
            (read_mask, one.label, len(layout.classes) or None, values),
        ):
            try:
                found.append(read(*words))
            except DataError as error:
                problems.append(str(error))
        if len(found) < 2:
            continue
        size, ids = found
        problems += _misaligned(one, ids.shape, size, layout.upright)
        held[one.split] |= {*np.unique(ids).tolist()}
        rows.append(_row(one, size))
    _refuse(problems, len(layout.examples))
    if target.source == "folder" and not is_devkit(target.path):  # whose lists are not the user's
        _refuse_copies(rows)
    classes = _mask_classes(target, layout.classes, held)
    sets = []
    for role in ROLES:
        examples = [one for one in layout.examples if one.split == role]
        chosen = [row for row in rows if row["split"] == role]
        sets.append(
            FileSet(
                name=role,
                classes=classes,
                ids=tuple(one.id for one in examples),
                images=tuple(one.image for one in examples),
                masks=tuple(one.label for one in examples),
                hashes=tuple((row["image_sha256"], row["label_sha256"]) for row in chosen),
                upright=layout.upright,
                values=tuple(values),
            )
        )
    return sets, rows


def _mask_classes(
    target: TargetData, names: tuple[str, ...], held: dict[str, set[int]]
) -> tuple[str, ...]:
    """Return the names of the classes in masks that hold these ids; DataError if there is nothing
    to learn or to score, or the ids are not those of the names."""
    where, values = target.path, target.mask_values
    for role, ids in held.items():
        if not ids - {VOID}:
            raise DataError(f"{where}: no pixel of split {role} has a label; correct the masks")
    if values and names and len(names) != len(values):
        raise DataError(
            f"{where}: {len(names)} names in classes.txt and {len(values)} mask_values; give "
            "equally many"
        )
    if names or values:
        return names or tuple(f"class_{value}" for value in values)
    known = sorted(set.union(*held.values()) - {VOID})
    if len(known) < 2:
        void = set.union(*held.values()) - {*known}
        hint = f", and {VOID}, which is void; if {VOID} is a class, set mask_values of the target "
        hint += f"to [{known[0]}, {VOID}]"
        raise DataError(
            f"{where}: the masks hold one class only, {known[0]}"
            f"{hint if void else '; there is nothing to learn'}"
        )
    if 2 * len(known) < known[-1] + 1:
        raise DataError(
            f"{where}: the masks hold {len(known)} of the ids from 0 to {known[-1]} only; set "
            f"mask_values of the target to {known}, or name all classes in classes.txt"
        )
    return tuple(f"class_{i}" for i in range(known[-1] + 1))


def _array_sets(
    target: TargetData, layout: Layout, progress: Callable
) -> tuple[list[ArraySet], list[dict]]:
    side = target.image_size
    if len(layout.classes) > VOID:
        raise DataError(f"{target.path}: {len(layout.classes)} classes; give at most {VOID}")
    images, labels, rows, problems = [], [], [], []
    for one in progress(layout.examples):
        try:
            label = _label_of(target, one, layout.classes)
            photograph = read_photograph(one.image, upright=True)
            size = photograph.shape[:2]
            if label.ndim == 2:
                problems += _misaligned(one, label.shape, size, upright=True)
        except DataError as error:
            problems.append(str(error))
            continue
        images.append(centre_square(photograph, side))
        labels.append(centre_labels(label, side) if label.ndim == 2 else label)
        rows.append(_row(one, size))
    _refuse(problems, len(layout.examples))
    _refuse_copies(rows)
    images, labels = np.stack(images), np.stack(labels)
    splits = np.array([one.split for one in layout.examples])
    if labels.dtype.kind == "f":
        labels = _standardised(labels, splits, layout.classes)
    ids = np.array([one.id for one in layout.examples], dtype=object)
    return [
        ArraySet(role, target.kind, layout.classes, tuple(ids[at]), images[at], labels[at])
        for role, at in ((role, splits == role) for role in ROLES)
    ], rows


def _label_of(target: TargetData, one: Example, classes: Sequence[str]) -> np.ndarray:
    if target.kind == "classification":
        return np.asarray(classes.index(one.label), dtype=np.uint8)
    if target.kind == "values":
        return np.array(one.label)
    return read_map(one.label, target.unknown)


def _standardised(labels: np.ndarray, splits: np.ndarray, names: Iterable[str]) -> np.ndarray:
    """Return values (N, s, s) or (N, K), float32, less their median, in units of their mean
    distance from it; both of the training images alone."""
    found = np.empty(labels.shape, np.float32)
    columns = [labels] if labels.ndim == 3 else labels.T
    targets = [found] if labels.ndim == 3 else found.T
    for name, values, target in zip(names, columns, targets, strict=True):
        known = [values[splits == role] for role in ROLES]
        train, val = (part[~np.isnan(part)] for part in known)
        for role, part in zip(ROLES, (train, val), strict=True):
            if not part.size:
                raise DataError(
                    f"target: no label of split {role} has a known {name}; check what is unknown"
                )
        centre = np.median(train)
        spread = np.abs(train - centre).mean()
        if not spread > 0:
            raise DataError(
                f"target: {name} is the same in all training labels; there is nothing to learn"
            )
        if not np.abs(val - centre).max() > 0:
            raise DataError(
                f"target: {name} equals the training median in all validation labels; add others"
            )
        target[...] = (values - centre) / spread
    return found


def _misaligned(
    one: Example, label: tuple[int, ...], size: tuple[int, int], upright: bool
) -> list[str]:
    """Say why a label (H, W) does not lie on its image, or may not; nothing where it does."""
    orientation = orientation_of(one.image) if upright else 1
    # What is turned by a quarter has sides that say which way round its label is.
    is_known = orientation == 1 or (orientation >= TURNED and label[0] != label[1])
    if label == size and is_known:
        return []
    if orientation > 1 and label in (size, size[::-1]):
        return [
            f"{_name(one.image)}: its EXIF tag turns it, and its label may fit either orientation; "
            "save such images as they appear, without the tag, and compare them with their labels"
        ]
    return [
        f"{_name(one.label)}: is {label[1]} x {label[0]} pixels, but its image is {size[1]} x "
        f"{size[0]}; export both at the same size"
    ]


def _refuse(problems: list[str], n: int) -> None:
    """Raise DataError with the first few problems; what is true of several files is said once."""
    if not problems:
        return
    by_remedy: dict[str, dict[str, list[str]]] = {}  # files by what is wrong, by what helps
    for problem in problems[:_NAMED]:
        file, _, rest = problem.partition(": ")
        fault, _, remedy = rest.rpartition("; ")
        by_remedy.setdefault(remedy, {}).setdefault(fault, []).append(file)
    parts = []
    for remedy, faults in by_remedy.items():
        parts += [f"{', '.join(files)}: {fault}" for fault, files in faults.items()] + [remedy]
    more = f"; and {len(problems) - _NAMED} more" if len(problems) > _NAMED else ""
    count = f"{len(problems)} problem{'s' * (len(problems) > 1)}"
    raise DataError(f"{count} in {n} labelled images: {'; '.join(parts)}{more}")


def _refuse_copies(rows: Sequence[dict]) -> None:
    """Refuse images of the same content that have different labels or are in both splits: what
    is scored would have been trained on, or be right and wrong at once."""
    first: dict[str, dict] = {}
    copies = []
    for row in rows:
        other = first.setdefault(row["image_sha256"], row)
        if any(other[key] != row[key] for key in ("split", *_label_keys(row))):
            copies.append(f"{row['id']} is {other['id']}")
    if copies:
        raise DataError(
            f"{len(copies)} of {len(rows)} labelled images are identical to another one in the "
            f"other split or with another label: {first_few(copies)}; keep one of each"
        )


def _label_keys(row: dict) -> tuple[str, ...]:
    # Labels in files are what they hold, whatever they are called.
    return ("label_sha256",) if row["label_sha256"] else ("label",)


def _row(one: Example, size: tuple[int, int]) -> dict:
    label = one.label
    is_pixels = isinstance(label, Path | bytes)
    if not is_pixels:
        text = label if isinstance(label, str) else " ".join(f"{value:g}" for value in label)
    return {
        "id": one.id,
        "split": one.split,
        "image": _name(one.image),
        "label": _name(label) if is_pixels else text,
        "height": size[0],
        "width": size[1],
        "image_sha256": _hash(one.image),
        "label_sha256": _hash(label) if is_pixels else "",
    }


def _name(source: Pixels) -> str:
    return "" if isinstance(source, bytes) else f"{source.parent.name}/{source.name}"


def _hash(source: Pixels) -> str:
    if isinstance(source, bytes):
        return hashlib.sha256(source).hexdigest()
    return sha256_of(source)
