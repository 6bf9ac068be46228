"""Representational dissimilarity matrices (Dwivedi & Roig 2019, section 3).

The RDM of a representation holds 1 - Pearson correlation for every pair of images. RDMs are kept
condensed: the upper triangle, row by row, as in `scipy.spatial.distance.squareform`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from taskrsa.errors import RepresentationError

BLOCK = 4096  # columns (features) worked on at a time
SINGLE_FROM = 16_384  # single-precision input with more features is multiplied in single precision
_MOST_LOST = 0.8  # share of a row's squares that its mean may make up in single precision
_SHOWN = 5  # images named in a message


@dataclass(frozen=True)
class Gram:
    """Products of the rows of a feature matrix, each row free of its own mean.

    `matrix[i, j]` is the covariance of images i and j times `n_features`, with row i multiplied by
    `scale[i]`, a power of two that keeps products of huge or tiny features in range. The
    covariances proper are `matrix / np.outer(scale, scale) / n_features`.
    """

    matrix: np.ndarray  # (n, n) float64
    scale: np.ndarray  # (n,) float64
    n_features: int
    centred: bool  # each feature's mean over the images was subtracted


@dataclass(frozen=True)
class RDMResult:
    """One condensed RDM and the images that could not take part in it."""

    dissimilarities: np.ndarray  # (n (n - 1) / 2,) float64 in [0, 2]; nan for dropped images
    dropped: np.ndarray  # indices of the images left out, ascending
    n_images: int

    def square(self) -> np.ndarray:
        """Return the RDM as a symmetric (n, n) matrix with zeros on its diagonal."""
        return square_form(self.dissimilarities)


def compute_rdm(
    features: np.ndarray,
    *,
    centre: bool = True,
    name: str = "features",
    conditions: Sequence[str] | None = None,
    constant: Literal["error", "drop"] = "error",
) -> RDMResult:
    """Return the RDM of one representation: 1 - Pearson between the features of every two images.

    Parameters
    ----------
    features
        (n, d) array of any real type: one row per image. Not copied, not changed.
    centre
        First subtract, for each feature, its mean over the images, as the authors do.
    name
        Network and layer, for messages.
    conditions
        The n image ids, for messages; by default the row numbers.
    constant
        What to do about an image all of whose features are the same, to rounding, before or after
        centring, so that no correlation is defined: "error", or "drop": the RDM is that of
        the other images and the image's own entries are nan.

    Returns
    -------
    RDMResult
        Exactly 0 for images with identical features, clipped to [0, 2]. Within 1e-14 of
        `np.corrcoef` in float64, and about 1e-8 for centred float32 input of more than 16,384
        features (2e-7 at worst in what was tried: images 30 deviations brighter than others).

    Raises
    ------
    RepresentationError
        If a feature is NaN or infinite, all images have the same features, fewer than two images
        are left, or an image is constant and `constant` is "error".
    """
    features = require_features(features, name)
    ids = image_ids(conditions, len(features), name)
    low, high = features.min(axis=1), features.max(axis=1)
    require_finite(features, low, high, name, ids)
    require_different(features, np.arange(len(features)), name)
    flat = _flat_rows(features, low, high)
    if flat.any() and constant == "error":
        raise _constant_error(name, ids, flat, "")
    _require_two(~flat, name)
    require_different(features, np.flatnonzero(~flat), name)

    gram = _gram(features, low, high, centre, ~flat, BLOCK)
    if centre:
        vanished = _vanished(gram, low, high, features.dtype) & ~flat
        if np.all(vanished | flat):
            raise identical_error(name, vanished.sum(), " to rounding")
        if vanished.any() and constant == "error":
            raise _constant_error(name, ids, vanished, " once the mean over the images is removed")
        flat = flat | vanished
        _require_two(~flat, name)

    square = pearson_rdm_from_gram(gram, square=True)
    for i, j in _duplicates(features, low, high):
        square[i, j] = square[j, i] = 0.0
    square[flat, :] = np.nan
    square[:, flat] = np.nan
    return RDMResult(condensed(square), np.flatnonzero(flat), len(features))


def gram_matrix(
    features: np.ndarray,
    *,
    centre: bool = True,
    use: np.ndarray | None = None,
    block: int = BLOCK,
) -> Gram:
    """Return the products of all pairs of rows, each row less its mean, block by block of features.

    Parameters
    ----------
    features
        (n, d) finite array.
    centre
        First subtract each feature's mean over the images.
    use
        (n,) bool: the images that the mean is taken over and that take part; the rows and columns
        of the others are 0. By default all.
    block
        Features worked on at a time: the memory used is n x block numbers, never a second copy
        of the features.

    Notes
    -----
    A block is multiplied in single precision when the input is single precision, wide and to be
    centred, and its rows' means are not far larger than their deviations; else in double. Blocks
    are always summed in double.
    """
    use = np.ones(len(features), dtype=bool) if use is None else use
    return _gram(features, features.min(axis=1), features.max(axis=1), centre, use, block)


def _gram(
    features: np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
    centre: bool,
    use: np.ndarray,
    block: int,
) -> Gram:
    single = features.dtype.kind == "f" and features.dtype.itemsize <= 4
    if centre and single and features.shape[1] > SINGLE_FROM:
        gram, lost = _products(features, _size(low, high), centre, use, block, np.float32)
        if lost <= _MOST_LOST:
            return gram
    return _products(features, _size(low, high), centre, use, block, np.float64)[0]


def _products(
    features: np.ndarray,
    size: np.ndarray,
    centre: bool,
    use: np.ndarray,
    block: int,
    dtype: type[np.floating],
) -> tuple[Gram, float]:
    """Return the Gram matrix worked out in `dtype`, and the largest share of a row's mean in it.

    In double, row means are subtracted before the product; in single, from it: the exact zeros of
    features that are dead after a ReLU stay zeros, where one number per image, repeated, would have
    its squares rounded the same way each time (5e-6).
    """
    n, d = features.shape
    scale = _row_scale(size, use, dtype, common=centre)
    shift = np.zeros((n, 1))
    if dtype == np.float64:
        for rows in _blocks(features, scale, block, dtype):
            shift[:, 0] += rows.sum(axis=1)
        shift /= d
        if centre:
            shift -= shift[use].mean()
    weights = (use / use.sum()).astype(dtype)

    matrix, row_sum = np.zeros((n, n)), np.zeros(n)
    for rows in _blocks(features, scale, block, dtype):
        if centre:
            rows -= weights @ rows
        if dtype == np.float64:
            rows -= shift
        matrix += rows @ rows.T
        row_sum += rows.sum(axis=1)
    squares = np.maximum(np.diag(matrix), np.finfo(np.float64).tiny)[use]
    lost = float((row_sum[use] ** 2 / d / squares).max())
    matrix -= np.outer(row_sum, row_sum) / d
    matrix[~use, :] = 0.0
    matrix[:, ~use] = 0.0
    return Gram(matrix, scale, d, centre), lost


def pearson_rdm_from_gram(gram: Gram, *, square: bool = False) -> np.ndarray:
    """Return 1 - Pearson for every pair of rows, condensed or (n, n), clipped to [0, 2].

    Rows without variance give nan.
    """
    norm = np.sqrt(np.maximum(np.diag(gram.matrix), 0.0))
    with np.errstate(invalid="ignore", divide="ignore"):
        rdm = gram.matrix / norm[:, None] / norm[None, :]
    np.subtract(1.0, rdm, out=rdm)
    np.clip(rdm, 0.0, 2.0, out=rdm)
    np.fill_diagonal(rdm, 0.0)
    return rdm if square else condensed(rdm)


def condensed(square: np.ndarray) -> np.ndarray:
    """Return the upper triangle of an (n, n) matrix, row by row, as (n (n - 1) / 2,)."""
    return square[np.triu_indices(len(square), 1)]


def square_form(condensed_rdm: np.ndarray) -> np.ndarray:
    """Return a condensed RDM as a symmetric (n, n) matrix with zeros on its diagonal."""
    n = n_images_of(condensed_rdm.shape[-1])
    square = np.zeros((n, n), dtype=condensed_rdm.dtype)
    upper = np.triu_indices(n, 1)
    square[upper] = condensed_rdm
    square.T[upper] = condensed_rdm
    return square


def n_images_of(n_pairs: int) -> int:
    """Return n of a condensed RDM with `n_pairs` = n (n - 1) / 2 entries.

    Raises
    ------
    RepresentationError
        If there is no such n.
    """
    n = (1 + math.isqrt(1 + 8 * n_pairs)) // 2
    if n * (n - 1) // 2 != n_pairs:
        raise RepresentationError(
            f"{n_pairs} dissimilarities are no upper triangle of an RDM: expected n (n - 1) / 2"
        )
    return n


def mid_ranks(values: np.ndarray) -> np.ndarray:
    """Return ranks from 1 along the last axis, float64; equal values share their mean rank."""
    from scipy.stats import rankdata

    return rankdata(values, method="average", axis=-1)


def standardise(rows: np.ndarray) -> np.ndarray:
    """Return rows (m, p) with mean 0 and norm 1, float64, so that products are correlations.

    Rows that are constant to rounding give nan.
    """
    rows = np.asarray(rows, dtype=np.float64)
    centred = rows - rows.mean(axis=-1, keepdims=True)
    norm = np.linalg.norm(centred, axis=-1, keepdims=True)
    size = np.abs(rows).max(axis=-1, keepdims=True)
    norm[norm <= np.finfo(np.float64).eps * math.sqrt(rows.shape[-1]) * size] = np.nan
    centred /= norm
    return centred


def require_features(features: np.ndarray, name: str) -> np.ndarray:
    """Return `features` as an (n, d) array of real numbers, n and d at least 2, or say why not."""
    features = np.asarray(features)
    if features.ndim != 2 or features.shape[1] < 2:
        raise RepresentationError(
            f"{name}: features of shape {features.shape}; flatten them to (images, features) with "
            f"at least 2 features"
        )
    if features.dtype.kind not in "fiub" or features.dtype.itemsize > 8:
        raise RepresentationError(
            f"{name}: features of type {features.dtype}; convert them to float32 or float64"
        )
    if len(features) < 2:
        raise RepresentationError(f"{name}: {len(features)} image; an RDM needs at least 2")
    return features


def image_ids(conditions: Sequence[str] | None, n: int, name: str) -> Sequence[str]:
    """Return the n image ids; by default the row numbers."""
    if conditions is None:
        return [str(i) for i in range(n)]
    if len(conditions) != n:
        raise RepresentationError(
            f"{name}: {n} rows of features but {len(conditions)} image ids; give one id a row"
        )
    return conditions


def listed(ids: Sequence[str], which: np.ndarray) -> str:
    """Name the images that the (n,) bool `which` marks, the first few of many."""
    indices = np.flatnonzero(which)
    shown = ", ".join(str(ids[i]) for i in indices[:_SHOWN])
    more = f" and {len(indices) - _SHOWN} more" if len(indices) > _SHOWN else ""
    return f"image{'s' if len(indices) > 1 else ''} {shown}{more}"


def require_finite(
    features: np.ndarray, low: np.ndarray, high: np.ndarray, name: str, ids: Sequence[str]
) -> None:
    """Refuse NaN and infinity; `low` and `high` are the extremes of the rows."""
    bad = ~(np.isfinite(low) & np.isfinite(high))
    if not bad.any():
        return
    kind = "NaN" if np.isnan(features[np.flatnonzero(bad)[0]]).any() else "infinite"
    raise RepresentationError(
        f"{name}: {kind} features for {listed(ids, bad)}; check the weights and those images"
    )


def _require_two(kept: np.ndarray, name: str) -> None:
    if kept.sum() < 2:
        raise RepresentationError(
            f"{name}: {int(kept.sum())} of {len(kept)} images have features that vary; an RDM "
            f"needs at least 2"
        )


def _constant_error(
    name: str, ids: Sequence[str], which: np.ndarray, when: str
) -> RepresentationError:
    return RepresentationError(
        f"{name}: all features are the same{when} for {listed(ids, which)}, so no correlation is "
        f"defined; remove the images or set constant to 'drop'"
    )


def identical_error(name: str, n: int, how: str) -> RepresentationError:
    """Return the error for features that are the same for all images."""
    return RepresentationError(
        f"{name}: the features are identical{how} for all {n} images; check that the weights were "
        f"loaded and that the images differ"
    )


def require_different(features: np.ndarray, rows: np.ndarray, name: str) -> None:
    """Refuse features of which all the given rows are equal."""
    first = features[rows[0]]
    if all(np.array_equal(first, features[i]) for i in rows[1:]):
        raise identical_error(name, len(rows), "")


def epsilon_of(dtype: np.dtype) -> float:
    """Return the rounding of a type of number; that of float64 for integers."""
    return float(np.finfo(dtype if dtype.kind == "f" else np.float64).eps)


def _size(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Return the largest magnitude of each row, float64."""
    return np.maximum(np.abs(low.astype(np.float64)), np.abs(high.astype(np.float64)))


