"""Does similarity tell which encoder to start a new task from? Figure 8 and Table 2.

Dwivedi & Roig 2019, section 6.3: a small model of the new task (in the paper semantic segmentation
of Pascal VOC) ranks the bank's encoders; every encoder is fine-tuned to the new task; the ranking
is held against the mean intersection over union (mIoU, from 0 to 1) that came out. Scores are a
table with one row a fine-tuning run: model, seed, miou, n_val (validation images) and, for every
class, iou_<class>. The models "random" and "random_small" in it are trained from scratch, with the
bank's encoder and with the small model's; they have no similarity.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from taskrsa.analysis.ranking import FEWEST, ranking_agreement
from taskrsa.errors import DataError, RepresentationError
from taskrsa.rsa.inference import (
    confidence_interval,
    fdr_bh,
    permutation_p,
    resampled_similarity,
)
from taskrsa.rsa.rdm import mid_ranks, n_images_of, standardise
from taskrsa.rsa.similarity import similarity_between
from taskrsa.tasks.dictionary import TASKS

RANDOM = {"random": "random, bank encoder", "random_small": "random, small encoder"}

# mIoU on Pascal VOC 2012. The tasks: all initialisations that the authors published later, with
# Dwivedi et al. 2020 (arXiv 2008.02107); rounded, six of them are Table 2. Random: Table 2, which
# was measured on the test set.
PUBLISHED_MIOU = {
    "autoencoder": 0.590164,
    "class_1000": 0.649290,
    "class_places": 0.652943,
    "curvature": 0.647184,
    "edge2d": 0.600769,
    "edge3d": 0.649696,
    "keypoint2d": 0.599420,
    "keypoint3d": 0.647529,
    "reshade": 0.630045,
    "rgb2depth": 0.648725,
    "rgb2mist": 0.643818,
    "rgb2sfnorm": 0.647787,
    "room_layout": 0.625850,
    "segment25d": 0.656534,
    "segment2d": 0.629965,
    "segmentsemantic": 0.648764,
    "vanishing_point": 0.589181,
    "random": 0.6083,
    "random_small": 0.4072,
}
# The six rows of Table 2, which stand in the order of their similarities.
PUBLISHED_TABLE2 = (
    *("class_1000", "class_places", "edge3d", "segmentsemantic", "autoencoder"),
    "vanishing_point",
)
# Names along the axis of Figure 8, most similar first; the heights of its bars were not published.
PUBLISHED_ORDER = (
    *("class_1000", "class_places", "rgb2mist", "edge3d", "room_layout", "segment25d"),
    *("keypoint3d", "rgb2sfnorm", "reshade", "segmentsemantic", "segment2d", "edge2d"),
    *("curvature", "keypoint2d", "autoencoder", "colorization", "denoise", "rgb2depth"),
    *("inpainting_whole", "vanishing_point"),
)

OURS = "small model"  # the ranking of Figure 8, in tables that hold published ones as well
_STARS = ((0.001, "***"), (0.01, "**"), (0.05, "*"))
_METHODS = ("spearman", "kendall", "pearson")
_ENDS = ("", "_low", "_high", "_p", "_one_seed")
_PREDICTION = (
    "ranking",
    *(f"{how}{end}" for how in _METHODS for end in _ENDS),
    *("seeds_agree", "n_models", "n_seeds_small", "n_seeds"),
)
_BLOCK = 1000  # permutations at a time, so that all pairs of models of each fit in memory

Names = Mapping[str, tuple[str, str]] | None


# --- Figure 8 ---


def figure8_rows(
    target: np.ndarray,
    bank: np.ndarray,
    sources: Sequence[str],
    n_images: int,
    counts: np.ndarray,
    permutations: int,
    seed: int,
    *,
    models: Names = None,
    known: tuple[np.ndarray, np.ndarray] | None = None,
) -> pd.DataFrame:
    """Return the ranking of the bank's encoders by the new task's small model (C9).

    Parameters
    ----------
    target
        (S, p) condensed RDMs of the small models of S seeds.
    bank
        (m, p) condensed RDMs of the bank over the same images.
    sources
        Names of the m encoders.
    counts
        (R, n_images) how often each resample draws each image, as from `bootstrap_counts`.
    permutations, seed
        Of the condition labels.
    models
        (label, type) of models that are not in the task dictionary.
    known
        What `target_similarity` returns for these RDMs and counts, where it has been called.

    Returns
    -------
    One row an encoder, most similar first: model, label, type; rs, the mean over the seeds of the
    Spearman similarity, with ci_low and ci_high, the 95 % percentile interval over the resamples
    of the images, and rs_sd, the deviation between the seeds (blank with one); p, one-sided, of a
    randomisation of the condition labels between the encoder's RDM and the seeds' mean rank RDM;
    q, p adjusted (Benjamini & Hochberg) over the encoders; stars, "***" where q < .001, "**" .01,
    "*" .05; rank, 1 for the most similar (equal ones share the better rank), with rank_low and
    rank_high over the same resamples; n_seeds.

    Raises
    ------
    DataError
        If shapes and names do not agree.
    RepresentationError
        If an RDM cannot be ranked.
    """
    if n_images_of(np.shape(bank)[1]) != n_images:
        raise DataError(
            f"RDMs of {n_images_of(np.shape(bank)[1])} images, not {n_images}; make them from the "
            f"same images"
        )
    similarity, draws = known or target_similarity(target, bank, sources, counts)
    mean_ranks = mid_ranks(np.asarray(target)).mean(axis=0)[None]
    p = permutation_p(mean_ranks, bank, n_images, permutations, seed, other_names=sources)[0]
    q = fdr_bh(p)
    rs = similarity.mean(axis=0)
    means = draws.mean(axis=1)
    low, high = confidence_interval(means)
    places = np.where(np.isnan(means), np.nan, _places(means))
    rank_low, rank_high = confidence_interval(places)
    table = pd.DataFrame(
        {
            "model": list(sources),
            **_named(sources, models),
            "rs": rs,
            "ci_low": low,
            "ci_high": high,
            "rs_sd": _deviation(similarity, axis=0),
            "p": p,
            "q": q,
            "stars": [next((stars for end, stars in _STARS if value < end), "") for value in q],
            "rank": _places(rs),
            # Between two ranks the outer one: an interval must not be narrower than its level.
            "rank_low": np.floor(rank_low).astype(int),
            "rank_high": np.ceil(rank_high).astype(int),
            "n_seeds": len(similarity),
        }
    )
    return table.sort_values("rs", ascending=False, kind="stable", ignore_index=True)


def target_similarity(
    target: np.ndarray, bank: np.ndarray, sources: Sequence[str], counts: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the similarity of each seed's small model to each encoder, and its resamples.

    Parameters
    ----------
    target, bank, sources, counts
        As for `figure8_rows`.

    Returns
    -------
    similarity
        (S, m) Spearman correlations.
    draws
        (R, S, m) of them, over the resamples of the images.

    Raises
    ------
    DataError, RepresentationError
        As `figure8_rows`.
    """
    target, bank = np.asarray(target), np.asarray(bank)
    if target.ndim != 2 or bank.ndim != 2 or len(bank) != len(sources):
        raise DataError(
            f"RDMs of shapes {target.shape} and {bank.shape} for {len(sources)} encoders; give "
            f"(seeds, pairs) of the small model and one row for each encoder"
        )
    names = [f"small model, seed {s}" for s in range(len(target))]
    similarity = similarity_between(target, bank, names=names, other_names=sources)
    draws = resampled_similarity(target, counts, others=bank, names=names, other_names=sources)
    return similarity, draws


