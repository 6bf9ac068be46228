"""Figures of transfer: Figure 7 of the paper, its supplement's S1 and S3, and what backs them.

Similarity to small models (sections 5.2 and 6.2), selection of a model to transfer from
(section 6.3), robustness of a ranking (supplement S3), and the measured transfers themselves. All
functions take tables as the workflow writes them (pandas DataFrames) and return a Matplotlib Figure
of printed size. `models` maps models that are not in the task dictionary to (label, type) or
(label, colour); see `style.task_style`. A missing column, task or value raises DataError; an
interval may be empty, and is then not drawn.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator
from matplotlib.transforms import offset_copy

from taskrsa.errors import DataError
from taskrsa.figures.style import (
    COLUMN_WIDTH,
    EDGE,
    GREY,
    INK,
    NORMAL,
    PAGE_WIDTH,
    PALE,
    SERIES,
    SIMILARITY_CMAP,
    SMALL,
    Models,
    ModelStyle,
    add_axes,
    add_text,
    colour_bar,
    colour_ticks,
    legend_at,
    marker_handle,
    need_columns,
    new_figure,
    panel_head,
    styled,
    task_style,
    text_width,
    type_handles,
)
from taskrsa.figures.taxonomy import (
    STRIP,
    colour_limits,
    draw_matrix,
    draw_pairs,
    mark_types,
    name_cells,
    similarity_matrix,
)

PAPER_TASKS = ("keypoint2d", "rgb2sfnorm")  # the two of the paper's Figure 7
HATCH = "//////"
SIGNIFICANT = 0.05


# --- Similarity of small models to the bank: Figures 7 and S1 ---

_INTERVALS = ("small_low", "small_high", "bank_low", "bank_high")


@styled
def figure7(
    rankings: pd.DataFrame,
    tasks: Sequence[str] | None = None,
    *,
    agreement: pd.DataFrame | None = None,
    models: Models = None,
) -> Figure:
    """Draw Figure 7: how similar a task's bank model and small model are to every bank model.

    rankings: columns model (the task), other (the bank model), rs_bank, rs_small and their
    intervals bank_low, bank_high, small_low, small_high; q_small where significance was tested:
    stars mark q < .05. agreement: columns task, own_task ("left out" or "included"), pearson,
    spearman; its correlations of the two rankings are written below the task's name. tasks: those
    to draw, two a row; 2D keypoints and surface normals, or else the first two, by default.

    Both panels of a task stand in the order of the bank model's similarities. The task's own
    network is hatched; its bar on the bank's side is 1 by definition and runs beyond the axis.
    One column wide for one task, else as wide as the page.
    """
    rankings = _check_rankings(rankings)
    present = list(task_style(rankings["model"], models))
    if not tasks:
        tasks = [task for task in PAPER_TASKS if task in present]
        tasks = tasks if len(tasks) == len(PAPER_TASKS) else present[:2]
    for task in tasks:
        if task not in present:
            raise DataError(
                f"rankings table has no model {task}; it has {', '.join(present)}; "
                f"choose tasks among these"
            )
    rankings = rankings[rankings["model"].isin(tasks)]
    lines = _agreement_lines(agreement, tasks)
    styles = task_style([*rankings["model"], *rankings["other"]], models)
    drawn = {name: styles[name] for name in styles if name in set(rankings["other"])}

    columns = min(2, len(tasks))
    rows = -(-len(tasks) // columns)
    n = int(rankings.groupby("model").size().max())
    label = 0.06 + max(
        text_width((styles[name].label for name in drawn), NORMAL),
        text_width((styles[task].label for task in tasks if task in drawn), NORMAL, "bold"),
    )
    width = PAGE_WIDTH if columns == 2 else COLUMN_WIDTH
    unit, gap = width / columns, 0.16
    panel = (unit - 2 * EDGE - label - gap) / 2
    head, height, foot = 0.4, max(0.5, 0.115 * n), 0.32
    start = EDGE + 0.34
    figure = new_figure(width, start + rows * (head + height + foot) + EDGE)
    for place, task in enumerate(tasks):
        row, column = divmod(place, columns)
        left = column * unit + EDGE + label
        top = start + row * (head + height + foot)
        some = rankings[rankings["model"] == task]
        some = some.assign(_rank=some["other"].map({name: i for i, name in enumerate(styles)}))
        some = some.sort_values(["rs_bank", "_rank"], ascending=[False, True])
        own = (some["other"] == task).to_numpy()
        bars = [styles[name] for name in some["other"]]
        limits = _bar_limits([some])
        title = {"color": styles[task].colour, "weight": "bold"}
        add_text(figure, left, top, styles[task].label, **title)
        if lines:
            note = f"{lines[task]} (own task left out)"
            # The line is longer than one panel: it starts further left where it would be cut.
            room = column * unit + unit - EDGE - text_width([note], SMALL)
            add_text(figure, min(left, room), top + 0.13, note, fontsize=SMALL)
        for side, (what, name) in enumerate((("bank", "bank model"), ("small", "small model"))):
            axes = add_axes(figure, left + side * (panel + gap), top + head, panel, height)
            axes.set_title(name, fontsize=NORMAL, pad=2)
            interval = some[f"{what}_low"].to_numpy(), some[f"{what}_high"].to_numpy()
            _draw_bars(axes, some[f"rs_{what}"].to_numpy(), *interval, bars, own, limits)
            axes.set_yticks([])
            if side == 0:
                axes.set_yticks(np.arange(len(bars)), [bar.label for bar in bars])
                colour_ticks(axes.yaxis, bars)
                for text, mine in zip(axes.get_yticklabels(), own, strict=True):
                    text.set_weight("bold" if mine else "normal")
            axes.set_xlabel("similarity ($r_s$)")
            if what == "bank":
                for y in np.flatnonzero(own):
                    _write_beside(axes, y, "1")
            elif "q_small" in some:
                _draw_stars(axes, some)
    marks = [_own_handle("own network"), *_whisker_handles(rankings)]
    if "q_small" in rankings and (rankings["q_small"] < SIGNIFICANT).any():
        marks.append(marker_handle(INK, "q < .05", "*"))
    legend_at(figure, EDGE, EDGE, type_handles(drawn))
    legend_at(figure, EDGE, EDGE + 0.14, marks)
    return figure


@styled
def figure_s1(
    rankings: pd.DataFrame, agreement: pd.DataFrame | None = None, *, models: Models = None
) -> Figure:
    """Draw Figure S1: Figure 7 for all tasks of the table, one small panel each.

    rankings and agreement: as of `figure7`. Bars are the similarities of the task's bank model to
    every bank model, dots those of its small model; all panels share one axis and one order, that
    of the figures. The bar of the task's own network, 1 by definition, is hatched and runs beyond
    the axis. As wide as the page from five tasks on.
    """
    rankings = _check_rankings(rankings)
    styles = task_style([*rankings["other"], *rankings["model"]], models)
    others = set(rankings["other"])
    drawn = {name: style for name, style in styles.items() if name in others}
    tasks = [name for name in styles if name in set(rankings["model"])]
    lines = _agreement_lines(agreement, tasks)
    places = {name: y for y, name in enumerate(drawn)}
    n, bars = len(drawn), list(drawn.values())

    label = text_width((bar.label for bar in bars), SMALL) + 0.05
    gap, head, foot = 0.13, 0.3 if lines else 0.18, 0.06
    note = text_width([*lines.values(), *(styles[task].label for task in tasks)], SMALL) + 0.04
    room = PAGE_WIDTH - 2 * EDGE - label + gap
    across = next(k for k in (5, 4, 3, 2, 1) if room / k >= note or k == 1)
    panel = room / across - gap
    shift = max(0.0, note - panel - EDGE)  # titles wider than a panel begin left of it
    columns = min(across, len(tasks))
    rows = -(-len(tasks) // columns)
    height = max(0.5, n * (0.11 if n <= 20 else 0.09))
    key, axis = 0.34, 0.28
    width = max(COLUMN_WIDTH, 2 * EDGE + label + columns * (panel + gap))
    width = min(width, PAGE_WIDTH)
    figure = new_figure(width, EDGE + key + rows * (head + height + foot) + axis + EDGE)
    limits = _bar_limits([rankings])
    for place, task in enumerate(tasks):
        row, column = divmod(place, columns)
        left = EDGE + label + column * (panel + gap)
        top = EDGE + key + row * (head + height + foot) + head
        axes = add_axes(figure, left, top, panel, height)
        some = rankings[rankings["model"] == task]
        y = some["other"].map(places).to_numpy()
        own = (some["other"] == task).to_numpy()
        of = [styles[name] for name in some["other"]]
        up, down = y - 0.16, y + 0.24  # the dot stands on the lower edge of its bar
        banks = some[["rs_bank", "bank_low", "bank_high"]].to_numpy(dtype=float).T
        _draw_bars(axes, *banks, of, own, limits, places=up, height=0.5, pale=0.5)
        smalls = some[["rs_small", "small_low", "small_high"]].to_numpy(dtype=float).T
        _draw_whiskers(axes, *smalls[1:], down)
        colours = [style.colour for style in of]
        axes.scatter(smalls[0], down, s=6, c=colours, edgecolors="white", linewidths=0.3, zorder=4)
        axes.set_ylim(n - 0.4, -0.6)
        axes.set_yticks([])
        if column == 0:
            axes.set_yticks(range(n), [bar.label for bar in bars])
            colour_ticks(axes.yaxis, bars)
        axes.tick_params(labelsize=SMALL)
        if place + columns < len(tasks):
            axes.tick_params(labelbottom=False)
        else:
            axes.set_xlabel("similarity ($r_s$)", fontsize=SMALL)
        title = {"color": styles[task].colour, "weight": "bold", "fontsize": NORMAL}
        add_text(figure, left - shift, top - head + 0.04, styles[task].label, **title)
        if lines:
            add_text(figure, left - shift, top - 0.03, lines[task], fontsize=SMALL, va="bottom")
    marks = [
        Patch(facecolor=_pale(GREY, 0.5), label="bank model"),
        marker_handle(GREY, "small model"),
        _own_handle("own network"),
        *_whisker_handles(rankings),
    ]
    legend_at(figure, EDGE, EDGE, type_handles(drawn))
    legend_at(figure, EDGE, EDGE + 0.14, marks)
    return figure


def _check_rankings(rankings: pd.DataFrame) -> pd.DataFrame:
    """Return the rankings table; raise DataError where it lacks something or says it twice."""
    columns = ["model", "other", "rs_small", "rs_bank"]
    need_columns(rankings, columns, "rankings", may_be_empty=_INTERVALS)
    twice = rankings.duplicated(["model", "other"])
    if twice.any():
        row = rankings[twice].iloc[0]
        raise DataError(
            f"rankings table has two rows for model {row['model']} and {row['other']}; "
            f"leave one out"
        )
    return rankings


def _agreement_lines(agreement: pd.DataFrame | None, tasks: Sequence[str]) -> dict[str, str]:
    """Return the correlations of each task's two rankings in words; nothing without a table."""
    if agreement is None:
        return {}
    need_columns(agreement, ["task", "own_task"], "agreement", may_be_empty=["pearson", "spearman"])
    rows = agreement[agreement["own_task"] == "left out"].drop_duplicates("task").set_index("task")
    lines = {}
    for task in tasks:
        if task not in rows.index:
            raise DataError(
                f"agreement table has no row of task {task} with own_task left out; "
                f"make both tables together"
            )
        pearson, spearman = rows.loc[task, "pearson"], rows.loc[task, "spearman"]
        lines[task] = f"Pearson {_correlation(pearson)}, Spearman {_correlation(spearman)}"
    return lines


