"""Figures of the task taxonomy: Figures 4, 5 and 6 of the paper (section 6.1), and what backs them.

All functions take tables as the workflow writes them (pandas DataFrames) and return a Matplotlib
Figure of printed size. `models` maps models that are not in the task dictionary to (label, type) or
(label, colour); see `style.task_style`. A missing column, layer, pair or value raises DataError.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from taskrsa.errors import DataError
from taskrsa.figures.style import (
    COLUMN_WIDTH,
    EDGE,
    GREY,
    INK,
    LARGE,
    NORMAL,
    PAGE_WIDTH,
    PALE,
    SERIES,
    SIMILARITY_CMAP,
    SMALL,
    Models,
    ModelStyle,
    add_axes,
    add_text,
    colour_bar,
    colour_ticks,
    format_p,
    layer_label,
    layer_order,
    legend_at,
    marker_handle,
    need_columns,
    new_figure,
    panel_head,
    styled,
    task_style,
    text_width,
    type_handles,
)

STRIP = 0.05  # inches: width of the coloured strips that mark the types beside a matrix
GAP = 0.02  # inches between a matrix and its strips


# --- Similarity matrices ---


def similarity_matrix(similarity: pd.DataFrame, layer: str) -> pd.DataFrame:
    """Return the symmetric matrix of one layer of the similarity table.

    similarity: columns layer, model_a, model_b, rs; each pair once or in both orders, with or
    without the diagonal, which is 1 whatever the table says of it. Raises DataError for an absent
    layer, a pair without a value, or a pair with two different values.
    """
    table = "similarity"
    need_columns(similarity, ["layer", "model_a", "model_b", "rs"], table)
    rows = similarity[similarity["layer"] == layer]
    if rows.empty:
        found = ", ".join(dict.fromkeys(similarity["layer"]))
        raise DataError(f"{table} table has no layer {layer}; it has {found}; compute that layer")
    names = list(dict.fromkeys([*rows["model_a"], *rows["model_b"]]))
    index = {name: i for i, name in enumerate(names)}
    matrix = np.full((len(names), len(names)), np.nan)
    for a, b, rs in zip(rows["model_a"], rows["model_b"], rows["rs"], strict=True):
        i, j = index[a], index[b]
        if i != j and not np.isnan(matrix[i, j]) and abs(matrix[i, j] - rs) > 1e-6:
            raise DataError(
                f"{table} table: layer {layer} has two values for {a} and {b} "
                f"({matrix[i, j]:.4f}, {rs:.4f}); leave one out"
            )
        matrix[i, j] = matrix[j, i] = rs
    np.fill_diagonal(matrix, 1.0)
    if np.isnan(matrix).any():
        i, j = np.argwhere(np.isnan(matrix))[0]
        raise DataError(
            f"{table} table: layer {layer} has no value for {names[i]} and {names[j]}; "
            f"add the pair or leave one of the two models out"
        )
    return pd.DataFrame(matrix, names, names)


def colour_limits(matrices: Sequence[pd.DataFrame]) -> tuple[float, float]:
    """Return the limits of one colour scale for all matrices, diagonals aside.

    0 is always within, so that a pale difference cannot look like a strong one; the limits are
    rounded outwards to tenths, at most 1.
    """
    values = [m.to_numpy()[~np.eye(len(m), dtype=bool)] for m in matrices]
    values = np.concatenate([v[np.isfinite(v)] for v in values] + [np.zeros(1)])
    low = np.floor(round(float(values.min()) * 10, 6)) / 10
    high = np.ceil(round(float(values.max()) * 10, 6)) / 10
    return float(low), float(min(1.0, max(high, low + 0.1)))


def draw_matrix(
    axes: Axes,
    matrix: pd.DataFrame,
    styles: Mapping[str, ModelStyle],
    limits: tuple[float, float],
    *,
    row_labels: bool = True,
    column_labels: bool = True,
    fontsize: float = NORMAL,
) -> None:
    """Draw a similarity matrix in the order of `styles`, its types marked by strips and lines.

    The diagonal, 1 by definition, is grey and takes no part in the colour scale; so are models of
    `styles` that the matrix lacks.
    """
    import seaborn

    names, n = list(styles), len(styles)
    square = matrix.reindex(index=names, columns=names)
    hidden = np.eye(n, dtype=bool) | square.isna().to_numpy()
    axes.set_facecolor(PALE)
    seaborn.heatmap(
        square,
        mask=hidden,
        ax=axes,
        vmin=limits[0],
        vmax=limits[1],
        cmap=SIMILARITY_CMAP,
        cbar=False,
        linewidths=0.25,
        linecolor="white",
        xticklabels=False,
        yticklabels=False,
    )
    axes.set(xlabel="", ylabel="")
    rows = list(styles.values())
    mark_types(axes, rows, rows)
    axes.set_xlim(0, n)
    axes.set_ylim(n, 0)
    if row_labels:
        name_cells(axes.yaxis, rows, fontsize)
    if column_labels:
        name_cells(axes.xaxis, rows, fontsize)


def mark_types(axes: Axes, rows: Sequence[ModelStyle], columns: Sequence[ModelStyle]) -> None:
    """Mark the types of a matrix's rows and columns by strips at the left and below, and by lines.

    Cells are 1 x 1, from 0; the first row is on top.
    """
    width, height = axes.get_figure().get_size_inches()
    side = axes.get_position()
    unit_x = len(columns) / (side.width * width)  # cells an inch
    unit_y = len(rows) / (side.height * height)
    inset = 0.08
    for models, down in ((rows, True), (columns, False)):
        line = axes.axhline if down else axes.axvline
        start = 0
        for kind, count in _runs([style.type for style in models]):
            if start:
                line(start, color=INK, linewidth=0.6)
            if kind:
                length = count - 2 * inset
                if down:
                    box = (-(GAP + STRIP) * unit_x, start + inset), STRIP * unit_x, length
                else:
                    box = (start + inset, len(rows) + GAP * unit_y), length, STRIP * unit_y
                colour = models[start].colour
                bar = Rectangle(*box, facecolor=colour, edgecolor="none", clip_on=False)
                axes.add_patch(bar)
            start += count


def name_cells(axis: Axis, models: Sequence[ModelStyle], fontsize: float) -> None:
    """Write the models' names in their colours at the rows or columns of a matrix."""
    rotation, options = (0, {"va": "center"}) if axis.axis_name == "y" else (90, {"ha": "center"})
    centres = np.arange(len(models)) + 0.5
    axis.set_ticks(centres, [m.label for m in models], rotation=rotation, **options)
    axis.set_tick_params(length=0, pad=(GAP + STRIP) * 72 + 2, labelsize=fontsize)
    colour_ticks(axis, models)


