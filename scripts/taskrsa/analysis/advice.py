"""Which network of a bank to start a target from, and how certain that is.

Dwivedi & Roig 2019, section 6.3 and Figure 8: a small model of the target ranks the bank's networks
by similarity. The ranking here also says which networks cannot be distinguished from the first,
and what fewer images would have said.

Columns of a ranking, one row a network, most similar first:

model, label, type
rs          mean over the seeds of the Spearman similarity; ci_low and ci_high are its 95 %
            percentile interval over resamples of the images and, of two seeds or more, of the
            trainings (`taskrsa.rsa.inference.retrained`): with one seed nothing is known of how far
            another training would change it; rs_sd the deviation between the seeds (blank with one)
p           one-sided, of a randomisation of the condition labels between the network's RDM and the
            seeds' mean rank RDM, the paper's test; q is p adjusted (Benjamini & Hochberg) over the
            networks
untrained_mean ... q_untrained  the same of untrained networks of its design, and whether it is more
            alike than these: see `taskrsa.analysis.untrained`
stars       "***" where q_untrained < .001, "**" .01, "*" .05; where no network has an untrained one
            of its design, q takes its place
rank        1 for the most similar (equal ones share the better rank); rank_low and rank_high over
            the same resamples
n_seeds     of the small model
behind      the similarity of the first less this one's; behind_low and behind_high are an interval
            that holds for all networks at once with 95 % (the same resamples; the largest of the
            standardised deviations decides its width)
tied        "yes" where that interval reaches 0: such a network cannot be distinguished from the
            first, which is tied with itself
rank_published  place in the published order, where there is one (blank for other networks)
rs_bank         the same similarity over the run's stimuli, where the others are over images of the
                target; rs_bank_low, rs_bank_high and rank_bank as rs has them
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from taskrsa.analysis.ranking import FEWEST, ranking_agreement
from taskrsa.analysis.untrained import Untrained, adjusted, stars, untrained_columns
from taskrsa.errors import DataError
from taskrsa.rsa.inference import (
    LEVEL,
    confidence_interval,
    permutation_p,
    resampled_similarity,
    retrained,
)
from taskrsa.rsa.rdm import descending_ranks, mid_ranks
from taskrsa.rsa.similarity import similarity_between
from taskrsa.rsa.stacks import RDMStack

ROUNDING = 1e-9  # must not tell equal networks apart

Styles = Mapping[str, tuple[str, str]]  # label and type of each network


@dataclass(frozen=True)
class Similarity:
    """How similar a target is to the m networks of a bank, as Spearman correlations."""

    networks: tuple[str, ...]
    values: np.ndarray  # (S, m) of what stands for the target, such as small models of S seeds
    draws: np.ndarray  # (R, S, m) of them, over resamples of the images


def target_similarity(target: RDMStack, bank: RDMStack, counts: np.ndarray) -> Similarity:
    """Return how similar what stands for a target is to each network of the bank.

    `target` holds small models, one for each seed, or one network, over the images of the bank;
    `counts` (R, n) come from `bootstrap_counts`. RepresentationError if an RDM cannot be ranked.
    """
    values = similarity_between(
        target.rdms, bank.rdms, names=target.models, other_names=bank.models
    )
    draws = resampled_similarity(target.rdms, counts, others=bank.rdms, groups=bank.groups)
    return Similarity(bank.models, values, draws)


def rank_networks(
    target: RDMStack,
    bank: RDMStack,
    counts: np.ndarray,
    permutations: int,
    seed: int,
    *,
    styles: Styles | None = None,
    published: Sequence[str] = (),
    untrained: Untrained | None = None,
) -> pd.DataFrame:
    """Return the ranking of a bank for a target, and which networks may be first as well (C9).

    The module's text lists the columns. Target, bank, counts and errors are as for
    `target_similarity`; `permutations` are of the condition labels. A network without a style has
    its name for a label, and no type. `published` names networks, most similar first; `untrained`
    are over the images of the bank, too.
    """
    styles, untrained = styles or {}, untrained or Untrained()
    similarity = target_similarity(target, bank.joined(untrained.controls), counts)
    rs, all_means = similarity.values.mean(axis=0), retrained(similarity.draws, [seed, 0])
    of = {name: untrained.of.get(name, ()) for name in bank.models}
    null = untrained_columns(similarity.networks, rs, all_means, of)
    # The ranking itself does not depend on which controls there are.
    rs, means = rs[: len(bank)], retrained(similarity.draws[..., : len(bank)], [seed, 0])
    mean_ranks = mid_ranks(target.rdms).mean(axis=0)[None]
    p = permutation_p(mean_ranks, bank.rdms, permutations, seed)[0]
    q, q_untrained = adjusted(p), adjusted(null["p_untrained"])
    tests = {
        "rs_sd": _deviation(similarity.values[:, : len(bank)]),
        "p": p,
        "q": q,
        **{column: null[column].to_numpy() for column in null},
        "q_untrained": q_untrained,
        "stars": stars(q_untrained if null["n_untrained"].any() else q),
    }
    return ranking_of(bank.models, styles, rs, means, tests, len(target), published)


def ranking_of(
    names: Sequence[str],
    styles: Styles,
    rs: np.ndarray,
    draws: np.ndarray,
    tests: Mapping[str, object],
    n_seeds: int,
    published: Sequence[str],
) -> pd.DataFrame:
    """Return networks by similarity (m,), resampled as (R, m), with what tests say of each.

    `styles` are labels and types, `published` the names in an order that was published, if any.
    """
    behind, behind_low, behind_high = behind_first(rs, draws)
    low, high = confidence_interval(draws)
    places = np.where(np.isnan(draws), np.nan, descending_ranks(draws))
    rank_low, rank_high = confidence_interval(places)
    table = pd.DataFrame(
        {
            "model": list(names),
            "label": [styles.get(name, (name, ""))[0] for name in names],
            "type": [styles.get(name, (name, ""))[1] for name in names],
            "rs": rs,
            "ci_low": low,
            "ci_high": high,
            **tests,
            "rank": descending_ranks(rs),
            # Between two ranks the outer one: an interval must not be narrower than its level.
            "rank_low": np.floor(rank_low).astype(int),
            "rank_high": np.ceil(rank_high).astype(int),
            "n_seeds": n_seeds,
            "behind": behind,
            "behind_low": behind_low,
            "behind_high": behind_high,
            "tied": np.where(behind_low > ROUNDING, "no", "yes"),
        }
    )
    if published:
        order = {name: place for place, name in enumerate(published, start=1)}
        table["rank_published"] = table["model"].map(order)
    return table.sort_values("rs", ascending=False, kind="stable", ignore_index=True)


def _deviation(values: np.ndarray) -> np.ndarray | float:
    return values.std(axis=0, ddof=1) if len(values) > 1 else np.nan


def beside_run_stimuli(own: pd.DataFrame, bank: pd.DataFrame) -> pd.DataFrame:
    """Return a ranking over images of the target with what that of the same networks over the
    run's stimuli says; both are of `rank_networks`."""
    names = {"rs": "rs_bank", "ci_low": "rs_bank_low", "ci_high": "rs_bank_high"}
    names["rank"] = "rank_bank"
    columns = bank.set_index("model")[list(names)].rename(columns=names)
    return own.join(columns, on="model")