# --- Table 2 ---


def table2(scores: pd.DataFrame, rankings: pd.DataFrame, *, models: Names = None) -> pd.DataFrame:
    """Return Table 2: similarity and fine-tuned mIoU of every initialisation (C10).

    Parameters
    ----------
    scores
        One row a run: model, seed, miou, n_val, iou_<class> ...; encoders of the bank, or some of
        them, and the random initialisations, if trained. All with the same seeds.
    rankings
        Rows of `figure8_rows`; an encoder without scores is left out.
    models
        (label, type) of models that are not in the task dictionary.

    Returns
    -------
    Most similar first, the random initialisations last: model, label, type, rs, rs_low, rs_high,
    rank (by similarity, over the whole bank); miou_mean and miou_sd over the seeds (sd blank with
    one), miou_rank (among the encoders of this table, 1 is the best), n_seeds, n_val;
    miou_published; and the means iou_<class> over the seeds that have a number.

    Raises
    ------
    DataError
        If a column is missing, an encoder has scores but no similarity, a run is there twice or
        absent, an mIoU is no number between 0 and 1, or runs were scored on different images.
    """
    wide = _by_seed(scores)
    for column in ("model", "rs", "ci_low", "ci_high", "rank"):
        if column not in rankings.columns:
            raise DataError(f"rankings: no column {column}; make them with figure8_rows")
    ranked = rankings.sort_values("rs", ascending=False, kind="stable").set_index("model")
    encoders = _encoders(list(ranked.index), wide, fewest=1)
    names = [*encoders, *(name for name in RANDOM if name in wide.index)]
    if "n_val" not in scores.columns:
        raise DataError("scores: no column n_val; give the number of validation images")
    n_val = scores["n_val"].iloc[0]
    for row in scores[scores["n_val"] != n_val].itertuples():
        raise DataError(
            f"{row.model}, seed {row.seed}: scored on {row.n_val} images, but "
            f"{scores['model'].iloc[0]} on {n_val}; score all on the same ones"
        )
    runs = wide.loc[names].to_numpy()
    miou = runs.mean(axis=1)
    similar = ranked.reindex(names)
    classes = [column for column in scores.columns if column.startswith("iou_")]
    per_class = scores.groupby("model")[classes].mean().loc[names] if classes else None
    table = pd.DataFrame(
        {
            "model": names,
            **_named(names, models),
            "rs": similar["rs"].to_numpy(),
            "rs_low": similar["ci_low"].to_numpy(),
            "rs_high": similar["ci_high"].to_numpy(),
            "rank": similar["rank"].to_numpy(),
            "miou_mean": miou,
            "miou_sd": _deviation(runs, axis=1),
            "miou_rank": np.r_[
                _places(miou[: len(encoders)]), np.full(len(names) - len(encoders), np.nan)
            ],
            "n_seeds": runs.shape[1],
            "n_val": n_val,
            "miou_published": [PUBLISHED_MIOU.get(name, np.nan) for name in names],
        }
    )
    return table if per_class is None else table.join(per_class.reset_index(drop=True))