def _runs(kinds: Sequence[str]) -> list[tuple[str, int]]:
    """Return runs of equal neighbours as (value, length)."""
    runs: list[tuple[str, int]] = []
    for kind in kinds:
        if runs and runs[-1][0] == kind:
            runs[-1] = (kind, runs[-1][1] + 1)
        else:
            runs.append((kind, 1))
    return runs


# --- Trees ---


def check_tree(linkage: np.ndarray, names: Sequence[str], what: str = "tree") -> np.ndarray:
    """Return a SciPy linkage as a float array; raise DataError where it does not fit `names`."""
    linkage = np.asarray(linkage, dtype=float)
    n = len(names)
    if n < 2:
        raise DataError(f"{what}: {n} model(s) make no tree; give at least two")
    if linkage.shape != (n - 1, 4):
        raise DataError(
            f"{what}: linkage of shape {linkage.shape} does not join {n} models "
            f"({names[0]} ... {names[-1]}); it must be {(n - 1, 4)}; make tree and names together"
        )
    if not np.isfinite(linkage).all():
        row = int(np.argwhere(~np.isfinite(linkage))[0][0])
        raise DataError(f"{what}: row {row} of the linkage has no value; cluster again")
    if len(set(names)) < n:
        twice = next(name for name in names if list(names).count(name) > 1)
        raise DataError(f"{what}: model {twice} is named twice; give each leaf its own name")
    return linkage


