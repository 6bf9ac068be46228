"""Taskonomy's published transfer affinities and the similarity of tasks they imply.

Zamir et al. 2018, section 3.3-3.4; Dwivedi & Roig 2019, sections 4.3 and 6.1 (Fig. 6).
"""

from __future__ import annotations

import os
import pickle
import struct
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from taskrsa.analysis.tables import CORRELATIONS
from taskrsa.errors import DataError, RepresentationError
from taskrsa.io.files import sha256_of
from taskrsa.paper.published import values_of
from taskrsa.rsa.inference import bootstrap_similarity, lower_triangles, mantel_p, with_agreement
from taskrsa.rsa.rdm import mid_ranks, standardise
from taskrsa.rsa.similarity import similarity_matrix
from taskrsa.rsa.stacks import RDMStack
from taskrsa.tasks.dictionary import TASKS

if TYPE_CHECKING:
    import pandas as pd

Normalise = Literal["zscore", "log", "rank", "sum", "none"]  # the default first


def read_affinity_pickle(path: str | os.PathLike, expected_sha256: str) -> dict[str, float]:
    """Return the published affinities: one number for each "source__target" (or longer) key.

    The file is a pickle, which could run any code: so its checksum is compared first, and then
    only strings, numbers and float64 scalars are let through.

    Raises
    ------
    DataError
        If the file is missing, has another SHA-256, or holds anything else.
    """
    path = os.fspath(path)
    try:
        found = sha256_of(path)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); download it again") from None
    if found != expected_sha256.strip().lower():
        raise DataError(
            f"{path}: expected SHA-256 {expected_sha256}, found {found}; download it again"
        )
    with open(path, "rb") as stream:
        try:
            table = _FloatUnpickler(stream, encoding="latin1").load()
        except DataError as error:
            raise DataError(f"{path}: {error}") from None
        except Exception as error:  # a damaged pickle can raise almost anything
            raise DataError(
                f"{path}: not a pickle of numbers ({type(error).__name__}); download it again"
            ) from None
    if not isinstance(table, dict) or not all(
        isinstance(key, str) and type(value) in (float, int) for key, value in table.items()
    ):
        raise DataError(f"{path}: not a table of numbers by name; use the published file")
    return {key: float(value) for key, value in table.items()}


def affinity_matrix(affinities: Mapping[str, float], tasks: Sequence[str]) -> pd.DataFrame:
    """Return the affinities between tasks: rows sources, columns targets, higher is better.

    The diagonal holds the keys `t__t`: transfer from a task's own encoder to itself. The keys
    `self__t`, a network trained for t from scratch, are left out, as are transfers from
    several sources. `tasks` are ids of `taskrsa.tasks.dictionary.TASKS`.

    Raises
    ------
    DataError
        If a task has no published affinities, or a key is missing or not a finite number.
    """
    import pandas as pd

    names = {}
    for task in tasks:
        row = TASKS.get(task)
        if row is None or row.affinity_name is None:
            known = ", ".join(t.id for t in TASKS.values() if t.affinity_name)
            raise DataError(f"task {task} has no published affinities; choose from {known}")
        names[task] = row.affinity_name
    values = np.empty((len(names), len(names)))
    for i, source in enumerate(names.values()):
        for j, target in enumerate(names.values()):
            key = f"{source}__{target}"
            value = affinities.get(key, np.nan)
            if not np.isfinite(value):
                what = "is not a finite number" if key in affinities else "is missing"
                raise DataError(f"affinity {key} {what}; use the published affinities")
            values[i, j] = value
    index = pd.Index(list(names), name="source")
    return pd.DataFrame(values, index=index, columns=pd.Index(list(names), name="target"))


def transfer_similarity(
    affinity: np.ndarray | pd.DataFrame, *, normalise: Normalise = "zscore"
) -> np.ndarray:
    """Return how alike tasks are as sources of transfer: Taskonomy's similarity of tasks.

    Zamir et al. cluster tasks by their transfer-out patterns: a task's affinities to all targets.
    The similarity of two tasks is the Pearson correlation, over targets, of their normalised
    patterns. Left out are the two tasks' own columns: they hold transfer from a task to itself, the
    largest entry of most columns. Column means and deviations are off the diagonal, too.

    Parameters
    ----------
    affinity
        (m, m) matrix, rows sources, columns targets, higher is better; m >= 5.
    normalise
        What is done to each target's column first. Columns sum to anything from 0.06 to 0.42 in
        the published table, so as they stand ("none") a correlation over targets mostly says which
        targets are easy. "zscore" gives each target mean 0 and deviation 1: a pattern then says to
        which targets a source transfers better than other sources do. "log": the same after the
        logarithm, because a 2D target's column has one source far above the rest; it needs positive
        affinities. "rank": ranks within the column. "sum": shares of the column.

    Returns
    -------
    (m, m) float64, symmetric, with ones on the diagonal.

    Raises
    ------
    RepresentationError
        If the matrix is not square with m >= 5 and finite, or a column or a pattern is constant.

    The paper does not say which normalisation its numbers rest on. The default was settled after
    the alternatives had been tried, so its good figures are partly the luck of that choice. On the
    published 17 tasks, mean similarity within and between the four task types, and the adjusted
    Rand index of average linkage cut at 4: zscore 0.60/-0.31 (1.00), log 0.73/-0.36 (1.00),
    rank 0.56/-0.30 (0.38), sum 0.65/-0.07 (0.72), none 0.75/0.34 (0.79).
    """
    values = np.array(affinity, dtype=np.float64)
    m = len(values)
    if values.shape != (m, m) or m < 5 or not np.isfinite(values).all():
        raise RepresentationError(
            f"an affinity matrix of shape {values.shape}; it must be square and finite, with at "
            f"least 5 tasks"
        )
    names = list(getattr(affinity, "index", range(m)))
    use = ~np.eye(m, dtype=bool)
    for j in range(m):
        values[:, j] = _normalised(values[:, j], use[:, j], normalise, names[j])
    similarity = np.eye(m)
    for i in range(m):
        for j in range(i):
            both = use[i] & use[j]
            a, b = standardise(values[i, both]), standardise(values[j, both])
            similarity[i, j] = similarity[j, i] = a @ b
            if np.isnan(similarity[i, j]):
                raise RepresentationError(
                    f"the similarity of {names[i]} and {names[j]} is undefined: one of them "
                    f"transfers to every target alike; leave it out"
                )
    return np.clip(similarity, -1.0, 1.0)


