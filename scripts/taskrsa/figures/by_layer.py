"""Layer by layer: do types of networks separate, do networks resemble each other as labels do?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from taskrsa.analysis.tables import label_pairs
from taskrsa.errors import DataError
from taskrsa.figures.files import need_columns
from taskrsa.figures.marks import draw_pairs, p_equals, pair_handles, write_above
from taskrsa.figures.sheet import (
    COLUMN_WIDTH,
    EDGE,
    PAGE_WIDTH,
    Drawn,
    Sheet,
    keys_height,
    line_handle,
    marker_handle,
)
from taskrsa.figures.style import (
    GREY,
    INK,
    MATH,
    SERIES,
    SYMBOLS,
    figure,
    layer_label,
    layer_order,
    network_styles,
)

SIGNIFICANT = 0.05
_LEFT, _PANEL = 0.42, 2.75  # inches: the upright axis, a panel of two


# --- Types ---

_CONTROLS = {
    "none": "nothing",
    "pixels": "pixels",
    "random": "random weights",
    "pixels+random": "both",
}
_LOOKS = tuple(zip((INK, *SERIES[2:]), "osD^vP", strict=True))


@figure(
    name="type_separation",
    title="Types by depth",
    caption="Mean similarity within and between types of networks, layer by layer, with the p "
    "value of a permutation of the types; also with the RDM of the pixels and the mean RDM of "
    "random-weight networks partialled out.",
    alt="Lines of mean similarity within and between types of networks against depth.",
    category="Taxonomy",
    order=30,
    tables={"separation": "tables/type_separation.csv"},
    needs=("types",),
)
def figure_separation(separation: pd.DataFrame) -> Drawn:
    """Draw within-type against between-type similarity by layer, without and with controls.

    separation: columns layer, control, within, between, p, and random_mean where random-weight
    networks were run; layer "labels" are the labels of the tasks. Left: mean similarity of pairs of
    one type and of two types, with the p value of their difference; the dashed line is the mean of
    all pairs of random-weight networks. Right, where the table has controls: the difference after
    the RDM of the pixels, of random-weight networks, or of both is partialled out; filled where
    p < .05.
    """
    need_columns(separation, ["layer", "control", "within", "between", "p"], "type separation")
    plain = separation[separation["control"] == "none"]
    if plain.empty:
        raise DataError("type separation table has no control none; make the table again")
    layers = layer_order(separation["layer"])
    controls = list(dict.fromkeys([*_CONTROLS, *separation["control"]]))
    controls = [control for control in controls if control in set(separation["control"])]
    both = len(controls) > 1

    top, height = 0.5, 1.45
    width = PAGE_WIDTH if both else COLUMN_WIDTH
    panel = _PANEL if both else width - _LEFT - EDGE
    sheet = Sheet(width, top + height + 0.36)
    axes = sheet.axes(_LEFT, top, panel, height)
    handles = _draw_means(axes, plain, layers)
    letter = "a" if both else ""
    sheet.head(_LEFT, "Pairs of networks, mean", letter, handles=handles, width=panel)
    if both:
        start = width - EDGE - panel
        axes = sheet.axes(start, top, panel, height)
        handles = _draw_differences(axes, separation, layers, controls)
        title = "With what is partialled out (filled: p < .05)"
        sheet.head(start, title, "b", handles=handles, width=panel)
    return Drawn(sheet.figure, separation)


def _draw_means(axes: Axes, plain: pd.DataFrame, layers: Sequence[str]) -> list[Line2D]:
    """Draw the means within and between types; return their key."""
    handles = []
    for column, label, colour, marker in (
        ("within", "within a type", SERIES[0], "o"),
        ("between", "between types", SERIES[1], "s"),
    ):
        _plot(axes, plain, column, layers, color=colour, marker=marker)
        handles.append(line_handle(colour, label, marker=marker, markersize=3.5))
    known = plain[plain["random_mean"].notna()] if "random_mean" in plain else plain.iloc[:0]
    if len(known):
        _plot(axes, known, "random_mean", layers, color=GREY, linestyle="--")
        handles.append(line_handle(GREY, "random weights", linestyle="--"))
    _layer_axis(axes, layers)
    axes.set_ylabel("mean similarity ($r_s$)", **MATH)
    axes.set_ylim(min(0.0, axes.get_ylim()[0]), axes.get_ylim()[1])
    _write_p(axes, plain, layers)
    return handles


def _draw_differences(
    axes: Axes, separation: pd.DataFrame, layers: Sequence[str], controls: Sequence[str]
) -> list[Line2D]:
    """Draw what is left of the difference of types under each control; return the key."""
    axes.axhline(0, color=GREY, linewidth=0.5)
    handles = []
    for k, control in enumerate(controls):
        some = separation[separation["control"] == control]
        some = some.assign(difference=some["within"] - some["between"])
        colour, marker = _LOOKS[k % len(_LOOKS)]
        look = {"color": colour, "marker": marker, "shift": (k - (len(controls) - 1) / 2) * 0.09}
        _plot(axes, some, "difference", layers, p="p", **look)
        handles.append(marker_handle(colour, _CONTROLS.get(control, control), marker))
    _layer_axis(axes, layers)
    axes.set_ylabel("within minus between")
    return handles


# --- Labels ---


@figure(
    name="label_agreement",
    title="Labels against networks",
    caption="Spearman correlation, over pairs of tasks, between the similarity of their labels and "
    "of their networks, tested by a permutation of the tasks (claim C3).",
    alt="Similarity of networks against similarity of their labels, one point a pair of tasks.",
    category="Taxonomy",
    order=40,
    tables={
        "agreement": "tables/label_agreement.csv",
        "similarity": "tables/similarity.csv",
        "networks": "tables/networks.csv",
    },
    needs=("labels",),
    settings=("layer", "compare"),
)
def figure_label_agreement(
    agreement: pd.DataFrame,
    similarity: pd.DataFrame,
    networks: pd.DataFrame,
    *,
    layer: str,
    compare: str,
) -> Drawn:
    """Draw the similarity of networks against the similarity of their tasks' labels (Fig. 5.6).

    agreement: columns layer, spearman, p: correlation of the two over all pairs, by layer.
    similarity: columns layer, model_a, model_b, rs, with a layer "labels". Left: the pairs at one
    layer, those of one type in its colour. Right: the correlation by layer.
    """
    need_columns(agreement, ["layer", "spearman", "p"], "label agreement")
    need_columns(similarity, ["layer", "model_a", "model_b", "rs"], "similarity")
    pairs = label_pairs(similarity)
    some = pairs[pairs["layer"] == layer]
    if some.empty:
        raise DataError(
            f"similarity table has no pairs of both layer {layer} and labels; make it again"
        )
    styles = network_styles([*some["model_a"], *some["model_b"]], networks)
    layers = layer_order(agreement["layer"])

    handles = pair_handles(some, styles)
    top, height = EDGE + 0.3 + keys_height(_PANEL, handles), 1.7
    sheet = Sheet(PAGE_WIDTH, top + height + 0.36)
    axes = sheet.axes(_LEFT, top, _PANEL, height)
    draw_pairs(axes, some, "rs_labels", "rs_network", styles)
    axes.set_xlabel(f"similarity of the labels ({SYMBOLS[compare]})", **MATH)
    axes.set_ylabel(f"similarity of the networks ({SYMBOLS[compare]})", **MATH)
    axes.xaxis.set_major_locator(MaxNLocator(6))
    title = f"Pairs of tasks at {layer_label(layer)}, by type"
    sheet.head(_LEFT, title, "a", handles=handles, width=_PANEL)

    start = PAGE_WIDTH - EDGE - _PANEL
    axes = sheet.axes(start, top, _PANEL, height)
    _plot(axes, agreement, "spearman", layers, color=INK, marker="o", p="p")
    axes.axhline(0, color=GREY, linewidth=0.5)
    _layer_axis(axes, layers)
    axes.set_ylim(min(0.0, axes.get_ylim()[0]), max(axes.get_ylim()[1], 0.1))
    axes.set_ylabel("Spearman correlation over the pairs")
    _write_p(axes, agreement, layers)
    sheet.head(start, "Agreement by layer (filled: p < .05)", "b")
    return Drawn(sheet.figure, pairs)


# --- Parts ---


def _plot(
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
    need_columns(rows, [], f"{column} by layer", once=["layer"])
    rows = rows.assign(_x=rows["layer"].map(layers.index)).sort_values("_x")
    inner = rows["layer"] != "labels"
    x, y = rows["_x"].to_numpy(dtype=float) + shift, rows[column].to_numpy(dtype=float)
    axes.plot(x[inner], y[inner], linewidth=1.0, **line)
    if marker:
        filled = rows[p].to_numpy() < SIGNIFICANT if p else np.ones(len(rows), dtype=bool)
        look = {"c": np.where(filled, line["color"], "white"), "edgecolors": line["color"]}
        axes.scatter(x, y, s=13, marker=marker, linewidths=0.8, zorder=3, **look)
    elif not inner.all():
        at = x[~inner]
        axes.hlines(y[~inner], at - 0.2, at + 0.2, linewidth=1, **line)


def _layer_axis(axes: Axes, layers: Sequence[str]) -> None:
    """Name the layers below the axes."""
    axes.set_xticks(range(len(layers)), [layer_label(layer, short=True) for layer in layers])
    axes.set_xlim(-0.45, len(layers) - 0.55)
    if "labels" in layers and len(layers) > 1:
        axes.axvline(layers.index("labels") - 0.5, color=GREY, linewidth=0.5, linestyle=":")


def _write_p(axes: Axes, rows: pd.DataFrame, layers: Sequence[str]) -> None:
    """Write the p value of each layer above the frame."""
    for layer, p in zip(rows["layer"], rows["p"], strict=True):
        weight = "bold" if p < SIGNIFICANT else "normal"
        write_above(axes, layers.index(layer), p_equals(p), weight=weight)
