"""Figures 7, S1 and S3: small models beside the bank's networks of the same tasks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.patches import Patch
from matplotlib.transforms import offset_copy

from taskrsa.analysis.tables import similarity_square
from taskrsa.errors import DataError
from taskrsa.figures.files import need_columns
from taskrsa.figures.marks import (
    UNKNOWN,
    agreement_words,
    correlations,
    draw_pairs,
    draw_untrained,
    draw_whiskers,
    pair_handles,
    pale,
    untrained_handle,
    write_beside,
)
from taskrsa.figures.matrices import STRIP, colour_limits, draw_matrix
from taskrsa.figures.sheet import (
    COLUMN_WIDTH,
    EDGE,
    PAGE_WIDTH,
    Drawn,
    Sheet,
    keyed_sheet,
    keys_height,
    line_handle,
    marker_handle,
    name_ticks,
    round_ticks,
    rows_axis,
    text_width,
    type_handles,
)
from taskrsa.figures.style import GREY, INK, MATH, NORMAL, SMALL, ModelStyle, figure, network_styles

SIGNIFICANT = 0.05
_HATCH = "//////"
_SMALL = ["rs_small", "small_low", "small_high"]
_BANK = ["rs_bank", "bank_low", "bank_high"]
_UNTRAINED = ["untrained_mean", "untrained_low", "untrained_high"]
_SIMILARITY = "similarity ($r_s$)"


# --- Figure 7 ---


@figure(
    name="figure7",
    title="Figure 7",
    caption="Figure 7 of the paper. Similarity of the bank's network and of the small model of two "
    "tasks to every network of the bank, with bootstrap intervals over images (published mean "
    "correlation of the rankings over 14 tasks: Pearson 0.84, Spearman 0.85). Band, broken line: "
    "untrained networks of the same design, if the run has any. Stars, at a false-discovery rate "
    "of 5 %: more alike than another untrained network would be; without such networks, having "
    "anything in common (randomised labels).",
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
    stars mark q < .05, of q_untrained_small where there are untrained networks, whose mean and
    range are a band (untrained_mean_small and the like). agreement: columns task, own_task ("left
    out" or "included"), pearson, spearman; its correlations of the two rankings are written below
    the task's name. figure7: the tasks drawn, two a row.

    Both panels of a task stand in the order of the bank network's similarities. The task's own
    network is hatched; its bar on the bank's side is 1 by definition and runs beyond the axis.
    One column wide for one task, else as wide as the page.
    """
    rankings, lines, styles, drawn, marks = _parts(rankings, agreement, networks, figure7)
    for task in figure7:
        if task not in lines:
            raise DataError(f"rankings table has no model {task}; choose tasks that it has")
    tested, is_beside = _tested(rankings)
    if tested in rankings and (rankings[tested] < SIGNIFICANT).any():
        words = "more alike than untrained, q < .05" if is_beside else "q < .05"
        marks.append(marker_handle(INK, words, "*"))
    marks += [untrained_handle()] * is_beside

    columns = min(2, len(figure7))
    rows = -(-len(figure7) // columns)
    label = 0.06 + max(
        text_width(style.label for style in drawn.values()),
        text_width((styles[task].label for task in figure7 if task in drawn), weight="bold"),
    )
    width = PAGE_WIDTH if columns == 2 else COLUMN_WIDTH
    head, foot, between = 0.4, 0.32, 0.16  # inches above, below and between a task's panels
    unit, height = width / columns, max(0.5, 0.115 * rankings.groupby("model").size().max())
    panel = (unit - 2 * EDGE - label - between) / 2
    keys = type_handles(drawn), marks
    sheet, start = keyed_sheet(width, keys, rows * (head + height + foot), EDGE)
    for place, task in enumerate(figure7):
        row, column = divmod(place, columns)
        left, top = column * unit + EDGE + label, start + row * (head + height + foot)
        sheet.text(left, top, styles[task].label, color=styles[task].colour, weight="bold")
        note = f"{lines[task]} (own task left out)"
        # The line is longer than one panel: it starts further left where it would be cut.
        end = (column + 1) * unit - EDGE - text_width([note], SMALL)
        sheet.text(min(left, end), top + 0.13, note, fontsize=SMALL)
        panels = [
            sheet.axes(left + side * (panel + between), top + head, panel, height)
            for side in range(2)
        ]
        _draw_task(*panels, rankings[rankings["model"] == task], styles)
    return Drawn(sheet.figure, rankings)


def _draw_task(
    bank: Axes, small: Axes, rows: pd.DataFrame, styles: Mapping[str, ModelStyle]
) -> None:
    """Draw one task's two rankings, in the order of that by its bank network."""
    rows = rows.sort_values("other", key=lambda names: names.map(list(styles).index))
    rows = rows.sort_values("rs_bank", ascending=False, kind="stable")
    own = (rows["other"] == rows["model"]).to_numpy()
    bars = [styles[name] for name in rows["other"]]
    for axes, what, columns in ((bank, "bank", _BANK), (small, "small", _SMALL)):
        axes.set_title(f"{what} model", fontsize=NORMAL, pad=2)
        _draw_bars(axes, rows[columns], bars, own, _bar_limits(rows))
        draw_untrained(axes, rows.reindex(columns=[f"{name}_{what}" for name in _UNTRAINED]))
        axes.set_xlabel(_SIMILARITY, **MATH)
    name_ticks(bank.yaxis, bars)
    for y in np.flatnonzero(own):
        bank.get_yticklabels()[y].set_weight("bold")
        write_beside(bank, y, "1")
    tested, _ = _tested(rows)
    if tested in rows:
        _draw_stars(small, rows, tested)


def _tested(rankings: pd.DataFrame) -> tuple[str, bool]:
    """Return the column that stars are of, and whether it is of untrained networks."""
    column = "q_untrained_small"
    is_beside = column in rankings and bool(rankings[column].notna().any())
    return (column, True) if is_beside else ("q_small", False)


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
    rankings, lines, styles, drawn, marks = _parts(rankings, agreement, networks)
    marks = [
        Patch(facecolor=pale(GREY, 0.5), label="bank model"),
        marker_handle(GREY, "small model"),
        *marks,
    ]
    tasks = [name for name in styles if name in lines]

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
    keys = type_handles(drawn), marks
    sheet, start = keyed_sheet(width, keys, rows * (head + height + foot), 0.28, EDGE)
    for place, task in enumerate(tasks):
        row, column = divmod(place, columns)
        left = EDGE + label + column * (panel + gap)
        top = start + row * (head + height + foot) + head
        axes = sheet.axes(left, top, panel, height)
        _draw_both(axes, rankings[rankings["model"] == task], drawn, _bar_limits(rankings))
        if column == 0:
            name_ticks(axes.yaxis, drawn.values())
        axes.tick_params(labelsize=SMALL)
        if place + columns < len(tasks):
            axes.tick_params(labelbottom=False)
        else:
            axes.set_xlabel(_SIMILARITY, fontsize=SMALL, **MATH)
        look = {"color": styles[task].colour, "weight": "bold", "fontsize": NORMAL}
        sheet.text(left - shift, top - head + 0.04, styles[task].label, **look)
        sheet.text(left - shift, top - 0.03, lines[task], fontsize=SMALL, va="bottom")
    return Drawn(sheet.figure, rankings)


def _draw_both(
    axes: Axes,
    rows: pd.DataFrame,
    drawn: Mapping[str, ModelStyle],
    limits: tuple[float, float],
) -> None:
    """Draw one task's ranking by its bank network as bars, that by its small model as dots."""
    y = rows["other"].map(list(drawn).index).to_numpy()
    own = (rows["other"] == rows["model"]).to_numpy()
    of = [drawn[name] for name in rows["other"]]
    up, down = y - 0.16, y + 0.24  # the dot stands on the lower edge of its bar
    _draw_bars(axes, rows[_BANK], of, own, limits, places=up, height=0.5, whiteness=0.5)
    small = rows[_SMALL].to_numpy(dtype=float).T
    draw_whiskers(axes, *small[1:], down)
    colours = [style.colour for style in of]
    axes.scatter(small[0], down, s=6, c=colours, edgecolors="white", linewidths=0.3, zorder=4)
    axes.set_ylim(len(drawn) - 0.4, -0.6)


# --- Parts of both ---


def _parts(
    rankings: pd.DataFrame,
    agreement: pd.DataFrame,
    networks: pd.DataFrame,
    tasks: Sequence[str] | None = None,
) -> tuple[pd.DataFrame, dict[str, str], dict[str, ModelStyle], dict[str, ModelStyle], list]:
    """Return the rankings of tasks, by default of all, and what they are drawn with.

    These are the correlations of each task's two rankings in words, the styles of all networks
    and of those ranked, and the handles of what marks the bars.
    """
    ends = [*_SMALL[1:], *_BANK[1:]]
    values = ["model", "other", "rs_small", "rs_bank"]
    need_columns(rankings, values, "rankings", may_be_empty=ends, once=["model", "other"])
    rankings = rankings if tasks is None else rankings[rankings["model"].isin(tasks)]
    lines = _agreement_lines(agreement, rankings["model"].unique())
    styles = network_styles([*rankings["other"], *rankings["model"]], networks)
    drawn = {name: style for name, style in styles.items() if name in set(rankings["other"])}
    look = {"facecolor": "white", "edgecolor": INK, "hatch": _HATCH, "linewidth": 0.5}
    marks: list[Artist] = [Patch(label="own network", **look)]
    if rankings[ends].notna().any(axis=None):
        marks.append(line_handle(INK, "95 % interval", 0.7))
    return rankings, lines, styles, drawn, marks


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
        values = rows.loc[task, ["pearson", "spearman"]]
        lines[task] = ", ".join(correlations(values, leading_zero=False, unknown=UNKNOWN))
    return lines


def _bar_limits(rows: pd.DataFrame) -> tuple[float, float]:
    """Return one axis for bank and small models; the bank's 1 for the own task is left out."""
    others = rows[rows["other"] != rows["model"]]
    values = np.concatenate([[0.0], *rows[_SMALL].to_numpy(), *others[_BANK].to_numpy()])
    low, high = np.nanmin(values), np.nanmax(values)
    span = max(high - low, 0.05)
    return low - 0.04 * span * (low < 0), min(max(high, low + span) + 0.04 * span, 1.02)


def _draw_bars(
    axes: Axes,
    values: pd.DataFrame,
    styles: Sequence[ModelStyle],
    own: np.ndarray,
    limits: tuple[float, float],
    *,
    places: np.ndarray | None = None,
    height: float = 0.68,
    whiteness: float = 0.0,
) -> None:
    """Draw horizontal bars with their intervals, first on top; that of the own task is hatched.

    values: three columns, the values and the ends of their intervals; places: the bars' positions,
    0, 1, ... by default; whiteness: share of white in their colours.
    """
    places = np.arange(len(styles)) if places is None else places
    value, low, high = values.to_numpy(dtype=float).T
    colours = [style.colour for style in styles]
    bars = axes.barh(places, value, height=height, linewidth=0.5, edgecolor="none")
    for bar, colour, mine in zip(bars, colours, own, strict=True):
        bar.set_facecolor("white" if mine else pale(colour, whiteness))
        if mine:
            bar.set(edgecolor=colour, hatch=_HATCH)
    draw_whiskers(axes, low, high, places)
    axes.axvline(0, color=INK, linewidth=0.6)
    axes.set_xlim(*limits)
    rows_axis(axes, len(styles))
    round_ticks(axes.xaxis, 5)


def _draw_stars(axes: Axes, rows: pd.DataFrame, tested: str) -> None:
    """Put a star beyond the bar and interval of every row with q < .05 in the column tested."""
    chosen = np.flatnonzero(rows[tested].to_numpy(dtype=float) < SIGNIFICANT)
    ends = rows[_SMALL].max(axis=1).clip(lower=0).to_numpy()[chosen]
    beside = offset_copy(axes.transData, axes.figure, x=3.5, units="points")
    stars = {"linestyle": "", "marker": "*", "markersize": 3.6, "markeredgewidth": 0}
    axes.plot(ends, chosen, color=INK, transform=beside, clip_on=False, **stars)


# --- Figure S3 ---


@figure(
    name="figureS3",
    title="Figure S3",
    caption="Figure S3 of the paper. Similarity among the small models beside that among the "
    "bank's networks of the same tasks, and their correlation (published: Pearson 0.85, Spearman "
    "0.88).",
    alt="Two matrices of similarities, of small models and of the bank.",
    category="Small models",
    order=80,
    tables={
        "pairs": "tables/small_pairs.csv",
        "agreement": "tables/small_agreement.csv",
        "networks": "tables/networks.csv",
    },
    needs=("small models",),
)
def figure_s3(pairs: pd.DataFrame, agreement: pd.DataFrame, networks: pd.DataFrame) -> Drawn:
    """Draw Figure S3: similarity of (a) small models, (b) bank models, and (c) one against another.

    pairs: columns model_a, model_b, rs_small, rs_bank, each pair of tasks once. agreement: columns
    seeds, pearson, spearman and their intervals pearson_low, ...; its row of seeds "mean" is
    written below (c). The two matrices share one colour scale. Wider than the page beyond about 20
    tasks.
    """
    need_columns(pairs, ["model_a", "model_b", "rs_small", "rs_bank"], "pairs")
    matrices = [
        similarity_square(pairs.rename(columns={column: "rs"}), name="pairs table")
        for column in ("rs_small", "rs_bank")
    ]
    styles = network_styles([*pairs["model_a"], *pairs["model_b"]], networks)
    look = {"leading_zero": False, "unknown": UNKNOWN}
    words = "\n".join(agreement_words(agreement, {"seeds": "mean"}, "seeds mean", **look))

    head, gap, bar, axis = 0.24, 0.17, 0.54, 0.36  # inches
    label = text_width((style.label for style in styles.values()), SMALL) + STRIP + 0.07
    side = max(1.42, len(styles) * 0.0795)
    end = EDGE + label + 2 * side + gap
    start = end + bar + axis
    panel = max(1.4, PAGE_WIDTH - EDGE - start)
    handles = pair_handles(pairs, styles)
    key = 0.29 + keys_height(panel + EDGE, handles)
    sheet = Sheet(start + panel + EDGE, head + side + max(label, key + 0.2) + EDGE)
    for place, title in enumerate(("Small models", "Bank models")):
        left = EDGE + label + place * (side + gap)
        axes = sheet.axes(left, head, side, side)
        named = {"row_labels": place == 0, "fontsize": SMALL}
        draw_matrix(axes, matrices[place], styles, colour_limits(matrices), **named)
        sheet.head(left, title, "ab"[place])
    sheet.colour_bar(axes.collections[0], end + 0.08, head, side, "similarity ($r_s$)")

    sheet.head(start, "Pairs of tasks", "c")
    axes = sheet.axes(start, head, panel, side)
    draw_pairs(axes, pairs, "rs_bank", "rs_small", styles)
    axes.set_xlabel("similarity of the bank models ($r_s$)", **MATH)
    axes.set_ylabel("similarity of the small models ($r_s$)", **MATH)
    for axis in (axes.xaxis, axes.yaxis):
        round_ticks(axis, 5)
    sheet.keys(start, head + side + 0.3, handles, width=panel + EDGE)
    sheet.text(start, head + side + key, words, fontsize=NORMAL, linespacing=1.3)
    return Drawn(sheet.figure, pairs)
