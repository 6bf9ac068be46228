"""The start of a head: a linear probe of the features that it sees.

Where labels are few, a probe of frozen features is often better than a network that was fine-tuned
from a head at random, whose first steps spoil the features (Kumar et al. 2022). The head's linear
part starts as that probe, so that training starts where the probe ends. That holds where features
normalised by a batch resemble those normalised by the statistics that the network came with, so not
for networks that saw no data.

The probe is a ridge regression to values, or to classes as 0 and 1 (shares of them, for the
positions of a map), whose penalty is chosen by cross-validation over images. Of classes the outputs
are multiplied by what makes the cross entropy of held-out images smallest (temperature scaling, Guo
et al. 2017), which leaves the order of the classes as it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from taskrsa.errors import DataError
from taskrsa.networks.preprocessing import transfer_input
from taskrsa.networks.target import TargetNetwork
from taskrsa.targets.config import KINDS
from taskrsa.targets.pixels import VOID
from taskrsa.targets.pooling import of_cells, of_image
from taskrsa.targets.sets import LabelledSet
from taskrsa.training.batches import GREY
from taskrsa.training.objectives import scoring, starts

IMAGES = 1000  # that the probe is fitted to, at most
PLACES = 2048  # positions of maps, as many of each image, at most
FOLDS = 5
PENALTIES = np.logspace(-4, 2, 7)  # as multiples of the features' mean variance times their number
SHARPNESS = (0.1, 30.0)  # bounds of what outputs of classes are multiplied by


@dataclass(frozen=True)
class Places:
    """What a probe is fitted to: features (n, C), what is known of each place, (n, K), and the
    number of its image, (n,)."""

    features: np.ndarray
    values: np.ndarray
    images: np.ndarray


def start_at_probe(network: TargetNetwork, train_set: LabelledSet, seed: int) -> None:
    """Set the linear part of the head to a probe of the training images, without augmentation."""
    places = places_of(network, train_set, seed)
    if not len(places.values):
        return  # nothing is known of these images
    weight, bias = probe(places, KINDS[network.kind].is_of_classes, seed)
    part = network.head.linear
    with torch.no_grad():
        part.weight.copy_(torch.from_numpy(weight).reshape(part.weight.shape))
        part.bias.copy_(torch.from_numpy(bias))


def probe(places: Places, of_classes: bool, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return weights (K, C) and offsets (K,) of a probe; the folds are drawn with `seed`."""
    from scipy.optimize import minimize_scalar
    from scipy.special import log_softmax
    from sklearn.linear_model import Ridge, RidgeCV
    from sklearn.model_selection import PredefinedSplit, cross_val_predict

    mean = places.features.mean(axis=0)
    x = places.features - mean
    spread = np.sqrt(np.mean(x**2)) or 1.0
    x /= spread
    basis = None
    if len(x) < x.shape[1]:
        # Ridge weights are combinations of the places' features: fewer numbers say the same.
        basis, upper = np.linalg.qr(x.T)
        x = upper.T
    fold = _folds(places.images, seed)
    if fold.max() == 0:
        fitted, sharpness = Ridge(len(x)).fit(x, places.values), 1.0
    else:
        cv, penalties = PredefinedSplit(fold), PENALTIES * len(x)
        fitted = RidgeCV(penalties, cv=cv, scoring="neg_mean_squared_error").fit(x, places.values)
        sharpness = 1.0
        if of_classes:
            held_out = cross_val_predict(Ridge(fitted.alpha_), x, places.values, cv=cv)
            sharpness = np.exp(
                minimize_scalar(
                    lambda log: (
                        -np.sum(places.values * log_softmax(np.exp(log) * held_out, axis=1))
                    ),
                    bounds=np.log(SHARPNESS),
                    method="bounded",
                ).x
            )
    weight = np.atleast_2d(fitted.coef_) / spread
    if basis is not None:
        weight = weight @ basis.T
    return sharpness * weight, sharpness * (fitted.intercept_ - weight @ mean)


