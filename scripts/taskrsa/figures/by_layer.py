"""Values by layer: lines along the layers of networks, the labels of the tasks beside them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from taskrsa.figures.checks import need_once
from taskrsa.figures.style import GREY, SMALL, layer_label
from taskrsa.text import LEAST_P, number, p_value

SIGNIFICANT = 0.05


def plot_by_layer(
    axes: Axes,
    rows: pd.DataFrame,
    column: str,
    layers: Sequence[str],
    *,
    marker: str = "",
    shift: float = 0.0,
    p: str = "",
    **line: str,
) -> None:
    """Plot a column against layer; the labels, no layer of a network, stand off the line.

    p: a column of p values; marks are hollow where it is not below .05. line: color and linestyle.
    """
    need_once(rows, f"{column} by layer", "layer")
    place = {layer: x for x, layer in enumerate(layers)}
    rows = rows.assign(_x=rows["layer"].map(place)).sort_values("_x")
    inner = rows["layer"] != "labels"
    x, y = rows["_x"].to_numpy(dtype=float) + shift, rows[column].to_numpy(dtype=float)
    axes.plot(x[inner], y[inner], linewidth=1.0, **line)
    if not marker and (~inner).any():
        at = x[~inner]
        axes.hlines(y[~inner], at - 0.2, at + 0.2, linewidth=1, **line)
    if marker:
        filled = rows[p].to_numpy() < SIGNIFICANT if p else np.ones(len(rows), dtype=bool)
        look = {"c": np.where(filled, line["color"], "white"), "edgecolors": line["color"]}
        axes.scatter(x, y, s=13, marker=marker, linewidths=0.8, zorder=3, **look)


def layer_axis(axes: Axes, layers: Sequence[str]) -> None:
    """Name the layers below the axes."""
    axes.set_xticks(range(len(layers)), [layer_label(layer, short=True) for layer in layers])
    axes.set_xlim(-0.45, len(layers) - 0.55)
    if "labels" in layers and len(layers) > 1:
        axes.axvline(layers.index("labels") - 0.5, color=GREY, linewidth=0.5, linestyle=":")


def write_p(axes: Axes, rows: pd.DataFrame, layers: Sequence[str]) -> None:
    """Write the p value of each layer above the frame."""
    for layer, p in zip(rows["layer"], rows["p"], strict=True):
        axes.annotate(
            p_equals(p),
            (layers.index(layer), 1),
            xycoords=("data", "axes fraction"),
            xytext=(0, 2),
            textcoords="offset points",
            ha="center",
            fontsize=SMALL,
            weight="bold" if p < SIGNIFICANT else "normal",
        )


def p_equals(p: float) -> str:
    """Return "p = .034", or "p < .001": three decimals at most, which have room above a layer."""
    if p < LEAST_P:
        return f"p {p_value(p, leading_zero=False)}"
    return f"p = {number(p, 3 if p < 0.0995 else 2, leading_zero=False)}"
