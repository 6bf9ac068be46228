"""Matrices of networks: their cells, and how rows and columns are named and marked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby

import numpy as np
import pandas as pd
import seaborn
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.patches import Rectangle

from taskrsa.figures.sheet import name_ticks
from taskrsa.figures.style import INK, NORMAL, PALE, SIMILARITY_CMAP, ModelStyle

STRIP = 0.05  # inches: width of the coloured strips that mark the types beside a matrix
GAP = 0.02  # inches between a matrix and its strips


def colour_limits(matrices: Sequence[pd.DataFrame]) -> tuple[float, float]:
    """Return the limits of one colour scale for all matrices, diagonals aside.

    0 is always within, so that a pale difference cannot look like a strong one; the limits are
    rounded outwards to tenths, at most 1.
    """
    values = [m.to_numpy()[~np.eye(len(m), dtype=bool)] for m in matrices]
    values = np.concatenate([*values, [0.0]])
    low = np.floor(round(float(np.nanmin(values)) * 10, 6)) / 10
    high = np.ceil(round(float(np.nanmax(values)) * 10, 6)) / 10
    return float(low), float(min(1.0, max(high, low + 0.1)))


def draw_matrix(
    axes: Axes,
    matrix: pd.DataFrame,
    styles: Mapping[str, ModelStyle],
    limits: tuple[float, float],
    **named,
) -> None:
    """Draw a similarity matrix in the order of `styles`; `named` as for `draw_cells`.

    The diagonal, 1 by definition, is grey and takes no part in the colour scale; so are networks
    of `styles` that the matrix lacks.
    """
    square = matrix.reindex(index=list(styles), columns=list(styles)).to_numpy(copy=True)
    np.fill_diagonal(square, np.nan)
    networks = list(styles.values())
    draw_cells(axes, square, networks, networks, limits, **named)


def draw_cells(
    axes: Axes,
    values: np.ndarray,
    rows: Sequence[ModelStyle],
    columns: Sequence[ModelStyle],
    limits: tuple[float, float],
    *,
    row_labels: bool = True,
    column_labels: bool = True,
    fontsize: float = NORMAL,
) -> QuadMesh:
    """Draw a matrix, first row on top, its types marked by strips and lines; nan is grey."""
    axes.set_facecolor(PALE)
    seaborn.heatmap(
        values,
        mask=np.isnan(values),
        ax=axes,
        vmin=limits[0],
        vmax=limits[1],
        cmap=SIMILARITY_CMAP,
        cbar=False,
        linewidths=0.25,
        linecolor="white",
        xticklabels=False,
        yticklabels=False,
    )
    _mark_types(axes, rows, columns)
    axes.set_xlim(0, len(columns))
    axes.set_ylim(len(rows), 0)
    axes.set(xticks=[], yticks=[])
    if row_labels:
        name_ticks(axes.yaxis, rows, start=0.5, va="center")
    if column_labels:
        name_ticks(axes.xaxis, columns, start=0.5, ha="center", rotation=90)
    axes.tick_params(length=0, pad=(GAP + STRIP) * 72 + 2, labelsize=fontsize)
    return axes.collections[0]


def _mark_types(axes: Axes, rows: Sequence[ModelStyle], columns: Sequence[ModelStyle]) -> None:
    """Draw strips at the left and below in the types' colours, and lines between types that stand
    together."""
    width, height = axes.get_figure().get_size_inches()
    side = axes.get_position()
    unit_x = len(columns) / (side.width * width)  # cells an inch
    unit_y = len(rows) / (side.height * height)
    inset = 0.08
    for styles, down in ((rows, True), (columns, False)):
        line = axes.axhline if down else axes.axvline
        runs = [(kind, [*run]) for kind, run in groupby(styles, key=lambda style: style.type)]
        are_together = len(runs) == len({kind for kind, _ in runs})
        start = 0
        for kind, run in runs:
            if start and are_together:
                line(start, color=INK, linewidth=0.6)
            if kind:
                length = len(run) - 2 * inset
                if down:
                    box = (-(GAP + STRIP) * unit_x, start + inset), STRIP * unit_x, length
                else:
                    box = (start + inset, len(rows) + GAP * unit_y), length, STRIP * unit_y
                options = {"facecolor": run[0].colour, "edgecolor": "none", "clip_on": False}
                axes.add_patch(Rectangle(*box, **options))
            start += len(run)
