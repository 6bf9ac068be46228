"""Figure 5: the similarity of networks at every layer, and of the labels of their tasks."""

from __future__ import annotations

import pandas as pd

from taskrsa.analysis.tables import similarity_square
from taskrsa.figures.checks import need_columns
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
from taskrsa.figures.style import SMALL, figure, layer_label, layer_order, network_styles

_GAP, _TITLE, _STRIP, _BAR = 0.1, 0.19, STRIP + 0.06, 0.48  # inches


@figure(
    name="figure5",
    title="Figure 5",
    caption="Figure 5 of the paper. Similarity of the networks at every layer compared, and of the "
    "labels of their tasks where there are labels, on one colour scale.",
    alt="Matrices of similarities, from the first layer to the last.",
    category="Taxonomy",
    order=20,
    tables={"similarity": "tables/similarity.csv", "networks": "tables/networks.csv"},
)
def figure_5(similarity: pd.DataFrame, networks: pd.DataFrame) -> Drawn:
    """Draw Figure 5: the similarity matrices of all layers, and of the labels, on one scale.

    similarity: columns layer, model_a, model_b, rs. Three panels a row; networks are named on the
    left and at the bottom and marked by coloured strips elsewhere. A layer may lack a network: its
    cells stay grey. Wider than the page beyond 20 networks.
    """
    need_columns(similarity, ["layer", "model_a", "model_b", "rs"], "similarity")
    layers = layer_order(similarity["layer"])
    matrices = {layer: similarity_square(similarity, layer) for layer in layers}
    limits = colour_limits(list(matrices.values()))
    styles = network_styles([name for m in matrices.values() for name in m.index], networks)
    n = len(styles)

    columns = min(3, len(layers))
    rows = -(-len(layers) // columns)
    label = text_width((s.label for s in styles.values()), SMALL) + STRIP + 0.07
    room = PAGE_WIDTH - 2 * EDGE - label - _BAR - (columns - 1) * (_GAP + _STRIP)
    side = max(min(room / columns, 1.9), n * 0.0795)
    panels = columns * side + (columns - 1) * (_GAP + _STRIP)
    width = max(2 * EDGE + label + panels + _BAR, COLUMN_WIDTH)
    types = type_handles(styles)
    key = 0.08 + keys_height(width - EDGE - label, types)
    height = 2 * EDGE + rows * (_TITLE + side + _STRIP) + label - _STRIP + key
    sheet = Sheet(width, height)

    for place, (layer, matrix) in enumerate(matrices.items()):
        row, column = divmod(place, columns)
        left = EDGE + label + column * (side + _GAP + _STRIP)
        top = EDGE + _TITLE + row * (_TITLE + side + _STRIP)
        axes = sheet.axes(left, top, side, side)
        named = {"row_labels": column == 0, "column_labels": place + columns >= len(layers)}
        draw_matrix(axes, matrix, styles, limits, fontsize=SMALL, **named)
        axes.set_title(f"{place + 1}  {layer_label(layer)}", pad=2.5, loc="left")
    mesh = sheet.figure.axes[0].collections[0]
    upright = (rows - 1) * (_TITLE + side + _STRIP) + side
    sheet.colour_bar(mesh, EDGE + label + panels + 0.08, EDGE + _TITLE, upright)
    sheet.keys(EDGE + label, height - EDGE - key + 0.1, types)
    return Drawn(sheet.figure, similarity[["layer", "model_a", "model_b", "rs"]])
