"""Figures of transfer: its affinities, and how well similarity finds what transfers best."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from taskrsa.errors import DataError
from taskrsa.figures.files import need_columns
from taskrsa.figures.marks import UNKNOWN, pale, write_beside
from taskrsa.figures.matrices import STRIP, draw_cells
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
    pale_rules,
    round_ticks,
    rows_axis,
    text_width,
    type_handles,
)
from taskrsa.figures.style import (
    GREY,
    INK,
    PALE,
    SERIES,
    SMALL,
    ModelStyle,
    figure,
    network_styles,
)
from taskrsa.text import number

# --- Similarity against transfer ---

_TOPS = (("top1", "top-1", "o"), ("top3", "top-3", "s"), ("top5", "top-5", "D"))


@figure(
    name="selection",
    title="Similarity against transfer",
    caption="Correlation, for each target, of the sources' similarity to it with their transfer "
    "affinity (claim C7), by measure of similarity and for baselines, with bootstrap intervals "
    "over images.",
    alt="Correlation with transfer for each target and each measure of similarity.",
    category="Transfer",
    order=90,
    tables={"selection": "tables/selection.csv", "networks": "tables/networks.csv"},
    needs=("affinities",),
    settings=("affinities",),
)
def figure_selection(selection: pd.DataFrame, networks: pd.DataFrame, *, affinities: str) -> Drawn:
    """Draw how well each method finds, for every target, the source that transfers best.

    selection: columns affinities, method, label, target, spearman with spearman_low and _high, and
    in the rows of target "mean" n_targets, top1, top3, top5 with their intervals (counts).
    affinities: "measured" or "published", the transfers that are drawn.

    (a) Rank correlation of the method's similarities with the transfers: single targets behind,
    their mean with its interval before them. (b) Share of targets whose chosen source is among the
    best one, three and five; the numbers at the right are the counts. Methods stand in the order of
    the table; those without single targets (published means) have hollow marks. The grey band and
    the dotted lines are chance: the row of method "random". As wide as the page.
    """
    means, targets = _parts(selection, affinities)
    styles = network_styles(targets["target"], networks)
    labels = [str(label) for label in means["label"]]
    counts = [_counts(row) for _, row in means.iterrows()]
    label, beside = text_width(labels) + 0.08, text_width(counts, SMALL) + 0.05
    height, gap = max(0.6, 0.25 * len(means)), 0.5
    panel = (PAGE_WIDTH - 2 * EDGE - label - gap - beside) / 2
    keys = [
        [*type_handles(styles), marker_handle(INK, "mean", "D")],
        [marker_handle(SERIES[k], name, marker) for k, (_, name, marker) in enumerate(_TOPS)],
    ]
    if (means["method"] == "random").any():
        keys[1].append(line_handle(GREY, "chance", 0.8, linestyle=":"))
    top = EDGE + 0.24 + keys_height(panel + 0.3, keys[0])
    sheet = Sheet(PAGE_WIDTH, top + height + 0.36)

    left = EDGE + label
    axes = sheet.axes(left, top, panel, height)
    pale_rules(axes, len(means))
    rows_axis(axes, len(means), low=0.5, high=0.5)
    axes.set_yticks(range(len(means)), labels)
    _draw_correlations(axes, means, targets, styles)
    axes.set_xlabel(f"rank correlation with the {affinities} transfers")
    title = "Agreement with transfer, by target"
    sheet.head(left, title, "a", handles=keys[0], width=panel + 0.3)

    start = left + panel + gap
    axes = sheet.axes(start, top, panel, height)
    pale_rules(axes, len(means))
    rows_axis(axes, len(means), low=0.5, high=0.5)
    _draw_shares(axes, means, set(targets["method"]))
    for y, text in enumerate(counts):
        write_beside(axes, y, text)
    title = "Chosen source is among the best 1, 3, 5"
    sheet.head(start, title, "b", handles=keys[1], width=panel + beside)
    return Drawn(sheet.figure, selection)


def _parts(selection: pd.DataFrame, affinities: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the rows of means, one a method, and those of single targets."""
    tops = [name for name, _, _ in _TOPS]
    ends = [f"{name}_{end}" for name in ["spearman", *tops] for end in ("low", "high")]
    single = ["affinities", "method", "label", "target"]
    need_columns(selection, single, "selection", may_be_empty=["spearman", *ends])
    some = selection[selection["affinities"] == affinities]
    if some.empty:
        raise DataError(f"selection table has no affinities {affinities}; make it again")
    means = some[some["target"] == "mean"]
    known = ["method", "label", "spearman", "n_targets", *tops]
    need_columns(means, known, "selection (means)", once=["method"])
    targets = some[(some["target"] != "mean") & some["spearman"].notna()]
    return means, targets[targets["method"].isin(means["method"])]


