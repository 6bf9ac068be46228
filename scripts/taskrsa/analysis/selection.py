"""Does similarity predict which source transfers best? Rankings against measured transfer.

Dwivedi & Roig 2019, section 6.3 and Table 1: for every target, the similarities of the sources to
the target's network are correlated with the affinities of the sources to the target, and the source
that similarity puts first is looked up in the order of the affinities. A target's own network, the
source of the same name, is left out throughout.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from statistics import NormalDist

import numpy as np
import pandas as pd

from taskrsa.analysis.ranking import task_agreement
from taskrsa.analysis.tables import CORRELATIONS, similarity_square
from taskrsa.errors import DataError, RepresentationError
from taskrsa.paper.published import FOLLOW_UP, values_of
from taskrsa.rsa.inference import LEVEL, with_agreement, with_interval
from taskrsa.rsa.rdm import descending_ranks, standardise

TOPS = (1, 3, 5)
_ENDS = ("", "_low", "_high")
_PAIR = ("task_a", "task_b", "similarity")  # columns of a table of similarity matrices
WIN_RATES = "win rates"
TRUTHS = ("measured", "published", WIN_RATES)  # what transfer is known by, in the first column

COLUMNS = (
    *("affinities", "method", "label", "target"),
    *(f"{name}{end}" for name in CORRELATIONS for end in _ENDS),
    *("choice", "choice_rank", "n_sources"),
    *(f"top{n}{end}" for n in TOPS for end in _ENDS),
    "n_targets",
    *(f"spearman_less_rsa{end}" for end in _ENDS),
    *("spearman_with_own", "spearman_published"),
)


@dataclass(frozen=True)
class Transfer:
    """Similarities of m sources to T targets, and how well the sources transfer to them."""

    similarity: np.ndarray  # (..., m, T); leading axes are resamples, say
    affinity: np.ndarray  # (m, T) measured transfer, higher is better
    sources: Sequence[str]
    targets: Sequence[str]  # a target need not be a source

    def others(self, t: int) -> np.ndarray:
        """Return the indices of the sources other than the own network of target `t`."""
        return np.flatnonzero([source != self.targets[t] for source in self.sources])

    def places(self, t: int) -> np.ndarray:
        """Return the ranks of those sources by affinity, 1 for the best."""
        return descending_ranks(self.affinity[self.others(t), t])


def column_correlations(transfer: Transfer) -> dict[str, np.ndarray]:
    """Return "pearson" and "spearman" (mid-ranks) of similarity with affinity, for every target.

    Two arrays (..., T) float64; nan where a similarity is nan or all are the same.
    RepresentationError if a target has fewer than 3 sources besides its own.
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

    Takes the (..., T) ranks of `choice_ranks`; for each of 1, 3 and 5 an array (...), nan where a
    rank is nan.
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
    quantiles with the exact variance. Keys are pearson, spearman, top1, top3 and top5, each with
    _low and _high.
    """
    places = [transfer.places(t) for t in range(len(transfer.targets))]
    variance = sum(1 / (len(place) - 1) for place in places) / len(places) ** 2
    reach = NormalDist().inv_cdf((1 + LEVEL) / 2) * variance**0.5
    found = {}
    for name in CORRELATIONS:
        found |= {name: 0.0, f"{name}_low": -reach, f"{name}_high": reach}
    for n in TOPS:
        chances = np.array([(place <= n).mean() for place in places])
        low, high = count_interval(count_distribution(chances))
        found |= {f"top{n}": float(chances.sum()), f"top{n}_low": low, f"top{n}_high": high}
    return found


def count_distribution(chances: np.ndarray) -> np.ndarray:
    """Return the (T + 1,) probabilities of 0 ... T successes in T independent trials of (T,)
    chances (Poisson-binomial)."""
    return reduce(np.convolve, [[1 - chance, chance] for chance in chances])


def count_interval(distribution: np.ndarray) -> tuple[int, int]:
    """Return the central 95 % interval: the smallest counts that reach the two quantiles."""
    reached = np.cumsum(distribution)
    tail = (1 - LEVEL) / 2
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
    similarity, affinity
        Rows sources, columns targets, higher is better.
    draws
        (R, m, T) of `similarity` over resamples of the images; None for a method that has no
        images, whose intervals are blank.
    reference
        Similarity and draws of the method "rsa", over the same resamples; None for itself.

    Returns
    -------
    Of each target: pearson and spearman over its sources, choice and choice_rank (see
    `choice_ranks`), n_sources. Of target "mean": the mean correlations, the numbers top1, top3 and
    top5 of n_targets, and spearman_less_rsa, the mean Spearman less that of the reference over the
    same targets, paired by resample. Intervals (_low, _high) are what other images would give, not
    other networks or targets. spearman_with_own is the mean where a target's own network, which is
    like itself and mostly transfers best, counts among the sources (as Dwivedi et al. 2020 count);
    spearman_published is theirs.

    DataError if the tables have no target in common; RepresentationError if all sources transfer to
    a target alike, are alike similar to it, or are fewer than 3.
    """
    own, correlations = _compared(method, affinities, similarity, draws, affinity)
    ranks = choice_ranks(own)
    names = {"affinities": affinities, "method": method, "label": label}
    rows = []
    for t, choice in enumerate(choices(replace(own, similarity=own.similarity[0]))):
        row = _blank(names | {"target": own.targets[t]})
        for name in CORRELATIONS:
            row |= with_agreement(name, correlations[name][:, t])
        row |= {"choice": choice, "choice_rank": int(ranks[0, t]), "n_sources": len(own.others(t))}
        rows.append(row)
    mean = _blank(names | {"target": "mean", "n_targets": len(rows)})
    for name in CORRELATIONS:
        mean |= with_agreement(name, correlations[name].mean(axis=-1))
    for n, counts in top_n(ranks).items():
        mean |= with_interval(f"top{n}", counts)
    mean["spearman_with_own"] = _with_own(own)
    mean["spearman_published"] = FOLLOW_UP.get((method, affinities), np.nan)
    if reference is not None:
        rsa = _compared("rsa", affinities, *reference, affinity[own.targets])[1]
        # A method without resamples does not vary.
        less = correlations["spearman"].mean(axis=-1) - rsa["spearman"].mean(axis=-1)
        mean |= with_agreement("spearman_less_rsa", less, limit=2)
    return [*rows, mean]