def _correlation(value: float) -> str:
    """Write a correlation as journals do: .84; a dash where there is none."""
    if not np.isfinite(value):
        return "\N{EN DASH}"
    text = f"{round(float(value), 2) + 0.0:.2f}".replace("0.", ".", 1)
    return text.replace("-", "\N{MINUS SIGN}")


def _bar_limits(frames: Sequence[pd.DataFrame]) -> tuple[float, float]:
    """Return one axis for bank and small models; the bank's 1 for the own task is left out."""
    values = [np.zeros(1)]
    for some in frames:
        own = (some["other"] == some["model"]).to_numpy()
        small = some[["rs_small", "small_low", "small_high"]].to_numpy(dtype=float)
        bank = some[["rs_bank", "bank_low", "bank_high"]].to_numpy(dtype=float)[~own]
        values += [small.ravel(), bank.ravel()]
    values = np.concatenate(values)
    values = values[np.isfinite(values)]
    low, high = float(values.min()), float(values.max())
    span = max(high - low, 0.05)
    return low - 0.04 * span * (low < 0), min(max(high, low + span) + 0.04 * span, 1.02)


def _draw_bars(
    axes: Axes,
    values: np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
    styles: Sequence[ModelStyle],
    own: np.ndarray,
    limits: tuple[float, float],
    *,
    places: np.ndarray | None = None,
    height: float = 0.68,
    pale: float = 0.0,
) -> None:
    """Draw horizontal bars with their intervals, first on top; that of the own task is hatched.

    places: the bars' positions, 0, 1, ... by default; pale: share of white in their colours.
    """
    places = np.arange(len(values)) if places is None else places
    both = list(zip([style.colour for style in styles], own, strict=True))
    faces = ["white" if mine else _pale(colour, pale) for colour, mine in both]
    edges = [colour if mine else "none" for colour, mine in both]
    bars = axes.barh(places, values, height=height, color=faces, edgecolor=edges, linewidth=0.5)
    for bar, mine in zip(bars, own, strict=True):
        if mine:
            bar.set_hatch(HATCH)
    _draw_whiskers(axes, low, high, places)
    axes.axvline(0, color=INK, linewidth=0.6)
    axes.set_xlim(*limits)
    axes.set_ylim(len(values) - 0.45, -0.55)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))