# --- Does the ranking predict the scores? ---


def correlations(first: np.ndarray, second: np.ndarray) -> dict[str, np.ndarray]:
    """Return "spearman" (mid-ranks), "kendall" (tau-b) and "pearson" along the last axis.

    Parameters
    ----------
    first, second
        (..., m) scores of the same m models; leading axes broadcast.

    Returns
    -------
    Three arrays (...) float64 in [-1, 1]; nan where one holds nan or one number throughout.
    """
    found = ranking_agreement(first, second) | {"kendall": _kendall(first, second)}
    return {how: found[how] for how in _METHODS}


def prediction_rows(
    similarity: np.ndarray,
    draws: np.ndarray,
    sources: Sequence[str],
    scores: pd.DataFrame,
    permutations: int,
    seed: int,
) -> pd.DataFrame:
    """Return how well the similarity of an encoder predicts the mIoU it is fine-tuned to (C10).

    Intervals are 95 % percentile intervals. Each resample takes other images, other seeds of the
    small model, and, for every encoder on its own, other runs of the fine-tuning; of S seeds it
    draws S - 1 with replacement, whose mean varies as much as that of S new ones would. They do
    not cover other validation images or encoders. A resample is noisier than the data, so
    correlations next to 1 may lie above their own interval.

    Parameters
    ----------
    similarity, draws
        (S, m) and (R, S, m), as from `target_similarity`.
    sources
        Names of the m encoders.
    scores
        As for `table2`. Encoders without scores, and the random initialisations, are left out.
    permutations, seed
        Of the encoders among each other, and of the resamples of seeds.

    Returns
    -------
    A row of ranking "small model" and two of published ones: ranking; spearman, kendall (tau-b)
    and pearson, each with _low, _high, _p and _one_seed; seeds_agree, n_models, n_seeds_small
    (S), n_seeds (of the fine-tuning). Estimates are of means over seeds. _p is one-sided: the
    encoders are permuted. Encoders of one type are alike, so it is on the hopeful side. _one_seed
    is the mean over all pairs of one small model and one run an encoder: what a user without
    repetitions gets. seeds_agree is the mean Spearman correlation of mIoU between two seeds of the
    fine-tuning (blank with one): no ranking can predict one run's mIoU much better than that.
    "published, Table 2" is the paper's order of six tasks against their mIoU, "published,
    Figure 8" that of its figure against the 17 mIoU published later. Both are orders, without
    numbers, so they have no Pearson correlation.

    Raises
    ------
    DataError
        If shapes and names do not agree, scores are not as for `table2`, or there are fewer than
        3 encoders with scores.
    RepresentationError
        If all encoders are equally similar, or all are fine-tuned to the same mIoU.
    """
    wide = _by_seed(scores)
    encoders = _encoders(sources, wide, fewest=FEWEST)
    x, singles = _similar(similarity, draws, sources, encoders, seed)
    runs = wide.loc[encoders].to_numpy()
    y = _resampled_runs(runs, len(draws), seed)
    found = correlations(x, y)
    for what, values in (("similarity", x[0]), ("mIoU", y[0])):
        if not np.isnan(standardise(values)).any():
            continue
        raise RepresentationError(
            f"the {what} of all {len(encoders)} encoders is the same number, so no correlation is "
            f"defined; check what it was made from"
        )
    p = _permuted(x[0], y[0], permutations, seed)
    one_seed = correlations(singles[:, None], runs.T[None])
    row: dict[str, object] = {"ranking": OURS}
    for how in _METHODS:
        row |= _estimate(how, found[how])
        row |= {f"{how}_p": p[how], f"{how}_one_seed": float(one_seed[how].mean())}
    row["seeds_agree"] = _agreement_of_seeds(runs)
    row |= {"n_models": len(encoders), "n_seeds_small": len(singles), "n_seeds": runs.shape[1]}
    published = [
        _published_row("Table 2", PUBLISHED_TABLE2, permutations, seed),
        _published_row("Figure 8", PUBLISHED_ORDER, permutations, seed),
    ]
    return pd.DataFrame([row, *published], columns=list(_PREDICTION))


