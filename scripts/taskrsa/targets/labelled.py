"""A labelled set of the user's own: photographs with masks, classes or maps, in one small file.

Layouts of the folder, by kind:

segmentation    images/<id>.jpg|png and masks/<id>.png (class ids as palette or grey, 255 is void),
                classes.txt with one name a line or none; or a devkit as of Pascal VOC
classification  one folder a class, <class>/<file>.jpg|png; or a CSV file with the columns image
                (path from the CSV's folder), label and, if wanted, split (train or val)
regression      images/<id>.jpg|png and maps/<id>.png (8 or 16 bits, one channel) or <id>.npy

Two folders train and val that each hold such a layout are the split; otherwise validation images
are drawn with a seed. As with stimuli, the centre square of every image is taken.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from PIL import Image

from taskrsa.data.folder import files as photographs
from taskrsa.data.folder import photograph_size, square_photograph
from taskrsa.errors import ConfigError, DataError
from taskrsa.io.files import atomic_path, sha256_of
from taskrsa.targets import devkit as segmentation

# Each kind, and how its score is called: the name of a column in tables.
METRICS = {
    "segmentation": "miou",
    "classification": "accuracy",
    "regression": "error_removed",
}
KINDS = tuple(METRICS)
VOID = 255
ROLES = ("train", "val")
_LABEL_FOLDERS = {"segmentation": ("masks", (".png",)), "regression": ("maps", (".npy", ".png"))}
# What Pillow raises on files that are damaged or far too large.
_BROKEN = (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError)


@dataclass(frozen=True)
class Example:
    """One labelled photograph in files: `label` is the file of its mask or map, or its class."""

    id: str
    split: str
    image: Path
    label: Path | str


@dataclass(frozen=True)
class LabelledSet:
    """One split of a set that `write_labelled` wrote, in memory.

    Attributes
    ----------
    kind : one of KINDS
    name : "train" or "val"
    classes : K names; of regression one, "value"
    ids : N
    images : (N, s, s, 3) uint8
    labels : class ids (N, s, s) or (N,) uint8, with 255 for void; or values (N, s, s) float32 in
        units of the training values' spread about their median, nan where unknown
    void : what stands for no label
    """

    kind: str
    name: str
    classes: tuple[str, ...]
    ids: tuple[str, ...]
    images: np.ndarray
    labels: np.ndarray

    @property
    def void(self) -> float:
        return np.nan if self.kind == "regression" else VOID

    def __len__(self) -> int:
        return len(self.ids)

    def image(self, i: int) -> np.ndarray:
        return self.images[i]

    def mask(self, i: int) -> np.ndarray:
        """Return the labels of image `i`: (s, s), or () for a class."""
        return np.asarray(self.labels[i])

    def first(self, n: int | None) -> LabelledSet:
        """Return the first `n` images, all for None; of a classification, each class in turn."""
        chosen = np.arange(len(self))[:n]
        if self.kind == "classification" and n is not None:
            # Folders of classes come one after the other: the first few would be of one class.
            turn = np.zeros(len(self), dtype=int)
            for name in np.unique(self.labels):
                rows = np.flatnonzero(self.labels == name)
                turn[rows] = np.arange(len(rows))
            chosen = np.sort(np.lexsort((self.labels, turn))[:n])
        ids = tuple(self.ids[i] for i in chosen)
        return LabelledSet(
            self.kind, self.name, self.classes, ids, self.images[chosen], self.labels[chosen]
        )

    @cached_property
    def digest(self) -> str:
        """One SHA-256 for all that is trained on or scored."""
        import hashlib

        found = hashlib.sha256(repr((self.kind, self.classes, self.ids)).encode())
        for values in (self.images, self.labels):
            found.update(np.ascontiguousarray(values).tobytes())
        return found.hexdigest()


def files(kind: str, path: str | Path) -> list[str]:
    """Return the files that a labelled set is read from; errors as of `find_examples`."""
    found = find_examples(kind, path, val_share=0.5, seed=0)[0]
    several = [example.image for example in found]
    several += [example.label for example in found if isinstance(example.label, Path)]
    names = [Path(path), *(Path(path, name, "classes.txt") for name in ("", *ROLES))]
    return [str(file) for file in (*several, *(name for name in names if name.is_file()))]


def find_examples(
    kind: str, path: str | Path, val_share: float, seed: int
) -> tuple[list[Example], tuple[str, ...]]:
    """Return the labelled photographs of a folder or CSV file, and the names of the classes.

    Of a segmentation without classes.txt no names are returned: the ids in the masks tell.

    Parameters
    ----------
    kind : one of KINDS
    val_share : of the images to validate by, drawn with `seed`, where the folder has no split;
        of a classification, of every class

    Raises
    ------
    ConfigError
        If there is no such kind.
    DataError
        If folders or labels are missing, an image is there twice, a class has one image only, or
        nothing is found.
    """
    if kind not in KINDS:
        raise ConfigError(f"target, kind: there is no kind {kind!r}; give {', '.join(KINDS)}")
    root = Path(path)
    if kind == "classification" and root.is_file():
        examples = _from_csv(root)
        if any(example.split for example in examples):
            return _checked(root, examples), _class_names(examples)
        return _drawn(root, examples, val_share, seed), _class_names(examples)
    if not root.is_dir():
        raise DataError(f"{root}: no such folder of labelled images; correct target.path")
    if kind == "segmentation" and _is_devkit(root):
        splits = segmentation.open_splits(root)
        return [
            Example(name, role, image, mask)
            for role, split in splits.items()
            for name, image, mask in zip(split.ids, split.images, split.masks, strict=True)
        ], splits["train"].classes
    read = _of_classes if kind == "classification" else _of_pairs
    if all((root / role).is_dir() for role in ROLES):
        examples = [one for role in ROLES for one in read(kind, root / role, role)]
        classes = _named_classes(kind, root / "train", examples)
        _refuse_new_classes(kind, examples)
        return _checked(root, examples), classes
    examples = read(kind, root, "")
    return _drawn(root, examples, val_share, seed), _named_classes(kind, root, examples)


def _is_devkit(root: Path) -> bool:
    try:
        segmentation.devkit_root(root)
    except DataError:
        return False
    return True


def _named_classes(kind: str, root: Path, examples: Sequence[Example]) -> tuple[str, ...]:
    if kind == "classification":
        return _class_names(examples)
    if kind == "regression":
        return ("value",)
    for folder in (root, root.parent):
        if (folder / "classes.txt").is_file():
            return segmentation.read_classes(folder)
    return ()


def _class_names(examples: Sequence[Example]) -> tuple[str, ...]:
    return tuple(sorted({str(example.label) for example in examples}))


def _of_classes(kind: str, root: Path, split: str) -> list[Example]:
    folders = sorted(folder for folder in root.iterdir() if folder.is_dir())
    found = []
    for folder in folders:
        if folder.name.startswith("."):
            continue
        for file in photographs(folder):
            image_id = Path(file).relative_to(root).with_suffix("").as_posix()
            found.append(Example(_joined(split, image_id), split, Path(file), folder.name))
    _refuse_doubles(root, found)
    # What is validated on may lack classes.
    if len(_class_names(found)) < (1 if split == "val" else 2):
        raise DataError(
            f"{root}: {len(_class_names(found))} folders of classes; put the photographs of each "
            "class into a folder of its own, or give a CSV file with the columns image and label"
        )
    return found


def _of_pairs(kind: str, root: Path, split: str) -> list[Example]:
    name, suffixes = _LABEL_FOLDERS[kind]
    for folder in (root / "images", root / name):
        if not folder.is_dir():
            raise DataError(f"{folder}: no such folder; {kind} needs images and {name} in {root}")
    labels: dict[str, Path] = {}
    for file in sorted((root / name).rglob("*")):
        if file.suffix.lower() not in suffixes:
            continue
        other = labels.setdefault(file.relative_to(root / name).with_suffix("").as_posix(), file)
        if other != file:
            raise DataError(f"{file}: {other.name} is of the same image; leave one of them")
    found, lacking, seen = [], [], set()
    for file in photographs(root / "images"):
        image_id = Path(file).relative_to(root / "images").with_suffix("").as_posix()
        if image_id in seen:
            raise DataError(f"{file}: another image is named {image_id}; rename one and its label")
        seen.add(image_id)
        if image_id in labels:
            found.append(Example(_joined(split, image_id), split, Path(file), labels.pop(image_id)))
        else:
            lacking.append(f"images/{image_id}")
    if lacking or labels:
        both = [*lacking, *(f"{name}/{image_id}" for image_id in labels)]
        raise DataError(
            f"{root}: {len(both)} files have no partner: {segmentation.some_of(both)}; every image "
            f"needs a file of its name in {name}, and the other way round"
        )
    return found


def _joined(split: str, image_id: str) -> str:
    return f"{split}/{image_id}" if split else image_id


def _from_csv(path: Path) -> list[Example]:
    try:
        with open(path, newline="", encoding="utf-8-sig") as stream:
            rows = list(csv.DictReader(stream))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: cannot be read ({error}); save it as UTF-8 CSV") from None
    for column in ("image", "label"):
        if not rows or column not in rows[0]:
            raise DataError(
                f"{path}: has no column {column} or no row; give image and label, and split if "
                "you have one"
            )
    found = []
    for line, row in enumerate(rows, start=2):
        image, label, split = ((row.get(key) or "").strip() for key in ("image", "label", "split"))
        if not image or not label or split not in ("", *ROLES):
            raise DataError(
                f"{path}, line {line}: needs an image, a label, and train, val or nothing as split"
            )
        found.append(Example(Path(image).with_suffix("").as_posix(), split, path.parent / image,
                             label))  # fmt: skip
    _refuse_doubles(path, found)
    if len({bool(example.split) for example in found}) > 1:
        raise DataError(f"{path}: some rows have a split and some not; give it to all or to none")
    missing = [str(example.image) for example in found if not example.image.is_file()]
    if missing:
        raise DataError(
            f"{path}: {len(missing)} images are missing: {segmentation.some_of(missing)}; correct "
            "the column image"
        )
    if len(_class_names(found)) < 2:
        raise DataError(f"{path}: holds one label only; classification needs two or more")
    if all(example.split for example in found):
        _refuse_new_classes("classification", found)
    return found


def _checked(root: Path, examples: list[Example]) -> list[Example]:
    for role in ROLES:
        if not any(example.split == role for example in examples):
            raise DataError(f"{root}: no image is in split {role}; put some there")
    return examples


def _refuse_doubles(root: Path, examples: list[Example]) -> None:
    """Refuse what could be trained on and validated by at once, or have two labels."""
    double = [name for name, n in Counter(example.id for example in examples).items() if n > 1]
    if double:
        raise DataError(
            f"{root}: two images have one name (suffixes aside) or one is there twice: "
            f"{segmentation.some_of(double)}; leave each once, or rename one"
        )


def _refuse_new_classes(kind: str, examples: list[Example]) -> None:
    if kind != "classification":
        return
    seen, asked = ({str(e.label) for e in examples if e.split == role} for role in ROLES)
    if asked - seen:
        raise DataError(
            f"classes {', '.join(sorted(asked - seen))} are in val but not in train; what is never "
            "shown cannot be learnt: add images or leave them out"
        )


def _drawn(root: Path, examples: list[Example], share: float, seed: int) -> list[Example]:
    """Draw the validation images: of every class for itself, so that each is in both splits."""
    groups: dict[str, list[int]] = {}
    for place, example in enumerate(examples):
        group = "" if isinstance(example.label, Path) else example.label
        groups.setdefault(group, []).append(place)
    rng = np.random.default_rng([seed, len(examples)])
    val = set()
    for name in sorted(groups):
        places = groups[name]
        if len(places) < 2:
            what = f"class {name} has" if name else "there are"
            raise DataError(
                f"{root}: {what} {len(places)} images; one to train and one to validate by are "
                "the least"
            )
        n = min(len(places) - 1, max(1, round(share * len(places))))
        val |= {places[i] for i in rng.permutation(len(places))[:n]}
    return [
        Example(one.id, "val" if place in val else "train", one.image, one.label)
        for place, one in enumerate(examples)
    ]


# --- reading pixels ---


def square_label(values: np.ndarray, size: int) -> np.ndarray:
    """Return the centre square of labels (H, W) at (size, size), the nearest of each."""
    side = min(values.shape)
    top, left = ((length - side) // 2 for length in values.shape)
    at = ((np.arange(size) + 0.5) * side / size).astype(int)
    return values[top + at[:, None], left + at[None]]


def _map(path: Path, unknown: float | None) -> np.ndarray:
    """Return a map of values (H, W) float32, nan where unknown or not finite."""
    palette = False
    try:
        if path.suffix.lower() == ".npy":
            values = np.load(path, allow_pickle=False)
        else:
            with Image.open(path) as image:
                palette = image.mode == "P"
                values = np.asarray(image)
    except _BROKEN as error:
        raise DataError(f"{path}: cannot be read as a map ({error}); export it again") from None
    if palette:
        raise DataError(f"{path}: holds colours of a palette, not values; save a grey PNG")
    if not isinstance(values, np.ndarray):
        raise DataError(f"{path}: is an archive of arrays (npz); save the one array with np.save")
    if values.ndim != 2 or values.dtype.kind not in "uif":
        raise DataError(
            f"{path}: holds {values.dtype} of shape {values.shape}, not one number a pixel; save a "
            "grey PNG or a 2D array"
        )
    values = values.astype(np.float32)
    if unknown is not None:
        values[values == unknown] = np.nan
    values[~np.isfinite(values)] = np.nan
    return values


def write_labelled(
    kind: str,
    examples: Sequence[Example],
    classes: Sequence[str],
    size: int,
    path: str | Path,
    unknown: float | None = None,
    progress: Callable = iter,
) -> list[dict]:
    """Read every file once, write the set as HDF5, and return one row for each image.

    Parameters
    ----------
    size : side of the images and maps that are kept, pixels
    unknown : the value that stands for no value in maps of a regression
    progress : wraps the examples, to show how far it is

    Raises
    ------
    DataError
        If files cannot be read, an image and its label differ in size, or ids and classes do not
        go together; one error names the first five.
    """
    import h5py

    if len(classes) > VOID:
        raise DataError(f"target: {len(classes)} classes; at most {VOID} are possible")
    images, labels, rows, problems = [], [], [], []
    for example in progress(examples):
        try:
            label = _label_of(kind, example, classes, unknown)
            if label.ndim and label.shape != photograph_size(example.image):
                height, width = photograph_size(example.image)
                raise DataError(
                    f"{example.label}: is {label.shape[1]} x {label.shape[0]} pixels, its image "
                    f"{width} x {height}; export both at one size"
                )
            images.append(square_photograph(example.image, size))
        except DataError as error:
            problems.append(str(error))
            continue
        except _BROKEN as error:
            problems.append(f"{example.image}: cannot be read as a photograph ({error})")
            continue
        labels.append(square_label(label, size) if label.ndim else label)
        is_file = isinstance(example.label, Path)
        rows.append(
            {
                "id": example.id,
                "split": example.split,
                "label": example.label.name if is_file else example.label,
                "image_sha256": sha256_of(example.image),
                "label_sha256": sha256_of(example.label) if is_file else "",
            }
        )
    if problems:
        raise DataError(
            f"{len(problems)} of {len(examples)} labelled images cannot be used: "
            f"{segmentation.some_of(problems, '; ')}"
        )
    labels = np.stack(labels)
    splits = np.array([example.split for example in examples])
    known = ~np.isnan(labels) if kind == "regression" else labels != VOID
    for role in ROLES:
        if not known[splits == role].any():
            raise DataError(f"target: no pixel of split {role} has a label; check what is unknown")
    attributes = {"kind": kind}
    if kind == "regression":
        train = labels[splits == "train"]
        train = train[~np.isnan(train)]
        centre = np.median(train)
        spread = np.abs(train - centre).mean()
        if not spread > 0:
            raise DataError("target: all training maps hold one value; there is nothing to learn")
        labels = (labels - centre) / spread
        attributes |= {"centre": float(centre), "spread": float(spread)}
    else:
        classes = _classes_in(labels, classes)
    text = h5py.string_dtype()
    with atomic_path(path) as temporary, h5py.File(temporary, "w") as file:
        file.attrs.update(attributes)
        file.create_dataset("images", data=np.stack(images))
        file.create_dataset("labels", data=labels)
        file.create_dataset("split", data=splits.astype(object), dtype=text)
        file.create_dataset("ids", data=[example.id for example in examples], dtype=text)
        file.create_dataset("classes", data=list(classes), dtype=text)
    return rows


def _label_of(
    kind: str, example: Example, classes: Sequence[str], unknown: float | None
) -> np.ndarray:
    if kind == "classification":
        return np.asarray(list(classes).index(str(example.label)), dtype=np.uint8)
    if kind == "regression":
        return _map(example.label, unknown)
    ids = segmentation.read_mask(example.label)
    highest = int(ids[ids != VOID].max(initial=0))
    if classes and highest >= len(classes):
        raise DataError(
            f"{example.label}: holds class id {highest}, but there are {len(classes)} classes; "
            "correct the mask or list all in classes.txt"
        )
    return ids


def _classes_in(labels: np.ndarray, classes: Sequence[str]) -> tuple[str, ...]:
    """Return the names of the classes, or numbers for those that have none."""
    highest = int(labels[labels != VOID].max(initial=0))
    names = tuple(classes) or tuple(f"class_{i}" for i in range(highest + 1))
    if len(names) < 2:
        raise DataError("target: the masks hold one class only; there is nothing to learn")
    return names


def open_labelled(path: str | Path) -> dict[str, LabelledSet]:
    """Read a set that `write_labelled` wrote, as {"train": ..., "val": ...}.

    Raises
    ------
    DataError
        If the file is missing or damaged.
    """
    import h5py

    try:
        with h5py.File(path, "r") as file:
            kind = file.attrs["kind"]
            classes = tuple(file["classes"].asstr()[:])
            ids, splits = file["ids"].asstr()[:], file["split"].asstr()[:]
            images, labels = file["images"][:], file["labels"][:]
    except (OSError, KeyError) as error:
        raise DataError(f"{path}: is no labelled set ({error}); prepare it again") from None
    found = {}
    for role in ROLES:
        chosen = splits == role
        found[role] = LabelledSet(
            kind, role, classes, tuple(ids[chosen]), images[chosen], labels[chosen]
        )
    return found
