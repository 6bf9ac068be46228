"""Measures that compare the geometry of features with that of the labels."""

from __future__ import annotations

import numpy as np

from taskrsa.rsa.rdm import mid_ranks
from taskrsa.transferability.cells import Labels
from taskrsa.transferability.registry import Inapplicable, Score, measure

PARC_ROWS = 500  # the number of images of Bolya et al.
_BLOCK = 64  # columns whose products are held by image
_KERNEL_ROWS = 1000  # up to as many rows products of rows are cheaper than those of columns


@measure("parc", label="PARC")
def parc(features: np.ndarray, labels: Labels, seed: int) -> float:
    """PARC (Bolya et al. 2021, "Scalable diverse model selection", equations 3 and 4): Spearman
    correlation of 1 - Pearson of the features with 1 - Pearson of the one-hot labels.

    Of at most 500 places, as there; of a cell its most frequent class. Numbers, which PARC is not
    made for, are compared by Euclidean distance. Places whose features are constant, for which
    Pearson is not defined, are left out.
    """
    from scipy.spatial.distance import pdist

    rows = np.arange(len(features))
    if len(rows) > PARC_ROWS:
        rows = np.sort(np.random.default_rng(seed).choice(rows, PARC_ROWS, replace=False))
    rows = rows[np.ptp(features[rows], axis=1) > 0]
    if len(rows) < 3 or features.shape[1] < 2:
        raise Inapplicable("fewer than 3 places have features that vary over channels")
    of_features = pdist(features[rows].astype(np.float64), "correlation")
    if labels.are_classes:
        # 1 - Pearson of two one-hot rows has two values only, whose order is all that is ranked.
        of_labels = pdist(labels.majority[rows, None], "hamming")
    else:
        of_labels = pdist(labels.values[rows].astype(np.float64))
    if np.ptp(of_labels) == 0 or np.ptp(of_features) == 0:
        raise Inapplicable("all pairs of the places that are compared are equally far apart")
    return float(np.corrcoef(mid_ranks(np.stack([of_features, of_labels])))[0, 1])


@measure("cka", label="linear CKA with labels")
def cka(features: np.ndarray, labels: Labels, counts: np.ndarray | None) -> Score:
    """Linear CKA of features and labels (Kornblith et al. 2019, "Similarity of neural network
    representations revisited", section 3, linear kernels):

        ||Y' X||^2 / (||X' X|| ||Y' Y||)

    with Frobenius norms and columns centred. Labels are one-hot, shares or values.
    """
    x = features - features.mean(axis=0, dtype=np.float64).astype(np.float32)
    y = labels.values - labels.values.mean(axis=0, dtype=np.float64).astype(np.float32)
    products = _by_rows if len(x) <= _KERNEL_ROWS else _by_columns
    ones = np.ones((1, labels.n_images))
    weights = ones if counts is None else np.concatenate([ones, counts])
    with np.errstate(invalid="ignore", divide="ignore"):  # a resample of one class
        found = products(x, y, labels, weights)
    return Score(float(found[0]), None if counts is None else found[1:])


def _by_rows(x: np.ndarray, y: np.ndarray, labels: Labels, weights: np.ndarray) -> np.ndarray:
    """Return CKA with images weighted, (R, N) to (R,), from kernels of the rows."""
    kernels = [rows @ rows.T for rows in (x.astype(np.float64), y.astype(np.float64))]
    found = np.empty(len(weights))
    for draw, of_images in enumerate(weights):
        of_rows = of_images[labels.groups]
        share = of_rows / of_rows.sum()
        centred = []
        for kernel in kernels:
            means = kernel @ share
            centred.append(kernel - means - means[:, None] + share @ means)
        a, b = centred
        products = [(of_rows @ (one * other)) @ of_rows for one, other in ((a, b), (a, a), (b, b))]
        found[draw] = products[0] / np.sqrt(products[1] * products[2])
    return found


def _by_columns(x: np.ndarray, y: np.ndarray, labels: Labels, weights: np.ndarray) -> np.ndarray:
    """Return the same from products of the columns, which are sums over images."""
    n = weights @ np.bincount(labels.groups)
    sums = [weights @ labels.by_image(rows.astype(np.float64)) for rows in (x, y)]
    single = weights.astype(np.float32)  # whole numbers
    squares = {}
    for name, (a, b) in {"xy": (0, 1), "xx": (0, 0), "yy": (1, 1)}.items():
        left, right = (x, y)[a], (x, y)[b]
        total = np.zeros(len(weights))
        width = max(1, _BLOCK * _BLOCK // right.shape[1])
        for start in range(0, left.shape[1], width):
            part = slice(start, start + width)
            held = _products_by_image(left[:, part], right, labels)
            summed = single @ held.reshape(len(held), -1)
            centre = sums[a][:, part, None] * sums[b][:, None] / n[:, None, None]
            total += ((summed - centre.reshape(summed.shape)) ** 2).sum(axis=1)
        squares[name] = total
    return squares["xy"] / np.sqrt(squares["xx"] * squares["yy"])


def _products_by_image(left: np.ndarray, right: np.ndarray, labels: Labels) -> np.ndarray:
    """Return left' right over the rows of each image, (N, a, b)."""
    found = np.empty((labels.n_images, left.shape[1], right.shape[1]), dtype=np.float32)
    starts = np.searchsorted(labels.groups, np.arange(labels.n_images + 1))
    for image in range(labels.n_images):
        rows = slice(starts[image], starts[image + 1])
        np.matmul(left[rows].T, right[rows], out=found[image])
    return found
