"""Measures that predict the labels of images from those of others: neighbours and a linear probe.

Both are cross-validated over images: the cells of an image are never on both sides, since they
resemble each other. The folds are the same for every network. Scores are

classification   share of the images whose class is right
segmentation     neighbours: mean over the classes of the share of their cells whose most frequent
                 class is right, for in mIoU, too, every class counts the same; linear probe: as of
                 values, of the classes' shares, mean over the classes
values, maps     share of the squared error of the constant answer that is removed (R2), the answer
                 being the mean of the other folds; mean over the outputs
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from taskrsa.transferability.cells import Labels
from taskrsa.transferability.registry import Inapplicable, Score, measure

FOLDS = 5
NEIGHBOURS = 5
# Penalties of the ridge probe, as multiples of the mean eigenvalue of the features' products.
PENALTIES = np.logspace(-4, 4, 9)


def folds_of(labels: Labels, seed: int) -> np.ndarray:
    """Return the fold of every place, (n,), by image at random; of a classification every class is
    spread over the folds. Inapplicable with fewer than 3 images."""
    n = labels.n_images
    if n < 3:
        raise Inapplicable(f"{n} labelled images; a probe needs at least 3")
    order = np.random.default_rng(seed).permutation(n)
    if labels.kind == "classification":
        order = order[np.argsort(labels.majority[order], kind="stable")]
    fold = np.empty(n, dtype=int)
    fold[order] = np.arange(n) % min(FOLDS, n)
    return fold[labels.groups]


# --- neighbours ---


@measure("knn", label="nearest neighbours")
def knn(features: np.ndarray, labels: Labels, counts: np.ndarray | None, seed: int) -> Score:
    """Prediction from the 5 nearest places of other folds by cosine of the centred features: their
    most frequent class, or the mean of their values."""
    from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor

    fold = folds_of(labels, seed)
    x = features - features.mean(axis=0)
    x /= np.maximum(np.linalg.norm(x, axis=1, keepdims=True), np.finfo(np.float32).tiny)
    kind = KNeighborsClassifier if labels.are_classes else KNeighborsRegressor
    known = labels.majority if labels.are_classes else labels.values
    predicted = np.empty_like(known)
    for one in np.unique(fold):
        train, held = fold != one, fold == one
        # By Euclidean distance, which orders vectors of one length as their cosine does.
        model = kind(min(NEIGHBOURS, int(train.sum())), algorithm="brute")
        predicted[held] = model.fit(x[train], known[train]).predict(x[held])
    if labels.are_classes:
        return right_share(predicted, labels, counts)
    return error_removed(predicted, constants_of(labels.values, fold), labels, counts)


# --- linear probe ---


@measure("probe", label="linear probe")
def probe(features: np.ndarray, labels: Labels, counts: np.ndarray | None, seed: int) -> Score:
    """Ridge regression to values, shares of classes or one-hot classes, whose largest output is
    the answer; the penalty is chosen by cross-validation among the images of the other folds."""
    fold = folds_of(labels, seed)
    predicted = ridge(features, labels.values, fold)
    if labels.kind == "classification":
        return right_share(predicted.argmax(axis=1), labels, counts)
    return error_removed(predicted, constants_of(labels.values, fold), labels, counts)


@dataclass(frozen=True)
class _Fit:
    """Ridge regressions with all penalties, from one eigendecomposition."""

    mean_x: np.ndarray
    mean_y: np.ndarray
    vectors: np.ndarray  # (C, C)
    weights: np.ndarray  # (P, C, K) in their basis

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Return (P, n, K) predictions for features (n, C)."""
        return ((x - self.mean_x) @ self.vectors) @ self.weights + self.mean_y

    def at(self, penalty: int) -> _Fit:
        return _Fit(self.mean_x, self.mean_y, self.vectors, self.weights[[penalty]])


def ridge(features: np.ndarray, values: np.ndarray, fold: np.ndarray) -> np.ndarray:
    """Return predictions (n, K) of values from features (n, C), each place's from other folds.

    With an intercept, and one penalty for all outputs: for each fold that which predicts best among
    the others, each of these left out in turn. Sums of products over a fold are made once and added
    up, so that every fit costs one eigendecomposition for all outputs and penalties.
    """
    x, y = _rotated(features), values.astype(np.float64)
    names = np.unique(fold)
    rows = {one: np.flatnonzero(fold == one) for one in names}
    fit = _fitter(x, y, rows)
    errors = {one: np.zeros(len(PENALTIES)) for one in names}
    for pair in combinations(names, 2):
        found = fit(pair)
        for chosen_for, tried in (pair, pair[::-1]):
            residual = found.predict(x[rows[tried]]) - y[rows[tried]]
            errors[chosen_for] += (residual**2).sum(axis=(1, 2))
    predicted = np.empty_like(y)
    for one in names:
        best = int(errors[one].argmin())
        predicted[rows[one]] = fit((one,)).at(best).predict(x[rows[one]])[0]
    return predicted


