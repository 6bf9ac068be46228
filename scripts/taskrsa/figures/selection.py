"""How well each method finds, for every target, the source that transfers best."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from taskrsa.errors import DataError
from taskrsa.figures.checks import need_columns, need_once
from taskrsa.figures.marks import pale, write_beside
from taskrsa.figures.sheet import (
    EDGE,
    PAGE_WIDTH,
    Drawn,
    Sheet,
    keys_height,
    line_handle,
    marker_handle,
    pale_rules,
    round_ticks,
    rows_axis,
    text_width,
    type_handles,
)
from taskrsa.figures.style import GREY, INK, PALE, SERIES, SMALL, ModelStyle, figure, network_styles
from taskrsa.text import number

_TOPS = (("top1", "top-1", "o"), ("top3", "top-3", "s"), ("top5", "top-5", "D"))
_GAP, _PITCH = 0.5, 0.25  # inches: between the panels, from row to row


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
    height = max(0.6, _PITCH * len(means))
    panel = (PAGE_WIDTH - 2 * EDGE - label - _GAP - beside) / 2
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
    rows_axis(axes, labels, low=0.5, high=0.5)
    _draw_correlations(axes, means, targets, styles)
    axes.set_xlabel(f"rank correlation with the {affinities} transfers")
    sheet.head(left, panel + 0.3, "a", "Agreement with transfer, by target", keys[0])

    start = left + panel + _GAP
    axes = sheet.axes(start, top, panel, height)
    pale_rules(axes, len(means))
    rows_axis(axes, [""] * len(means), low=0.5, high=0.5)
    axes.set_yticks([])
    _draw_shares(axes, means, set(targets["method"]))
    for y, text in enumerate(counts):
        write_beside(axes, y, text)
    title = "Chosen source is among the best 1, 3, 5"
    sheet.head(start, panel + beside, "b", title, keys[1])
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
    need_columns(means, ["method", "label", "spearman", "n_targets", *tops], "selection (means)")
    need_once(means, "selection (means)", "method")
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
        write_beside(axes, y, number(mean["spearman"], leading_zero=False, unknown="\N{EN DASH}"))
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
    axes.plot(
        value,
        y,
        marker,
        markersize=3.0 if marker == "D" else 3.4,
        color=colour,
        markerfacecolor="white" if hollow else colour,
        markeredgecolor=colour if hollow else "white",
        markeredgewidth=0.7 if hollow else 0.3,
        zorder=4,
        clip_on=False,
    )