def _draw_whiskers(axes: Axes, low: np.ndarray, high: np.ndarray, places: np.ndarray) -> None:
    """Draw intervals as horizontal lines; none where an end is missing."""
    low, high = np.asarray(low, dtype=float), np.asarray(high, dtype=float)
    known = np.isfinite(low) & np.isfinite(high)
    if known.any():
        y = np.asarray(places)[known]
        axes.hlines(y, low[known], high[known], color=INK, linewidth=0.7, zorder=3)


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


def _write_beside(axes: Axes, y: float, text: str) -> None:
    """Write text at the right of the frame, at the height of a row."""
    axes.annotate(
        text,
        (1, y),
        xycoords=("axes fraction", "data"),
        xytext=(2.5, 0),
        textcoords="offset points",
        va="center",
        fontsize=SMALL,
    )


def _pale(colour: str, share: float) -> str:
    """Return a colour with a share of white mixed in."""
    return to_hex([1 - (1 - part) * (1 - share) for part in to_rgb(colour)])


def _own_handle(label: str) -> Patch:
    return Patch(facecolor="white", edgecolor=INK, hatch=HATCH, linewidth=0.5, label=label)


def _whisker_handles(rankings: pd.DataFrame) -> list[Line2D]:
    """Return the legend handle of the intervals, if the table has any."""
    if rankings[list(_INTERVALS)].isna().all(axis=None):
        return []
    return [Line2D([], [], color=INK, linewidth=0.7, label="95 % interval")]