def _with_own(transfer: Transfer) -> float:
    """Return the mean Spearman correlation over targets, their own networks among the sources."""
    similarity, affinity = transfer.similarity[0].T, transfer.affinity.T
    names = transfer.targets, transfer.sources
    found = task_agreement(similarity, affinity, *names, leave_out_own=False)
    return float(found["spearman"].mean())


def _compared(
    method: str,
    affinities: str,
    similarity: pd.DataFrame,
    draws: np.ndarray | None,
    affinity: pd.DataFrame,
) -> tuple[Transfer, dict[str, np.ndarray]]:
    """Return a method's similarities, the estimate before its resamples, beside the affinities of
    the targets that it has, and their correlations."""
    sources = list(affinity.index)
    targets = [target for target in affinity.columns if target in similarity.columns]
    if not targets:
        raise DataError(
            f"{method}: none of its targets has {affinities} affinities; choose tasks that have"
        )
    values = similarity.to_numpy(float)[None]
    if draws is not None:
        values = np.concatenate([values, draws])
    rows, columns = similarity.index.get_indexer(sources), similarity.columns.get_indexer(targets)
    values = values[:, rows[:, None], columns]
    transfer = Transfer(values, affinity[targets].to_numpy(float), sources, targets)
    correlations = column_correlations(transfer)
    for t in np.flatnonzero(np.isnan(correlations["pearson"][0])):
        if np.isnan(standardise(transfer.affinity[transfer.others(t), t])).any():
            raise RepresentationError(
                f"every source transfers to {targets[t]} alike; leave the target out"
            )
        raise RepresentationError(
            f"{method}: its similarities to {targets[t]} are nan or all the same, so they put no "
            f"source first; leave the target out"
        )
    return transfer, correlations


