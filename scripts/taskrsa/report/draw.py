"""Pictures of the page: the similarity matrix and the tree as SVG, the figures as data URIs."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.colors import to_hex
from PIL import Image, UnidentifiedImageError

from taskrsa.errors import DataError
from taskrsa.figures.style import SIMILARITY_CMAP, ModelStyle
from taskrsa.report.view import estimate, number, type_class

CELL = 17  # user units a side of a cell, and a line of text in the tree
GAP = 6
LETTER = 7.3  # width to allow for a letter
WIDEST = 1500  # pixels a picture is reduced to
SHOWN = 133  # pixels of the page an inch of a figure takes; figures have 300
PANEL = (230, 110)  # user units, width and height of a panel of curves
COLOURS = 256  # of a picture's palette; with fewer, the colours of types shift

_CMAP = colormaps[SIMILARITY_CMAP]


def shade(rs: float) -> str:
    """Return the colour of a similarity, from 0 (dark; so are all below) to 1, as "#rrggbb"."""
    return to_hex(_CMAP(float(np.clip(rs, 0, 1))))


def matrix(similarity: pd.DataFrame, styles: Mapping[str, ModelStyle], layer: str) -> str:
    """Return a similarity matrix as SVG; every cell says its numbers when pointed at.

    `similarity` has one row a pair: model_a, model_b, rs, ci_low, ci_high. The order is that of
    `styles`.
    """
    known = {*similarity["model_a"], *similarity["model_b"]}
    names = [name for name in styles if name in known]
    rows = {(row.model_a, row.model_b): row for row in similarity.itertuples()}
    left = GAP + LETTER * max(len(styles[name].label) for name in names)
    side = CELL * len(names)
    width, height = left + side + 1, left + side + 1
    parts = [_open(width, height, f"Similarity of every two networks, {layer}")]
    for at, name in enumerate(names):
        middle = left + CELL * (at + 0.5)
        kind, label = type_class(styles[name].type), escape(styles[name].label)
        parts.append(
            f'<text class="{kind}" x="{left - GAP:g}" y="{middle + 4:g}" text-anchor="end">'
            f"{label}</text>"
        )
        parts.append(
            f'<text class="{kind}" transform="translate({middle + 4:g} {left - GAP:g}) '
            f'rotate(-90)">{label}</text>'
        )
    for i, first in enumerate(names):
        for j, second in enumerate(names):
            row = rows.get((first, second)) or rows.get((second, first))
            if i == j:
                rs, shown = 1.0, styles[first].label
            elif row is None:
                continue
            else:
                rs = row.rs
                both = f"{styles[first].label}, {styles[second].label}"
                shown = f"{both}: {estimate(rs, row.ci_low, row.ci_high)}"
            parts.append(
                f'<rect x="{left + CELL * j:g}" y="{left + CELL * i:g}" width="{CELL}" '
                f'height="{CELL}" fill="{shade(rs)}"><title>{escape(shown)}</title></rect>'
            )
    return "".join([*parts, "</svg>"])


def scale() -> list[tuple[str, str]]:
    """Return colours and their similarities, for the key of the matrices."""
    return [(shade(rs), number(rs, 1)) for rs in np.linspace(0, 1, 11)]


def tree(linkage: np.ndarray, names: Sequence[str], styles: Mapping[str, ModelStyle]) -> str:
    """Return a tree as SVG: root at the left, one line of text a leaf, in the leaves' order."""
    # Takes longer to import than to draw everything else.
    from scipy.cluster.hierarchy import dendrogram

    drawn = dendrogram(linkage, no_plot=True, labels=list(names))
    leaves = drawn["ivl"]
    wide = 200.0
    right = GAP + 12 + LETTER * max(len(styles[name].label) for name in leaves)
    height = CELL * len(leaves)
    top = max(max(heights) for heights in drawn["dcoord"]) or 1.0
    parts = [_open(wide + right, height, f"Tree of {len(leaves)} networks")]
    for across, heights in zip(drawn["icoord"], drawn["dcoord"], strict=True):
        # SciPy puts leaf k at 10 k + 5.
        y = [CELL * at / 10 for at in across]
        x = [wide - (wide - GAP) * height / top for height in heights]
        parts.append(
            f'<path d="M{x[0]:.1f} {y[0]:.1f}H{x[1]:.1f}V{y[3]:.1f}H{x[3]:.1f}">'
            f"<title>{max(heights):.2f}</title></path>"
        )
    for at, name in enumerate(leaves):
        kind, y = type_class(styles[name].type), CELL * (at + 0.5)
        parts.append(f'<circle class="{kind}" cx="{wide + GAP}" cy="{y:g}" r="3.5"/>')
        parts.append(
            f'<text class="{kind}" x="{wide + GAP + 8}" y="{y + 4:g}">'
            f"{escape(styles[name].label)}</text>"
        )
    return "".join([*parts, "</svg>"])