# --- Small models among each other: Figure S3 ---


@styled
def figure_s3(
    pairs: pd.DataFrame, agreement: pd.DataFrame | None = None, *, models: Models = None
) -> Figure:
    """Draw Figure S3: similarity of (a) small models, (b) bank models, and (c) one against another.

    pairs: columns model_a, model_b, rs_small, rs_bank, each pair of tasks once. agreement: columns
    seeds, pearson, spearman and their intervals pearson_low, ...; its row of seeds "mean" is
    written below (c). The two matrices share one colour scale. Wider than the page beyond about 20
    tasks.
    """
    need_columns(pairs, ["model_a", "model_b", "rs_small", "rs_bank"], "pairs")
    pairs = pairs[pairs["model_a"] != pairs["model_b"]]
    need_columns(pairs, ["model_a", "model_b"], "pairs")
    matrices = [
        similarity_matrix(pairs.rename(columns={column: "rs"}).assign(layer=column), column)
        for column in ("rs_small", "rs_bank")
    ]
    styles = task_style([*pairs["model_a"], *pairs["model_b"]], models)
    n = len(styles)

    label = text_width((style.label for style in styles.values()), SMALL) + STRIP + 0.07
    top, gap, bar, axis = 0.24, 0.17, 0.54, 0.36
    side = max(1.42, n * 0.0795)
    start = EDGE + label + 2 * side + gap + bar + axis
    panel = max(1.4, PAGE_WIDTH - EDGE - start)
    below = max(label, 0.72 if agreement is not None else 0.6)
    figure = new_figure(start + panel + EDGE, top + side + below + EDGE)
    limits = colour_limits(matrices)
    for place, (matrix, letter, title) in enumerate(
        zip(matrices, "ab", ("Small models", "Bank models"), strict=True)
    ):
        left = EDGE + label + place * (side + gap)
        axes = add_axes(figure, left, top, side, side)
        draw_matrix(axes, matrix, styles, limits, row_labels=place == 0, fontsize=SMALL)
        panel_head(figure, left, side, letter, title, [])
    mesh = figure.axes[0].collections[0]
    colour_bar(figure, mesh, EDGE + label + 2 * side + gap + 0.08, top, side, "similarity ($r_s$)")

    panel_head(figure, start, panel, "c", "Pairs of tasks", [])
    axes = add_axes(figure, start, top, panel, side)
    handles = draw_pairs(axes, pairs, "rs_bank", "rs_small", styles)
    axes.set_xlabel("similarity of the bank models ($r_s$)")
    axes.set_ylabel("similarity of the small models ($r_s$)")
    for way in (axes.xaxis, axes.yaxis):
        way.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    legend_at(figure, start, top + side + 0.3, handles, panel + EDGE)
    if agreement is not None:
        text = _matrix_agreement(agreement)
        add_text(figure, start, top + side + 0.57, text, fontsize=NORMAL, linespacing=1.3)
    return figure


def _matrix_agreement(agreement: pd.DataFrame) -> str:
    """Return the agreement of the mean over seeds in two lines, each with its interval."""
    need_columns(agreement, ["seeds"], "agreement", may_be_empty=["pearson", "spearman"])
    rows = agreement[agreement["seeds"].astype(str) == "mean"]
    if len(rows) != 1:
        raise DataError(f"agreement table has {len(rows)} rows of seeds mean; it must have one")
    row = rows.iloc[0]
    lines = []
    for key, name in (("pearson", "Pearson"), ("spearman", "Spearman")):
        line = f"{name} {_correlation(row[key])}"
        low, high = row.get(f"{key}_low", np.nan), row.get(f"{key}_high", np.nan)
        if np.isfinite([low, high]).all():
            line += f" [{_correlation(low)}, {_correlation(high)}]"
        lines.append(line)
    return "\n".join(lines)


# --- Which source to transfer from ---

_TOPS = (("top1", "top-1", "o"), ("top3", "top-3", "s"), ("top5", "top-5", "D"))


