"""How far rankings by small models depend on images, width, training and seed (supplement S3)."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from taskrsa.errors import DataError
from taskrsa.figures.files import need_columns
from taskrsa.figures.marks import pale
from taskrsa.figures.sheet import (
    COLUMN_WIDTH,
    EDGE,
    PAGE_WIDTH,
    Drawn,
    keyed_sheet,
    line_handle,
    marker_handle,
    name_ticks,
    round_ticks,
    text_width,
    type_handles,
)
from taskrsa.figures.style import GREY, INK, PALE, SERIES, ModelStyle, figure, network_styles

_FACTORS = {
    "images": "images",
    "width": "channels of the small model",
    "stage": "training (%)",
}
_REFERENCES = {"bank": "the bank", "default small model": "the default small model"}
_LOOKS = tuple(zip((INK, *SERIES), "os^vP", strict=False))  # of references in turn
_LEFT = 0.42  # inches: the numbers and the name of the upright axis


@figure(
    name="robustness_images",
    title="By number of images",
    caption="How rankings of the bank depend on the number of images (claim C11).",
    alt="Correlation of rankings against number of images.",
    category="Robustness",
    order=130,
    tables={"robustness": "tables/robustness_images.csv", "networks": "tables/networks.csv"},
    needs=("small models",),
    constants={"factor": "images"},
)
@figure(
    name="robustness_width",
    title="By size of the small model",
    caption="How rankings of the bank depend on the width of the small model (claim C11).",
    alt="Correlation of rankings against width.",
    category="Robustness",
    order=140,
    tables={"robustness": "tables/robustness_width.csv", "networks": "tables/networks.csv"},
    needs=("small models",),
    constants={"factor": "width"},
)
@figure(
    name="robustness_stage",
    title="By stage of training",
    caption="How rankings of the bank depend on how long the small model was trained (claim C11).",
    alt="Correlation of rankings against share of the steps.",
    category="Robustness",
    order=150,
    tables={"robustness": "tables/robustness_stage.csv", "networks": "tables/networks.csv"},
    needs=("small models",),
    constants={"factor": "stage"},
)
def figure_robustness(robustness: pd.DataFrame, networks: pd.DataFrame, *, factor: str) -> Drawn:
    """Draw how far a small model's ranking of the bank depends on one factor.

    robustness: columns value (a number), task, draw, reference, spearman. Rows of task "mean" are
    means over tasks: one a draw, or one in all (draw empty); rows of a task with an empty draw are
    its mean over draws. factor: a key of `_FACTORS`. One line a reference, the mean over draws,
    with the central 95 % of the draws as a band; thin lines are single tasks against the first
    reference. One column wide.
    """
    some = _check(robustness)
    some["value"] = pd.to_numeric(some["value"])
    references = list(dict.fromkeys(some["reference"]))
    tasks = some[(some["task"] != "mean") & (some["reference"] == references[0])]
    means = some[some["task"] == "mean"]
    if means.empty:
        raise DataError("robustness table has no row of task mean; make it again")
    styles = network_styles(tasks["task"], networks)
    looks = dict(zip(references, itertools.cycle(_LOOKS), strict=False))
    lines = [
        line_handle(colour, _words(name), marker=marker, markersize=3)
        for name, (colour, marker) in looks.items()
    ]
    thin = [*type_handles(styles), line_handle(GREY, "one task", 0.6)] if styles else []

    height = 1.75
    sheet, top = keyed_sheet(COLUMN_WIDTH, [lines, thin], height, 0.36, gap=0.12)
    axes = sheet.axes(_LEFT, top, COLUMN_WIDTH - _LEFT - EDGE - 0.06, height)
    _draw_tasks(axes, tasks, styles)
    for reference, look in looks.items():
        _draw_reference(axes, means[means["reference"] == reference], *look)
    _value_axis(axes, np.unique(some["value"]), factor)
    _ranking_axis(axes, some["spearman"])
    axes.set_xlabel(_FACTORS[factor])
    return Drawn(sheet.figure, robustness)


def _draw_tasks(axes: Axes, tasks: pd.DataFrame, styles: Mapping[str, ModelStyle]) -> None:
    """Draw a thin line for each task: its mean over draws."""
    for task, style in styles.items():
        mine = tasks[tasks["task"] == task]
        mine = mine[~mine["single"]] if (~mine["single"]).any() else mine
        line = mine.groupby("value")["spearman"].mean()
        alone = style.marker if len(line) == 1 else "None"
        axes.plot(line.index, line, color=pale(style.colour, 0.35), linewidth=0.6, marker=alone)


def _draw_reference(axes: Axes, means: pd.DataFrame, colour: str, marker: str) -> None:
    """Draw the mean over tasks and draws, and the band that holds 95 % of the draws."""
    draws = means[means["single"]]
    rows = pd.concat([draws, means[~means["single"] & ~means["value"].isin(draws["value"])]])
    groups = rows.groupby("value")["spearman"]
    line = groups.mean()
    axes.plot(line.index, line, color=colour, marker=marker, markersize=3, zorder=4)
    if (groups.size() > 1).any():
        low, high = groups.quantile(0.025), groups.quantile(0.975)
        axes.fill_between(line.index, low, high, color=colour, alpha=0.18, linewidth=0)


def _value_axis(axes: Axes, values: np.ndarray, factor: str) -> None:
    """Set up the axis of the factor's values; widths stand on an axis of powers of two."""
    if factor == "width" and values.min() > 0:
        axes.set_xscale("log", base=2)
        axes.set_xticks(values, [f"{value:g}" for value in values])
        axes.set_xticks([], minor=True)
        axes.set_xlim(values.min() / 1.15, values.max() * 1.15)
    else:
        axes.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 2.5, 5, 10]))
        pad = 0.03 * (np.ptp(values) or 1.0)
        axes.set_xlim(values.min() - pad, values.max() + pad)


