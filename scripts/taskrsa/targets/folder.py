"""Folders of labelled photographs.

classification  one folder a class, <class>/<file>.jpg|png|...
segmentation    images/<id>.jpg|png|... and masks/<id>.png (class ids, 255 is void); classes.txt
                with one name a line, or none
regression      images/<id>.jpg|png|... and maps/<id>.png (8 or 16 bits, one channel) or <id>.npy

Two folders train and val that each hold such a layout are the split; otherwise the images to score
on are drawn with a seed.
"""

from __future__ import annotations

from pathlib import Path

from taskrsa.data.folder import is_hidden, photographs
from taskrsa.errors import DataError
from taskrsa.targets.devkit import CLASSES_FILE, read_classes
from taskrsa.targets.examples import Example, Layout, classes_of, layout_of, missing, refuse_doubles
from taskrsa.targets.sets import ROLES
from taskrsa.text import first_few

_SPLITS = {"train", "training", "val", "valid", "validation", "dev", "test", "testing"}
_LABELS = {"segmentation": ("masks", (".png",)), "regression": ("maps", (".npy", ".png"))}


def read_folder(kind: str, path: str | Path, val_share: float, seed: int) -> Layout:
    """Return the labelled photographs of a folder (segmentation, classification or regression).

    The share and the seed, and errors, are those of `layout_of`; DataError also if folders or
    labels are missing, an image is there twice, or nothing is found.
    """
    root = Path(path)
    if not root.is_dir():
        raise missing(root)
    splits = ROLES if all((root / role).is_dir() for role in ROLES) else ("",)
    lists = tuple(file for name in ("", *ROLES) if (file := root / name / CLASSES_FILE).is_file())
    if kind == "classification":
        examples = [one for split in splits for one in _of_classes(root / split, split)]
        return layout_of(root, examples, val_share, seed, lists=lists)
    examples = [one for split in splits for one in _of_pairs(kind, root / split, split)]
    classes: tuple[str, ...] = ()
    if kind == "regression":
        classes = ("value",)
    else:
        for place in (root / splits[0], (root / splits[0]).parent):
            if not classes and (place / CLASSES_FILE).is_file():
                classes = read_classes(place)
    return layout_of(root, examples, val_share, seed, classes=classes, lists=lists)


def _of_classes(root: Path, split: str) -> list[Example]:
    folders = sorted(folder for folder in root.iterdir() if folder.is_dir())
    found = []
    for folder in folders:
        if is_hidden(folder.relative_to(root)):
            continue
        for file in map(Path, _some(folder)):
            found.append(Example(_joined(split, _id_of(file, root)), split, file, folder.name))
    refuse_doubles(root, found)
    if not split:
        _refuse_splits(root, found)
    # What is scored on may lack classes.
    if len(classes_of(found)) < (1 if split == "val" else 2):
        raise DataError(
            f"{root}: {len(classes_of(found))} folders of classes; put the photographs of each "
            "class into their own folder, or give a CSV file with the columns image and label"
        )
    return found


def _refuse_splits(root: Path, found: list[Example]) -> None:
    """Refuse folders of classes that are named as splits and hold photographs in folders only."""
    names = classes_of(found)
    is_deeper = all(len(one.image.relative_to(root).parts) > 2 for one in found)
    if names and is_deeper and _SPLITS.issuperset(map(str.lower, names)):
        raise DataError(
            f"{root}: its folders {', '.join(names)} are splits, not classes; rename the "
            "one to train on to train and the one to score on to val, side by side"
        )


def _some(folder: Path) -> list[str]:
    found = photographs(folder)
    if not found:
        raise DataError(f"{folder}: holds no photographs; add some, or remove the folder")
    return found


def _of_pairs(kind: str, root: Path, split: str) -> list[Example]:
    name, suffixes = _LABELS[kind]
    for folder in (root / "images", root / name):
        if not folder.is_dir():
            raise DataError(f"{folder}: no such folder; {kind} needs images and {name} in {root}")
    labels: dict[str, Path] = {}
    for file in sorted((root / name).rglob("*")):
        if file.suffix.lower() not in suffixes or is_hidden(file.relative_to(root / name)):
            continue
        other = labels.setdefault(_id_of(file, root / name), file)
        if other != file:
            raise DataError(f"{file}: {other.name} is of the same image; keep only one of them")
    found, lacking, seen = [], [], set()
    for file in map(Path, _some(root / "images")):
        image_id = _id_of(file, root / "images")
        if image_id in seen:
            raise DataError(f"{file}: another image is named {image_id}; rename one and its label")
        seen.add(image_id)
        if image_id in labels:
            found.append(Example(_joined(split, image_id), split, file, labels.pop(image_id)))
        else:
            lacking.append(f"images/{image_id}")
    if lacking or labels:
        both = [*lacking, *(f"{name}/{image_id}" for image_id in labels)]
        raise DataError(
            f"{root}: {len(both)} files have no partner: {first_few(both)}; every image needs a "
            f"file with its name in {name}, and vice versa"
        )
    return found


def _id_of(file: Path, root: Path) -> str:
    return file.relative_to(root).with_suffix("").as_posix()


def _joined(split: str, image_id: str) -> str:
    return f"{split}/{image_id}" if split else image_id