def _rotated(features: np.ndarray) -> np.ndarray:
    """Return centred features in a basis of the space that the n places span, (n, at most n): all
    that ridge regression depends on is in it."""
    x = features.astype(np.float64)
    x -= x.mean(axis=0)
    if x.shape[1] <= len(x):
        return x
    squares, vectors = np.linalg.eigh(x @ x.T)
    return vectors * np.sqrt(np.maximum(squares, 0))


def _fitter(x: np.ndarray, y: np.ndarray, rows: dict) -> Callable[[tuple], _Fit]:
    """Return what fits all but the named folds."""
    joined = {one: np.hstack([np.ones((len(at), 1)), x[at], y[at]]) for one, at in rows.items()}
    width = 1 + x.shape[1]
    sums = {one: part[:, :width].T @ part for one, part in joined.items()}

    def fit(left_out: tuple) -> _Fit:
        total = sum(products for one, products in sums.items() if one not in left_out)
        n = total[0, 0]
        mean_x, mean_y = total[0, 1:width] / n, total[0, width:] / n
        squares, vectors = np.linalg.eigh(total[1:, 1:width] - n * np.outer(mean_x, mean_x))
        cross = vectors.T @ (total[1:, width:] - n * np.outer(mean_x, mean_y))
        squares = np.maximum(squares, 0)
        scale = squares.sum() / min(len(squares), n) or 1.0
        weights = cross / (squares + scale * PENALTIES[:, None])[:, :, None]
        return _Fit(mean_x, mean_y, vectors, weights)

    return fit


# --- scores ---


def constants_of(values: np.ndarray, fold: np.ndarray) -> np.ndarray:
    """Return the mean of the other folds at each place, (n, K)."""
    constants = np.empty_like(values, dtype=np.float64)
    for one in np.unique(fold):
        constants[fold == one] = values[fold != one].mean(axis=0, dtype=np.float64)
    return constants


def error_removed(
    predicted: np.ndarray, constants: np.ndarray, labels: Labels, counts: np.ndarray | None
) -> Score:
    """Score values by the share of the constants' squared error that is removed; mean over the
    columns that vary."""
    ours, theirs = (
        labels.by_image((labels.values - answers.astype(np.float64)) ** 2)
        for answers in (predicted, constants)
    )
    varies = np.ptp(labels.values, axis=0) > 0
    ours, theirs = ours[:, varies], theirs[:, varies]

    def score(weights: np.ndarray) -> np.ndarray:
        return 1 - (weights @ ours) / (weights @ theirs)

    return _scored(score, labels, counts, chance=0.0)


def right_share(predicted: np.ndarray, labels: Labels, counts: np.ndarray | None) -> Score:
    """Score classes (n,) by the share of the places that are right: of all images, or of cells the
    mean over the classes."""
    asked = np.eye(len(labels.classes))[labels.majority]
    right = asked * (predicted == labels.majority)[:, None]
    n_classes = int(asked.any(axis=0).sum())
    if labels.is_dense:
        chance = 1 / n_classes
    else:
        chance = float(asked.mean(axis=0).max())
        asked, right = asked.sum(axis=1, keepdims=True), right.sum(axis=1, keepdims=True)
    asked, right = labels.by_image(asked), labels.by_image(right)

    def score(weights: np.ndarray) -> np.ndarray:
        return (weights @ right) / (weights @ asked)

    return _scored(score, labels, counts, chance)


def _scored(
    score: Callable[[np.ndarray], np.ndarray],
    labels: Labels,
    counts: np.ndarray | None,
    chance: float,
) -> Score:
    """Return the mean over columns of what `score` makes of images' weights (R, N), (R, K).

    A column that a resample has not is left out of its mean.
    """
    with np.errstate(invalid="ignore", divide="ignore"):  # 0 of 0
        value = np.nanmean(score(np.ones(labels.n_images)))
        if counts is None:
            return Score(float(value), chance=chance)
        drawn = score(counts)
    drawn = np.where(np.isfinite(drawn), drawn, np.nan)
    return Score(float(value), np.nanmean(drawn, axis=1), chance)
