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
s sqrt(1 + 1/K) t does, t of K - 1 degrees of freedom. Their deviation holds what other weights, and
other images, would change. A network whose difference from c varies more over the resampled images
than theirs do has that much more variance in its test, with Satterthwaite's degrees of freedom.
Where there is but one untrained network, p is the share of resamples in which the network is not
more alike than it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from scipy.stats import false_discovery_control, t

from taskrsa.rsa.inference import LEVEL
from taskrsa.rsa.stacks import RDMStack

COLUMNS = ("untrained_mean", "untrained_low", "untrained_high", "n_untrained", "p_untrained")
_STARS = ((0.001, "***"), (0.01, "**"), (0.05, "*"))
_SMALLEST = 1e-12  # variance between untrained networks, which may be copies


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
        if others and len(draws) > 1:
            of_others, of_compared = ([at[name] for name in names] for names in (others, compared))
            null = rs[of_others]
            table.loc[compared, "untrained_mean"] = null.mean()
            table.loc[compared, ["untrained_low", "untrained_high"]] = _range(null)
            p = _p(rs[of_compared], draws[:, of_compared], null, draws[:, of_others])
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


def _variance(null: np.ndarray) -> float:
    """Return the variance of another untrained network around the mean of these K > 1."""
    return float(max(null.var(ddof=1), _SMALLEST) * (1 + 1 / len(null)))


def _range(null: np.ndarray) -> tuple[float, float]:
    """Return the 95 % range of another untrained network, a correlation; nan of a single one."""
    if len(null) == 1:
        return np.nan, np.nan
    half = t.ppf((1 + LEVEL) / 2, len(null) - 1) * np.sqrt(_variance(null))
    return float(max(null.mean() - half, -1.0)), float(min(null.mean() + half, 1.0))


def _p(rs: np.ndarray, draws: np.ndarray, null: np.ndarray, null_draws: np.ndarray) -> np.ndarray:
    """Return the one-sided p (m,) of similarities (m,) and (R, m), beside K untrained networks."""
    k, centre = len(null), null_draws.mean(axis=1, keepdims=True)
    if k == 1:
        return (1 + (draws <= centre).sum(axis=0)) / (1 + len(draws))
    variance = _variance(null)
    # Of one network over images: that of its difference from the mean of K, and what theirs would
    # be if they were not themselves in that mean.
    own = (draws - centre).var(axis=0, ddof=1)
    theirs = (null_draws - centre).var(axis=0, ddof=1).mean() * (k + 1) / (k - 1)
    total = variance + np.maximum(own - theirs, 0.0)
    freedom = (k - 1) * (total / variance) ** 2
    return t.sf((rs - null.mean()) / np.sqrt(total), freedom)
