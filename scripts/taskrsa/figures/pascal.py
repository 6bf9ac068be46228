"""Figures of a new task: Figure 8 of the paper, its Table 2 as a figure, and what choosing gains.

The new task is Pascal VOC segmentation in the paper (section 6.3). All functions take tables as the
workflow writes them (pandas DataFrames) and return a Matplotlib Figure, one column wide. `models`
maps models that are not in the task dictionary to (label, type) or (label, colour); see
`style.task_style`. A missing column or value raises DataError; an interval may be empty, and is
then not drawn.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from taskrsa.analysis.outcomes import OURS, RANDOM
from taskrsa.errors import DataError
from taskrsa.figures.style import (
    COLUMN_WIDTH,
    EDGE,
    GREY,
    INK,
    PALE,
    SERIES,
    SMALL,
    Models,
    ModelStyle,
    add_axes,
    add_text,
    colour_ticks,
    format_p,
    legend_at,
    need_columns,
    new_figure,
    styled,
    task_style,
    text_width,
    type_handles,
)

_STARS = "* q < .05   ** q < .01   *** q < .001"


# --- Figure 8 ---


@styled
def figure8(
    rows: pd.DataFrame, *, models: Models = None, baseline: Mapping[str, float] | None = None
) -> Figure:
    """Draw Figure 8: how similar each encoder of the bank is to the new task's small model.

    rows: columns model, rs, ci_low, ci_high, stars (may be empty). baseline: names and values of
    lines to draw behind the bars, such as a noise ceiling. Most similar on top; bars in the colours
    of the types, intervals as lines, stars beyond them.
    """
    need_columns(rows, ["model", "rs"], "figure8", may_be_empty=["ci_low", "ci_high", "stars"])
    _require_once(rows, "figure8")
    styles = task_style(rows["model"], models)
    place = {name: i for i, name in enumerate(styles)}
    rows = rows.assign(_place=rows["model"].map(place))
    rows = rows.sort_values(["rs", "_place"], ascending=[False, True])
    bars = [styles[name] for name in rows["model"]]
    stars = rows["stars"].astype(object).where(rows["stars"].notna(), "").tolist()
    rs, low, high = rows[["rs", "ci_low", "ci_high"]].to_numpy(dtype=float).T
    baseline = dict(baseline or {})

    n = len(bars)
    label = text_width(bar.label for bar in bars) + 0.06
    star = text_width(stars) + 0.05 if any(stars) else 0.0
    known = np.isfinite(low) & np.isfinite(high)
    second = [
        Line2D([], [], color=colour, linewidth=0.8, linestyle=":", label=name)
        for name, colour in zip(baseline, SERIES * len(baseline), strict=False)
    ]
    if known.any():
        second = [Line2D([], [], color=INK, linewidth=0.7, label="95 % interval"), *second]
    heads = [handles for handles in (type_handles(styles), second) if handles]
    top = EDGE + 0.14 * (len(heads) + any(map(bool, stars))) + 0.06
    height = max(0.5, 0.115 * n)
    across = COLUMN_WIDTH - 2 * EDGE - label - star
    figure = new_figure(COLUMN_WIDTH, top + height + 0.34)
    axes = add_axes(figure, EDGE + label, top, across, height)
    y = np.arange(n)
    axes.barh(y, rs, height=0.68, color=[bar.colour for bar in bars], linewidth=0)
    axes.hlines(y[known], low[known], high[known], color=INK, linewidth=0.7, zorder=3)
    for value, colour in zip(baseline.values(), SERIES * len(baseline), strict=False):
        axes.axvline(value, color=colour, linewidth=0.8, linestyle=":", zorder=4)
    axes.axvline(0, color=INK, linewidth=0.6)
    drawn = np.concatenate([[0.0], rs, low[known], high[known], list(baseline.values())])
    span = max(np.ptp(drawn), 0.05)
    axes.set_xlim(drawn.min() - 0.04 * span * (drawn.min() < 0), drawn.max() + 0.03 * span)
    axes.set_ylim(n - 0.45, -0.55)
    ends = np.maximum(np.where(known, np.maximum(rs, high), rs), 0.0)
    for row, (end, text) in enumerate(zip(ends, stars, strict=True)):
        if text:
            # An asterisk sits high in its line: a little lower, it is level with its bar.
            options = {"xytext": (2, -1.6), "textcoords": "offset points", "va": "center"}
            axes.annotate(text, (end, row), **options)
    axes.set_yticks(y, [bar.label for bar in bars])
    colour_ticks(axes.yaxis, bars)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    axes.set_xlabel("similarity to the small model ($r_s$)")
    for line, handles in enumerate(heads):
        legend_at(figure, EDGE, EDGE + 0.14 * line, handles)
    if any(stars):
        add_text(figure, EDGE, EDGE + 0.14 * len(heads), _STARS, fontsize=SMALL)
    return figure


# --- Table 2 ---


@styled
def figure_table2(
    table2: pd.DataFrame, prediction: pd.DataFrame | None = None, *, models: Models = None
) -> Figure:
    """Draw Table 2: the mIoU an encoder is fine-tuned to against its similarity to the new task.

    table2: columns model, rs, rs_low, rs_high, miou_mean, miou_sd (may be empty); rows of models
    "random" and "random_small" become lines, with one deviation as a band; a line far below the
    encoders is named at the foot instead. prediction: columns ranking, spearman and its _low, _high
    and _p; its row of ranking "small model" is written above. Lines through a point are the 95 %
    interval of the similarity and one standard deviation of the mIoU between seeds. Names stand
    where there is room; a thin line leads from a name to a point that is not next to it.
    """
    columns = ["rs", "rs_low", "rs_high", "miou_sd"]
    need_columns(table2, ["model", "miou_mean"], "table2", may_be_empty=columns)
    _require_once(table2, "table2")
    random = table2["model"].isin(RANDOM)
    scratch = table2[random].set_index("model")
    rows = table2[~random]
    need_columns(rows, ["model", "rs", "miou_mean"], "table2 (encoders)")
    styles = task_style(rows["model"], models)
    rows = rows.set_index("model").loc[list(styles)]
    x, y = rows["rs"].to_numpy(float), rows["miou_mean"].to_numpy(float)
    low, high = rows["rs_low"].to_numpy(float), rows["rs_high"].to_numpy(float)
    sd = rows["miou_sd"].to_numpy(float)
    text = _prediction_line(prediction)

    inside, beyond = _near(scratch, y, sd)
    lines = [
        Line2D([], [], color=GREY, linewidth=0.8, linestyle=_DASHES[name], label=RANDOM[name])
        for name in inside
    ]
    heads = [handles for handles in (type_handles(styles), lines) if handles]
    left, top = 0.46, EDGE + 0.15 * bool(text) + 0.14 * len(heads) + 0.06
    across = COLUMN_WIDTH - left - EDGE
    height = max(1.8, 0.4 + 0.115 * len(rows))
    figure = new_figure(COLUMN_WIDTH, top + height + 0.34 + 0.12 * len(beyond))
    axes = add_axes(figure, left, top, across, height)
    known = np.isfinite(low) & np.isfinite(high)
    low, high = np.where(known, low, x), np.where(known, high, x)
    spread = np.where(np.isfinite(sd), sd, 0.0)
    levels = scratch["miou_mean"].to_dict()
    drawn = np.concatenate([y - spread, y + spread, [levels[name] for name in inside]])
    axes.set_xlim(*_limits(np.concatenate([low, high])))
    axes.set_ylim(*_limits(drawn))
    for name in inside:
        band = float(scratch.loc[name, "miou_sd"])
        if np.isfinite(band):
            axes.axhspan(
                levels[name] - band, levels[name] + band, color=PALE, linewidth=0, zorder=0
            )
        axes.axhline(levels[name], color=GREY, linewidth=0.8, linestyle=_DASHES[name], zorder=1)
    marks = list(styles.values())
    colours = [mark.colour for mark in marks]
    axes.hlines(y, low, high, color=colours, linewidth=0.6, alpha=0.5)
    axes.vlines(x, y - spread, y + spread, color=colours, linewidth=0.6, alpha=0.5)
    for i, mark in enumerate(marks):
        options = {"marker": mark.marker, "color": mark.colour, "linewidths": 0, "zorder": 3}
        axes.scatter(x[i], y[i], s=14, **options)
    axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    axes.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    axes.set_xlabel("similarity to the small model ($r_s$)")
    axes.set_ylabel("mIoU after fine-tuning")
    across_bars, down_bars = np.c_[low, y, high, y], np.c_[x, y - spread, x, y + spread]
    level_bars = [(axes.get_xlim()[0], levels[k], axes.get_xlim()[1], levels[k]) for k in inside]
    bars = np.concatenate([across_bars, down_bars, np.reshape(level_bars, (-1, 4))])
    _name_points(axes, np.c_[x, y], marks, bars)

    if text:
        add_text(figure, EDGE, EDGE - 0.01, text)
    for line, handles in enumerate(heads):
        legend_at(figure, EDGE, EDGE + 0.15 * bool(text) + 0.14 * line, handles)
    for line, name in enumerate(beyond):
        words = f"beyond the axis: {RANDOM[name]}, mIoU {_number(levels[name], 3)}"
        add_text(figure, EDGE, top + height + 0.3 + 0.12 * line, words, fontsize=SMALL)
    return figure


_DASHES = {"random": "--", "random_small": ":"}


def _prediction_line(prediction: pd.DataFrame | None) -> str:
    """Return the rank correlation of our ranking with its interval and p; empty without a table."""
    if prediction is None:
        return ""
    need_columns(prediction, ["ranking"], "prediction", may_be_empty=["spearman"])
    rows = prediction[prediction["ranking"] == OURS]
    if len(rows) != 1:
        raise DataError(
            f"prediction table has {len(rows)} rows of ranking {OURS}; it must have one"
        )
    row = rows.iloc[0]
    text = f"Spearman {_number(row['spearman'])}"
    low, high = row.get("spearman_low", np.nan), row.get("spearman_high", np.nan)
    if np.isfinite([low, high]).all():
        text += f" [{_number(low)}, {_number(high)}]"
    p = row.get("spearman_p", np.nan)
    if np.isfinite(p):
        text += f", p {format_p(p)}" if p < 0.001 else f", p = {format_p(p)}"
    return text


def _near(scratch: pd.DataFrame, y: np.ndarray, sd: np.ndarray) -> tuple[list[str], list[str]]:
    """Return the random initialisations to draw as lines and those too far from the encoders."""
    spread = np.where(np.isfinite(sd), sd, 0.0)
    low, high = (y - spread).min(), (y + spread).max()
    reach = max(0.5 * (high - low), 0.02)  # further away it would squeeze the encoders together
    levels = {
        name: float(scratch.loc[name, "miou_mean"]) for name in RANDOM if name in scratch.index
    }
    inside = [name for name, level in levels.items() if low - reach <= level <= high + reach]
    return inside, [name for name in levels if name not in inside]


def _limits(values: np.ndarray) -> tuple[float, float]:
    """Return limits of an axis that holds values, with some room around them."""
    low, high = float(values.min()), float(values.max())
    pad = max(0.06 * (high - low), 0.005)
    return low - pad, high + pad


def _number(value: float, digits: int = 2) -> str:
    """Write a number between -1 and 1 as journals do: .84; a dash where there is none."""
    if not np.isfinite(value):
        return "\N{EN DASH}"
    text = f"{round(float(value), digits) + 0.0:.{digits}f}".replace("0.", ".", 1)
    return text.replace("-", "\N{MINUS SIGN}")


# --- Names beside points ---

_MARK = 0.045  # inches from a point within which no name may stand
_LEADER = 0.09  # inches between a name and its point from which on a line joins them
_TRIED = 150  # places whose lines are looked at, the cheapest otherwise
_COVER = 10.0  # cost of a name on another name or a point, in inches further from its point


def _name_points(
    axes: Axes, points: np.ndarray, styles: Sequence[ModelStyle], bars: np.ndarray
) -> None:
    """Write the points' names in the axes, apart from each other and from the points.

    points: (n, 2) and bars: (k, 4), ends of lines that names should rather not cross, in data.
    """
    limits = np.array([axes.get_xlim(), axes.get_ylim()])
    extent = axes.get_window_extent()
    size = np.array([extent.width, extent.height]) / axes.figure.dpi
    scale = size / np.ptp(limits, axis=1)
    origin = limits[:, 0]
    halves = np.array([[text_width([s.label], SMALL) / 2 + 0.012, 0.048] for s in styles])
    inches = (points - origin) * scale
    lines = (bars - np.tile(origin, 2)) * np.tile(scale, 2)
    centres = place_names(inches, halves, size, lines)
    for style, point, centre, half in zip(styles, inches, centres, halves, strict=True):
        x, y = centre / scale + origin
        options = {"ha": "center", "va": "center", "fontsize": SMALL, "color": style.colour}
        axes.text(x, y, style.label, zorder=5, **options)
        end = np.clip(point, centre - half, centre + half)
        if np.linalg.norm(end - point) > _LEADER:
            (x0, y0), (x1, y1) = np.array([point, end]) / scale + origin
            axes.plot([x0, x1], [y0, y1], color=GREY, linewidth=0.4, zorder=2)


def place_names(
    points: np.ndarray, halves: np.ndarray, size: np.ndarray, bars: np.ndarray
) -> np.ndarray:
    """Return centres (n, 2) of names beside their points, in the unit of the points.

    Each name takes the cheapest place of a grid: next to its point, on no other name and no point,
    its line crossing no other. Names in a crowd choose first; two more rounds mend what the first
    could not see.

    points: (n, 2), from the lower left corner; halves: (n, 2) half widths and heights of the
    names; size: (2,) of the area; bars: (k, 4) lines x0, y0, x1, y1 better not covered.
    """
    n = len(points)
    marks = _boxes(points, np.full(2, _MARK))
    crowd = (np.linalg.norm(points[:, None] - points[None], axis=2) < 0.4).sum(axis=1)
    steps = np.arange(0, size[0], 0.08), np.arange(0, size[1], 0.05)  # names are wide and low
    grid = np.stack(np.meshgrid(*steps), axis=-1)
    grid = grid.reshape(-1, 2)
    turns = np.array([(1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (1, -1), (-1, 1), (-1, -1)])
    centres = np.full((n, 2), np.nan)
    for _ in range(3):
        for i in np.argsort(-crowd, kind="stable"):
            others = np.isfinite(centres[:, 0]) & (np.arange(n) != i)
            names = _boxes(centres[others], halves[others])
            beside = points[i] + turns * (halves[i] + _MARK + 0.005)
            inner = np.minimum(halves[i], size / 2)
            places = np.clip(np.concatenate([beside, grid]), inner, size - inner)
            boxes = _boxes(places, halves[i])
            gap = _gaps(boxes, points[i : i + 1])[:, 0]
            cost = gap + 0.04 * _overlap(boxes, bars).sum(axis=1)
            rivals = points[np.arange(n) != i]
            # A name nearer to another point would be taken for that point's.
            cost += 0.15 * (_gaps(boxes, rivals) < gap[:, None] + 0.02).any(axis=1)
            cost += _COVER * _overlap(boxes, np.concatenate([marks, names])).sum(axis=1)
            best = np.argsort(cost, kind="stable")[:_TRIED]
            leaders = _leaders(points[others], names)
            cost = cost[best] + _cost_of_line(
                boxes[best], points[i], np.concatenate([marks[np.arange(n) != i], names]), leaders
            )
            centres[i] = places[best[np.argmin(cost)]]
    return centres


def _cost_of_line(
    boxes: np.ndarray, point: np.ndarray, obstacles: np.ndarray, leaders: np.ndarray
) -> np.ndarray:
    """Return the cost (K,) of the lines to names in boxes (K, 4) and of lines below these names.

    obstacles: (M, 4) points and names that the line should not pass; leaders: (L, 2, 2) lines that
    are there.
    """
    ends = np.clip(point, boxes[:, :2], boxes[:, 2:])
    led = np.linalg.norm(ends - point, axis=1) > _LEADER
    cost = 0.05 * led + 0.2 * led * _touching(ends, point, obstacles).sum(axis=1)
    for start, end in leaders:
        along = start + np.linspace(0, 1, 15)[:, None] * (end - start)
        cost += 0.3 * _overlap(boxes, np.concatenate([along, along], axis=1)).any(axis=1)
        cost += 0.2 * (led & _crossing(ends, point, start, end))
    return cost


def _leaders(points: np.ndarray, names: np.ndarray) -> np.ndarray:
    """Return the lines (L, 2, 2) from points to those of their names that are not next to them."""
    ends = np.clip(points, names[:, :2], names[:, 2:])
    led = np.linalg.norm(ends - points, axis=1) > _LEADER
    return np.stack([points, ends], axis=1)[led]


def _gaps(boxes: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Return the distances (K, M) of boxes (K, 4) from points (M, 2); 0 inside."""
    beside = np.maximum(boxes[:, None, :2] - points, points - boxes[:, None, 2:])
    x, y = np.moveaxis(np.maximum(beside, 0.0), -1, 0)
    return np.hypot(x, y)


