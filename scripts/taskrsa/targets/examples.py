"""What layouts of labelled images come to: labelled files, and which of them are scored on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from taskrsa.data.images import Pixels
from taskrsa.errors import DataError
from taskrsa.targets.sets import ROLES
from taskrsa.text import first_few

# Where a run keeps the sets that it derives from photographs with depth: results/<run>/derived.
_RESULTS, _DERIVED = "results", "derived"


@dataclass(frozen=True)
class Example:
    """One labelled photograph: `label` is the file of its mask or map, its class, or its values.

    `split` is "train", "val", or "" where it is yet to be drawn.
    """

    id: str
    split: str
    image: Pixels
    label: Pixels | str | tuple[float, ...]


@dataclass(frozen=True)
class Layout:
    """The labelled images that were found, each in "train" or "val".

    Attributes
    ----------
    classes : their names; none of a segmentation that names none
    lists : files besides images and labels that were read
    upright : images are turned as their EXIF tags say
    """

    examples: list[Example]
    classes: tuple[str, ...]
    lists: tuple[Path, ...] = ()
    upright: bool = True

    def files(self) -> list[str]:
        """Return every file that the target is read from, each once."""
        pixels = (part for one in self.examples for part in (one.image, one.label))
        return list(dict.fromkeys(str(file) for file in (*self.lists, *pixels)
                                  if isinstance(file, Path)))  # fmt: skip


def missing(path: Path) -> DataError:
    """Return the error of a target that is not there."""
    parts = path.parts[-4:]
    if len(parts) == 4 and (parts[0], parts[2]) == (_RESULTS, _DERIVED):
        return DataError(
            f"{path}: is not there yet; run derive_targets with the same configuration first"
        )
    what = "CSV file" if path.suffix == ".csv" else "folder of labelled images"
    return DataError(f"{path}: no such {what}; correct the target's path")


def layout_of(
    where: Path, examples: list[Example], share: float, seed: int, **more: object
) -> Layout:
    """Return the layout of examples that have a split, or whose images to score on are drawn.

    Parameters
    ----------
    where : for errors
    share : of the images to score on, drawn with `seed`; of every class, so that each is in both
        splits
    more : other attributes of the layout; without `classes` they are those of the examples

    Raises
    ------
    DataError
        If a split has no image, classes are scored but never shown, or there are fewer than two
        images of a class (of the set without classes) to draw from.
    """
    if not all(one.split for one in examples):
        examples = _drawn(where, examples, share, seed)
    of_splits = [[one for one in examples if one.split == role] for role in ROLES]
    for role, found in zip(ROLES, of_splits, strict=True):
        if not found:
            raise DataError(f"{where}: split {role} has no images; add some")
    if "classes" not in more:
        seen, asked = map(classes_of, of_splits)
        if not set(asked) <= set(seen):
            raise DataError(
                f"{where}: classes {', '.join(sorted(set(asked) - set(seen)))} are in val but not "
                "in train, so they cannot be learnt; add training images or leave them out"
            )
        more["classes"] = classes_of(examples)
    return Layout(examples, **more)


def classes_of(examples: Sequence[Example]) -> tuple[str, ...]:
    """Return the classes of a classification in their order."""
    return tuple(sorted({str(one.label) for one in examples}))


def refuse_doubles(where: Path, examples: Sequence[Example]) -> None:
    """Refuse what could be trained on and scored on at once, or have two labels."""
    double = [name for name, n in Counter(one.id for one in examples).items() if n > 1]
    if double:
        raise DataError(
            f"{where}: several images are named {first_few(double)} (suffixes aside); rename "
            "or remove one"
        )


def _drawn(where: Path, examples: list[Example], share: float, seed: int) -> list[Example]:
    groups: dict[str, list[int]] = {}
    for place, one in enumerate(examples):
        groups.setdefault(one.label if isinstance(one.label, str) else "", []).append(place)
    rng = np.random.default_rng([seed, len(examples)])
    val = set()
    for name in sorted(groups):
        places = groups[name]
        if len(places) < 2:
            what = f"class {name} has" if name else "there are"
            raise DataError(
                f"{where}: {what} {len(places)} images; at least one to train on and one to score "
                "on are needed"
            )
        n = min(len(places) - 1, max(1, round(share * len(places))))
        val |= {places[i] for i in rng.permutation(len(places))[:n]}
    return [replace(one, split="val" if at in val else "train") for at, one in enumerate(examples)]
