"""How far do the choices of method move the similarities?"""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes

from taskrsa.figures.files import need_columns
from taskrsa.figures.marks import write_beside
from taskrsa.figures.sheet import (
    COLUMN_WIDTH,
    EDGE,
    PAGE_WIDTH,
    Drawn,
    Sheet,
    round_ticks,
    text_width,
)
from taskrsa.figures.style import INK, NORMAL, SERIES, figure, layer_label, layer_order
from taskrsa.text import number

_COLUMNS = ["choice", "layer", "mean_abs_change", "max_abs_change", "spearman"]
_TOP, _GAP = 0.24, 0.16  # inches
_NOTE = ("absolute change of the similarities:", "mean (bar), largest (line); Spearman (number)")


@figure(
    name="presets",
    title="Choices of method",
    caption="How far each choice of method moves the similarities.",
    alt="Change of the similarities by each choice of method.",
    category="Similarity",
    order=170,
    tables={"presets": "tables/presets.csv"},
    needs=("choices",),
)
def figure_presets(presets: pd.DataFrame) -> Drawn:
    """Draw how far each choice of the method moves the entries of the similarity matrix.

    presets: columns choice, layer, mean_abs_change, max_abs_change, spearman (of the entries before
    and after). One panel a layer: bars are mean absolute changes, lines reach to the largest, the
    number is the correlation.
    """
    need_columns(presets, _COLUMNS, "presets")
    layers = layer_order(presets["layer"])
    choices = list(dict.fromkeys(presets["choice"]))
    label = text_width(choices) + 0.12
    height = max(0.4, 0.2 * len(choices))
    room = PAGE_WIDTH - 2 * EDGE - 0.1 - label
    panel = min(1.6, (room - _GAP * (len(layers) - 1)) / len(layers))
    width = PAGE_WIDTH - room + len(layers) * panel + (len(layers) - 1) * _GAP
    if width < COLUMN_WIDTH:
        panel += (COLUMN_WIDTH - width) / len(layers)
        width = COLUMN_WIDTH
    fits = text_width([" ".join(_NOTE)]) + 2 * EDGE < width
    note = [" ".join(_NOTE)] if fits else list(_NOTE)
    sheet = Sheet(width, _TOP + height + 0.28 + 0.12 * len(note))
    sheet.text(EDGE, _TOP - 0.02, "Choice", fontsize=NORMAL, va="bottom", weight="bold")

    reach = float(presets["max_abs_change"].max()) or 1.0
    for place, layer in enumerate(layers):
        axes = sheet.axes(EDGE + label + place * (panel + _GAP), _TOP, panel, height)
        _draw_changes(axes, presets[presets["layer"] == layer], choices)
        # The numbers stand in the last third, which the longest line does not enter.
        axes.set_xlim(0, reach * (1.0 + 0.32 / max(panel - 0.32, 0.3)))
        axes.set_yticks(range(len(choices)), choices if place == 0 else [""] * len(choices))
        axes.tick_params(axis="y", length=0)
        axes.set_title(layer_label(layer).replace(" encoder output", ""), pad=3)
    x = max(EDGE, min(EDGE + label, width - EDGE - text_width(note)))
    sheet.text(x, _TOP + height + 0.2, "\n".join(note), fontsize=NORMAL)
    return Drawn(sheet.figure, presets)


def _draw_changes(axes: Axes, rows: pd.DataFrame, choices: Sequence[str]) -> None:
    """Draw the changes at one layer, a row for each choice."""
    for row in rows.itertuples():
        y, mean, most = choices.index(row.choice), row.mean_abs_change, row.max_abs_change
        axes.plot([mean, most], [y, y], color=INK, linewidth=0.7)
        axes.plot([most], [y], "|", color=INK, markersize=4, markeredgewidth=0.7)
        axes.barh(y, mean, height=0.6, color=SERIES[0])
        write_beside(axes, y, number(row.spearman), points=0, ha="right")
    axes.set_ylim(len(choices) - 0.5, -0.5)
    round_ticks(axes.xaxis, 3)
