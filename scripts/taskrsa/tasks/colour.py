"""Colour bins of the colorization task: CIELAB a and b on a grid, as far as sRGB reaches.

Zhang et al. (2016) use a grid of 10 and count 313 bins. Here a bin belongs to the gamut if some
8-bit sRGB colour is nearest to it, which gives fewer (260): nothing that can occur in a photograph
lies in the others.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

GRID = 10  # CIELAB units between bins
_REACH = 11  # bins to each side of 0
_STEP = 5  # levels of sRGB between the sampled colours; divides 255


@lru_cache(maxsize=1)
def ab_bins() -> np.ndarray:
    """Return the centres (a, b) of the in-gamut bins, (Q, 2) float32, sorted by a, then b."""
    from skimage.color import rgb2lab

    levels = np.arange(0, 256, _STEP) / 255
    cube = np.stack(np.meshgrid(levels, levels, levels, indexing="ij"), -1)
    ab = rgb2lab(cube.reshape(1, -1, 3))[0, :, 1:]
    bins = np.unique(np.rint(ab / GRID).astype(int), axis=0) * GRID
    bins = bins.astype(np.float32)
    bins.setflags(write=False)
    return bins


@lru_cache(maxsize=1)
def _table() -> np.ndarray:
    """Return, for every point of the grid, the index of the nearest in-gamut bin."""
    grid = np.arange(-_REACH, _REACH + 1) * GRID
    points = np.stack(np.meshgrid(grid, grid, indexing="ij"), -1)
    square = ((points[:, :, None] - ab_bins()) ** 2).sum(-1)
    return square.argmin(-1).astype(np.int16)


def n_bins() -> int:
    """Return the number of in-gamut bins, the classes of colorization."""
    return len(ab_bins())


def nearest_bin(ab: np.ndarray) -> np.ndarray:
    """Return the index of the bin nearest to each colour (..., 2), as int16."""
    cells = np.clip(np.rint(ab / GRID).astype(int), -_REACH, _REACH) + _REACH
    return _table()[cells[..., 0], cells[..., 1]]


def ab_index(rgb: np.ndarray) -> np.ndarray:
    """Return the bin index of every pixel, (H, W) int16, of an (H, W, 3) uint8 photograph."""
    from skimage.color import rgb2lab

    return nearest_bin(rgb2lab(rgb)[..., 1:])