def _draw_correlations(
    axes: Axes, means: pd.DataFrame, targets: pd.DataFrame, styles: Mapping[str, ModelStyle]
) -> None:
    """Draw each method's correlations: those of single targets, and before them their mean."""
    chance = means[means["method"] == "random"]
    if len(chance) and np.isfinite(chance[["spearman_low", "spearman_high"]].to_numpy()).all():
        ends = chance["spearman_low"].iloc[0], chance["spearman_high"].iloc[0]
        axes.axvspan(*ends, color=PALE, linewidth=0, zorder=0)
    axes.axvline(0, color=GREY, linewidth=0.6, zorder=0.5)
    rows = {method: y for y, method in enumerate(means["method"])}
    spread = np.linspace(-0.33, 0.33, len(styles)) if len(styles) > 1 else [0.0]
    for (target, style), shift in zip(styles.items(), spread, strict=bool(styles)):
        single = targets[targets["target"] == target]
        y = single["method"].map(rows) + shift
        look = {"marker": style.marker, "color": pale(style.colour, 0.35), "linewidths": 0}
        axes.scatter(single["spearman"], y, s=8, zorder=2, **look)
    several = set(targets["method"])
    for y, (_, mean) in enumerate(means.iterrows()):
        values = mean[["spearman", "spearman_low", "spearman_high"]].to_numpy(dtype=float)
        _draw_mean(axes, values, y, INK, "D", mean["method"] not in several)
        write_beside(axes, y, number(mean["spearman"], leading_zero=False, unknown=UNKNOWN))
    drawn = np.concatenate([targets["spearman"], means["spearman"], means["spearman_low"], [0.0]])
    axes.set_xlim(max(-1.04, np.nanmin(drawn) - 0.06), 1.04)
    round_ticks(axes.xaxis, 6)


def _draw_shares(axes: Axes, means: pd.DataFrame, several: set[str]) -> None:
    """Draw, for each method, the shares of targets whose chosen source is among the best.

    several: methods that have single targets; marks of the others are hollow.
    """
    chance = means[means["method"] == "random"]
    for place, (column, _, marker) in enumerate(_TOPS):
        colour = SERIES[place]
        for _, row in chance.iterrows():
            share = row[column] / row["n_targets"]
            axes.axvline(share, color=colour, linewidth=0.8, linestyle=":", zorder=1)
        for y, (_, mean) in enumerate(means.iterrows()):
            ends = [column, f"{column}_low", f"{column}_high"]
            shares = mean[ends].to_numpy(dtype=float) / mean["n_targets"]
            hollow = mean["method"] not in several
            _draw_mean(axes, shares, y + 0.24 * (place - 1), colour, marker, hollow)
    axes.set_xlim(-0.03, 1.03)
    axes.set_xlabel("share of targets")


def _counts(row: pd.Series) -> str:
    """Write how many targets' chosen sources are among the best: 7, 14, 16 of 17."""
    numbers = [row[name] for name, _, _ in _TOPS]
    words = [f"{v:.0f}" if abs(v - round(v)) < 1e-6 else f"{v:.1f}" for v in numbers]
    return f"{', '.join(words)} of {row['n_targets']:.0f}"


def _draw_mean(
    axes: Axes, values: np.ndarray, y: float, colour: str, marker: str, hollow: bool
) -> None:
    """Draw a value with its interval, if it has one: (value, low, high)."""
    value, low, high = values
    if np.isfinite([low, high]).all():
        axes.hlines(y, low, high, color=colour, linewidth=1.0, zorder=3)
    face, edge, width = ("white", colour, 0.7) if hollow else (colour, "white", 0.3)
    look = {"color": colour, "markerfacecolor": face, "markeredgecolor": edge}
    look |= {"markeredgewidth": width, "markersize": 3.0 if marker == "D" else 3.4}
    axes.plot(value, y, marker, zorder=4, clip_on=False, **look)