def _published_row(where: str, order: Sequence[str], permutations: int, seed: int) -> dict:
    """Return the agreement of a published order, most similar first, with the published mIoU."""
    known = [name for name in order if name in PUBLISHED_MIOU]
    place, miou = -np.arange(len(known)), np.array([PUBLISHED_MIOU[name] for name in known])
    found, p = correlations(place, miou), _permuted(place, miou, permutations, seed)
    row: dict[str, object] = {"ranking": f"published, {where}", "n_models": len(known)}
    for how in ("spearman", "kendall"):
        row |= {how: float(found[how]), f"{how}_p": p[how]}
    return row


def _agreement_of_seeds(runs: np.ndarray) -> float:
    """Return the mean Spearman correlation between two columns of (m, T) runs; nan for one."""
    first, second = np.triu_indices(runs.shape[1], 1)
    if not len(first):
        return np.nan
    return float(ranking_agreement(runs.T[first], runs.T[second])["spearman"].mean())


def _permuted(x: np.ndarray, y: np.ndarray, permutations: int, seed: int) -> dict[str, float]:
    """Return one-sided p-values of the correlations of x (m,) and y (m,)."""
    if permutations < 1:
        raise DataError(f"{permutations} permutations; ask for at least 1")
    observed = correlations(x, y)
    reached = dict.fromkeys(_METHODS, 0)
    rng = np.random.default_rng([seed, 2])
    for start in range(0, permutations, _BLOCK):
        rows = min(_BLOCK, permutations - start)
        found = correlations(x, rng.permuted(np.tile(y, (rows, 1)), axis=1))
        for how in _METHODS:
            # Rounding must not decide between equal correlations.
            reached[how] += int((found[how] >= observed[how] - 1e-9).sum())
    return {how: (1 + count) / (1 + permutations) for how, count in reached.items()}


# --- What choosing by similarity gains ---


