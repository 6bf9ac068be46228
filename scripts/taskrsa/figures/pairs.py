"""Scatters of pairs of networks, those of one type in its colour."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from taskrsa.figures.sheet import marker_handle, type_handles
from taskrsa.figures.style import GREY, ModelStyle


def draw_pairs(
    axes: Axes, pairs: pd.DataFrame, x: str, y: str, styles: Mapping[str, ModelStyle]
) -> None:
    """Scatter column y of pairs of networks against x.

    pairs: columns model_a, model_b, x and y.
    """
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
        other.set_markersize(3.5)
        other.set_markerfacecolor("none")
        handles.append(other)
    return handles


def _shared_types(pairs: pd.DataFrame, styles: Mapping[str, ModelStyle]) -> pd.Series:
    """Return the type that both networks of a pair have; "" where they differ or have none."""
    first, second = (
        pairs[column].map(lambda name: styles[name].type) for column in ("model_a", "model_b")
    )
    return first.where(first == second, "")
