"""Is a network more alike than an untrained one of its design would be?

Any two networks represent the same images somewhat alike, trained or not: randomised labels, the
paper's test (Dwivedi & Roig 2019, section 4.4), say no more than that they have something in
common. Here the similarity of a network to what it is compared with is set beside the similarities
of untrained networks of the same design, over the same resamples of the images.

Columns:

untrained_mean  mean similarity of the untrained networks of that design, blank without any;
                untrained_low and untrained_high are the 95 % range in which another such network
                would lie (prediction interval; blank with fewer than two)
n_untrained     how many these are
p_untrained     one-sided, of a network no more alike than another untrained one would be;
                q_untrained is p adjusted (Benjamini & Hochberg) over the table

Of K untrained networks of mean c and deviation s, another one lies around c as
s sqrt(1 + 1/K) t does, t of K - 1 degrees of freedom. Range and p are those of the mixture of these
distributions over the resamples, so they hold for other images and for other random weights alike.
Where there is but one, p is the share of resamples in which the network is not more alike than it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from scipy.optimize import brentq
from scipy.stats import false_discovery_control, t

from taskrsa.rsa.inference import LEVEL
from taskrsa.rsa.stacks import RDMStack

COLUMNS = ("untrained_mean", "untrained_low", "untrained_high", "n_untrained", "p_untrained")
_STARS = ((0.001, "***"), (0.01, "**"), (0.05, "*"))
_SMALLEST = 1e-12  # deviation between untrained networks, which may be copies


@dataclass(frozen=True)
class Untrained:
    """The untrained networks of a run, and which networks are of their designs.

    Attributes
    ----------
    controls : RDMs of those that are not themselves compared; None for none
    of : for each network the names of the untrained ones of its design, of the controls or of the
        networks compared, itself left out
    """

    controls: RDMStack | None = None
    of: Mapping[str, Sequence[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class _Prediction:
    """Where the similarity of another untrained network would lie, in each of R resamples."""

    centre: np.ndarray  # (R,)
    scale: np.ndarray  # (R,); 0 throughout for a single network
    freedom: int

    def p(self, draws: np.ndarray) -> np.ndarray:
        """Return the one-sided p (m,) of similarities (R, m)."""
        above = draws - self.centre[:, None]
        if not self.freedom:
            return (1 + (above <= 0).sum(axis=0)) / (1 + len(above))
        return t.sf(above / self.scale[:, None], self.freedom).mean(axis=0)

    def range(self) -> tuple[float, float]:
        """Return the bounds of the 95 % range, correlations; nan for a single network."""
        tail = (1 - LEVEL) / 2
        return (self._quantile(tail), self._quantile(1 - tail)) if self.freedom else (np.nan,) * 2

    def _quantile(self, share: float) -> float:
        def excess(value: float) -> float:
            return t.cdf((value - self.centre) / self.scale, self.freedom).mean() - share

        if excess(-1.0) >= 0:
            return -1.0
        return 1.0 if excess(1.0) <= 0 else float(brentq(excess, -1.0, 1.0, xtol=1e-9))


def untrained_columns(
    names: Sequence[str], rs: np.ndarray, draws: np.ndarray, of: Mapping[str, Sequence[str]]
) -> pd.DataFrame:
    """Return `COLUMNS` for each network of `of`, in its order, indexed by their names.

    Parameters
    ----------
    names
        (n,) of all networks, untrained ones included, that similarities are given of.
    rs, draws
        (n,) similarities of what is compared to each network, and (R, n) of them over resamples.
    of
        For each network the names of the untrained ones of its design; may be empty.
    """
    at = {name: place for place, name in enumerate(names)}
    draws = draws[np.isfinite(draws).all(axis=1)]
    alike: dict[tuple[str, ...], list[str]] = {}  # networks by what they are compared with
    for name, others in of.items():
        alike.setdefault(tuple(others), []).append(name)
    table = pd.DataFrame(np.nan, index=list(of), columns=list(COLUMNS))
    for others, compared in alike.items():
        table.loc[compared, "n_untrained"] = len(others)
        if others and len(draws):
            columns = [at[other] for other in others]
            prediction = _predicted(draws[:, columns])
            shared = rs[columns].mean(), *prediction.range()
            table.loc[compared, ["untrained_mean", "untrained_low", "untrained_high"]] = shared
            p = prediction.p(draws[:, [at[name] for name in compared]])
            table.loc[compared, "p_untrained"] = p
    return table


def harder(first: pd.DataFrame, second: pd.DataFrame) -> pd.DataFrame:
    """Return for each pair that of two comparisons which is harder to pass, by its p.

    Of a pair, either network can be the one whose place an untrained one takes. Rows of both are
    those of the pairs; a comparison that cannot be made leaves the other.
    """
    takes_second = second["p_untrained"].fillna(-1.0) > first["p_untrained"].fillna(-1.0)
    chosen = np.where(takes_second.to_numpy()[:, None], second, first)
    return pd.DataFrame(chosen, columns=first.columns)


def adjusted(p: pd.Series | np.ndarray) -> np.ndarray:
    """Return p values adjusted (Benjamini & Hochberg 1995) over those that there are; else nan."""
    p = np.asarray(p, dtype=float)
    q, known = np.full(p.shape, np.nan), ~np.isnan(p)
    if known.any():
        q[known] = false_discovery_control(p[known])
    return q


def stars(q: Sequence[float]) -> list[str]:
    """Return "***" for q below .001, "**" below .01, "*" below .05, "" otherwise or for nan."""
    return [next((stars for end, stars in _STARS if value < end), "") for value in q]


def _predicted(draws: np.ndarray) -> _Prediction:
    n = draws.shape[1]
    centre = draws.mean(axis=1)
    if n == 1:
        return _Prediction(centre, np.zeros(len(centre)), 0)
    scale = np.maximum(draws.std(axis=1, ddof=1), _SMALLEST) * np.sqrt(1 + 1 / n)
    return _Prediction(centre, scale, n - 1)
