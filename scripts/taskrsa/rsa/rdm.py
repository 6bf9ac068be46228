"""Representational dissimilarity matrices (Dwivedi & Roig 2019, section 3).

The RDM of a representation holds 1 - Pearson correlation for every pair of images. RDMs are kept
condensed: the upper triangle, row by row, as in `scipy.spatial.distance.squareform`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from taskrsa.errors import RepresentationError
from taskrsa.rsa.spill import SpilledFeatures
from taskrsa.text import first_few

BLOCK = 4096  # columns (features) worked on at a time
SINGLE_FROM = 1024  # single-precision input with more features is multiplied in single precision,
SINGLE_IMAGES = 64  # from this many images on: with fewer, double costs next to nothing
_LEAST_LEFT = 0.35  # share of a row's squares that must be left in it once means are out
_LEAST_LEFT_KEPT = 0.1  # the same of products whose features are not there any more
_SAME_KEPT = 1e-5  # images at most this dissimilar may have had identical features
_LEAST_SQUARE = 1e-24  # mean square below which products of features may be lost in it
_MANY_SUSPECTS = 0.1  # share of images that may look constant before double precision is used
_SHIFT_ROWS = 16  # images whose mean is subtracted before the product
_NEAR = 1e-3  # images at most this dissimilar may have identical features
_SAMPLE = 32  # features by which such images are compared before all of them are
_STRIP = 64  # rows of a Gram matrix worked on at a time
_LONG = 1024  # values in a row from which on rows are ranked one by one


@dataclass(frozen=True)
class RDMResult:
    """One condensed RDM and the images that could not take part in it."""

    dissimilarities: np.ndarray  # (n (n - 1) / 2,) float64 in [0, 2]; nan for dropped images
    dropped: np.ndarray  # indices of the images left out, ascending

    def square(self) -> np.ndarray:
        return square_form(self.dissimilarities)


def compute_rdm(
    features: np.ndarray | SpilledFeatures | ShiftedProducts,
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
        (n, d) array of any real type, in memory or spilled: one row per image. Not changed. Or
        their products, of which `ShiftedProducts.rdm` must not be None.
    centre
        First subtract, for each feature, its mean over the images, as the authors do.
    name, conditions
        Network and layer, and the n image ids, by default the row numbers, for messages.
    constant
        About an image all of whose features are the same, to rounding, before or after centring,
        so that no correlation is defined: "error", or "drop": its own entries are nan, and the
        others as if it were not there.

    Returns
    -------
    RDMResult
        Exactly 0 for images with identical features; products in single precision make no others
        0, unless one is a multiple of the other. Within 1e-14 of `np.corrcoef` for float64 input,
        few images or up to 1,024 features; for wider input of single precision within 7e-7, which
        shrinks as features grow (6e-7 at 2,048, 2e-7 at 8,192; RDM files keep 6e-8).

    Raises
    ------
    RepresentationError
        If a feature is NaN or infinite, all images have the same features, fewer than two images
        are left, or an image is constant and `constant` is "error".
    """
    if isinstance(features, ShiftedProducts):
        return RDMResult(features.rdm(centre), np.empty(0, dtype=int))
    features = require_features(features, name)
    ids = image_ids(conditions, len(features), name)
    # Wide input of single precision is read once: the product itself shows NaN, constant and equal
    # rows, and so whether anything needs a closer look in double precision.
    quick = _quick_products(features, centre)
    if quick is None:
        products, flat = _careful_products(features, centre, name, ids, constant)
    else:
        products, flat = quick
        if flat.any() and constant == "error":
            raise _constant_error(name, ids, flat, "")
        require_different(features, np.flatnonzero(~flat), name)
    rdm = pearson_rdm(products, ~flat)
    if (rdm <= _NEAR).any():
        same = _equal_pairs(features, rdm)
        lost = np.setdiff1d(np.flatnonzero(rdm == 0), same)
        if quick is not None and len(lost):
            rdm[lost] = _dissimilarities_of_pairs(features, lost, ~flat, centre)
        rdm[same] = 0.0
    return RDMResult(rdm, np.flatnonzero(flat))


@dataclass(frozen=True)
class Products:
    """Products of the rows of a feature matrix less their means: `matrix + left @ right.T`."""

    matrix: np.ndarray  # (n, n)
    left: np.ndarray | None = None  # (n, k), what is still to be corrected
    right: np.ndarray | None = None  # (n, k)

    def diagonal(self) -> np.ndarray:
        diagonal = np.diag(self.matrix)
        if self.left is None:
            return diagonal
        return diagonal + np.einsum("ik,ik->i", self.left, self.right)

    def strip(self, start: int) -> np.ndarray:
        """Return `_STRIP` rows of the sum from the diagonal on, as a copy."""
        part = self.matrix[start : start + _STRIP, start:]
        if self.left is None:
            return part.copy()
        strip = self.left[start : start + _STRIP] @ self.right[start:].T
        strip += part
        return strip


