"""Small models against the bank: do they rank it, and relate, as its own networks do?

Dwivedi & Roig 2019, section 6.2 (claims C5 and C6), Fig. 7, S1 and S3. Every 95 % interval (_low,
_high) is over the same resamples of the images; where there are several seeds, of the mean over the
seeds, whose trainings vary as well (`taskrsa.rsa.inference.retrained`). It says what other images
and trainings would give, not other networks or tasks. Of a similarity it is a percentile interval,
of an agreement that of `agreement_interval`.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from taskrsa.analysis.ranking import FEWEST, ranking_agreement, task_agreement
from taskrsa.analysis.tables import CORRELATIONS
from taskrsa.analysis.untrained import adjusted, untrained_columns
from taskrsa.paper.published import values_of
from taskrsa.rsa.inference import (
    confidence_interval,
    mantel_p,
    noise_ceiling,
    permutation_p,
    resampled_similarity,
    seed_means,
    with_agreement,
)
from taskrsa.rsa.rdm import mid_ranks
from taskrsa.rsa.similarity import similarity_matrix
from taskrsa.rsa.stacks import RDMStack


@dataclass(frozen=True)
class SmallVsBank:
    """Tables that compare small models with the bank's networks of the same tasks.

    Attributes
    ----------
    rankings
        One row a task and bank network (Fig. 7, S1): model (the task), other (the source), rs_small
        (mean over the seeds), rs_bank (of the bank's network of that task; 1 with itself), with
        intervals. p_small is that of a randomisation of the condition labels between the source's
        RDM and the seeds' mean rank RDM, q_small p adjusted (Benjamini & Hochberg) over the table.
        Then, for each of the two, the columns of `taskrsa.analysis.untrained`, such as
        untrained_mean_small: how alike untrained encoders are to what ranks.
    agreement
        One row a task, with its own bank network left out, and included (C5): pearson and spearman,
        with intervals, of rs_small with rs_bank; pearson_one_seed and spearman_one_seed, the mean
        over the seeds of the agreement of one seed's ranking (what a user of one small model gets,
        and what the paper's single models give); rs_own; the seeds' noise ceiling for rs_own (blank
        with one seed); n_models ranked. Then the means over tasks, then the published values.
    pairs
        One row a pair of tasks (Fig. S3): model_a, model_b, rs_small (mean over seeds of the
        similarity of two small models of one seed) and rs_bank, with intervals.
    matrix_agreement
        pearson and spearman of `pairs`, with intervals, and the one-sided p of the Spearman
        correlation under permuted tasks (Mantel), for "mean" over the seeds, for each seed and as
        published (C6). Blank with fewer than 3 tasks.
    """

    rankings: pd.DataFrame
    agreement: pd.DataFrame
    pairs: pd.DataFrame
    matrix_agreement: pd.DataFrame


def small_vs_bank(
    small: RDMStack,
    bank: RDMStack,
    tasks: Sequence[str],
    counts: np.ndarray,
    permutations: int,
    seed: int,
    random: RDMStack | None = None,
) -> SmallVsBank:
    """Compare the rankings and similarities of small models with those of the bank (C5, C6).

    `small` are models of the T tasks: those of the first seed, then those of the next. The bank's
    m >= 4 networks, over the same images, are named by their tasks, and those of all T tasks are
    among them. `counts` (R, n) are those of `bootstrap_counts`; permutations are of the condition
    labels (rankings) and of the tasks (matrices). `random` are untrained encoders of the bank's
    design over the same images, at the layer of the bank.

    RepresentationError if an RDM cannot be ranked or the bank has too few networks.
    """
    n_tasks, m = len(tasks), len(bank)
    n_seeds = len(small) // n_tasks
    own = [bank.models.index(task) for task in tasks]
    every = bank.joined(small).joined(random)
    # The estimate comes first, the resamples after it: every statistic is then one expression.
    estimate = similarity_matrix(every.rdms, names=every.models)
    drawn = resampled_similarity(every.rdms, counts, groups=bank.groups)
    found = np.concatenate([estimate[None], drawn])
    named = [*range(m), *range(m + len(small), len(every))]  # the bank, then the untrained
    by_small = found[:, m : m + len(small)].reshape(-1, n_seeds, n_tasks, len(every))[..., named]
    by_bank = found[:, own][..., named]
    to_bank, own_to_bank = by_small[..., :m], by_bank[..., :m]
    blocks = [slice(m + s * n_tasks, m + (s + 1) * n_tasks) for s in range(n_seeds)]
    among_small = np.stack([found[:, block, block] for block in blocks], axis=1)
    among_bank = own_to_bank[..., own]
    of_seeds = seed_means(to_bank, seed)  # whatever untrained encoders there are

    by_seed = small.rdms.reshape(n_seeds, n_tasks, -1)
    p = permutation_p(mid_ranks(by_seed).mean(axis=0), bank.rdms, permutations, seed)
    names = np.array(list(tasks))
    rankings = {
        "model": np.repeat(names, m),
        "other": np.tile(bank.models, n_tasks),
        **_flat_estimates("small", of_seeds),
        **_flat_estimates("bank", own_to_bank),
        **{"p_small": p.ravel(), "q_small": adjusted(p.ravel())},
        **_beside_untrained("small", seed_means(by_small, seed), bank, random),
        **_beside_untrained("bank", by_bank, bank, random),
    }
    i, j = np.triu_indices(n_tasks, 1)
    small_pairs = seed_means(among_small[:, :, None, i, j], seed)[:, 0]
    pairs = {
        "model_a": names[i],
        "model_b": names[j],
        **_flat_estimates("small", small_pairs),
        **_flat_estimates("bank", among_bank[:, i, j]),
    }
    return SmallVsBank(
        rankings=pd.DataFrame(rankings),
        agreement=_agreement(
            of_seeds, to_bank[0], own_to_bank, _ceilings(by_seed), tasks, bank.models
        ),
        pairs=pd.DataFrame(pairs),
        matrix_agreement=_matrix_agreement(
            small_pairs, among_small, among_bank, permutations, seed
        ),
    )


def _ceilings(by_seed: np.ndarray) -> np.ndarray:
    """Return the bounds (2, T) of the noise ceiling of RDMs (S, T, p); nan for one seed."""
    n_seeds, n_tasks = by_seed.shape[:2]
    if n_seeds == 1:
        return np.full((2, n_tasks), np.nan)
    return np.transpose([noise_ceiling(by_seed[:, t]) for t in range(n_tasks)])


def _agreement(
    of_seeds: np.ndarray,
    by_seed: np.ndarray,
    own_to_bank: np.ndarray,
    ceilings: np.ndarray,
    tasks: Sequence[str],
    sources: Sequence[str],
) -> pd.DataFrame:
    """Return the table of agreement, of means over the seeds (1 + R, T, m) and each (S, T, m)."""
    n_seeds, n_tasks = by_seed.shape[:2]
    own = [sources.index(task) for task in tasks]
    own_estimates = {
        "rs_own": of_seeds[0][np.arange(n_tasks), own],
        "ceiling_low": ceilings[0],
        "ceiling_high": ceilings[1],
    }
    by_task, means = [[] for _ in tasks], []
    for leave_out in (True, False):
        ranked = task_agreement(of_seeds, own_to_bank, tasks, sources, leave_out_own=leave_out)
        single = task_agreement(by_seed, own_to_bank[0], tasks, sources, leave_out_own=leave_out)
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
    other = {"task": "published", "own_task": "not stated"}
    other |= values_of("C5", *CORRELATIONS, n="n_tasks")
    return pd.DataFrame([*itertools.chain(*by_task), *means, other])


def _matrix_agreement(
    small_pairs: np.ndarray,
    among_small: np.ndarray,
    among_bank: np.ndarray,
    permutations: int,
    seed: int,
) -> pd.DataFrame:
    """Return the table of C6, of means over the seeds by pair (1 + R, P) and the matrices of each,
    (1 + R, S, T, T)."""
    n_seeds, n_tasks = among_small.shape[1:3]
    pairs = np.triu_indices(n_tasks, 1)
    estimates = {"mean": among_small[0].mean(axis=0)}
    estimates |= {str(s): among_small[0, s] for s in range(n_seeds)}
    drawn = [small_pairs, *(among_small[:, s, *pairs] for s in range(n_seeds))]
    rows = []
    for (seeds, matrix), found in zip(estimates.items(), drawn, strict=True):
        row = {"seeds": seeds}
        if n_tasks >= FEWEST:
            row |= _with_intervals(ranking_agreement(found, among_bank[:, *pairs]))
            row["p"] = mantel_p(matrix, among_bank[0], permutations, seed)[1]
        rows.append(row | {"n_tasks": n_tasks})
    statistics = [f"{name}{end}" for name in CORRELATIONS for end in ("", "_low", "_high")]
    rows.append({"seeds": "published"} | values_of("C6", *CORRELATIONS, n="n_tasks"))
    return pd.DataFrame(rows, columns=["seeds", *statistics, "p", "n_tasks"])


def _with_intervals(found: dict[str, np.ndarray]) -> dict[str, float]:
    row = {}
    for name, values in found.items():
        row |= with_agreement(name, values)
    return row


def _beside_untrained(
    which: str, found: np.ndarray, bank: RDMStack, random: RDMStack | None
) -> dict[str, np.ndarray]:
    """Return the columns of untrained networks for the rows of rankings, task by task.

    `found` (1 + R, T, m + K) are similarities to the m networks of the bank and K untrained ones,
    the estimates first.
    """
    untrained = list(random.models) if random else []
    of, names = dict.fromkeys(bank.models, untrained), [*bank.models, *untrained]
    tables = [untrained_columns(names, rows[0], rows[1:], of) for rows in found.swapaxes(0, 1)]
    table = pd.concat(tables, ignore_index=True)
    table["q_untrained"] = adjusted(table["p_untrained"])
    return {f"{column}_{which}": table[column].to_numpy() for column in table}


def _flat_estimates(which: str, found: np.ndarray) -> dict[str, np.ndarray]:
    low, high = confidence_interval(found[1:])
    return {
        f"rs_{which}": found[0].ravel(),
        f"{which}_low": low.ravel(),
        f"{which}_high": high.ravel(),
    }
