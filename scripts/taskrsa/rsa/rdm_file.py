"""RDM files: HDF5 in the layout of `rsatoolbox.rdm.load_rdm`, one RDM per layer of one network.

```
/dissimilarities         (n_layers, n_pairs) float32, condensed upper triangles; nan: dropped image
/descriptors             attributes: model, task, stimuli_digest, centre, n_dropped, and others
/rdm_descriptors         model, task, layer, n_dropped, index: one value per RDM
/pattern_descriptors     image, index, group where groups are known: one value per image
attribute dissimilarity_measure = "correlation"
```
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import h5py
import numpy as np

from taskrsa.errors import DataError, RepresentationError
from taskrsa.io.hdf5 import opened_hdf5, written_hdf5
from taskrsa.rsa.rdm import compute_rdm, pair_at, pairs_among, square_form
from taskrsa.rsa.spill import SpilledFeatures
from taskrsa.text import first_few


@dataclass(frozen=True)
class Origin:
    """What the RDMs of one network come from."""

    model: str
    task: str  # id of the task the network was trained for, or any other word for it
    conditions: Sequence[str]  # the n image ids
    stimuli_digest: str  # of the list of stimuli; RDMs of different lists are never compared
    centre: bool  # each feature's mean over the images was subtracted first
    # The scene or clip of each image, "" where it has none; empty where nothing is known of groups.
    groups: Sequence[str] = field(default=(), kw_only=True)


@dataclass(frozen=True)
class RDMs(Origin):
    """The RDMs of one network, and what they come from."""

    dissimilarities: np.ndarray  # (n_layers, n_pairs) float32; nan for dropped images
    layers: tuple[str, ...]
    dropped: tuple[tuple[int, ...], ...]  # for each layer, indices of the images left out


def write_rdms(
    path: str | os.PathLike,
    dissimilarities: np.ndarray,
    layers: Sequence[str],
    origin: Origin,
    *,
    dissimilarity: str = "correlation",
) -> None:
    """Write the RDMs of one network, all or nothing; the same input gives the same bytes.

    Parameters
    ----------
    dissimilarities
        (n_layers, n_pairs) condensed RDMs, stored as float32. All entries of a dropped image are
        nan, no others (or RepresentationError).
    layers
        Names of the n_layers layers, all different.
    dissimilarity
        What the numbers are, as rsatoolbox names it.
    """
    values = np.asarray(dissimilarities, dtype=np.float32)
    model, conditions = origin.model, origin.conditions
    dropped = _dropped_by_layer(values, layers, len(conditions), f"{path}: layer", f" of {model}")
    descriptors = {
        "model": model,
        "task": origin.task,
        "stimuli_digest": origin.stimuli_digest,
        "centre": bool(origin.centre),
        "n_dropped": len(set().union(*dropped)),
    }
    with written_hdf5(path, libver="earliest") as file:
        file.attrs["dissimilarity_measure"] = dissimilarity
        file["dissimilarities"] = values
        group = file.create_group("descriptors")
        for key in sorted(descriptors):
            group.attrs[key] = descriptors[key]
        group = file.create_group("rdm_descriptors")
        group["layer"] = _text(layers)
        group["model"] = _text([model] * len(layers))
        group["task"] = _text([origin.task] * len(layers))
        group["n_dropped"] = np.array([len(images) for images in dropped], dtype=np.int64)
        group["index"] = np.arange(len(layers), dtype=np.int64)
        group = file.create_group("pattern_descriptors")
        group["image"] = _text(conditions)
        group["index"] = np.arange(len(conditions), dtype=np.int64)
        if any(origin.groups):
            group["group"] = _text(origin.groups)


def make_rdms(
    path: str | os.PathLike,
    representations: Mapping[str, tuple[np.ndarray | SpilledFeatures, bool]],
    origin: Origin,
    constant: Literal["error", "drop"],
) -> None:
    """Make the RDM of every representation of one model and write them to one file.

    `representations` are, for each layer, its (n, d) features and whether they are centred, which
    `compute_rdm` takes; errors are its own.
    """
    n = len(origin.conditions)
    rdms = np.empty((len(representations), n * (n - 1) // 2), dtype=np.float32)  # as they are kept
    for row, (layer, (features, centred)) in zip(rdms, representations.items(), strict=True):
        result = compute_rdm(
            features,
            centre=centred,
            name=f"{origin.model}, {layer}",
            conditions=origin.conditions,
            constant=constant,
        )
        row[:] = result.dissimilarities
    write_rdms(path, rdms, list(representations), origin)


def write_given(
    path: str | os.PathLike,
    rdms: Mapping[str, np.ndarray],
    origin: Origin,
    constant: Literal["error", "drop"],
) -> None:
    """Write RDMs that were made elsewhere, (p,) by layer, as those of a network.

    The centring of `origin` is that of the networks that the RDMs are compared with.

    Raises
    ------
    RepresentationError
        If an image lacks only some entries, or all and `constant` is "error".
    """
    for layer, rdm in rdms.items():
        lacking = _dropped(rdm, len(origin.conditions), f"{origin.model}, {layer}")
        if lacking and constant == "error":
            names = first_few([origin.conditions[row] for row in lacking])
            raise RepresentationError(
                f"{origin.model}, {layer}: the RDM lacks {names}; leave these images out, or set "
                "rsa.constant_images to drop"
            )
    write_rdms(path, np.array(list(rdms.values())), list(rdms), origin)


def layers_of(path: str | os.PathLike) -> list[str]:
    """Return the layers that an RDM file holds, or raise DataError if it is not a whole one."""
    with _opened(path) as file:
        return _strings(file["rdm_descriptors/layer"])


def read_rdms(path: str | os.PathLike, layers: Sequence[str] | None = None) -> RDMs:
    """Read an RDM file, or only some of its layers.

    Raises
    ------
    DataError
        If the file is missing, truncated or not an RDM file.
    RepresentationError
        If a layer is missing.
    """
    with _opened(path) as file:
        stored = _strings(file["rdm_descriptors/layer"])
        wanted = stored if layers is None else list(layers)
        for layer in wanted:
            if layer not in stored:
                raise RepresentationError(f"{path}: no layer {layer}; it has {', '.join(stored)}")
        rows = [stored.index(layer) for layer in wanted]
        dataset = file["dissimilarities"]
        values = np.array([dataset[row] for row in rows], dtype=np.float32)
        values = values.reshape(len(rows), dataset.shape[1])
        conditions = tuple(_strings(file["pattern_descriptors/image"]))
        grouped = "pattern_descriptors/group" in file
        groups = tuple(_strings(file["pattern_descriptors/group"])) if grouped else ()
        descriptors = file["descriptors"].attrs
        model, task, digest = (str(descriptors[key]) for key in ("model", "task", "stimuli_digest"))
        centre = bool(descriptors["centre"])
    if values.shape[1] != len(conditions) * (len(conditions) - 1) // 2:
        raise DataError(
            f"{path}: {values.shape[1]} pairs for {len(conditions)} images; delete it and make it "
            f"again"
        )
    dropped = _dropped_by_layer(values, wanted, len(conditions), f"{path}: layer")
    made = (model, task, conditions, digest, centre, values, tuple(wanted), dropped)
    return RDMs(*made, groups=groups)


@contextmanager
def _opened(path: str | os.PathLike) -> Iterator[h5py.File]:
    """Open an RDM file to read; DataError where it is missing or not a whole one."""
    if not Path(path).is_file():
        raise DataError(f"{path}: no such RDM file; make it first")
    try:
        with opened_hdf5(path) as file:
            yield file
    except (OSError, KeyError, ValueError, RuntimeError, IndexError) as error:
        reason = " ".join(str(error).strip("'\"").split())
        raise DataError(
            f"{path}: not a whole RDM file ({reason}); delete it and make it again"
        ) from None


def _dropped_by_layer(
    values: np.ndarray, layers: Sequence[str], n: int, what: str, of: str = ""
) -> tuple[tuple[int, ...], ...]:
    rows = zip(values, layers, strict=True)
    return tuple(_dropped(row, n, f"{what} {layer}{of}") for row, layer in rows)


def _dropped(row: np.ndarray, n: int, what: str) -> tuple[int, ...]:
    """Return the images all of whose entries are nan; refuse other entries that are not finite."""
    finite = np.isfinite(row)
    if finite.all():
        return ()
    present = square_form(finite).any(axis=1)
    wrong = np.flatnonzero(pairs_among(present) & ~finite)
    if len(wrong):
        first, second = pair_at(wrong[0], n)
        raise RepresentationError(
            f"{what}: the dissimilarity of images {first} and {second} is {row[wrong[0]]}, though "
            f"neither was dropped; make the RDM again"
        )
    return tuple(np.flatnonzero(~present).tolist())


def _text(names: Sequence[str]) -> np.ndarray:
    """Return names as rsatoolbox stores them; beyond ASCII it has no form, so UTF-8."""
    names = [str(name) for name in names]
    if all(name.isascii() for name in names):
        return np.array(names, dtype="S")
    return np.array(names, dtype=h5py.string_dtype("utf-8"))


def _strings(dataset: h5py.Dataset) -> list[str]:
    return [value.decode("utf-8") for value in dataset[()]]
