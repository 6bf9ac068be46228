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
from taskrsa.io.files import atomic_path, digest_of
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
    kind: str = "segmentation"
    void: int = VOID

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def digest(self) -> str:
        listed = (" ".join((name, *pair)) for name, pair in zip(self.ids, self.hashes, strict=True))
        return digest_of([str(self.void), str(self.upright), *listed])

    def image(self, i: int) -> np.ndarray:
        return read_photograph(self.images[i], self.upright)

    def label(self, i: int) -> np.ndarray:
        return read_mask(self.masks[i], len(self.classes))

    def first(self, n: int | None) -> FileSet:
        parts = ("ids", "images", "masks", "hashes")
        return replace(self, **{part: getattr(self, part)[:n] for part in parts})


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
            turn = np.zeros(len(self), dtype=int)
            for name in np.unique(self.labels):
                rows = np.flatnonzero(self.labels == name)
                turn[rows] = np.arange(len(rows))
            chosen = np.sort(np.lexsort((self.labels, turn))[:n])
        ids = tuple(self.ids[i] for i in chosen)
        return replace(self, ids=ids, images=self.images[chosen], labels=self.labels[chosen])


LabelledSet = FileSet | ArraySet

# --- data.h5 ---


def write_sets(path: str | Path, sets: Sequence[FileSet] | Sequence[ArraySet]) -> None:
    """Write the splits of a target as one HDF5 file, whole or not at all."""
    import h5py

    text = h5py.string_dtype()
    with atomic_path(path) as temporary, h5py.File(temporary, "w") as file:
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
    import h5py

    try:
        with h5py.File(path, "r") as file:
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
        **sources,
    )