@styled
def figure_selection(
    selection: pd.DataFrame, *, affinities: str | None = None, models: Models = None
) -> Figure:
    """Draw how well each method finds, for every target, the source that transfers best.

    selection: columns affinities, method, label, target, spearman with spearman_low and _high, and
    in the rows of target "mean" n_targets, top1, top3, top5 with their intervals (counts).
    affinities: which transfers, where the table holds several ("published", "measured").

    (a) Rank correlation of the method's similarities with the transfers: single targets behind,
    their mean with its interval before them. (b) Share of targets whose chosen source is among the
    best one, three and five; the numbers at the right are the counts. Methods stand in the order of
    the table; those without single targets (published means) have hollow marks. The grey band and
    the dotted lines are chance: the row of method "random". As wide as the page.
    """
    tops = [name for name, _, _ in _TOPS]
    ends = [f"{name}_{end}" for name in ["spearman", *tops] for end in ("low", "high")]
    single = ["affinities", "method", "label", "target"]
    need_columns(selection, single, "selection", may_be_empty=["spearman", *ends])
    # Published means are of the published affinities and no measurement of a kind of its own.
    ours = selection[selection["method"] != "published"]
    kinds = list(dict.fromkeys((ours if len(ours) else selection)["affinities"]))
    if affinities is None and len(kinds) == 1:
        affinities = kinds[0]
    if affinities not in kinds:
        raise DataError(
            f"selection table has no affinities {affinities}; it has {', '.join(map(str, kinds))}; "
            f"choose one of these"
        )
    some = selection[selection["affinities"] == affinities]
    means = some[some["target"] == "mean"]
    need_columns(means, ["method", "label", "spearman", "n_targets", *tops], "selection (means)")
    if means["method"].duplicated().any():
        method = means["method"][means["method"].duplicated()].iloc[0]
        raise DataError(f"selection table has two mean rows of method {method}; leave one out")
    targets = some[(some["target"] != "mean") & some["spearman"].notna()]
    styles = task_style(targets["target"], models)
    n = len(means)

    label = text_width(map(str, means["label"])) + 0.08
    counts = [_counts(row) for _, row in means.iterrows()]
    number = text_width(counts, SMALL) + 0.05
    top, pitch, gap = 0.44, 0.25, 0.22
    height = max(0.6, pitch * n)
    panel = (PAGE_WIDTH - 2 * EDGE - label - gap - 0.28 - number) / 2
    figure = new_figure(PAGE_WIDTH, top + height + 0.36)
    chance = means[means["method"] == "random"]

    left = EDGE + label
    axes = add_axes(figure, left, top, panel, height)
    _method_rows(axes, n)
    axes.set_yticks(range(n), list(map(str, means["label"])))
    if len(chance) and np.isfinite(chance[["spearman_low", "spearman_high"]].to_numpy()).all():
        ends = chance["spearman_low"].iloc[0], chance["spearman_high"].iloc[0]
        axes.axvspan(*ends, color=PALE, linewidth=0, zorder=0)
    axes.axvline(0, color=GREY, linewidth=0.6, zorder=0.5)
    spread = dict(zip(styles, np.linspace(-0.33, 0.33, len(styles)), strict=True))
    if len(styles) == 1:
        spread = dict.fromkeys(styles, 0.0)
    rows = {method: y for y, method in enumerate(means["method"])}
    targets = targets[targets["method"].isin(rows)]
    several = set(targets["method"])
    for target, style in styles.items():
        single = targets[targets["target"] == target]
        axes.scatter(
            single["spearman"],
            single["method"].map(rows) + spread[target],
            s=8,
            marker=style.marker,
            color=_pale(style.colour, 0.35),
            linewidths=0,
            zorder=2,
        )
    for y, (_, mean) in enumerate(means.iterrows()):
        _draw_mean(axes, mean, "spearman", y, INK, "D", mean["method"] not in several)
        _write_beside(axes, y, _correlation(mean["spearman"]))
    drawn = np.concatenate([targets["spearman"], means["spearman"], means["spearman_low"], [0.0]])
    axes.set_xlim(max(-1.04, np.nanmin(drawn) - 0.06), 1.04)
    axes.set_xlabel("rank correlation with the measured transfers")
    axes.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    handles = [*type_handles(styles), marker_handle(INK, "mean", "D")]
    panel_head(figure, left, panel + 0.2, "a", "Agreement with transfer, by target", handles)

    start = left + panel + gap + 0.28
    axes = add_axes(figure, start, top, panel, height)
    _method_rows(axes, n)
    axes.set_yticks([])
    handles = []
    for place, (column, name, marker) in enumerate(_TOPS):
        colour = SERIES[place]
        handles.append(marker_handle(colour, name, marker))
        for _, row in chance.iterrows():
            share = row[column] / row["n_targets"]
            axes.axvline(share, color=colour, linewidth=0.8, linestyle=":", zorder=1)
        for y, (_, mean) in enumerate(means.iterrows()):
            shares = mean.copy()
            for end in ("", "_low", "_high"):
                shares[column + end] = mean[column + end] / mean["n_targets"]
            hollow = mean["method"] not in several
            _draw_mean(axes, shares, column, y + 0.24 * (place - 1), colour, marker, hollow)
    for y, text in enumerate(counts):
        _write_beside(axes, y, text)
    axes.set_xlim(-0.03, 1.03)
    axes.set_xlabel("share of targets")
    if len(chance):
        handles.append(Line2D([], [], color=GREY, linewidth=0.8, linestyle=":", label="chance"))
    title = "Chosen source is among the best 1, 3, 5"
    panel_head(figure, start, panel + number, "b", title, handles)
    return figure


