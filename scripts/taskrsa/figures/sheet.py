"""The sheet: axes, texts and legends placed in inches, so that text of a fixed size has its room.

Sizes are those of the printed page: a figure is one column (3.25 in) or the page (6.9 in) wide and
is meant to be included without scaling.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import QuadMesh
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from taskrsa.figures.style import LARGE, MATH, NORMAL, OTHER, PALE, ModelStyle, is_other, shorten

COLUMN_WIDTH = 3.25  # inches
PAGE_WIDTH = 6.9  # inches
EDGE = 0.06  # inches of white around every figure
_KEY_LINE = 0.14  # inches from one row of a key to the next


class Drawn(NamedTuple):
    """What the function of a figure returns."""

    figure: Figure
    numbers: pd.DataFrame  # that are drawn
    texts: Mapping[str, str] = MappingProxyType({})  # files besides, by the end of their names


class Sheet:
    """A figure of a size in inches, drawn by Agg and unknown to pyplot.

    `left` and `top` are inches from its upper left corner to that of what is placed.
    """

    def __init__(self, width: float, height: float):
        self.figure = Figure(figsize=(width, height), dpi=150)
        FigureCanvasAgg(self.figure)

    def axes(self, left: float, top: float, width: float, height: float) -> Axes:
        """Add axes of a size in inches."""
        x, y = self._place(left, top + height)
        across, down = self.figure.get_size_inches()
        return self.figure.add_axes((x, y, width / across, height / down))

    def text(self, left: float, top: float, text: str, **options) -> Artist:
        """Write text."""
        options = {"ha": "left", "va": "top", "fontsize": LARGE} | options
        return self.figure.text(*self._place(left, top), text, **options)

    def legend(self, left: float, top: float, handles: list, width: float | None = None) -> int:
        """Add a legend; return its number of rows.

        width: inches it may take, in as few rows as fit; to the sheet's right edge by default.
        """
        width = self.figure.get_size_inches()[0] - left if width is None else width
        for columns in range(len(handles), 0, -1):
            legend = self.figure.legend(
                handles=handles,
                loc="upper left",
                bbox_to_anchor=self._place(left, top),
                ncols=columns,
                columnspacing=1.1,
                handlelength=1.0 if all(h.get_linestyle() == "None" for h in handles) else 1.6,
            )
            if legend.get_window_extent().width / self.figure.dpi <= width or columns == 1:
                return -(-len(handles) // columns)
            legend.remove()
        return 0

    def keys(self, left: float, top: float, *keys: list, width: float | None = None) -> None:
        """Add legends one below the other; `width` as for `legend`."""
        for handles in keys:
            top += _KEY_LINE * self.legend(left, top, handles, width)

    def head(
        self,
        left: float,
        title: str,
        letter: str = "",
        *,
        handles: Sequence[Artist] = (),
        width: float | None = None,
        indent: float = 0.16,
    ) -> None:
        """Write a panel's letter, `indent` before its title, at the top; below, its legend."""
        self.text(left - indent, EDGE, letter, weight="bold", fontsize=LARGE + 1)
        self.text(left, EDGE, title)
        self.legend(left, EDGE + 0.16, list(handles), width)

    def colour_bar(
        self,
        mesh: QuadMesh,
        left: float,
        top: float,
        height: float,
        label: str,
        **options,
    ) -> None:
        """Add a slim upright colour bar."""
        bar = self.figure.colorbar(mesh, cax=self.axes(left, top, 0.07, height), **options)
        bar.outline.set_visible(False)
        bar.set_label(label, **MATH)
        round_ticks(bar.ax.yaxis, 6)

    def _place(self, left: float, top: float) -> tuple[float, float]:
        """Return a point in shares of the sheet, from its lower left corner."""
        across, down = self.figure.get_size_inches()
        return left / across, 1 - top / down


def text_width(labels: Iterable[str], size: float = NORMAL, weight: str = "normal") -> float:
    """Return the width in inches of the widest of the labels at a font size in points."""
    figure = Sheet(1, 1).figure
    texts = [figure.text(0, 0, label, fontsize=size, weight=weight) for label in labels]
    return max((text.get_window_extent().width / figure.dpi for text in texts), default=0.0)


# --- Keys ---


def type_handles(styles: Mapping[str, ModelStyle]) -> list[Line2D]:
    """Return one legend handle per type among the networks, in the order they are drawn.

    Types that share a colour have one handle, which says how many they are.
    """
    seen = {style.type: style for style in styles.values() if style.type}
    others = [kind for kind, style in seen.items() if is_other(style)]
    words = {kind: f"{OTHER} ({len(others)})" for kind in others} if len(others) > 1 else {}
    return [
        marker_handle(style.colour, words.get(kind, shorten(kind)), style.marker)
        for kind, style in seen.items()
        if kind not in others[1:]
    ]


def marker_handle(colour: str, label: str, marker: str = "o") -> Line2D:
    """Return a legend handle that shows a marker alone."""
    size = 3.4 if marker == "D" else 4.2  # a diamond stands on its corner and looks larger
    return Line2D([], [], linestyle="", marker=marker, markersize=size, color=colour, label=label)


def line_handle(colour: str, label: str, linewidth: float = 1, **options) -> Line2D:
    """Return a legend handle that shows a line."""
    return Line2D([], [], color=colour, label=label, linewidth=linewidth, **options)


def keys_height(width: float, *keys: list) -> float:
    """Return the inches that legends, one below the other, take in a width; 0 for empty ones."""
    sheet = Sheet(width, 1)
    return _KEY_LINE * sum(sheet.legend(0, 0, handles, width) for handles in keys)


def keyed_sheet(
    width: float, keys: Sequence[list], *heights: float, gap: float = 0.06, above: float = EDGE
) -> tuple[Sheet, float]:
    """Return a sheet with legends below `above` inches, and where the rest of it begins.

    heights: inches of what stands there, to the lower edge; gap: between it and the legends.
    """
    top = above + keys_height(width - 2 * EDGE, *keys) + gap
    sheet = Sheet(width, sum(heights, start=top))
    sheet.keys(EDGE, above, *keys)
    return sheet, top


# --- Axes ---


def name_ticks(axis: Axis, styles: Iterable[ModelStyle], *, start: float = 0.0, **options) -> None:
    """Name networks in the colours of their types at `start`, `start` + 1, ... of an axis."""
    styles = list(styles)
    axis.set_ticks(np.arange(len(styles)) + start, [s.label for s in styles], **options)
    for text, style in zip(axis.get_ticklabels(), styles, strict=True):
        text.set_color(style.colour)


def round_ticks(axis: Axis, most: int) -> None:
    """Put ticks at round numbers, with at most `most` intervals."""
    axis.set_major_locator(MaxNLocator(most, steps=[1, 2, 5, 10]))


def rows_axis(axes: Axes, n: int, *, low: float = 0.55, high: float = 0.45) -> None:
    """Set up an upright axis of n rows, first on top, without ticks or a line."""
    axes.set_ylim(n - high, -low)
    axes.set_yticks([])
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)


def pale_rules(axes: Axes, n: int) -> None:
    """Draw pale lines between n rows."""
    for y in range(1, n):
        axes.axhline(y - 0.5, color=PALE, linewidth=0.5, zorder=0)


def padded(values: np.ndarray) -> tuple[float, float]:
    """Return limits of an axis that holds values, with some room around them."""
    low, high = float(values.min()), float(values.max())
    pad = max(0.06 * (high - low), 0.005)
    return low - pad, high + pad