def baseline_rows(
    affinities: str,
    affinity: pd.DataFrame,
    quality: pd.Series | None = None,
    *,
    reference: tuple[pd.DataFrame, np.ndarray | None] | None = None,
) -> list[dict]:
    """Return what no look at similarity gives: method "random" and, where known, "quality".

    "random" is an order drawn for each target (see `random_order`): a mean row with its
    expectation and its 95 % range. "quality" (one score a source, higher is better, on a scale that
    tasks share) puts the sources that solve their own tasks best first, in the same order for every
    target: the rows of `selection_rows`, without intervals but for spearman_less_rsa, in which the
    reference varies with the images.
    """
    sources, targets = list(affinity.index), list(affinity.columns)
    names = {"affinities": affinities, "method": "random", "label": "random order"}
    random = _blank(names | {"target": "mean", "n_targets": len(targets)})
    values = affinity.to_numpy()
    rows = [random | random_order(Transfer(values, values, sources, targets))]
    if quality is not None:
        same = pd.DataFrame(dict.fromkeys(targets, quality))
        rows += selection_rows(
            affinities, "quality", "task quality", same, None, affinity, reference=reference
        )
    return rows


def choice_row(
    filled: dict, similarity: np.ndarray, scores: np.ndarray, sources: Sequence[str]
) -> dict:
    """Return a row of selection for one target that is no source, with choice and its rank.

    Of (m,) similarities and scores of the sources; `filled` is what else is known of the row.
    """
    one = Transfer(similarity[:, None], scores[:, None], sources, [filled["target"]])
    chosen = {"choice": choices(one)[0], "choice_rank": int(choice_ranks(one)[0])}
    return _blank(filled | chosen | {"n_sources": len(sources)})


def matrices_of(table: pd.DataFrame, where: Mapping[str, str]) -> dict[str, pd.DataFrame]:
    """Return the similarity matrices of a table, by what they are of, ones on their diagonals.

    The table has a row for each pair, with columns task_a, task_b and similarity; rows that agree
    in all other columns are one matrix, named by those of their values that differ from others'.
    `where` says which rows to take: a value by the name of a column.

    Raises
    ------
    DataError
        If a column is missing, no row is taken, or a pair has no value or two.
    """
    for column in (*_PAIR, *where):
        if column not in table:
            raise DataError(f"table of similarity matrices: has no column {column}; add it")
    for column, value in where.items():
        table = table[table[column].astype(str) == value]
    if table.empty:
        wanted = ", ".join(f"{column} {value}" for column, value in where.items())
        raise DataError(f"table of similarity matrices: has no row of {wanted}; correct where")
    about = [name for name in table if name not in _PAIR and table[name].nunique() > 1]
    groups = table.groupby(about, sort=False) if about else [(("given",), table)]
    found = {}
    for key, pairs in groups:
        name = "_".join(map(str, key))
        renamed = pairs.rename(columns=dict(zip(_PAIR, ("model_a", "model_b", "rs"), strict=True)))
        found[name] = similarity_square(renamed, name=f"similarity matrix {name}")
    return found


def with_published(rows: Sequence[dict]) -> pd.DataFrame:
    """Return rows of selection as a table, the published values (C7, C8) as its last row."""
    values = values_of("C7", *CORRELATIONS, n="n_targets")
    shares = values_of("C8", *(f"top{n}" for n in TOPS))
    counts = {f"top{n}": round(shares[f"top{n}"] * shares["n"]) for n in TOPS}
    names = dict.fromkeys(("affinities", "method", "label"), "published") | {"target": "mean"}
    return pd.DataFrame([*rows, names | values | counts], columns=list(COLUMNS))


def table1(selection: pd.DataFrame) -> pd.DataFrame:
    """Return Table 1: in how many of n targets the chosen source is among the 1, 3 and 5 best.

    Of the means among the rows of `selection_rows` and `baseline_rows`: affinities, method, label,
    top1, top1_low, top1_high, top3, ..., n; the published row is last.
    """
    columns = ["affinities", "method", "label", *(f"top{n}{end}" for n in TOPS for end in _ENDS)]
    ours = selection[(selection["target"] == "mean") & (selection["method"] != "published")]
    table = pd.concat([ours, with_published([])], ignore_index=True)
    return table[[*columns, "n_targets"]].rename(columns={"n_targets": "n"})


def _worst_of_first(scores: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Return the worst place (...) among the largest of the scores (..., k)."""
    first = scores == scores.max(axis=-1, keepdims=True)
    worst = np.where(first, places, 0).max(axis=-1)
    return np.where(np.isnan(scores).any(axis=-1), np.nan, worst)


def _blank(filled: dict) -> dict:
    return dict.fromkeys(COLUMNS, np.nan) | filled