def _counts(row: pd.Series) -> str:
    """Write how many targets' chosen sources are among the best: 7, 14, 16 of 17."""
    numbers = [row[name] for name, _, _ in _TOPS]
    words = [f"{v:.0f}" if abs(v - round(v)) < 1e-6 else f"{v:.1f}" for v in numbers]
    return f"{', '.join(words)} of {row['n_targets']:.0f}"


def _method_rows(axes: Axes, n: int) -> None:
    """Set up an axis of methods, first on top, with pale lines between them."""
    for y in range(1, n):
        axes.axhline(y - 0.5, color=PALE, linewidth=0.5, zorder=0)
    axes.set_ylim(n - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)


def _draw_mean(
    axes: Axes, row: pd.Series, column: str, y: float, colour: str, marker: str, hollow: bool
) -> None:
    """Draw one value with its interval, if it has one."""
    low, high = row[f"{column}_low"], row[f"{column}_high"]
    if np.isfinite([low, high]).all():
        axes.hlines(y, low, high, color=colour, linewidth=1.0, zorder=3)
    size = 3.0 if marker == "D" else 3.4
    axes.plot(
        row[column],
        y,
        marker,
        markersize=size,
        color=colour,
        markerfacecolor="white" if hollow else colour,
        markeredgecolor=colour if hollow else "white",
        markeredgewidth=0.7 if hollow else 0.3,
        zorder=4,
        clip_on=False,
    )


# --- Robustness of a ranking: supplement S3 ---

_FACTORS = {
    "images": "images",
    "width": "channels of the small model",
    "stage": "training (%)",
    "seed": "seed",
}
_REFERENCES = {"bank": "the bank", "default small model": "the default small model"}
_RANKING_AXIS = "rank correlation of the rankings"


@styled
def figure_robustness(table: pd.DataFrame, factor: str, *, models: Models = None) -> Figure:
    """Draw how far a small model's ranking of the bank depends on one factor.

    table: columns factor, value, task, draw, reference, spearman. Rows of task "mean" are means
    over tasks: one a draw, or one in all (draw empty); rows of a task with an empty draw are its
    mean over draws. factor: "images", "width", "stage", whose values are numbers, or "seed".

    Of numbers: one line a reference, the mean over draws, with the central 95 % of the draws as a
    band; thin lines are single tasks against the first reference; one column wide. Of seeds: for
    every task its pairs of seeds as dots and the seeds against the bank as hollow ones; as wide as
    the page from seven tasks on.
    """
    columns = ["factor", "value", "task", "reference", "spearman"]
    need_columns(table, columns[:1], "robustness")
    some = table[table["factor"] == factor]
    if some.empty:
        found = ", ".join(dict.fromkeys(map(str, table["factor"])))
        raise DataError(f"robustness table has no factor {factor}; it has {found}")
    need_columns(some, columns, "robustness", may_be_empty=["draw"])
    if factor == "seed":
        return _seeds(some, models)
    value = pd.to_numeric(some["value"], errors="coerce")
    if value.isna().any():
        wrong = some["value"][value.isna()].iloc[0]
        raise DataError(f"robustness table: value {wrong} of {factor} is no number; mend that row")
    some = some.assign(value=value, _single=~_empty(some["draw"]))
    references = list(dict.fromkeys(some["reference"]))
    tasks = some[(some["task"] != "mean") & (some["reference"] == references[0])]
    means = some[some["task"] == "mean"]
    if means.empty:
        raise DataError(f"robustness table has no row of task mean for factor {factor}; add it")
    styles = task_style(tasks["task"], models)

    left, top, height = 0.42, 0.46 if len(styles) else 0.32, 1.75
    across = COLUMN_WIDTH - left - EDGE - 0.06
    figure = new_figure(COLUMN_WIDTH, top + height + 0.36)
    axes = add_axes(figure, left, top, across, height)
    for task, style in styles.items():
        mine = tasks[tasks["task"] == task]
        mine = mine[~mine["_single"]] if (~mine["_single"]).any() else mine
        line = mine.groupby("value")["spearman"].mean()
        alone = style.marker if len(line) == 1 else "None"
        axes.plot(line.index, line, color=_pale(style.colour, 0.35), linewidth=0.6, marker=alone)
    handles = []
    for place, reference in enumerate(references):
        mine = means[means["reference"] == reference]
        if mine.empty:
            continue
        colour = INK if place == 0 else SERIES[(place - 1) % len(SERIES)]
        marker = ("o", "s", "^", "v", "P")[place % 5]
        draws = mine[mine["_single"]]
        rows = pd.concat([draws, mine[~mine["_single"] & ~mine["value"].isin(draws["value"])]])
        groups = rows.groupby("value")["spearman"]
        line = groups.mean()
        axes.plot(line.index, line, color=colour, marker=marker, markersize=3, zorder=4)
        if (groups.size() > 1).any():
            low, high = groups.quantile(0.025), groups.quantile(0.975)
            axes.fill_between(line.index, low, high, color=colour, alpha=0.18, linewidth=0)
        words = f"against {_REFERENCES.get(reference, reference)}"
        handles.append(
            Line2D([], [], color=colour, marker=marker, markersize=3, label=words, linewidth=1)
        )
    values = np.unique(some["value"])
    if factor == "width" and values.min() > 0:
        axes.set_xscale("log", base=2)
        axes.xaxis.set_major_locator(FixedLocator(values))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g}"))
        axes.set_xlim(values.min() / 1.15, values.max() * 1.15)
    else:
        axes.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 2.5, 5, 10]))
        pad = 0.03 * (np.ptp(values) or 1.0)
        axes.set_xlim(values.min() - pad, values.max() + pad)
    _ranking_limits(axes, some["spearman"])
    axes.set_xlabel(_FACTORS.get(factor, factor))
    axes.set_ylabel(_RANKING_AXIS)
    legend_at(figure, EDGE, EDGE, handles)
    if len(styles):
        thin = Line2D([], [], color=GREY, linewidth=0.6, label="one task")
        legend_at(figure, EDGE, EDGE + 0.14, [*type_handles(styles), thin])
    return figure


