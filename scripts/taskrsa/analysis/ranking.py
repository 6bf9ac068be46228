"""Rankings of the bank's networks by similarity to a query, and how robust they are.

A query is a network whose task one wants a bank network for: here a small model. Its ranking is its
row of similarities to the bank (Dwivedi & Roig 2019, sections 4.2 and 6.2, Fig. 7, S1, S3 and
supplement S3).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from taskrsa.errors import DataError, RepresentationError
from taskrsa.rsa.inference import (
    confidence_interval,
    fdr_bh,
    mantel_p,
    noise_ceiling,
    permutation_p,
    resampled_similarity,
)
from taskrsa.rsa.rdm import condensed, mid_ranks, n_images_of, square_form, standardise
from taskrsa.rsa.similarity import similarity_between, similarity_matrix

# Paper section 6.2: means over 14 tasks. It does not say whether a ranking includes the own task.
PUBLISHED_RANKING = {
    "task": "published",
    "own_task": "not stated",
    "pearson": 0.84,
    "spearman": 0.85,
    "n_tasks": 14,
}
# The same section, Fig. S3: similarity matrices of the small models and of the bank.
PUBLISHED_MATRICES = {"seeds": "published", "pearson": 0.85, "spearman": 0.88, "n_tasks": 14}

FEWEST = 3  # networks in a ranking: two always correlate by 1 or -1
_METHODS = ("pearson", "spearman")


@dataclass(frozen=True)
class SmallVsBank:
    """Tables that compare small models with the bank's networks of the same tasks."""

    rankings: pd.DataFrame  # one row per task and bank network (Fig. 7, S1)
    agreement: pd.DataFrame  # one row per task and convention, then means, then published (C5)
    pairs: pd.DataFrame  # one row per pair of tasks (Fig. S3)
    matrix_agreement: pd.DataFrame  # "mean" over seeds, each seed, published (C6)


def ranking_agreement(first: np.ndarray, second: np.ndarray) -> dict[str, np.ndarray]:
    """Return "pearson" and "spearman" (mid-ranks) between rankings along the last axis.

    Parameters
    ----------
    first, second
        (..., m) scores of the same m networks; leading axes broadcast.

    Returns
    -------
    Two arrays (...) float64 in [-1, 1]; nan where a ranking holds nan or one number throughout.
    """
    first, second = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    return {
        "pearson": _correlation(first, second),
        "spearman": _correlation(mid_ranks(first), mid_ranks(second)),
    }


def task_agreement(
    first: np.ndarray,
    second: np.ndarray,
    tasks: Sequence[str],
    sources: Sequence[str],
    *,
    leave_out_own: bool = True,
) -> dict[str, np.ndarray]:
    """Return "pearson" and "spearman" between two rankings of the sources, for every task.

    Parameters
    ----------
    first, second
        (..., T, m): for each of T tasks, the scores of m sources; leading axes broadcast.
    tasks, sources
        Their names. A task that is no source has nothing to leave out.
    leave_out_own
        Leave the source of the task's own name out.

    Returns
    -------
    Two arrays (..., T) float64, as from `ranking_agreement`.

    Raises
    ------
    RepresentationError
        If fewer than 3 sources are left for a task.
    """
    columns = []
    for t, task in enumerate(tasks):
        keep = np.array([not leave_out_own or source != task for source in sources], dtype=bool)
        if keep.sum() < FEWEST:
            raise RepresentationError(
                f"{task}: {keep.sum()} networks to rank besides its own; a correlation of rankings "
                f"needs at least {FEWEST}, so add networks to the bank"
            )
        columns.append(ranking_agreement(first[..., t, keep], second[..., t, keep]))
    return {how: np.stack([column[how] for column in columns], axis=-1) for how in _METHODS}


# --- small models against the bank ---


