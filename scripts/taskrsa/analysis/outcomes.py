"""Does similarity say which network to start a target from? What fine-tuning reached.

Dwivedi & Roig 2019, section 6.3 and Table 2: every network of the bank is fine-tuned on the target,
and the ranking by similarity is compared with the scores that came out. Runs are a table with one
row a fine-tuning: model, seed, trained, metric, score, chance_score, n_val (validation images),
start_score where a head starts as a probe and, for every class or output, <metric>_<name>. A score
is 1 at best. Some models in it are not ranked: "random" and "random_small" are trained from
scratch, with the bank's encoder and with the small model's, and "small" is the small model itself.

Columns of the scores, one row a model, most similar first and unranked ones last:

model, label, type, rs, rs_low, rs_high, rank, tied     of the ranking, over the whole bank
trained         "whole network", "part of network" or "head only", as gradients reach it
score           mean over the seeds; score_sd is their deviation (blank with one)
score_rank      among the networks of this table, 1 is the best
n_seeds, n_val, metric
chance_score    of the best constant answer
start_score     mean over the seeds of the head as a probe of the training images, before the first
                step (blank where it starts at random)
score_published where there is a reference
<metric>_<name> mean score of a class or output over the seeds that have a number
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from taskrsa.analysis.advice import Similarity
from taskrsa.analysis.ranking import FEWEST, ranking_agreement
from taskrsa.errors import DataError
from taskrsa.paper.published import FIGURE8, MIOU, TABLE2
from taskrsa.rsa.inference import retrained, with_agreement, with_interval
from taskrsa.rsa.rdm import descending_ranks, standardise

OURS = "small model"  # the ranking of the run, in tables that hold published ones as well
ON_RUN_STIMULI = f"{OURS}, the run's stimuli"  # where OURS is over images of the target
SMALL = "small"
RANDOM = {"random": "random, bank encoder", "random_small": "random, small encoder"}
UNRANKED = {**RANDOM, SMALL: OURS}
# Share of the range from chance to the highest score there is, 1, up to which a network has learnt
# next to nothing: of the error of the best constant answer, what training must at least remove.
LITTLE = 0.05
_SCRATCH_TYPE = "random"
_METHODS = ("spearman", "kendall", "pearson")
_ENDS = ("", "_low", "_high", "_p", "_one_seed")
_PREDICTION = (
    "ranking",
    *(f"{method}{end}" for method in _METHODS for end in _ENDS),
    *("seeds_agree", "n_models", "n_seeds_small", "n_seeds"),
)
_RUN = ("model", "seed", "trained", "metric", "score", "chance_score", "n_val", "start_score")
_BLOCK = 1000  # permutations at a time, so that all pairs of models of each fit in memory


@dataclass(frozen=True)
class Reference:
    """What others published for a target.

    scores : of networks; orders : networks by similarity, most similar first, by where they stand
    """

    scores: Mapping[str, float]
    orders: Mapping[str, Sequence[str]]


PASCAL = Reference(scores=MIOU, orders={"Table 2": TABLE2, "Figure 8": FIGURE8})


def has_learnt(score: float, chance: float, spread: float = 0.0) -> bool:
    """Tell whether a score is clearly above that of the best constant answer.

    By more than its deviation between seeds, `spread` (nan for one seed), and more than `LITTLE`.
    """
    return score - chance > max(0.0 if np.isnan(spread) else spread, LITTLE * (1 - chance))


# --- scores beside the ranking ---


def score_rows(
    runs: pd.DataFrame, ranking: pd.DataFrame, reference: Reference | None = None
) -> pd.DataFrame:
    """Return the similarity and the score of every network that was fine-tuned (C10, Table 2).

    Parameters
    ----------
    runs
        One row a run of networks of the bank, or some of them, and of unranked models, if trained;
        all but the small model with the same seeds.
    ranking
        Rows of `rank_networks`; a network without runs is left out.

    Returns
    -------
    The columns of the module's text.

    Raises
    ------
    DataError
        If no ranked network has runs, a run is missing, or a score is out of range.
    """
    ranked = ranking.sort_values("rs", ascending=False, kind="stable").set_index("model")
    networks = _ranked(ranked.index, _by_seed(runs))
    names = [*networks, *(name for name in UNRANKED if name in set(runs["model"]))]
    similar, by_model = ranked.reindex(names), runs.groupby("model")
    scores = by_model["score"].mean().loc[names].to_numpy()
    places = descending_ranks(scores[: len(networks)])
    table = pd.DataFrame(
        {
            "model": names,
            "label": [UNRANKED.get(name) or ranked.loc[name, "label"] for name in names],
            "type": [_type(name, ranked) for name in names],
            "rs": similar["rs"].to_numpy(),
            "rs_low": similar["ci_low"].to_numpy(),
            "rs_high": similar["ci_high"].to_numpy(),
            "rank": similar["rank"].to_numpy(),
            "tied": similar["tied"].to_numpy(),
            "trained": by_model["trained"].first().loc[names].to_numpy(),
            "score": scores,
            "score_sd": by_model["score"].std(ddof=1).loc[names].to_numpy(),
            "score_rank": np.r_[places, np.full(len(names) - len(networks), np.nan)],
            "n_seeds": by_model["seed"].nunique().loc[names].to_numpy(),
            "n_val": runs["n_val"].iloc[0],
            "metric": runs["metric"].iloc[0],
            "chance_score": runs["chance_score"].iloc[0],
        }
    )
    if "start_score" in runs:
        table["start_score"] = by_model["start_score"].mean().loc[names].to_numpy()
    if reference:
        table["score_published"] = [reference.scores.get(name, np.nan) for name in names]
    classes = [column for column in runs.columns if column not in (*_RUN, "tap")]
    return table.join(by_model[classes].mean().loc[names].reset_index(drop=True))


def _type(name: str, ranked: pd.DataFrame) -> str:
    if name in UNRANKED:
        return _SCRATCH_TYPE if name in RANDOM else ""
    return ranked.loc[name, "type"]


# --- does the ranking predict the scores? ---


def correlations(first: np.ndarray, second: np.ndarray) -> dict[str, np.ndarray]:
    """Return "spearman", "kendall" (tau-b) and "pearson", as `ranking_agreement` does."""
    found = ranking_agreement(first, second) | {"kendall": _kendall(first, second)}
    return {method: found[method] for method in _METHODS}


def prediction_rows(
    similarity: Similarity,
    runs: pd.DataFrame,
    permutations: int,
    seed: int,
    reference: Reference | None = None,
) -> pd.DataFrame:
    """Return how well the similarity of a network predicts the score it is fine-tuned to (C10).

    Intervals are those of `agreement_interval`. Each resample takes other images, other trainings
    of the small model (`retrained`), and, for every network separately, other runs of the
    fine-tuning; of S seeds it draws S - 1 with replacement, whose mean varies as much as that of S
    new ones would. They do not cover other validation images or networks. Runs and errors are as
    for `score_rows`; networks without runs, and unranked models, are left out.

    Returns
    -------
    A row of ranking "small model" and, with a reference, one of each published order, such as
    "published, Table 2" (an order has no numbers, and so no Pearson correlation): ranking;
    spearman, kendall (tau-b) and pearson, blank for fewer than three networks or where similarities
    or scores are all the same, each with _low, _high, _p (one-sided: the networks are permuted;
    those of one type are alike, so it is optimistic) and _one_seed (the mean over all pairs of one
    small model and one run a network: what a user without repetitions gets); seeds_agree, the mean
    Spearman correlation of scores between two seeds of the fine-tuning (blank with one), which no
    ranking can beat by much; n_models, n_seeds_small (S), n_seeds (of the fine-tuning).
    """
    wide = _by_seed(runs)
    networks = _ranked(similarity.networks, wide)
    scores = wide.loc[networks].to_numpy()
    x, singles = _similar(similarity, networks, seed)
    y = _resampled_runs(scores, len(similarity.draws), seed)
    row: dict[str, object] = {"ranking": OURS}
    is_defined = not (np.isnan(standardise(x[0])).any() or np.isnan(standardise(y[0])).any())
    if len(networks) >= FEWEST and is_defined:
        found = correlations(x, y)
        p = _permuted(x[0], y[0], permutations, seed)
        one_seed = correlations(singles[:, None], scores.T[None])
        for method in _METHODS:
            row |= with_agreement(method, found[method])
            row |= {f"{method}_p": p[method], f"{method}_one_seed": float(one_seed[method].mean())}
        row["seeds_agree"] = _agreement_of_seeds(scores)
    row |= {"n_models": len(networks), "n_seeds_small": len(singles), "n_seeds": scores.shape[1]}
    published = [
        _published_row(where, order, reference.scores, permutations, seed)
        for where, order in (reference.orders.items() if reference else ())
    ]
    return pd.DataFrame([row, *published], columns=list(_PREDICTION))


def _published_row(
    where: str, order: Sequence[str], scores: Mapping[str, float], permutations: int, seed: int
) -> dict:
    """Return the agreement of a published order, most similar first, with published scores."""
    known = [name for name in order if name in scores]
    place, reached = -np.arange(len(known)), np.array([scores[name] for name in known])
    found, p = correlations(place, reached), _permuted(place, reached, permutations, seed)
    row: dict[str, object] = {"ranking": f"published, {where}", "n_models": len(known)}
    for method in ("spearman", "kendall"):
        row |= {method: float(found[method]), f"{method}_p": p[method]}
    return row


def _agreement_of_seeds(scores: np.ndarray) -> float:
    """Return the mean Spearman correlation between two columns of (m, T) scores; nan for one."""
    first, second = np.triu_indices(scores.shape[1], 1)
    if not len(first):
        return np.nan
    return float(ranking_agreement(scores.T[first], scores.T[second])["spearman"].mean())


def _permuted(x: np.ndarray, y: np.ndarray, permutations: int, seed: int) -> dict[str, float]:
    """Return one-sided p-values of the correlations of x (m,) and y (m,)."""
    observed = correlations(x, y)
    reached = dict.fromkeys(_METHODS, 0)
    rng = np.random.default_rng([seed, 2])
    for start in range(0, permutations, _BLOCK):
        rows = min(_BLOCK, permutations - start)
        found = correlations(x, rng.permuted(np.tile(y, (rows, 1)), axis=1))
        for method in _METHODS:
            # Rounding must not decide between equal correlations.
            reached[method] += int((found[method] >= observed[method] - 1e-9).sum())
    return {method: (1 + count) / (1 + permutations) for method, count in reached.items()}


# --- what choosing by similarity gains ---


def choice_gain(
    similarity: Similarity,
    runs: pd.DataFrame,
    seed: int,
    *,
    same_task: str | None = None,
    reference: Reference | None = None,
) -> pd.DataFrame:
    """Return the score of the network that similarity puts first, beside other ways to choose.

    Arguments and errors are as for `prediction_rows`. `same_task` is the network of the target's
    task in another domain, which one would take without a ranking; left out where it has no runs.

    Returns
    -------
    Rows statistic, model, value, low, high and, with a reference, published. In scores: "choice"
    (of networks that are equally similar the worst: not choosing earns nothing), "best" and "worst"
    network, their "mean" (a choice at random), "same_task", "random" and "random_small" (from
    scratch, where trained); then differences, "regret" (best less choice) and "gain_over_mean",
    "gain_over_same_task", "gain_over_random" (choice less these); at last "choice_rank", the rank
    of the choice by score. low and high are intervals over the resamples of `prediction_rows`, in
    each of which choice, best and worst are found again. The best of several noisy means looks
    better than it is, so regret is rather too large. published: the same from the longest published
    order and published scores.
    """
    wide = _by_seed(runs)
    networks = _ranked(similarity.networks, wide)
    x, _ = _similar(similarity, networks, seed)
    names = [*networks, *(name for name in RANDOM if name in wide.index)]
    y = _resampled_runs(wide.loc[names].to_numpy(), len(similarity.draws), seed)
    published = _published_gains(reference, same_task) if reference else {}
    rows = []
    for statistic, (model, drawn) in _gains(x, y, names, same_task).items():
        value = with_interval("value", drawn)
        row = {"statistic": statistic, "model": model, "value": value["value"]}
        row |= {end: value[f"value_{end}"] for end in ("low", "high")}
        if reference:
            row["published"] = published.get(statistic, np.nan)
        rows.append(row)
    return pd.DataFrame(rows)


def _published_gains(reference: Reference, same_task: str | None) -> dict[str, float]:
    known = [name for name in max(reference.orders.values(), key=len) if name in reference.scores]
    order = -np.arange(len(known), dtype=float)[None]
    names = [*known, *(name for name in RANDOM if name in reference.scores)]
    values = np.array([[reference.scores[name] for name in names]])
    gains = _gains(order, values, names, same_task)
    return {statistic: float(drawn[0]) for statistic, (_, drawn) in gains.items()}


def _gains(
    x: np.ndarray, y: np.ndarray, names: Sequence[str], same_task: str | None
) -> dict[str, tuple[str, np.ndarray]]:
    """Return, for each statistic, the model it is of and its values (1 + R,).

    x: (1 + R, m) similarities of the networks, which come first in `names`; y: (1 + R, k) scores.
    """
    m = x.shape[1]
    networks = y[:, :m]
    first = x == x.max(axis=1, keepdims=True)
    chosen = np.where(first, networks, np.inf).argmin(axis=1)
    rows = np.arange(len(y))
    undefined = np.isnan(x).any(axis=1)
    choice = np.where(undefined, np.nan, networks[rows, chosen])
    rank = 1.0 + (networks > choice[:, None]).sum(axis=1)
    best, worst, mean = networks.max(axis=1), networks.min(axis=1), networks.mean(axis=1)
    found = {
        "choice": (names[chosen[0]], choice),
        "best": (names[networks[0].argmax()], best),
        "worst": (names[networks[0].argmin()], worst),
        "mean": ("", mean),
    }
    if same_task in names[:m]:
        found["same_task"] = (same_task, networks[:, names.index(same_task)])
    found |= {name: (name, y[:, names.index(name)]) for name in RANDOM if name in names}
    found["regret"] = ("", best - choice)
    for name in ("mean", "same_task", "random"):
        if name in found:
            found[f"gain_over_{name}"] = ("", choice - found[name][1])
    return found | {"choice_rank": (names[chosen[0]], np.where(undefined, np.nan, rank))}


# --- parts ---


def _by_seed(runs: pd.DataFrame) -> pd.DataFrame:
    """Return scores as models x seeds, the small model left out, after checking that every run is
    there and its score one that can be."""
    for row in runs.itertuples():
        least = -np.inf if row.metric == "error_removed" else 0
        if not least <= row.score <= 1:
            raise DataError(
                f"{row.model}, seed {row.seed}: score {row.score} is not a share; score the run "
                "again, not in per cent"
            )
    compared = runs[runs["model"] != SMALL]
    wide = compared.pivot(index="model", columns="seed", values="score")
    wide = wide.loc[list(dict.fromkeys(compared["model"]))]
    for model, scores in wide.iterrows():
        for seed in scores.index[scores.isna()]:
            raise DataError(
                f"{model}: no run of seed {seed}, which other models have; fine-tune it with that "
                f"seed or leave the seed out for all"
            )
    return wide


def _ranked(networks: Sequence[str], wide: pd.DataFrame) -> list[str]:
    """Return the networks that have scores, in their own order."""
    found = [name for name in networks if name in wide.index]
    if not found:
        raise DataError("runs: none is of a ranked network; fine-tune at least one")
    return found


def _similar(
    similarity: Similarity, networks: Sequence[str], seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the similarity to some networks: (1 + R, k), means over seeds, and (S, k).

    The estimate comes first, then the resamples of images and trainings.
    """
    keep = [similarity.networks.index(name) for name in networks]
    values, draws = similarity.values[:, keep], similarity.draws[..., keep]
    return np.concatenate([values.mean(axis=0)[None], retrained(draws, [seed, 0])]), values


