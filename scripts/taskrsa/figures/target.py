"""Figures of a target: the ranking (Figure 8), the scores (Table 2) and what choosing gains."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from scipy.optimize import isotonic_regression

from taskrsa.errors import DataError
from taskrsa.figures.files import need_columns
from taskrsa.figures.marks import (
    draw_untrained,
    draw_whiskers,
    p_equals,
    untrained_handle,
    write_beside,
    write_near,
)
from taskrsa.figures.sheet import (
    COLUMN_WIDTH,
    EDGE,
    Drawn,
    keyed_sheet,
    line_handle,
    name_ticks,
    padded,
    pale_rules,
    round_ticks,
    rows_axis,
    text_width,
    type_handles,
)
from taskrsa.figures.style import (
    GREY,
    INK,
    MATH,
    NORMAL,
    PALE,
    SMALL,
    ModelStyle,
    figure,
    network_styles,
)
from taskrsa.text import estimate, is_known, metric_name, number

# --- The ranking ---

_STARS = "* q < .05   ** q < .01   *** q < .001"
# What stars test, by whether the run has untrained networks.
_TESTED = {
    True: "Stars: more alike than an untrained network",
    False: "Stars: more alike than with randomised labels",
}
_NONE = "No network is more alike than an untrained one (q < .05)"
_UNTRAINED = ["untrained_mean", "untrained_low", "untrained_high"]


@figure(
    name="ranking",
    title="Ranking (Figure 8)",
    caption="Figure 8 of the paper for this target. Similarity of every network to the target's "
    "small models, or to the network that stands for the target, with bootstrap intervals over "
    "images. Band, broken line: untrained networks of the same design, if the run has any. Stars "
    "then say that a network is more alike than another untrained one would be; without such "
    "networks they are the paper's, from a randomisation of condition labels, which only says that "
    "there is something in common. The false-discovery rate is controlled over the networks "
    "(q < .05, .01, .001).",
    alt="Bars of every network's similarity to the target.",
    category="Target",
    order=110,
    tables={"ranking": "targets/{target}/ranking.csv", "networks": "tables/networks.csv"},
)
def figure_ranking(ranking: pd.DataFrame, networks: pd.DataFrame) -> Drawn:
    """Draw Figure 8: how similar each network is to what stands for the target.

    ranking: columns model, rs, ci_low, ci_high, stars (may be empty). Most similar on top; bars in
    the colours of the types, intervals as lines, stars beyond them. Where there are columns
    untrained_mean, untrained_low and untrained_high, a band behind the bars shows them. One column
    wide.
    """
    may_be_empty = ["ci_low", "ci_high", "stars"]
    need_columns(ranking, ["model", "rs"], "ranking", may_be_empty=may_be_empty, once=["model"])
    styles = network_styles(ranking["model"], networks)
    rows = ranking.set_index("model").loc[list(styles)]
    rows = rows.sort_values("rs", ascending=False, kind="stable")
    bars = [styles[name] for name in rows.index]
    stars = [text if isinstance(text, str) else "" for text in rows["stars"]]
    handles = [line_handle(INK, "95 % interval", 0.7)] * bool(rows["ci_low"].notna().any())
    untrained = rows.reindex(columns=_UNTRAINED)
    is_beside = bool(untrained[_UNTRAINED[0]].notna().any())
    handles += [untrained_handle()] * is_beside
    notes = [_TESTED[is_beside], _STARS] if any(stars) else [_NONE] * is_beside

    label = text_width(bar.label for bar in bars) + 0.06
    star = text_width(stars) + 0.05 if any(stars) else 0.0
    height, gap = max(0.5, 0.115 * len(bars)), 0.06 + 0.13 * len(notes)
    keys = type_handles(styles), handles
    sheet, top = keyed_sheet(COLUMN_WIDTH, keys, height, 0.34, gap=gap)
    axes = sheet.axes(EDGE + label, top, COLUMN_WIDTH - 2 * EDGE - label - star, height)
    colours = [bar.colour for bar in bars]
    axes.barh(range(len(bars)), rows["rs"], height=0.68, color=colours, linewidth=0)
    rows_axis(axes, len(bars))
    name_ticks(axes.yaxis, bars)
    _draw_intervals(axes, *rows[["rs", "ci_low", "ci_high"]].to_numpy(dtype=float).T, stars)
    if draw_untrained(axes, untrained):
        ends = [*axes.get_xlim(), *untrained.to_numpy(dtype=float).ravel()]
        axes.set_xlim(np.nanmin(ends), np.nanmax(ends))
    round_ticks(axes.xaxis, 5)
    axes.set_xlabel("similarity to the target ($r_s$)", **MATH)
    for line, text in enumerate(notes):
        sheet.text(EDGE, top - gap + 0.12 * line, text, fontsize=SMALL)
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
            write_near(axes, text, (end, row), (2, -1.6), va="center", fontsize=NORMAL)


# --- Scores ---

_OURS = "small model"  # the ranking of the run, in a table that holds published ones as well
_DASHES = ("--", ":", "-.")
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
    known, ends = ["model", "label", "score", "metric"], ["rs", "rs_low", "rs_high", "score_sd"]
    need_columns(scores, known, "scores", may_be_empty=ends, once=["model"])
    of_bank = scores["model"].isin(networks["name"])
    need_columns(scores[of_bank], ["model", "rs", "score"], "scores (networks)")
    styles = network_styles(scores["model"][of_bank], networks)
    rows = scores.set_index("model").loc[list(styles)]
    inside, beyond = _near(scores[~of_bank], rows)
    metric = metric_name(scores["metric"].iloc[0])
    text = _prediction_line(prediction)
    dashes = [line_handle(GREY, row.label, 0.8, linestyle=row.dashes) for row in inside]

    height = max(1.8, 0.4 + 0.115 * len(rows))
    heights, above = (height, 0.34, 0.12 * len(beyond)), EDGE + 0.15 * bool(text)
    sheet, top = keyed_sheet(COLUMN_WIDTH, [type_handles(styles), dashes], *heights, above=above)
    sheet.text(EDGE, EDGE - 0.01, text)
    names, left = text_width((style.label for style in styles.values()), SMALL) + 0.12, 0.46
    axes = sheet.axes(left, top, COLUMN_WIDTH - left - names - EDGE, height)
    _draw_points(axes, rows, styles, [row.score for row in inside])
    for row in inside:
        if is_known(row.score_sd):
            band = row.score - row.score_sd, row.score + row.score_sd
            axes.axhspan(*band, color=PALE, linewidth=0, zorder=0)
        axes.axhline(row.score, color=GREY, linewidth=0.8, linestyle=row.dashes, zorder=1)
    round_ticks(axes.xaxis, 4)
    round_ticks(axes.yaxis, 6)
    axes.set_xlabel("similarity to the target ($r_s$)", **MATH)
    axes.set_ylabel(f"{metric} after fine-tuning")
    _name_points(axes, rows["rs"].to_numpy(), rows["score"].to_numpy(), list(styles.values()))
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
    colours = [style.colour for style in styles.values()]
    axes.hlines(y, low, high, color=colours, linewidth=0.6, alpha=0.5)
    axes.vlines(x, y - spread, y + spread, color=colours, linewidth=0.6, alpha=0.5)
    for i, style in enumerate(styles.values()):
        options = {"marker": style.marker, "color": style.colour, "linewidths": 0, "zorder": 3}
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


# --- What choosing gains ---

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
    known, may_be_empty = ["statistic", "value"], ["model", "low", "high"]
    need_columns(choice, known, "choice", may_be_empty=may_be_empty, once=["statistic"])
    need_columns(scores, ["metric"], "scores")
    rows = choice.set_index("statistic")
    if "choice" not in rows.index:
        raise DataError("choice table has no row of statistic choice; make the table again")
    notes = [
        f"{words} {estimate(*rows.loc[name, ['value', 'low', 'high']], 3, leading_zero=False)}"
        for name, words in _DIFFERENCES.items()
        if name in rows.index
    ]
    rows = rows.loc[[name for name in _ROLES if name in rows.index]]
    rows = rows.sort_values("value", ascending=False, kind="stable")
    styles = network_styles(rows["model"][rows.index.isin(_NETWORKS)], networks)
    named = {role: styles[rows.loc[role, "model"]] for role in rows.index if role in _NETWORKS}
    words = [number(value, 3, leading_zero=False) for value in rows["value"]]
    for y, role in enumerate(rows.index):
        if role in named:
            words[y] += f" {named[role].label}"

    roles = [_ROLES[name] for name in rows.index]
    label, beside = text_width(roles) + 0.08, text_width(words, SMALL) + 0.07
    above, height = EDGE + _LINE * len(notes) + 0.01, 0.17 * len(rows)
    keys = [type_handles(styles)]
    sheet, top = keyed_sheet(COLUMN_WIDTH, keys, height, 0.34, gap=0.05, above=above)
    for k, note in enumerate(notes):
        sheet.text(EDGE, EDGE - 0.01 + _LINE * k, note)
    axes = sheet.axes(EDGE + label, top, COLUMN_WIDTH - 2 * EDGE - label - beside, height)
    _draw_choices(axes, rows, named)
    pale_rules(axes, len(rows))
    rows_axis(axes, len(rows))
    axes.set_yticks(range(len(rows)), roles)
    for y, role in enumerate(rows.index):
        write_beside(axes, y, words[y], color=named[role].colour if role in named else INK)
        axes.get_yticklabels()[y].set_weight("bold" if role == "choice" else "normal")
    round_ticks(axes.xaxis, 3)
    axes.set_xlabel(f"{metric_name(scores['metric'].iloc[0])} after fine-tuning")
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
