"""Similarity of every layer of the networks to a row of the table that stands for a target."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from taskrsa.figures.files import need_columns
from taskrsa.figures.marks import draw_whiskers, pale, write_beside
from taskrsa.figures.sheet import (
    COLUMN_WIDTH,
    EDGE,
    Drawn,
    keyed_sheet,
    line_handle,
    marker_handle,
    name_ticks,
    pale_rules,
    round_ticks,
    rows_axis,
    text_width,
    type_handles,
)
from taskrsa.figures.style import (
    GREY,
    INK,
    MATH,
    PALE,
    SMALL,
    SYMBOLS,
    ModelStyle,
    figure,
    layer_label,
    network_styles,
)

_PALEST = 0.8  # share of white in the mark of the first layer


@figure(
    name="layers",
    title="Similarity by layer",
    caption="Similarity of every layer of the networks to the target, the first layer palest, with "
    "the 95 % interval over images of each network's most similar layer, which is named. The noise "
    "ceiling says how high the similarity of a model can be, given that the subjects differ.",
    alt="Points of every layer's similarity to the target, one row a network, and a noise ceiling.",
    category="Target",
    order=115,
    tables={"similarity": "targets/{target}/layers.csv", "networks": "tables/networks.csv"},
    needs=("row",),
    settings=("layers", "compare"),
)
def figure_layers(
    similarity: pd.DataFrame, networks: pd.DataFrame, *, layers: list[str], compare: str
) -> Drawn:
    """Draw the similarity of layers to what stands for a target, one row a network.

    similarity: columns model, layer, rs, ci_low, ci_high, ceiling_low, ceiling_high (the last four
    may be empty). layers: from input to output. The network with the most similar layer is on top.
    One column wide.
    """
    columns = ["ci_low", "ci_high", "ceiling_low", "ceiling_high"]
    need_columns(
        similarity, ["model", "layer", "rs"], "layers", may_be_empty=columns,
        once=["model", "layer"],
    )  # fmt: skip
    best = similarity.sort_values("rs", ascending=False, kind="stable").drop_duplicates("model")
    styles = network_styles(similarity["model"], networks)
    rows = [styles[name] for name in best["model"]]
    notes = [layer_label(layer) for layer in best["layer"]]
    ceiling = similarity[["ceiling_low", "ceiling_high"]].iloc[0]

    label, note = text_width(row.label for row in rows) + 0.06, text_width(notes, SMALL) + 0.06
    marks = [marker_handle(pale(GREY, _PALEST), "first layer"), marker_handle(GREY, "last layer")]
    marks.append(line_handle(INK, "95 % interval", 0.7))
    if ceiling.notna().all():
        marks.append(line_handle(PALE, "noise ceiling", 4))
    height = max(0.5, 0.135 * len(rows))
    sheet, top = keyed_sheet(COLUMN_WIDTH, (type_handles(styles), marks), height, 0.34)
    axes = sheet.axes(EDGE + label, top, COLUMN_WIDTH - 2 * EDGE - label - note, height)
    if ceiling.notna().all():
        axes.axvspan(*ceiling, color=PALE, linewidth=0, zorder=0)
    for y, (name, row) in enumerate(zip(best["model"], rows, strict=True)):
        _draw_layers(axes, y, similarity[similarity["model"] == name], row, layers)
    draw_whiskers(axes, *best[["ci_low", "ci_high"]].to_numpy(dtype=float).T, np.arange(len(rows)))
    axes.axvline(0, color=INK, linewidth=0.6)
    rows_axis(axes, len(rows), low=0.6, high=0.4)
    pale_rules(axes, len(rows))
    name_ticks(axes.yaxis, rows)
    round_ticks(axes.xaxis, 5)
    axes.set_xlabel(f"similarity to the target ({SYMBOLS[compare]})", **MATH)
    for y, text in enumerate(notes):
        write_beside(axes, y, text)
    return Drawn(sheet.figure, similarity)


def _draw_layers(
    axes: Axes, y: int, rows: pd.DataFrame, style: ModelStyle, layers: list[str]
) -> None:
    """Draw the layers of one network, from pale to its colour."""
    last = max(1, len(layers) - 1)
    place = rows["layer"].map({layer: at / last for at, layer in enumerate(layers)})
    colours = [pale(style.colour, _PALEST * (1 - share)) for share in place]
    options = {"marker": style.marker, "s": 11, "edgecolors": style.colour, "linewidths": 0.4}
    axes.scatter(rows["rs"], [y] * len(rows), c=colours, zorder=4, **options)
