"""What layouts of labelled images come to: labelled files, and which of them are scored on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from taskrsa.errors import DataError
from taskrsa.targets.pixels import Pixels
from taskrsa.targets.sets import ROLES
from taskrsa.text import first_few


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


def refuse_new_classes(where: Path, examples: Sequence[Example]) -> None:
    """Refuse classes that are scored but never shown."""
    seen, asked = (set(classes_of([e for e in examples if e.split == role])) for role in ROLES)
    if asked - seen:
        raise DataError(
            f"{where}: classes {', '.join(sorted(asked - seen))} are in val but not in train, so "
            "they cannot be learnt; add training images or leave them out"
        )


def refuse_empty_splits(where: Path, examples: Sequence[Example]) -> None:
    """Refuse a split without an image."""
    for role in ROLES:
        if not any(one.split == role for one in examples):
            raise DataError(f"{where}: split {role} has no images; add some")


def drawn(where: Path, examples: list[Example], share: float, seed: int) -> list[Example]:
    """Draw the images to score on: of every class separately, so that each is in both splits.

    Raises
    ------
    DataError
        If a class, or the set without classes, has fewer than two images.
    """
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
