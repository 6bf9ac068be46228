"""What the networks that are trained here have learnt, and how their training went."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes

from taskrsa.errors import DataError
from taskrsa.figures.files import need_columns
from taskrsa.figures.marks import write_above, write_near
from taskrsa.figures.sheet import (
    COLUMN_WIDTH,
    EDGE,
    PAGE_WIDTH,
    Drawn,
    Sheet,
    keyed_sheet,
    line_handle,
    name_ticks,
    round_ticks,
    rows_axis,
    text_width,
    type_handles,
)
from taskrsa.figures.style import GREY, INK, NORMAL, SMALL, ModelStyle, figure, network_styles
from taskrsa.text import number

CUT = -1.0  # share of error removed: one network that diverged must not flatten the others


@figure(
    name="quality",
    title="What the bank learnt",
    caption="Share that every network removes, on validation images, of the error of a predictor "
    "that ignores the image. Near 0, a network has learnt nothing about its task.",
    alt="Share of the constant predictor's error removed, by task.",
    category="Bank",
    order=180,
    tables={"quality": "bank/quality.csv", "networks": "tables/networks.csv"},
    needs=("trained networks",),
)
def figure_quality(quality: pd.DataFrame, networks: pd.DataFrame) -> Drawn:
    """Draw the share of the constant predictor's error that each network removed.

    quality: columns model, error_removed (1: no error left; 0: no better than the best constant;
    negative: worse, as a network that overfits). Bars below -1 are cut, their numbers are not. One
    column wide.
    """
    need_columns(quality, ["model", "error_removed"], "quality")
    styles = network_styles(quality["model"], networks)
    values = quality.set_index("model").loc[list(styles), "error_removed"].to_numpy(dtype=float)
    left = EDGE + text_width(style.label for style in styles.values()) + 0.06
    width = max(COLUMN_WIDTH, left + 1.4)
    height = max(0.55, 0.125 * len(values))
    sheet, top = keyed_sheet(width, [type_handles(styles)], height, 0.36, gap=0.1)
    across = width - left - EDGE - 0.08
    axes = sheet.axes(left, top, across, height)
    axes.barh(range(len(values)), values, height=0.68, color=[s.colour for s in styles.values()])
    for y, value in enumerate(values):
        side, shift = ("left", 2) if value >= 0 else ("right", -2)
        write_near(axes, number(value), (max(value, CUT), y), (shift, 0), ha=side, va="center")
    axes.axvline(0, color=INK, linewidth=0.8)
    # The numbers at the ends of the bars need a third of an inch on either side.
    low, high = max(CUT, min(0.0, values.min())), max(1.0, values.max())
    pad = (high - low) * 0.33 / (across - 0.66)
    axes.set_xlim(low - (pad if low < 0 else 0), high + pad * (values.max() > 0.9))
    rows_axis(axes, len(styles))
    name_ticks(axes.yaxis, styles.values())
    round_ticks(axes.xaxis, 5)
    axes.set_xlabel("share of the constant's error removed")
    write_above(axes, 0, "learnt nothing", points=1.5, ha="left" if low > -0.05 else "center")
    return Drawn(sheet.figure, quality)


@figure(
    name="learning_curves",
    title="Learning curves",
    caption="Training and validation loss as shares of the constant predictor's loss.",
    alt="Training and validation loss by step, for each task.",
    category="Bank",
    order=190,
    tables={
        "curves": "bank/{trained}/learning_curve.csv",
        "quality": "bank/quality.csv",
        "networks": "tables/networks.csv",
    },
    needs=("trained networks",),
    settings=("trained",),
)
def figure_learning_curves(
    curves: Sequence[pd.DataFrame],
    quality: pd.DataFrame,
    networks: pd.DataFrame,
    *,
    trained: Sequence[str],
) -> Drawn:
    """Draw training and validation loss against step, one small panel a network.

    curves: of each network in `trained`, columns step, train_loss, val_loss (empty at steps that
    were not validated). quality: columns model and constant_loss, the loss of the best constant.
    Losses are drawn as shares of it, on one scale for all panels, cut at twice the constant's loss.
    """
    need_columns(quality, ["model", "constant_loss"], "quality")
    constant = quality.set_index("model")["constant_loss"]
    for name, curve in zip(trained, curves, strict=True):
        what = f"learning curve of {name}"
        need_columns(curve, ["step"], what, may_be_empty=["train_loss", "val_loss"])
        if curve[["train_loss", "val_loss"]].isna().all().any():
            raise DataError(f"{what} has no losses; train it again")
        if not constant.get(name, 0) > 0:
            raise DataError(f"quality table has no positive constant_loss of {name}; make it again")
    styles = network_styles(trained, networks)
    losses = dict(zip(trained, curves, strict=True))
    shares = {
        name: losses[name].sort_values("step").set_index("step")[["train_loss", "val_loss"]]
        / constant[name]
        for name in styles
    }
    columns = ["model", "step", "train_loss", "val_loss"]
    numbers = pd.concat([curve.assign(model=name)[columns] for name, curve in losses.items()])
    return Drawn(_draw_panels(shares, styles).figure, numbers)


def _draw_panels(shares: dict[str, pd.DataFrame], styles: dict[str, ModelStyle]) -> Sheet:
    """Draw a panel for each network, five a row, and the key."""
    columns = min(5, len(styles))
    rows = -(-len(styles) // columns)
    gap_x, gap_y, left, panel_y = 0.14, 0.24, EDGE + 0.42, 0.66
    panel_x = (PAGE_WIDTH - left - EDGE - 0.06 - 4 * gap_x) / 5
    width = left + columns * panel_x + (columns - 1) * gap_x + EDGE + 0.06
    lines = [
        line_handle(GREY, "training"),
        line_handle(INK, "validation (in the type's colour)"),
        line_handle(INK, "best constant", 0.8, linestyle=":"),
    ]
    keys = lines, type_handles(styles)
    heights = rows * panel_y, (rows - 1) * gap_y, 0.34
    sheet, top = keyed_sheet(max(width, COLUMN_WIDTH), keys, *heights, gap=0.14)
    last = max(float(share.index.max()) for share in shares.values()) or 1.0
    highest = min(2.0, 1.05 * max(1.0, *(share.max(axis=None) for share in shares.values())))
    for place, (name, style) in enumerate(styles.items()):
        row, column = divmod(place, columns)
        x, y = left + column * (panel_x + gap_x), top + row * (panel_y + gap_y)
        axes = sheet.axes(x, y, panel_x, panel_y)
        _draw_curves(axes, shares[name], style)
        axes.set_xlim(0, last)
        axes.set_ylim(0, highest)
        axes.set_xticks([0, last], ["0", f"{last:.0f}"])
        for text, side in zip(axes.get_xticklabels(), ("left", "right"), strict=True):
            text.set_horizontalalignment(side)  # long numbers must not meet the next panel's
        if place + columns < len(styles):
            axes.tick_params(labelbottom=False)
        else:
            axes.set_xlabel("step", fontsize=SMALL)
        if column:
            axes.tick_params(labelleft=False)
        else:
            axes.set_ylabel("loss / constant's", fontsize=SMALL)
    return sheet


def _draw_curves(axes: Axes, share: pd.DataFrame, style: ModelStyle) -> None:
    """Draw a network's losses, as shares of the constant's, against step."""
    for column, colour in (("train_loss", GREY), ("val_loss", style.colour)):
        known = share[column].dropna()
        alone = "." if len(known) == 1 else ""
        axes.plot(known.index, known, color=colour, linewidth=0.9, marker=alone)
    axes.axhline(1, color=INK, linewidth=0.7, linestyle=":")
    axes.set_title(style.label, color=style.colour, fontsize=NORMAL, pad=2)
    round_ticks(axes.yaxis, 3)
    axes.yaxis.set_major_formatter("{x:.3g}")
    axes.tick_params(labelsize=SMALL)