@figure(
    name="robustness_seed",
    title="By seed",
    caption="How rankings of the bank depend on the seed of the small model (claim C11).",
    alt="Correlation of rankings between seeds.",
    category="Robustness",
    order=160,
    tables={"robustness": "tables/robustness_seed.csv", "networks": "tables/networks.csv"},
    needs=("small models", "several seeds"),
)
def figure_seeds(robustness: pd.DataFrame, networks: pd.DataFrame) -> Drawn:
    """Draw the agreement of rankings between seeds, and with the bank, task by task.

    robustness: columns task, draw, reference, spearman. For every task its pairs of seeds are dots
    and the seeds against the bank hollow ones. As wide as the page from seven tasks on.
    """
    some = _check(robustness)
    rows = some[some["task"] != "mean"]
    if rows.empty:
        raise DataError("robustness table has no row of a single task; make it again")
    # A mean over draws would stand among the draws it is the mean of.
    drawn = rows[rows["single"]] if rows["single"].any() else rows
    styles = network_styles(rows["task"], networks)
    references = sorted(dict.fromkeys(drawn["reference"]), key=lambda name: name == "bank")
    handles = [marker_handle(INK, _words(reference)) for reference in references]
    for handle, reference in zip(handles, references, strict=True):
        handle.set_markerfacecolor("none" if reference == "bank" else INK)
    keys = [*handles, line_handle(INK, "mean", 0.8)], type_handles(styles)

    n, label = len(styles), text_width(style.label for style in styles.values())
    width, height = COLUMN_WIDTH if n <= 6 else PAGE_WIDTH, 1.6
    sheet, top = keyed_sheet(width, keys, height, label, EDGE, 0.08, gap=0)
    axes = sheet.axes(_LEFT, top, min(width - _LEFT - EDGE, 0.75 * n), height)
    axes.axhline(0, color=GREY, linewidth=0.5, zorder=0)
    for place, reference in enumerate(references):
        centre = (place - (len(references) - 1) / 2) * 0.36
        mine = drawn[drawn["reference"] == reference]
        for x, (task, style) in enumerate(styles.items()):
            values = np.sort(mine.loc[mine["task"] == task, "spearman"].to_numpy(dtype=float))
            _draw_seeds(axes, x + centre, values, style, hollow=reference == "bank")
    for x in range(1, n):
        axes.axvline(x - 0.5, color=PALE, linewidth=0.5, zorder=0)
    axes.set_xlim(-0.5, n - 0.5)
    _ranking_axis(axes, drawn["spearman"])
    name_ticks(axes.xaxis, styles.values(), rotation=90)
    axes.tick_params(axis="x", length=0)
    return Drawn(sheet.figure, robustness)


def _draw_seeds(axes: Axes, x: float, y: np.ndarray, style: ModelStyle, *, hollow: bool) -> None:
    """Draw values side by side around x, and a line at their mean."""
    beside = np.linspace(-0.1, 0.1, len(y)) if len(y) > 1 else np.zeros(len(y))
    look = {"marker": style.marker, "edgecolors": style.colour, "linewidths": 0.7}
    look["facecolors"] = "none" if hollow else style.colour
    axes.scatter(x + beside, y, s=11, zorder=3, clip_on=False, **look)
    if len(y) > 1:
        axes.hlines(y.mean(), x - 0.16, x + 0.16, color=INK, linewidth=0.8, zorder=4)


def _check(robustness: pd.DataFrame) -> pd.DataFrame:
    """Return the table with a column single, whether a row is of one draw."""
    columns = ["value", "task", "reference", "spearman"]
    need_columns(robustness, columns, "robustness", may_be_empty=["draw"])
    return robustness.assign(single=robustness["draw"].notna())


def _words(reference: str) -> str:
    return f"against {_REFERENCES.get(reference, reference)}"


def _ranking_axis(axes: Axes, values: pd.Series) -> None:
    """End the axis of correlations at 1, and begin it a little below the least of them."""
    low = min(float(values.min()), 0.95)
    axes.set_ylim(low - 0.05 * (1 - low), 1 + 0.03 * (1 - low))
    round_ticks(axes.yaxis, 5)
    axes.set_ylabel("rank correlation of the rankings")
