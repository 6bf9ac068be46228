"""Small models against the bank: do they rank it, and relate, as its own networks do?

Dwivedi & Roig 2019, section 6.2 (claims C5 and C6), Fig. 7, S1 and S3.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from taskrsa.analysis.ranking import CORRELATIONS, FEWEST, ranking_agreement, task_agreement
from taskrsa.errors import DataError
from taskrsa.paper import published
from taskrsa.rsa.inference import (
    confidence_interval,
    fdr_bh,
    mantel_p,
    noise_ceiling,
    permutation_p,
    resampled_similarity,
    with_interval,
)
from taskrsa.rsa.rdm import mid_ranks
from taskrsa.rsa.similarity import similarity_matrix
from taskrsa.rsa.stacks import RDMStack


@dataclass(frozen=True)
class SmallVsBank:
    """Tables that compare small models with the bank's networks of the same tasks."""

    rankings: pd.DataFrame  # one row per task and bank network (Fig. 7, S1)
    agreement: pd.DataFrame  # one row per task and convention, then means, then published (C5)
    pairs: pd.DataFrame  # one row per pair of tasks (Fig. S3)
    matrix_agreement: pd.DataFrame  # "mean" over seeds, each seed, published (C6)


def small_vs_bank(
    small: RDMStack,
    bank: RDMStack,
    tasks: Sequence[str],
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
        Small models of the T tasks: those of the first seed, then those of the next.
    bank
        The bank's m networks, named by their tasks, over the same images.
    tasks
        Names of the T tasks, each of which must be in the bank.
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
        If there is not one small model for each task and seed, they are of other images, or a task
        has no network in the bank.
    RepresentationError
        If an RDM cannot be ranked or the bank has fewer than 4 networks.
    """
    _require_matching(small, bank, tasks)
    n_tasks, m = len(tasks), len(bank)
    n_seeds = len(small) // n_tasks
    own = [bank.models.index(task) for task in tasks]
    names = [*bank.models, *small.models]
    stack = np.concatenate([bank.rdms, small.rdms])
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

    by_seed = small.rdms.reshape(n_seeds, n_tasks, -1)
    mean_ranks = mid_ranks(by_seed).mean(axis=0)
    p = permutation_p(
        mean_ranks, bank.rdms, bank.n_images, permutations, seed, other_names=bank.models
    )
    nan = np.full(n_tasks, np.nan)
    ceilings = (nan, nan)
    if n_seeds > 1:
        ceilings = np.transpose([noise_ceiling(by_seed[:, t]) for t in range(n_tasks)])
    return SmallVsBank(
        rankings=_rankings(to_bank.mean(axis=1), own_to_bank, p, tasks, bank.models),
        agreement=_agreement(to_bank, own_to_bank, ceilings, tasks, bank.models),
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
    ceilings: Sequence[np.ndarray],
    tasks: Sequence[str],
    sources: Sequence[str],
) -> pd.DataFrame:
    n_seeds, n_tasks = to_bank.shape[1:3]
    own = [list(sources).index(task) for task in tasks]
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
        estimates = {f"{name}_one_seed": single[name].mean(axis=0) for name in CORRELATIONS}
        estimates |= own_estimates
        same = {"own_task": "left out" if leave_out else "included", "n_seeds": n_seeds}
        n_models = len(sources) - leave_out
        for t, task in enumerate(tasks):
            row = {"task": task} | same
            row |= _with_intervals({name: ranked[name][:, t] for name in CORRELATIONS})
            row |= {name: float(values[t]) for name, values in estimates.items()}
            by_task[t].append(row | {"n_models": n_models})
        row = {"task": "mean"} | same
        row |= _with_intervals({name: ranked[name].mean(axis=-1) for name in CORRELATIONS})
        row |= {name: float(values.mean()) for name, values in estimates.items()}
        means.append(row | {"n_models": n_models, "n_tasks": n_tasks})
    # The paper does not say whether its rankings include the task's own network.
    other = {"task": "published", "own_task": "not stated"} | _published("C5")
    return pd.DataFrame([*itertools.chain(*by_task), *means, other])


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
            row |= _with_intervals(ranking_agreement(matrix[:, *lower], among_bank[:, *lower]))
            row["p"] = mantel_p(matrix[0], among_bank[0], permutations, seed)[1]
        rows.append(row | {"n_tasks": n_tasks})
    statistics = [f"{name}{end}" for name in CORRELATIONS for end in ("", "_low", "_high")]
    rows.append({"seeds": "published"} | _published("C6"))
    return pd.DataFrame(rows, columns=["seeds", *statistics, "p", "n_tasks"])


def _published(claim: str) -> dict[str, float]:
    values = published.values_of(claim, *CORRELATIONS)
    n_tasks = values.pop("n")
    return values | {"n_tasks": n_tasks}


def _with_intervals(found: dict[str, np.ndarray]) -> dict[str, float]:
    row = {}
    for name, values in found.items():
        row |= with_interval(name, values)
    return row


def _flat_estimates(which: str, found: np.ndarray) -> dict[str, np.ndarray]:
    low, high = confidence_interval(found[1:])
    return {
        f"rs_{which}": found[0].ravel(),
        f"{which}_low": low.ravel(),
        f"{which}_high": high.ravel(),
    }


def _require_matching(small: RDMStack, bank: RDMStack, tasks: Sequence[str]) -> None:
    if len(small) == 0 or len(small) % len(tasks):
        raise DataError(
            f"{len(small)} small models of {len(tasks)} tasks; give one for each task and seed"
        )
    if small.n_images != bank.n_images:
        raise DataError(
            f"RDMs of {small.n_images} and {bank.n_images} images; make both from the same images"
        )
    for task in tasks:
        if task not in bank.models:
            raise DataError(f"{task}: the bank has no network of this task; leave its model out")
