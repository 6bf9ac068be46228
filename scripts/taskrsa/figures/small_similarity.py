"""Figure S3: the similarity of small models beside that of the bank's networks."""

from __future__ import annotations

import pandas as pd

from taskrsa.analysis.tables import similarity_square
from taskrsa.errors import DataError
from taskrsa.figures.checks import need_columns
from taskrsa.figures.matrices import STRIP, colour_limits, draw_matrix
from taskrsa.figures.pairs import draw_pairs, pair_handles
from taskrsa.figures.sheet import (
    EDGE,
    PAGE_WIDTH,
    Drawn,
    Sheet,
    keys_height,
    round_ticks,
    text_width,
)
from taskrsa.figures.style import MATH, NORMAL, SMALL, figure, network_styles
from taskrsa.text import estimate

_TOP, _GAP, _BAR, _AXIS = 0.24, 0.17, 0.54, 0.36  # inches


@figure(
    name="figureS3",
    title="Figure S3",
    caption="Figure S3 of the paper. Similarity among the small models beside that among the "
    "bank's networks of the same tasks, and their correlation (published: Pearson 0.85, Spearman "
    "0.88).",
    alt="Two matrices of similarities, of small models and of the bank.",
    category="Small models",
    order=80,
    tables={
        "pairs": "tables/small_pairs.csv",
        "agreement": "tables/small_agreement.csv",
        "networks": "tables/networks.csv",
    },
    needs=("small models",),
)
def figure_s3(pairs: pd.DataFrame, agreement: pd.DataFrame, networks: pd.DataFrame) -> Drawn:
    """Draw Figure S3: similarity of (a) small models, (b) bank models, and (c) one against another.

    pairs: columns model_a, model_b, rs_small, rs_bank, each pair of tasks once. agreement: columns
    seeds, pearson, spearman and their intervals pearson_low, ...; its row of seeds "mean" is
    written below (c). The two matrices share one colour scale. Wider than the page beyond about 20
    tasks.
    """
    need_columns(pairs, ["model_a", "model_b", "rs_small", "rs_bank"], "pairs")
    matrices = [
        similarity_square(pairs.rename(columns={column: "rs"}), name="pairs table")
        for column in ("rs_small", "rs_bank")
    ]
    styles = network_styles([*pairs["model_a"], *pairs["model_b"]], networks)
    words = _agreement(agreement)

    label = text_width((style.label for style in styles.values()), SMALL) + STRIP + 0.07
    side = max(1.42, len(styles) * 0.0795)
    start = EDGE + label + 2 * side + _GAP + _BAR + _AXIS
    panel = max(1.4, PAGE_WIDTH - EDGE - start)
    handles = pair_handles(pairs, styles)
    key = 0.29 + keys_height(panel + EDGE, handles)
    below = max(label, key + 0.2)
    sheet = Sheet(start + panel + EDGE, _TOP + side + below + EDGE)
    limits = colour_limits(matrices)
    for place, (matrix, letter, title) in enumerate(
        zip(matrices, "ab", ("Small models", "Bank models"), strict=True)
    ):
        left = EDGE + label + place * (side + _GAP)
        axes = sheet.axes(left, _TOP, side, side)
        draw_matrix(axes, matrix, styles, limits, row_labels=place == 0, fontsize=SMALL)
        sheet.head(left, side, letter, title)
    mesh, left = sheet.figure.axes[0].collections[0], EDGE + label + 2 * side + _GAP + 0.08
    sheet.colour_bar(mesh, left, _TOP, side, "similarity ($r_s$)")

    sheet.head(start, panel, "c", "Pairs of tasks")
    axes = sheet.axes(start, _TOP, panel, side)
    draw_pairs(axes, pairs, "rs_bank", "rs_small", styles)
    axes.set_xlabel("similarity of the bank models ($r_s$)", **MATH)
    axes.set_ylabel("similarity of the small models ($r_s$)", **MATH)
    for axis in (axes.xaxis, axes.yaxis):
        round_ticks(axis, 5)
    sheet.keys(start, _TOP + side + 0.3, handles, width=panel + EDGE)
    sheet.text(start, _TOP + side + key, words, fontsize=NORMAL, linespacing=1.3)
    return Drawn(sheet.figure, pairs)


def _agreement(table: pd.DataFrame) -> str:
    """Return the agreement of the mean over seeds in two lines, each with its interval."""
    need_columns(table, ["seeds"], "agreement", may_be_empty=["pearson", "spearman"])
    rows = table[table["seeds"].astype(str) == "mean"]
    if len(rows) != 1:
        raise DataError(f"agreement table has {len(rows)} rows of seeds mean; it must have one")
    row = rows.iloc[0]
    return "\n".join(
        f"{name.title()} "
        + estimate(
            *(row.get(name + end) for end in ("", "_low", "_high")),
            leading_zero=False,
            unknown="\N{EN DASH}",
        )
        for name in ("pearson", "spearman")
    )
