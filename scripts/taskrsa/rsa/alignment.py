"""Alignment of representations: correlation of matrices free of what single images contribute.

Linear centred kernel alignment is the cosine of two doubly centred kernel matrices (Kornblith et
al. 2019). Its unbiased form leaves the diagonal out: of the entries A_ij with i < j, an additive
model a_i + a_j is fitted by least squares, and the residuals are compared. Those residuals are
Szekely & Rizzo's (2014) U-centred matrix, so the cosine is the bias-corrected distance
correlation of dissimilarities and the unbiased CKA of kernels (Dwivedi et al. 2020).

For images taken w_i times, pairs of an image with itself left out, pair (i, j) occurs w_i w_j
times. The normal equation of any copy of image i runs over the copies of the other images:
sum over j != i of w_j (A_ij - a_i - a_j) = 0. With r_i = sum over j != i of w_j A_ij, W = sum of
w_j and S = sum of w_j a_j, it reads r_i = (W - w_i) a_i + S - w_i a_i, so
a_i = (r_i - S) / (W - 2 w_i), and S follows from its own definition. The residuals are orthogonal
to every additive model, so the product of those of A and B is
sum over i < j of w_i w_j A_ij B_ij - sum over i of w_i a_i r_i(B): no residual is ever formed.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from taskrsa.errors import RepresentationError
from taskrsa.rsa.inference import require_counts, with_unit_diagonal
from taskrsa.rsa.rdm import epsilon_of, n_images_of, square_form
from taskrsa.rsa.similarity import symmetric

FEWEST_IMAGES = 4  # the additive model of 3 images fits their 3 pairs exactly
_DRAWS = 64  # resamples whose row sums are held at a time
_STRIP = 8192  # pairs multiplied at a time: 20 rows of them stay in the cache
_ROUNDING = 16  # times eps: residuals that are a smaller share of a matrix are its rounding
_LEAST = 1e-10  # share of the squares below which a difference of them is rounding


def alignment_matrix(matrices: np.ndarray, *, names: Sequence[str] | None = None) -> np.ndarray:
    """Return the alignments (m, m) of condensed dissimilarities or kernel values (m, p).

    Arguments, result and errors are as for `additive_residuals` and `similarity_matrix`.
    """
    rows = additive_residuals(matrices, names=names)
    return symmetric(rows @ rows.T)


def additive_residuals(matrices: np.ndarray, *, names: Sequence[str] | None = None) -> np.ndarray:
    """Return the residuals of the additive model a_i + a_j of each matrix, scaled to norm 1.

    Products of such rows are alignments. Matrices and residuals are (m, p), over n >= 4 images.

    Raises
    ------
    RepresentationError
        If a matrix holds nan or infinity, or is additive to rounding: nothing is left to compare.
    """
    matrices = np.asarray(matrices)
    if matrices.ndim != 2 or n_images_of(matrices.shape[1]) < FEWEST_IMAGES:
        raise RepresentationError(
            f"matrices of shape {matrices.shape}; stack condensed matrices of at least "
            f"{FEWEST_IMAGES} images as (m, pairs)"
        )
    n = n_images_of(matrices.shape[1])
    first, second = np.triu_indices(n, 1)
    residuals = np.empty(matrices.shape)
    for i, matrix in enumerate(matrices):
        row = _near_one(matrix, names, i)
        size = np.linalg.norm(row)
        row -= row.mean()
        sums = np.bincount(first, row, n) + np.bincount(second, row, n)
        parts = sums / (n - 2)  # their own sum is 0, as the mean is
        row -= parts[first] + parts[second]
        norm = np.linalg.norm(row)
        if norm <= _ROUNDING * epsilon_of(matrix.dtype) * size:
            raise RepresentationError(
                f"{_name(names, i)}: its matrix is a sum of one number per image, so no alignment "
                f"is defined; leave it out or check that the images differ"
            )
        np.divide(row, norm, out=residuals[i])
    return residuals


def resampled_alignment(matrices: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return the alignments (R, m, m) over images taken as often as the (R, n) `counts` say.

    Exactly what fitting the additive model to the pairs of each resample gives, pairs of an image
    with itself left out. nan where the images of a resample leave no residual. Arguments and errors
    are as for `resampled_similarity`, but a resample needs 4 different images.
    """
    # Centred once without weights, the rows lose nothing that a resample keeps, and the products
    # below are differences of small numbers.
    rows = additive_residuals(matrices)
    n = n_images_of(rows.shape[1])
    require_counts(counts, n, FEWEST_IMAGES)
    by_pair = np.ascontiguousarray(rows.T)  # the values of a pair are taken together
    upper = np.triu_indices(n, 1)
    result = np.empty((len(counts), len(rows), len(rows)))
    for start in range(0, len(counts), _DRAWS):
        some = counts[start : start + _DRAWS].astype(np.float64)
        sums = np.stack([some @ square_form(row) for row in rows], axis=1)  # (draws, m, n)
        for draw, (count, row_sums) in enumerate(zip(some, sums, strict=True), start):
            raw = _weighted_products(by_pair, count[upper[0]] * count[upper[1]])
            covariance = raw - (_additive_parts(row_sums, count) * count) @ row_sums.T
            result[draw] = _cosines(covariance, raw.diagonal())
    return with_unit_diagonal(result)


def _weighted_products(by_pair: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the weighted sum over pairs of the products of every two columns of (p, q) values."""
    total = np.zeros((by_pair.shape[1],) * 2)
    taken = np.flatnonzero(weights)  # a bootstrap misses 37 % of the images, 60 % of the pairs
    root = np.sqrt(weights[taken])[:, None]
    for start in range(0, len(taken), _STRIP):
        strip = slice(start, start + _STRIP)
        values = by_pair.take(taken[strip], axis=0)
        values *= root[strip]
        total += values.T @ values
    return total


def _additive_parts(row_sums: np.ndarray, count: np.ndarray) -> np.ndarray:
    """Return a_i of the module's docstring for rows of r_i (q, n) and counts w_i (n,)."""
    rest = count.sum() - 2 * count
    half = rest == 0  # an image that is half of all; with three others it is the only one
    if half.any():
        # Its own equation gives S = r_i, the other equations their a_j, and S its a_i.
        total = row_sums[:, half]
        rest[half] = 1.0
        parts = (row_sums - total) / rest
        parts[:, half] = (total - parts[:, ~half] @ count[~half, None]) / count[half]
        return parts
    total = row_sums @ (count / rest) / (1.0 + (count / rest).sum())
    return (row_sums - total[:, None]) / rest


def _cosines(covariance: np.ndarray, squares: np.ndarray) -> np.ndarray:
    """Return the correlations of residuals; nan where what is left of the squares is rounding."""
    covariance = (covariance + covariance.T) / 2
    left = covariance.diagonal()
    norm = np.sqrt(np.where(left > _LEAST * squares, left, np.nan))
    return np.clip(covariance / np.outer(norm, norm), -1.0, 1.0)


def _near_one(matrix: np.ndarray, names: Sequence[str] | None, index: int) -> np.ndarray:
    """Return a float64 copy whose largest magnitude is 1: its squares stay in range."""
    matrix = matrix.astype(np.float64)
    size = np.abs(matrix).max()
    if not np.isfinite(size):
        raise RepresentationError(
            f"{_name(names, index)}: its matrix holds nan or infinity; remove those images first"
        )
    return matrix / size if size > 0 else matrix


def _name(names: Sequence[str] | None, index: int) -> str:
    return f"matrix {index}" if names is None else str(names[index])
