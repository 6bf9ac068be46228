"""Labelled images as trainings and scores take them, whatever the kind of the labels.

A target's data.h5 holds two such sets, "train" and "val". Of a segmentation it lists image files
and their hashes, since images keep their own size; rendered ones it holds itself, as PNG files. Of
the other kinds it holds all pixels, at one size.

Both kinds of sets have

    name            "train" or "val"
    kind            a key of `taskrsa.targets.config.KINDS`
    classes         K names: of classes; "value" of a regression; of the numbers of `values`
    ids             of the N images
    void            what stands for no label, 255 or nan
    digest          SHA-256 of all that is trained on or scored
    image(i)        (H, W, 3) uint8
    label(i)        class ids (H, W) or () uint8; or values (H, W) or (K,) float32, in units of the
                    training values' spread about their median
    first(n)        the set of its first n images, all for None
    chosen(rows)    the set of some of its images
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from taskrsa.data.images import Pixels, read_photograph
from taskrsa.errors import DataError
from taskrsa.io.files import digest_of
from taskrsa.io.hdf5 import opened_hdf5, written_hdf5
from taskrsa.targets.pixels import VOID, read_mask

ROLES = ("train", "val")


@dataclass(frozen=True)
class FileSet:
    """A split of a segmentation: names in memory, pixels in files of any size. Reading them raises
    DataError where one is damaged or a mask holds another id than those of the classes."""

    name: str
    classes: tuple[str, ...]
    ids: tuple[str, ...]
    images: tuple[Pixels, ...]
    masks: tuple[Pixels, ...]
    hashes: tuple[tuple[str, str], ...]  # SHA-256 of the images and masks
    upright: bool = False  # turn images as their EXIF tags say
    values: tuple[int, ...] = ()  # what masks hold for each class; () for 0, 1, 2, ...
    kind: str = "segmentation"
    void: int = VOID

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def digest(self) -> str:
        listed = (" ".join((name, *pair)) for name, pair in zip(self.ids, self.hashes, strict=True))
        values = [" ".join(map(str, self.values))] if self.values else []
        return digest_of([str(self.void), str(self.upright), *values, *listed])

    def image(self, i: int) -> np.ndarray:
        return read_photograph(self.images[i], self.upright)

    def label(self, i: int) -> np.ndarray:
        return read_mask(self.masks[i], len(self.classes), self.values)

    def first(self, n: int | None) -> FileSet:
        return self.chosen(range(len(self))[:n])

    def chosen(self, rows: Sequence[int]) -> FileSet:
        parts = {part: getattr(self, part) for part in ("ids", "images", "masks", "hashes")}
        return replace(self, **{k: tuple(part[i] for i in rows) for k, part in parts.items()})


@dataclass(frozen=True)
class ArraySet:
    """A split in memory."""

    name: str
    kind: str
    classes: tuple[str, ...]
    ids: tuple[str, ...]
    images: np.ndarray  # (N, s, s, 3)
    labels: np.ndarray  # (N, s, s), (N,) or (N, K)

    @property
    def void(self) -> float:
        return np.nan if self.labels.dtype.kind == "f" else VOID

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def digest(self) -> str:
        digest = hashlib.sha256(repr((self.kind, self.classes, self.ids)).encode())
        for values in (self.images, self.labels):
            digest.update(np.ascontiguousarray(values).tobytes())
        return digest.hexdigest()

    def image(self, i: int) -> np.ndarray:
        return self.images[i]

    def label(self, i: int) -> np.ndarray:
        return np.asarray(self.labels[i])

    def first(self, n: int | None) -> ArraySet:
        """Return the first `n` images, all for None; of a classification, each class in turn."""
        chosen = np.arange(len(self))[:n]
        if self.kind == "classification" and n is not None:
            # Folders of classes come one after the other: the first few would be of one class.
            chosen = np.sort(np.lexsort((self.labels, turns(self.labels)))[:n])
        return self.chosen(chosen)

    def chosen(self, rows: Sequence[int]) -> ArraySet:
        rows = np.asarray(rows)
        ids = tuple(self.ids[i] for i in rows)
        return replace(self, ids=ids, images=self.images[rows], labels=self.labels[rows])


LabelledSet = FileSet | ArraySet


def turns(classes: np.ndarray) -> np.ndarray:
    """Return of each image, of the classes (N,), how many of its class stand before it."""
    turn = np.zeros(len(classes), dtype=int)
    for one in np.unique(classes):
        rows = np.flatnonzero(classes == one)
        turn[rows] = np.arange(len(rows))
    return turn


def held_out(images: LabelledSet, share: float, seed: int) -> tuple[LabelledSet, LabelledSet]:
    """Split a set into a part to train on and a part to choose by, drawn with `seed`.

    The second has `share` of the images, at least one; of a classification, of each class, but
    none of a class that has one image only. DataError if there is nothing to split.
    """
    groups = [np.arange(len(images))]
    if images.kind == "classification":
        labels = np.array([images.label(i) for i in range(len(images))])
        groups = [np.flatnonzero(labels == name) for name in np.unique(labels)]
    rng = np.random.default_rng([seed, len(images)])
    held: list[int] = []
    for rows in groups:
        n = min(len(rows) - 1, max(1, round(share * len(rows))))
        held += rng.permutation(rows)[:n].tolist()
    if not held:
        raise DataError(
            f"split {images.name}: {len(images)} images are too few to hold some of them out for a "
            "race; add images, or set finetune of the target to top3 or all"
        )
    rest = sorted(set(range(len(images))) - set(held))
    return images.chosen(rest), images.chosen(sorted(held))


# --- data.h5 ---


def write_sets(path: str | Path, sets: Sequence[FileSet] | Sequence[ArraySet]) -> None:
    """Write the splits of a target as one HDF5 file, whole or not at all."""
    import h5py

    text = h5py.string_dtype()
    with written_hdf5(path) as file:
        file.attrs["kind"] = sets[0].kind
        file.create_dataset("classes", data=list(sets[0].classes), dtype=text)
        for one in sets:
            group = file.create_group(one.name)
            group.create_dataset("ids", data=list(one.ids), dtype=text)
            if isinstance(one, ArraySet):
                group.create_dataset("images", data=one.images)
                group.create_dataset("labels", data=one.labels)
                continue
            group.attrs["upright"] = one.upright
            group.attrs["values"] = np.array(one.values, dtype=np.int64)
            group.create_dataset("hashes", data=[list(pair) for pair in one.hashes], dtype=text)
            for name, sources in (("images", one.images), ("masks", one.masks)):
                if isinstance(sources[0], bytes):
                    stored = group.create_dataset(name, len(sources), h5py.vlen_dtype(np.uint8))
                    for i, content in enumerate(sources):
                        stored[i] = np.frombuffer(content, np.uint8)
                else:
                    group.create_dataset(name, data=[str(path) for path in sources], dtype=text)


def open_sets(path: str | Path) -> dict[str, LabelledSet]:
    """Read a target that `write_sets` wrote, as {"train": ..., "val": ...}; DataError if the file
    is missing or damaged."""

    try:
        with opened_hdf5(path) as file:
            kind, classes = file.attrs["kind"], tuple(file["classes"].asstr()[:])
            read = _file_set if kind == "segmentation" else _array_set
            return {role: read(role, kind, classes, file[role]) for role in ROLES}
    except (OSError, KeyError) as error:
        raise DataError(f"{path}: is not a prepared target ({error}); prepare it again") from None


def _array_set(name: str, kind: str, classes: tuple[str, ...], group) -> ArraySet:
    ids = tuple(group["ids"].asstr()[:])
    return ArraySet(name, kind, classes, ids, group["images"][:], group["labels"][:])


def _file_set(name: str, kind: str, classes: tuple[str, ...], group) -> FileSet:
    import h5py

    sources = {}
    for part in ("images", "masks"):
        stored = group[part]
        if h5py.check_string_dtype(stored.dtype):
            sources[part] = tuple(map(Path, stored.asstr()[:]))
        else:
            sources[part] = tuple(content.tobytes() for content in stored[:])
    return FileSet(
        name=name,
        classes=classes,
        ids=tuple(group["ids"].asstr()[:]),
        hashes=tuple(map(tuple, group["hashes"].asstr()[:])),
        upright=bool(group.attrs["upright"]),
        values=tuple(int(value) for value in group.attrs["values"]),
        **sources,
    )