def _careful_products(
    features: np.ndarray, centre: bool, name: str, ids: Sequence[str], constant: str
) -> tuple[Products, np.ndarray]:
    """Return the Gram matrix in double precision and which images are constant, or say why not."""
    low, high = _extremes(features)
    require_finite(features, low, high, name, ids)
    require_different(features, np.arange(len(features)), name)
    flat = _flat_rows(features, low, high)
    if flat.any() and constant == "error":
        raise _constant_error(name, ids, flat, "")
    _require_two(~flat, name)
    require_different(features, np.flatnonzero(~flat), name)
    size = _size(low, high)
    matrix, scale = _products(features, size, centre, ~flat)
    if centre:
        norm = np.sqrt(np.maximum(np.diag(matrix), 0.0))
        rounding = epsilon_of(features.dtype) * math.sqrt(features.shape[1])
        vanished = (norm <= rounding * size * scale) & ~flat
        if np.all(vanished | flat):
            raise identical_error(name, vanished.sum(), " to rounding")
        if vanished.any() and constant == "error":
            raise _constant_error(name, ids, vanished, " once the mean over the images is removed")
        flat = flat | vanished
        _require_two(~flat, name)
    return Products(matrix), flat


def _quick_products(features: np.ndarray, centre: bool) -> tuple[Products, np.ndarray] | None:
    """Return the Gram matrix by products in single precision, and which images are constant.

    None where that is not meant for such features (`SINGLE_FROM`, `SINGLE_IMAGES`) or would not be
    exact: features that are not finite, of extreme size, the same for all images to rounding, or
    with means so large that little is left of an image's features without them.
    """
    if not multiplied_in_single(features):
        return None
    n, d = features.shape
    sums = shifted_products(features, _block_width(d, centre))
    if not sums.finite():
        return None
    suspects = sums.suspects()
    flat = np.zeros(n, dtype=bool)
    if len(suspects) > max(1, _MANY_SUSPECTS * n):
        return None
    if len(suspects):
        rows = features[suspects]
        flat[suspects] = _flat_rows(rows, rows.min(axis=1), rows.max(axis=1))
    use = ~flat
    if use.sum() < 2 or not sums.precise(centre, use, epsilon_of(features.dtype)):
        return None
    return sums.products(centre, use), flat


def multiplied_in_single(features: np.ndarray | SpilledFeatures) -> bool:
    """Return whether features are such as are multiplied in single precision at all."""
    n, d = features.shape
    single = features.dtype.kind == "f" and features.dtype.itemsize <= 4
    return single and d > SINGLE_FROM and n >= SINGLE_IMAGES


