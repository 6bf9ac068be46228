"""Figures of the bank itself: how much each network learnt, and how its training went."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator

from taskrsa.errors import DataError
from taskrsa.figures.style import (
    COLUMN_WIDTH,
    EDGE,
    GREY,
    INK,
    NORMAL,
    PAGE_WIDTH,
    SMALL,
    add_axes,
    colour_ticks,
    legend_at,
    need_columns,
    new_figure,
    styled,
    task_style,
    text_width,
    type_handles,
)
from taskrsa.tasks.dictionary import TASKS

FLOOR = -1.0  # share of error removed: one network that diverged must not flatten the others


@styled
def figure_quality(
    quality: pd.DataFrame, *, models: Mapping[str, tuple[str, str]] | None = None
) -> Figure:
    """Draw the share of the constant predictor's error that each network removed.

    quality: columns model, task, error_removed (1: no error left; 0: no better than the best
    constant; negative: worse, as a network that overfits), and type for tasks that neither the
    task dictionary nor `models` knows. Bars below -1 are cut, their numbers are not. One column
    wide.
    """
    need_columns(quality, ["model", "task", "error_removed"], "quality")
    given = dict(models or {})
    if "type" in quality:
        for task, kind in zip(quality["task"], quality["type"], strict=True):
            if task not in TASKS and task not in given and isinstance(kind, str):
                given[task] = (task, kind)
    styles = task_style(quality["task"], given)
    ranks = {task: rank for rank, task in enumerate(styles)}
    rows = quality.assign(_rank=quality["task"].map(ranks)).sort_values("_rank", kind="stable")
    several = rows["task"].duplicated(keep=False)
    labels = [
        f"{styles[task].label} ({model})" if many else styles[task].label
        for task, model, many in zip(rows["task"], rows["model"], several, strict=True)
    ]
    n = len(rows)

    left = EDGE + text_width(labels) + 0.06
    top, height = EDGE + 0.24, max(0.55, 0.125 * n)
    width = max(COLUMN_WIDTH, left + 1.4)
    figure = new_figure(width, top + height + 0.36)
    across = width - left - EDGE - 0.08
    axes = add_axes(figure, left, top, across, height)
    values = rows["error_removed"].to_numpy(dtype=float)
    bars = [styles[task] for task in rows["task"]]
    axes.barh(np.arange(n), values, height=0.68, color=[style.colour for style in bars])
    for y, value in enumerate(values):
        axes.annotate(
            f"{value:.2f}".replace("-", "\N{MINUS SIGN}"),
            (max(value, FLOOR), y),
            xytext=(2 if value >= 0 else -2, 0),
            textcoords="offset points",
            ha="left" if value >= 0 else "right",
            va="center",
            fontsize=SMALL,
        )
    axes.axvline(0, color=INK, linewidth=0.8)
    # The numbers at the ends of the bars need a third of an inch on either side.
    low, high = max(FLOOR, min(0.0, values.min())), max(1.0, values.max())
    pad = (high - low) * 0.33 / (across - 0.66)
    axes.set_xlim(low - (pad if low < 0 else 0), high + pad * (values.max() > 0.9))
    axes.set_ylim(n - 0.45, -0.55)
    axes.set_yticks(np.arange(n), labels)
    axes.tick_params(axis="y", length=0)
    colour_ticks(axes.yaxis, bars)
    axes.spines["left"].set_visible(False)
    axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    axes.set_xlabel("share of the constant's error removed")
    axes.annotate(
        "learnt nothing",
        (0, 1),
        xycoords=("data", "axes fraction"),
        xytext=(0, 1.5),
        textcoords="offset points",
        ha="left" if low > -0.05 else "center",
        fontsize=SMALL,
    )
    legend_at(figure, EDGE, EDGE, type_handles(styles))
    return figure


@styled
def figure_learning_curves(
    curves: pd.DataFrame,
    *,
    models: Mapping[str, tuple[str, str]] | None = None,
    constant_loss: Mapping[str, float] | None = None,
) -> Figure:
    """Draw training and validation loss against step, one small panel a model.

    curves: columns model, step, train_loss, val_loss: the models' learning curves one below the
    other; val_loss may be empty at steps that were not validated. constant_loss: the loss of the
    best constant, by model; with it the losses are drawn as shares of it, on one scale for all
    panels (cut at twice the constant's loss), otherwise each panel has its own scale.
    """
    need_columns(curves, ["model", "step"], "learning curve")
    for column in ("train_loss", "val_loss"):
        if column not in curves:
            raise DataError(f"learning curve table has no column {column}; train the bank again")
        empty = curves.groupby("model")[column].count()
        if (empty == 0).any():
            raise DataError(
                f"learning curve table: model {empty.index[empty == 0][0]} has no {column}; "
                f"train it again or leave it out"
            )
    styles = task_style(curves["model"], models)
    for model in styles if constant_loss is not None else ():
        constant = constant_loss.get(model)
        if constant is None or not constant > 0:
            raise DataError(
                f"learning curve table: model {model} has no positive constant loss; "
                f"add it or draw the losses without constants"
            )
    columns = min(5, len(styles))
    rows = -(-len(styles) // columns)
    shared = constant_loss is not None
    gap_x, gap_y, left, top = 0.14 if shared else 0.42, 0.24, EDGE + 0.42, EDGE + 0.42
    panel_x = (PAGE_WIDTH - left - EDGE - 0.06 - 4 * gap_x) / 5
    panel_y = 0.66
    width = left + columns * panel_x + (columns - 1) * gap_x + EDGE + 0.06
    figure = new_figure(max(width, COLUMN_WIDTH), top + rows * panel_y + (rows - 1) * gap_y + 0.34)
    last = float(curves["step"].max())
    highest = 1.0
    for place, (model, style) in enumerate(styles.items()):
        row, column = divmod(place, columns)
        axes = add_axes(
            figure,
            left + column * (panel_x + gap_x),
            top + row * (panel_y + gap_y),
            panel_x,
            panel_y,
        )
        some = curves[curves["model"] == model].sort_values("step")
        unit = float(constant_loss[model]) if shared else 1.0
        for name, colour in (("train_loss", GREY), ("val_loss", style.colour)):
            known = some[some[name].notna()]
            loss = known[name] / unit
            highest = max(highest, loss.max())
            alone = "." if len(known) == 1 else ""
            axes.plot(known["step"], loss, color=colour, linewidth=0.9, marker=alone)
        if shared:
            axes.axhline(1, color=INK, linewidth=0.7, linestyle=":")
        axes.set_title(style.label, color=style.colour, fontsize=NORMAL, pad=2)
        axes.set_xlim(0, last or 1)
        axes.set_xticks([0, last or 1], ["0", f"{last:.0f}"])
        for text, side in zip(axes.get_xticklabels(), ("left", "right"), strict=True):
            text.set_horizontalalignment(side)  # long numbers must not meet the next panel's
        axes.yaxis.set_major_locator(MaxNLocator(3, steps=[1, 2, 5, 10]))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.3g}"))
        axes.tick_params(labelsize=SMALL)
        if place + columns < len(styles):
            axes.tick_params(labelbottom=False)
        else:
            axes.set_xlabel("step", fontsize=SMALL)
        if column:
            axes.tick_params(labelleft=not shared)
        else:
            axes.set_ylabel("loss / constant's" if shared else "loss", fontsize=SMALL)
    if shared:
        for axes in figure.axes:
            axes.set_ylim(0, min(2.0, 1.05 * highest))
    handles = [
        Line2D([], [], color=GREY, label="training", linewidth=1),
        Line2D([], [], color=INK, label="validation (in the type's colour)", linewidth=1),
    ]
    if shared:
        handles.append(
            Line2D([], [], color=INK, label="best constant", linewidth=0.8, linestyle=":")
        )
    legend_at(figure, EDGE, EDGE, handles)
    legend_at(figure, EDGE, EDGE + 0.14, type_handles(styles))
    return figure
