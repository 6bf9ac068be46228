"""Words that the answer and the sections share: a run's names and numbers as running text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from taskrsa.figures.style import layer_label
from taskrsa.report.inputs import Inputs
from taskrsa.text import first_few, joined, metric_name
from taskrsa.transferability import TAP

NAMED = 4  # networks that a sentence names
HEAD_SEES = "the layer that the head sees"


class Said(NamedTuple):
    """Sentences, those that speak against trusting the answer, and those that hold whichever
    network comes first: where several targets share one, the page says it once."""

    sentences: Sequence[str] = ()
    cautions: Sequence[str] = ()
    notes: Sequence[str] = ()


def together(parts: Iterable[Said]) -> Said:
    """Return what several parts say, in their order."""
    found: Said = Said([], [], [])
    for part in parts:
        for whole, more in zip(found, part, strict=True):
            whole += more
    return found


def metric_of(inputs: Inputs, target: str) -> str:
    """Return the metric of a target's scores as a page writes it."""
    scores = inputs.table("scores", target)
    return metric_name(scores["metric"].iloc[0] if target and len(scores) else "score")


def place(layer: str) -> str:
    """Return a layer as running text."""
    if layer == TAP:
        return HEAD_SEES
    label = layer_label(layer)
    if label == layer:
        return f"layer {layer}"
    return label if label[-1].isdigit() else f"the {label}"


def names_of(inputs: Inputs, models: Sequence[str]) -> str:
    """Return the names of networks as running text, the first few of many."""
    return listed([inputs.label(model) for model in models])


def listed(texts: Sequence[str]) -> str:
    """Return texts as a running list, the first few of many."""
    return joined(texts) if len(texts) <= NAMED else first_few(texts, NAMED)


def ordinal(rank: float) -> str:
    """Return a rank as text: "2nd"; of ranks that are shared, "2.5th"."""
    n = int(rank)
    if n != rank:
        return f"{rank:g}th"
    ending = {1: "st", 2: "nd", 3: "rd"}.get(n % 10, "th")
    return f"{n}{'th' if 10 <= n % 100 <= 20 else ending}"