def curves(
    lines: Mapping[str, Sequence[tuple[float, float]]],
    scores: tuple[float, float],
    last: float,
    title: str,
    floor: float,
) -> str:
    """Return a panel of learning curves as SVG; every point says its numbers when pointed at.

    Parameters
    ----------
    lines : (step, score) in order, by what names the line
    scores : lowest and highest score of the panel, which may be equal
    last : step at the right edge, above 0
    floor : score that is drawn as a broken line
    """
    left, right, top, bottom = 38.0, PANEL[0] - 8.0, 8.0, PANEL[1] - 18.0
    low, high = scores
    spread = high - low or 1.0

    def x(step: float) -> float:
        return left + (right - left) * step / last

    def y(score: float) -> float:
        # The lowest, often the floor, is not to lie on the axis.
        return bottom - 7 - (bottom - 7 - top) * (score - low) / spread

    parts = [
        _open(*PANEL, f"Learning curves, {title}"),
        f'<path d="M{left:g} {top:g}V{bottom:g}H{right:g}"/>',
        f'<path stroke-dasharray="4 3" d="M{left:g} {y(floor):.1f}H{right:g}">'
        f"<title>floor: {number(floor, 3)}</title></path>",
    ]
    for score in dict.fromkeys(scores):
        parts.append(
            f'<text x="{left - 5:g}" y="{y(score) + 4:.1f}" text-anchor="end">'
            f"{number(score)}</text>"
        )
    parts.append(
        f'<text x="{right:g}" y="{PANEL[1] - 4}" text-anchor="end">step {number(last, 0)}</text>'
    )
    for name, points in lines.items():
        way = "L".join(f"{x(step):.1f} {y(score):.1f}" for step, score in points)
        # The page's own colours of lines and letters do for axes only.
        parts.append(f'<path style="stroke:var(--link);stroke-width:1.6" d="M{way}"/>')
        for step, score in points:
            shown = escape(f"{title}, {name}, step {number(step, 0)}: {number(score, 3)}")
            parts.append(
                f'<circle style="fill:var(--link)" cx="{x(step):.1f}" cy="{y(score):.1f}" r="2.5">'
                f"<title>{shown}</title></circle>"
            )
    return "".join([*parts, "</svg>"])


def _open(width: float, height: float, label: str) -> str:
    return (
        f'<svg viewBox="0 0 {width:g} {height:g}" width="{width:g}" height="{height:g}" '
        f'role="img" aria-label="{escape(label, quote=True)}">'
    )


def picture(path: str | Path) -> tuple[str, int, int]:
    """Return a figure's PNG, reduced for the screen, as a data URI, and its size on the page.

    Raises
    ------
    DataError
        If the file is not there or is no picture.
    """
    try:
        with Image.open(path) as image:
            image.load()
            image = image.convert("RGB")
    except FileNotFoundError:
        raise DataError(f"{path}: there is no such picture; draw it again") from None
    except (UnidentifiedImageError, OSError) as error:
        raise DataError(f"{path}: is no picture ({error}); draw it again") from None
    shown = [round(side * SHOWN / 300) for side in image.size]
    if image.width > WIDEST:
        height = round(image.height * WIDEST / image.width)
        image = image.resize((WIDEST, height), Image.Resampling.LANCZOS)
    written = io.BytesIO()
    image.quantize(COLOURS, dither=Image.Dither.NONE).save(written, "PNG", optimize=True)
    encoded = base64.b64encode(written.getvalue()).decode()
    return f"data:image/png;base64,{encoded}", *shown