def small_vs_bank(
    small: np.ndarray,
    bank: np.ndarray,
    tasks: Sequence[str],
    sources: Sequence[str],
    n_images: int,
    counts: np.ndarray,
    permutations: int,
    seed: int,
) -> SmallVsBank:
    """Compare the rankings and similarities of small models with those of the bank (C5, C6).

    Every interval is the 95 % percentile interval over the same resamples of the images; where
    there are several seeds, of the mean over the seeds. It says what other images would give, not
    other networks or tasks. A resample has fewer different images, so its rankings are noisier:
    an agreement next to 1 may lie above its own interval.

    Parameters
    ----------
    small
        (S, T, p) condensed RDMs of S seeds of T tasks.
    bank
        (m, p) condensed RDMs of the bank over the same images.
    tasks, sources
        Names of the T tasks and of the bank's m networks, which must include the tasks.
    counts
        (R, n_images) how often each resample draws each image, as from `bootstrap_counts`.
    permutations, seed
        Of the condition labels (rankings) and of the tasks (matrices).

    Returns
    -------
    SmallVsBank
        `rankings`: model (the task), other (the source), rs_small (mean over the seeds), rs_bank
        (of the bank's network of that task; 1 with itself) with _low and _high, and p_small,
        q_small. p is that of a randomisation of the condition labels between the source's RDM and
        the seeds' mean rank RDM; q is adjusted (Benjamini & Hochberg) over the whole table.

        `agreement`: for every task, with its own bank network left out and included: pearson and
        spearman, with intervals, of rs_small with rs_bank; pearson_one_seed and spearman_one_seed,
        the mean over the seeds of the agreement of one seed's ranking (what a user of one small
        model gets, and what the paper's single models give); rs_own; the seeds' noise ceiling for
        rs_own (blank with one seed); n_models ranked. Then the means over tasks, then the
        published values.

        `pairs`: model_a, model_b, rs_small (mean over seeds of the similarity of two small
        models of one seed), rs_bank, with intervals.

        `matrix_agreement`: pearson and spearman of these, with intervals, and the one-sided p of
        the Spearman correlation under permuted tasks (Mantel), for "mean" over the seeds and for
        each seed. Blank with fewer than 3 tasks.

    Raises
    ------
    DataError
        If shapes and names do not agree or a task has no network in the bank.
    RepresentationError
        If an RDM cannot be ranked or the bank has fewer than 4 networks.
    """
    small, bank = np.asarray(small), np.asarray(bank)
    _require_named(small, bank, tasks, sources, n_images)
    n_seeds, n_tasks, n_pairs = small.shape
    m = len(bank)
    own = [list(sources).index(task) for task in tasks]
    names = [*sources, *(f"small {task}, seed {s}" for s in range(n_seeds) for task in tasks)]
    stack = np.concatenate([bank, small.reshape(-1, n_pairs)])
    # The estimate comes first, the resamples after it: every statistic is then one expression.
    found = np.concatenate(
        [
            similarity_matrix(stack, names=names)[None],
            resampled_similarity(stack, counts, names=names),
        ]
    )
    to_bank = found[:, m:, :m].reshape(-1, n_seeds, n_tasks, m)
    own_to_bank = found[:, own, :m]
    blocks = [slice(m + s * n_tasks, m + (s + 1) * n_tasks) for s in range(n_seeds)]
    among_small = np.stack([found[:, block, block] for block in blocks], axis=1)
    among_bank = own_to_bank[..., own]

    mean_ranks = mid_ranks(small).mean(axis=0)
    p = permutation_p(mean_ranks, bank, n_images, permutations, seed, other_names=sources)
    nan = np.full(n_tasks, np.nan)
    ceilings = (nan, nan)
    if n_seeds > 1:
        ceilings = np.transpose([noise_ceiling(small[:, t]) for t in range(n_tasks)])
    return SmallVsBank(
        rankings=_rankings(to_bank.mean(axis=1), own_to_bank, p, tasks, sources),
        agreement=_agreement(to_bank, own_to_bank, own, ceilings, tasks, sources),
        pairs=_pairs(among_small.mean(axis=1), among_bank, tasks),
        matrix_agreement=_matrix_agreement(among_small, among_bank, permutations, seed),
    )


def _rankings(
    of_small: np.ndarray,
    of_bank: np.ndarray,
    p: np.ndarray,
    tasks: Sequence[str],
    sources: Sequence[str],
) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "model": np.repeat(list(tasks), len(sources)),
            "other": np.tile(list(sources), len(tasks)),
            **_flat_estimates("small", of_small),
            **_flat_estimates("bank", of_bank),
            "p_small": p.ravel(),
            "q_small": fdr_bh(p).ravel(),
        }
    )


