"""Do tasks of one type resemble each other more than tasks of different types?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np

from taskrsa.errors import DataError, RepresentationError
from taskrsa.rsa.clustering import LINKAGES, cut, require_similarity
from taskrsa.rsa.similarity import partial_similarity_matrix, similarity_matrix
from taskrsa.rsa.stacks import RDMStack, common_images

_TOLERANCE = 1e-12


def type_separation(
    similarity: np.ndarray,
    types: Sequence[str],
    n_permutations: int,
    seed: int,
    *,
    names: Sequence[str] | None = None,
) -> dict[str, float]:
    """Return the mean similarity within and between task types, and a permutation p-value.

    Parameters
    ----------
    similarity
        (m, m) symmetric similarity matrix; its diagonal is not used.
    types
        The type of each of the m tasks.
    n_permutations, seed
        Type labels are permuted over the tasks.

    Returns
    -------
    dict with `within`, `between`, `difference` (within - between) and the one-sided
    `p` = (1 + number of permutations with at least that difference) / (1 + n_permutations).

    Raises
    ------
    RepresentationError
        If the matrix is not symmetric and finite, or the types leave no pair within or between.
    DataError
        If `n_permutations` is less than 1.
    """
    similarity = require_similarity(similarity, names)
    if n_permutations < 1:
        raise DataError(f"{n_permutations} permutations; ask for at least 1")
    labels = _labels(types, len(similarity))
    lower = np.tril_indices(len(similarity), -1)
    values = similarity[lower]
    same = labels[lower[0]] == labels[lower[1]]
    if same.all() or not same.any():
        raise RepresentationError(
            "the types leave no pair within a type or none between types; give the networks at "
            "least two types, one of them two networks"
        )
    within, between = values[same].mean(), values[~same].mean()
    rng = np.random.default_rng(seed)
    reached = 0
    for _ in range(n_permutations):
        shuffled = rng.permutation(labels)
        same = shuffled[lower[0]] == shuffled[lower[1]]
        difference = values[same].mean() - values[~same].mean()
        reached += difference >= within - between - _TOLERANCE
    return {
        "within": float(within),
        "between": float(between),
        "difference": float(within - between),
        "p": float((1 + reached) / (1 + n_permutations)),
    }


def adjusted_rand(
    similarity: np.ndarray,
    types: Sequence[str],
    method: Literal["paper", "average"] = "average",
    *,
    n_clusters: int | None = None,
    names: Sequence[str] | None = None,
) -> float:
    """Return the adjusted Rand index between the types and the cut of the tree of a similarity.

    Parameters
    ----------
    similarity
        (m, m) symmetric similarity matrix.
    types
        The type of each of the m tasks.
    method
        The tree: "paper" (`paper_linkage`) or "average" (`average_linkage`).
    n_clusters
        Clusters to cut into; by default as many as there are types.

    Raises
    ------
    RepresentationError
        If the matrix is not symmetric and finite.
    """
    labels = _labels(types, len(np.asarray(similarity)))
    tree = LINKAGES[method](similarity, names=names)
    return adjusted_rand_index(labels, cut(tree, n_clusters or len(set(types))))


def adjusted_rand_index(first: Sequence, second: Sequence) -> float:
    """Return the adjusted Rand index of two partitions of the same items (Hubert & Arabie 1985).

    1 for equal partitions, about 0 for unrelated ones. Two partitions that are both all in one
    cluster, or both all apart, agree: 1.
    """
    a = np.unique(np.asarray(first), return_inverse=True)[1]
    b = np.unique(np.asarray(second), return_inverse=True)[1]
    table = np.zeros((a.max() + 1, b.max() + 1))
    np.add.at(table, (a, b), 1)
    together = _pairs(table).sum()
    rows, columns = _pairs(table.sum(axis=1)).sum(), _pairs(table.sum(axis=0)).sum()
    expected = rows * columns / _pairs(np.float64(len(a))) if len(a) > 1 else 0.0
    largest = (rows + columns) / 2
    if largest == expected:
        return 1.0
    return float((together - expected) / (largest - expected))


def separable(types: Sequence[str]) -> bool:
    """Return whether types can be compared: at least two, one of them of at least two networks."""
    return len(set(types)) > 1 and len(set(types)) < len(types)


def separation_rows(
    layer: str,
    stacked: RDMStack,
    types: Mapping[str, str],
    n_clusters: int,
    n_permutations: int,
    seed: int,
    *,
    pixels: RDMStack,
    random: RDMStack | None = None,
) -> list[dict]:
    """Return how types separate at one layer: a row without controls and one per set of controls.

    Controls are partialled out of the ranks of the RDMs: the RDM of the pixels, the mean RDM of
    random-weight networks at the same layer, and both.

    Parameters
    ----------
    types
        The type of each network in `stacked`.
    n_clusters
        Clusters that trees are cut into.
    random
        Random-weight networks; None where there are none, and random_mean is then nan.

    Raises
    ------
    RepresentationError
        If the types leave no pair within or between, or RDMs cannot be compared.
    """
    by_name = {"pixels": pixels} | ({"random": random} if random else {})
    own, *others = common_images(stacked, *by_name.values())
    controls = {name: other.rdms.mean(axis=0) for name, other in zip(by_name, others, strict=True)}
    random_mean = np.nan
    if random and len(random) > 1:
        among_random = similarity_matrix(others[-1].rdms, names=random.models)
        random_mean = among_random[np.tril_indices(len(among_random), -1)].mean()
    sets = [(), *((name,) for name in controls)] + [tuple(controls)] * (len(controls) > 1)
    labels = [types[model] for model in own.models]
    rows = []
    for names in sets:
        chosen = [controls[name] for name in names]
        partialled = np.array(chosen).reshape(len(chosen), own.rdms.shape[1])
        matrix = partial_similarity_matrix(own.rdms, partialled, names=own.models)
        rows.append(
            {
                "layer": layer,
                "control": "+".join(names) or "none",
                **type_separation(matrix, labels, n_permutations, seed, names=own.models),
                **{
                    f"ari_{method}": adjusted_rand(matrix, labels, method, n_clusters=n_clusters)
                    for method in ("paper", "average")
                },
                "n_clusters": n_clusters,
                "random_mean": random_mean,
                "n_models": len(own),
                "n_images": own.n_images,
            }
        )
    return rows


def _pairs(counts: np.ndarray) -> np.ndarray:
    return counts * (counts - 1) / 2


def _labels(types: Sequence[str], m: int) -> np.ndarray:
    if len(types) != m:
        raise RepresentationError(
            f"{len(types)} task types for a similarity matrix of {m} tasks; give one each"
        )
    return np.unique(np.asarray(types), return_inverse=True)[1]