@dataclass(frozen=True)
class ShiftedProducts:
    """Products of the rows of a feature matrix, all less one row y that is near their mean.

    They determine the covariances of any of the images, centred over them or not, and rounding is
    relative to what is left of the rows, not to the pattern that all of them have in common.
    """

    matrix: np.ndarray  # (n, n) float64: (x_i - y) (x_j - y)
    along: np.ndarray  # (n,): (x_i - y) y
    sums: np.ndarray  # (n,): sums of x_i - y over the features
    shift_square: float  # y y
    shift_sum: float
    n_features: int

    def __len__(self) -> int:
        return len(self.matrix)

    def of(self, rows: np.ndarray) -> ShiftedProducts:
        """Return the products of some of the images, given by index."""
        matrix = self.matrix[np.ix_(rows, rows)]
        return replace(self, matrix=matrix, along=self.along[rows], sums=self.sums[rows])

    def rdm(self, centre: bool) -> np.ndarray | None:
        """Return the condensed RDM of features in single precision, within 2e-6.

        None where products alone do not suffice: few images, constant ones, some that may be the
        same, or too little left of an image's features without the means.
        """
        use = np.ones(len(self), dtype=bool)
        epsilon = epsilon_of(np.dtype(np.float32))
        known = len(self) >= SINGLE_IMAGES and self.finite() and len(self.suspects()) == 0
        if not known or not self.precise(centre, use, epsilon, _LEAST_LEFT_KEPT):
            return None
        rdm = pearson_rdm(self.products(centre, use), use)
        return None if (rdm <= _SAME_KEPT).any() else rdm

    def finite(self) -> bool:
        return bool(np.isfinite(self.squares()).all() and np.isfinite(np.diag(self.matrix)).all())

    def suspects(self) -> np.ndarray:
        """Return the indices of images whose features may all be the same."""
        spread = self.squares() - self.totals() ** 2 / self.n_features
        return np.flatnonzero(spread <= _NEAR * (np.diag(self.matrix) + float(self.shift_square)))

    def precise(
        self, centre: bool, use: np.ndarray, epsilon: float, least: float = _LEAST_LEFT
    ) -> bool:
        """Return whether enough is left of the images in `use` once means are out: at least the
        share `least` of the squares of their features, whose rounding is `epsilon`."""
        d = self.n_features
        shifted = np.diag(self.matrix)
        left = self.products(centre, use).diagonal()[use]
        # Rounding goes with `shifted`; it must be small beside what images differ in, too.
        enough = (shifted if centre else shifted + float(self.shift_square))[use]
        rounding = epsilon**2 * d * self.squares()[use]
        own = (shifted - self.sums**2 / d)[use]
        return bool(
            (left >= np.maximum(least * enough, rounding)).all()
            and (own >= least * shifted[use]).all()
            and left.min() >= _LEAST_SQUARE * d
        )

    def squares(self) -> np.ndarray:  # x_i x_i, (n,)
        with np.errstate(invalid="ignore"):
            return np.diag(self.matrix) + 2 * self.along + self.shift_square

    def totals(self) -> np.ndarray:  # sums of x_i over the features, (n,)
        return self.sums + self.shift_sum

    def products(self, centre: bool, use: np.ndarray) -> Products:
        """Return the Gram matrix, centred over the images in the (n,) bool `use` or not."""
        ones = np.ones(len(self.matrix))
        if centre:  # what was subtracted from all rows alike drops out
            weights = use / use.sum()
            means = self.matrix @ weights
            totals = self.sums - weights @ self.sums
            terms = [(ones, -means), (means @ weights - means, ones)]
        else:
            totals = self.totals()
            terms = [(ones, self.along), (self.along + self.shift_square, ones)]
        terms.append((-totals / self.n_features, totals))
        left, right = (np.stack(vectors, axis=1) for vectors in zip(*terms, strict=True))
        return Products(self.matrix, left, right)


def _block_width(d: int, centre: bool) -> int:
    """Return how many columns to multiply at a time: less where few blocks average the rounding.

    Sums of features that are not centred grow steadily, and so does their rounding.
    """
    if d > 8 * BLOCK:
        return BLOCK
    return BLOCK // 4 if centre else BLOCK // 8


def shifted_products(
    features: np.ndarray | SpilledFeatures, width: int | None = None
) -> ShiftedProducts:
    """Multiply blocks of columns in single precision and sum the blocks in double.

    The columns are read once and copied to a buffer that stays in the cache, less the mean of some
    of the images. Two rows more, that mean and ones, give what else is needed with the product.
    """
    n, d = features.shape
    width = _block_width(d, centre=False) if width is None else width
    picked = np.linspace(0, n - 1, min(n, _SHIFT_ROWS)).astype(int)
    weights = np.full(len(picked), 1 / len(picked), dtype=np.float32)
    buffer = np.empty((n + 2, min(width, d)), dtype=np.float32)
    buffer[n + 1] = 1.0
    product = np.empty((n + 2, n + 2), dtype=np.float32)
    total = np.empty((n + 2, n + 2))
    with np.errstate(over="ignore", invalid="ignore"):  # the sums show it
        for start in range(0, d, width):
            columns = features[:, start : start + width]
            rows = buffer[:, : columns.shape[1]]
            np.matmul(weights, columns[picked].astype(np.float32, copy=False), out=rows[n])
            np.subtract(columns, rows[n], out=rows[:n])
            np.matmul(rows, rows.T, out=product)
            if start == 0:
                total[:] = product
            else:
                total += product
    return ShiftedProducts(
        total[:n, :n], total[:n, n].copy(), total[:n, n + 1].copy(), total[n, n], total[n, n + 1], d
    )


