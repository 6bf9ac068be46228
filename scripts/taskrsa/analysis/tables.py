"""Tidy tables of similarities, trees and tests: their rows, and reading them back."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike

import numpy as np
import pandas as pd

from taskrsa.analysis.affinity import compare_similarity, transfer_similarity
from taskrsa.analysis.separation import adjusted_rand, type_separation
from taskrsa.errors import DataError, RepresentationError
from taskrsa.rsa.inference import (
    bootstrap_similarity,
    confidence_interval,
    mantel_p,
    permutation_p,
)
from taskrsa.rsa.rdm import condensed, n_images_of, square_form
from taskrsa.rsa.rdm_file import StackedRDMs
from taskrsa.rsa.similarity import partial_similarity_matrix, similarity_matrix

# --- similarity ---


def similarity_table(
    stacked: StackedRDMs, layer: str, n_resamples: int, n_permutations: int, seed: int
) -> pd.DataFrame:
    """Return one row for every pair of models: layer, model_a, model_b, rs, ci_low, ci_high, p and
    n_images.

    The interval is the 95 % percentile interval of a bootstrap over images; p is that of a
    randomisation of the condition labels.
    """
    models, n = stacked.models, stacked.n_images
    rs = similarity_matrix(stacked.rdms, names=models)
    low, high = confidence_interval(
        bootstrap_similarity(stacked.rdms, n, n_resamples, seed, names=models)
    )
    p = permutation_p(stacked.rdms, None, n, n_permutations, seed, names=models)
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
            "n_images": n,
        }
    )


def read_similarity(path: str | PathLike, layer: str | None = None) -> pd.DataFrame:
    """Read a similarity table as a symmetric matrix, models in the order of the table.

    Raises
    ------
    DataError
        If the table lacks the layer.
    """
    return similarity_square(pd.read_csv(path), layer, str(path))


def similarity_square(
    table: pd.DataFrame, layer: str | None = None, name: str = "similarity"
) -> pd.DataFrame:
    """Return one layer of a similarity table as a symmetric matrix with ones on its diagonal."""
    if layer is not None:
        table = table[table["layer"] == layer]
    if table.empty:
        raise DataError(f"{name}: no rows for layer {layer}; compute its similarities first")
    models = list(dict.fromkeys([*table["model_a"], *table["model_b"]]))
    matrix = pd.DataFrame(np.eye(len(models)), index=models, columns=models)
    for a, b, rs in table[["model_a", "model_b", "rs"]].itertuples(index=False):
        matrix.loc[a, b] = matrix.loc[b, a] = rs
    return matrix


def long_table(matrix: pd.DataFrame, row: str, column: str, value: str) -> pd.DataFrame:
    """Return a matrix as one row an entry, with the given names of columns."""
    values = matrix.rename_axis(index=row, columns=column).stack()
    return values.rename(value).reset_index()


def read_affinity(path: str | PathLike) -> pd.DataFrame:
    """Read a table of affinities as a matrix: rows sources, columns targets, in the table's order.

    Raises
    ------
    DataError
        If a pair of source and target is missing or given twice.
    """
    table = pd.read_csv(path)
    pairs = table[["source", "target"]]
    if pairs.duplicated().any():
        source, target = pairs[pairs.duplicated()].iloc[0]
        raise DataError(f"{path}: {source} to {target} is given twice; make the table again")
    matrix = table.pivot(index="source", columns="target", values="affinity")
    matrix = matrix.loc[table["source"].unique(), table["target"].unique()]
    if matrix.isna().to_numpy().any():
        source, target = matrix.isna().stack().idxmax()
        raise DataError(f"{path}: no affinity of {source} to {target}; make the table again")
    return matrix


# --- trees ---


def linkage_table(tree: np.ndarray, names: Sequence[str]) -> pd.DataFrame:
    """Return a SciPy linkage as a table; the first len(names) rows name the leaves."""
    leaves = pd.DataFrame({"leaf": list(names)})
    merges = pd.DataFrame(tree, columns=["left", "right", "distance", "n_models"])
    return pd.concat([leaves, merges], ignore_index=True)


def read_linkage(path: str | PathLike) -> tuple[np.ndarray, list[str]]:
    """Read what `linkage_table` wrote: (m - 1, 4) linkage and the m leaves' names."""
    table = pd.read_csv(path, dtype={"leaf": str})
    is_leaf = table["leaf"].notna()
    merges = table.loc[~is_leaf, ["left", "right", "distance", "n_models"]]
    return merges.to_numpy(float), list(table.loc[is_leaf, "leaf"])


# --- taxonomy ---


