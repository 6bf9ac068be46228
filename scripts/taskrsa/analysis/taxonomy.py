"""Tables of the taxonomy: similarities by layer, labels as their cause, choices of method."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from taskrsa.analysis.affinity import compare_similarity
from taskrsa.analysis.tables import similarity_square
from taskrsa.analysis.untrained import Untrained, adjusted, harder, untrained_columns
from taskrsa.rsa.inference import (
    bootstrap_similarity,
    confidence_interval,
    mantel_p,
    permutation_p,
)
from taskrsa.rsa.similarity import RankCorrelation, similarity_matrix
from taskrsa.rsa.stacks import RDMStack, common_images


def similarity_table(
    stacked: RDMStack,
    layer: str,
    n_resamples: int,
    n_permutations: int,
    seed: int,
    *,
    untrained: Untrained | None = None,
    compare: RankCorrelation = "spearman",
) -> pd.DataFrame:
    """Return one row for every pair of models: names, rs with its interval, and p.

    rs is the correlation that `compare` names. The interval is the 95 % percentile interval of a
    bootstrap over images; p is that of a randomisation of the condition labels, q p adjusted
    (Benjamini & Hochberg) over the pairs.
    Beside it stand the columns of `taskrsa.analysis.untrained`, with an untrained network in the
    place of either of the pair: of the two, the comparison that is the harder to pass.
    """
    models, untrained = stacked.models, untrained or Untrained()
    every = stacked.joined(untrained.controls)
    rs = similarity_matrix(every.rdms, names=every.models, compare=compare)
    draws = bootstrap_similarity(
        every.rdms, n_resamples, seed, groups=stacked.groups, compare=compare
    )
    low, high = confidence_interval(draws)
    p = permutation_p(stacked.rdms, None, n_permutations, seed)
    i, j = np.triu_indices(len(models), 1)
    null = _untrained_pairs(every.models, rs, draws, untrained, (i, j))
    return pd.DataFrame(
        {
            "layer": layer,
            "model_a": np.array(models)[i],
            "model_b": np.array(models)[j],
            "rs": rs[i, j],
            "ci_low": low[i, j],
            "ci_high": high[i, j],
            "p": p[i, j],
            "q": adjusted(p[i, j]),
            **null,
            "q_untrained": adjusted(null["p_untrained"]),
            "n_images": stacked.n_images,
        }
    )


def _untrained_pairs(
    models: Sequence[str],
    rs: np.ndarray,
    draws: np.ndarray,
    untrained: Untrained,
    pairs: tuple[np.ndarray, np.ndarray],
) -> pd.DataFrame:
    """Return for each pair how alike one of it and an untrained network in the other's place are.

    `models` (n,) are those of rs (n, n) and draws (R, n, n), controls last; `pairs` are indices.
    """
    compared = models[: pairs[1].max() + 1]
    of = {name: untrained.of.get(name, ()) for name in compared}
    tables = []
    for at, model in enumerate(compared):
        # A network's similarity to itself says nothing of those of its design.
        others = {name: [one for one in same if one != model] for name, same in of.items()}
        tables.append(untrained_columns(models, rs[at], draws[:, at], others))
    found, columns = np.array(tables), tables[0].columns
    return harder(*(pd.DataFrame(found[a, b], columns=columns) for a, b in (pairs, pairs[::-1])))


def label_agreement_rows(similarity: pd.DataFrame, n_permutations: int, seed: int) -> list[dict]:
    """Return, for every layer, how far the labels' similarity explains the networks' (claim C3)."""
    labels = similarity_square(similarity, "labels")
    rows = []
    for layer in dict.fromkeys(similarity["layer"]):
        if layer == "labels":
            continue
        networks = similarity_square(similarity, layer).loc[labels.index, labels.index]
        first, second = networks.to_numpy(), labels.to_numpy()
        spearman, p = mantel_p(first, second, n_permutations, seed)
        pearson, _ = mantel_p(first, second, n_permutations, seed, method="pearson")
        row = {"layer": layer, "spearman": spearman, "pearson": pearson, "p": p}
        rows.append(row | {"n_models": len(labels)})
    return rows


def preset_rows(
    ours: RDMStack,
    variants: dict[str, RDMStack],
    layer: str,
    choices: dict,
    choices_of: dict[str, dict],
) -> list[dict]:
    """Return how far each choice of method moves the entries of the similarity matrix.

    `variants` are, by name, RDMs of at least 3 of the networks of `ours` at the same layer, made
    with `choices_of` that variant (of centring, clipping and the like) instead of `choices`.
    """
    rows = []
    for name, other in variants.items():
        first, second = common_images(ours.only(other.models), other)
        before = similarity_matrix(first.rdms, names=first.models)
        after = similarity_matrix(second.rdms, names=first.models)
        lower = np.tril_indices(len(before), -1)
        change = np.abs(after[lower] - before[lower])
        changed = {key: value for key, value in choices_of[name].items() if value != choices[key]}
        rows.append(
            {
                "choice": name,
                "change": "; ".join(f"{key}: {choices[key]} -> {changed[key]}" for key in changed),
                "layer": layer,
                "mean_abs_change": change.mean(),
                "max_abs_change": change.max(),
                "spearman": compare_similarity(before, after)["spearman"],
                "n_images": first.n_images,
            }
        )
    return rows