def _agreement(
    to_bank: np.ndarray,
    own_to_bank: np.ndarray,
    own: Sequence[int],
    ceilings: Sequence[np.ndarray],
    tasks: Sequence[str],
    sources: Sequence[str],
) -> pd.DataFrame:
    n_seeds, n_tasks = to_bank.shape[1:3]
    own_estimates = {
        "rs_own": to_bank[0].mean(axis=0)[np.arange(n_tasks), own],
        "ceiling_low": ceilings[0],
        "ceiling_high": ceilings[1],
    }
    by_task, means = [[] for _ in tasks], []
    for leave_out in (True, False):
        ranked = task_agreement(
            to_bank.mean(axis=1), own_to_bank, tasks, sources, leave_out_own=leave_out
        )
        single = task_agreement(to_bank[0], own_to_bank[0], tasks, sources, leave_out_own=leave_out)
        estimates = {f"{how}_one_seed": single[how].mean(axis=0) for how in _METHODS}
        estimates |= own_estimates
        same = {"own_task": "left out" if leave_out else "included", "n_seeds": n_seeds}
        n_models = len(sources) - leave_out
        for t, task in enumerate(tasks):
            row = {"task": task} | same | _estimates({how: ranked[how][:, t] for how in _METHODS})
            row |= {name: float(values[t]) for name, values in estimates.items()}
            by_task[t].append(row | {"n_models": n_models})
        row = {"task": "mean"} | same
        row |= _estimates({how: ranked[how].mean(axis=-1) for how in _METHODS})
        row |= {name: float(values.mean()) for name, values in estimates.items()}
        means.append(row | {"n_models": n_models, "n_tasks": n_tasks})
    return pd.DataFrame([*itertools.chain(*by_task), *means, PUBLISHED_RANKING])


def _pairs(of_small: np.ndarray, of_bank: np.ndarray, tasks: Sequence[str]) -> pd.DataFrame:
    i, j = np.triu_indices(len(tasks), 1)
    names = np.array(list(tasks))
    return pd.DataFrame(
        {
            "model_a": names[i],
            "model_b": names[j],
            **_flat_estimates("small", of_small[:, i, j]),
            **_flat_estimates("bank", of_bank[:, i, j]),
        }
    )


def _matrix_agreement(
    among_small: np.ndarray, among_bank: np.ndarray, permutations: int, seed: int
) -> pd.DataFrame:
    n_seeds, n_tasks = among_small.shape[1:3]
    lower = np.tril_indices(n_tasks, -1)
    matrices = {"mean": among_small.mean(axis=1)}
    matrices |= {str(s): among_small[:, s] for s in range(n_seeds)}
    rows = []
    for seeds, matrix in matrices.items():
        row = {"seeds": seeds}
        if n_tasks >= FEWEST:
            row |= _estimates(ranking_agreement(matrix[:, *lower], among_bank[:, *lower]))
            row["p"] = mantel_p(matrix[0], among_bank[0], permutations, seed)[1]
        rows.append(row | {"n_tasks": n_tasks})
    columns = ["seeds", *_ESTIMATES, "p", "n_tasks"]
    return pd.DataFrame([*rows, PUBLISHED_MATRICES], columns=columns)


# --- robustness (C11) ---
#
# Columns of all rows: factor, value, task, draw, reference, spearman, pearson. task "mean" with a
# draw: the mean over tasks in that draw. A task without a draw: the mean over its draws.


