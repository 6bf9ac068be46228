"""What a network's RDMs depend on, kept between runs: products of features instead of features.

RDMs of any of the images, centred over them or not, follow from the products of all pairs of
images (the Gram matrix), a megabyte a layer for 500 images, where features take hundreds. Layers no
wider than that, and those whose features are needed themselves, are kept as they are.

A file holds one network's layers under one way to make its input. Its name is a hash of all that
features depend on but the images, each of which is known by its pixels: a run with some of the
images finds them, whatever order they come in.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import h5py
import numpy as np

from taskrsa.data.pack import Photographs
from taskrsa.errors import DataError
from taskrsa.io.hdf5 import opened_hdf5, written_hdf5
from taskrsa.rsa.rdm import ShiftedProducts, multiplied_in_single, shifted_products
from taskrsa.rsa.spill import SpilledFeatures

_FORMAT = 1
_VECTORS = ("along", "sums")
_NUMBERS = ("shift_square", "shift_sum", "n_features")

Layers = dict[str, np.ndarray | ShiftedProducts]


def digests_of(images: np.ndarray | Photographs) -> list[str]:
    """Return the SHA-256 of the pixels of each of (n, H, W, 3) uint8 images."""
    size = str(images.shape[1:]).encode()
    rows = range(len(images))
    return [hashlib.sha256(size + images[row : row + 1].tobytes()).hexdigest() for row in rows]


class GramCache:
    """One network's layers under one way to make its input, as a file of a folder.

    The folder is made when something is kept; `key` is all that features depend on but the images,
    as JSON can write it.
    """

    def __init__(self, folder: str | os.PathLike, key: Mapping[str, object]) -> None:
        text = json.dumps({"format": _FORMAT, **key}, sort_keys=True)
        self.path = Path(folder) / f"{hashlib.sha256(text.encode()).hexdigest()}.h5"

    def layers(
        self,
        images: Sequence[str],
        layers: Sequence[str] | None,
        centre: bool,
        extracted: Callable[[], Mapping[str, np.ndarray | SpilledFeatures]],
        whole: Sequence[str] = (),
    ) -> Mapping[str, np.ndarray | SpilledFeatures | ShiftedProducts]:
        """Return layers of some images from what is kept, or extract and keep them.

        Parameters and errors are those of `recall` and `keep`; `extracted` returns the features of
        `layers` of these images.
        """
        found = self.recall(images, layers, centre)
        if found is not None:
            print(f"{', '.join(found)}: from {self.path}", flush=True)
            return found
        taps = extracted()
        kept = self.keep(images, taps, whole, all_layers=layers is None)
        told = "kept in" if kept else "of these images not kept in"
        print(f"{', '.join(taps)}: {told} {self.path}", flush=True)
        return taps

    def recall(
        self, images: Sequence[str], layers: Sequence[str] | None, centre: bool
    ) -> Layers | None:
        """Return layers of some images, or None where not all of them can be told.

        Of n digests of `images`, in the order wanted, and names of `layers`, by default all of the
        network's, by layer: (n, d) float32 features, or products that `compute_rdm` takes. `centre`
        says whether RDMs are to be centred over these images. DataError if the file is damaged.
        """
        if not self.path.is_file():
            return None
        try:
            with opened_hdf5(self.path) as file:
                places = {image: row for row, image in enumerate(_texts(file["images"]))}
                kept = _texts(file["layers"])
                if layers is None and not file.attrs["all_layers"]:
                    return None
                names = kept if layers is None else list(layers)
                if not places.keys() >= set(images) or not set(kept) >= set(names):
                    return None
                rows = np.array([places[image] for image in images])
                found = {name: _read(file["layer"][name], rows) for name in names}
        except (OSError, KeyError, ValueError, RuntimeError):
            raise DataError(
                f"{self.path}: not a whole file of Gram matrices; delete it, it will be made again"
            ) from None
        for values in found.values():
            if isinstance(values, ShiftedProducts) and values.rdm(centre) is None:
                return None
        return found

    def keep(
        self,
        images: Sequence[str],
        taps: Mapping[str, np.ndarray | SpilledFeatures],
        whole: Sequence[str] = (),
        all_layers: bool = True,
    ) -> bool:
        """Keep layers of these images, all or nothing; return whether they are kept.

        They are not where two images are the same, or where a wide layer is not multiplied in
        single precision (`compute_rdm` says when): the features themselves would be needed.
        `taps` are (n, d) float32 features by layer, all of the network's or not; layers in `whole`
        are kept as they are, because their features are needed themselves.
        """
        if len(set(images)) < len(images):
            return False
        kept: Layers = {}
        for name, features in taps.items():
            n, d = features.shape
            if name in whole or d <= n + 1:  # as large as half a Gram matrix in double precision
                kept[name] = np.asarray(features)
            elif multiplied_in_single(features):
                kept[name] = shifted_products(features)
                if len(kept[name].suspects()) or not kept[name].finite():
                    return False
            else:
                return False
        with written_hdf5(self.path) as file:
            file["images"] = np.array(images, dtype="S64")
            file["layers"] = list(kept)
            file.attrs["all_layers"] = all_layers
            for name, values in kept.items():
                _write(file.create_group(f"layer/{name}"), values)
        return True


def _write(group: h5py.Group, values: np.ndarray | ShiftedProducts) -> None:
    if not isinstance(values, ShiftedProducts):
        group["features"] = values
        return
    group["triangle"] = values.matrix[np.triu_indices(len(values))]  # the rest mirrors it
    for name in _VECTORS:
        group[name] = getattr(values, name)
    for name in _NUMBERS:
        group.attrs[name] = getattr(values, name)


def _read(group: h5py.Group, rows: np.ndarray) -> np.ndarray | ShiftedProducts:
    if "features" in group:
        return group["features"][()][rows]
    vectors = {name: group[name][()] for name in _VECTORS}
    n = len(vectors["sums"])
    matrix = np.empty((n, n))
    upper = np.triu_indices(n)
    matrix[upper] = group["triangle"][()]
    matrix.T[upper] = matrix[upper]
    numbers = {name: group.attrs[name].item() for name in _NUMBERS}
    return ShiftedProducts(matrix=matrix, **vectors, **numbers).of(rows)


def _texts(dataset: h5py.Dataset) -> list[str]:
    return [value.decode() for value in dataset[()]]
