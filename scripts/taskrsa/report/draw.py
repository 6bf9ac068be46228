"""Pictures of the page: matrices, trees and curves as SVG, figures as data URIs."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.colors import to_hex, to_rgb
from PIL import Image, UnidentifiedImageError
from scipy.cluster.hierarchy import dendrogram

from taskrsa.errors import DataError
from taskrsa.figures.sheet import text_width
from taskrsa.figures.style import SIMILARITY_CMAP, shorten
from taskrsa.report.view import Mark, Styles
from taskrsa.text import estimate, number

# For up to this many networks: side of a matrix cell, line height of the tree's text and its font
# size, in user units.
SIDES = ((22, 17, 12), (40, 14, 12), (math.inf, 11, 9))
GAP = 6
WIDEST = 1500  # pixels a picture is reduced to
SHOWN = 133  # pixels of the page an inch of a figure takes; figures have 300
PANEL = (230, 110)  # user units, width and height of a panel of curves
COLOURS = 256  # of a picture's palette; with fewer, the colours of types shift
CONTRAST = 4.6  # least contrast of coloured text with the page (WCAG 2 asks for 4.5)
PAPER = {"light": "#fcfcfa", "dark": "#15171a"}  # as in the style sheet

_CMAP = colormaps[SIMILARITY_CMAP]


def shade(rs: float) -> str:
    """Return the colour of a similarity, from 0 (dark; so are all below) to 1, as "#rrggbb"."""
    return to_hex(_CMAP(float(np.clip(rs, 0, 1))))


def scale() -> list[tuple[str, str]]:
    """Return colours and their similarities, for the key of the matrices."""
    return [(shade(rs), number(rs, 1)) for rs in np.linspace(0, 1, 11)]


# --- types ---


def readable(colour: str, scheme: str) -> str:
    """Return a colour made darker (scheme "light") or lighter ("dark") until text in it is legible.

    The contrast with the page's background is that of WCAG 2, at least `CONTRAST`.
    """
    paper, end = _luminance(to_rgb(PAPER[scheme])), float(scheme == "dark")
    for share in np.linspace(0, 1, 41):
        mixed = tuple((1 - share) * part + share * end for part in to_rgb(colour))
        low, high = sorted((paper, _luminance(mixed)))
        if (high + 0.05) / (low + 0.05) >= CONTRAST:
            break
    return to_hex(mixed)


def _luminance(rgb: Sequence[float]) -> float:
    parts = [x / 12.92 if x <= 0.03928 else ((x + 0.055) / 1.055) ** 2.4 for x in rgb]
    return float(np.dot(parts, (0.2126, 0.7152, 0.0722)))


def type_css(marks: Iterable[Mark]) -> str:
    """Return the style sheet of the types: colour and sign of each class, in both schemes."""
    marks = list(marks)
    sheets = [
        "".join(f"--{mark.css}:{readable(mark.colour, scheme)};" for mark in marks)
        for scheme in PAPER
    ]
    rules = [
        f'.{mark.css}{{--type:var(--{mark.css})}}.{mark.css}::before{{content:"{mark.glyph}\\a0"}}'
        for mark in marks
    ]
    dark = f"@media screen and (prefers-color-scheme:dark){{:root{{{sheets[1]}}}}}"
    return f":root{{{sheets[0]}}}{dark}{''.join(rules)}"


# --- matrix and tree ---


def matrix(similarity: pd.DataFrame, order: Sequence[str], styles: Styles, layer: str) -> str:
    """Return a similarity matrix as SVG; every cell shows its numbers when pointed at.

    similarity has a row a pair: model_a, model_b, rs, ci_low, ci_high; order is that of the rows,
    without the networks that are not compared. In a large matrix the numbers have short labels.
    """
    known = {*similarity["model_a"], *similarity["model_b"]}
    names = [name for name in order if name in known]
    pairs = {(row.model_a, row.model_b): row for row in similarity.itertuples()}
    cell, letters, left = _measures(names, styles)
    side = left + cell * len(names) + 1
    title = f"Similarity of every two networks, {layer}"
    parts = [_open(side, side, title, letters, f";--cell:{cell}px", "cells")]
    whole = {name: escape(styles[name].label) for name in names}
    if len(names) > SIDES[-2][0]:  # as there are thousands of cells
        whole = {name: escape(shorten(styles[name].label)) for name in names}
    for at, name in enumerate(names):
        middle = left + cell * (at + 0.5)
        style = styles[name]
        label = f"{escape(shorten(style.label))} {style.mark.glyph}".strip()
        label += f"<title>{escape(style.label)}</title>"
        places = (
            f'x="{left - GAP:g}" y="{middle + 4:g}" text-anchor="end"',
            f'transform="translate({middle + 4:g} {left - GAP:g}) rotate(-90)"',
        )
        parts += [f'<text class="{style.mark.css}" {place}>{label}</text>' for place in places]
    for i, first in enumerate(names):
        parts.append(f'<g transform="translate({left:g} {left + cell * i:g})">')
        for j, second in enumerate(names):
            row = pairs.get((first, second)) or pairs.get((second, first))
            if i == j:
                rs, said = 1.0, whole[first]
            elif row is None:
                continue
            else:
                labels = f"{whole[first]}, {whole[second]}"
                rs, said = row.rs, f"{labels}: {estimate(row.rs, row.ci_low, row.ci_high)}"
            parts.append(f'<rect x="{cell * j}" fill="{shade(rs)}"><title>{said}</title></rect>')
        parts.append("</g>")
    return "".join([*parts, "</svg>"])


def tree(linkage: np.ndarray, names: Sequence[str], styles: Styles) -> str:
    """Return a tree as SVG: root at the left, one line of text a leaf, in the leaves' order."""
    drawn = dendrogram(linkage, no_plot=True, labels=list(names))
    leaves = drawn["ivl"]
    wide, top = 160.0, max(max(heights) for heights in drawn["dcoord"]) or 1.0
    line, letters, right = _measures(leaves, styles)
    title = f"Tree of {len(leaves)} networks"
    parts = [_open(wide + GAP + right, line * len(leaves) + 1, title, letters)]
    for across, heights in zip(drawn["icoord"], drawn["dcoord"], strict=True):
        # SciPy puts leaf k at 10 k + 5.
        y = [line * at / 10 for at in across]
        x = [wide - (wide - GAP) * height / top for height in heights]
        parts.append(
            f'<path d="M{x[0]:.1f} {y[0]:.1f}H{x[1]:.1f}V{y[3]:.1f}H{x[3]:.1f}">'
            f"<title>{max(heights):.2f}</title></path>"
        )
    for at, name in enumerate(leaves):
        style = styles[name]
        label = f"{style.mark.glyph} {escape(shorten(style.label))}".strip()
        parts.append(
            f'<text class="{style.mark.css}" x="{wide + GAP}" y="{line * (at + 0.5) + 4:g}">{label}'
            f"<title>{escape(style.label)}</title></text>"
        )
    return "".join([*parts, "</svg>"])