def behind_first(rs: np.ndarray, draws: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return how far (m,) similarities are behind the first, and the interval from (R, m) draws."""
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


def rank_by_images(
    target: RDMStack, bank: RDMStack, sizes: Iterable[int], resamples: int, seed: int
) -> pd.DataFrame:
    """Return how the ranking depends on the number of images.

    For each size, that many images are drawn with replacement from all (the m out of n bootstrap),
    which gives the variation that a set of that size would have; of two seeds or more trainings
    vary as well, as in the ranking. Sizes beyond the number of images are left out; DataError if a
    size is below 3, or none is left.

    Returns
    -------
    One row a size: n_images; draws; same_first, the share of draws whose first choice is that of
    all images; in_tied, the share whose first is among those that all images do not distinguish
    from it; n_tied, the number of networks that are indistinguishable from the first at this
    number of images, the first included; spearman, the mean agreement of the draws' rankings with
    that of all images (blank for fewer than three networks).
    """
    n_images = bank.n_images
    sizes = sorted({int(size) for size in sizes if size <= n_images})
    if not sizes or sizes[0] < FEWEST:
        raise DataError(
            f"numbers of images {sizes}: each must be from {FEWEST} to the {n_images} there are"
        )
    by_size = {}
    for size in sorted({*sizes, n_images}):
        counts = bank.counts(resamples, [seed, size], size)
        # A draw of too few different images has no ranking.
        counts = counts[(counts > 0).sum(axis=1) >= FEWEST]
        similarity = target_similarity(target, bank, counts)
        by_size[size] = similarity.values.mean(axis=0), retrained(similarity.draws, [seed, 0])
    rs, draws = by_size[n_images]
    tied = ~(behind_first(rs, draws)[1] > ROUNDING)
    return pd.DataFrame([_row_of_size(size, rs, by_size[size][1], tied) for size in sizes])


def _row_of_size(size: int, rs: np.ndarray, draws: np.ndarray, tied: np.ndarray) -> dict:
    draws = draws[~np.isnan(draws).any(axis=1)]
    firsts = draws.argmax(axis=1)
    agreement = np.nan
    if len(rs) >= FEWEST and len(draws):
        agreement = float(np.nanmean(ranking_agreement(draws, rs[None])["spearman"]))
    return {
        "n_images": size,
        "draws": len(draws),
        "same_first": float((firsts == rs.argmax()).mean()) if len(draws) else np.nan,
        "in_tied": float(tied[firsts].mean()) if len(draws) else np.nan,
        "n_tied": int((~(behind_first(rs, draws)[1] > ROUNDING)).sum()),
        "spearman": agreement,
    }
