"""The features of a network at the labelled places of a target, as a small file.

Features are kept as deviations from their means in half precision, which rounds them by at most
0.05 % of the deviation, less than a change of a few images makes, and halves the file. A layer
that is wide for its number of places is reduced first (`reduced`): 500 images of 16 cells take
4 MB a layer at most.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from taskrsa.errors import DataError, RepresentationError
from taskrsa.io.hdf5 import opened_hdf5, written_hdf5

WIDTH = 256  # columns that a layer keeps in any case
ROOM = 1_000_000  # numbers that it may have beyond
_LARGEST = 2.0**14  # of the numbers that are stored; half precision ends at 65,504
_ITERATIONS = 3  # of the randomised decomposition


@dataclass(frozen=True)
class FeatureFile:
    """Features of a network.

    Attributes
    ----------
    layers : (n, C) float32 by name; a layer that stands under two names is one array
    parameters : their number in the network
    """

    model: str
    parameters: int
    layers: dict[str, np.ndarray]


def reduced(features: np.ndarray, seed: int = 0) -> np.ndarray:
    """Return features (n, C) in fewer columns if they are too wide to be kept, (n, r).

    r is the larger of 256 and 1,000,000 / n. Rows keep their lengths, inner products and Pearson
    correlations over columns, but for what is lost: the directions with the least variance. Their
    means over columns are first taken out, the rest is projected on its leading singular vectors
    (Halko et al. 2011, scikit-learn's), and all of it is turned so that the means stand in all
    columns alike.
    """
    from sklearn.utils.extmath import randomized_svd

    n, width = features.shape
    r = max(WIDTH, ROOM // n)
    if width <= r:
        return features
    r = min(r, n + 1)
    means = features.mean(axis=1, keepdims=True)
    left, values, _ = randomized_svd(features - means, r - 1, n_iter=_ITERATIONS, random_state=seed)
    turned = np.hstack([means * np.sqrt(width), left * values])
    # The reflection that swaps the first axis and the diagonal keeps lengths and angles.
    mirror = np.full(r, 1 / np.sqrt(r))
    mirror[0] -= 1
    mirror /= np.linalg.norm(mirror)
    return (turned - 2 * np.outer(turned @ mirror, mirror)).astype(np.float32)


def write_features(
    path: str | os.PathLike,
    model: str,
    parameters: int,
    layers: Mapping[str, np.ndarray],
    same: Mapping[str, str] | None = None,
) -> None:
    """Write the features of a network, all or nothing.

    Parameters
    ----------
    layers : (n, C) by name, as they come out of the network
    same : further names of layers

    Raises
    ------
    RepresentationError
        If a feature is not a finite number.
    """

    with written_hdf5(path, libver="earliest") as file:
        file.attrs["model"] = model
        file.attrs["parameters"] = parameters
        for name, features in layers.items():
            if not np.isfinite(features).all():
                raise RepresentationError(
                    f"{model}, {name}: NaN or infinite features of the target's images; check the "
                    "weights"
                )
            kept = reduced(features)
            means = kept.mean(axis=0, dtype=np.float64).astype(np.float32)
            deviations = kept - means
            largest = np.abs(deviations).max()
            scale = 2.0 ** np.floor(np.log2(_LARGEST / largest)) if largest > 0 else 1.0
            group = file.create_group(f"layers/{name}")
            group.attrs["channels"] = features.shape[1]
            group.attrs["scale"] = scale
            group["means"] = means
            group["deviations"] = (deviations * scale).astype(np.float16)
        for name, other in (same or {}).items():
            file[f"layers/{name}"] = file[f"layers/{other}"]


def read_features(path: str | os.PathLike, layers: list[str] | None = None) -> FeatureFile:
    """Read what `write_features` wrote, by default all layers; those that the file lacks are left
    out. DataError if it is missing or damaged."""

    found: dict[str, np.ndarray] = {}
    try:
        with opened_hdf5(path) as file:
            for name, group in file["layers"].items():
                if layers is None or name in layers:
                    deviations = group["deviations"][:].astype(np.float32)
                    found[name] = deviations / np.float32(group.attrs["scale"]) + group["means"][:]
            return FeatureFile(str(file.attrs["model"]), int(file.attrs["parameters"]), found)
    except (OSError, KeyError) as error:
        raise DataError(f"{path}: holds no features ({error}); make it again") from None
