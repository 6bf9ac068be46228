"""What labels say of parts of an image, as numbers: shares of classes, or mean values."""

from __future__ import annotations

import numpy as np

from taskrsa.targets.pixels import VOID


def of_image(kind: str, label: np.ndarray, n_outputs: int) -> np.ndarray:
    """Return what is known of an image whose label is a class () or values (K,), as (1, K)."""
    if kind == "classification":
        return np.eye(n_outputs)[[int(label)]]
    return label.astype(np.float64)[None]


def of_cells(
    kind: str, label: np.ndarray, n_outputs: int, cell: np.ndarray, n_cells: int
) -> np.ndarray:
    """Return what is known of the cells of an image, (n_cells, K), nan where nothing is.

    Parameters
    ----------
    kind : "segmentation", of which there is the share of each class among the labelled pixels, or
        "regression", of which there is the mean of the known values
    label : (H, W) of the pixels
    cell : (H, W) from 0, which cell each pixel is in
    """
    if kind == "segmentation":
        known = label != VOID
        pairs = cell[known] * n_outputs + label[known].astype(np.int64)
        sums = np.bincount(pairs, minlength=n_cells * n_outputs).reshape(n_cells, n_outputs)
        total = sums.sum(axis=1)
    else:
        known = ~np.isnan(label)
        sums = np.bincount(cell[known], weights=label[known], minlength=n_cells)[:, None]
        total = np.bincount(cell[known], minlength=n_cells)
    with np.errstate(invalid="ignore"):  # 0 of 0
        return sums / total[:, None]
