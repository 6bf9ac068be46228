"""The transfer affinities: which source serves which target task."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from taskrsa.figures.checks import need_columns, need_once
from taskrsa.figures.matrices import STRIP, frame_matrix
from taskrsa.figures.sheet import (
    COLUMN_WIDTH,
    EDGE,
    Drawn,
    Sheet,
    keys_height,
    marker_handle,
    text_width,
    type_handles,
)
from taskrsa.figures.style import INK, PALE, SIMILARITY_CMAP, SMALL, figure, network_styles

_BAR = 0.5  # inches: the colour bar with its label
_SCALE = "transfer within its column (s.d.)"
_EXTEND = {
    (True, True): "both",
    (True, False): "min",
    (False, True): "max",
    (False, False): "neither",
}


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
    need_columns(affinity, ["source", "target", "affinity"], "affinity")
    need_once(affinity, "affinity", "source", "target")
    styles = network_styles([*affinity["source"], *affinity["target"]], networks)
    table = affinity.pivot(index="source", columns="target", values="affinity")
    table = table.reindex(
        index=[name for name in styles if name in table.index],
        columns=[name for name in styles if name in table.columns],
    )
    rows, columns = [styles[name] for name in table.index], [styles[name] for name in table.columns]

    row_label = text_width((style.label for style in rows), SMALL) + STRIP + 0.07
    column_label = text_width((style.label for style in columns), SMALL) + STRIP + 0.07
    across = max(COLUMN_WIDTH - 2 * EDGE - row_label - _BAR, 0.0795 * len(columns))
    down = max(text_width([_SCALE]), 0.092 * len(rows))
    left = EDGE + row_label
    width = left + across + _BAR + EDGE
    outline = marker_handle(INK, "own network", "s")
    outline.set_markerfacecolor("none")
    keys = type_handles(styles), [outline, marker_handle(INK, "best other source")]
    top = EDGE + keys_height(width - 2 * EDGE, *keys) + 0.02
    sheet = Sheet(width, top + down + column_label + EDGE)
    axes = sheet.axes(left, top, across, down)
    scores, best = _column_scores(table)
    own = table.index.to_numpy()[:, None] == table.columns.to_numpy()
    reach = np.abs(np.where(np.isfinite(scores) & ~own, scores, 0.0)).max()
    limit = float(min(3.0, max(0.5, np.ceil(2 * reach) / 2)))
    axes.set_facecolor(PALE)
    mesh = axes.pcolormesh(
        np.ma.masked_invalid(scores),
        cmap=SIMILARITY_CMAP,
        vmin=-limit,
        vmax=limit,
        edgecolors="white",
        linewidth=0.25,
    )
    frame_matrix(axes, rows, columns, fontsize=SMALL)
    _mark_cells(axes, own, best)
    beyond = _EXTEND[bool((scores < -limit).any()), bool((scores > limit).any())]
    sheet.colour_bar(mesh, left + across + 0.08, top, down, _SCALE, extend=beyond)
    sheet.keys(EDGE, EDGE, *keys)
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
