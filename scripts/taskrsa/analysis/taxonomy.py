"""Tables of the taxonomy: similarities by layer, labels as their cause, choices of method."""

from __future__ import annotations

import numpy as np
import pandas as pd

from taskrsa.analysis.affinity import compare_similarity
from taskrsa.analysis.tables import similarity_square
from taskrsa.rsa.inference import (
    bootstrap_similarity,
    confidence_interval,
    mantel_p,
    permutation_p,
)
from taskrsa.rsa.similarity import similarity_matrix
from taskrsa.rsa.stacks import RDMStack, common_images


def similarity_table(
    stacked: RDMStack, layer: str, n_resamples: int, n_permutations: int, seed: int
) -> pd.DataFrame:
    """Return one row for every pair of models: names, rs with its interval, and p.

    The interval is the 95 % percentile interval of a bootstrap over images; p is that of a
    randomisation of the condition labels.
    """
    models = stacked.models
    rs = similarity_matrix(stacked.rdms, names=models)
    low, high = confidence_interval(
        bootstrap_similarity(stacked.rdms, n_resamples, seed, stacked.groups)
    )
    p = permutation_p(stacked.rdms, None, n_permutations, seed)
    i, j = np.triu_indices(len(models), 1)
    return pd.DataFrame(
        {
            "layer": layer,
            "model_a": np.array(models)[i],
            "model_b": np.array(models)[j],
            "rs": rs[i, j],
            "ci_low": low[i, j],
            "ci_high": high[i, j],
            "p": p[i, j],
            "n_images": stacked.n_images,
        }
    )


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
