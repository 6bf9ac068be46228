"""Figure 6: the tree of networks beside the tree of their transfer affinities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from scipy.cluster.hierarchy import leaves_list

from taskrsa.analysis.tables import similarity_square
from taskrsa.errors import DataError
from taskrsa.figures.checks import need_columns
from taskrsa.figures.sheet import (
    EDGE,
    PAGE_WIDTH,
    Drawn,
    Sheet,
    keys_height,
    text_width,
    type_handles,
)
from taskrsa.figures.style import NORMAL, ModelStyle, figure, network_styles
from taskrsa.figures.trees import draw_tree, rotate_tree
from taskrsa.rsa.clustering import average_linkage, to_newick
from taskrsa.text import estimate

_TITLES = {
    "measured": "Transfer (measured by probes)",
    "published": "Taskonomy (Zamir et al. 2018)",
}
_DISTANCE = "1 - similarity"
_BETWEEN = 0.7  # inches between the names of the two trees


@figure(
    name="figure6",
    title="Figure 6",
    caption="Figure 6 of the paper. The tree of this run's networks beside the tree of transfer "
    "affinities: those that belong to the bank (published agreement of the two similarity "
    "matrices: Pearson 0.62, Spearman 0.65).",
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
    ours = ours.loc[names, names]
    trees = {
        "ours": average_linkage(ours.to_numpy()),
        "transfer": average_linkage(theirs.to_numpy()),
    }
    styles = network_styles(names, networks)
    facing = _untangle(trees["ours"], trees["transfer"], names, list(styles))
    words = f"Agreement of the two similarity matrices: {_agreement(agreement, affinities)}"
    i, j = np.triu_indices(len(names), 1)
    numbers = pd.DataFrame(
        {
            "model_a": np.array(names)[i],
            "model_b": np.array(names)[j],
            "ours": ours.to_numpy()[i, j],
            "transfer": theirs.to_numpy()[i, j],
        }
    )
    texts = {f"{name}.nwk": f"{to_newick(tree, names)}\n" for name, tree in trees.items()}
    sheet = _draw(facing, names, styles, words, _TITLES[affinities])
    return Drawn(sheet.figure, numbers, texts)


def _draw(
    facing: tuple[np.ndarray, np.ndarray],
    names: Sequence[str],
    styles: Mapping[str, ModelStyle],
    words: str,
    title: str,
) -> Sheet:
    """Draw two trees facing each other, and lines from name to name."""
    n = len(names)
    widths = {name: text_width([style.label]) + 0.11 for name, style in styles.items()}
    label = max(widths.values())
    side = max(1.1, n * 0.122)
    tree = (PAGE_WIDTH - 2 * EDGE - 2 * label - _BETWEEN) / 2
    line, top = 0.17, EDGE + 0.34
    types = type_handles(styles)
    below = 0.36 + keys_height(PAGE_WIDTH - 2 * EDGE, types) + 0.02
    sheet = Sheet(PAGE_WIDTH, top + side + below)
    sheet.text(PAGE_WIDTH / 2, EDGE, words, ha="center", fontsize=NORMAL)
    right = EDGE + tree + 2 * label + _BETWEEN
    orders = []
    for left, root, merges in zip((EDGE, right), ("left", "right"), facing, strict=True):
        axes = sheet.axes(left, top, tree, side)
        orders.append(draw_tree(axes, merges, names, styles, root=root, distance_label=_DISTANCE))
    sheet.text(EDGE, EDGE + line, "Ours (RSA)", weight="bold")
    sheet.text(right + tree, EDGE + line, title, weight="bold", ha="right")

    # From the end of one name to the start of the other, level beside the names.
    span = 2 * label + _BETWEEN
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
    n = len(names)

    def places(tree: np.ndarray) -> np.ndarray:
        rows = np.empty(n)
        rows[leaves_list(tree)] = np.arange(n)
        return rows

    left = rotate_tree(left, np.array([order.index(name) for name in names], dtype=float))
    best: tuple[int, np.ndarray, np.ndarray] | None = None
    for _ in range(6):
        right = rotate_tree(right, places(left))
        facing = places(right)[leaves_list(left)]
        crossings = int(np.triu(facing[:, None] > facing, 1).sum())
        if best is None or crossings < best[0]:
            best = crossings, left, right
        left = rotate_tree(left, places(right))
    return best[1], best[2]


def _agreement(table: pd.DataFrame, affinities: str) -> str:
    """Return the correlations of the two similarity matrices in words, with their intervals."""
    need_columns(
        table, ["affinities", "similarity"], "agreement", may_be_empty=["pearson", "spearman"]
    )
    rows = table[(table["affinities"] == affinities) & (table["similarity"] == "ours")]
    if len(rows) != 1:
        raise DataError(
            f"agreement table has {len(rows)} rows of {affinities} affinities and similarity ours; "
            f"make it again"
        )
    row = rows.iloc[0]
    return ", ".join(
        f"{name.title()} " + estimate(row[name], row.get(f"{name}_low"), row.get(f"{name}_high"))
        for name in ("pearson", "spearman")
    )