def _seeds(some: pd.DataFrame, models: Models) -> Figure:
    """Draw the agreement of rankings between seeds, and with the bank, task by task."""
    rows = some[some["task"] != "mean"]
    if rows.empty:
        raise DataError("robustness table has no row of a single task for factor seed; add them")
    # A mean over draws would stand among the draws it is the mean of.
    single = ~_empty(rows["draw"])
    drawn = rows[single] if single.any() else rows
    styles = task_style(rows["task"], models)
    references = [name for name in dict.fromkeys(drawn["reference"]) if name != "bank"]
    references += ["bank"] * ("bank" in set(drawn["reference"]))
    n, label = len(styles), text_width(s.label for s in styles.values())
    left, top, height = 0.42, 0.34, 1.6
    width = COLUMN_WIDTH if n <= 6 else PAGE_WIDTH
    across = min(width - left - EDGE, 0.75 * n)
    figure = new_figure(width, top + height + label + EDGE + 0.08)
    axes = add_axes(figure, left, top, across, height)
    axes.axhline(0, color=GREY, linewidth=0.5, zorder=0)
    handles = []
    for place, reference in enumerate(references):
        centre = (place - (len(references) - 1) / 2) * 0.36
        hollow = reference == "bank"
        for x, (task, style) in enumerate(styles.items()):
            mine = drawn[(drawn["task"] == task) & (drawn["reference"] == reference)]
            y = np.sort(mine["spearman"].to_numpy(dtype=float))
            beside = np.linspace(-0.1, 0.1, len(y)) if len(y) > 1 else np.zeros(len(y))
            axes.scatter(
                x + centre + beside,
                y,
                s=11,
                marker=style.marker,
                facecolors="none" if hollow else style.colour,
                edgecolors=style.colour,
                linewidths=0.7,
                zorder=3,
                clip_on=False,
            )
            if len(y) > 1:
                ends = x + centre - 0.16, x + centre + 0.16
                axes.hlines(y.mean(), *ends, color=INK, linewidth=0.8, zorder=4)
        handle = marker_handle(INK, f"against {_REFERENCES.get(reference, reference)}")
        handle.set_markerfacecolor("none" if hollow else INK)
        handles.append(handle)
    for x in range(1, n):
        axes.axvline(x - 0.5, color=PALE, linewidth=0.5, zorder=0)
    axes.set_xlim(-0.5, n - 0.5)
    _ranking_limits(axes, drawn["spearman"])
    axes.set_xticks(range(n), [s.label for s in styles.values()], rotation=90)
    axes.tick_params(axis="x", length=0)
    colour_ticks(axes.xaxis, list(styles.values()))
    axes.set_ylabel(_RANKING_AXIS)
    handles.append(Line2D([], [], color=INK, linewidth=0.8, label="mean"))
    legend_at(figure, EDGE, EDGE, handles)
    legend_at(figure, EDGE, EDGE + 0.14, type_handles(styles))
    return figure


def _empty(draw: pd.Series) -> pd.Series:
    """Return where a column of draws is empty, as read from CSV or as made."""
    return draw.isna() | (draw.astype(str).str.strip() == "")


def _ranking_limits(axes: Axes, values: pd.Series) -> None:
    """End the axis of correlations at 1, and begin it a little below the least of them."""
    low = min(float(values.min()), 0.95)
    axes.set_ylim(low - 0.05 * (1 - low), 1 + 0.03 * (1 - low))
    axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))


