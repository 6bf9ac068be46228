"""All measures of one network on one target, each with a score or the reason why it has none."""

from __future__ import annotations

import time
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from taskrsa.transferability.cells import Labels
from taskrsa.transferability.registry import LACKING, Inapplicable, Measure, Rdms, Score

# What every measure can have; of the rest a network may lack something.
_OPTIONAL = ("rdms", "parameters", "prior")


@dataclass(frozen=True)
class Subject:
    """What is known of a network on a target; None where it is not known."""

    model: str
    labels: Labels
    seed: int
    layers: Mapping[str, np.ndarray] = field(default_factory=dict)
    rdms: Rdms | None = None
    parameters: int | None = None
    prior: float | None = None
    counts: np.ndarray | None = None  # of resamples of the labelled images
    stimulus_counts: np.ndarray | None = None


@dataclass(frozen=True)
class Measured:
    """Rows of a table (model, measure, layer, score, reason, chance), the draws by measure and
    layer, and rows of how long each took."""

    rows: list[dict]
    draws: dict[tuple[str, str], np.ndarray]
    seconds: list[dict]


def measure_all(
    subject: Subject, measures: Iterable[Measure], layers: Iterable[str], drawn: Iterable[str]
) -> Measured:
    """Return the scores of a network.

    Parameters
    ----------
    layers : of which there is a row each, of measures that depend on layers; "" stands for none
    drawn : names of the measures that are resampled, if they can be
    """
    layers, drawn = list(layers), set(drawn)
    made = Measured([], {}, [])
    for one in measures:
        for layer in layers if one.is_of_layer else [""]:
            began = time.process_time()
            reason, score = _reason(subject, one, layer), None
            if not reason:
                try:
                    score = _called(subject, one, layer, one.name in drawn)
                except Inapplicable as error:
                    reason = str(error)
            if score is not None and not np.isfinite(score.value):
                reason, score = "it is not a finite number here", None
            about = {"model": subject.model, "measure": one.name, "layer": layer}
            made.rows.append(
                {
                    **about,
                    "score": score.value if score else None,
                    "reason": reason,
                    "chance": score.chance if score else None,
                }
            )
            made.seconds.append({**about, "seconds": time.process_time() - began})
            if score and score.draws is not None:
                made.draws[one.name, layer] = np.asarray(score.draws, dtype=np.float64)
    return made


def _reason(subject: Subject, one: Measure, layer: str) -> str:
    """Say why a measure cannot be made, "" if it can."""
    kind = subject.labels.kind
    if kind not in one.kinds:
        return f"it is not for targets of kind {kind}"
    if "labels" in one.needs and not np.ptp(subject.labels.values, axis=0).any():
        return "all labels are the same"
    if one.is_of_layer:
        if not subject.layers:
            return LACKING["features"]
        if layer not in subject.layers:
            return f"it has no layer {layer}"
        if not np.ptp(subject.layers[layer], axis=0).any():
            return "its features are the same for all images"
    lacking = [need for need in one.needs if need in _OPTIONAL and getattr(subject, need) is None]
    return LACKING[lacking[0]] if lacking else ""


def _called(subject: Subject, one: Measure, layer: str, drawn: bool) -> Score:
    """Call a measure with what it asks for."""
    given = {
        "features": subject.layers.get(layer),
        "labels": subject.labels,
        "counts": subject.counts if drawn else None,
        "stimulus_counts": subject.stimulus_counts if drawn else None,
        "seed": subject.seed,
        "rng": np.random.default_rng([subject.seed, zlib.crc32(subject.model.encode())]),
        "rdms": subject.rdms,
        "parameters": subject.parameters,
        "prior": subject.prior,
    }
    score = one.function(**{need: given[need] for need in one.needs})
    return score if isinstance(score, Score) else Score(float(score))