def rotate_tree(linkage: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Swap the two sides of each node so that the leaves follow `places` as far as the tree lets.

    places: (n,) wanted position of each leaf, nan where none is wanted. The tree itself, which
    joins what at which distance, stays as it is.
    """
    linkage = np.array(linkage, dtype=float)
    n = len(linkage) + 1
    total = np.zeros(2 * n - 1)
    count = np.zeros(2 * n - 1)
    known = np.isfinite(places)
    total[:n][known], count[:n] = np.asarray(places)[known], known
    for row, (a, b) in enumerate(linkage[:, :2].astype(int)):
        total[n + row], count[n + row] = total[a] + total[b], count[a] + count[b]
        if count[a] and count[b] and total[a] / count[a] > total[b] / count[b]:
            linkage[row, :2] = b, a
    return linkage


def draw_tree(
    axes: Axes,
    linkage: np.ndarray,
    names: Sequence[str],
    styles: Mapping[str, ModelStyle],
    *,
    root: str = "left",
    fontsize: float = NORMAL,
    distance_label: str = "distance",
) -> list[str]:
    """Draw a dendrogram on its side, first leaf on top; return the models from top to bottom.

    root: "left" or "right", where the root lies; the leaves' names stand on the other side, in
    their types' colours. A branch whose leaves are all of one type takes that type's colour.
    """
    from scipy.cluster.hierarchy import dendrogram

    linkage = check_tree(linkage, names)
    n = len(names)
    members: list[set[str]] = [{styles[name].type or name} for name in names]
    colours = {styles[name].type or name: styles[name].colour for name in names}
    for a, b in linkage[:, :2].astype(int):
        members.append(members[a] | members[b])

    def colour(node: int) -> str:
        return colours[next(iter(members[node]))] if len(members[node]) == 1 else GREY

    # Node numbers pass through the place of colours, for links come in an order of their own.
    tree = dendrogram(linkage, no_plot=True, link_color_func=str)
    lines, line_colours = [], []
    for i, d, node in zip(tree["icoord"], tree["dcoord"], tree["color_list"], strict=True):
        y = (np.array(i) - 5) / 10
        first, second = linkage[int(node) - n, :2].astype(int)
        lines += [[(d[0], y[0]), (d[1], y[1])], [(d[2], y[2]), (d[3], y[3])]]
        lines += [[(d[1], y[1]), (d[2], y[2])]]
        line_colours += [colour(first), colour(second), colour(int(node))]
    axes.add_collection(
        LineCollection(lines, colors=line_colours, linewidths=1.1, capstyle="projecting")
    )
    order = [names[leaf] for leaf in tree["leaves"]]
    for place, name in enumerate(order):
        style = styles[name]
        axes.plot(0, place, style.marker, color=style.colour, markersize=3.2, clip_on=False)
    deepest = float(linkage[:, 2].max()) or 1.0
    near, far = 0.0, 1.04 * deepest
    axes.set_xlim(*((far, near) if root == "left" else (near, far)))
    axes.set_ylim(n - 0.5, -0.5)
    axes.set_yticks(np.arange(n), [styles[name].label for name in order], fontsize=fontsize)
    axes.tick_params(axis="y", length=0, pad=4)
    (axes.yaxis.tick_right if root == "left" else axes.yaxis.tick_left)()
    axes.tick_params(axis="y", length=0)
    colour_ticks(axes.yaxis, [styles[name] for name in order])
    for side in ("left", "right"):
        axes.spines[side].set_visible(False)
    axes.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
    axes.set_xlabel(distance_label)
    return order


# --- Figure 4 ---


@styled
def figure4(
    similarity: pd.DataFrame,
    linkage: np.ndarray,
    names: Sequence[str],
    *,
    layer: str = "compressed",
    models: Models = None,
    distance_label: str = "distance",
) -> Figure:
    """Draw Figure 4: (a) the task similarity matrix and (b) the task similarity tree.

    similarity: the similarity table; linkage: (n - 1, 4) SciPy linkage of the models `names`, in
    the order of its leaves' numbers. The tree's branches are turned (optimal leaf ordering) so
    that similar neighbours stand together. Wider than the page beyond about 28 models.
    """
    from scipy.cluster.hierarchy import optimal_leaf_ordering

    matrix = similarity_matrix(similarity, layer)
    linkage = check_tree(linkage, names, "figure 4 tree")
    absent = [name for name in names if name not in matrix.index]
    if absent:
        raise DataError(
            f"figure 4 tree: model {absent[0]} is not in the similarity table; "
            f"make the tree from the same table"
        )
    styles = task_style(names, models)
    matrix = matrix.loc[list(names), list(names)]
    n = len(names)
    if n > 2:
        upper = 1 - matrix.to_numpy()[np.triu_indices(n, 1)]
        linkage = optimal_leaf_ordering(linkage, np.clip(upper, 0, None))
    # Read from top to bottom, the tree starts where the matrix does.
    rows = {name: row for row, name in enumerate(styles)}
    linkage = _flip(linkage, np.array([rows[name] for name in names]))

    label = text_width(style.label for style in styles.values()) + STRIP + 0.09
    side = float(np.clip(n * 0.118, 1.7, 2.36)) if n <= 24 else n * 0.098
    top = 0.24
    bar = EDGE + label + side + 0.08
    tree_left = bar + 0.52
    leaves = label - STRIP
    tree_width = max(1.2, PAGE_WIDTH - EDGE - leaves - tree_left)
    width = tree_left + tree_width + leaves + EDGE
    figure = new_figure(width, top + side + label + EDGE)

    add_text(figure, EDGE + label - 0.14, EDGE, "a", weight="bold", fontsize=LARGE + 1)
    add_text(figure, EDGE + label, EDGE, "Task similarity matrix")
    axes = add_axes(figure, EDGE + label, top, side, side)
    draw_matrix(axes, matrix, styles, colour_limits([matrix]))
    colour_bar(figure, axes.collections[0], bar, top, side)

    add_text(figure, tree_left - 0.14, EDGE, "b", weight="bold", fontsize=LARGE + 1)
    add_text(figure, tree_left, EDGE, "Task similarity tree")
    axes = add_axes(figure, tree_left, top, tree_width, side)
    draw_tree(axes, linkage, names, styles, distance_label=distance_label)
    legend_at(figure, tree_left, top + side + 0.42, type_handles(styles))
    return figure


def _flip(linkage: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Mirror a whole tree, which keeps its neighbours, if its leaves follow `places` better so."""
    from scipy.cluster.hierarchy import leaves_list

    order = places[leaves_list(linkage)]
    if len(order) > 1 and np.corrcoef(order, np.arange(len(order)))[0, 1] < 0:
        linkage = linkage.copy()
        linkage[:, :2] = linkage[:, 1::-1]
    return linkage


# --- Figure 5 ---


@styled
def figure5(
    similarity: pd.DataFrame, *, layers: Sequence[str] | None = None, models: Models = None
) -> Figure:
    """Draw Figure 5: the similarity matrices of all layers, and of the task labels, on one scale.

    similarity: the similarity table; layers: those to draw, all in it by default. Three panels a
    row; tasks are named on the left and at the bottom and marked by coloured strips elsewhere. A
    layer may lack a model (a task without labels): its cells stay grey. Wider than the page beyond
    20 models.
    """
    need_columns(similarity, ["layer", "model_a", "model_b", "rs"], "similarity")
    layers = list(layers or layer_order(similarity["layer"]))
    matrices = {layer: similarity_matrix(similarity, layer) for layer in layers}
    limits = colour_limits(list(matrices.values()))
    styles = task_style([name for matrix in matrices.values() for name in matrix.index], models)
    n = len(styles)

    columns = min(3, len(layers))
    rows = -(-len(layers) // columns)
    label = text_width((s.label for s in styles.values()), SMALL) + STRIP + 0.07
    gap, title, strip, bar = 0.1, 0.19, STRIP + 0.06, 0.48
    room = (PAGE_WIDTH - 2 * EDGE - label - bar - (columns - 1) * (gap + strip)) / columns
    side = max(min(room, 1.9), n * 0.0795)
    width = 2 * EDGE + label + columns * side + (columns - 1) * (gap + strip) + bar
    key = 0.22
    height = 2 * EDGE + rows * (title + side + strip) + label - strip + key
    figure = new_figure(max(width, COLUMN_WIDTH), height)

    for place, (layer, matrix) in enumerate(matrices.items()):
        row, column = divmod(place, columns)
        left = EDGE + label + column * (side + gap + strip)
        top = EDGE + title + row * (title + side + strip)
        axes = add_axes(figure, left, top, side, side)
        below = place + columns >= len(layers)
        draw_matrix(
            axes,
            matrix,
            styles,
            limits,
            row_labels=column == 0,
            column_labels=below,
            fontsize=SMALL,
        )
        axes.set_title(f"{place + 1}  {layer_label(layer)}", pad=2.5, loc="left")
    colour_bar(
        figure,
        figure.axes[0].collections[0],
        EDGE + label + columns * side + (columns - 1) * (gap + strip) + 0.08,
        EDGE + title,
        (rows - 1) * (title + side + strip) + side,
    )
    legend_at(figure, EDGE + label, height - EDGE - 0.12, type_handles(styles))
    return figure


# --- Figure 6 ---


@styled
def figure6(
    ours: tuple[np.ndarray, Sequence[str]],
    taskonomy: tuple[np.ndarray, Sequence[str]],
    agreement: Mapping[str, float] | None = None,
    *,
    models: Models = None,
    titles: tuple[str, str] = ("Ours (RSA)", "Taskonomy (Zamir et al. 2018)"),
    distance_label: str = "distance",
) -> Figure:
    """Draw Figure 6: our tree facing Taskonomy's, the same tasks joined by lines.

    ours, taskonomy: (linkage, names) each. The branches of both are turned until few lines cross:
    a crossing that remains is a difference of the trees. A task of one tree only has no line.
    agreement: of the two similarity matrices, keys pearson and spearman, each with its interval
    under <name>_low and <name>_high where there is one.
    """
    z_left, left_names = check_tree(*ours, "figure 6 tree of ours"), list(ours[1])
    z_right = check_tree(*taskonomy, "figure 6 tree of Taskonomy")
    right_names = list(taskonomy[1])
    if not set(left_names) & set(right_names):
        raise DataError(
            f"figure 6: the trees share no task ({left_names[0]} ... and {right_names[0]} ...); "
            f"give both the same names"
        )
    styles = task_style([*left_names, *right_names], models)
    z_left, z_right = _untangle(z_left, left_names, z_right, right_names, list(styles))

    widths = {name: text_width([style.label]) + 0.11 for name, style in styles.items()}
    label = max(widths.values())
    n = max(len(left_names), len(right_names))
    side = max(1.1, n * 0.122)
    between = 0.7
    tree = (PAGE_WIDTH - 2 * EDGE - 2 * label - between) / 2
    line, top = 0.17, EDGE + 0.34
    figure = new_figure(PAGE_WIDTH, top + side + 0.52)

    text = _agreement(agreement)
    add_text(figure, PAGE_WIDTH / 2, EDGE, text, ha="center", fontsize=NORMAL)
    right = EDGE + tree + 2 * label + between
    axes_left = add_axes(figure, EDGE, top, tree, side)
    axes_right = add_axes(figure, right, top, tree, side)
    left_order = draw_tree(axes_left, z_left, left_names, styles, distance_label=distance_label)
    right_order = draw_tree(
        axes_right, z_right, right_names, styles, root="right", distance_label=distance_label
    )
    add_text(figure, EDGE, EDGE + line, titles[0], weight="bold")
    add_text(figure, right + tree, EDGE + line, titles[1], weight="bold", ha="right")

    # From the end of one name to the start of the other, level beside the names.
    span = 2 * label + between
    middle = add_axes(figure, EDGE + tree, top, span, side)
    middle.set_zorder(-1)
    middle.axis("off")
    middle.set_xlim(0, span)
    middle.set_ylim(1, 0)
    for row, name in enumerate(left_order):
        if name in right_order:
            # Each tree spaces its own leaves over the same height.
            y_left = (row + 0.5) / len(left_order)
            y_right = (right_order.index(name) + 0.5) / len(right_order)
            x = [widths[name], label, span - label, span - widths[name]]
            y = [y_left, y_left, y_right, y_right]
            middle.plot(x, y, color=styles[name].colour, linewidth=0.7, alpha=0.75)
    legend_at(figure, EDGE, top + side + 0.36, type_handles(styles))
    return figure


def _untangle(
    z_left: np.ndarray,
    left: Sequence[str],
    z_right: np.ndarray,
    right: Sequence[str],
    order: Sequence[str],
) -> tuple[np.ndarray, np.ndarray]:
    """Turn the branches of two trees towards each other; return the pair with fewest crossings.

    Starts from the order of the figures and turns each tree in turn by the mean places of the
    shared leaves in the other.
    """
    from scipy.cluster.hierarchy import leaves_list

    def places(z: np.ndarray, names: Sequence[str]) -> dict[str, int]:
        return {names[leaf]: row for row, leaf in enumerate(leaves_list(z))}

    def turn(z: np.ndarray, names: Sequence[str], wanted: Mapping[str, int]) -> np.ndarray:
        return rotate_tree(z, np.array([wanted.get(name, np.nan) for name in names]))

    z_left = turn(z_left, left, {name: row for row, name in enumerate(order)})
    best: tuple[int, np.ndarray, np.ndarray] | None = None
    for _ in range(6):
        z_right = turn(z_right, right, places(z_left, left))
        other = places(z_right, right)
        pairs = [other[name] for name in places(z_left, left) if name in other]
        crossings = sum(a > b for i, a in enumerate(pairs) for b in pairs[i + 1 :])
        if best is None or crossings < best[0]:
            best = crossings, z_left, z_right
        z_left = turn(z_left, left, other)
    return best[1], best[2]


def _agreement(agreement: Mapping[str, float] | None) -> str:
    if agreement is None:
        return ""
    parts = []
    for key, name in (("pearson", "Pearson"), ("spearman", "Spearman")):
        value = agreement.get(key)
        if value is None or not np.isfinite(value):
            raise DataError(f"agreement of the trees has no {key}; compute it or leave it out")
        part = f"{name} {value:.2f}"
        low, high = agreement.get(f"{key}_low"), agreement.get(f"{key}_high")
        if low is not None and high is not None and np.isfinite([low, high]).all():
            part += f" [{low:.2f}, {high:.2f}]"
        parts.append(part)
    return "Agreement of the two similarity matrices: " + ", ".join(parts)


# --- Do the types separate? ---

_CONTROLS = {
    "none": "nothing",
    "pixels": "pixels",
    "random": "random weights",
    "pixels+random": "both",
}


@styled
def figure_separation(separation: pd.DataFrame, *, bank: str = "trained") -> Figure:
    """Draw within-type against between-type similarity by layer, without and with controls.

    Rows of the bank "labels" are drawn beside those of `bank`.

    separation: columns layer, bank, control, within, between, p, and random_mean where a bank of
    random-weight networks was run. Left: mean similarity of pairs of one type and of two types,
    with the p value of their difference; the dashed line is the mean of all pairs of random-weight
    networks. Right, where the table has controls: the difference after the RDM of the pixels, of
    random-weight networks, or of both is partialled out; filled where p < .05.
    """
    columns = ["layer", "bank", "control", "within", "between", "p"]
    need_columns(separation, columns[:3], "type separation")
    # The labels are no layer of any bank; their rows stand beside those of the one drawn.
    rows = separation[separation["bank"].isin([bank, "labels"])]
    if not (rows["bank"] == bank).any():
        found = ", ".join(dict.fromkeys(map(str, separation["bank"])))
        raise DataError(f"type separation table has no bank {bank}; it has {found}")
    need_columns(rows, columns, "type separation")
    plain = rows[rows["control"] == "none"]
    if plain.empty:
        raise DataError(f"type separation table has no control none for bank {bank}; add that row")
    layers = layer_order(rows["layer"])
    controls = [c for c in _CONTROLS if c in set(rows["control"])]
    controls += [c for c in dict.fromkeys(rows["control"]) if c not in _CONTROLS]
    both = len(controls) > 1

    left, top, height = 0.42, 0.5, 1.45
    panel = 2.75 if both else COLUMN_WIDTH - left - EDGE
    width = PAGE_WIDTH if both else COLUMN_WIDTH
    figure = new_figure(width, top + height + 0.36)

    axes = add_axes(figure, left, top, panel, height)
    handles = []
    for column, label, colour, marker in (
        ("within", "within a type", SERIES[0], "o"),
        ("between", "between types", SERIES[1], "s"),
    ):
        _by_layer(axes, plain, column, layers, color=colour, marker=marker)
        handles.append(
            Line2D([], [], color=colour, marker=marker, label=label, linewidth=1, markersize=3.5)
        )
    if "random_mean" in plain and plain["random_mean"].notna().any():
        known = plain[plain["random_mean"].notna()]
        _by_layer(axes, known, "random_mean", layers, color=GREY, linestyle="--")
        label = "random weights"
        handles.append(Line2D([], [], color=GREY, linestyle="--", label=label, linewidth=1))
    _layer_axis(axes, layers)
    axes.set_ylabel("mean similarity ($r_s$)")
    axes.set_ylim(min(0.0, axes.get_ylim()[0]), axes.get_ylim()[1])
    _write_p(axes, plain, layers)
    title = "Pairs of tasks, mean"
    panel_head(figure, left, panel, "a" if both else "", title, handles)

    if both:
        start = width - EDGE - panel
        axes = add_axes(figure, start, top, panel, height)
        shapes = ("o", "s", "D", "^", "v", "P")
        colours = (INK, *SERIES[2:])
        axes.axhline(0, color=GREY, linewidth=0.5)
        handles = []
        for k, control in enumerate(controls):
            some = rows[rows["control"] == control].copy()
            some["difference"] = some["within"] - some["between"]
            colour, shape = colours[k % 6], shapes[k % 6]
            shift = (k - (len(controls) - 1) / 2) * 0.09
            _by_layer(
                axes, some, "difference", layers, color=colour, marker=shape, shift=shift, p="p"
            )
            label = _CONTROLS.get(control, control)
            handles.append(marker_handle(colour, label, shape))
        _layer_axis(axes, layers)
        axes.set_ylabel("within less between")
        title = "With what is partialled out (filled: p < .05)"
        panel_head(figure, start, panel, "b", title, handles)
    return figure


def _by_layer(
    axes: Axes,
    rows: pd.DataFrame,
    column: str,
    layers: Sequence[str],
    *,
    color: str,
    marker: str = "",
    linestyle: str = "-",
    shift: float = 0.0,
    p: str = "",
) -> None:
    """Plot a column against layer; the labels, no layer of the network, stand off the line."""
    place = {layer: x for x, layer in enumerate(layers)}
    rows = rows.assign(_x=rows["layer"].map(place)).sort_values("_x")
    if rows["layer"].duplicated().any():
        layer = rows["layer"][rows["layer"].duplicated()].iloc[0]
        raise DataError(f"{column} by layer: two rows for layer {layer}; leave one out")
    inner = rows["layer"] != "labels"
    x, y = rows["_x"].to_numpy(dtype=float) + shift, rows[column].to_numpy(dtype=float)
    axes.plot(x[inner], y[inner], color=color, linestyle=linestyle, linewidth=1.0)
    if not marker and (~inner).any():
        at = x[~inner]
        axes.hlines(y[~inner], at - 0.2, at + 0.2, color=color, linestyle=linestyle, linewidth=1)
    if marker:
        filled = rows[p].to_numpy() < 0.05 if p else np.ones(len(rows), dtype=bool)
        faces = np.where(filled, color, "white")
        axes.scatter(x, y, s=13, marker=marker, c=faces, edgecolors=color, linewidths=0.8, zorder=3)


def _layer_axis(axes: Axes, layers: Sequence[str]) -> None:
    axes.set_xticks(range(len(layers)), [layer_label(layer, short=True) for layer in layers])
    axes.set_xlim(-0.45, len(layers) - 0.55)
    if "labels" in layers and len(layers) > 1:
        axes.axvline(layers.index("labels") - 0.5, color=GREY, linewidth=0.5, linestyle=":")


def _write_p(axes: Axes, rows: pd.DataFrame, layers: Sequence[str]) -> None:
    """Write the p value of each layer above the frame."""
    for layer, p in zip(rows["layer"], rows["p"], strict=True):
        axes.annotate(
            f"p {format_p(p)}" if p < 0.001 else f"p = {format_p(p)}",
            (layers.index(layer), 1),
            xycoords=("data", "axes fraction"),
            xytext=(0, 2),
            textcoords="offset points",
            ha="center",
            fontsize=SMALL,
            weight="bold" if p < 0.05 else "normal",
        )


# --- Do networks resemble each other as their labels do? ---


@styled
def figure_label_agreement(
    agreement: pd.DataFrame,
    pairs: pd.DataFrame,
    *,
    layer: str = "compressed",
    models: Models = None,
) -> Figure:
    """Draw the similarity of networks against the similarity of their tasks' labels (Fig. 5.6).

    agreement: columns layer, spearman, p: correlation of the two over all pairs of models, by
    layer. pairs: columns layer, model_a, model_b, rs_labels, rs_network. Left: the pairs at one
    layer, those of one type in its colour. Right: the correlation by layer.
    """
    need_columns(agreement, ["layer", "spearman", "p"], "label agreement")
    columns = ["layer", "model_a", "model_b", "rs_labels", "rs_network"]
    need_columns(pairs, columns, "label pairs")
    some = pairs[(pairs["layer"] == layer) & (pairs["model_a"] != pairs["model_b"])]
    if some.empty:
        found = ", ".join(dict.fromkeys(pairs["layer"]))
        raise DataError(f"label pairs table has no layer {layer}; it has {found}")
    styles = task_style([*some["model_a"], *some["model_b"]], models)
    layers = layer_order(agreement["layer"])

    left, top, height = 0.42, 0.5, 1.7
    figure = new_figure(PAGE_WIDTH, top + height + 0.36)
    axes = add_axes(figure, left, top, 2.75, height)
    handles = draw_pairs(axes, some, "rs_labels", "rs_network", styles)
    axes.set_xlabel("similarity of the labels ($r_s$)")
    axes.set_ylabel("similarity of the networks ($r_s$)")
    axes.xaxis.set_major_locator(MaxNLocator(6))
    title = f"Pairs of tasks at {layer_label(layer)}, by type"
    panel_head(figure, left, 2.75, "a", title, handles)

    start = PAGE_WIDTH - EDGE - 2.75
    axes = add_axes(figure, start, top, 2.75, height)
    _by_layer(axes, agreement, "spearman", layers, color=INK, marker="o", p="p")
    axes.axhline(0, color=GREY, linewidth=0.5)
    _layer_axis(axes, layers)
    axes.set_ylim(min(0.0, axes.get_ylim()[0]), max(axes.get_ylim()[1], 0.1))
    axes.set_ylabel("Spearman correlation over the pairs")
    _write_p(axes, agreement, layers)
    panel_head(figure, start, 2.75, "b", "Agreement by layer (filled: p < .05)", [])
    return figure


def draw_pairs(
    axes: Axes, pairs: pd.DataFrame, x: str, y: str, styles: Mapping[str, ModelStyle]
) -> list[Line2D]:
    """Scatter column y of pairs of models against x, pairs of one type in its colour.

    pairs: columns model_a, model_b, x and y. Return the legend handles of what is drawn.
    """
    kinds_a = pairs["model_a"].map(lambda name: styles[name].type)
    kinds_b = pairs["model_b"].map(lambda name: styles[name].type)
    same = (kinds_a == kinds_b) & (kinds_a != "")
    across = pairs[~same]
    axes.scatter(across[x], across[y], s=9, c="none", edgecolors=GREY, linewidths=0.6)
    for kind in dict.fromkeys(kinds_a[same]):
        style = next(s for s in styles.values() if s.type == kind)
        chosen = pairs[same & (kinds_a == kind)]
        axes.scatter(
            chosen[x],
            chosen[y],
            s=13,
            marker=style.marker,
            color=style.colour,
            linewidths=0,
            zorder=3,
        )
    present = set(kinds_a[same])
    handles = [h for h in type_handles(styles) if h.get_label() in present]
    if len(across):
        other = marker_handle(GREY, "two types")
        other.set_markersize(3.5)
        other.set_markerfacecolor("none")
        handles.append(other)
    return handles


# --- How much do the choices of the method matter? ---


@styled
def figure_presets(presets: pd.DataFrame) -> Figure:
    """Draw how far each choice of the method moves the entries of the similarity matrix.

    presets: columns choice, layer, mean_abs_change, max_abs_change, spearman (of the entries before
    and after). One panel a layer: bars are mean absolute changes, lines reach to the largest, the
    number is the correlation.
    """
    need_columns(
        presets, ["choice", "layer", "mean_abs_change", "max_abs_change", "spearman"], "presets"
    )
    layers = layer_order(presets["layer"])
    choices = list(dict.fromkeys(presets["choice"]))
    label = text_width(map(str, choices)) + 0.12
    gap, top = 0.16, 0.24
    height = max(0.4, 0.2 * len(choices))
    room = PAGE_WIDTH - 2 * EDGE - 0.1 - label
    panel = min(1.6, (room - gap * (len(layers) - 1)) / len(layers))
    width = PAGE_WIDTH - room + len(layers) * panel + (len(layers) - 1) * gap
    if width < COLUMN_WIDTH:
        panel += (COLUMN_WIDTH - width) / len(layers)
        width = COLUMN_WIDTH
    note = ["absolute change of the similarities:", "mean (bar), largest (line); Spearman (number)"]
    if text_width([" ".join(note)]) + 2 * EDGE < width:
        note = [" ".join(note)]
    figure = new_figure(width, top + height + 0.28 + 0.12 * len(note))
    add_text(figure, EDGE, top - 0.02, "Choice", fontsize=NORMAL, va="bottom", weight="bold")

    reach = float(presets["max_abs_change"].max()) or 1.0
    for place, layer in enumerate(layers):
        axes = add_axes(figure, EDGE + label + place * (panel + gap), top, panel, height)
        rows = presets[presets["layer"] == layer]
        for choice, mean, most, spearman in zip(
            rows["choice"],
            rows["mean_abs_change"],
            rows["max_abs_change"],
            rows["spearman"],
            strict=True,
        ):
            y = choices.index(choice)
            axes.plot([mean, most], [y, y], color=INK, linewidth=0.7)
            axes.plot([most], [y], "|", color=INK, markersize=4, markeredgewidth=0.7)
            axes.barh(y, mean, height=0.6, color=SERIES[0])
            axes.annotate(
                f"{spearman:.2f}",
                (1.0, y),
                xycoords=("axes fraction", "data"),
                ha="right",
                va="center",
                fontsize=SMALL,
            )
        # The numbers stand in the last third, which the longest line does not enter.
        axes.set_xlim(0, reach * (1.0 + 0.32 / max(panel - 0.32, 0.3)))
        axes.set_ylim(len(choices) - 0.5, -0.5)
        axes.set_yticks(range(len(choices)), choices if place == 0 else [""] * len(choices))
        axes.tick_params(axis="y", length=0)
        axes.xaxis.set_major_locator(MaxNLocator(3, steps=[1, 2, 5, 10]))
        axes.set_title(layer_label(layer).replace(" encoder output", ""), pad=3)
    widest = text_width(note)
    x = max(EDGE, min(EDGE + label, width - EDGE - widest))
    add_text(figure, x, top + height + 0.2, "\n".join(note), fontsize=NORMAL)
    return figure