def choice_gain(
    similarity: np.ndarray,
    draws: np.ndarray,
    sources: Sequence[str],
    scores: pd.DataFrame,
    seed: int,
    *,
    own: str | None = "segmentsemantic",
) -> pd.DataFrame:
    """Return the mIoU of the encoder that similarity puts first, beside other ways to choose.

    Parameters
    ----------
    similarity, draws, sources, scores, seed
        As for `prediction_rows`.
    own
        The encoder of the new task's own kind, which one would take without a ranking; left out
        where it has no scores.

    Returns
    -------
    Rows statistic, model, value, low, high, published. In mIoU: "choice" (of encoders that are
    equally similar the worst: not choosing earns nothing), "best" and "worst" encoder, their
    "mean" (a choice at random), "own", "random" and "random_small" (from scratch, where trained);
    then differences, "regret" (best less choice) and "gain_over_mean", "gain_over_own",
    "gain_over_random" (choice less these); at last "choice_rank", the rank of the choice by mIoU.
    low and high are intervals over the resamples of `prediction_rows`, in each of which choice,
    best and worst are found anew. The best of several noisy means looks better than it is, so
    regret is rather too large. published: the same from the paper's Figure 8 and its mIoU.

    Raises
    ------
    DataError
        As `prediction_rows`.
    """
    wide = _by_seed(scores)
    encoders = _encoders(sources, wide, fewest=1)
    x, _ = _similar(similarity, draws, sources, encoders, seed)
    names = [*encoders, *(name for name in RANDOM if name in wide.index)]
    y = _resampled_runs(wide.loc[names].to_numpy(), len(draws), seed)
    found = _gains(x, y, names, own)
    known = [name for name in PUBLISHED_ORDER if name in PUBLISHED_MIOU]
    order = -np.arange(len(known), dtype=float)[None]
    values = np.array([[PUBLISHED_MIOU[name] for name in (*known, *RANDOM)]])
    published = _gains(order, values, [*known, *RANDOM], own)
    rows = []
    for statistic, (model, drawn) in found.items():
        value = _estimate("value", drawn)
        rows.append(
            {
                "statistic": statistic,
                "model": model,
                "value": value["value"],
                "low": value["value_low"],
                "high": value["value_high"],
                "published": float(published[statistic][1][0])
                if statistic in published
                else np.nan,
            }
        )
    return pd.DataFrame(rows)


def _gains(
    x: np.ndarray, y: np.ndarray, names: Sequence[str], own: str | None
) -> dict[str, tuple[str, np.ndarray]]:
    """Return, for each statistic, the model it is of and its values (1 + R,).

    x: (1 + R, m) similarities of the encoders, which come first in `names`; y: (1 + R, k) mIoU.
    """
    m = x.shape[1]
    encoders = y[:, :m]
    first = x == x.max(axis=1, keepdims=True)
    chosen = np.where(first, encoders, np.inf).argmin(axis=1)
    rows = np.arange(len(y))
    undefined = np.isnan(x).any(axis=1)
    choice = np.where(undefined, np.nan, encoders[rows, chosen])
    rank = 1.0 + (encoders > choice[:, None]).sum(axis=1)
    best, worst, mean = encoders.max(axis=1), encoders.min(axis=1), encoders.mean(axis=1)
    found = {
        "choice": (names[chosen[0]], choice),
        "best": (names[encoders[0].argmax()], best),
        "worst": (names[encoders[0].argmin()], worst),
        "mean": ("", mean),
    }
    if own in names[:m]:
        found["own"] = (own, encoders[:, names.index(own)])
    found |= {name: (name, y[:, names.index(name)]) for name in RANDOM if name in names}
    found["regret"] = ("", best - choice)
    for name in ("mean", "own", "random"):
        if name in found:
            found[f"gain_over_{name}"] = ("", choice - found[name][1])
    return found | {"choice_rank": (names[chosen[0]], np.where(undefined, np.nan, rank))}


# --- parts ---


def _by_seed(scores: pd.DataFrame) -> pd.DataFrame:
    """Return mIoU as models x seeds, after checking that every run is there, once, and sound."""
    for column in ("model", "seed", "miou"):
        if column not in scores.columns:
            raise DataError(f"scores: no column {column}; give model, seed and miou, one row a run")
    if scores.empty:
        raise DataError("scores: no rows; fine-tune at least one encoder")
    for row in scores.itertuples():
        if not 0 <= row.miou <= 1:
            raise DataError(
                f"{row.model}, seed {row.seed}: mIoU {row.miou} is not between 0 and 1; score the "
                f"run again, as a share and not in per cent"
            )
    for row in scores[scores.duplicated(["model", "seed"])].itertuples():
        raise DataError(f"{row.model}, seed {row.seed}: scored twice; leave one row out")
    wide = scores.pivot(index="model", columns="seed", values="miou")
    wide = wide.loc[list(dict.fromkeys(scores["model"]))]
    for model, runs in wide.iterrows():
        for seed in runs.index[runs.isna()]:
            raise DataError(
                f"{model}: no run of seed {seed}, which other models have; fine-tune it with that "
                f"seed or leave the seed out for all"
            )
    return wide


