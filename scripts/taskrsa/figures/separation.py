"""Do the types of networks separate, layer by layer, and is it more than pixels explain?"""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from taskrsa.errors import DataError
from taskrsa.figures.by_layer import layer_axis, plot_by_layer, write_p
from taskrsa.figures.checks import need_columns
from taskrsa.figures.sheet import (
    COLUMN_WIDTH,
    EDGE,
    PAGE_WIDTH,
    Drawn,
    Sheet,
    line_handle,
    marker_handle,
)
from taskrsa.figures.style import GREY, INK, MATH, SERIES, figure, layer_order

_CONTROLS = {
    "none": "nothing",
    "pixels": "pixels",
    "random": "random weights",
    "pixels+random": "both",
}
_SHAPES, _COLOURS = ("o", "s", "D", "^", "v", "P"), (INK, *SERIES[2:])


@figure(
    name="type_separation",
    title="Types by depth",
    caption="Mean similarity within and between types of networks, layer by layer, with the p "
    "value of a permutation of the types; again with the RDM of the pixels and the mean RDM of "
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
    controls = [c for c in _CONTROLS if c in set(separation["control"])]
    controls += [c for c in dict.fromkeys(separation["control"]) if c not in _CONTROLS]
    both = len(controls) > 1

    left, top, height = 0.42, 0.5, 1.45
    panel = 2.75 if both else COLUMN_WIDTH - left - EDGE
    width = PAGE_WIDTH if both else COLUMN_WIDTH
    sheet = Sheet(width, top + height + 0.36)
    axes = sheet.axes(left, top, panel, height)
    handles = _draw_means(axes, plain, layers)
    sheet.head(left, panel, "a" if both else "", "Pairs of networks, mean", handles)
    if both:
        start = width - EDGE - panel
        axes = sheet.axes(start, top, panel, height)
        handles = _draw_differences(axes, separation, layers, controls)
        title = "With what is partialled out (filled: p < .05)"
        sheet.head(start, panel, "b", title, handles)
    return Drawn(sheet.figure, separation)


def _draw_means(axes: Axes, plain: pd.DataFrame, layers: Sequence[str]) -> list[Line2D]:
    """Draw the means within and between types; return their key."""
    handles = []
    for column, label, colour, marker in (
        ("within", "within a type", SERIES[0], "o"),
        ("between", "between types", SERIES[1], "s"),
    ):
        plot_by_layer(axes, plain, column, layers, color=colour, marker=marker)
        handles.append(line_handle(colour, label, marker=marker, markersize=3.5))
    known = plain[plain["random_mean"].notna()] if "random_mean" in plain else plain.iloc[:0]
    if len(known):
        plot_by_layer(axes, known, "random_mean", layers, color=GREY, linestyle="--")
        handles.append(line_handle(GREY, "random weights", linestyle="--"))
    layer_axis(axes, layers)
    axes.set_ylabel("mean similarity ($r_s$)", **MATH)
    axes.set_ylim(min(0.0, axes.get_ylim()[0]), axes.get_ylim()[1])
    write_p(axes, plain, layers)
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
        look = {"color": _COLOURS[k % 6], "marker": _SHAPES[k % 6]}
        shift = (k - (len(controls) - 1) / 2) * 0.09
        plot_by_layer(axes, some, "difference", layers, **look, shift=shift, p="p")
        label = _CONTROLS.get(control, control)
        handles.append(marker_handle(look["color"], label, look["marker"]))
    layer_axis(axes, layers)
    axes.set_ylabel("within minus between")
    return handles
