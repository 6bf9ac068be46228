"""RDMs that were made elsewhere, such as brain data: read from a file, checked, put in order.

A file holds k RDMs of n conditions, condensed (upper triangle row by row, p = n (n - 1) / 2) or
square, and names. It is one of:

- HDF5 as `rsatoolbox.rdm.RDMs.save` and this project write it: `dissimilarities` (k, p), names in
  `rdm_descriptors`, conditions in `pattern_descriptors`;
- HDF5 or .npz with `rdms` or `dissimilarities`, (k, p) or (k, n, n), and names in a text array of
  length k such as `names`; RDMs without names are called 0, 1, ...;
- HDF5 or .npz with one array for each RDM, (p,) or (n, n), under the RDM's name; arrays of other
  shapes are passed over.

A text array of length n such as `images`, or one in `pattern_descriptors`, names the conditions.
All entries of a condition may be nan: it is dropped. Pickled objects are never read.
"""

from __future__ import annotations

import math
import os
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from taskrsa.errors import DataError
from taskrsa.io.hdf5 import opened_hdf5
from taskrsa.rsa.rdm import condensed, n_images_of, square_form
from taskrsa.text import first_few

_STACKED = ("dissimilarities", "rdms")
_NAMES = ("layer", "layers", "name", "names", "model", "models", "task", "tasks", "roi", "rois")
_CONDITIONS = (
    *("image", "images", "condition", "conditions", "stimulus", "stimuli", "pattern", "patterns"),
)
_ROUNDING = 1e-6  # relative difference of the two halves of a square RDM that is still rounding


@dataclass(frozen=True)
class GivenRDMs:
    """The k RDMs of a file."""

    names: tuple[str, ...]  # all different
    rdms: np.ndarray  # (k, p) float32, condensed; nan for dropped conditions
    conditions: tuple[str, ...] | None  # n names of what the RDMs are of, if the file has them

    @property
    def n(self) -> int:  # conditions
        return n_images_of(self.rdms.shape[1])

    def of(self, stimuli: Sequence[str], where: str) -> np.ndarray:
        """Return the (k, p) RDMs in the order of the ids `stimuli`; `where` is for messages.

        Raises
        ------
        DataError
            If there is another number of conditions, or the file names other conditions.
        """
        if self.n != len(stimuli):
            raise DataError(
                f"{where}: holds RDMs of {self.n} conditions, and the run has {len(stimuli)} "
                "stimuli; make them of the same images"
            )
        if self.conditions is None:
            return self.rdms
        others = [name for name in stimuli if name not in self.conditions]
        if others:
            raise DataError(
                f"{where}: its conditions ({first_few(self.conditions)}) are not the stimuli; it "
                f"lacks {first_few(others)}: name them so"
            )
        order = [self.conditions.index(name) for name in stimuli]
        if order == list(range(self.n)):
            return self.rdms
        rows = [condensed(square_form(rdm)[np.ix_(order, order)]) for rdm in self.rdms]
        return np.array(rows, dtype=np.float32)


def read_given(path: str | os.PathLike) -> GivenRDMs:
    """Read the RDMs of a file.

    Raises
    ------
    DataError
        If the file cannot be read or holds no RDMs, they are not symmetric, of different sizes or
        constant, or a name is used twice.
    """
    path = Path(path)
    arrays = _read_npz(path) if zipfile.is_zipfile(path) else _read_hdf5(path)
    numbers = {key: values for key, values in arrays.items() if values.dtype.kind in "fiu"}
    stacked = next((key for key in _STACKED if key in numbers), None)
    if stacked is None:
        rdms = {key: values for key, values in numbers.items() if _is_rdm(values)}
    else:
        values = numbers[stacked]
        values = values[None] if _is_rdm(values) else values
        names = _labels(arrays, "rdm_descriptors/", _NAMES, len(values), path)
        rdms = dict(zip(names or map(str, range(len(values))), values, strict=True))
    if not rdms:
        raise DataError(f"{path}: holds no RDMs; give condensed or square arrays of numbers")
    rows = [_condensed(values, f"{path}: {name}") for name, values in rdms.items()]
    sizes = sorted({n_images_of(len(row)) for row in rows})
    if len(sizes) > 1:
        raise DataError(
            f"{path}: holds RDMs of {sizes[0]} and of {sizes[1]} conditions; keep those of one size"
        )
    conditions = _labels(arrays, "pattern_descriptors/", _CONDITIONS, sizes[0], path)
    return GivenRDMs(tuple(rdms), np.array(rows, dtype=np.float32), conditions)


