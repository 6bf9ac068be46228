"""One look for all figures: fonts, sizes, colours, order and names of models and layers.

Sizes are those of the printed page: a figure is one column (3.25 in) or the page (6.9 in) wide and
is meant to be included without scaling. Nothing here touches the global state of Matplotlib:
`styled` sets the parameters for the time of one call.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import wraps

import matplotlib.style
import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import is_color_like, to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from taskrsa.errors import DataError
from taskrsa.tasks.dictionary import TASKS, TYPE_COLOURS

COLUMN_WIDTH = 3.25  # inches
PAGE_WIDTH = 6.9  # inches
EDGE = 0.06  # inches of white around every figure
SMALL = 5.5  # points; no text is smaller
NORMAL = 6.2  # points; names of tasks, numbers on axes
LARGE = 7.0  # points; titles

INK = "#222222"
GREY = "#8a8a8a"
PALE = "#e6e6e6"
SIMILARITY_CMAP = "viridis"  # even in lightness, safe for the colour-blind, readable in grey

RC = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],  # comes with Matplotlib: the same bytes on every machine
    "font.size": NORMAL,
    "axes.titlesize": LARGE,
    "axes.labelsize": NORMAL,
    "xtick.labelsize": NORMAL,
    "ytick.labelsize": NORMAL,
    "legend.fontsize": NORMAL,
    "legend.frameon": False,
    "legend.handletextpad": 0.4,
    "legend.borderaxespad": 0.0,
    "legend.borderpad": 0.0,
    "axes.linewidth": 0.5,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.labelpad": 2.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.major.width": 0.5,
    "ytick.major.width": 0.5,
    "xtick.major.size": 2.0,
    "ytick.major.size": 2.0,
    "xtick.major.pad": 2.0,
    "ytick.major.pad": 2.0,
    "lines.linewidth": 1.0,
    "lines.markersize": 3.5,
    "pdf.fonttype": 42,  # text stays text: it can be searched, selected and edited
    "ps.fonttype": 42,
    "savefig.dpi": 300,
}

Models = Mapping[str, tuple[str, str]] | None

# For curves that are not types: Okabe and Ito's colours, told apart by all readers.
SERIES = ("#0072b2", "#d55e00", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#7f6a00")
# For models without a type and types of the user's own: none close to the paper's four.
CYCLE = ("#b87400", "#2a9fd6", "#5c5c5c", "#7a4a2b", "#00897b", "#8e6bbf", "#000000", "#8f8f00")
# Red and green, or blue and magenta, may look alike to a reader: types differ in shape as well.
_MARKERS = ("o", "s", "D", "^", "v", "P", "X", "p")

LAYERS = {
    "block1": "block 1",
    "block2": "block 2",
    "block3": "block 3",
    "block4": "block 4",
    "compressed": "compressed encoder output",
    "labels": "labels",
}


def styled(function: Callable) -> Callable:
    """Run a drawing function under `RC`, whatever the user's own Matplotlib settings are."""

    @wraps(function)
    def wrapper(*args, **kwargs):
        with matplotlib.style.context(RC, after_reset=True):
            return function(*args, **kwargs)

    return wrapper


@dataclass(frozen=True)
class ModelStyle:
    """How one model is written and drawn."""

    label: str
    type: str  # "" when the model has none
    colour: str  # "#rrggbb"
    marker: str


