"""Figures 4, 5 and 6: the similarity of networks as matrices and trees, beside that of transfer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from scipy.cluster.hierarchy import leaves_list, optimal_leaf_ordering

from taskrsa.analysis.tables import linkage_of, similarity_square
from taskrsa.errors import DataError
from taskrsa.figures.files import need_columns
from taskrsa.figures.marks import agreement_words
from taskrsa.figures.matrices import STRIP, colour_limits, draw_matrix
from taskrsa.figures.sheet import (
    COLUMN_WIDTH,
    EDGE,
    PAGE_WIDTH,
    Drawn,
    Sheet,
    keys_height,
    text_width,
    type_handles,
)
from taskrsa.figures.style import (
    NORMAL,
    SMALL,
    SYMBOLS,
    ModelStyle,
    are_papers,
    figure,
    layer_label,
    layer_order,
    network_styles,
)
from taskrsa.figures.trees import draw_tree, flip_tree, rotate_tree
from taskrsa.rsa.clustering import average_linkage, to_newick

# --- Figure 4 ---

_DISTANCES = {"paper": "distance of the matrix's rows", "average": "1 - similarity"}


def _bar_label(compare: str) -> str:
    whose = "Spearman's " if compare == "spearman" else ""
    return f"similarity ({whose}{SYMBOLS[compare]} of the RDMs)"


@figure(
    name="figure4",
    title="Figure 4",
    caption="Figure 4 of the paper. (a) Similarity of the networks at the last layer compared (for "
    "encoders of this project, their compressed output); (b) the tree built from it, leaves "
    "coloured by type. In (a) the paper's types stand together, and other networks stand in the "
    "order of the leaves.",
    alt="Matrix of similarities of all networks, and their tree.",
    category="Taxonomy",
    order=10,
    tables={
        "similarity": "similarity/{layer}.csv",
        "tree": "trees/{layer}_{linkage}.csv",
        "networks": "tables/networks.csv",
    },
    settings=("layer", "linkage", "compare"),
)
def figure_4(
    similarity: pd.DataFrame,
    tree: pd.DataFrame,
    networks: pd.DataFrame,
    *,
    layer: str,
    linkage: str,
    compare: str,
) -> Drawn:
    """Draw Figure 4: (a) the similarity matrix and (b) the similarity tree.

    similarity: columns layer, model_a, model_b, rs; tree: rows of `linkage_table`; linkage: "paper"
    or "average", how it was made. The tree's branches are turned (optimal leaf ordering) so that
    similar neighbours stand together. The matrix is in the order of the types where these are the
    paper's; elsewhere in that of the leaves, which stand beside its rows. Wider than the page
    beyond about 28 networks.
    """
    matrix = similarity_square(similarity, layer)
    merges, names = _turned(tree, matrix, networks)
    styles = network_styles(names, networks)
    types, styles, n = type_handles(styles), _in_order(styles, merges, names), len(names)

    title, bar_width = 0.24, 0.52  # inches, the colour bar with its label
    label = text_width(style.label for style in styles.values()) + STRIP + 0.09
    side = float(np.clip(n * 0.118, 1.7, 2.36)) if n <= 24 else n * 0.098
    bar = EDGE + label + side + 0.08
    left, leaves = bar + bar_width, label - STRIP
    across = max(1.2, PAGE_WIDTH - EDGE - leaves - left)
    below = max(label, 0.42 + keys_height(across + leaves, types))
    sheet = Sheet(left + across + leaves + EDGE, title + side + below + EDGE)

    sheet.head(EDGE + label, "Similarity matrix", "a", indent=0.14)
    axes = sheet.axes(EDGE + label, title, side, side)
    draw_matrix(axes, matrix, styles, colour_limits([matrix]))
    sheet.colour_bar(axes.collections[0], bar, title, side, _bar_label(compare))
    sheet.head(left, "Similarity tree", "b", indent=0.14)
    axes = sheet.axes(left, title, across, side)
    draw_tree(axes, merges, names, styles, distance_label=_DISTANCES[linkage])
    sheet.keys(left, title + side + 0.42, types, width=across + leaves)
    return Drawn(sheet.figure, similarity)


def _turned(
    tree: pd.DataFrame, matrix: pd.DataFrame, networks: pd.DataFrame
) -> tuple[np.ndarray, list[str]]:
    """Return the merges and leaves of a tree, turned so that similar neighbours stand together.

    DataError if the (m, m) similarity matrix lacks a leaf.
    """
    merges, names = linkage_of(tree)
    for name in names:
        if name not in matrix.index:
            raise DataError(
                f"tree table: network {name} is not in the similarity table; make both again"
            )
    if len(names) > 2:
        square = matrix.loc[names, names].to_numpy()
        upper = 1 - square[np.triu_indices(len(names), 1)]
        merges = optimal_leaf_ordering(merges, np.clip(upper, 0, None))
    # Read from top to bottom, the tree starts where networks do elsewhere.
    places = list(map(list(network_styles(names, networks)).index, names))
    return flip_tree(merges, np.array(places)), names


def _in_order(
    styles: Mapping[str, ModelStyle], merges: np.ndarray, names: Sequence[str]
) -> Mapping[str, ModelStyle]:
    """Return networks in the order of a matrix: as they are where all types are the paper's, else
    in that of a tree's leaves, those that the tree lacks last."""
    if are_papers(style.type for style in styles.values()):
        return styles
    order = [names[leaf] for leaf in leaves_list(merges)]
    return {name: styles[name] for name in dict.fromkeys([*order, *styles]) if name in styles}