def images_rows(
    small: np.ndarray,
    bank: np.ndarray,
    n_images: int,
    sizes: Iterable[int],
    n_subsets: int,
    seed: int,
    tasks: Sequence[str],
    sources: Sequence[str],
) -> list[dict]:
    """Return how far a ranking from a few images agrees with that from all, or from others (C11).

    For each size, `n_subsets` random subsets of the images. The ranking from a subset (own task
    left out) is compared with that from all images, which contain the subset, and, while two
    such subsets fit, with that from as many other images: reference "all images" and "disjoint
    images". All images as a subset give 1 by definition; sizes beyond them are left out.

    Parameters
    ----------
    small
        (T, p) condensed RDMs of the queries, one per task.
    bank
        (m, p) condensed RDMs of the bank over the same images.
    n_images
        Number of images.
    sizes
        Numbers of images in a subset, each at least 3.

    Returns
    -------
    Rows with factor "images", value (the size), task, draw, reference, spearman, pearson: for
    each draw the mean over tasks, for each task the mean over draws (draw blank).

    Raises
    ------
    DataError
        If shapes and names do not agree, or a size is below 3.
    RepresentationError
        If an RDM is the same number throughout within a subset.
    """
    small, bank = np.asarray(small), np.asarray(bank)
    _require_named(small[None], bank, tasks, sources, n_images, own=False)
    squares = np.array([square_form(rdm) for rdm in (*small, *bank)])

    def ranking(images: np.ndarray) -> np.ndarray:
        part = np.array([condensed(square[np.ix_(images, images)]) for square in squares])
        try:
            return similarity_between(
                part[: len(small)], part[len(small) :], names=tasks, other_names=sources
            )
        except RepresentationError as error:
            raise RepresentationError(f"{len(images)} of {n_images} images: {error}") from None

    whole = ranking(np.arange(n_images))
    rows = []
    for size in sorted({int(size) for size in sizes}):
        if size < FEWEST:
            raise DataError(f"subsets of {size} images; a ranking needs at least {FEWEST}")
        if size > n_images:
            continue
        rng = np.random.default_rng([seed, size])  # a size's subsets do not depend on the others
        found = {"all images": []}
        if 2 * size <= n_images:
            found["disjoint images"] = []
        for _ in range(n_subsets if size < n_images else 1):  # all images: one subset only
            order = rng.permutation(n_images)
            ours = ranking(np.sort(order[:size]))
            found["all images"].append(task_agreement(ours, whole, tasks, sources))
            if "disjoint images" in found:
                others = ranking(np.sort(order[size : 2 * size]))
                found["disjoint images"].append(task_agreement(ours, others, tasks, sources))
        for reference, draws in found.items():
            rows += _robustness_rows("images", size, reference, draws, tasks)
    return rows


def models_rows(
    factor: str,
    values: Sequence,
    rankings: np.ndarray,
    bank: np.ndarray,
    tasks: Sequence[str],
    sources: Sequence[str],
    *,
    default: object = None,
) -> list[dict]:
    """Return how far small models of other widths, or other training stages, rank alike (C11).

    The ranking at each value (own task left out) is compared with that of the bank's network of
    the task (reference "bank") and, with a `default`, with that of the small model at that value
    (reference "default small model"; 1 at the value itself).

    Parameters
    ----------
    factor
        "width", "stage", ...: what varies.
    values
        V values of it.
    rankings
        (V, T, m) similarity of the small models to the bank's m networks at each value.
    bank
        (T, m) similarity of the bank's own network of each task to the bank.

    Returns
    -------
    Rows with factor, value, task, draw, reference, spearman, pearson: for each task (draw blank)
    and the mean over tasks (draw 0, the only one).

    Raises
    ------
    DataError
        If shapes and names do not agree, or `default` is not one of the values.
    """
    rankings, bank, values = np.asarray(rankings), np.asarray(bank), list(values)
    _require_rankings(factor, rankings, bank, len(values), tasks, sources)
    references = {"bank": bank}
    if default is not None:
        if default not in values:
            raise DataError(
                f"{factor} {default} of the default small model is not among "
                f"{', '.join(map(str, values))}; add it"
            )
        references["default small model"] = rankings[values.index(default)]
    rows = []
    for value, ranking in zip(values, rankings, strict=True):
        for reference, other in references.items():
            draws = [task_agreement(ranking, other, tasks, sources)]
            rows += _robustness_rows(factor, value, reference, draws, tasks)
    return rows


def seeds_rows(
    rankings: np.ndarray, bank: np.ndarray, tasks: Sequence[str], sources: Sequence[str]
) -> list[dict]:
    """Return how far small models of different seeds rank alike, and each like the bank (C11).

    Parameters
    ----------
    rankings
        (S, T, m) similarity of the small models of S seeds to the bank's m networks.
    bank
        (T, m) similarity of the bank's own network of each task to the bank.

    Returns
    -------
    Rows with factor "seed", value, task, draw, reference, spearman, pearson. Reference "another
    seed": one draw for every pair of seeds, value "0-1", ...; reference "bank": one draw for every
    seed, value "0", .... For each draw each task and the mean over tasks; and for each task
    the mean over draws (value "all", draw blank). With one seed there is no other to compare with.

    Raises
    ------
    DataError
        If shapes and names do not agree.
    """
    rankings, bank = np.asarray(rankings), np.asarray(bank)
    _require_rankings("seed", rankings, bank, len(rankings), tasks, sources)
    compared = {
        "another seed": {
            f"{a}-{b}": task_agreement(rankings[a], rankings[b], tasks, sources)
            for a, b in itertools.combinations(range(len(rankings)), 2)
        },
        "bank": {
            str(s): task_agreement(ranking, bank, tasks, sources)
            for s, ranking in enumerate(rankings)
        },
    }
    rows = []
    for reference, draws in compared.items():
        if not draws:
            continue
        for draw, (value, found) in enumerate(draws.items()):
            for t, task in enumerate(tasks):
                one = {how: found[how][t] for how in _METHODS}
                rows.append(_robustness_row("seed", value, task, draw, reference, one))
            mean = {how: found[how].mean() for how in _METHODS}
            rows.append(_robustness_row("seed", value, "mean", draw, reference, mean))
        rows += _over_draws("seed", "all", reference, list(draws.values()), tasks)
    return rows


