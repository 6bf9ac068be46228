"""One look for all figures: fonts, sizes, and how networks and layers are written and coloured.

Nothing here touches the global state of Matplotlib: `figure` sets the parameters for the time of
one call.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import wraps
from typing import NamedTuple

import matplotlib.style
import pandas as pd

from taskrsa.figures.registry import Registration
from taskrsa.tasks.dictionary import TYPE_COLOURS

SMALL = 5.5  # points; no text is smaller
NORMAL = 6.2  # points; names of networks, numbers on axes
LARGE = 7.0  # points; titles

INK = "#222222"
GREY = "#8a8a8a"
PALE = "#e6e6e6"
SIMILARITY_CMAP = "viridis"  # even in lightness, safe for the colour-blind, readable in grey

RC = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],  # comes with Matplotlib: the same bytes on every machine
    "font.size": NORMAL,
    "axes.titlesize": LARGE,
    "axes.labelsize": NORMAL,
    "xtick.labelsize": NORMAL,
    "ytick.labelsize": NORMAL,
    "legend.fontsize": NORMAL,
    "legend.frameon": False,
    "legend.handletextpad": 0.4,
    "legend.borderaxespad": 0.0,
    "legend.borderpad": 0.0,
    "axes.linewidth": 0.5,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.labelpad": 2.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "text.color": INK,
    "text.parse_math": False,  # a "$" in a user's label is a dollar sign
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.major.width": 0.5,
    "ytick.major.width": 0.5,
    "xtick.major.size": 2.0,
    "ytick.major.size": 2.0,
    "xtick.major.pad": 2.0,
    "ytick.major.pad": 2.0,
    "lines.linewidth": 1.0,
    "lines.markersize": 3.5,
    "pdf.fonttype": 42,  # text stays text: it can be searched, selected and edited
    "ps.fonttype": 42,
    "savefig.dpi": 300,
}
SYMBOLS = {"spearman": "$r_s$", "rho_a": r"$\rho_a$"}  # of what RDMs are compared by
MATH = {"parse_math": True}  # for labels of axes with a formula in them

# For curves that are not types: Okabe and Ito's colours, which all readers can distinguish.
SERIES = ("#0072b2", "#d55e00", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#7f6a00")

# Types other than the paper's four take these in turn, and then those of the four that are absent:
# at least 15 CIEDE2000 units from each other, from the four and from the greys.
PALETTE = (
    *("#b87400", "#2a9fd6", "#7a4a2b", "#00897b", "#8e6bbf"),
    *("#8f8f00", "#fa89a6", "#8e0443", "#2b5004", "#fd8d5d"),
)
OTHER = "other types"  # those for which no colour is left share one
_OTHER_COLOUR, _OTHER_MARKER = "#707070", "*"
_UNTYPED = "#3a4650", "o"
# Red and green, or blue and magenta, may look alike to a reader: types differ in shape as well.
_MARKERS = ("o", "s", "D", "^", "v", "P", "X", "p", "<", ">", "h", "d", "H", "8")


def figure(**registration) -> Callable:
    """Register a drawing function and run it under `RC`, whatever the user's own settings are.

    The keywords, all literals, are those of `Registration`; each figure has its own decorator.
    """

    def decorate(function: Callable) -> Callable:
        name, module = function.__name__, function.__module__
        Registration(module=module, function=name, **registration)  # refuses what is wrong
        return styled(function)

    return decorate


def styled(function: Callable) -> Callable:
    """Run a function under `RC`."""

    @wraps(function)
    def wrapper(*args, **kwargs):
        with matplotlib.style.context(RC, after_reset=True):
            return function(*args, **kwargs)

    return wrapper


# --- Networks ---


class ModelStyle(NamedTuple):
    """How one network is written and drawn."""

    label: str
    type: str  # "" when it has none
    colour: str  # "#rrggbb"
    marker: str


def network_styles(names: Iterable[str], networks: pd.DataFrame) -> dict[str, ModelStyle]:
    """Return how networks are drawn, type by type in the order of the table.

    networks: columns name, label, type (may be empty): all networks of the run, so that a type has
    one colour in all figures. The paper's four types come first and have the paper's colours;
    others take those of `PALETTE` as they come in the table, then the absent ones of the four,
    and share one when all are used up. Networks without a type come last and are of one colour. A
    name that the table lacks is written as it is.
    """
    known = {
        row.name: (str(row.label), row.type if isinstance(row.type, str) else "")
        for row in networks[["name", "label", "type"]].itertuples(index=False)
    }
    types = type_styles(kind for _, kind in known.values()) | {"": _UNTYPED}
    names = dict.fromkeys(names)
    known |= {name: (str(name), "") for name in names if name not in known}
    drawn = [name for name in known if name in names]
    styles = {}
    for name in sorted(drawn, key=lambda name: [*types].index(known[name][1])):
        label, kind = known[name]
        styles[name] = ModelStyle(shorten(label), kind, *types[kind])
    return styles


def type_styles(types: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Return the colour and marker of each type, the paper's four first; "" means none."""
    known = [kind for kind in dict.fromkeys(types) if kind]
    others = [kind for kind in known if kind not in TYPE_COLOURS]
    marked = list(zip([*TYPE_COLOURS.values(), *PALETTE], _MARKERS, strict=True))
    papers = dict(zip(TYPE_COLOURS, marked, strict=False))
    free = [*marked[len(papers) :], *(papers[kind] for kind in papers if kind not in known)]
    shared = (_OTHER_COLOUR, _OTHER_MARKER)
    return papers | dict.fromkeys(others, shared) | dict(zip(others, free, strict=False))


def are_papers(types: Iterable[str]) -> bool:
    """Tell whether all types are the paper's, so that networks stand in its order."""
    return {*types} <= {*TYPE_COLOURS}


def is_other(style: ModelStyle) -> bool:
    """Tell whether a network's type shares its colour with others."""
    return bool(style.type) and style.colour == _OTHER_COLOUR


def shorten(label: str, length: int = 24) -> str:
    """Cut the middle out of a label longer than `length` characters; its two ends stay."""
    if len(label) <= length:
        return label
    tail = length // 3
    return f"{label[: length - tail - 1]}…{label[-tail:]}"


# --- Layers ---

_LAYERS = {"compressed": "compressed encoder output", "last": "last layer"}
_SHORT_LAYERS = {"compressed": "com-\npressed", "last": "last\nlayer"}


def layer_order(layers: Iterable[str]) -> list[str]:
    """Return the layers as they came, from input to output, the labels of the tasks last."""
    return sorted(dict.fromkeys(layers), key=lambda name: name == "labels")


def layer_label(layer: str, short: bool = False) -> str:
    """Return a layer's name in figures; `short` for ticks."""
    numbered = re.fullmatch(r"(block|depth)(\d+)", layer)
    words = list(numbered.groups()) if numbered else [_LAYERS.get(layer, layer)]
    return _SHORT_LAYERS.get(layer, "\n".join(words)) if short else " ".join(words)
