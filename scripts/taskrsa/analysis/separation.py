"""Do tasks of one type resemble each other more than tasks of different types?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from taskrsa.errors import RepresentationError
from taskrsa.rsa.clustering import LINKAGES, cut
from taskrsa.rsa.similarity import partial_similarity_matrix, similarity_matrix
from taskrsa.rsa.stacks import RDMStack, common_images

_TOLERANCE = 1e-12


def type_separation(
    similarity: np.ndarray,
    types: Sequence[str],
    n_permutations: int,
    seed: int,
) -> dict[str, float]:
    """Return the mean similarity within and between task types, and a permutation p-value.

    Parameters
    ----------
    similarity
        (m, m) symmetric similarity matrix; its diagonal is not used.
    types
        The type of each of the m tasks.

    Returns
    -------
    dict with `within`, `between`, `difference` (within - between) and the one-sided
    `p` = (1 + number of permutations of the types over the tasks with at least that difference) /
    (1 + n_permutations).

    Raises
    ------
    RepresentationError
        If the types leave no pair within or between.
    """
    labels = np.unique(types, return_inverse=True)[1]
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


def adjusted_rand_index(first: Sequence, second: Sequence) -> float:
    """Return the adjusted Rand index of two partitions of the same items (Hubert & Arabie 1985).

    1 for equal partitions, about 0 for unrelated ones. Two partitions that are both all in one
    cluster, or both all apart, agree: 1.
    """
    a, b = (np.unique(labels, return_inverse=True)[1] for labels in (first, second))
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
    pixels: RDMStack | None = None,
    random: RDMStack | None = None,
) -> list[dict]:
    """Return how types separate at one layer: a row without controls and one per set of controls.

    Controls are partialled out of the ranks of the RDMs: the RDM of the pixels, the mean RDM of
    random-weight networks at the same layer, and both, as far as they are given. Without these
    networks random_mean is nan.
    ari is the adjusted Rand index of the types and the clusters that a tree is cut into.

    Raises
    ------
    RepresentationError
        If the types leave no pair within or between, or RDMs cannot be compared.
    """
    given = {"pixels": pixels, "random": random}
    by_name = {name: stack for name, stack in given.items() if stack}
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
                **type_separation(matrix, labels, n_permutations, seed),
                **{
                    f"ari_{method}": adjusted_rand_index(labels, cut(linkage(matrix), n_clusters))
                    for method, linkage in LINKAGES.items()
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
