"""Figure 4: the similarity of networks at one layer, as a matrix and as a tree."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.cluster.hierarchy import optimal_leaf_ordering

from taskrsa.analysis.tables import linkage_of, similarity_square
from taskrsa.errors import DataError
from taskrsa.figures.matrices import STRIP, colour_limits, draw_matrix
from taskrsa.figures.sheet import (
    EDGE,
    PAGE_WIDTH,
    Drawn,
    Sheet,
    keys_height,
    text_width,
    type_handles,
)
from taskrsa.figures.style import LARGE, figure, network_styles
from taskrsa.figures.trees import draw_tree, flip_tree

_DISTANCES = {"paper": "distance of the matrix's rows", "average": "1 - $r_s$"}
_BAR, _TITLE = 0.52, 0.24  # inches: the colour bar with its label, the titles


@figure(
    name="figure4",
    title="Figure 4",
    caption="Figure 4 of the paper. (a) Similarity of the networks at the last layer compared, of "
    "encoders of this project their compressed output; (b) its tree, leaves coloured by type.",
    alt="Matrix of similarities of all networks, and their tree.",
    category="Taxonomy",
    order=10,
    tables={
        "similarity": "similarity/{layer}.csv",
        "tree": "trees/{layer}_{linkage}.csv",
        "networks": "tables/networks.csv",
    },
    settings=("layer", "linkage"),
)
def figure_4(
    similarity: pd.DataFrame,
    tree: pd.DataFrame,
    networks: pd.DataFrame,
    *,
    layer: str,
    linkage: str,
) -> Drawn:
    """Draw Figure 4: (a) the similarity matrix and (b) the similarity tree.

    similarity: columns layer, model_a, model_b, rs; tree: rows of `linkage_table`; linkage: "paper"
    or "average", how it was made. The tree's branches are turned (optimal leaf ordering) so that
    similar neighbours stand together. Wider than the page beyond about 28 networks.
    """
    matrix = similarity_square(similarity, layer)
    merges, names = linkage_of(tree)
    absent = [name for name in names if name not in matrix.index]
    if absent:
        raise DataError(
            f"tree table: network {absent[0]} is not in the similarity table; make both again"
        )
    styles = network_styles(names, networks)
    matrix = matrix.loc[names, names]
    n = len(names)
    if n > 2:
        upper = 1 - matrix.to_numpy()[np.triu_indices(n, 1)]
        merges = optimal_leaf_ordering(merges, np.clip(upper, 0, None))
    # Read from top to bottom, the tree starts where the matrix does.
    rows = {name: row for row, name in enumerate(styles)}
    merges = flip_tree(merges, np.array([rows[name] for name in names]))

    label = text_width(style.label for style in styles.values()) + STRIP + 0.09
    side = float(np.clip(n * 0.118, 1.7, 2.36)) if n <= 24 else n * 0.098
    bar = EDGE + label + side + 0.08
    left, leaves = bar + _BAR, label - STRIP
    across = max(1.2, PAGE_WIDTH - EDGE - leaves - left)
    types = type_handles(styles)
    below = max(label, 0.42 + keys_height(across + leaves, types))
    sheet = Sheet(left + across + leaves + EDGE, _TITLE + side + below + EDGE)

    sheet.text(EDGE + label - 0.14, EDGE, "a", weight="bold", fontsize=LARGE + 1)
    sheet.text(EDGE + label, EDGE, "Similarity matrix")
    axes = sheet.axes(EDGE + label, _TITLE, side, side)
    draw_matrix(axes, matrix, styles, colour_limits([matrix]))
    sheet.colour_bar(axes.collections[0], bar, _TITLE, side)
    sheet.text(left - 0.14, EDGE, "b", weight="bold", fontsize=LARGE + 1)
    sheet.text(left, EDGE, "Similarity tree")
    axes = sheet.axes(left, _TITLE, across, side)
    draw_tree(axes, merges, names, styles, distance_label=_DISTANCES[linkage])
    sheet.keys(left, _TITLE + side + 0.42, types, width=across + leaves)
    return Drawn(sheet.figure, similarity)
