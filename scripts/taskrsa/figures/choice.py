"""What is gained by fine-tuning the network that similarity puts first."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from taskrsa.errors import DataError
from taskrsa.figures.checks import need_columns, need_once
from taskrsa.figures.marks import write_beside
from taskrsa.figures.sheet import (
    COLUMN_WIDTH,
    EDGE,
    Drawn,
    Sheet,
    keys_height,
    padded,
    pale_rules,
    round_ticks,
    rows_axis,
    text_width,
    type_handles,
)
from taskrsa.figures.style import GREY, INK, SMALL, ModelStyle, figure, network_styles
from taskrsa.text import estimate, metric_name, number

_ROLES = {
    "best": "best",
    "choice": "first by similarity",
    "same_task": "of the same task",
    "mean": "mean of all",
    "worst": "worst",
    "random": "random, bank encoder",
    "random_small": "random, small encoder",
}
_DIFFERENCES = {"regret": "best minus choice", "gain_over_mean": "choice minus mean of all"}
_NETWORKS = ("best", "choice", "same_task", "worst")  # the roles of networks of the bank
_LINE = 0.13  # inches from one line of text to the next


@figure(
    name="choice",
    title="What choosing gains",
    caption="What choosing the most similar network gains: its score after fine-tuning beside the "
    "best, the worst, the mean, the network of the same task and random initialisation.",
    alt="Score of the first choice beside other ways to choose.",
    category="Target",
    order=125,
    tables={
        "choice": "targets/{target}/choice.csv",
        "scores": "targets/{target}/scores.csv",
        "networks": "tables/networks.csv",
    },
    needs=("fine-tuning",),
)
def figure_choice(choice: pd.DataFrame, scores: pd.DataFrame, networks: pd.DataFrame) -> Drawn:
    """Draw the score of the network that similarity puts first beside other choices.

    choice: columns statistic, model, value, low, high (may be empty). Those of its statistics that
    `_ROLES` names are drawn, the highest on top; "regret" and "gain_over_mean" are written above.
    The choice is filled, others are hollow; the names of the networks stand at the right. scores:
    its column metric says what the scores are. One column wide.
    """
    need_columns(choice, ["statistic", "value"], "choice", may_be_empty=["model", "low", "high"])
    need_columns(scores, ["metric"], "scores")
    need_once(choice, "choice", "statistic")
    rows = choice.set_index("statistic")
    if "choice" not in rows.index:
        raise DataError("choice table has no row of statistic choice; make the table again")
    notes = [
        f"{words} {estimate(*_values(rows.loc[name]), 3, leading_zero=False)}"
        for name, words in _DIFFERENCES.items()
        if name in rows.index
    ]
    rows = rows.loc[[name for name in _ROLES if name in rows.index]]
    rows = rows.sort_values("value", ascending=False, kind="stable")
    styles = network_styles(rows["model"][rows.index.isin(_NETWORKS)], networks)
    named = {role: styles[rows.loc[role, "model"]] for role in rows.index if role in _NETWORKS}
    words = [
        number(row.value, 3, leading_zero=False)
        + (f" {named[row.Index].label}" if row.Index in named else "")
        for row in rows.itertuples()
    ]

    roles = [_ROLES[name] for name in rows.index]
    label, beside = text_width(roles) + 0.08, text_width(words, SMALL) + 0.07
    types = type_handles(styles)
    key = EDGE + _LINE * len(notes)
    top = key + keys_height(COLUMN_WIDTH - 2 * EDGE, types) + 0.06
    height = 0.17 * len(rows)
    sheet = Sheet(COLUMN_WIDTH, top + height + 0.34)
    axes = sheet.axes(EDGE + label, top, COLUMN_WIDTH - 2 * EDGE - label - beside, height)
    _draw_choices(axes, rows, named)
    for y, (role, text) in enumerate(zip(rows.index, words, strict=True)):
        write_beside(axes, y, text, color=named[role].colour if role in named else INK)
    pale_rules(axes, len(rows))
    rows_axis(axes, roles)
    for text, role in zip(axes.get_yticklabels(), rows.index, strict=True):
        text.set_weight("bold" if role == "choice" else "normal")
    round_ticks(axes.xaxis, 3)
    axes.set_xlabel(f"{metric_name(scores['metric'].iloc[0])} after fine-tuning")
    for k, note in enumerate(notes):
        sheet.text(EDGE, EDGE - 0.01 + _LINE * k, note)
    sheet.keys(EDGE, key + 0.01, types)
    return Drawn(sheet.figure, choice)


def _draw_choices(axes: Axes, rows: pd.DataFrame, named: Mapping[str, ModelStyle]) -> None:
    """Draw the values of choices with their intervals, the highest on top."""
    low, high = rows[["low", "high"]].to_numpy(dtype=float).T
    known = np.isfinite(low) & np.isfinite(high)
    for y, row in enumerate(rows.itertuples()):
        style = named.get(row.Index)
        colour = style.colour if style else GREY
        if known[y]:
            axes.hlines(y, low[y], high[y], color=colour, linewidth=1.0)
        face = colour if row.Index == "choice" else "white"
        options = {"color": colour, "markerfacecolor": face, "markersize": 4.2, "zorder": 4}
        axes.plot(row.value, y, style.marker if style else "o", **options)
    axes.set_xlim(*padded(np.concatenate([rows["value"], low[known], high[known]])))


def _values(row: pd.Series) -> tuple[float, float, float]:
    return row["value"], row["low"], row["high"]