def task_style(
    models: Iterable[str], given: Mapping[str, tuple[str, str]] | None = None
) -> dict[str, ModelStyle]:
    """Return label, type, colour and marker of each model, in the order they are drawn.

    `given` maps a model to (label, type) or (label, colour) and comes first; then the task
    dictionary is asked; a model that neither knows is written by its own name and takes the next
    colour of a cycle. Types other than the paper's four take a colour of the cycle each. The order
    is that of the paper's figures, type by type; models that are not in the task dictionary follow
    those of their type as they came, and models without a type come last.
    """
    given = given or {}
    names = list(dict.fromkeys(models))
    labels, types, colours = {}, {}, {}
    for name in names:
        if name in given:
            label, kind = given[name]
            plain_colour = kind not in TYPE_COLOURS and is_color_like(kind)
            labels[name], types[name] = label, "" if plain_colour else kind
            if plain_colour:
                colours[name] = to_hex(kind)
        elif name in TASKS:
            labels[name], types[name] = TASKS[name].label, TASKS[name].type
        else:
            labels[name], types[name] = name, ""

    kinds = list(TYPE_COLOURS)
    kinds += [k for k in dict.fromkeys(types.values()) if k and k not in TYPE_COLOURS]
    cycle = iter(CYCLE * (1 + len(names) // len(CYCLE)))
    type_colours = {k: TYPE_COLOURS[k] if k in TYPE_COLOURS else next(cycle) for k in kinds}
    rows = {task: row for row, task in enumerate(TASKS)}

    def place(name: str) -> tuple[int, int, int]:
        rank = kinds.index(types[name]) if types[name] else len(kinds)
        return rank, rows.get(name, len(rows)), names.index(name)

    styles = {}
    for name in sorted(names, key=place):
        kind = types[name]
        colour = type_colours[kind] if kind else colours.get(name) or next(cycle)
        marker = _MARKERS[kinds.index(kind) % len(_MARKERS)] if kind else "o"
        styles[name] = ModelStyle(shorten(str(labels[name])), kind, colour, marker)
    return styles


def shorten(label: str, length: int = 24) -> str:
    """Cut the middle out of a label longer than `length` characters; its two ends stay."""
    if len(label) <= length:
        return label
    tail = length // 3
    return f"{label[: length - tail - 1]}…{label[-tail:]}"


def layer_order(layers: Iterable[str]) -> list[str]:
    """Return the layers from input to output, then others as they came, the task labels last."""
    names = list(dict.fromkeys(layers))
    inner = [name for name in LAYERS if name in names and name != "labels"]
    other = [name for name in names if name not in LAYERS]
    return inner + other + [name for name in names if name == "labels"]


def layer_label(layer: str, short: bool = False) -> str:
    """Return a layer's name in figures; `short` for ticks."""
    if short and layer == "compressed":
        return "com-\npressed"
    label = LAYERS.get(layer, layer)
    return label.replace(" ", "\n") if short else label


def need_columns(
    frame: pd.DataFrame, columns: Sequence[str], table: str, *, may_be_empty: Sequence[str] = ()
) -> None:
    """Raise DataError when the table lacks a column, has no rows, or lacks a value in a column.

    may_be_empty: further columns that must be there, but need not hold a value in every row.
    """
    missing = [column for column in [*columns, *may_be_empty] if column not in frame.columns]
    if missing:
        raise DataError(
            f"{table} table has no column {', '.join(missing)}; it has "
            f"{', '.join(map(str, frame.columns))}; make the table again"
        )
    if not len(frame):
        raise DataError(f"{table} table has no rows; make the table again")
    for column in columns:
        empty = frame[column].isna().to_numpy()
        if empty.any():
            row = int(np.flatnonzero(empty)[0])
            here = ", ".join(f"{c} {frame[c].iloc[row]}" for c in columns if c != column)
            raise DataError(
                f"{table} table has no value of {column} at {here}; make the table again or "
                f"leave that row out"
            )


# --- Sheets: axes placed in inches, so that text of a fixed size always finds its room ---


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure of a size in inches, drawn by Agg and unknown to pyplot."""
    figure = Figure(figsize=(width, height), dpi=150)
    FigureCanvasAgg(figure)
    return figure


def add_axes(figure: Figure, left: float, top: float, width: float, height: float) -> Axes:
    """Add axes by the inches of their upper left corner, from the figure's, and their size."""
    across, down = figure.get_size_inches()
    return figure.add_axes(
        (left / across, 1 - (top + height) / down, width / across, height / down)
    )


def add_text(figure: Figure, left: float, top: float, text: str, **options) -> Artist:
    """Write text whose upper left corner lies at inches from the figure's upper left corner."""
    across, down = figure.get_size_inches()
    options = {"ha": "left", "va": "top", "fontsize": LARGE} | options
    return figure.text(left / across, 1 - top / down, text, **options)


def text_width(labels: Iterable[str], size: float = NORMAL, weight: str = "normal") -> float:
    """Return the width in inches of the widest of the labels at a font size in points."""
    figure = new_figure(1, 1)
    renderer = figure.canvas.get_renderer()
    widest = 0.0
    for label in labels:
        box = figure.text(0, 0, label, fontsize=size, weight=weight).get_window_extent(renderer)
        widest = max(widest, box.width / figure.dpi)
    return widest


def type_handles(styles: Mapping[str, ModelStyle]) -> list[Line2D]:
    """Return one legend handle per type among the models, in the order they are drawn."""
    seen = {style.type: style for style in styles.values() if style.type}
    return [marker_handle(s.colour, kind, s.marker) for kind, s in seen.items()]


def marker_handle(colour: str, label: str, marker: str = "o") -> Line2D:
    """Return a legend handle that shows a marker alone."""
    size = 3.4 if marker == "D" else 4.2  # a diamond stands on its corner and looks larger
    return Line2D([], [], linestyle="", marker=marker, markersize=size, color=colour, label=label)


def legend_at(
    figure: Figure, left: float, top: float, handles: list, width: float | None = None
) -> None:
    """Put a legend's upper left corner at inches from the figure's, in as few rows as fit.

    width: inches it may take; to the figure's right edge by default.
    """
    if not handles:
        return
    across, down = figure.get_size_inches()
    width = across - left if width is None else width
    for columns in range(len(handles), 0, -1):
        legend = figure.legend(
            handles=handles,
            loc="upper left",
            bbox_to_anchor=(left / across, 1 - top / down),
            ncols=columns,
            columnspacing=1.1,
            handlelength=1.0 if all(h.get_linestyle() == "None" for h in handles) else 1.6,
        )
        extent = legend.get_window_extent(figure.canvas.get_renderer()).width / figure.dpi
        if extent <= width or columns == 1:
            return
        legend.remove()


def panel_head(
    figure: Figure, left: float, width: float, letter: str, title: str, handles: list
) -> None:
    """Write a panel's letter and title and, below, its legend."""
    if letter:
        add_text(figure, left - 0.16, EDGE, letter, weight="bold", fontsize=LARGE + 1)
    add_text(figure, left, EDGE, title)
    legend_at(figure, left, EDGE + 0.16, handles, width)


def colour_bar(
    figure: Figure,
    mesh,
    left: float,
    top: float,
    height: float,
    label: str = "similarity (Spearman's $r_s$ of the RDMs)",
    **options,
) -> None:
    """Add a slim upright colour bar whose upper left corner lies at inches from the figure's."""
    axes = add_axes(figure, left, top, 0.07, height)
    bar = figure.colorbar(mesh, cax=axes, **options)
    bar.outline.set_visible(False)
    bar.set_label(label)
    bar.ax.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))


def colour_ticks(axis, styles: Sequence[ModelStyle]) -> None:
    """Colour the tick labels of an axis, in order, by their models' types."""
    for text, style in zip(axis.get_ticklabels(), styles, strict=True):
        text.set_color(style.colour)


def format_p(p: float) -> str:
    """Write a p value as journals do: .034, < .001."""
    if p < 0.001:
        return "< .001"
    return f"{p:.3f}".lstrip("0") if p < 0.0995 else f"{p:.2f}".lstrip("0")