def _resampled_runs(scores: np.ndarray, n_resamples: int, seed: int) -> np.ndarray:
    """Return the means (1 + R, k) of (k, T) scores: of all, then of runs drawn for each model."""
    k, n_seeds = scores.shape
    taken = _drawn_seeds(n_seeds, (n_resamples, k), np.random.default_rng([seed, 1]))
    drawn = np.take_along_axis(scores[None], taken, axis=2).mean(axis=2)
    return np.concatenate([scores.mean(axis=1)[None], drawn])


def _drawn_seeds(n_seeds: int, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Return seeds drawn with replacement, (*shape, n_seeds - 1), or the only one.

    The variance of a mean of n drawn from n is too small by the factor (n - 1) / n, which matters
    with two or three seeds; that of n - 1 drawn is right (Rao & Wu 1988).
    """
    return rng.integers(n_seeds, size=(*shape, max(n_seeds - 1, 1)))


def _kendall(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return Kendall's tau-b along the last axis; nan where all are equal or one is nan."""
    signs = []
    for values in (first, second):
        values = np.asarray(values, dtype=np.float64)
        i, j = np.triu_indices(values.shape[-1], 1)
        signs.append(np.sign(values[..., i] - values[..., j]))
    a, b = signs
    size = np.abs(a).sum(axis=-1) * np.abs(b).sum(axis=-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return (a * b).sum(axis=-1) / np.sqrt(size)