def _folds(images: np.ndarray, seed: int) -> np.ndarray:
    """Return the fold of each place, those of an image together: (n,) from 0."""
    names, which = np.unique(images, return_inverse=True)
    order = np.random.default_rng([seed, len(names)]).permutation(len(names))
    return (order % min(FOLDS, len(names)))[which]


# --- what it is fitted to ---


def places_of(network: TargetNetwork, train_set: LabelledSet, seed: int) -> Places:
    """Return the features that the head sees of some images, and their labels; of maps, those of
    some positions an image, drawn with `seed`, each with the mean of the labels under it."""
    rng = np.random.default_rng([seed, len(train_set)])
    chosen = np.sort(rng.permutation(len(train_set))[:IMAGES])
    n_each = max(1, PLACES // len(chosen))
    parts: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    for at, features, label in _seen(network, train_set, chosen):
        if network.is_dense:
            x = features.reshape(len(features), -1).T
            y = cells_of(network, label, features.shape[1:])
        else:
            x = features.mean((1, 2))[None]
            y = of_image(network.kind, label, len(network.classes))
        known = np.flatnonzero(~np.isnan(y).any(1))
        kept = np.sort(rng.permutation(known)[:n_each])
        parts.append((x[kept], y[kept], np.full(len(kept), at)))
    places = Places(*(np.concatenate(part) for part in zip(*parts, strict=True)))
    if not np.isfinite(places.features).all():
        raise DataError(
            f"{network.encoder.row.name}: features at {network.tap} are not finite; set "
            "head: {start: random} of the target, or leave the network out"
        )
    return places


def _seen(
    network: TargetNetwork, images: LabelledSet, chosen: np.ndarray
) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """Yield the number of an image, the features (C, h, w) that the head gets of it and its label;
    of a network with windows, those of each of them."""
    caught: list[Tensor] = []
    hook = network.head.register_forward_pre_hook(lambda _, given: caught.append(given[0]))
    try:
        with scoring(network) as device:
            for at in chosen:
                for rgb, label in _windows(network, images.image(at), images.label(at)):
                    network(transfer_input(rgb[None], network.input_channels, "rgb").to(device))
                    yield int(at), caught.pop()[0].double().cpu().numpy(), label
    finally:
        hook.remove()


def _windows(
    network: TargetNetwork, rgb: np.ndarray, label: np.ndarray
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield an image and its label as the network is shown them, as when it is scored."""
    side = network.window
    if side is None or network.kind != "segmentation":
        yield np.array(rgb), label  # a copy: what a file is read into cannot be written
        return
    height, width = (max(length, side) for length in label.shape)
    shown = np.full((height, width, 3), GREY, np.uint8)
    known = np.full((height, width), VOID, label.dtype)
    shown[: len(rgb), : rgb.shape[1]], known[: len(rgb), : rgb.shape[1]] = rgb, label
    for top in starts(height, side):
        for left in starts(width, side):
            window = slice(top, top + side), slice(left, left + side)
            yield shown[window], known[window]


def cells_of(network: TargetNetwork, label: np.ndarray, grid: tuple[int, int]) -> np.ndarray:
    """Return what is known of the positions of a map: shares of classes (h * w, K), or mean values
    (h * w, 1), of the labels (H, W) of the pixels of each; nan where none is known."""
    cell = np.zeros(label.shape, dtype=int)
    for axis, (length, n) in enumerate(zip(label.shape, grid, strict=True)):
        # Images are shrunk, and then filled to what the encoder's strides divide.
        shrunk = max(1, round(length * network.head_config.input_scale))
        filled = shrunk + -shrunk % network.multiple
        place = (np.arange(length) + 0.5) * shrunk / length * n / filled
        cell = cell * n + np.expand_dims(place.astype(int), 1 - axis)
    return of_cells(network.kind, label, len(network.classes), cell, grid[0] * grid[1])