# --- Figure 5 ---


@figure(
    name="figure5",
    title="Figure 5",
    caption="Figure 5 of the paper. Similarity of the networks at every layer compared, and of the "
    "labels of their tasks where there are labels, on one colour scale.",
    alt="Matrices of similarities, from the first layer to the last.",
    category="Taxonomy",
    order=20,
    tables={
        "similarity": "tables/similarity.csv",
        "tree": "trees/{layer}_{linkage}.csv",
        "networks": "tables/networks.csv",
    },
    settings=("layer", "compare"),
)
def figure_5(
    similarity: pd.DataFrame,
    tree: pd.DataFrame,
    networks: pd.DataFrame,
    *,
    layer: str,
    compare: str,
) -> Drawn:
    """Draw Figure 5: the similarity matrices of all layers, and of the labels, on one scale.

    similarity, tree and the order of networks: as for `figure_4`, which draws the tree. Three
    panels a row; networks are named on the left and at the bottom and marked by coloured strips
    elsewhere. A layer may lack a network: its cells stay grey.
    Wider than the page beyond 20 networks.
    """
    need_columns(similarity, ["layer", "model_a", "model_b", "rs"], "similarity")
    layers = layer_order(similarity["layer"])
    matrices = {layer: similarity_square(similarity, layer) for layer in layers}
    limits = colour_limits(list(matrices.values()))
    styles = network_styles([name for m in matrices.values() for name in m.index], networks)
    types = type_handles(styles)
    styles = _in_order(styles, *_turned(tree, similarity_square(similarity, layer), networks))

    gap, title, strip, bar = 0.1, 0.19, STRIP + 0.06, 0.48  # inches
    columns = min(3, len(layers))
    rows = -(-len(layers) // columns)
    label = text_width((s.label for s in styles.values()), SMALL) + STRIP + 0.07
    room = PAGE_WIDTH - 2 * EDGE - label - bar - (columns - 1) * (gap + strip)
    side = max(min(room / columns, 1.9), len(styles) * 0.0795)
    panels = columns * side + (columns - 1) * (gap + strip)
    width = max(2 * EDGE + label + panels + bar, COLUMN_WIDTH)
    key = 0.08 + keys_height(width - EDGE - label, types)
    height = 2 * EDGE + rows * (title + side + strip) + label - strip + key
    sheet = Sheet(width, height)

    for place, (layer, matrix) in enumerate(matrices.items()):
        row, column = divmod(place, columns)
        left = EDGE + label + column * (side + gap + strip)
        axes = sheet.axes(left, EDGE + title + row * (title + side + strip), side, side)
        named = {"row_labels": column == 0, "column_labels": place + columns >= len(layers)}
        draw_matrix(axes, matrix, styles, limits, fontsize=SMALL, **named)
        axes.set_title(f"{place + 1}  {layer_label(layer)}", pad=2.5, loc="left")
    mesh = sheet.figure.axes[0].collections[0]
    upright = (rows - 1) * (title + side + strip) + side
    bar_at = EDGE + label + panels + 0.08
    sheet.colour_bar(mesh, bar_at, EDGE + title, upright, _bar_label(compare))
    sheet.keys(EDGE + label, height - EDGE - key + 0.1, types)
    return Drawn(sheet.figure, similarity[["layer", "model_a", "model_b", "rs"]])


# --- Figure 6 ---

_TITLES = {
    "measured": "Transfer (measured by probes)",
    "published": "Taskonomy (Zamir et al. 2018)",
}
_BETWEEN = 0.7  # inches between the names of the two trees


@figure(
    name="figure6",
    title="Figure 6",
    caption="Figure 6 of the paper. The tree of this run's networks beside the tree of transfer "
    "affinities that belong to this bank (published agreement of the two similarity matrices: "
    "Pearson 0.62, Spearman 0.65).",
    alt="Two trees of tasks, ours and that of transfer.",
    category="Taxonomy",
    order=50,
    tables={
        "agreement": "tables/taxonomy_agreement.csv",
        "transfer": "tables/transfer_similarity_{affinities}.csv",
        "similarity": "similarity/{layer}.csv",
        "networks": "tables/networks.csv",
    },
    needs=("affinities",),
    settings=("layer", "affinities"),
    texts=("ours.nwk", "transfer.nwk"),
)
@figure(
    name="figure6_published",
    title="Figure 6, published affinities",
    caption="Figure 6 with Taskonomy's published affinities, which belong to another bank than "
    "this run's: the tree of this run's networks beside Taskonomy's own.",
    alt="Two trees of tasks, ours and Taskonomy's own.",
    category="Taxonomy",
    order=51,
    tables={
        "agreement": "tables/taxonomy_agreement.csv",
        "transfer": "tables/transfer_similarity_published.csv",
        "similarity": "similarity/{layer}.csv",
        "networks": "tables/networks.csv",
    },
    needs=("measured affinities", "published affinities"),
    settings=("layer",),
    constants={"affinities": "published"},
    texts=("ours.nwk", "transfer.nwk"),
)
def figure_6(
    agreement: pd.DataFrame,
    transfer: pd.DataFrame,
    similarity: pd.DataFrame,
    networks: pd.DataFrame,
    *,
    layer: str,
    affinities: str,
) -> Drawn:
    """Draw Figure 6: our tree facing that of transfer, the same networks joined by lines.

    Both are trees of average linkage, of the networks in transfer. transfer: columns model_a,
    model_b, rs, the similarity that affinities imply; affinities: "measured" or "published", whose
    they are; agreement: columns affinities, similarity, and pearson and spearman of the two
    similarity matrices with their intervals. The branches are turned until few lines cross: a
    crossing that remains is a difference of the trees.
    """
    theirs = similarity_square(transfer, name="transfer similarity table")
    ours = similarity_square(similarity, layer)
    names = list(theirs.index)
    for name in names:
        if name not in ours.index:
            raise DataError(f"similarity table has no network {name}, which affinities are of")
    matrices = {"ours": ours.loc[names, names].to_numpy(), "transfer": theirs.to_numpy()}
    trees = {name: average_linkage(matrix) for name, matrix in matrices.items()}
    styles = network_styles(names, networks)
    facing = _untangle(*trees.values(), names, list(styles))
    where = {"affinities": affinities, "similarity": "ours"}
    words = agreement_words(agreement, where, f"{affinities} affinities and similarity ours")
    i, j = np.triu_indices(len(names), 1)
    pairs = {"model_a": np.array(names)[i], "model_b": np.array(names)[j]}
    numbers = pd.DataFrame(pairs | {name: matrix[i, j] for name, matrix in matrices.items()})
    texts = {f"{name}.nwk": f"{to_newick(tree, names)}\n" for name, tree in trees.items()}
    line = f"Agreement of the two similarity matrices: {', '.join(words)}"
    sheet = _draw_facing(facing, names, styles, line, _TITLES[affinities])
    return Drawn(sheet.figure, numbers, texts)


def _draw_facing(
    facing: tuple[np.ndarray, np.ndarray],
    names: Sequence[str],
    styles: Mapping[str, ModelStyle],
    line: str,
    title: str,
) -> Sheet:
    """Draw our tree and, under a title, the other, facing each other; join the same names.

    line: written above both.
    """
    n = len(names)
    widths = {name: text_width([style.label]) + 0.11 for name, style in styles.items()}
    label = max(widths.values())
    span = 2 * label + _BETWEEN
    side = max(1.1, n * 0.122)
    tree = (PAGE_WIDTH - 2 * EDGE - 2 * label - _BETWEEN) / 2
    top = EDGE + 0.34
    types = type_handles(styles)
    below = 0.36 + keys_height(PAGE_WIDTH - 2 * EDGE, types) + 0.02
    sheet = Sheet(PAGE_WIDTH, top + side + below)
    sheet.text(PAGE_WIDTH / 2, EDGE, line, ha="center", fontsize=NORMAL)
    right = EDGE + tree + 2 * label + _BETWEEN
    orders = []
    for left, root, merges in zip((EDGE, right), ("left", "right"), facing, strict=True):
        axes = sheet.axes(left, top, tree, side)
        distance = "1 - similarity"
        orders.append(draw_tree(axes, merges, names, styles, root=root, distance_label=distance))
    sheet.text(EDGE, EDGE + 0.17, "Ours (RSA)", weight="bold")
    sheet.text(right + tree, EDGE + 0.17, title, weight="bold", ha="right")

    # From the end of one name to the start of the other, level beside the names.
    middle = sheet.axes(EDGE + tree, top, span, side)
    middle.set_zorder(-1)
    middle.axis("off")
    middle.set_xlim(0, span)
    middle.set_ylim(1, 0)
    for row, name in enumerate(orders[0]):
        y = (row + 0.5) / n, (orders[1].index(name) + 0.5) / n
        x = [widths[name], label, span - label, span - widths[name]]
        middle.plot(x, np.repeat(y, 2), color=styles[name].colour, linewidth=0.7, alpha=0.75)
    sheet.keys(EDGE, top + side + 0.36, types)
    return sheet


def _untangle(
    left: np.ndarray, right: np.ndarray, names: Sequence[str], order: Sequence[str]
) -> tuple[np.ndarray, np.ndarray]:
    """Turn the branches of two trees of `names` until few lines between them cross.

    Starts from the order of the figures and turns each tree in turn by the places of the leaves in
    the other; returns the pair with the fewest crossings.
    """

    def places(tree: np.ndarray) -> np.ndarray:
        return np.argsort(leaves_list(tree))

    left = rotate_tree(left, np.array([order.index(name) for name in names]))
    tried = []
    for _ in range(6):
        right = rotate_tree(right, places(left))
        facing = places(right)[leaves_list(left)]
        crossings = np.triu(facing[:, None] > facing, 1).sum()
        tried.append((crossings, left, right))
        left = rotate_tree(left, places(right))
    return min(tried, key=lambda found: found[0])[1:]
