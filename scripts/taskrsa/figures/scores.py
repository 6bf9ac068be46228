"""Table 2 of the paper as a figure: what networks are fine-tuned to, against their similarity."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from scipy.optimize import isotonic_regression

from taskrsa.figures.by_layer import p_equals
from taskrsa.figures.checks import need_columns, need_once
from taskrsa.figures.sheet import (
    COLUMN_WIDTH,
    EDGE,
    Drawn,
    Sheet,
    keys_height,
    line_handle,
    padded,
    round_ticks,
    text_width,
    type_handles,
)
from taskrsa.figures.style import GREY, MATH, PALE, SMALL, ModelStyle, figure, network_styles
from taskrsa.text import estimate, is_known, metric_name, number

_OURS = "small model"  # the ranking of the run, in a table that holds published ones as well
_DASHES = ("--", ":", "-.")
_LEFT = 0.46  # inches: the numbers and the name of the upright axis
_PITCH = 0.098  # inches from name to name


@figure(
    name="scores",
    title="Scores (Table 2)",
    caption="Table 2 of the paper for this target. Score after fine-tuning, mean and deviation "
    "over seeds, against similarity to the target with its interval over images (claim C10).",
    alt="Fine-tuned score against similarity, one point a network.",
    category="Target",
    order=120,
    tables={
        "scores": "targets/{target}/scores.csv",
        "prediction": "targets/{target}/prediction.csv",
        "networks": "tables/networks.csv",
    },
    needs=("fine-tuning",),
)
def figure_scores(scores: pd.DataFrame, prediction: pd.DataFrame, networks: pd.DataFrame) -> Drawn:
    """Draw Table 2: the score that a network is fine-tuned to against its similarity to the target.

    scores: columns model, label, rs, rs_low, rs_high, score, score_sd (all from rs may be empty)
    and metric; rows of models that are not in networks, trained from scratch, become lines, with
    one deviation as a band; a line far from the networks is named at the foot instead. prediction:
    columns ranking, spearman and its _low, _high and _p; its row of ranking "small model" is
    written above. Lines through a point are the 95 % interval of the similarity and one standard
    deviation of the score between seeds. A thin line leads from each name to its point. One column
    wide.
    """
    columns = ["rs", "rs_low", "rs_high", "score_sd"]
    need_columns(scores, ["model", "label", "score", "metric"], "scores", may_be_empty=columns)
    need_once(scores, "scores", "model")
    of_bank = scores["model"].isin(networks["name"])
    need_columns(scores[of_bank], ["model", "rs", "score"], "scores (networks)")
    styles = network_styles(scores["model"][of_bank], networks)
    rows = scores.set_index("model").loc[list(styles)]
    inside, beyond = _near(scores[~of_bank], rows)
    metric = metric_name(scores["metric"].iloc[0])
    text = _prediction_line(prediction)
    dashes = [line_handle(GREY, row.label, 0.8, linestyle=row.dashes) for row in inside]
    keys = type_handles(styles), dashes

    key = EDGE + 0.15 * bool(text)
    top = key + keys_height(COLUMN_WIDTH - 2 * EDGE, *keys) + 0.06
    height = max(1.8, 0.4 + 0.115 * len(rows))
    sheet = Sheet(COLUMN_WIDTH, top + height + 0.34 + 0.12 * len(beyond))
    names = text_width((style.label for style in styles.values()), SMALL) + 0.12
    axes = sheet.axes(_LEFT, top, COLUMN_WIDTH - _LEFT - names - EDGE, height)
    _draw_points(axes, rows, styles, [row.score for row in inside])
    for row in inside:
        if is_known(row.score_sd):
            ends = row.score - row.score_sd, row.score + row.score_sd
            axes.axhspan(*ends, color=PALE, linewidth=0, zorder=0)
        axes.axhline(row.score, color=GREY, linewidth=0.8, linestyle=row.dashes, zorder=1)
    round_ticks(axes.xaxis, 4)
    round_ticks(axes.yaxis, 6)
    axes.set_xlabel("similarity to the target ($r_s$)", **MATH)
    axes.set_ylabel(f"{metric} after fine-tuning")
    marks = list(styles.values())
    _name_points(axes, rows["rs"].to_numpy(), rows["score"].to_numpy(), marks)
    if text:
        sheet.text(EDGE, EDGE - 0.01, text)
    sheet.keys(EDGE, key, *keys)
    for line, row in enumerate(beyond):
        words = f"beyond the axis: {row.label}, {metric} {number(row.score, 3, leading_zero=False)}"
        sheet.text(EDGE, top + height + 0.3 + 0.12 * line, words, fontsize=SMALL)
    return Drawn(sheet.figure, scores)


def _near(scratch: pd.DataFrame, rows: pd.DataFrame) -> tuple[list, list]:
    """Return the rows without similarity to draw as lines, and those too far from the networks."""
    scratch = scratch.assign(dashes=[_DASHES[k % 3] for k in range(len(scratch))])
    spread = rows["score_sd"].fillna(0.0)
    low, high = (rows["score"] - spread).min(), (rows["score"] + spread).max()
    reach = max(0.5 * (high - low), 0.02)  # further away it would squeeze the networks together
    near = scratch["score"].between(low - reach, high + reach)
    return list(scratch[near].itertuples()), list(scratch[~near].itertuples())


def _draw_points(
    axes: Axes, rows: pd.DataFrame, styles: Mapping[str, ModelStyle], levels: Sequence[float]
) -> None:
    """Draw the networks with their intervals; levels are lines that the axis must hold as well."""
    x, y = rows["rs"].to_numpy(float), rows["score"].to_numpy(float)
    low, high = rows[["rs_low", "rs_high"]].to_numpy(float).T
    known = np.isfinite(low) & np.isfinite(high)
    low, high = np.where(known, low, x), np.where(known, high, x)
    spread = rows["score_sd"].fillna(0.0).to_numpy(float)
    axes.set_xlim(*padded(np.concatenate([low, high])))
    axes.set_ylim(*padded(np.concatenate([y - spread, y + spread, levels])))
    marks = list(styles.values())
    colours = [mark.colour for mark in marks]
    axes.hlines(y, low, high, color=colours, linewidth=0.6, alpha=0.5)
    axes.vlines(x, y - spread, y + spread, color=colours, linewidth=0.6, alpha=0.5)
    for i, mark in enumerate(marks):
        options = {"marker": mark.marker, "color": mark.colour, "linewidths": 0, "zorder": 3}
        axes.scatter(x[i], y[i], s=14, **options)


def _name_points(axes: Axes, x: np.ndarray, y: np.ndarray, styles: Sequence[ModelStyle]) -> None:
    """Write the points' names one below the other at the right, by their heights, and join them."""
    inches = axes.get_window_extent().size / axes.figure.dpi
    (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()
    across, up = (right - left) / inches[0], (high - low) / inches[1]  # what an inch is in data
    order = np.argsort(y, kind="stable")
    pitch = _PITCH * up * np.arange(len(y))
    # The nearest places that are a line of text apart, from the bottom to the top of the axes.
    places = isotonic_regression(y[order] - pitch).x
    places = np.clip(places, low + _PITCH / 2 * up, high - _PITCH / 2 * up - pitch[-1]) + pitch
    for point, place in zip(order, places, strict=True):
        style = styles[point]
        line = {"color": style.colour, "linewidth": 0.35, "alpha": 0.6, "zorder": 1}
        ends = [x[point], right, right + 0.1 * across], [y[point], place, place]
        axes.plot(*ends, clip_on=False, **line)
        text = {"fontsize": SMALL, "color": style.colour, "va": "center"}
        axes.text(right + 0.12 * across, place, style.label, **text)


def _prediction_line(prediction: pd.DataFrame) -> str:
    """Return the rank correlation of our ranking with its interval and p; empty where unknown."""
    need_columns(prediction, ["ranking"], "prediction", may_be_empty=["spearman"])
    known = prediction[(prediction["ranking"] == _OURS) & prediction["spearman"].notna()]
    for row in known.to_dict("records"):
        ends = (row.get(f"spearman{end}") for end in ("", "_low", "_high"))
        text = f"Spearman {estimate(*ends, leading_zero=False)}"
        p = row.get("spearman_p")
        return f"{text}, {p_equals(p)}" if is_known(p) else text
    return ""
