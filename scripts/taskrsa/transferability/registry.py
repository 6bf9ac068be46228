"""Measures of transfer by name. What a measure needs is what its function asks for by name.

features            (n, C) float32 of a layer at the n labelled places, finite, not all the same
labels              `taskrsa.transferability.cells.Labels` of the places, not all the same
counts              (R, N) how often each image is in each resample; None where no draws are wanted
seed                of everything random that must be the same for every network
rng                 random numbers of this network's own
rdms                `Rdms`, of the network and of the target's small models over the stimuli of the
                    ranking: images of the target, or those of the run
stimulus_counts     as `counts`, of these stimuli
bank_rdms           as `rdms`, over the run's stimuli, where the ranking is made on both
bank_counts         as `counts`, of the run's stimuli
parameters          number of parameters of the network
prior               the network's cell in the table's column of that name
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from taskrsa.errors import ConfigError
from taskrsa.targets.config import KINDS

# Why a measure has no score where what it needs is not there.
LACKING = {
    "features": "it has no features: only its RDMs are known",
    "labels": "the target has no labels",
    "counts": "",
    "seed": "",
    "rng": "",
    "rdms": "it has no RDM of the images that networks are ranked on",
    "stimulus_counts": "",
    "bank_rdms": "networks are not ranked on the run's stimuli as well",
    "bank_counts": "",
    "parameters": "its number of parameters is not known",
    "prior": "the table of networks has no prior for it",
}
OF_LAYERS = ("features",)  # what differs between layers


class Inapplicable(Exception):
    """Why a measure has no score for a network or a target."""


@dataclass(frozen=True)
class Rdms:
    """RDMs over the same images, condensed."""

    network: np.ndarray  # (1, p)
    small: np.ndarray  # (S, p) of the target's small models
    groups: np.ndarray | None = None  # of the images, drawn whole by stimulus_counts


@dataclass(frozen=True)
class Score:
    """What a measure says of a network: the higher, the better."""

    value: float
    draws: np.ndarray | None = None  # (R,) over resamples of images; (R, S) of S small models
    chance: float = np.nan  # what the best constant answer has; nan where there is none


Function = Callable[..., "Score | float"]


@dataclass(frozen=True)
class Measure:
    """A measure of transfer."""

    name: str
    label: str  # for tables
    kinds: tuple[str, ...]  # of targets that it is for
    needs: tuple[str, ...]
    function: Function

    @property
    def is_of_layer(self) -> bool:
        return any(need in OF_LAYERS for need in self.needs)


MEASURES: dict[str, Measure] = {}


def measure(
    name: str, *, label: str, kinds: tuple[str, ...] = tuple(KINDS)
) -> Callable[[Function], Function]:
    """Register the decorated function as a measure.

    The function's parameters say what it needs, by the names of the module's text. It returns a
    number, the higher the better, or a `Score`; where it does not apply it raises `Inapplicable`
    with the reason.

    Raises
    ------
    ConfigError
        If the name is taken, or a kind of target or a parameter is not known.
    """

    def register(function: Function) -> Function:
        needs = tuple(inspect.signature(function).parameters)
        if name in MEASURES:
            raise ConfigError(f"measure {name}: registered twice; give the second another name")
        for word, known in ((needs, LACKING), (kinds, KINDS)):
            for one in word:
                if one not in known:
                    raise ConfigError(
                        f"measure {name}: there is no {one}; choose from {', '.join(known)}"
                    )
        MEASURES[name] = Measure(name, label, tuple(kinds), needs, function)
        return function

    return register
