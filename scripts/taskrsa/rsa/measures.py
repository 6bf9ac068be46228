"""Ways to compare two representations. To add one, write one decorated function in this file.

A measure turns the features of n images into one number for every pair of images, and says how
two sets of such numbers are compared: by Spearman correlation, by rho-a where many are equal (see
`similarity`), or by alignment, the correlation of what is left when single images' contributions
are taken out (see `alignment`). The function
takes features (n, d) of any real type, already checked to be finite and not the same for all
images, and returns (n (n - 1) / 2,) in the order of `scipy.spatial.distance.squareform`, with nan
in all pairs of an image for which it is not defined; `represent` names that image.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from taskrsa import extensions
from taskrsa.errors import ConfigError, RepresentationError
from taskrsa.rsa.rdm import (
    BLOCK,
    Products,
    compute_rdm,
    condensed,
    epsilon_of,
    identical_error,
    image_ids,
    listed,
    pearson_rdm,
    require_different,
    require_features,
    require_finite,
    square_form,
)
from taskrsa.rsa.rdm_file import Origin, write_rdms

Matrix = Callable[[np.ndarray], np.ndarray]
Comparison = Literal["spearman", "rho_a", "alignment"]
COMPARISONS = get_args(Comparison)


@dataclass(frozen=True)
class Measure:
    """One way to compare representations."""

    name: str
    label: str  # for figures and tables
    compare: Comparison
    source: str  # the paper it is from
    matrix: Matrix  # (n, d) features to (n (n - 1) / 2,) dissimilarities or kernel values


MEASURES: dict[str, Measure] = {}


def measure(
    name: str, *, label: str, compare: Comparison, source: str
) -> Callable[[Matrix], Matrix]:
    """Register the decorated function as a measure.

    Raises
    ------
    ConfigError
        If the name is taken, or there is no such comparison.
    """
    if name in MEASURES:
        raise ConfigError(f"measure {name}: registered twice; give the second another name")
    if compare not in COMPARISONS:
        raise ConfigError(
            f"measure {name}: no comparison '{compare}'; choose one of {', '.join(COMPARISONS)}"
        )

    def register(matrix: Matrix) -> Matrix:
        MEASURES[name] = Measure(name, label, compare, source, matrix)
        return matrix

    return register


def represent(
    name: str,
    features: np.ndarray,
    *,
    where: str = "model, layer",
    conditions: Sequence[str] | None = None,
) -> np.ndarray:
    """Return the dissimilarities or kernel values of all pairs of images under a measure.

    `features` (n, d) and `conditions` are as for `compute_rdm`; `where` names network and layer,
    for messages. Returns (n (n - 1) / 2,) float64, finite.

    Raises
    ------
    ConfigError
        If there is no such measure.
    RepresentationError
        If a feature is NaN or infinite, all images have the same features, or the measure is not
        defined for an image.
    """
    chosen = measure_named(name)
    features = require_features(features, where)
    n = len(features)
    ids = image_ids(conditions, n, where)
    require_finite(features, features.min(axis=1), features.max(axis=1), where, ids)
    require_different(features, np.arange(n), where)
    try:
        with np.errstate(over="ignore", invalid="ignore"):  # what comes of it is reported below
            matrix = np.asarray(chosen.matrix(features), dtype=np.float64)
    except RepresentationError as error:
        raise RepresentationError(f"{where}: {error}") from error
    if matrix.shape != (n * (n - 1) // 2,):
        raise RepresentationError(
            f"{where}: {name} returned values of shape {matrix.shape} for {n} images; its "
            f"function must return the upper triangle"
        )
    bad = ~np.isfinite(square_form(matrix))
    undefined = bad.sum(axis=1) == n - 1
    if undefined.all():
        raise RepresentationError(
            f"{where}: {name} is defined for none of the {n} images; check the weights, that "
            f"the images differ in more than one feature and that features are of the order of 1"
        )
    if undefined.any():
        raise RepresentationError(
            f"{where}: {name} is not defined for {listed(ids, undefined)}: all features are the "
            f"same, or are once normalised; remove the images or use another measure"
        )
    if bad.any():
        raise RepresentationError(
            f"{where}: {name} overflows for {listed(ids, bad.any(axis=1))}; scale the "
            f"features to the order of 1"
        )
    return matrix


def make_measures(
    path: str | os.PathLike,
    features: np.ndarray,
    origin: Origin,
    constant: Literal["error", "drop"],
    layer: str = "compressed",
) -> None:
    """Write the matrix of one representation under every measure of similarity, one "layer" each.

    Features (n, d), `constant` and errors are as for `compute_rdm` and `represent`. Images that
    `compute_rdm` would drop, with or without centring, are dropped for all measures.
    """
    n, where = len(features), f"{origin.model}, {layer}"
    kept = np.ones(n, dtype=bool)
    for centred in (True, False):
        result = compute_rdm(
            features, centre=centred, name=where, conditions=origin.conditions, constant=constant
        )
        kept[result.dropped] = False
    ids = [name for name, keep in zip(origin.conditions, kept, strict=True) if keep]
    a, b = np.triu_indices(n, 1)
    values = np.full((len(MEASURES), len(a)), np.nan)
    for row, name in zip(values, MEASURES, strict=True):
        row[kept[a] & kept[b]] = represent(name, features[kept], where=where, conditions=ids)
    write_rdms(path, values, list(MEASURES), origin, dissimilarity="several")


@measure("rsa", label="RSA", compare="spearman", source="Dwivedi & Roig 2019")
def _rsa(features: np.ndarray) -> np.ndarray:
    """1 - Pearson between images, each feature's mean over the images subtracted."""
    return compute_rdm(features, centre=True, name="rsa", constant="drop").dissimilarities


