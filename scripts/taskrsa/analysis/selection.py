"""Does similarity predict which source transfers best? Rankings against measured transfer.

Dwivedi & Roig 2019, section 6.3 and Table 1: for every target, the similarities of the sources to
the target's network are correlated with the affinities of the sources to the target, and the source
that similarity puts first is looked up in the order of the affinities. A target's own network, the
source of the same name, is left out throughout.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist

import numpy as np
import pandas as pd

from taskrsa.analysis.ranking import CORRELATIONS, FEWEST, task_agreement
from taskrsa.errors import DataError, RepresentationError
from taskrsa.paper import published
from taskrsa.rsa.inference import with_interval
from taskrsa.rsa.rdm import descending_ranks, standardise

TOPS = (1, 3, 5)
_LEVEL = 0.95
_ENDS = ("", "_low", "_high")

COLUMNS = (
    *("affinities", "method", "label", "target"),
    *(f"{name}{end}" for name in CORRELATIONS for end in _ENDS),
    *("choice", "choice_rank", "n_sources"),
    *(f"top{n}{end}" for n in TOPS for end in _ENDS),
    "n_targets",
    *(f"spearman_less_rsa{end}" for end in _ENDS),
)


@dataclass(frozen=True)
class Transfer:
    """Similarities of sources to targets, and how well the sources transfer to them.

    Attributes
    ----------
    similarity
        (..., m, T) of m sources to T targets; leading axes are resamples, say.
    affinity
        (m, T) measured transfer, higher is better.
    sources, targets
        Their names; a target need not be a source.

    Raises
    ------
    DataError
        If shapes and names do not agree or an affinity is not a finite number.
    RepresentationError
        If all sources transfer to a target alike, or fewer than 3 are left for it.
    """

    similarity: np.ndarray
    affinity: np.ndarray
    sources: Sequence[str]
    targets: Sequence[str]

    def __post_init__(self) -> None:
        for field in ("similarity", "affinity"):
            object.__setattr__(self, field, np.asarray(getattr(self, field), dtype=np.float64))
        shape = (len(self.sources), len(self.targets))
        if self.similarity.shape[-2:] != shape or self.affinity.shape != shape:
            raise DataError(
                f"similarities of shape {self.similarity.shape} and affinities of shape "
                f"{self.affinity.shape} for {shape[0]} sources and {shape[1]} targets; give one "
                f"number for each pair"
            )
        for t in range(len(self.targets)):
            self._check(t)

    def _check(self, t: int) -> None:
        keep, target = self.others(t), self.targets[t]
        if len(keep) < FEWEST:
            raise RepresentationError(
                f"{target}: {len(keep)} sources besides its own network; a correlation with "
                f"transfer needs at least {FEWEST}, so add networks or leave the target out"
            )
        column = self.affinity[keep, t]
        for i in np.flatnonzero(~np.isfinite(column)):
            raise DataError(
                f"the affinity of {self.sources[keep[i]]} to {target} is not a finite number; "
                f"measure it or leave the target out"
            )
        if np.isnan(standardise(column)).any():
            raise RepresentationError(
                f"every source transfers to {target} alike; leave the target out"
            )

    def others(self, t: int) -> np.ndarray:
        """Return the indices of the sources other than the own network of target `t`."""
        return np.flatnonzero([source != self.targets[t] for source in self.sources])

    def places(self, t: int) -> np.ndarray:
        """Return the ranks of those sources by affinity, 1 for the best."""
        return descending_ranks(self.affinity[self.others(t), t])


def column_correlations(transfer: Transfer) -> dict[str, np.ndarray]:
    """Return "pearson" and "spearman" (mid-ranks) of similarity with affinity, for every target.

    Two arrays (..., T) float64; nan where a similarity is nan or all are the same.
    """
    similarity = transfer.similarity.swapaxes(-1, -2)
    return task_agreement(similarity, transfer.affinity.T, transfer.targets, transfer.sources)


def choice_ranks(transfer: Transfer) -> np.ndarray:
    """Return the rank, by affinity, of the source that similarity puts first: (..., T) float64.

    Rank 1 is the best; the rank is 1 + the number of sources that transfer strictly better, so
    that sources with equal transfer share the better rank. Where similarity ties for the first
    place, the choice is the one of the tied that transfers worst: not choosing earns nothing. nan
    where a similarity is nan.
    """
    columns = [
        _worst_of_first(transfer.similarity[..., transfer.others(t), t], transfer.places(t))
        for t in range(len(transfer.targets))
    ]
    return np.stack(columns, axis=-1)


def choices(transfer: Transfer) -> list[str]:
    """Return the source that similarity puts first for each target, as `choice_ranks` chooses it.

    Of tied sources that transfer alike, the first in the order of the sources. Similarities are
    (m, T) without nan.
    """
    chosen = []
    for t in range(len(transfer.targets)):
        keep, places = transfer.others(t), transfer.places(t)
        scores = transfer.similarity[keep, t]
        first = (scores == scores.max()) & (places == _worst_of_first(scores, places))
        chosen.append(transfer.sources[keep[np.flatnonzero(first)[0]]])
    return chosen


def top_n(ranks: np.ndarray) -> dict[int, np.ndarray]:
    """Return the number of targets whose chosen source is among the 1, 3 and 5 best.

    Parameters
    ----------
    ranks
        (..., T) as from `choice_ranks`.

    Returns
    -------
    For each of 1, 3 and 5 an array (...) float64; nan where a rank is nan.
    """
    undefined = np.isnan(ranks).any(axis=-1)
    return {n: np.where(undefined, np.nan, (ranks <= n).sum(axis=-1)) for n in TOPS}


# --- chance ---


def random_order(transfer: Transfer) -> dict[str, float]:
    """Return what orders drawn at random, one for each target, give: expectation and 95 % range.

    Counts are exact: a target of k sources counts with probability n / k (more where sources tie
    for place n), independently of the others, so the count is Poisson-binomial. Its range is from
    its 2.5 % to its 97.5 % quantile. A correlation with a random order, Pearson or Spearman, has
    mean 0 and variance 1 / (k - 1), exactly; the range of the mean over targets takes normal
    quantiles with the exact variance.

    Returns
    -------
    pearson, spearman, top1, top3 and top5, each with _low and _high.
    """
    places = [transfer.places(t) for t in range(len(transfer.targets))]
    variance = sum(1 / (len(place) - 1) for place in places) / len(places) ** 2
    reach = NormalDist().inv_cdf((1 + _LEVEL) / 2) * variance**0.5
    found = {}
    for name in CORRELATIONS:
        found |= {name: 0.0, f"{name}_low": -reach, f"{name}_high": reach}
    for n in TOPS:
        chances = np.array([(place <= n).mean() for place in places])
        low, high = count_interval(count_distribution(chances))
        found |= {f"top{n}": float(chances.sum()), f"top{n}_low": low, f"top{n}_high": high}
    return found


def count_distribution(chances: np.ndarray) -> np.ndarray:
    """Return the probabilities of 0 ... T successes in T independent trials (Poisson-binomial).

    Parameters
    ----------
    chances
        (T,) probability of success of each trial.

    Returns
    -------
    (T + 1,) float64.
    """
    distribution = np.ones(1)
    for chance in chances:
        distribution = np.convolve(distribution, [1 - chance, chance])
    return distribution


def count_interval(distribution: np.ndarray, level: float = _LEVEL) -> tuple[int, int]:
    """Return the central interval of a count: the smallest counts that reach the two quantiles."""
    reached = np.cumsum(distribution)
    tail = (1 - level) / 2
    slack = 1e-12  # a cumulative sum that ought to equal the quantile must not miss it
    low, high = np.searchsorted(reached + slack, [tail, 1 - tail])
    return int(low), int(high)


# --- tables ---


def selection_rows(
    affinities: str,
    method: str,
    label: str,
    similarity: pd.DataFrame,
    draws: np.ndarray | None,
    affinity: pd.DataFrame,
    *,
    reference: tuple[pd.DataFrame, np.ndarray | None] | None = None,
) -> list[dict]:
    """Return how well one method selects: a row for each target, then their mean (C7, C8).

    Targets are those that both tables have, in the order of the affinities; sources are those of
    the affinities. So a method may cover fewer targets (small models as queries), and a bank more
    networks than there are affinities for.

    Parameters
    ----------
    affinities, method, label
        Which affinities ("published", "measured"), the method's id and its name in figures.
    similarity
        Rows sources, columns targets.
    draws
        (R, m, T) of it over resamples of the images, rows and columns as in `similarity`; None
        for a method that has no images, whose intervals are blank.
    affinity
        Rows sources, columns targets, higher is better; finite off the own networks at least.
    reference
        Similarity and draws of the method "rsa", over the same resamples; None for itself.

    Returns
    -------
    Rows with the columns `COLUMNS`. Of each target: pearson and spearman over its sources, choice
    and choice_rank (see `choice_ranks`), n_sources. Of target "mean": the mean correlations, the
    numbers top1, top3 and top5 of n_targets, and spearman_less_rsa, the mean Spearman less that
    of the reference over the same targets, paired by resample. _low and _high are 95 % percentile
    intervals over the resamples: what other images would give, not other networks or targets.

    Raises
    ------
    DataError
        If a source is missing, the tables have no target in common, an affinity is not a finite
        number, or the resamples do not fit.
    RepresentationError
        If all sources transfer to a target alike, are alike similar to it, or are fewer than 3.
    """
    targets = [target for target in affinity.columns if target in similarity.columns]
    if not targets:
        raise DataError(
            f"{method}: none of its targets has {affinities} affinities; choose tasks that have"
        )
    own = _matched(method, affinities, similarity, draws, affinity, targets)
    ranks, correlations = choice_ranks(own), column_correlations(own)
    tops = top_n(ranks)
    for t in np.flatnonzero(np.isnan(correlations["pearson"][0])):
        raise RepresentationError(
            f"{method}: its similarities to {targets[t]} are nan or all the same, so they put no "
            f"source first; leave the target out"
        )
    chosen = choices(replace(own, similarity=own.similarity[0]))
    names = {"affinities": affinities, "method": method, "label": label}
    rows = []
    for t, target in enumerate(targets):
        row = _blank(names | {"target": target})
        for name in CORRELATIONS:
            row |= with_interval(name, correlations[name][:, t])
        row["choice"] = chosen[t]
        row["choice_rank"] = int(ranks[0, t])
        row["n_sources"] = len(own.others(t))
        rows.append(row)
    mean = _blank(names | {"target": "mean", "n_targets": len(targets)})
    for name in CORRELATIONS:
        mean |= with_interval(name, correlations[name].mean(axis=-1))
    for n in TOPS:
        mean |= with_interval(f"top{n}", tops[n])
    if reference is not None:
        rsa = _matched("rsa", affinities, *reference, affinity, targets)
        theirs = column_correlations(rsa)["spearman"]
        mean |= _difference(method, correlations["spearman"].mean(axis=-1), theirs.mean(axis=-1))
    return [*rows, mean]


def baseline_rows(
    affinities: str,
    affinity: pd.DataFrame,
    quality: pd.Series | None = None,
    *,
    reference: tuple[pd.DataFrame, np.ndarray | None] | None = None,
) -> list[dict]:
    """Return what no look at similarity gives: method "random" and, where known, "quality".

    "random" is an order drawn for each target (see `random_order`): a mean row with its
    expectation and its 95 % range. "quality" puts the sources that solve their own tasks best
    first, in the same order for every target: the rows of `selection_rows`, without intervals but
    for spearman_less_rsa, in which the reference varies with the images.

    Parameters
    ----------
    affinities, affinity, reference
        As for `selection_rows`.
    quality
        One score a source, higher is better, on a scale that tasks share.

    Raises
    ------
    DataError, RepresentationError
        As `selection_rows`.
    """
    sources, targets = list(affinity.index), list(affinity.columns)
    names = {"affinities": affinities, "method": "random", "label": "random order"}
    random = _blank(names | {"target": "mean", "n_targets": len(targets)})
    values = affinity.to_numpy()
    rows = [random | random_order(Transfer(values, values, sources, targets))]
    if quality is not None:
        same = pd.DataFrame(
            np.repeat(quality.to_numpy(float)[:, None], len(targets), axis=1),
            index=quality.index,
            columns=targets,
        )
        rows += selection_rows(
            affinities, "quality", "task quality", same, None, affinity, reference=reference
        )
    return rows


def with_published(rows: Sequence[dict]) -> pd.DataFrame:
    """Return rows of selection as a table, the published values (C7, C8) as its last row."""
    values = published.values_of("C7", *CORRELATIONS)
    n_targets = values.pop("n")
    shares = published.values_of("C8", *(f"top{n}" for n in TOPS))
    counts = {f"top{n}": round(shares[f"top{n}"] * shares["n"]) for n in TOPS}
    names = dict.fromkeys(("affinities", "method", "label"), "published") | {"target": "mean"}
    row = names | values | counts | {"n_targets": n_targets}
    return pd.DataFrame([*rows, row], columns=list(COLUMNS))


def table1(selection: pd.DataFrame) -> pd.DataFrame:
    """Return Table 1: in how many of n targets the chosen source is among the 1, 3 and 5 best.

    Parameters
    ----------
    selection
        Rows of `selection_rows` and `baseline_rows`; only the means are used.

    Returns
    -------
    affinities, method, label, top1, top1_low, top1_high, top3, ..., n; the published row is last.

    Raises
    ------
    DataError
        If a column is missing or there is no row of means.
    """
    columns = ["affinities", "method", "label", *(f"top{n}{end}" for n in TOPS for end in _ENDS)]
    missing = [c for c in ("target", *columns, "n_targets") if c not in selection.columns]
    if missing:
        raise DataError(f"table of selections: no column {missing[0]}; make it with selection_rows")
    ours = selection[(selection["target"] == "mean") & (selection["method"] != "published")]
    if ours.empty:
        raise DataError('table of selections: no row of target "mean"; make it with selection_rows')
    table = pd.concat([ours, with_published([])], ignore_index=True)
    return table[[*columns, "n_targets"]].rename(columns={"n_targets": "n"})


# --- parts ---


def _matched(
    method: str,
    affinities: str,
    similarity: pd.DataFrame,
    draws: np.ndarray | None,
    affinity: pd.DataFrame,
    targets: list[str],
) -> Transfer:
    """Return a method's similarities, the estimate before its resamples, beside the affinities."""
    sources = list(affinity.index)
    for what, wanted, there in (
        ("source", sources, similarity.index),
        ("target", targets, similarity.columns),
    ):
        for name in wanted:
            if name not in there:
                raise DataError(
                    f"{method}: {what} {name} has {affinities} affinities but no similarities; "
                    f"compare its network or drop its affinities"
                )
    values = similarity.to_numpy(float)[None]
    if draws is not None:
        if np.ndim(draws) != 3 or np.shape(draws)[1:] != similarity.shape:
            raise DataError(
                f"{method}: resamples of shape {np.shape(draws)} for a similarity of shape "
                f"{similarity.shape}; make both from the same networks"
            )
        values = np.concatenate([values, draws])
    rows, columns = similarity.index.get_indexer(sources), similarity.columns.get_indexer(targets)
    values = values[:, rows[:, None], columns]
    return Transfer(values, affinity[targets].to_numpy(), sources, targets)


def _worst_of_first(scores: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Return the worst place (...) among the largest of the scores (..., k)."""
    first = scores == scores.max(axis=-1, keepdims=True)
    worst = np.where(first, places, 0).max(axis=-1)
    return np.where(np.isnan(scores).any(axis=-1), np.nan, worst)


def _blank(filled: dict) -> dict:
    return dict.fromkeys(COLUMNS, np.nan) | filled


def _difference(method: str, ours: np.ndarray, theirs: np.ndarray) -> dict[str, float]:
    """Return spearman_less_rsa from (1 + R,) means; one without resamples does not vary."""
    if len(ours) > 1 and len(theirs) > 1 and len(ours) != len(theirs):
        raise DataError(
            f"{method}: {len(ours) - 1} resamples, but {len(theirs) - 1} of rsa; use the same ones"
        )
    if len(ours) == 1:
        ours = np.broadcast_to(ours, theirs.shape)
    if len(theirs) == 1:
        theirs = np.broadcast_to(theirs, ours.shape)
    return with_interval("spearman_less_rsa", ours - theirs)
