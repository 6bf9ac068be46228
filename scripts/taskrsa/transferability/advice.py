"""Which network to take for a target: the mean of the ranks that a few measures give.

Columns of the advice, one row a network, best first:

model, label, type
untrained   "yes" for a network whose weights are random
mean_rank   mean of its ranks by the measures, equal scores sharing the mean of their ranks
rank        1 for the best mean rank (equal ones share the better rank); rank_low and rank_high are
            its 95 % percentile interval over resamples of the images and, by measures of several
            small models, of their trainings (`taskrsa.rsa.inference.retrained`)
tied        "yes" where the simultaneous 95 % interval of how far its mean rank is behind that of
            the first reaches 0, as in a ranking (`taskrsa.analysis.advice`)
rank_<measure>  rank by each of the measures

Measures that are not resampled keep their ranks in every resample; where none is, intervals and
`tied` are blank. A network without a score by a measure is the last by it, since nothing speaks for
it; such networks share the mean of the last ranks. A measure that no network has a score by is left
out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from taskrsa.analysis.advice import ROUNDING, behind_first
from taskrsa.errors import DataError
from taskrsa.rsa.inference import confidence_interval, retrained
from taskrsa.rsa.rdm import descending_ranks

_SEED = 0  # of trainings; images were drawn with the run's

Draws = Mapping[tuple[str, str], np.ndarray]  # (R,) or (R, S) by network and measure


def advise(
    scores: pd.DataFrame,
    draws: Draws,
    networks: Mapping[str, Mapping[str, str]],
    measures: Sequence[str],
    layer: str,
) -> pd.DataFrame:
    """Return the advice that the module's text describes.

    Parameters
    ----------
    scores : columns model, measure, layer, score, reason, of all networks
    networks : label, type and untrained ("yes" or "no") by name
    measures : whose ranks are averaged, at `layer` where they depend on layers

    Raises
    ------
    DataError
        If no network has a score by any of the measures; the reasons are named.
    """
    names = list(networks)
    at_layer = scores[(scores["layer"].fillna("") == layer) | scores["layer"].isna()]
    values = at_layer.pivot(index="model", columns="measure", values="score")
    values = values.reindex(index=names, columns=list(measures))
    used = [name for name in measures if values[name].notna().any()]
    for name in [name for name in measures if name not in used]:
        print(f"{name}: left out, {_why(at_layer, name)}")
    if not used:
        raise DataError(
            f"no network has a score by {', '.join(measures)} ({_why(at_layer, measures[0])}); "
            "name other measures in advice.measures of the target"
        )
    ranks = {name: _ranks(values[name].to_numpy(float)) for name in used}
    drawn = [_drawn_ranks(values[name], draws, name) for name in used]
    mean_rank = np.mean(list(ranks.values()), axis=0)
    table = pd.DataFrame(
        {
            "model": names,
            "label": [networks[name]["label"] for name in names],
            "type": [networks[name]["type"] for name in names],
            "untrained": [networks[name]["untrained"] for name in names],
            "mean_rank": mean_rank,
            "rank": descending_ranks(-mean_rank),
            **_certainty(mean_rank, list(ranks.values()), drawn),
            **{f"rank_{name}": ranks[name] for name in used},
        }
    )
    return table.sort_values("mean_rank", kind="stable", ignore_index=True)


def _why(scores: pd.DataFrame, measure: str) -> str:
    reasons = scores.loc[scores["measure"] == measure, "reason"].dropna()
    return "; ".join(dict.fromkeys(reasons)) or "it was not computed"


def _ranks(scores: np.ndarray) -> np.ndarray:
    """Return ranks along the last axis, 1 for the highest; nan is last, equal ones share."""
    return rankdata(np.where(np.isnan(scores), np.inf, -scores), axis=-1)


def _drawn_ranks(values: pd.Series, draws: Draws, measure: str) -> np.ndarray | None:
    """Return the ranks (R, m) by a measure over resamples, nan where a resample gives a network no
    score; None where the measure is not resampled."""
    with_score = values.index[values.notna()]
    found = [draws.get((model, measure)) for model in with_score]
    if any(one is None for one in found):
        return None
    by_seed = np.stack([one.reshape(len(one), -1) for one in found], axis=-1)
    scores = np.full((len(found[0]), len(values)), np.nan)
    scores[:, values.notna().to_numpy()] = retrained(by_seed, _SEED)
    ranks = _ranks(scores)
    ranks[np.isnan(scores[:, values.notna().to_numpy()]).any(axis=1)] = np.nan
    return ranks


def _certainty(
    mean_rank: np.ndarray, ranks: Sequence[np.ndarray], drawn: Sequence[np.ndarray | None]
) -> dict[str, np.ndarray]:
    """Return the columns that say how certain mean ranks (m,) are, from the ranks by each measure,
    (m,) and over resamples (R, m)."""
    if all(one is None for one in drawn):
        blank = np.full(len(mean_rank), np.nan)
        return {"rank_low": blank, "rank_high": blank, "tied": np.full(len(mean_rank), "")}
    pairs = zip(ranks, drawn, strict=True)
    means = sum(point if one is None else one for point, one in pairs) / len(ranks)
    low, high = confidence_interval(np.where(np.isnan(means), np.nan, descending_ranks(-means)))
    behind_low = behind_first(-mean_rank, -means)[1]
    return {
        # Between two ranks the outer one: an interval must not be narrower than its level.
        "rank_low": np.floor(low),
        "rank_high": np.ceil(high),
        "tied": np.where(behind_low > ROUNDING, "no", "yes"),
    }