@measure(
    "rsa_uncentred", label="RSA, not centred", compare="spearman", source="Kriegeskorte et al. 2008"
)
def _rsa_uncentred(features: np.ndarray) -> np.ndarray:
    """1 - Pearson between images, features as they are."""
    return compute_rdm(
        features, centre=False, name="rsa_uncentred", constant="drop"
    ).dissimilarities


@measure("cka_linear", label="linear CKA", compare="alignment", source="Kornblith et al. 2019")
def _cka_linear(features: np.ndarray) -> np.ndarray:
    """Linear kernel of the centred features.

    Compared by alignment this is the unbiased CKA: the diagonal is left out and the centring
    corrected for it, where Kornblith et al. keep it, which favours networks with many features.
    """
    products = np.zeros((len(features),) * 2)
    for columns in _columns(features):
        columns -= columns.mean(axis=0)
        products += columns @ columns.T
    return condensed(products)


@measure(
    "pearson_z", label="Pearson, z-normalised", compare="alignment", source="Dwivedi et al. 2020"
)
def _pearson_z(features: np.ndarray) -> np.ndarray:
    """1 - Pearson between images, each feature with mean 0 and deviation 1 over them."""
    n, d = features.shape
    products, sums, varying = np.zeros((n, n)), np.zeros(n), 0
    low, high = np.full(n, np.inf), np.full(n, -np.inf)
    for columns in _z_normalised(features):
        varying += columns.shape[1]
        products += columns @ columns.T
        sums += columns.sum(axis=1)
        np.minimum(low, columns.min(axis=1), out=low)
        np.maximum(high, columns.max(axis=1), out=high)
    if varying < d:  # the others are 0
        low, high = np.minimum(low, 0.0), np.maximum(high, 0.0)
    products -= np.outer(sums, sums) / d
    size = np.maximum(1.0, np.maximum(np.abs(low), np.abs(high)))
    varies = high - low > epsilon_of(features.dtype) * size
    return pearson_rdm(Products(products), varies)


@measure(
    "cosine_z", label="cosine, z-normalised", compare="alignment", source="Dwivedi et al. 2020"
)
def _cosine_z(features: np.ndarray) -> np.ndarray:
    """1 - cosine between images, each feature with mean 0 and deviation 1 over them."""
    n = len(features)
    products, size = np.zeros((n, n)), np.zeros(n)
    for columns in _z_normalised(features):
        products += columns @ columns.T
        np.maximum(size, np.abs(columns).max(axis=1), out=size)
    return pearson_rdm(Products(products), size > epsilon_of(features.dtype))


@measure(
    "laplacian_z",
    label="Laplacian kernel, z-normalised",
    compare="alignment",
    source="Dwivedi et al. 2020",
)
def _laplacian_z(features: np.ndarray) -> np.ndarray:
    """exp(-gamma ||x - y||_1) of images, each feature with mean 0 and deviation 1 over them.

    gamma is 1 / the number of features that vary over the images: features that are dead for all
    of them change nothing.
    """
    from scipy.spatial.distance import pdist

    n = len(features)
    distances, varying = np.zeros(n * (n - 1) // 2), 0
    for columns in _z_normalised(features):
        distances += pdist(columns, "cityblock")
        varying += columns.shape[1]
    return np.exp(-distances / varying)


def measure_named(name: str) -> Measure:
    if name not in MEASURES:
        raise ConfigError(f"measure '{name}' is unknown; choose one of {', '.join(MEASURES)}")
    return MEASURES[name]


def _columns(features: np.ndarray) -> Iterator[np.ndarray]:
    """Yield float64 copies of the columns, a block at a time: never a copy of all features."""
    for start in range(0, features.shape[1], BLOCK):
        yield features[:, start : start + BLOCK].astype(np.float64)


def _z_normalised(features: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the columns that vary, with mean 0 and deviation 1 over the rows, a block at a time.

    A column whose deviation is rounding is left out: it counts as 0 for every image.
    """
    any_varies = False
    for columns in _columns(features):
        size = np.abs(columns).max(axis=0)
        columns /= np.where(size > 0, size, 1.0)  # squares of the largest numbers stay in range
        columns -= columns.mean(axis=0)
        deviation = np.sqrt(np.mean(np.square(columns), axis=0))
        varies = deviation > epsilon_of(features.dtype)
        if varies.any():
            any_varies = True
            if not varies.all():
                columns = np.compress(varies, columns, axis=1)  # row by row, as pdist is fast
            columns /= deviation[varies]
            yield columns
    if not any_varies:
        raise identical_error("z-normalisation", len(features), " to rounding")


extensions.load()
