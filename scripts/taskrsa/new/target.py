"""What a labelled folder or CSV file holds: its kind, and what the readers of targets find."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median_low

import numpy as np

from taskrsa.data.folder import SUFFIXES
from taskrsa.errors import ConfigError, DataError
from taskrsa.io.files import full_path
from taskrsa.targets.config import TargetData
from taskrsa.targets.devkit import CLASSES_FILE, VOC_CLASSES, is_devkit
from taskrsa.targets.examples import Example, Layout
from taskrsa.targets.pixels import VOID, checked_size, read_map, read_mask
from taskrsa.targets.prepare import read_layout
from taskrsa.targets.sets import ROLES
from taskrsa.text import first_few, percent

LOOKED_AT = 200  # images that are opened; the run reads all
MOST_CLASSES = 20  # different whole numbers of a column that are still taken for classes
_FEW = 5  # training images of a class that are hardly enough
_READERS = "segmentation, classification, regression and values in config/README.md"
_LAYOUTS = {
    "segmentation": "images and masks",
    "classification": "a folder of images for each class",
    "regression": "images and maps of numbers",
}


@dataclass(frozen=True)
class Found:
    """A target that can be read.

    Attributes
    ----------
    facts : what was understood, as pairs of a subject and what is said of it
    doubts : what was decided but may be otherwise
    side : middle of the images' shorter sides, pixels
    is_drawn : the images to score on are drawn, as the data have no split
    """

    data: TargetData
    layout: Layout
    facts: tuple[tuple[str, str], ...]
    doubts: tuple[str, ...]
    side: int
    is_drawn: bool

    def of(self, role: str) -> list[Example]:
        return [one for one in self.layout.examples if one.split == role]


@dataclass(frozen=True)
class _Kind:
    """The kind of a target, how that is known, and what speaks against it."""

    data: TargetData
    because: str
    doubts: tuple[str, ...] = ()


def look_at(path: str, kind: str | None = None) -> Found:
    """Return what is at `path`: `kind`, or what its layout says. Labels and sizes of at most
    `LOOKED_AT` images are looked at, evenly over the set.

    Raises
    ------
    ConfigError
        If the path names an environment variable that is not set.
    DataError
        If nothing is there, no layout fits, or files cannot be read, as the readers say it.
    """
    place = Path(full_path(path))
    if "$" in str(place):
        raise ConfigError(f"--target {path}: names an environment variable that is not set")
    if not place.exists():
        raise DataError(f"--target {path}: there is no such folder or CSV file; correct it")
    found = _given(place, kind) if kind else _recognised(place)
    layout = read_layout(found.data, seed=0)
    chosen = layout.examples[:: -(-len(layout.examples) // LOOKED_AT)]
    if found.data.kind == "segmentation" and not layout.classes:
        found = _with_values(found, chosen)
    sizes = [checked_size(one.image, layout.upright) for one in chosen]
    labels = _LABELS[found.data.kind](found.data, layout, chosen)
    split = _split(place, found.data)
    facts = [
        ("kind", f"{found.data.kind} ({found.because})"),
        *labels.facts,
        ("images", f"{_counts(layout)} ({split or _drawn(found.data)})"),
        ("size", _sizes(sizes)),
        ("ignored", _ignored(place, found.data, layout)),
    ]
    doubts = [*found.doubts, *labels.doubts]
    if len(chosen) < len(layout.examples):
        doubts.append(f"only {len(chosen)} of the images were opened; the run checks all of them")
    data = found.data.model_copy(update={"path": path})
    side = median_low(min(size) for size in sizes)
    return Found(data, layout, tuple(facts), tuple(doubts), side, is_drawn=not split)


# --- kinds ---


def _data(kind: str, place: Path) -> TargetData:
    return TargetData(kind=kind, path=str(place))


def _given(place: Path, kind: str) -> _Kind:
    return _Kind(_data(kind, place), "as --kind says")


def _recognised(place: Path) -> _Kind:
    if place.is_file():
        return _of_csv(place)
    if is_devkit(place):
        return _Kind(_data("segmentation", place), "a devkit in the layout of Pascal VOC")
    for root in (place, *(place / role for role in ROLES)):
        if not (root / "images").is_dir():
            continue
        kinds = [
            kind
            for kind, folder in (("segmentation", "masks"), ("regression", "maps"))
            if (root / folder).is_dir()
        ]
        if not kinds:
            raise DataError(
                f"--target {place}: {root} holds images, but neither masks (a segmentation) nor "
                "maps (numbers); rename the folder of labels to masks or maps, or, if images is a "
                "class, add --kind classification"
            )
        doubts = ()
        if len(kinds) > 1:
            doubts = ("there are masks and maps: masks are taken; for maps, add --kind regression",)
        return _Kind(_data(kinds[0], place), _LAYOUTS[kinds[0]], doubts)
    kind = _Kind(_data("classification", place), _LAYOUTS["classification"])
    try:
        read_layout(kind.data, seed=0)
    except DataError as error:
        raise DataError(
            f"--target {place}: has an unknown layout ({_READERS}); read as a "
            f"classification: {error}"
        ) from None
    return kind


def _of_csv(place: Path) -> _Kind:
    """Tell classes from numbers by what the readers take."""
    classes, no_classes = _tried("classification", place)
    values, no_values = _tried("values", place)
    if not classes and not values and no_classes == no_values:
        raise DataError(f"--target {place}: {no_classes}")
    if not classes and not values:
        raise DataError(
            f"--target {place}: holds neither classes ({no_classes}) nor numbers ({no_values})"
        )
    if classes and values:
        n, counted = len(classes.classes), _are_counts(classes.classes)
        number = f"{n} different {'whole ' * counted}numbers"
        if counted and n <= MOST_CLASSES:
            doubt = f"label holds {number}, read as classes; if they measure something, add"
            doubt += " --kind values"
            values = None
        else:
            doubt = f"label holds {number}, which are learnt as such; if they are classes, add"
            doubt += " --kind classification"
        kind = "values" if values else "classification"
        return _Kind(_data(kind, place), "a CSV file", (doubt,))
    if classes:
        return _Kind(_data("classification", place), "a CSV file with the column label")
    return _Kind(_data("values", place), "a CSV file of numbers", _likely_classes(values))


def _tried(kind: str, place: Path) -> tuple[Layout | None, str]:
    try:
        return read_layout(_data(kind, place), seed=0), ""
    except DataError as error:
        return None, str(error).removeprefix(f"{place}: ").removeprefix(f"{place}, ")


def _are_counts(names: Sequence[str]) -> bool:
    return all(float(name).is_integer() for name in names)


def _likely_classes(values: Layout) -> tuple[str, ...]:
    """Name the column that may hold classes, where it is the only one."""
    if len(values.classes) > 1:
        return ()
    different = {one.label[0] for one in values.examples}
    whole = all(float(value).is_integer() for value in different)
    if not whole or len(different) > MOST_CLASSES:
        return ()
    (name,) = values.classes
    return (
        f"{name} holds {len(different)} different whole numbers, which are learnt as numbers; if "
        "they are classes, name the column label",
    )


# --- labels ---


@dataclass(frozen=True)
class _Labels:
    facts: tuple[tuple[str, str], ...]
    doubts: tuple[str, ...] = ()


def _mask_labels(data: TargetData, layout: Layout, chosen: Sequence[Example]) -> _Labels:
    values = data.mask_values or ()
    masks = [read_mask(one.label, len(layout.classes) or None, values) for one in chosen]
    ids = np.unique(np.concatenate([np.unique(mask) for mask in masks]))
    ids = ids[ids != VOID]
    if not ids.size:
        raise DataError(f"{data.path}: no pixel has a label; correct the masks")
    void = np.mean([np.mean(mask == VOID) for mask in masks])
    doubts = []
    if layout.classes:
        classes = _named(layout.classes)
        of_voc = layout.classes == VOC_CLASSES
        source = "Pascal VOC's" if of_voc and not _has_names(layout) else CLASSES_FILE
        classes = f"{classes} ({source}); {len(ids)} of them seen"
    elif values:
        classes = f"{len(values)}: {first_few([f'class_{value}' for value in values])}"
        doubts.append(f"classes have no names; list them in {CLASSES_FILE}, in the same order")
    else:
        highest = int(ids.max())
        classes = f"{highest + 1}, class_0 to class_{highest}"
        doubts.append(f"classes have no names; list them in {CLASSES_FILE}, one a line from id 0")
    facts = [("classes", classes)]
    if void:
        facts.append(("void", f"{percent(void, 1)} of the pixels (id {VOID})"))
    return _Labels(tuple(facts), tuple(doubts))


def _with_values(found: _Kind, chosen: Sequence[Example]) -> _Kind:
    """Name the values of masks without names that are not 0, 1, 2, ..., as of masks of 0 and 255;
    taken as they are they would be one class, or many empty ones."""
    values = np.unique(np.concatenate([np.unique(read_mask(one.label)) for one in chosen])).tolist()
    known = [value for value in values if value != VOID]
    if len(known) == 1 and VOID in values:
        doubt = f"the masks hold {known[0]} and {VOID}: both are taken for classes"
    elif known and 2 * len(known) < known[-1] + 1:
        values, doubt = known, f"the masks hold {first_few(known)} only: these are the classes"
    else:
        return found
    if len(values) < 2:
        return found
    data = found.data.model_copy(update={"mask_values": tuple(values)})
    return _Kind(data, found.because, (*found.doubts, f"{doubt} (mask_values)"))


def _has_names(layout: Layout) -> bool:
    """Return whether a layout names its classes in a file of its own."""
    return any(file.name == CLASSES_FILE for file in layout.lists)


def _class_labels(data: TargetData, layout: Layout, chosen: Sequence[Example]) -> _Labels:
    counts = Counter(str(one.label) for one in layout.examples if one.split == "train")
    least, most = min(counts.values()), max(counts.values())
    number = f"{least} to {most}" if least < most else str(least)
    facts = (("classes", f"{_named(layout.classes)}; {number} training images each"),)
    few = [name for name, n in sorted(counts.items()) if n < _FEW]
    if not few:
        return _Labels(facts)
    return _Labels(facts, (f"fewer than {_FEW} training images of {first_few(few)}",))


def _map_labels(data: TargetData, layout: Layout, chosen: Sequence[Example]) -> _Labels:
    maps = [read_map(one.label, data.unknown) for one in chosen]
    known = np.concatenate([values[np.isfinite(values)] for values in maps])
    if not known.size:
        raise DataError(f"{data.path}: no pixel of the maps has a number; correct them")
    share = 1 - known.size / sum(values.size for values in maps)
    facts = [("values", f"from {known.min():g} to {known.max():g}")]
    if share:
        facts.append(("unknown", f"{percent(share, 1)} of the pixels"))
    zeros = np.mean(known == 0)
    # Sensors write 0 where they measured nothing, and then it is the least and apart from others.
    if not 0 < zeros < 1 or known.min() < 0:
        return _Labels(tuple(facts))
    doubt = f"{percent(zeros, 1)} of the pixels are 0; if that means unknown, add unknown: 0"
    return _Labels(tuple(facts), (doubt,))


def _number_labels(data: TargetData, layout: Layout, chosen: Sequence[Example]) -> _Labels:
    values = np.array([one.label for one in layout.examples], dtype=float)
    facts = []
    for name, column in zip(layout.classes, values.T, strict=True):
        known = column[np.isfinite(column)]
        unknown = len(column) - len(known)
        text = f"from {known.min():g} to {known.max():g}" if known.size else "none known"
        facts.append((name, text + (f", {unknown} unknown" if unknown else "")))
    return _Labels(tuple(facts))


_LABELS: dict[str, Callable[..., _Labels]] = {
    "segmentation": _mask_labels,
    "classification": _class_labels,
    "regression": _map_labels,
    "values": _number_labels,
}


# --- sentences ---


def _named(names: Sequence[str]) -> str:
    return f"{len(names)}: {first_few(names)}"


def _counts(layout: Layout) -> str:
    counts = Counter(one.split for one in layout.examples)
    return f"{counts['train']} to train on, {counts['val']} to score on"


def _drawn(data: TargetData) -> str:
    return f"drawn, as there is no split: val_share {data.val_share:g}"


def _split(place: Path, data: TargetData) -> str:
    """Return where the split comes from, "" if there is none."""
    if place.is_file():
        row = _first_row(place)
        return "column split" if row.get("split") else ""
    if data.kind == "segmentation" and is_devkit(place):
        return f"lists {data.train_list} and {data.val_list}"
    found = all((place / role).is_dir() for role in ROLES)
    return f"folders {ROLES[0]} and {ROLES[1]}" if found else ""


def _first_row(place: Path) -> dict[str, str]:
    """Return the first row of a CSV file that was read."""
    with open(place, newline="", encoding="utf-8-sig") as stream:
        row = next(csv.DictReader(stream))
    return {name.strip(): (cell or "").strip() for name, cell in row.items()}


def _plural(word: str, things: Sequence) -> str:
    return word if len(things) == 1 else f"{word}s"


def _folders(layout: Layout) -> list[Path]:
    return sorted({one.image.parent for one in layout.examples})


def _sizes(sizes: Sequence[tuple[int, int]]) -> str:
    if len(set(sizes)) == 1:
        height, width = sizes[0]
        return f"{width} x {height} pixels"
    sides = [side for size in sizes for side in size]
    return f"sides from {min(sides)} to {max(sides)} pixels"


def _ignored(place: Path, data: TargetData, layout: Layout) -> str:
    """Say which columns and files beside those that were read are not used."""
    used = {*layout.files(), str(place)}
    if place.is_file() or (data.kind == "segmentation" and is_devkit(place)):
        # Beside a list there may be anything; only the folders of its images are looked into.
        others = [file for folder in _folders(layout) for file in folder.iterdir()]
    else:
        others = [*place.rglob("*")]
    others = [
        file
        for file in others
        if file.is_file() and str(file) not in used and not file.name.startswith(".")
    ]
    photographs = sorted(file.name for file in others if file.suffix.lower() in SUFFIXES)
    kinds = Counter(
        file.suffix.lower() or "without suffix"
        for file in others
        if file.suffix.lower() not in SUFFIXES
    )
    parts = []
    if place.is_file() and data.kind == "classification":
        columns = [name for name in _first_row(place) if name not in ("image", "label", "split")]
        parts += [f"{_plural('column', columns)} {first_few(columns)}"] * bool(columns)
    if photographs:
        images = f"{len(photographs)} {_plural('image', photographs)}"
        parts.append(f"{images} without a label ({first_few(photographs, 3)})")
    parts += [f"{n} {_plural('file', range(n))} {kind}" for kind, n in sorted(kinds.items())]
    return ", ".join(parts) or "nothing"
