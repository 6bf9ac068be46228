"""The ranking of networks for a target: Figure 8 of the paper."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from taskrsa.figures.checks import need_columns, need_once
from taskrsa.figures.marks import draw_whiskers
from taskrsa.figures.sheet import (
    COLUMN_WIDTH,
    EDGE,
    Drawn,
    Sheet,
    colour_ticks,
    keys_height,
    line_handle,
    round_ticks,
    rows_axis,
    text_width,
    type_handles,
)
from taskrsa.figures.style import INK, MATH, SMALL, figure, network_styles

_STARS = "* q < .05   ** q < .01   *** q < .001"


@figure(
    name="ranking",
    title="Ranking (Figure 8)",
    caption="Figure 8 of the paper for this target. Similarity of every network to the target's "
    "small models, or to the network that stands for the target, with bootstrap intervals over "
    "images; stars from a randomisation of condition labels, the false-discovery rate controlled "
    "over the networks (q < .05, .01, .001).",
    alt="Bars of every network's similarity to the target.",
    category="Target",
    order=110,
    tables={"ranking": "targets/{target}/ranking.csv", "networks": "tables/networks.csv"},
)
def figure_ranking(ranking: pd.DataFrame, networks: pd.DataFrame) -> Drawn:
    """Draw Figure 8: how similar each network is to what stands for the target.

    ranking: columns model, rs, ci_low, ci_high, stars (may be empty). Most similar on top; bars in
    the colours of the types, intervals as lines, stars beyond them. One column wide.
    """
    need_columns(ranking, ["model", "rs"], "ranking", may_be_empty=["ci_low", "ci_high", "stars"])
    need_once(ranking, "ranking", "model")
    styles = network_styles(ranking["model"], networks)
    place = {name: i for i, name in enumerate(styles)}
    rows = ranking.assign(_place=ranking["model"].map(place))
    rows = rows.sort_values(["rs", "_place"], ascending=[False, True])
    bars = [styles[name] for name in rows["model"]]
    stars = [text if isinstance(text, str) else "" for text in rows["stars"]]
    intervals = [line_handle(INK, "95 % interval", 0.7)] * bool(rows["ci_low"].notna().any())
    keys = type_handles(styles), intervals

    label = text_width(bar.label for bar in bars) + 0.06
    star = text_width(stars) + 0.05 if any(stars) else 0.0
    key = EDGE + keys_height(COLUMN_WIDTH - 2 * EDGE, *keys)
    top, height = key + 0.14 * any(map(bool, stars)) + 0.06, max(0.5, 0.115 * len(bars))
    sheet = Sheet(COLUMN_WIDTH, top + height + 0.34)
    axes = sheet.axes(EDGE + label, top, COLUMN_WIDTH - 2 * EDGE - label - star, height)
    colours = [bar.colour for bar in bars]
    axes.barh(range(len(bars)), rows["rs"], height=0.68, color=colours, linewidth=0)
    rows_axis(axes, [bar.label for bar in bars])
    colour_ticks(axes.yaxis, bars)
    _draw_intervals(axes, *rows[["rs", "ci_low", "ci_high"]].to_numpy(dtype=float).T, stars)
    round_ticks(axes.xaxis, 5)
    axes.set_xlabel("similarity to the target ($r_s$)", **MATH)
    sheet.keys(EDGE, EDGE, *keys)
    if any(stars):
        sheet.text(EDGE, key, _STARS, fontsize=SMALL)
    return Drawn(sheet.figure, ranking)


def _draw_intervals(
    axes: Axes, rs: np.ndarray, low: np.ndarray, high: np.ndarray, stars: list[str]
) -> None:
    """Draw the intervals of bars, and beyond them their stars."""
    known = np.isfinite(low) & np.isfinite(high)
    draw_whiskers(axes, low, high, np.arange(len(rs)))
    axes.axvline(0, color=INK, linewidth=0.6)
    drawn = np.concatenate([[0.0], rs, low[known], high[known]])
    span = max(np.ptp(drawn), 0.05)
    axes.set_xlim(drawn.min() - 0.04 * span * (drawn.min() < 0), drawn.max() + 0.03 * span)
    ends = np.maximum(np.where(known, np.maximum(rs, high), rs), 0.0)
    for row, (end, text) in enumerate(zip(ends, stars, strict=True)):
        if text:
            # An asterisk sits high in its line: a little lower, it is level with its bar.
            options = {"xytext": (2, -1.6), "textcoords": "offset points", "va": "center"}
            axes.annotate(text, (end, row), **options)
