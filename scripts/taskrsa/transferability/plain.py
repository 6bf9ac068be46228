"""Measures that need no features: the paper's, and what a choice must beat."""

from __future__ import annotations

import math

import numpy as np

from taskrsa.rsa.inference import resampled_similarity
from taskrsa.rsa.similarity import similarity_between
from taskrsa.transferability.registry import Rdms, Score, measure


@measure("rsa", label="RSA to small models")
def rsa(rdms: Rdms, stimulus_counts: np.ndarray | None) -> Score:
    """Mean Spearman correlation of the network's RDM with those of the target's small models
    (Dwivedi & Roig 2019, section 6.3), at the layer of the rankings."""
    return _compared(rdms, stimulus_counts)


@measure("rsa_bank", label="RSA, the run's stimuli")
def rsa_bank(bank_rdms: Rdms, bank_counts: np.ndarray | None) -> Score:
    """The same over the run's stimuli, where `rsa` is over images of the target."""
    return _compared(bank_rdms, bank_counts)


def _compared(rdms: Rdms, counts: np.ndarray | None) -> Score:
    value = similarity_between(rdms.small, rdms.network).mean()
    if counts is None:
        return Score(float(value))
    draws = resampled_similarity(rdms.small, counts, others=rdms.network, groups=rdms.groups)
    # Of several small models each is kept: the advice draws their trainings as well.
    return Score(float(value), draws[:, 0, 0] if len(rdms.small) == 1 else draws[..., 0])


@measure("size", label="size")
def size(parameters: int) -> float:
    """Logarithm of the number of parameters."""
    return math.log10(max(1, parameters))


@measure("prior", label="prior")
def prior(prior: float) -> float:
    """What the user expects of the network, whatever the target."""
    return prior


@measure("random", label="random")
def random(rng: np.random.Generator) -> float:
    """A number at random."""
    return float(rng.random())