def _row_scale(size: np.ndarray, use: np.ndarray, dtype: type, *, common: bool) -> np.ndarray:
    """Return powers of two that bring the largest magnitude of each row (or of all) near 1."""
    if common:
        size = np.full_like(size, size[use].max())
    exponent = np.frexp(np.where(size > 0, size, 1.0))[1]
    limit = -np.finfo(dtype).minexp  # the factor itself must be a normal number
    return np.ldexp(1.0, -np.clip(exponent, -limit, limit))


def _flat_rows(features: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Return which rows are constant to rounding: norm of deviation <= eps sqrt(d) largest."""
    size = _size(low, high)
    limit = epsilon_of(features.dtype) * math.sqrt(features.shape[1]) * size
    spread = high.astype(np.float64) / 2 - low.astype(np.float64) / 2
    flat = np.zeros(len(features), dtype=bool)
    # The norm is at least spread * sqrt(2): only the few rows below need it worked out.
    for i in np.flatnonzero(spread <= limit):
        if size[i] == 0:
            flat[i] = True
            continue
        row = features[i].astype(np.float64) / size[i]
        flat[i] = np.linalg.norm(row - row.mean()) <= limit[i] / size[i]
    return flat


def _vanished(gram: Gram, low: np.ndarray, high: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Return which rows are constant to rounding after centring."""
    norm = np.sqrt(np.maximum(np.diag(gram.matrix), 0.0))
    return norm <= epsilon_of(dtype) * math.sqrt(gram.n_features) * _size(low, high) * gram.scale


def _duplicates(
    features: np.ndarray, low: np.ndarray, high: np.ndarray
) -> Iterator[tuple[int, int]]:
    """Yield pairs of rows with the same features (products in blocks may differ in a last bit)."""
    classes: dict[tuple, list[list[int]]] = {}
    keys = zip(low.tolist(), high.tolist(), features[:, 0].tolist(), strict=True)
    for i, key in enumerate(keys):
        candidates = classes.setdefault(key, [])
        for members in candidates:
            if np.array_equal(features[members[0]], features[i]):
                yield from ((j, i) for j in members)
                members.append(i)
                break
        else:
            candidates.append([i])


def _blocks(
    features: np.ndarray, scale: np.ndarray, width: int, dtype: type
) -> Iterator[np.ndarray]:
    """Yield the scaled columns, `width` at a time, in one buffer that is reused."""
    n, d = features.shape
    buffer = np.empty((n, min(width, d)), dtype=dtype)
    factor = scale.astype(dtype)[:, None]
    for start in range(0, d, width):
        columns = features[:, start : start + width]
        rows = buffer[:, : columns.shape[1]]
        np.multiply(columns, factor, out=rows, dtype=dtype)
        yield rows
