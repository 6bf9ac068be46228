"""Measures from models of the labels that are fitted in closed form: LogME and H-score."""

from __future__ import annotations

import numpy as np

from taskrsa.transferability.cells import Labels
from taskrsa.transferability.registry import Inapplicable, measure

_STEPS = 100
_CLOSE = 1e-6  # relative change at which the fixed point is reached
_TINY = 1e-5  # keeps the precisions finite, as in the authors' code


@measure("logme", label="LogME")
def logme(features: np.ndarray, labels: Labels) -> float:
    """LogME (You et al. 2021, "LogME: practical assessment of pre-trained models", algorithm 3 with
    the fixed point of You et al. 2022): log evidence a place of Bayesian linear regression from the
    features to a column of the labels, maximised over both precisions; mean over the columns.

    Columns that do not vary, such as classes that no place has, are left out. Cells count as
    independent places, which those of one image are not.
    """
    f = features.astype(np.float64)
    y = labels.values.astype(np.float64)
    y = y[:, np.ptp(y, axis=0) > 0]
    wide = f.shape[1] > len(f)
    sigma, vectors = np.linalg.eigh(f @ f.T if wide else f.T @ f)
    kept = sigma > sigma[-1] * max(f.shape) * np.finfo(np.float64).eps
    sigma, vectors = sigma[kept], vectors[:, kept]
    # Squared projections of the labels on the left singular vectors, and what they leave.
    projected = vectors.T @ y if wide else (vectors.T @ (f.T @ y)) / np.sqrt(sigma)[:, None]
    squares = projected**2
    left = np.maximum((y**2).sum(axis=0) - squares.sum(axis=0), 0)
    pairs = zip(squares.T, left, strict=True)
    return float(np.mean([_evidence(sigma, *of, len(f)) for of in pairs]))


def _evidence(sigma: np.ndarray, squares: np.ndarray, left: float, n: int) -> float:
    """Return the largest log evidence a row. Dimensions that features do not span cancel."""
    alpha = beta = 1.0  # precisions of the prior of the weights and of the noise
    for _ in range(_STEPS):
        ratio = alpha / beta
        gamma = (sigma / (sigma + ratio)).sum()
        weights = (sigma * squares / (ratio + sigma) ** 2).sum()
        residual = (squares / (1 + sigma / ratio) ** 2).sum() + left
        alpha = gamma / (weights + _TINY)
        beta = (n - gamma) / (residual + _TINY)
        if abs(alpha / beta - ratio) <= _CLOSE * ratio:
            break
    # Weights and residual are those of the precisions before, as in the authors' code.
    total = len(sigma) * np.log(alpha) + n * np.log(beta) - np.log(alpha + beta * sigma).sum()
    return (total - beta * residual - alpha * weights - n * np.log(2 * np.pi)) / 2 / n


@measure("hscore", label="H-score", kinds=("segmentation", "classification"))
def hscore(features: np.ndarray, labels: Labels) -> float:
    """H-score (Bao et al. 2019, "An information-theoretic approach to transferability"): trace of
    the inverse covariance of the features times the covariance of their means by class.

    With the Ledoit-Wolf estimate of the covariance for every network, as in Ibrahim et al. 2021
    ("Newer is not always better"): the plain one is singular where features outnumber places, and
    networks must be compared alike. Of a cell the most frequent class counts.
    """
    from scipy.linalg import solve
    from sklearn.covariance import ledoit_wolf

    f = features.astype(np.float64)
    f -= f.mean(axis=0)
    covariance, shrinkage = ledoit_wolf(f, assume_centered=True)
    classes, of_row, sizes = np.unique(labels.majority, return_inverse=True, return_counts=True)
    if len(classes) < 2:
        raise Inapplicable("all places have the same most frequent class")
    means = np.zeros((len(classes), f.shape[1]))
    np.add.at(means, of_row, f)
    means /= sizes[:, None]
    between = (means.T * sizes) @ means / len(f)
    return float((1 - shrinkage) * np.trace(solve(covariance, between, assume_a="pos")))
