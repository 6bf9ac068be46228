"""All measures of one network on one target, each with a score or the reason why it has none."""

from __future__ import annotations

import inspect
import time
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace

import numpy as np

from taskrsa.errors import ConfigError, TaskrsaError
from taskrsa.extensions import line_of
from taskrsa.text import one_line
from taskrsa.transferability.cells import Labels
from taskrsa.transferability.registry import LACKING, Inapplicable, Measure, Rdms, Score

# What every measure can have; of the rest a network may lack something.
_OPTIONAL = ("rdms", "bank_rdms", "parameters", "prior")


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
    bank_rdms: Rdms | None = None
    bank_counts: np.ndarray | None = None


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

    Raises
    ------
    ConfigError
        If a measure of an extension fails, or does not return a score; its file is named.
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
                made.draws[one.name, layer] = score.draws
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
        "bank_rdms": subject.bank_rdms,
        "bank_counts": subject.bank_counts if drawn else None,
        "parameters": subject.parameters,
        "prior": subject.prior,
    }
    try:
        found = one.function(**{need: _read_only(given[need]) for need in one.needs})
        return _checked(found, subject)
    except (Inapplicable, TaskrsaError, MemoryError):
        raise
    except np.linalg.LinAlgError as error:
        raise Inapplicable(f"its equations have no solution here ({one_line(error)})") from None
    except (Exception, SystemExit) as error:
        if one.function.__module__.startswith("taskrsa."):
            raise  # a fault of this project, whose traceback says more
        file = inspect.getfile(one.function)
        reason = f"{type(error).__name__}: {one_line(error)}"
        raise ConfigError(
            f"extension {file}{line_of(error, file)}: measure {one.name} fails ({reason}); correct "
            "it, or raise Inapplicable where there is no score"
        ) from error


def _read_only(given: object) -> object:
    """Return what a measure is given so that it cannot change what the next one is given."""
    if isinstance(given, np.ndarray):
        given = given.view()
        given.flags.writeable = False
    elif isinstance(given, Labels | Rdms):
        parts = {one.name: _read_only(getattr(given, one.name)) for one in fields(given)}
        given = replace(given, **parts)
    return given


def _checked(found: Score | float, subject: Subject) -> Score:
    """Return what a measure found as numbers; TypeError or ValueError if they are none."""
    score = found if isinstance(found, Score) else Score(found)
    draws = score.draws
    if draws is not None:
        draws = np.asarray(draws, dtype=np.float64)
        counts = (subject.counts, subject.stimulus_counts, subject.bank_counts)
        numbers = [len(one) for one in counts if one is not None] or [draws.size]
        small = [] if subject.rdms is None else [len(subject.rdms.small)]
        allowed = [(number, *more) for number in numbers for more in ([], small)]
        if draws.shape not in allowed:
            raise ValueError(f"draws have the shape {draws.shape}, and not {(numbers[0],)}")
    return replace(score, value=float(score.value), draws=draws)
