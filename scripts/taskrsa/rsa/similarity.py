"""Similarity of RDMs: Spearman's correlation (Dwivedi & Roig 2019, section 3), or rho-a.

Spearman's correlation divides by how much the ranks of each RDM vary, which is less the more
dissimilarities are equal. So an RDM of few different values, as of labels or categories, comes out
more similar to a third than one that says the same and orders what is equal there at random.
rho-a (Schütt et al. 2023) is the mean of Spearman's correlation over all orders in which equal
dissimilarities can be put: with p pairs, the sum of the products of the mid-ranks less their mean,
divided by (p^3 - p) / 12. Without equal dissimilarities the two are the same. Unlike Kendall's
tau-a, which serves the same end (Nili et al. 2014), it takes no longer than Spearman's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from taskrsa.errors import RepresentationError
from taskrsa.rsa.rdm import mid_ranks, standardise

RankCorrelation = Literal["spearman", "rho_a"]


def similarity_matrix(
    rdms: np.ndarray,
    *,
    names: Sequence[str] | None = None,
    compare: RankCorrelation = "spearman",
) -> np.ndarray:
    """Return the correlations (m, m) of condensed RDMs (m, p) over the same images.

    Float64, symmetric, with ones on the diagonal, by rho-a, too. `names` are the models', for
    messages; by default the row numbers.

    Raises
    ------
    RepresentationError
        If an RDM holds nan, or the same number throughout.
    """
    rows = ranked_rows(rdms, names, compare)
    return symmetric(rows @ rows.T)


def similarity_between(
    rdms: np.ndarray,
    others: np.ndarray,
    *,
    names: Sequence[str] | None = None,
    other_names: Sequence[str] | None = None,
    compare: RankCorrelation = "spearman",
) -> np.ndarray:
    """Return the correlations (m, k) of `rdms` (m, p) with `others` (k, p).

    Raises
    ------
    RepresentationError
        As `similarity_matrix`, and if the two sets have different numbers of pairs.
    """
    _require_same_pairs(rdms, others)
    product = ranked_rows(rdms, names, compare) @ ranked_rows(others, other_names, compare).T
    return np.clip(product, -1.0, 1.0)


def partial_similarity_matrix(
    rdms: np.ndarray,
    controls: np.ndarray,
    *,
    names: Sequence[str] | None = None,
) -> np.ndarray:
    """Return the Spearman partial correlation of every two RDMs given the control RDMs.

    The ranks of the controls and an intercept are regressed out of the ranks of each RDM, and the
    residuals correlated. Controls (k, p) are, say, the RDM of the pixels and the mean RDM of
    networks with random weights; k may be 0.

    Raises
    ------
    RepresentationError
        As `similarity_between`, and if the controls explain an RDM completely.
    """
    _require_same_pairs(rdms, controls)
    rows = ranked_rows(rdms, names)
    if len(controls) == 0:
        return symmetric(rows @ rows.T)
    # Rows are free of their mean, which is the intercept. The SVD copes with collinear controls.
    _, values, basis = np.linalg.svd(ranked_rows(controls), full_matrices=False)
    basis = basis[values > values[0] * 1e-10]
    residuals = rows - (rows @ basis.T) @ basis
    norm = np.linalg.norm(residuals, axis=1, keepdims=True)
    for i in np.flatnonzero(norm[:, 0] < 1e-7):
        raise RepresentationError(
            f"{_name(names, i)}: the controls explain its RDM completely; leave it out or drop "
            f"the control that is its copy"
        )
    residuals /= norm
    return symmetric(residuals @ residuals.T)


def ranked_rows(
    rdms: np.ndarray,
    names: Sequence[str] | None = None,
    compare: RankCorrelation = "spearman",
) -> np.ndarray:
    """Return the mid-ranks of (m, p) RDMs less their mean, scaled so that products of rows are
    their correlations: to norm 1 for Spearman's, as without ties for rho-a.

    Errors are those of `require_rdms`.
    """
    rdms = require_rdms(rdms, names)
    # One by one: with many images copies of all of them would not fit into memory.
    ranked = np.empty(rdms.shape)
    for row, place in zip(rdms, ranked, strict=True):
        place[:] = scaled_ranks(mid_ranks(row), compare)
    return ranked


def scaled_ranks(ranks: np.ndarray, compare: RankCorrelation) -> np.ndarray:
    """Return mid-ranks (..., p) as `ranked_rows` does."""
    if compare == "spearman":
        return standardise(ranks)
    p = ranks.shape[-1]
    return (ranks - (p + 1) / 2) / np.sqrt((p**3 - p) / 12)


def require_rdms(rdms: np.ndarray, names: Sequence[str] | None = None) -> np.ndarray:
    """Return `rdms` as an (m, p) array after checking that its rows can be ranked.

    Raises
    ------
    RepresentationError
        If it is not such an array, or an RDM holds nan or the same number throughout.
    """
    rdms = np.asarray(rdms)
    if rdms.ndim != 2 or rdms.shape[1] < 2:
        raise RepresentationError(
            f"RDMs of shape {rdms.shape}; stack condensed RDMs of at least 3 images as (m, pairs)"
        )
    for i, row in enumerate(rdms):
        low, high = row.min(), row.max()
        if not (np.isfinite(low) and np.isfinite(high)):
            raise RepresentationError(
                f"{_name(names, i)}: its RDM holds nan or infinity; remove the dropped images first"
            )
        if low == high:
            raise RepresentationError(
                f"{_name(names, i)}: its RDM is the same number throughout, so no rank correlation "
                f"is defined; leave it out"
            )
    return rdms


def _require_same_pairs(a: np.ndarray, b: np.ndarray) -> None:
    if np.shape(a)[-1] != np.shape(b)[-1]:
        raise RepresentationError(
            f"RDMs with {np.shape(a)[-1]} and {np.shape(b)[-1]} pairs cannot be compared; make "
            f"both from the same images"
        )


def _name(names: Sequence[str] | None, index: int) -> str:
    return f"RDM {index}" if names is None else str(names[index])


def symmetric(matrix: np.ndarray) -> np.ndarray:
    """Return correlations of rows with themselves free of rounding: symmetric, in [-1, 1]."""
    matrix = np.clip((matrix + matrix.T) / 2, -1.0, 1.0)
    np.fill_diagonal(matrix, 1.0)
    return matrix
