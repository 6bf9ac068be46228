"""Figures 7 and S1: rankings by small models beside those by the bank's networks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.transforms import offset_copy

from taskrsa.errors import DataError
from taskrsa.figures.checks import need_columns, need_once
from taskrsa.figures.marks import draw_whiskers, pale, write_beside
from taskrsa.figures.sheet import (
    COLUMN_WIDTH,
    EDGE,
    PAGE_WIDTH,
    Drawn,
    Sheet,
    colour_ticks,
    keys_height,
    line_handle,
    marker_handle,
    round_ticks,
    text_width,
    type_handles,
)
from taskrsa.figures.style import GREY, INK, MATH, NORMAL, SMALL, ModelStyle, figure, network_styles
from taskrsa.text import number

SIGNIFICANT = 0.05
_HATCH = "//////"
_INTERVALS = ["small_low", "small_high", "bank_low", "bank_high"]
_SIMILARITY = "similarity ($r_s$)"


# --- Figure 7 ---

_HEAD, _FOOT, _BETWEEN = 0.4, 0.32, 0.16  # inches above, below and between the panels of a task


@figure(
    name="figure7",
    title="Figure 7",
    caption="Figure 7 of the paper. Similarity of the bank's network and of the small model of two "
    "tasks to every network of the bank, with bootstrap intervals over images (published mean "
    "correlation of the rankings over 14 tasks: Pearson 0.84, Spearman 0.85). Stars: related at a "
    "false-discovery rate of 5 %.",
    alt="Bars of similarity to every network: two small models beside two networks of the bank.",
    category="Small models",
    order=60,
    tables={
        "rankings": "tables/figure7.csv",
        "agreement": "tables/small_vs_bank.csv",
        "networks": "tables/networks.csv",
    },
    needs=("small models",),
    settings=("figure7",),
)
def figure_7(
    rankings: pd.DataFrame,
    agreement: pd.DataFrame,
    networks: pd.DataFrame,
    *,
    figure7: Sequence[str],
) -> Drawn:
    """Draw Figure 7: how similar a task's bank network and small model are to every bank network.

    rankings: columns model (the task), other (the bank network), rs_bank, rs_small and their
    intervals bank_low, bank_high, small_low, small_high; q_small where significance was tested:
    stars mark q < .05. agreement: columns task, own_task ("left out" or "included"), pearson,
    spearman; its correlations of the two rankings are written below the task's name. figure7: the
    tasks drawn, two a row.

    Both panels of a task stand in the order of the bank network's similarities. The task's own
    network is hatched; its bar on the bank's side is 1 by definition and runs beyond the axis.
    One column wide for one task, else as wide as the page.
    """
    _check(rankings)
    for task in figure7:
        if task not in set(rankings["model"]):
            raise DataError(f"rankings table has no model {task}; choose tasks that it has")
    rankings = rankings[rankings["model"].isin(figure7)]
    lines = _agreement_lines(agreement, figure7)
    styles = network_styles([*rankings["model"], *rankings["other"]], networks)
    drawn = {name: styles[name] for name in styles if name in set(rankings["other"])}
    marks = [_own_handle(), *_whisker_handles(rankings)]
    if "q_small" in rankings and (rankings["q_small"] < SIGNIFICANT).any():
        marks.append(marker_handle(INK, "q < .05", "*"))
    keys = type_handles(drawn), marks

    columns = min(2, len(figure7))
    rows = -(-len(figure7) // columns)
    label = 0.06 + max(
        text_width(style.label for style in drawn.values()),
        text_width((styles[task].label for task in figure7 if task in drawn), weight="bold"),
    )
    width = PAGE_WIDTH if columns == 2 else COLUMN_WIDTH
    unit, height = width / columns, max(0.5, 0.115 * rankings.groupby("model").size().max())
    panel = (unit - 2 * EDGE - label - _BETWEEN) / 2
    start = EDGE + keys_height(width - 2 * EDGE, *keys) + 0.06
    sheet = Sheet(width, start + rows * (_HEAD + height + _FOOT) + EDGE)
    for place, task in enumerate(figure7):
        row, column = divmod(place, columns)
        left, top = column * unit + EDGE + label, start + row * (_HEAD + height + _FOOT)
        sheet.text(left, top, styles[task].label, color=styles[task].colour, weight="bold")
        note = f"{lines[task]} (own task left out)"
        # The line is longer than one panel: it starts further left where it would be cut.
        end = (column + 1) * unit - EDGE - text_width([note], SMALL)
        sheet.text(min(left, end), top + 0.13, note, fontsize=SMALL)
        panels = [
            sheet.axes(left + side * (panel + _BETWEEN), top + _HEAD, panel, height)
            for side in range(2)
        ]
        _draw_task(*panels, rankings[rankings["model"] == task], styles)
    sheet.keys(EDGE, EDGE, *keys)
    return Drawn(sheet.figure, rankings)


def _draw_task(
    bank: Axes, small: Axes, rows: pd.DataFrame, styles: Mapping[str, ModelStyle]
) -> None:
    """Draw one task's two rankings, in the order of that by its bank network."""
    ranks = {name: i for i, name in enumerate(styles)}
    rows = rows.assign(_rank=rows["other"].map(ranks))
    rows = rows.sort_values(["rs_bank", "_rank"], ascending=[False, True])
    own = (rows["other"] == rows["model"]).to_numpy()
    bars = [styles[name] for name in rows["other"]]
    for axes, what in ((bank, "bank"), (small, "small")):
        values = rows[[f"rs_{what}", f"{what}_low", f"{what}_high"]].to_numpy(dtype=float).T
        axes.set_title(f"{what} model", fontsize=NORMAL, pad=2)
        _draw_bars(axes, values, bars, own, _bar_limits(rows))
        axes.set_yticks([])
        axes.set_xlabel(_SIMILARITY, **MATH)
    bank.set_yticks(np.arange(len(bars)), [bar.label for bar in bars])
    colour_ticks(bank.yaxis, bars)
    for text, mine in zip(bank.get_yticklabels(), own, strict=True):
        text.set_weight("bold" if mine else "normal")
    for y in np.flatnonzero(own):
        write_beside(bank, y, "1")
    if "q_small" in rows:
        _draw_stars(small, rows)