def _boxes(centres: np.ndarray, halves: np.ndarray) -> np.ndarray:
    return np.concatenate([centres - halves, centres + halves], axis=1)


def _overlap(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return which boxes (K, 4) and (M, 4), given by two corners, overlap: (K, M)."""
    a, b = first.T[:, :, None], second.T[:, None, :]
    return (a[0] < b[2]) & (b[0] < a[2]) & (a[1] < b[3]) & (b[1] < a[3])


def _touching(ends: np.ndarray, point: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Return which lines from a point to ends (K, 2) pass which boxes (M, 4): (K, M)."""
    share = np.linspace(0, 1, 15)[:, None, None, None]
    x, y = np.moveaxis(point + share * (ends[:, None] - point), -1, 0)
    inside = (x > boxes[:, 0]) & (x < boxes[:, 2]) & (y > boxes[:, 1]) & (y < boxes[:, 3])
    return inside.any(axis=0)


def _crossing(ends: np.ndarray, point: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return which lines from a point to ends (K, 2) cross the line from a to b."""

    def side(p: np.ndarray, q: np.ndarray, r: np.ndarray) -> np.ndarray:
        u, v = q - p, r - p
        return np.sign(u[..., 0] * v[..., 1] - u[..., 1] * v[..., 0])

    apart = side(point, ends, a) * side(point, ends, b) < 0
    return apart & (side(a, b, ends) * side(a, b, np.broadcast_to(point, ends.shape)) < 0)


# --- What choosing gains ---

_CHOICES = {
    "best": "best",
    "choice": "first by similarity",
    "own": "the task's own kind",
    "mean": "mean of all",
    "worst": "worst",
    **RANDOM,
}
_DIFFERENCES = {"regret": "best less choice", "gain_over_mean": "choice less mean of all"}


@styled
def figure_choice(gain: pd.DataFrame, *, models: Models = None) -> Figure:
    """Draw the mIoU of the encoder that similarity puts first beside other choices.

    gain: columns statistic, model, value, low, high (may be empty); statistics "choice", "best",
    "own", "mean", "worst", "random" and "random_small" are drawn, the highest on top, where they
    are there; "regret" and "gain_over_mean" are written above. The choice is filled, others are
    hollow; the names of the encoders stand at the right.
    """
    need_columns(gain, ["statistic", "value"], "choice", may_be_empty=["model", "low", "high"])
    _require_once(gain, "choice", "statistic")
    rows = gain.set_index("statistic")
    if "choice" not in rows.index:
        raise DataError("choice table has no row of statistic choice; make the table again")
    notes = [
        f"{words} {_interval(rows.loc[name])}"
        for name, words in _DIFFERENCES.items()
        if name in rows.index
    ]
    rows = rows.loc[[name for name in _CHOICES if name in rows.index]]
    rows = rows.sort_values("value", ascending=False, kind="stable")
    encoders = ~rows.index.isin([*RANDOM, "mean"])
    styles = task_style(rows["model"][encoders], models)
    named = [
        styles.get(name) if own else None for name, own in zip(rows["model"], encoders, strict=True)
    ]

    n = len(rows)
    roles = [_CHOICES[name] for name in rows.index]
    label = text_width(roles) + 0.08
    values = [_number(value, 3) for value in rows["value"]]
    words = [
        f"{value} {style.label}" if style else value
        for value, style in zip(values, named, strict=True)
    ]
    right = text_width(words, SMALL) + 0.07
    line = 0.13
    top = EDGE + line * len(notes) + 0.14 * bool(type_handles(styles)) + 0.06
    height = 0.17 * n
    figure = new_figure(COLUMN_WIDTH, top + height + 0.34)
    axes = add_axes(figure, EDGE + label, top, COLUMN_WIDTH - 2 * EDGE - label - right, height)
    low, high = rows[["low", "high"]].to_numpy(dtype=float).T
    for y, (statistic, style) in enumerate(zip(rows.index, named, strict=True)):
        colour = style.colour if style else GREY
        if np.isfinite([low[y], high[y]]).all():
            axes.hlines(y, low[y], high[y], color=colour, linewidth=1.0)
        face = colour if statistic == "choice" else "white"
        options = {"color": colour, "markerfacecolor": face, "markersize": 4.2, "zorder": 4}
        axes.plot(rows["value"].iloc[y], y, style.marker if style else "o", **options)
        options = {"xycoords": ("axes fraction", "data"), "textcoords": "offset points"}
        options |= {"va": "center", "fontsize": SMALL, "color": style.colour if style else INK}
        axes.annotate(words[y], (1, y), xytext=(3, 0), **options)
    known = np.isfinite(low) & np.isfinite(high)
    axes.set_xlim(*_limits(np.concatenate([rows["value"], low[known], high[known]])))
    axes.set_ylim(n - 0.45, -0.55)
    for y in range(1, n):
        axes.axhline(y - 0.5, color=PALE, linewidth=0.5, zorder=0)
    axes.set_yticks(range(n), roles)
    for text, statistic in zip(axes.get_yticklabels(), rows.index, strict=True):
        text.set_weight("bold" if statistic == "choice" else "normal")
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.xaxis.set_major_locator(MaxNLocator(3, steps=[1, 2, 5, 10]))
    axes.set_xlabel("mIoU after fine-tuning")
    for k, note in enumerate(notes):
        add_text(figure, EDGE, EDGE - 0.01 + line * k, note)
    legend_at(figure, EDGE, EDGE + line * len(notes) + 0.01, type_handles(styles))
    return figure


def _interval(row: pd.Series) -> str:
    """Write a difference of mIoU with its interval: .007 [.001, .012]."""
    text = _number(row["value"], 3)
    if np.isfinite([row["low"], row["high"]]).all():
        text += f" [{_number(row['low'], 3)}, {_number(row['high'], 3)}]"
    return text


def _require_once(rows: pd.DataFrame, table: str, column: str = "model") -> None:
    """Raise DataError where a model, or another name, has two rows."""
    for name in rows[column][rows[column].duplicated()]:
        raise DataError(f"{table} table has two rows of {column} {name}; leave one out")