# --- Measured transfers ---


@styled
def figure_affinity(affinity: pd.DataFrame, *, models: Models = None) -> Figure:
    """Draw the transfer affinities: sources as rows, targets as columns.

    affinity: columns source, target, affinity (higher is better); a pair may be absent and is then
    grey. Columns differ in level, so that a cell's colour is its distance from the mean of its
    column in standard deviations, both of the column's other sources; beyond 3 it is cut. The
    target's own network is outlined; a dot marks the best of the other sources. A column of one
    value only stays grey. One column wide up to 20 targets.
    """
    need_columns(affinity, ["source", "target", "affinity"], "affinity")
    twice = affinity.duplicated(["source", "target"])
    if twice.any():
        row = affinity[twice].iloc[0]
        raise DataError(
            f"affinity table has two values for source {row['source']} and target "
            f"{row['target']}; leave one out"
        )
    styles = task_style([*affinity["source"], *affinity["target"]], models)
    table = affinity.pivot(index="source", columns="target", values="affinity")
    table = table.reindex(
        index=[name for name in styles if name in table.index],
        columns=[name for name in styles if name in table.columns],
    )
    scores, best = _column_scores(table)
    rows, columns = [styles[name] for name in table.index], [styles[name] for name in table.columns]
    m, t = table.shape

    row_label = text_width((style.label for style in rows), SMALL) + STRIP + 0.07
    column_label = text_width((style.label for style in columns), SMALL) + STRIP + 0.07
    top, bar = 0.36, 0.5
    across = max(COLUMN_WIDTH - 2 * EDGE - row_label - bar, 0.0795 * t)
    words = "transfer within its column (s.d.)"
    down = max(text_width([words]), 0.092 * m)
    left = EDGE + row_label
    figure = new_figure(left + across + bar + EDGE, top + down + column_label + EDGE)
    axes = add_axes(figure, left, top, across, down)
    axes.set_facecolor(PALE)
    own = table.index.to_numpy()[:, None] == table.columns.to_numpy()
    reach = np.abs(np.where(np.isfinite(scores) & ~own, scores, 0.0)).max()
    limit = float(min(3.0, max(0.5, np.ceil(2 * reach) / 2)))
    mesh = axes.pcolormesh(
        np.ma.masked_invalid(scores),
        cmap=SIMILARITY_CMAP,
        vmin=-limit,
        vmax=limit,
        edgecolors="white",
        linewidth=0.25,
    )
    mark_types(axes, rows, columns)
    for column, name in enumerate(table.columns):
        if name in table.index:
            corner = column + 0.12, table.index.get_loc(name) + 0.12
            # White below the ink: one of the two shows on every colour.
            for colour, line in (("white", 1.6), (INK, 0.7)):
                box = {"facecolor": "none", "edgecolor": colour, "linewidth": line, "zorder": 3}
                axes.add_patch(Rectangle(corner, 0.76, 0.76, **box))
        if best[column] is not None:
            axes.plot(
                column + 0.5,
                best[column] + 0.5,
                "o",
                color=INK,
                markersize=3.0,
                markeredgecolor="white",
                markeredgewidth=0.4,
                zorder=4,
            )
    axes.set_xlim(0, t)
    axes.set_ylim(m, 0)
    for side in ("left", "bottom"):
        axes.spines[side].set_visible(False)
    name_cells(axes.yaxis, rows, SMALL)
    name_cells(axes.xaxis, columns, SMALL)
    beyond = {
        (True, True): "both",
        (True, False): "min",
        (False, True): "max",
        (False, False): "neither",
    }[bool((scores < -limit).any()), bool((scores > limit).any())]
    colour_bar(figure, mesh, left + across + 0.08, top, down, words, extend=beyond)
    outline = marker_handle(INK, "own network", "s")
    outline.set_markerfacecolor("none")
    legend_at(figure, EDGE, EDGE, type_handles(styles))
    legend_at(figure, EDGE, EDGE + 0.14, [outline, marker_handle(INK, "best other source")])
    return figure


def _column_scores(table: pd.DataFrame) -> tuple[np.ndarray, list[int | None]]:
    """Return each cell's z-score within its column, and the row of each column's best source.

    table: sources x targets, nan where a pair is absent. Mean, deviation and best are those of the
    sources other than the target's own network. A column without spread gives nan and no best.
    """
    scores = np.full(table.shape, np.nan)
    best: list[int | None] = []
    for column, target in enumerate(table.columns):
        values = table[target].to_numpy(dtype=float)
        others = np.isfinite(values) & (table.index != target)
        spread = float(np.std(values[others])) if others.sum() > 1 else 0.0
        if spread <= 1e-12 * max(1.0, float(np.abs(values[others]).max(initial=0.0))):
            best.append(None)
            continue
        scores[:, column] = (values - values[others].mean()) / spread
        best.append(int(np.argmax(np.where(others, values, -np.inf))))
    return scores, best