def _robustness_rows(
    factor: str, value: object, reference: str, draws: list[dict], tasks: Sequence[str]
) -> list[dict]:
    """Return the mean over tasks of each draw, and the mean over draws of each task."""
    means = [
        _robustness_row(
            factor, value, "mean", draw, reference, {how: found[how].mean() for how in _METHODS}
        )
        for draw, found in enumerate(draws)
    ]
    return means + _over_draws(factor, value, reference, draws, tasks)


def _over_draws(
    factor: str, value: object, reference: str, draws: list[dict], tasks: Sequence[str]
) -> list[dict]:
    mean = {how: np.mean([found[how] for found in draws], axis=0) for how in _METHODS}
    return [
        _robustness_row(
            factor, value, task, np.nan, reference, {how: mean[how][t] for how in _METHODS}
        )
        for t, task in enumerate(tasks)
    ]


def _robustness_row(
    factor: str, value: object, task: str, draw: float, reference: str, found: dict
) -> dict:
    return {
        "factor": factor,
        "value": value,
        "task": task,
        "draw": draw,
        "reference": reference,
        "spearman": float(found["spearman"]),
        "pearson": float(found["pearson"]),
    }


# --- shared ---

_ESTIMATES = tuple(f"{how}{end}" for how in _METHODS for end in ("", "_low", "_high"))


def _estimates(found: dict[str, np.ndarray]) -> dict[str, float]:
    """Return each statistic with its interval: the estimate is at 0, the resamples after it."""
    row = {}
    for how, values in found.items():
        low, high = confidence_interval(values[1:])
        row |= {how: float(values[0]), f"{how}_low": float(low), f"{how}_high": float(high)}
    return row


def _flat_estimates(which: str, found: np.ndarray) -> dict[str, np.ndarray]:
    low, high = confidence_interval(found[1:])
    return {
        f"rs_{which}": found[0].ravel(),
        f"{which}_low": low.ravel(),
        f"{which}_high": high.ravel(),
    }


def _correlation(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    return np.clip((standardise(first) * standardise(second)).sum(axis=-1), -1.0, 1.0)


def _require_named(
    small: np.ndarray,
    bank: np.ndarray,
    tasks: Sequence[str],
    sources: Sequence[str],
    n_images: int,
    *,
    own: bool = True,
) -> None:
    shapes = f"RDMs of shapes {small.shape} and {bank.shape}"
    if (
        small.ndim != 3
        or small.shape[1] != len(tasks)
        or bank.shape != (len(sources), small.shape[2])
    ):
        raise DataError(
            f"{shapes} for {len(tasks)} tasks and {len(sources)} networks of the bank; give one "
            f"RDM for each name, over the same images"
        )
    if n_images_of(bank.shape[1]) != n_images:
        raise DataError(f"{shapes} are not of {n_images} images; make them from the same images")
    for task in tasks if own else ():
        if task not in sources:
            raise DataError(f"{task}: the bank has no network of this task; leave its model out")


def _require_rankings(
    factor: str,
    rankings: np.ndarray,
    bank: np.ndarray,
    n_values: int,
    tasks: Sequence[str],
    sources: Sequence[str],
) -> None:
    one = (len(tasks), len(sources))
    if rankings.shape != (n_values, *one) or bank.shape != one:
        raise DataError(
            f"robustness to {factor}: rankings of shape {rankings.shape} and {bank.shape} for "
            f"{n_values} values, {len(tasks)} tasks and {len(sources)} networks; give one number "
            f"for each"
        )
