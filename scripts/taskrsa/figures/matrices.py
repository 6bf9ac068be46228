"""Matrices of similarities, and how rows and columns of any matrix of networks are marked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby

import numpy as np
import pandas as pd
import seaborn
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.patches import Rectangle

from taskrsa.figures.sheet import colour_ticks
from taskrsa.figures.style import INK, NORMAL, PALE, SIMILARITY_CMAP, ModelStyle

STRIP = 0.05  # inches: width of the coloured strips that mark the types beside a matrix
GAP = 0.02  # inches between a matrix and its strips


def colour_limits(matrices: Sequence[pd.DataFrame]) -> tuple[float, float]:
    """Return the limits of one colour scale for all matrices, diagonals aside.

    0 is always within, so that a pale difference cannot look like a strong one; the limits are
    rounded outwards to tenths, at most 1.
    """
    values = [m.to_numpy()[~np.eye(len(m), dtype=bool)] for m in matrices]
    values = np.concatenate([v[np.isfinite(v)] for v in values] + [np.zeros(1)])
    low = np.floor(round(float(values.min()) * 10, 6)) / 10
    high = np.ceil(round(float(values.max()) * 10, 6)) / 10
    return float(low), float(min(1.0, max(high, low + 0.1)))


def draw_matrix(
    axes: Axes,
    matrix: pd.DataFrame,
    styles: Mapping[str, ModelStyle],
    limits: tuple[float, float],
    *,
    row_labels: bool = True,
    column_labels: bool = True,
    fontsize: float = NORMAL,
) -> None:
    """Draw a similarity matrix in the order of `styles`, its types marked by strips and lines.

    The diagonal, 1 by definition, is grey and takes no part in the colour scale; so are networks
    of `styles` that the matrix lacks.
    """
    names, n = list(styles), len(styles)
    square = matrix.reindex(index=names, columns=names)
    hidden = np.eye(n, dtype=bool) | square.isna().to_numpy()
    axes.set_facecolor(PALE)
    seaborn.heatmap(
        square,
        mask=hidden,
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
    axes.set(xlabel="", ylabel="")
    networks = list(styles.values())
    frame_matrix(
        axes,
        networks,
        networks,
        row_labels=row_labels,
        column_labels=column_labels,
        fontsize=fontsize,
    )


def frame_matrix(
    axes: Axes,
    rows: Sequence[ModelStyle],
    columns: Sequence[ModelStyle],
    *,
    row_labels: bool = True,
    column_labels: bool = True,
    fontsize: float = NORMAL,
) -> None:
    """Name the networks of a matrix, and mark their types by strips and lines.

    Cells are 1 x 1, from 0; the first row is on top.
    """
    axes.spines[["left", "bottom"]].set_visible(False)
    _mark_types(axes, rows, columns)
    axes.set_xlim(0, len(columns))
    axes.set_ylim(len(rows), 0)
    for axis, styles, named in (
        (axes.yaxis, rows, row_labels),
        (axes.xaxis, columns, column_labels),
    ):
        axis.set_ticks([])
        if named:
            _name_cells(axis, styles, fontsize)


def _mark_types(axes: Axes, rows: Sequence[ModelStyle], columns: Sequence[ModelStyle]) -> None:
    """Draw strips at the left and below in the types' colours, and lines between types."""
    width, height = axes.get_figure().get_size_inches()
    side = axes.get_position()
    unit_x = len(columns) / (side.width * width)  # cells an inch
    unit_y = len(rows) / (side.height * height)
    inset = 0.08
    for styles, down in ((rows, True), (columns, False)):
        line = axes.axhline if down else axes.axvline
        start = 0
        for kind, group in groupby(styles, key=lambda style: style.type):
            run = list(group)
            if start:
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


def _name_cells(axis: Axis, styles: Sequence[ModelStyle], fontsize: float) -> None:
    """Write the networks' names in their colours at the rows or columns of a matrix."""
    rotation, options = (0, {"va": "center"}) if axis.axis_name == "y" else (90, {"ha": "center"})
    centres = np.arange(len(styles)) + 0.5
    axis.set_ticks(centres, [style.label for style in styles], rotation=rotation, **options)
    axis.set_tick_params(length=0, pad=(GAP + STRIP) * 72 + 2, labelsize=fontsize)
    colour_ticks(axis, styles)
