"""Labels as representations: one feature vector an image, for their RDM (paper Fig. 5.6)."""

from __future__ import annotations

import numpy as np


def label_features(
    output: str,
    targets: np.ndarray,
    valid: np.ndarray,
    n_outputs: int,
    ab_bins: np.ndarray | None = None,
) -> np.ndarray:
    """Flatten the labels of n images to (n, d) float32.

    Maps of values are taken as they are; class maps become one indicator a class, colour bins the
    colours they stand for; segments, whose ids mean nothing across images, become the map of their
    borders. Where a value is unknown it takes its mean over the images, so that it adds nothing.

    Parameters
    ----------
    output : of `taskrsa.tasks.task.Task`
    targets, valid : labels as `taskrsa.data.pack.read_labels` returns them
    n_outputs : number of classes, for class maps
    ab_bins : (n_outputs, 2) colours of the classes, for colorization
    """
    valid = np.asarray(valid, bool)
    if output == "embedding":
        values, valid = borders(targets, valid)
    elif output == "ids":
        codes = np.eye(n_outputs, dtype=np.float32) if ab_bins is None else ab_bins
        values = np.moveaxis(np.asarray(codes, np.float32)[targets], -1, 1)
        valid = valid[:, None]
    else:
        values = np.asarray(targets, np.float32)
        valid = valid[:, None]  # (n, 1, h, w) beside images, (n, 1) beside vectors
    mask = np.broadcast_to(valid, values.shape)
    known = np.maximum(mask.sum(axis=0), 1)
    mean = (values * mask).sum(axis=0, dtype=np.float64) / known
    return np.where(mask, values, mean.astype(np.float32)).reshape(len(values), -1)


def borders(ids: np.ndarray, valid: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return where (n, h, w) ids of segments differ from those of the pixel to the right or below.

    Returns
    -------
    borders : (n, h - 1, w - 1) float32 of 0 and 1; the last row and column lack a neighbour
    known : (n, h - 1, w - 1) bool, whether the pixel and both neighbours are valid
    """
    here, right, below = ids[:, :-1, :-1], ids[:, :-1, 1:], ids[:, 1:, :-1]
    known = valid[:, :-1, :-1] & valid[:, :-1, 1:] & valid[:, 1:, :-1]
    return ((here != right) | (here != below)).astype(np.float32), known