def _products(
    features: np.ndarray, size: np.ndarray, centre: bool, use: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the products in double precision (n, n) of rows less their means, and their scale.

    Row i is multiplied by `scale[i]`, a power of two that keeps products of huge or tiny features
    in range. Means over the images are of those in `use`; rows and columns of the others are 0.
    Never more than a block of the features is copied.
    """
    n, d = features.shape
    scale = _row_scale(size, use, common=centre)
    shift = np.zeros((n, 1))
    for rows in _blocks(features, scale):
        shift[:, 0] += rows.sum(axis=1)
    shift /= d
    if centre:
        shift -= shift[use].mean()
    weights = use / use.sum()

    matrix, row_sum = np.zeros((n, n)), np.zeros(n)
    for rows in _blocks(features, scale):
        if centre:
            rows -= weights @ rows
        rows -= shift
        matrix += rows @ rows.T
        row_sum += rows.sum(axis=1)
    matrix -= np.outer(row_sum, row_sum) / d
    matrix[~use, :] = 0.0
    matrix[:, ~use] = 0.0
    return matrix, scale


def pearson_rdm(products: Products, use: np.ndarray) -> np.ndarray:
    """Return 1 - Pearson of every two rows, condensed and clipped to [0, 2].

    nan for rows that are not in the (n,) bool `use` or have no variance. Strips of the upper
    triangle are worked on at a time: they stay in the cache, and with many images no further matrix
    of n x n is needed.
    """
    n = len(use)
    variance = np.where(use, products.diagonal(), np.nan)
    variance[~(variance > 0)] = np.nan
    inverse = 1.0 / np.sqrt(variance)
    rdm = np.empty(n * (n - 1) // 2)
    parts = list(_row_parts(n))
    for start in range(0, n - 1, _STRIP):
        strip = products.strip(start)
        strip *= inverse[start : start + _STRIP, None]
        strip *= inverse[start:]
        np.subtract(1.0, strip, out=strip)
        for row, part in enumerate(parts[start : start + _STRIP]):
            rdm[part] = strip[row, row + 1 :]
    return np.clip(rdm, 0.0, 2.0, out=rdm)


def condensed(square: np.ndarray) -> np.ndarray:
    """Return the upper triangle of an (n, n) matrix, row by row, as (n (n - 1) / 2,)."""
    n = len(square)
    values = np.empty(n * (n - 1) // 2, dtype=square.dtype)
    for row, part in enumerate(_row_parts(n)):  # indices of all pairs would take 16 bytes each
        values[part] = square[row, row + 1 :]
    return values


def square_form(condensed_rdm: np.ndarray) -> np.ndarray:
    """Return a condensed RDM as a symmetric (n, n) matrix with zeros on its diagonal."""
    n = n_images_of(condensed_rdm.shape[-1])
    square = np.zeros((n, n), dtype=condensed_rdm.dtype)
    for row, part in enumerate(_row_parts(n)):
        square[row, row + 1 :] = square[row + 1 :, row] = condensed_rdm[part]
    return square


def pairs_among(kept: np.ndarray) -> np.ndarray:
    """Return which of the n (n - 1) / 2 pairs have both images in the (n,) bool `kept`."""
    return np.concatenate([first & kept[row + 1 :] for row, first in enumerate(kept[:-1])])


def pair_at(place: int, n: int) -> tuple[int, int]:
    """Return the two images of the entry at `place` of a condensed RDM of n images."""
    for row, part in enumerate(_row_parts(n)):
        if place < part.stop:
            return row, int(place) - part.start + row + 1
    raise IndexError(f"entry {place} of an RDM of {n} images")


def _row_parts(n: int) -> Iterator[slice]:
    """Yield where each row of the upper triangle stands in a condensed RDM."""
    start = 0
    for row in range(n - 1):
        yield slice(start, start + n - 1 - row)
        start += n - 1 - row


def n_images_of(n_pairs: int) -> int:
    """Return n of a condensed RDM of n (n - 1) / 2 entries, or raise RepresentationError."""
    n = (1 + math.isqrt(1 + 8 * n_pairs)) // 2
    if n * (n - 1) // 2 != n_pairs:
        raise RepresentationError(
            f"{n_pairs} dissimilarities are not the upper triangle of an RDM, n (n - 1) / 2"
        )
    return n


def mid_ranks(values: np.ndarray) -> np.ndarray:
    """Return ranks from 1 along the last axis, float64; equal values share their mean rank.

    Where a row holds nan all its ranks are.
    """
    values = np.asarray(values)
    if values.ndim == 0 or values.shape[-1] < _LONG:
        from scipy.stats import rankdata

        return rankdata(values, method="average", axis=-1)
    ranks = np.empty(values.shape)
    rows = values.reshape(-1, values.shape[-1])
    for row, row_ranks in zip(rows, ranks.reshape(rows.shape), strict=True):
        _rank_long(row, row_ranks)
    return ranks


def descending_ranks(values: np.ndarray) -> np.ndarray:
    """Return ranks along the last axis, 1 for the largest; equal values share the better rank."""
    return 1 + (values[..., None, :] > values[..., :, None]).sum(axis=-1)


def _rank_long(row: np.ndarray, ranks: np.ndarray) -> None:
    """Put the mid-ranks of one row into `ranks`.

    NumPy's unstable sort is several times faster than the stable one of `rankdata`; in which order
    equal values come does not matter, as they get one rank.
    """
    if np.isnan(row).any():
        ranks[:] = np.nan
        return
    order = np.argsort(row)
    ordered = row[order]
    first = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
    sizes = np.diff(first, append=len(row))
    ranks[order] = np.repeat(first + (sizes + 1) / 2, sizes)


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
    if not isinstance(features, SpilledFeatures):
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
            f"{name}: {n} rows of features but {len(conditions)} image ids; give one id per row"
        )
    return conditions


def listed(ids: Sequence[str], which: np.ndarray) -> str:
    """Name the images that the (n,) bool `which` marks, the first few of many."""
    marked = [ids[i] for i in np.flatnonzero(which)]
    return f"image{'s' if len(marked) > 1 else ''} {first_few(marked)}"


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
        f"defined; remove the images or set rsa.constant_images to drop"
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


def _extremes(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the least and the largest feature of each row, nan where one is nan."""
    low, high = features[:, :1][:, 0].copy(), features[:, :1][:, 0].copy()
    for start in range(0, features.shape[1], BLOCK):
        columns = features[:, start : start + BLOCK]
        np.minimum(low, columns.min(axis=1), out=low)
        np.maximum(high, columns.max(axis=1), out=high)
    return low, high


def _size(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Return the largest magnitude of each row, float64."""
    return np.maximum(np.abs(low.astype(np.float64)), np.abs(high.astype(np.float64)))


def _row_scale(size: np.ndarray, use: np.ndarray, *, common: bool) -> np.ndarray:
    """Return powers of two that bring the largest magnitude of each row (or of all) near 1."""
    if common:
        size = np.full_like(size, size[use].max())
    exponent = np.frexp(np.where(size > 0, size, 1.0))[1]
    limit = -np.finfo(np.float64).minexp  # the factor itself must be a normal number
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


def _equal_pairs(features: np.ndarray, rdm: np.ndarray) -> list[int]:
    """Return the pairs of rows with the same features (products in blocks may differ in a bit).

    Only rows with another at nearly no distance are compared.
    """
    n = len(features)
    parts = list(_row_parts(n))
    starts = [part.start for part in parts]
    near = [np.flatnonzero(rdm[part] <= _NEAR) + row + 1 for row, part in enumerate(parts)]
    rows = np.unique(np.concatenate([*near, np.flatnonzero([len(some) for some in near])]))
    columns = np.linspace(0, features.shape[1] - 1, _SAMPLE).astype(int)
    classes: dict[tuple, list[list[int]]] = {}
    pairs: list[int] = []
    for i in rows.tolist():
        candidates = classes.setdefault(tuple(features[i][columns].tolist()), [])
        for members in candidates:
            first = members[0]
            if rdm[starts[first] + i - first - 1] <= _NEAR and np.array_equal(
                features[first], features[i]
            ):
                pairs += [starts[j] + i - j - 1 for j in members]
                members.append(i)
                break
        else:
            candidates.append([i])
    return pairs


def _dissimilarities_of_pairs(
    features: np.ndarray, pairs: np.ndarray, use: np.ndarray, centre: bool
) -> np.ndarray:
    """Return 1 - Pearson of some pairs, given by their places in the condensed RDM, in double.

    Single precision rounds what nearly equal rows differ by to 0 or not, depending on the
    processor. Half the squared distance of standardised rows is 1 - r without any cancellation.
    """
    n, d = features.shape
    mean = np.zeros(d)
    if centre:
        weights = use / use.sum()
        for start in range(0, d, BLOCK):
            mean[start : start + BLOCK] = weights @ features[:, start : start + BLOCK]
    found = np.empty(len(pairs))
    for place, pair in enumerate(pairs):
        first, second = standardise(features[list(pair_at(pair, n))] - mean)
        found[place] = ((first - second) ** 2).sum() / 2
    return found


def _blocks(features: np.ndarray, scale: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the scaled columns in double, `BLOCK` at a time, in one buffer that is reused."""
    n, d = features.shape
    buffer = np.empty((n, min(BLOCK, d)))
    for start in range(0, d, BLOCK):
        columns = features[:, start : start + BLOCK]
        rows = buffer[:, : columns.shape[1]]
        np.multiply(columns, scale[:, None], out=rows, dtype=np.float64)
        yield rows
