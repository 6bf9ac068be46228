"""Figure of a study: what each measure of transfer loses by its first choice, over the targets."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from taskrsa.figures.files import need_columns
from taskrsa.figures.marks import pale, write_beside
from taskrsa.figures.sheet import (
    COLUMN_WIDTH,
    EDGE,
    Drawn,
    Sheet,
    keyed_sheet,
    line_handle,
    marker_handle,
    pale_rules,
    round_ticks,
    rows_axis,
    text_width,
)
from taskrsa.figures.style import GREY, INK, SERIES, figure
from taskrsa.text import number

_MARKERS = ("o", "s", "^", "v", "P", "X", "<", ">", "h")
_RANDOM = "any"  # the baseline that is a line


@figure(
    name="study",
    title="Which measure chooses well",
    caption="What is lost by fine-tuning the network that a measure puts first, as a share of the "
    "range from chance to the best network: every target, and their mean with its 95 % interval "
    "(Student's t). The combination is the best of all on these targets, so it looks better than "
    "it is. The dotted line is a random pick.",
    alt="Regret of the first choice, by measure, one point a target.",
    category="Study",
    order=130,
    tables={
        "by_target": "tables/study_measures.csv",
        "summary": "tables/study_summary.csv",
    },
    needs=("study",),
)
def figure_study(by_target: pd.DataFrame, summary: pd.DataFrame) -> Drawn:
    """Draw the regret of every measure's first choice.

    summary: columns method, label, measures (empty for baselines), n_targets, regret with _low and
    _high; the one with the least regret on top. Of measures that depend on layers the best is
    drawn, and of combinations the best. by_target: columns target, method, regret (may be empty).
    One column wide.
    """
    ends = ["regret_low", "regret_high"]
    empty = ["measures", "regret"]
    need_columns(
        summary,
        ["method", "label", "n_targets"],
        "summary",
        may_be_empty=[*empty, *ends],
        once=["method"],
    )
    need_columns(by_target, ["target", "method"], "by_target", may_be_empty=["regret"])
    rows = _shown(summary)
    if rows.empty:
        sheet = Sheet(COLUMN_WIDTH, 0.3)
        sheet.text(EDGE, EDGE, "On no target is a network better than chance.")
        return Drawn(sheet.figure, by_target)
    points = by_target[by_target["method"].isin(rows["method"]) & by_target["regret"].notna()]
    targets = list(dict.fromkeys(by_target["target"]))
    looks = {
        target: (SERIES[k % len(SERIES)], _MARKERS[k % len(_MARKERS)])
        for k, target in enumerate(targets)
    }
    keys = [
        [marker_handle(*(colour, target, marker)) for target, (colour, marker) in looks.items()],
        [marker_handle(INK, "mean, 95 % interval", "D")],
    ]
    chance = summary.loc[summary["method"] == _RANDOM, "regret"]
    if len(chance):
        keys[1].append(line_handle(GREY, "a random pick", 0.8, linestyle=":"))

    labels = list(rows["label"])
    words = [number(value, leading_zero=False) for value in rows["regret"]]
    label, beside, height = text_width(labels) + 0.08, text_width(words) + 0.06, 0.19 * len(rows)
    sheet, top = keyed_sheet(COLUMN_WIDTH, keys, height, 0.34)
    axes = sheet.axes(EDGE + label, top, COLUMN_WIDTH - 2 * EDGE - label - beside, height)
    pale_rules(axes, len(rows))
    rows_axis(axes, len(rows))
    axes.set_yticks(range(len(rows)), labels)
    for value in chance:
        axes.axvline(value, color=GREY, linewidth=0.8, linestyle=":", zorder=1)
    _draw_points(axes, rows, points, looks)
    for y, text in enumerate(words):
        write_beside(axes, y, text)
    axes.set_xlim(-0.03, 1.03)
    round_ticks(axes.xaxis, 5)
    axes.set_xlabel("lost by the first choice")
    numbers = points[["target", "method", "regret"]]
    return Drawn(sheet.figure, pd.concat([numbers, rows.assign(target="mean")[[*numbers, *ends]]]))


def _shown(summary: pd.DataFrame) -> pd.DataFrame:
    """Return the rows that are drawn: of each measure its best layer, the best combination, and
    baselines but for a random pick."""
    known = summary[summary["regret"].notna() & (summary["method"] != _RANDOM)]
    measures = known["measures"].fillna("")
    group = measures.where(~measures.str.contains(" "), "combination")
    group = group.where(measures != "", known["method"])
    # Not a layer or a measure that only some of the targets have, if another has more of them.
    places = np.lexsort([known["regret"], -known["n_targets"]])
    chosen = known.iloc[places][~group.iloc[places].duplicated()]
    return chosen.sort_values("regret", kind="stable").reset_index(drop=True)


def _draw_points(axes: Axes, rows: pd.DataFrame, points: pd.DataFrame, looks: dict) -> None:
    """Draw every method's regrets, those of single targets behind their mean."""
    places = {method: y for y, method in enumerate(rows["method"])}
    spread = np.linspace(-0.3, 0.3, len(looks)) if len(looks) > 1 else [0.0]
    for (target, (colour, marker)), shift in zip(looks.items(), spread, strict=True):
        some = points[points["target"] == target]
        look = {"marker": marker, "color": pale(colour, 0.3), "linewidths": 0}
        axes.scatter(some["regret"], some["method"].map(places) + shift, s=9, zorder=2, **look)
    for y, row in enumerate(rows.itertuples()):
        low, high = max(row.regret_low, 0.0), min(row.regret_high, 1.0)
        if np.isfinite([low, high]).all():
            axes.hlines(y, low, high, color=INK, linewidth=1.0, zorder=3)
        look = {"color": INK, "markeredgecolor": "white", "markeredgewidth": 0.3}
        axes.plot(row.regret, y, "D", markersize=3.4, zorder=4, clip_on=False, **look)