def compare_similarity(first: np.ndarray, second: np.ndarray) -> dict[str, float]:
    """Return "pearson" and "spearman" between two similarity matrices, below the diagonal (Fig. 6).

    Errors are those of `lower_triangles`.
    """
    a, b = lower_triangles(first, second)
    return {
        "pearson": float(standardise(a) @ standardise(b)),
        "spearman": float(standardise(mid_ranks(a)) @ standardise(mid_ranks(b))),
    }


def agreement_rows(
    stacked: RDMStack, affinity: pd.DataFrame, n_resamples: int, n_permutations: int, seed: int
) -> list[dict]:
    """Compare the bank's similarity matrix with that of Taskonomy's transfers (Fig. 6, claim C4).

    The interval is that of a bootstrap over images, p that of a permutation of the tasks. The
    first row uses the default way to make similarities of affinities; since the paper does not
    name one, a row follows for each other normalisation that these affinities admit.
    """
    names = list(stacked.models)
    ours = similarity_matrix(stacked.rdms, names=names)
    drawn = bootstrap_similarity(stacked.rdms, n_resamples, seed, groups=stacked.groups)
    rows = []
    off_diagonal = affinity.to_numpy()[~np.eye(len(affinity), dtype=bool)]
    for normalise in get_args(Normalise):
        if normalise == "log" and off_diagonal.min() <= 0:
            continue  # a source worse than the constant predictor has no logarithm
        theirs = transfer_similarity(affinity.loc[names, names], normalise=normalise)
        resampled = [compare_similarity(one, theirs) for one in drawn]
        row = {
            "similarity": "ours" if not rows else f"ours ({normalise})",
            "normalisation": normalise,
            "n_tasks": len(names),
        }
        for method in CORRELATIONS:
            value, p = mantel_p(ours, theirs, n_permutations, seed, method=method)
            values = np.array([value, *(found[method] for found in resampled)])
            row |= with_agreement(method, values) | {f"{method}_p": p}
        rows.append(row)
    return rows


def published_agreement() -> dict:
    """Return the row of the published agreement, for the public bank (section 6.1)."""
    names = dict.fromkeys(("affinities", "similarity"), "published")
    return names | values_of("C4", *CORRELATIONS, n="n_tasks")


def _normalised(column: np.ndarray, use: np.ndarray, how: Normalise, name: object) -> np.ndarray:
    """Return one target's column normalised over the sources in `use`."""
    if np.isnan(standardise(column[use])).any():
        raise RepresentationError(f"every source transfers to {name} alike; leave the target out")
    if how == "log":
        if column[use].min() <= 0:
            raise RepresentationError(
                f"an affinity to {name} is not positive, so it has no logarithm; choose another "
                f"normalisation"
            )
        column = np.log(column, where=column > 0, out=np.zeros_like(column))
    if how == "rank":
        ranks = np.zeros_like(column)
        ranks[use] = mid_ranks(column[use])
        return ranks - ranks[use].mean()
    if how == "sum":
        return column / column[use].sum()
    if how == "none":
        return column
    return (column - column[use].mean()) / column[use].std()


class _Float64:
    """Stands for NumPy's dtype in a pickle; knows the 8-byte float only."""

    def __init__(self, code: str, *_: Any) -> None:
        if code != "f8":
            raise DataError(f"holds numbers of type {code!r}, not float64; use the published file")
        self.order = "<"

    def __setstate__(self, state: tuple) -> None:
        self.order = {"<": "<", ">": ">"}[state[1]]


def _scalar(dtype: _Float64, raw: bytes | str) -> float:
    """Stand for NumPy's scalar constructor in a pickle (Python 2 wrote the bytes as a str)."""
    raw = raw.encode("latin1") if isinstance(raw, str) else raw
    return struct.unpack(f"{dtype.order}d", raw)[0]


class _FloatUnpickler(pickle.Unpickler):
    """Builds strings, numbers, containers and float64 scalars; refuses every other name."""

    _allowed = {  # noqa: RUF012
        ("numpy", "dtype"): _Float64,
        ("numpy.core.multiarray", "scalar"): _scalar,
        ("numpy._core.multiarray", "scalar"): _scalar,
    }

    def find_class(self, module: str, name: str) -> Any:
        try:
            return self._allowed[module, name]
        except KeyError:
            raise DataError(
                f"the pickle asks for {module}.{name}, which a table of numbers does not need; "
                f"do not use this file"
            ) from None
