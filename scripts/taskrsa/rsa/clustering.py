"""Trees of tasks from similarity matrices (Dwivedi & Roig 2019, Fig. 4b and 6)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from taskrsa.errors import RepresentationError


def paper_linkage(similarity: np.ndarray) -> np.ndarray:
    """Return the authors' tree: MATLAB's `linkage(S)` with its defaults, optimal leaf order.

    That is single linkage on the Euclidean distances between the *rows* of the (m, m) similarity
    matrix. Returns a SciPy linkage (m - 1, 4). Errors are those of `require_similarity`.
    """
    from scipy.cluster.hierarchy import linkage
    from scipy.spatial.distance import pdist

    distances = pdist(require_similarity(similarity))
    return linkage(distances, method="single", optimal_ordering=True)


def average_linkage(similarity: np.ndarray) -> np.ndarray:
    """Return the tree by average linkage on 1 - similarity; otherwise as `paper_linkage`."""
    from scipy.cluster.hierarchy import linkage

    similarity = require_similarity(similarity)
    upper = np.triu_indices(len(similarity), 1)
    distances = np.maximum(1.0 - similarity[upper], 0.0)
    return linkage(distances, method="average", optimal_ordering=True)


LINKAGES = {"paper": paper_linkage, "average": average_linkage}


def cut(tree: np.ndarray, n_clusters: int) -> np.ndarray:
    """Return the cluster, from 1, of each leaf: MATLAB's `cluster(Z, 'maxclust', n)`.

    At most `n_clusters` clusters: fewer where merges are at one height.
    """
    from scipy.cluster.hierarchy import fcluster

    return fcluster(tree, n_clusters, criterion="maxclust")


def to_newick(tree: np.ndarray, names: Sequence[str]) -> str:
    """Return a SciPy linkage as one Newick line; branch lengths are differences of merge heights.

    Leaves stand in the order of the linkage. Names with anything but letters, digits, "." and "-"
    are quoted (an unquoted underscore means a blank in Newick).
    """
    nodes = [(_newick_name(name), 0.0) for name in names]
    for left, right, height, _ in tree:
        # 17 digits, less trailing zeros: the text holds the height exactly.
        parts = [
            f"{text}:{max(float(height) - below, 0.0):.17g}"
            for text, below in (nodes[int(left)], nodes[int(right)])
        ]
        nodes.append((f"({','.join(parts)})", float(height)))
    return nodes[-1][0] + ";"


def require_similarity(similarity: np.ndarray) -> np.ndarray:
    """Return a similarity matrix (m, m) as float64, exactly symmetric, after checking it.

    Raises
    ------
    RepresentationError
        If it is not square with m >= 2, or an entry is not finite or not symmetric: which pair.
    """
    similarity = np.asarray(similarity, dtype=np.float64)
    if similarity.ndim != 2 or similarity.shape[0] != similarity.shape[1] or len(similarity) < 2:
        raise RepresentationError(
            f"a similarity matrix of shape {similarity.shape}; it must be square, at least 2 x 2"
        )
    for i, j in np.argwhere(~np.isfinite(similarity)):
        raise RepresentationError(
            f"the similarity of {i} and {j} is not a number; leave the task out or make its RDM "
            f"again"
        )
    for i, j in np.argwhere(np.abs(similarity - similarity.T) > 1e-6):
        raise RepresentationError(
            f"the similarity of {i} and {j} differs from that of the same pair reversed; average "
            f"the two first"
        )
    return (similarity + similarity.T) / 2


def _newick_name(name: str) -> str:
    name = " ".join(str(name).split())
    if name and all(c.isascii() and (c.isalnum() or c in ".-") for c in name):
        return name
    return "'" + name.replace("'", "''") + "'"
