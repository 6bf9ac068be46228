"""Which network of a bank to start a target from, and how far that can be told.

Dwivedi & Roig 2019, section 6.3, rank a bank by its similarity to one small model of the target.
Here the ranking says what else it cannot be told from, and what fewer images would have said.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from taskrsa.analysis.outcomes import Names, figure8_rows, target_similarity
from taskrsa.analysis.ranking import FEWEST, ranking_agreement
from taskrsa.errors import DataError

LEVEL = 0.95
_ROUNDING = 1e-9  # must not tell equal networks apart


def advice_rows(
    target: np.ndarray,
    bank: np.ndarray,
    sources: Sequence[str],
    n_images: int,
    counts: np.ndarray,
    permutations: int,
    seed: int,
    *,
    models: Names = None,
) -> pd.DataFrame:
    """Return the ranking of a bank for a target, and which networks may be the first as well.

    Parameters
    ----------
    target
        (S, p) condensed RDMs of what stands for the target: small models of S seeds.
    bank, sources, n_images, counts, permutations, seed, models
        As for `taskrsa.analysis.outcomes.figure8_rows`.

    Returns
    -------
    The rows of `figure8_rows`, with behind, the similarity of the first less this one's, and
    behind_low and behind_high, an interval that holds for all networks at once with 95 %
    (bootstrap of the images; the largest of the standardised deviations decides its width). tied
    is "yes" where the interval reaches 0: such a network cannot be told from the first, which is
    tied with itself.

    Raises
    ------
    DataError, RepresentationError
        As `figure8_rows`.
    """
    known = similarity, draws = target_similarity(target, bank, sources, counts)
    ranking = figure8_rows(
        target, bank, sources, n_images, counts, permutations, seed, models=models, known=known
    )
    behind, low, high = _behind(similarity.mean(axis=0), draws.mean(axis=1))
    tied = np.where(low > _ROUNDING, "no", "yes")
    columns = {"behind": behind, "behind_low": low, "behind_high": high, "tied": tied}
    found = pd.DataFrame({"model": list(sources), **columns})
    return ranking.merge(found, on="model", how="left", validate="one_to_one")


def _behind(rs: np.ndarray, draws: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return how far each of (m,) similarities is behind the first, and the simultaneous interval
    from their resamples (R, m)."""
    first = rs.argmax()
    behind, drawn = rs[first] - rs, draws[:, [first]] - draws
    drawn = drawn[~np.isnan(drawn).any(axis=1)]
    if len(drawn) < 2:
        unknown = np.full(len(rs), np.nan)
        return behind, unknown, unknown
    spread = drawn.std(axis=0, ddof=1)
    deviations = np.abs(drawn - behind) / np.where(spread > 0, spread, 1.0)
    width = np.quantile(deviations.max(axis=1), LEVEL) * spread
    return behind, behind - width, behind + width


def advice_by_images(
    target: np.ndarray,
    bank: np.ndarray,
    sources: Sequence[str],
    n_images: int,
    sizes: Iterable[int],
    resamples: int,
    seed: int,
) -> pd.DataFrame:
    """Return how the advice depends on the number of images.

    So many images are drawn with replacement from all (the m out of n bootstrap), which gives the
    variation that a set of that size would have. More images than there are cannot be drawn.

    Parameters
    ----------
    target, bank, sources, n_images
        As for `advice_rows`.
    sizes
        Numbers of images; those beyond n_images are left out.

    Returns
    -------
    One row a size: n_images; draws; same_first, the share of draws whose first choice is that of
    all images; in_tied, the share whose first is among those that all images do not tell from it;
    n_tied, how many networks so many images do not tell from the first choice, that included;
    spearman, the mean agreement of the draws' rankings with that of all images (blank for fewer
    than three networks).

    Raises
    ------
    DataError
        If a size is below 3, or no size is left.
    """
    sizes = sorted({int(size) for size in sizes if size <= n_images})
    if not sizes or sizes[0] < FEWEST:
        raise DataError(
            f"numbers of images {sizes}: each must be from {FEWEST} to the {n_images} there are"
        )
    found = {}
    for size in sorted({*sizes, n_images}):
        rng = np.random.default_rng([seed, size])
        counts = rng.multinomial(size, np.full(n_images, 1 / n_images), size=resamples)
        # A draw of too few different images has no ranking.
        counts = counts[(counts > 0).sum(axis=1) >= FEWEST]
        similarity, draws = target_similarity(target, bank, sources, counts)
        found[size] = similarity.mean(axis=0), draws.mean(axis=1)
    rs, draws = found[n_images]
    tied = ~(_behind(rs, draws)[1] > _ROUNDING)
    rows = []
    for size in sizes:
        draws = found[size][1]
        draws = draws[~np.isnan(draws).any(axis=1)]
        firsts = draws.argmax(axis=1)
        agreement = np.nan
        if len(sources) >= FEWEST and len(draws):
            agreement = float(np.nanmean(ranking_agreement(draws, rs[None])["spearman"]))
        rows.append(
            {
                "n_images": size,
                "draws": len(draws),
                "same_first": float((firsts == rs.argmax()).mean()) if len(draws) else np.nan,
                "in_tied": float(tied[firsts].mean()) if len(draws) else np.nan,
                "n_tied": int((~(_behind(rs, draws)[1] > _ROUNDING)).sum()),
                "spearman": agreement,
            }
        )
    return pd.DataFrame(rows)


def verified_rows(ranking: pd.DataFrame, scores: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Return the ranking beside what fine-tuning reached, the best advised first.

    Parameters
    ----------
    ranking
        Rows of `advice_rows`.
    scores
        One row a run: model, seed, how, floor, n_val and a column `metric`; the small model, which
        is in no ranking, comes last.

    Returns
    -------
    One row a network that was trained: model, label, type, rank, rs, tied, how, score (mean over
    the seeds), score_sd (blank with one), score_rank (among networks of the bank), n_seeds, n_val,
    metric, floor (the score of a constant answer).

    Raises
    ------
    DataError
        If a run is missing or its score is no number.
    """
    if scores[metric].isna().any():
        raise DataError(f"scores: {metric} is no number for {scores[scores[metric].isna()]}")
    runs = scores.groupby("model", sort=False)
    table = pd.DataFrame(
        {
            "how": runs["how"].first(),
            "score": runs[metric].mean(),
            "score_sd": runs[metric].std(ddof=1),
            "n_seeds": runs["seed"].nunique(),
            "n_val": runs["n_val"].first(),
            "metric": metric,
            "floor": runs["floor"].first(),
        }
    ).reset_index()
    known = ranking[["model", "label", "type", "rank", "rs", "tied"]]
    table = table.merge(known, on="model", how="left")
    of_bank = table["rank"].notna()
    table["score_rank"] = table["score"].where(of_bank).rank(ascending=False, method="min")
    table["label"] = table["label"].fillna(table["model"])
    table = table.sort_values("rank", kind="stable", na_position="last")
    order = ["model", "label", "type", "rank", "rs", "tied", "how", "score", "score_sd"]
    return table[[*order, "score_rank", "n_seeds", "n_val", "metric", "floor"]]