def _read_npz(path: Path) -> dict[str, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {key: file[key] for key in file.files}
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise DataError(f"{path}: cannot be read ({error}); save plain arrays") from None
    # What is no array in the archive, as in a checkpoint of PyTorch, comes as bytes.
    return {key: values for key, values in arrays.items() if isinstance(values, np.ndarray)}


def _read_hdf5(path: Path) -> dict[str, np.ndarray]:
    arrays: dict[str, np.ndarray] = {}

    def note(name: str, item: object) -> None:
        if isinstance(item, h5py.Dataset) and item.shape:
            arrays[name] = item.asstr()[()] if _is_text(item) else item[()]

    try:
        with opened_hdf5(path) as file:
            file.visititems(note)
    except (OSError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise DataError(f"{path}: is not an HDF5 or .npz file of RDMs ({reason})") from None
    return arrays


def _is_text(dataset: h5py.Dataset) -> bool:
    return dataset.dtype.kind == "S" or h5py.check_string_dtype(dataset.dtype) is not None


def _is_rdm(values: np.ndarray) -> bool:
    """Tell whether an array has the shape of one RDM of at least three conditions."""
    if values.ndim == 2:
        return values.shape[0] == values.shape[1] > 2 and not np.nan_to_num(np.diag(values)).any()
    side = (1 + math.isqrt(1 + 8 * values.size)) // 2
    return values.ndim == 1 and values.size == side * (side - 1) // 2 and side > 2


def _condensed(values: np.ndarray, where: str) -> np.ndarray:
    """Return one RDM condensed, float64, nan where an entry is not finite."""
    if not _is_rdm(values):
        raise DataError(
            f"{where}: has shape {values.shape}, which is neither a square RDM with zeros on its "
            "diagonal nor the upper triangle of one"
        )
    values = np.where(np.isfinite(values), values, np.nan).astype(np.float64)
    if values.ndim == 2:
        size = np.nanmax(np.abs(values), initial=0.0)
        if not np.allclose(values, values.T, rtol=0, atol=_ROUNDING * size, equal_nan=True):
            raise DataError(f"{where}: is not symmetric; give dissimilarities")
        values = condensed(values)
    present = values[np.isfinite(values)]
    if not len(present) or np.ptp(present) == 0:
        raise DataError(f"{where}: all dissimilarities are the same, so it cannot be compared")
    return values


def _labels(
    arrays: Mapping[str, np.ndarray], group: str, keys: Sequence[str], n: int, path: Path
) -> tuple[str, ...] | None:
    """Return n names, all different, from a text array: of a known key, or else the only one."""
    texts = {
        key.removeprefix(group): tuple(map(str, values))
        for key, values in arrays.items()
        if values.ndim == 1 and len(values) == n and values.dtype.kind in "UO"
        if key.startswith(group) or "/" not in key
    }
    different = {key: names for key, names in texts.items() if len(set(names)) == n}
    for key in keys:
        if key in different:
            return different[key]
    for key in keys:
        if key in texts:
            double = next(name for name in texts[key] if texts[key].count(name) > 1)
            raise DataError(f"{path}: {key} has {double} twice; give each its own name")
    unknown = {key: names for key, names in different.items() if key not in (*_NAMES, *_CONDITIONS)}
    return next(iter(unknown.values())) if len(unknown) == 1 else None
