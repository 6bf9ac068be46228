"""Trees of networks: reading, turning and drawing them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from scipy.cluster.hierarchy import dendrogram, leaves_list

from taskrsa.figures.sheet import name_ticks, round_ticks
from taskrsa.figures.style import GREY, MATH, ModelStyle


def rotate_tree(linkage: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Swap the two sides of each node so that the leaves follow `places` as far as the tree lets.

    places: (n,) wanted position of each leaf. The tree itself, which joins what at which distance,
    stays as it is.
    """
    linkage = np.array(linkage, dtype=float)
    n = len(linkage) + 1
    total, count = np.zeros(2 * n - 1), np.ones(2 * n - 1)
    total[:n] = places
    for row, (a, b) in enumerate(linkage[:, :2].astype(int)):
        total[n + row], count[n + row] = total[a] + total[b], count[a] + count[b]
        if total[a] / count[a] > total[b] / count[b]:
            linkage[row, :2] = b, a
    return linkage


def flip_tree(linkage: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Mirror a whole tree, which keeps its neighbours, if its leaves follow `places` better so."""
    order = places[leaves_list(linkage)]
    if len(order) > 1 and np.corrcoef(order, np.arange(len(order)))[0, 1] < 0:
        linkage = linkage.copy()
        linkage[:, :2] = linkage[:, 1::-1]
    return linkage


def draw_tree(
    axes: Axes,
    linkage: np.ndarray,
    names: Sequence[str],
    styles: Mapping[str, ModelStyle],
    *,
    root: str = "left",
    distance_label: str,
) -> list[str]:
    """Draw a dendrogram on its side, first leaf on top; return the networks from top to bottom.

    root: "left" or "right", where the root lies; the leaves' names stand on the other side, in
    their types' colours. A branch whose leaves are all of one type takes that type's colour.
    """
    # Node numbers pass through the place of colours, for links come in an order of their own.
    tree = dendrogram(linkage, no_plot=True, link_color_func=str)
    _draw_branches(axes, tree, linkage, [styles[name] for name in names])
    order = [names[leaf] for leaf in tree["leaves"]]
    leaves = [styles[name] for name in order]
    for place, leaf in enumerate(leaves):
        axes.plot(0, place, leaf.marker, color=leaf.colour, markersize=3.2, clip_on=False)
    deepest = float(linkage[:, 2].max()) or 1.0
    axes.set_xlim(0, 1.04 * deepest)
    if root == "left":
        axes.invert_xaxis()
    axes.set_ylim(len(names) - 0.5, -0.5)
    (axes.yaxis.tick_right if root == "left" else axes.yaxis.tick_left)()
    name_ticks(axes.yaxis, leaves)
    axes.tick_params(axis="y", length=0, pad=4)
    axes.spines[["left", "right"]].set_visible(False)
    round_ticks(axes.xaxis, 4)
    axes.set_xlabel(distance_label, **MATH)
    return order


def _draw_branches(
    axes: Axes, tree: Mapping, linkage: np.ndarray, leaves: Sequence[ModelStyle]
) -> None:
    """Draw what `dendrogram` laid out, with the numbers of its nodes as colours."""
    n = len(leaves)
    kinds = [leaf.type or f"leaf {place}" for place, leaf in enumerate(leaves)]
    members = [{kind} for kind in kinds]
    colours = {kind: leaf.colour for kind, leaf in zip(kinds, leaves, strict=True)}
    for a, b in linkage[:, :2].astype(int):
        members.append(members[a] | members[b])

    def colour(node: int) -> str:
        return colours[next(iter(members[node]))] if len(members[node]) == 1 else GREY

    lines, line_colours = [], []
    for i, d, node in zip(tree["icoord"], tree["dcoord"], tree["color_list"], strict=True):
        y = (np.array(i) - 5) / 10
        first, second = linkage[int(node) - n, :2].astype(int)
        lines += [[(d[0], y[0]), (d[1], y[1])], [(d[2], y[2]), (d[3], y[3])]]
        lines += [[(d[1], y[1]), (d[2], y[2])]]
        line_colours += [colour(first), colour(second), colour(int(node))]
    branches = LineCollection(lines, colors=line_colours, linewidths=1.1, capstyle="projecting")
    axes.add_collection(branches)