def _encoders(sources: Sequence[str], wide: pd.DataFrame, *, fewest: int) -> list[str]:
    """Return the sources that have scores, in their own order."""
    for model in wide.index:
        if model not in sources and model not in RANDOM:
            raise DataError(
                f"{model}: fine-tuned, but not among the encoders that were ranked; add its RDM "
                f"to the bank or leave its scores out"
            )
    encoders = [name for name in sources if name in wide.index]
    if len(encoders) < fewest:
        raise DataError(
            f"scores of {len(encoders)} encoders of the bank; fine-tune at least {fewest}"
        )
    return encoders


def _similar(
    similarity: np.ndarray,
    draws: np.ndarray,
    sources: Sequence[str],
    encoders: Sequence[str],
    seed: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the similarity to some encoders: (1 + R, k), means over seeds, and (S, k).

    The estimate comes first, then the resamples of images and seeds.
    """
    similarity, draws = np.asarray(similarity), np.asarray(draws)
    if similarity.ndim != 2 or similarity.shape[1] != len(sources) or not len(similarity):
        raise DataError(
            f"similarities of shape {similarity.shape} for {len(sources)} encoders; give (seeds, "
            f"encoders)"
        )
    if draws.ndim != 3 or draws.shape[1:] != similarity.shape or not len(draws):
        raise DataError(
            f"resamples of shape {draws.shape} for similarities of shape {similarity.shape}; make "
            f"both from the same networks"
        )
    keep = [list(sources).index(name) for name in encoders]
    similarity, draws = similarity[:, keep], draws[..., keep]
    taken = _drawn_seeds(len(similarity), (len(draws),), np.random.default_rng([seed, 0]))
    means = np.take_along_axis(draws, taken[..., None], axis=1).mean(axis=1)
    return np.concatenate([similarity.mean(axis=0)[None], means]), similarity


def _resampled_runs(runs: np.ndarray, n_resamples: int, seed: int) -> np.ndarray:
    """Return the means (1 + R, k) of (k, T) runs: of all, then of runs drawn for each model."""
    k, n_seeds = runs.shape
    taken = _drawn_seeds(n_seeds, (n_resamples, k), np.random.default_rng([seed, 1]))
    drawn = np.take_along_axis(runs[None], taken, axis=2).mean(axis=2)
    return np.concatenate([runs.mean(axis=1)[None], drawn])


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


def _places(values: np.ndarray) -> np.ndarray:
    """Return ranks (..., m), 1 for the largest; equal ones share the better rank."""
    return 1 + (values[..., None, :] > values[..., :, None]).sum(axis=-1)


def _deviation(values: np.ndarray, axis: int) -> np.ndarray:
    """Return the deviations between seeds; nan where there is one only."""
    if values.shape[axis] < 2:
        return np.full(values.mean(axis=axis).shape, np.nan)
    return values.std(axis=axis, ddof=1)


def _named(names: Sequence[str], models: Names) -> dict[str, list[str]]:
    """Return the labels and types of models, as columns."""
    pairs = []
    for name in names:
        if models and name in models:
            pairs.append(models[name])
        elif name in RANDOM:
            pairs.append((RANDOM[name], "random"))
        elif name in TASKS:
            pairs.append((TASKS[name].label, TASKS[name].type))
        else:
            pairs.append((name, ""))
    return {"label": [label for label, _ in pairs], "type": [kind for _, kind in pairs]}


def _estimate(name: str, values: np.ndarray) -> dict[str, float]:
    """Return a statistic with its interval: the estimate is at 0, the resamples after it."""
    low, high = confidence_interval(values[1:])
    return {name: float(values[0]), f"{name}_low": float(low), f"{name}_high": float(high)}
