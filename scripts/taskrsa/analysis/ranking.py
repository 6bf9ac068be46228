"""Rankings of the bank's networks by similarity to a query, and how far two of them agree.

A query is a network whose task one wants a bank network for, such as a small model. Its ranking is
its row of similarities to the bank (Dwivedi & Roig 2019, section 4.2).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from taskrsa.analysis.tables import CORRELATIONS
from taskrsa.errors import RepresentationError
from taskrsa.rsa.rdm import mid_ranks, standardise

FEWEST = 3  # networks in a ranking: two always correlate by 1 or -1


def ranking_agreement(first: np.ndarray, second: np.ndarray) -> dict[str, np.ndarray]:
    """Return "pearson" and "spearman" (mid-ranks) between rankings along the last axis.

    Of scores (..., m) of the same m networks, whose leading axes broadcast, two arrays (...)
    float64 in [-1, 1]; nan where a ranking holds nan or one number throughout.
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

    Of (..., T, m) scores of m sources for each of T tasks, two arrays (..., T) as from
    `ranking_agreement`. With `leave_out_own`, the source of the task's name is left out; a task
    that is not a source has nothing to leave out.

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
    return {how: np.stack([column[how] for column in columns], axis=-1) for how in CORRELATIONS}


def _correlation(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    return np.clip((standardise(first) * standardise(second)).sum(axis=-1), -1.0, 1.0)