def _measures(names: Sequence[str], styles: Styles) -> tuple[int, int, float]:
    """Return the side of a cell, the size of letters and the room for labels of networks."""
    _, side, letters = next(row for row in SIDES if len(names) <= row[0])
    # In Matplotlib's font, which is as wide as any that a page of a system's own is shown in; a
    # point is a 72nd of an inch.
    labels = {shorten(styles[name].label) for name in names}
    return side, letters, GAP + 72 * text_width(labels, letters) + 1.4 * letters


# --- curves ---


def curves(
    lines: Mapping[str, Sequence[tuple[float, float]]],
    scores: tuple[float, float],
    last: float,
    title: str,
    chance: float,
) -> str:
    """Return a panel of learning curves as SVG; every point shows its numbers when pointed at.

    lines are (step, score) in order, by name; scores the lowest and highest of the panel, which may
    be equal; last is the step at the right edge, above 0; chance the score of a constant answer,
    drawn as a broken line.
    """
    left, right, top, bottom = 38.0, PANEL[0] - 8.0, 8.0, PANEL[1] - 18.0
    low, high = scores

    def x(step: float) -> float:
        return left + (right - left) * step / last

    def y(score: float) -> float:
        # The lowest score, often that of a constant answer, must not lie on the axis.
        return bottom - 7 - (bottom - 7 - top) * (score - low) / (high - low or 1.0)

    parts = [
        _open(*PANEL, f"Learning curves, {title}"),
        f'<path d="M{left:g} {top:g}V{bottom:g}H{right:g}"/>',
        f'<path stroke-dasharray="4 3" d="M{left:g} {y(chance):.1f}H{right:g}">'
        f"<title>a constant answer: {number(chance, 3)}</title></path>",
        f'<text x="{right:g}" y="{PANEL[1] - 4}" text-anchor="end">step {number(last, 0)}</text>',
    ]
    parts += [
        f'<text x="{left - 5:g}" y="{y(score) + 4:.1f}" text-anchor="end">{number(score)}</text>'
        for score in dict.fromkeys(scores)
    ]
    for name, points in lines.items():
        corners = "L".join(f"{x(step):.1f} {y(score):.1f}" for step, score in points)
        # The page's own colours of lines and letters do for axes only.
        parts.append(f'<path class="line" d="M{corners}"/>')
        for step, score in points:
            said = escape(f"{title}, {name}, step {number(step, 0)}: {number(score, 3)}")
            parts.append(
                f'<circle class="line" cx="{x(step):.1f}" cy="{y(score):.1f}" r="2.5">'
                f"<title>{said}</title></circle>"
            )
    return "".join([*parts, "</svg>"])


def _open(
    width: float, height: float, label: str, letters: int = 12, style: str = "", kind: str = ""
) -> str:
    kind = kind and f'class="{kind}" '
    return (
        f'<svg {kind}viewBox="0 0 {width:g} {height:g}" width="{width:g}" height="{height:g}" '
        f'style="font-size:{letters}px{style}" role="img" aria-label="{escape(label, quote=True)}">'
    )


# --- figures ---


def picture(path: str | Path) -> tuple[str, int, int]:
    """Return a figure's PNG, reduced for the screen, as a data URI, and its size on the page.

    Raises DataError if the file is missing or is not a picture.
    """
    try:
        with Image.open(path) as image:
            image.load()
            image = image.convert("RGB")
    except FileNotFoundError:
        raise DataError(f"{path}: picture not found; draw it again") from None
    except (UnidentifiedImageError, OSError) as error:
        raise DataError(f"{path}: not a picture ({error}); draw it again") from None
    shown = [round(side * SHOWN / 300) for side in image.size]
    if image.width > WIDEST:
        height = round(image.height * WIDEST / image.width)
        image = image.resize((WIDEST, height), Image.Resampling.LANCZOS)
    written = io.BytesIO()
    image.quantize(COLOURS, dither=Image.Dither.NONE).save(written, "PNG", optimize=True)
    encoded = base64.b64encode(written.getvalue()).decode()
    return f"data:image/png;base64,{encoded}", *shown