# --- Figure S1 ---


@figure(
    name="figureS1",
    title="Figure S1",
    caption="Figure S1 of the paper. The rankings of Figure 7 for every small model.",
    alt="Bars of similarity to every network, for each small model.",
    category="Small models",
    order=70,
    tables={
        "rankings": "tables/figure7.csv",
        "agreement": "tables/small_vs_bank.csv",
        "networks": "tables/networks.csv",
    },
    needs=("small models",),
)
def figure_s1(rankings: pd.DataFrame, agreement: pd.DataFrame, networks: pd.DataFrame) -> Drawn:
    """Draw Figure S1: Figure 7 for all tasks of the table, one small panel each.

    The tables are those of `figure_7`. Bars are the similarities of the task's bank network to
    every bank network, dots those of its small model; all panels share one axis and one order, that
    of the figures. The bar of the task's own network, 1 by definition, is hatched and runs beyond
    the axis. As wide as the page from five tasks on.
    """
    _check(rankings)
    styles = network_styles([*rankings["other"], *rankings["model"]], networks)
    drawn = {name: styles[name] for name in styles if name in set(rankings["other"])}
    tasks = [name for name in styles if name in set(rankings["model"])]
    lines = _agreement_lines(agreement, tasks)
    marks = [
        Patch(facecolor=pale(GREY, 0.5), label="bank model"),
        marker_handle(GREY, "small model"),
        _own_handle(),
        *_whisker_handles(rankings),
    ]
    keys = type_handles(drawn), marks

    label = text_width((style.label for style in drawn.values()), SMALL) + 0.05
    gap, head, foot = 0.13, 0.3, 0.06
    title = text_width([*lines.values(), *(styles[task].label for task in tasks)], SMALL) + 0.04
    room = PAGE_WIDTH - 2 * EDGE - label + gap
    across = next(k for k in (5, 4, 3, 2, 1) if room / k >= title or k == 1)
    panel = room / across - gap
    shift = max(0.0, title - panel - EDGE)  # titles wider than a panel begin left of it
    columns = min(across, len(tasks))
    rows = -(-len(tasks) // columns)
    height = max(0.5, len(drawn) * (0.11 if len(drawn) <= 20 else 0.09))
    width = max(COLUMN_WIDTH, 2 * EDGE + label + columns * (panel + gap))
    width = min(width, PAGE_WIDTH)
    start = EDGE + keys_height(width - 2 * EDGE, *keys) + 0.06
    sheet = Sheet(width, start + rows * (head + height + foot) + 0.28 + EDGE)
    limits = _bar_limits(rankings)
    for place, task in enumerate(tasks):
        row, column = divmod(place, columns)
        left = EDGE + label + column * (panel + gap)
        top = start + row * (head + height + foot) + head
        axes = sheet.axes(left, top, panel, height)
        _draw_both(axes, rankings[rankings["model"] == task], drawn, limits)
        if column == 0:
            axes.set_yticks(range(len(drawn)), [style.label for style in drawn.values()])
            colour_ticks(axes.yaxis, list(drawn.values()))
        axes.tick_params(labelsize=SMALL)
        if place + columns < len(tasks):
            axes.tick_params(labelbottom=False)
        else:
            axes.set_xlabel(_SIMILARITY, fontsize=SMALL, **MATH)
        look = {"color": styles[task].colour, "weight": "bold", "fontsize": NORMAL}
        sheet.text(left - shift, top - head + 0.04, styles[task].label, **look)
        sheet.text(left - shift, top - 0.03, lines[task], fontsize=SMALL, va="bottom")
    sheet.keys(EDGE, EDGE, *keys)
    return Drawn(sheet.figure, rankings)


def _draw_both(
    axes: Axes,
    rows: pd.DataFrame,
    drawn: Mapping[str, ModelStyle],
    limits: tuple[float, float],
) -> None:
    """Draw one task's ranking by its bank network as bars, that by its small model as dots."""
    places = {name: y for y, name in enumerate(drawn)}
    y = rows["other"].map(places).to_numpy()
    own = (rows["other"] == rows["model"]).to_numpy()
    of = [drawn[name] for name in rows["other"]]
    up, down = y - 0.16, y + 0.24  # the dot stands on the lower edge of its bar
    bank = rows[["rs_bank", "bank_low", "bank_high"]].to_numpy(dtype=float).T
    _draw_bars(axes, bank, of, own, limits, places=up, height=0.5, whiteness=0.5)
    small = rows[["rs_small", "small_low", "small_high"]].to_numpy(dtype=float).T
    draw_whiskers(axes, *small[1:], down)
    colours = [style.colour for style in of]
    axes.scatter(small[0], down, s=6, c=colours, edgecolors="white", linewidths=0.3, zorder=4)
    axes.set_ylim(len(drawn) - 0.4, -0.6)
    axes.set_yticks([])


# --- Parts ---


def _check(rankings: pd.DataFrame) -> None:
    """Raise DataError where the rankings lack something or say it twice."""
    columns = ["model", "other", "rs_small", "rs_bank"]
    need_columns(rankings, columns, "rankings", may_be_empty=_INTERVALS)
    need_once(rankings, "rankings", "model", "other")


def _agreement_lines(agreement: pd.DataFrame, tasks: Sequence[str]) -> dict[str, str]:
    """Return the correlations of each task's two rankings in words."""
    need_columns(agreement, ["task", "own_task"], "agreement", may_be_empty=["pearson", "spearman"])
    rows = agreement[agreement["own_task"] == "left out"].drop_duplicates("task").set_index("task")
    lines = {}
    for task in tasks:
        if task not in rows.index:
            raise DataError(
                f"agreement table has no row of task {task} with own_task left out; "
                f"make both tables together"
            )
        pearson, spearman = (
            number(rows.loc[task, name], leading_zero=False, unknown="\N{EN DASH}")
            for name in ("pearson", "spearman")
        )
        lines[task] = f"Pearson {pearson}, Spearman {spearman}"
    return lines


def _bar_limits(rows: pd.DataFrame) -> tuple[float, float]:
    """Return one axis for bank and small models; the bank's 1 for the own task is left out."""
    own = (rows["other"] == rows["model"]).to_numpy()
    small = rows[["rs_small", "small_low", "small_high"]].to_numpy(dtype=float)
    bank = rows[["rs_bank", "bank_low", "bank_high"]].to_numpy(dtype=float)[~own]
    values = np.concatenate([np.zeros(1), small.ravel(), bank.ravel()])
    values = values[np.isfinite(values)]
    low, high = float(values.min()), float(values.max())
    span = max(high - low, 0.05)
    return low - 0.04 * span * (low < 0), min(max(high, low + span) + 0.04 * span, 1.02)


def _draw_bars(
    axes: Axes,
    values: np.ndarray,
    styles: Sequence[ModelStyle],
    own: np.ndarray,
    limits: tuple[float, float],
    *,
    places: np.ndarray | None = None,
    height: float = 0.68,
    whiteness: float = 0.0,
) -> None:
    """Draw horizontal bars with their intervals, first on top; that of the own task is hatched.

    values: (3, n), the values and the ends of their intervals; places: the bars' positions, 0, 1,
    ... by default; whiteness: share of white in their colours.
    """
    places = np.arange(len(styles)) if places is None else places
    both = list(zip([style.colour for style in styles], own, strict=True))
    faces = ["white" if mine else pale(colour, whiteness) for colour, mine in both]
    edges = [colour if mine else "none" for colour, mine in both]
    bars = axes.barh(places, values[0], height=height, color=faces, edgecolor=edges, linewidth=0.5)
    for bar, mine in zip(bars, own, strict=True):
        if mine:
            bar.set_hatch(_HATCH)
    draw_whiskers(axes, *values[1:], places)
    axes.axvline(0, color=INK, linewidth=0.6)
    axes.set_xlim(*limits)
    axes.set_ylim(len(styles) - 0.45, -0.55)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    round_ticks(axes.xaxis, 5)


def _draw_stars(axes: Axes, rows: pd.DataFrame) -> None:
    """Put a star beyond the bar and interval of every row with q < .05."""
    ends = rows[["rs_small", "small_low", "small_high"]].to_numpy(dtype=float)
    ends = np.where(np.isfinite(ends), ends, 0.0).max(axis=1)
    chosen = np.flatnonzero(rows["q_small"].to_numpy(dtype=float) < SIGNIFICANT)
    beside = offset_copy(axes.transData, axes.figure, x=3.5, units="points")
    stars = {"linestyle": "", "marker": "*", "markersize": 3.6, "markeredgewidth": 0}
    axes.plot(
        np.maximum(ends, 0.0)[chosen], chosen, color=INK, transform=beside, clip_on=False, **stars
    )


def _own_handle() -> Patch:
    return Patch(facecolor="white", edgecolor=INK, hatch=_HATCH, linewidth=0.5, label="own network")


def _whisker_handles(rankings: pd.DataFrame) -> list[Line2D]:
    """Return the legend handle of the intervals, if the table has any."""
    if rankings[_INTERVALS].isna().all(axis=None):
        return []
    return [line_handle(INK, "95 % interval", 0.7)]
