"""The labelled places of a target that measures of transfer see, the same for every network.

Of classes and values of images a place is an image. Of maps it is a cell of a grid over the image:
networks' maps have sizes of their own, and cells are what they have in common. Labels are pooled to
the cells from the full resolution: the share of each class among the labelled pixels, or the mean
of the known values. Of each image a sample of the cells with a label is kept.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

import numpy as np

from taskrsa.errors import DataError
from taskrsa.io.hdf5 import opened_hdf5, written_hdf5
from taskrsa.targets.config import KINDS
from taskrsa.targets.pooling import of_cells, of_image
from taskrsa.targets.sets import LabelledSet, turns


@dataclass(frozen=True)
class Labels:
    """The labels of n places in N images."""

    kind: str  # a key of `taskrsa.targets.config.KINDS`
    classes: tuple[str, ...]  # K names of the columns
    values: np.ndarray  # (n, K) float32: shares of classes, which sum to 1, or values
    groups: np.ndarray  # (n,) which of the N images a place is in, from 0 on, ascending

    @property
    def are_classes(self) -> bool:
        return KINDS[self.kind].is_of_classes

    @property
    def is_dense(self) -> bool:
        return KINDS[self.kind].is_dense

    @property
    def majority(self) -> np.ndarray:
        """The most frequent class of each place, (n,)."""
        return self.values.argmax(axis=1)

    @property
    def n_images(self) -> int:
        return int(self.groups[-1]) + 1

    def by_image(self, values: np.ndarray) -> np.ndarray:
        """Return the sums over each image of what there is of each place, (n, ...) to (N, ...)."""
        starts = np.flatnonzero(np.diff(self.groups, prepend=-1))
        return np.add.reduceat(values, starts, axis=0)


@dataclass(frozen=True)
class Cells:
    """Places of images and their labels."""

    labels: Labels
    images: np.ndarray  # (N,) which training images they are in
    places: np.ndarray  # (n,) cells, row by row from the top left; 0 where places are images
    grid: int  # cells along a side; 1 where places are images

    def __len__(self) -> int:
        return len(self.places)


def choose_cells(images: LabelledSet, n_images: int, grid: int, cells: int, seed: int) -> Cells:
    """Return the places of at most `n_images` images of a set, and their labels.

    Parameters
    ----------
    grid : cells along a side of an image whose labels are maps
    cells : how many of them are kept at most, drawn from those with a labelled pixel

    Raises
    ------
    DataError
        If nothing is labelled.
    """
    dense = KINDS[images.kind].is_dense
    grid = grid if dense else 1
    found = []
    for image in chosen_images(images, n_images, seed).tolist():
        pooled = pool_label(images, image, grid)
        known = np.flatnonzero(~np.isnan(pooled).all(axis=1))
        if len(known) > cells:
            drawn = np.random.default_rng([seed, image]).choice(known, cells, replace=False)
            known = np.sort(drawn)
        if len(known):
            found.append((image, known, pooled[known]))
    if not found:
        raise DataError(f"split {images.name}: no image has a label; correct the labels")
    which, places, values = zip(*found, strict=True)
    groups = np.repeat(np.arange(len(found)), [len(some) for some in places])
    labels = Labels(images.kind, tuple(images.classes), _filled(np.concatenate(values)), groups)
    return Cells(labels, np.array(which), np.concatenate(places), grid)


def chosen_images(images: LabelledSet, n: int, seed: int) -> np.ndarray:
    """Return `n` images of a set at random, ascending; of a classification, of each class in turn.

    All images where there are no more.
    """
    order = np.random.default_rng(seed).permutation(len(images))
    if images.kind == "classification":
        classes = np.array([int(images.label(i)) for i in order])
        order = order[np.argsort(turns(classes), kind="stable")]
    return np.sort(order[:n])


def pool_label(images: LabelledSet, i: int, grid: int) -> np.ndarray:
    """Return the label of an image by cells, (grid * grid, K) float64, nan where none is known."""
    label, n = images.label(i), len(images.classes)
    if not KINDS[images.kind].is_dense:
        return of_image(images.kind, label, n)
    return of_cells(images.kind, label, n, _cell_of(*label.shape, grid), grid * grid)


def _cell_of(height: int, width: int, grid: int) -> np.ndarray:
    """Return the cell that the centre of every pixel is in, (H, W)."""
    y, x = (((np.arange(side) + 0.5) * grid / side).astype(np.int64) for side in (height, width))
    return y[:, None] * grid + x


def _filled(values: np.ndarray) -> np.ndarray:
    """Put the mean of its column where one of several numbers of an image is not known: it then
    neither speaks for a network nor against it. A column without any is 0."""
    known = ~np.isnan(values)
    means = np.where(known, values, 0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    return np.where(known, values, means).astype(np.float32)


# --- cells.h5 ---


def write_cells(path: str | os.PathLike, cells: Cells) -> None:
    """Write places and labels as one HDF5 file; the same input gives the same bytes."""
    import h5py

    text = h5py.string_dtype()
    with written_hdf5(path, libver="earliest") as file:
        file.attrs["kind"] = cells.labels.kind
        file.attrs["grid"] = cells.grid
        file.create_dataset("classes", data=list(cells.labels.classes), dtype=text)
        file["labels"] = cells.labels.values
        file["groups"] = cells.labels.groups.astype(np.int32)
        file["places"] = cells.places.astype(np.int32)
        file["images"] = cells.images.astype(np.int64)


def read_cells(path: str | os.PathLike) -> Cells:
    """Read what `write_cells` wrote; DataError if the file is missing or damaged."""

    try:
        with opened_hdf5(path) as file:
            classes = tuple(file["classes"].asstr()[:])
            labels = Labels(file.attrs["kind"], classes, file["labels"][:], file["groups"][:])
            return Cells(labels, file["images"][:], file["places"][:], int(file.attrs["grid"]))
    except (OSError, KeyError) as error:
        raise DataError(f"{path}: holds no labelled cells ({error}); make it again") from None
