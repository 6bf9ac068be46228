"""Marks that several figures share: intervals, numbers beside the frame, paler colours."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_hex, to_rgb

from taskrsa.figures.style import INK, SMALL


def draw_whiskers(axes: Axes, low: np.ndarray, high: np.ndarray, places: np.ndarray) -> None:
    """Draw intervals as horizontal lines; none where an end is missing."""
    low, high = np.asarray(low, dtype=float), np.asarray(high, dtype=float)
    known = np.isfinite(low) & np.isfinite(high)
    if known.any():
        y = np.asarray(places)[known]
        axes.hlines(y, low[known], high[known], color=INK, linewidth=0.7, zorder=3)


def write_beside(axes: Axes, y: float, text: str, **options) -> None:
    """Write text at the right of the frame, at the height of a row."""
    axes.annotate(
        text,
        (1, y),
        xycoords=("axes fraction", "data"),
        xytext=(2.5, 0),
        textcoords="offset points",
        va="center",
        **{"fontsize": SMALL} | options,
    )


def pale(colour: str, share: float) -> str:
    """Return a colour with a share of white mixed in."""
    return to_hex([1 - (1 - part) * (1 - share) for part in to_rgb(colour)])
