"""Do networks resemble each other as the labels of their tasks do?"""

from __future__ import annotations

import pandas as pd
from matplotlib.ticker import MaxNLocator

from taskrsa.analysis.tables import label_pairs
from taskrsa.errors import DataError
from taskrsa.figures.by_layer import layer_axis, plot_by_layer, write_p
from taskrsa.figures.checks import need_columns
from taskrsa.figures.pairs import draw_pairs, pair_handles
from taskrsa.figures.sheet import EDGE, PAGE_WIDTH, Drawn, Sheet, keys_height
from taskrsa.figures.style import GREY, INK, MATH, figure, layer_label, layer_order, network_styles

_LEFT, _PANEL, _HEIGHT = 0.42, 2.75, 1.7  # inches


@figure(
    name="label_agreement",
    title="Labels against networks",
    caption="Spearman correlation, over pairs of tasks, between the similarity of their labels and "
    "of their networks, with a permutation of the tasks (claim C3).",
    alt="Similarity of networks against similarity of their labels, one point a pair of tasks.",
    category="Taxonomy",
    order=40,
    tables={
        "agreement": "tables/label_agreement.csv",
        "similarity": "tables/similarity.csv",
        "networks": "tables/networks.csv",
    },
    needs=("labels",),
    settings=("layer",),
)
def figure_label_agreement(
    agreement: pd.DataFrame, similarity: pd.DataFrame, networks: pd.DataFrame, *, layer: str
) -> Drawn:
    """Draw the similarity of networks against the similarity of their tasks' labels (Fig. 5.6).

    agreement: columns layer, spearman, p: correlation of the two over all pairs, by layer.
    similarity: columns layer, model_a, model_b, rs, with a layer "labels". Left: the pairs at one
    layer, those of one type in its colour. Right: the correlation by layer.
    """
    need_columns(agreement, ["layer", "spearman", "p"], "label agreement")
    need_columns(similarity, ["layer", "model_a", "model_b", "rs"], "similarity")
    pairs = label_pairs(similarity)
    some = pairs[pairs["layer"] == layer]
    if some.empty:
        raise DataError(
            f"similarity table has no pairs of both layer {layer} and labels; make it again"
        )
    styles = network_styles([*some["model_a"], *some["model_b"]], networks)
    layers = layer_order(agreement["layer"])

    handles = pair_handles(some, styles)
    top = EDGE + 0.3 + keys_height(_PANEL, handles)
    sheet = Sheet(PAGE_WIDTH, top + _HEIGHT + 0.36)
    axes = sheet.axes(_LEFT, top, _PANEL, _HEIGHT)
    draw_pairs(axes, some, "rs_labels", "rs_network", styles)
    axes.set_xlabel("similarity of the labels ($r_s$)", **MATH)
    axes.set_ylabel("similarity of the networks ($r_s$)", **MATH)
    axes.xaxis.set_major_locator(MaxNLocator(6))
    title = f"Pairs of tasks at {layer_label(layer)}, by type"
    sheet.head(_LEFT, _PANEL, "a", title, handles)

    start = PAGE_WIDTH - EDGE - _PANEL
    axes = sheet.axes(start, top, _PANEL, _HEIGHT)
    plot_by_layer(axes, agreement, "spearman", layers, color=INK, marker="o", p="p")
    axes.axhline(0, color=GREY, linewidth=0.5)
    layer_axis(axes, layers)
    axes.set_ylim(min(0.0, axes.get_ylim()[0]), max(axes.get_ylim()[1], 0.1))
    axes.set_ylabel("Spearman correlation over the pairs")
    write_p(axes, agreement, layers)
    sheet.head(start, _PANEL, "b", "Agreement by layer (filled: p < .05)")
    return Drawn(sheet.figure, pairs)