# --- Affinities ---


@figure(
    name="affinity",
    title="Transfer affinities",
    caption="Transfer affinity: share of the constant predictor's error on held-out images that a "
    "linear probe of the frozen source removes on the target task.",
    alt="Matrix of sources and targets.",
    category="Transfer",
    order=100,
    tables={"affinity": "tables/affinity.csv", "networks": "tables/networks.csv"},
    needs=("affinities",),
)
def figure_affinity(affinity: pd.DataFrame, networks: pd.DataFrame) -> Drawn:
    """Draw the transfer affinities: sources as rows, targets as columns.

    affinity: columns source, target, affinity (higher is better); a pair may be absent and is then
    grey. Columns differ in level, so that a cell's colour is its distance from the mean of its
    column in standard deviations, both of the column's other sources; beyond 3 it is cut. The
    target's own network is outlined; a dot marks the best of the other sources. A column of one
    value only stays grey. One column wide up to 20 targets.
    """
    pair = ["source", "target"]
    need_columns(affinity, [*pair, "affinity"], "affinity", once=pair)
    styles = network_styles([*affinity["source"], *affinity["target"]], networks)
    table = affinity.pivot(index="source", columns="target", values="affinity")
    table = table.reindex(
        index=[name for name in styles if name in table.index],
        columns=[name for name in styles if name in table.columns],
    )
    rows, columns = [styles[name] for name in table.index], [styles[name] for name in table.columns]

    row_label = text_width((style.label for style in rows), SMALL) + STRIP + 0.07
    column_label = text_width((style.label for style in columns), SMALL) + STRIP + 0.07
    bar, scale = 0.5, "transfer within its column (s.d.)"
    across = max(COLUMN_WIDTH - 2 * EDGE - row_label - bar, 0.0795 * len(columns))
    down = max(text_width([scale]), 0.092 * len(rows))
    left = EDGE + row_label
    outline = marker_handle(INK, "own network", "s")
    outline.set_markerfacecolor("none")
    keys = type_handles(styles), [outline, marker_handle(INK, "best other source")]
    width = left + across + bar + EDGE
    sheet, top = keyed_sheet(width, keys, down, column_label, EDGE, gap=0.02)
    axes = sheet.axes(left, top, across, down)
    scores, best = _column_scores(table)
    own = table.index.to_numpy()[:, None] == table.columns.to_numpy()
    reach = np.abs(np.where(np.isfinite(scores) & ~own, scores, 0.0)).max()
    limit = float(min(3.0, max(0.5, np.ceil(2 * reach) / 2)))
    mesh = draw_cells(axes, scores, rows, columns, (-limit, limit), fontsize=SMALL)
    _mark_cells(axes, own, best)
    ends = ["neither", "min", "max", "both"]
    beyond = ends[(scores < -limit).any() + 2 * (scores > limit).any()]
    sheet.colour_bar(mesh, left + across + 0.08, top, down, scale, extend=beyond)
    return Drawn(sheet.figure, affinity)


def _mark_cells(axes: Axes, own: np.ndarray, best: Sequence[int | None]) -> None:
    """Outline each column's own network and put a dot on the best of the others."""
    for column, row in enumerate(best):
        for mine in np.flatnonzero(own[:, column]):
            corner = column + 0.12, mine + 0.12
            # White below the ink: one of the two shows on every colour.
            for colour, line in (("white", 1.6), (INK, 0.7)):
                box = {"facecolor": "none", "edgecolor": colour, "linewidth": line, "zorder": 3}
                axes.add_patch(Rectangle(corner, 0.76, 0.76, **box))
        if row is not None:
            dot = {"markersize": 3.0, "markeredgecolor": "white", "markeredgewidth": 0.4}
            axes.plot(column + 0.5, row + 0.5, "o", color=INK, zorder=4, **dot)


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