def separation_rows(
    layer: str,
    stacked: StackedRDMs,
    types: dict[str, str],
    n_clusters: int,
    n_permutations: int,
    seed: int,
    *,
    pixels: StackedRDMs,
    random: StackedRDMs | None = None,
) -> list[dict]:
    """Return how types separate at one layer: a row without controls and one per set of controls.

    Controls are partialled out of the ranks of the RDMs: the RDM of the pixels, the mean RDM of
    random-weight networks at the same layer, and both.
    """
    by_name = {"pixels": pixels} | ({"random": random} if random else {})
    rdms, *others = common_images([stacked, *by_name.values()])
    controls = {name: other.mean(axis=0) for name, other in zip(by_name, others, strict=True)}
    random_mean = np.nan
    if random:
        among_random = similarity_matrix(others[-1], names=random.models)
        random_mean = among_random[np.tril_indices(len(among_random), -1)].mean()
    sets = [(), *((name,) for name in controls)] + [tuple(controls)] * (len(controls) > 1)
    labels = [types[model] for model in stacked.models]
    rows = []
    for names in sets:
        chosen = np.array([controls[name] for name in names]).reshape(len(names), rdms.shape[1])
        matrix = partial_similarity_matrix(rdms, chosen, names=stacked.models)
        rows.append(
            {
                "layer": layer,
                "bank": "labels" if layer == "labels" else "trained",
                "control": "+".join(names) or "none",
                **type_separation(matrix, labels, n_permutations, seed, names=stacked.models),
                **{
                    f"ari_{method}": adjusted_rand(matrix, labels, method, n_clusters=n_clusters)
                    for method in ("paper", "average")
                },
                "n_clusters": n_clusters,
                "random_mean": random_mean,
                "n_models": len(stacked.models),
                "n_images": n_images_of(rdms.shape[1]),
            }
        )
    return rows


def common_images(stacks: Sequence[StackedRDMs]) -> list[np.ndarray]:
    """Return the RDMs (m, n_pairs) of each stack over the images that none of them dropped.

    Raises
    ------
    RepresentationError
        If the stacks come from different stimuli.
    """
    digests = {stack.stimuli_digest for stack in stacks}
    if len(digests) > 1:
        raise RepresentationError(
            f"{stacks[0].models[0]} and {stacks[-1].models[0]} were shown different stimuli; "
            "make their RDMs from one list"
        )
    common = set(stacks[0].kept_images)
    for stack in stacks[1:]:
        common &= set(stack.kept_images)
    chosen = []
    for stack in stacks:
        keep = np.flatnonzero(np.isin(stack.kept_images, list(common)))
        chosen.append(
            np.array([condensed(square_form(rdm)[np.ix_(keep, keep)]) for rdm in stack.rdms])
        )
    return chosen


def label_pairs(similarity: pd.DataFrame) -> pd.DataFrame:
    """Return for every layer and pair the similarity of the networks and of their labels."""
    keys = ["model_a", "model_b"]
    labels = similarity[similarity["layer"] == "labels"][[*keys, "rs"]]
    networks = similarity[similarity["layer"] != "labels"][["layer", *keys, "rs"]]
    return networks.merge(labels, on=keys, suffixes=("_network", "_labels"))


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
        rows.append(
            {
                "layer": layer,
                "spearman": spearman,
                "pearson": pearson,
                "p": p,
                "n_models": len(labels),
            }
        )
    return rows


def agreement_rows(
    stacked: StackedRDMs,
    affinity: pd.DataFrame,
    n_resamples: int,
    n_permutations: int,
    seed: int,
) -> list[dict]:
    """Compare the bank's similarity matrix with that of Taskonomy's transfers (Fig. 6, claim C4).

    The interval is that of a bootstrap over images, p that of a permutation of the tasks. The
    first row uses the default way to make similarities of affinities; since the paper does not
    name one, a row follows for each other normalisation that these affinities admit.
    """
    names = list(stacked.models)
    ours = similarity_matrix(stacked.rdms, names=names)
    drawn = bootstrap_similarity(stacked.rdms, stacked.n_images, n_resamples, seed, names=names)
    rows = []
    off_diagonal = affinity.to_numpy()[~np.eye(len(affinity), dtype=bool)]
    for normalise in NORMALISATIONS:
        if normalise == "log" and off_diagonal.min() <= 0:
            continue  # a source worse than the constant predictor has no logarithm
        theirs = transfer_similarity(affinity.loc[names, names], normalise=normalise)
        resampled = pd.DataFrame([compare_similarity(one, theirs) for one in drawn])
        row = {
            "similarity": "ours" if not rows else f"ours ({normalise})",
            "normalisation": normalise,
            "n_tasks": len(names),
        }
        for method in ("pearson", "spearman"):
            value, p = mantel_p(ours, theirs, n_permutations, seed, method=method)
            low, high = confidence_interval(resampled[method].to_numpy())
            row |= {
                method: value,
                f"{method}_low": float(low),
                f"{method}_high": float(high),
                f"{method}_p": p,
            }
        rows.append(row)
    return rows


NORMALISATIONS = ("zscore", "log", "rank", "sum", "none")  # the default first


def preset_rows(
    own: StackedRDMs, others: dict[str, StackedRDMs], choices: dict, variants: dict
) -> list[dict]:
    """Return how far each choice of method moves the entries of the similarity matrix."""
    rows = []
    for name, other in others.items():
        first, second = common_images([own, other])
        before = similarity_matrix(first, names=own.models)
        after = similarity_matrix(second, names=own.models)
        lower = np.tril_indices(len(before), -1)
        change = np.abs(after[lower] - before[lower])
        changed = {k: v for k, v in variants[name].items() if v != choices[k]}
        rows.append(
            {
                "choice": name,
                "change": "; ".join(f"{k}: {choices[k]} -> {v}" for k, v in changed.items()),
                "layer": "compressed",
                "mean_abs_change": change.mean(),
                "max_abs_change": change.max(),
                "spearman": compare_similarity(before, after)["spearman"],
                "n_images": n_images_of(first.shape[1]),
            }
        )
    return rows
