"""What several figures draw or write: intervals, notes, pairs of networks, correlations."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import to_hex, to_rgb
from matplotlib.lines import Line2D

from taskrsa.errors import DataError
from taskrsa.figures.files import need_columns
from taskrsa.figures.sheet import marker_handle, type_handles
from taskrsa.figures.style import GREY, INK, PALE, SMALL, ModelStyle
from taskrsa.text import LEAST_P, estimate, number, p_value

UNKNOWN = "\N{EN DASH}"  # stands for a correlation that there is not


def pale(colour: str, share: float) -> str:
    """Return a colour with a share of white mixed in."""
    return to_hex([1 - (1 - part) * (1 - share) for part in to_rgb(colour)])


def draw_whiskers(axes: Axes, low: np.ndarray, high: np.ndarray, places: np.ndarray) -> None:
    """Draw intervals as horizontal lines; none where an end is missing."""
    known = np.isfinite(low) & np.isfinite(high)
    if known.any():
        axes.hlines(places[known], low[known], high[known], color=INK, linewidth=0.7, zorder=3)


def draw_untrained(axes: Axes, rows: pd.DataFrame) -> bool:
    """Draw behind rows 0, 1, ... how alike untrained networks are; return whether it is known.

    rows: three columns, mean of the untrained networks and the ends of their 95 % range (nan for
    none). A pale band from end to end, and a broken line at the mean.
    """
    # A band of one height for each row, so that equal ones join.
    mean, low, high = np.repeat(rows.to_numpy(dtype=float), 2, axis=0).T
    edges = (np.arange(len(rows))[:, None] + [-0.5, 0.5]).ravel()
    if np.isfinite(low).any():
        axes.fill_betweenx(edges, low, high, color=PALE, linewidth=0, zorder=0)
    if np.isfinite(mean).any():
        axes.plot(mean, edges, color=GREY, linewidth=0.8, linestyle="--", zorder=4)
    return bool(np.isfinite(mean).any())


def untrained_handle() -> Line2D:
    """Return the legend handle of `draw_untrained`."""
    label = "untrained networks, mean and 95 % range"
    return Line2D([], [], color=GREY, linewidth=0.8, linestyle="--", label=label)


# --- Words ---


def write_near(
    axes: Axes, text: str, place: tuple[float, float], shift: tuple[float, float], **options
) -> None:
    """Write small text some points away from a place."""
    options = {"fontsize": SMALL} | options
    axes.annotate(text, place, xytext=shift, textcoords="offset points", **options)


def write_beside(axes: Axes, y: float, text: str, *, points: float = 2.5, **options) -> None:
    """Write text to the right of the frame, at the height of a row."""
    options |= {"xycoords": ("axes fraction", "data"), "va": "center"}
    write_near(axes, text, (1, y), (points, 0), **options)


def write_above(axes: Axes, x: float, text: str, *, points: float = 2, **options) -> None:
    """Write text above the frame."""
    options = {"xycoords": ("data", "axes fraction"), "ha": "center"} | options
    write_near(axes, text, (x, 1), (0, points), **options)


def p_equals(p: float) -> str:
    """Return "p = .034", or "p < .001": three decimals at most, which have room above a layer."""
    if p < LEAST_P:
        return f"p {p_value(p, leading_zero=False)}"
    return f"p = {number(p, 3 if p < 0.0995 else 2, leading_zero=False)}"


def agreement_words(
    table: pd.DataFrame, where: Mapping[str, str], what: str, **options
) -> list[str]:
    """Return the two correlations of a table's one row of `what`, with their intervals, in words.

    where: the row's values by column; options: those of `text.estimate`.
    """
    columns = list(where)
    need_columns(table, columns, "agreement", may_be_empty=["pearson", "spearman"])
    rows = table[(table[columns].astype(str) == pd.Series(where)).all(axis=1)]
    if len(rows) != 1:
        raise DataError(f"agreement table has {len(rows)} rows of {what}; make it again")
    return correlations(rows.iloc[0], **options)


def correlations(row: pd.Series, **options) -> list[str]:
    """Return "Pearson 0.62 [0.50, 0.71]", and Spearman's likewise, of a row that has them."""
    return [
        f"{name.title()} "
        + estimate(*(row.get(f"{name}{end}") for end in ("", "_low", "_high")), **options)
        for name in ("pearson", "spearman")
    ]


# --- Pairs of networks ---


def draw_pairs(
    axes: Axes, pairs: pd.DataFrame, x: str, y: str, styles: Mapping[str, ModelStyle]
) -> None:
    """Scatter column y of pairs, model_a and model_b, against x; those of a type in its colour."""
    types = _shared_types(pairs, styles)
    across = pairs[types == ""]
    axes.scatter(across[x], across[y], s=9, c="none", edgecolors=GREY, linewidths=0.6)
    for kind in filter(None, dict.fromkeys(types)):
        style = next(style for style in styles.values() if style.type == kind)
        chosen = pairs[types == kind]
        options = {"marker": style.marker, "color": style.colour, "linewidths": 0, "zorder": 3}
        axes.scatter(chosen[x], chosen[y], s=13, **options)


def pair_handles(pairs: pd.DataFrame, styles: Mapping[str, ModelStyle]) -> list[Line2D]:
    """Return the key of what `draw_pairs` draws."""
    types = set(_shared_types(pairs, styles))
    handles = type_handles({name: s for name, s in styles.items() if s.type in types})
    if "" in types:
        other = marker_handle(GREY, "two types" if handles else "two networks")
        other.set(markersize=3.5, markerfacecolor="none")
        handles.append(other)
    return handles


def _shared_types(pairs: pd.DataFrame, styles: Mapping[str, ModelStyle]) -> pd.Series:
    """Return the type that both networks of a pair have; "" where they differ or have none."""
    types = {name: style.type for name, style in styles.items()}
    first, second = pairs["model_a"].map(types), pairs["model_b"].map(types)
    return first.where(first == second, "")
