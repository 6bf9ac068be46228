"""Targets of which the similarities to the networks were made elsewhere.

A file (.npz) holds arrays of similarities (R, m) of a model of the target to m networks, in R draws
of images, and the networks' names as a text array (m,). Rankings have the columns of
`taskrsa.analysis.advice`; without RDMs there are no p-values and no smaller sets of images.
"""

from __future__ import annotations

import os
import zipfile
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase

import numpy as np
import pandas as pd

from taskrsa.analysis.advice import Similarity, Styles, ranking_of
from taskrsa.analysis.outcomes import Reference, correlations, prediction_rows
from taskrsa.analysis.ranking import FEWEST
from taskrsa.analysis.selection import choice_row
from taskrsa.errors import DataError
from taskrsa.paper.published import FOLLOW_UP
from taskrsa.rsa.inference import with_interval
from taskrsa.text import first_few


def read_similarities(
    path: str | os.PathLike, patterns: Sequence[str], networks: Sequence[str]
) -> dict[str, Similarity]:
    """Return the arrays of a file that match patterns, by name, those of the first pattern first.

    Networks keep their order; those that the file lacks are left out, which one line says. Pickled
    objects are never read.

    Raises
    ------
    DataError
        If the file cannot be read or names no networks, an array is missing or has another shape or
        nan, or fewer than three networks are left.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {key: file[key] for key in file.files}
    except (OSError, ValueError, AttributeError, zipfile.BadZipFile) as error:
        raise DataError(f"{path}: cannot be read ({error}); save plain arrays as .npz") from None
    texts = [a for a in arrays.values() if a.dtype.kind == "U" and a.ndim == 1]
    if len(texts) != 1:
        raise DataError(f"{path}: needs one array of text, the names of the networks")
    names = texts[0].tolist()
    kept = [name for name in networks if name in names]
    if lacking := [name for name in networks if name not in names]:
        print(f"{path}: lacks {first_few(lacking)}, left out", flush=True)
    if len(kept) < FEWEST:
        raise DataError(
            f"{path}: has {len(kept)} of the networks of the table ({first_few(names)}); name them "
            f"alike, at least {FEWEST}"
        )
    found = {}
    for pattern in patterns:
        matching = [key for key in arrays if fnmatchcase(key, pattern) and key not in found]
        if not matching and not any(fnmatchcase(key, pattern) for key in found):
            raise DataError(f"{path}: has no array {pattern}; there are {first_few(list(arrays))}")
        for key in matching:
            values = arrays[key]
            if values.dtype.kind == "U":
                continue
            if values.ndim != 2 or values.shape[1] != len(names) or not np.isfinite(values).all():
                raise DataError(
                    f"{path}: {key} has shape {values.shape} or nan; give (draws, {len(names)})"
                )
            draws = values[:, [names.index(name) for name in kept]].astype(np.float64)
            found[key] = Similarity(tuple(kept), draws.mean(axis=0)[None], draws[:, None])
    return found


def given_ranking(
    similarity: Similarity, styles: Styles, published: Sequence[str] = ()
) -> pd.DataFrame:
    """Return the ranking of a bank by given similarities: their means over the draws.

    Columns are those of `taskrsa.analysis.advice`; p and q are blank.
    """
    rs, draws = similarity.values[0], similarity.draws[:, 0]
    untested = {**dict.fromkeys(("rs_sd", "p", "q"), np.nan), "stars": ""}
    return ranking_of(similarity.networks, styles, rs, draws, untested, 1, published)


def published_runs(
    scores: Mapping[str, float], metric: str, chance: float, n_images: int
) -> pd.DataFrame:
    """Return published scores as the table of runs that `taskrsa.analysis.outcomes` takes."""
    same = {"seed": 0, "trained": "whole network", "metric": metric}
    rows = [
        {"model": name, **same, "score": score, "chance_score": chance, "n_val": n_images}
        for name, score in scores.items()
    ]
    return pd.DataFrame(rows)


def given_prediction(
    similarity: Similarity,
    runs: pd.DataFrame,
    permutations: int,
    seed: int,
    reference: Reference | None,
) -> pd.DataFrame:
    """Return `prediction_rows`, with the mean over the draws in place of what their mean gives.

    That is what one draw of images can be expected to give, and what Dwivedi et al. 2020 report;
    the mean of all draws is less noisy and correlates more. Intervals hold 95 % of the draws; p is
    that of the mean.
    """
    table = prediction_rows(similarity, runs, permutations, seed, reference)
    for method, values in _by_draw(similarity, runs).items():
        found = with_interval(method, np.array([values.mean(), *values]))
        table.loc[0, list(found)] = list(found.values())
        table.loc[0, f"{method}_one_seed"] = np.nan
    return table


def selection_row(
    affinities: str, name: str, target: str, similarity: Similarity, runs: pd.DataFrame
) -> dict:
    """Return how well given similarities select for a target, as a row of the selection table.

    Correlations are means over the draws, intervals hold 95 % of these; the choice is that of the
    mean similarities.
    """
    found = _by_draw(similarity, runs)
    row = {}
    for method in ("pearson", "spearman"):
        row |= with_interval(method, np.array([found[method].mean(), *found[method]]))
    scores = runs.set_index("model")["score"]
    known = [name for name in similarity.networks if name in scores]
    keep = [similarity.networks.index(name) for name in known]
    label = f"{name.replace('_', ', ')} (from a file)"
    return choice_row(
        {"affinities": affinities, "method": name, "label": label, "target": target, **row},
        similarity.values[0, keep],
        scores[known].to_numpy(),
        known,
    ) | {"spearman_published": FOLLOW_UP.get((name, affinities), np.nan)}


def _by_draw(similarity: Similarity, runs: pd.DataFrame) -> dict[str, np.ndarray]:
    """Return the correlations (R,) of similarities with scores in each draw, by method."""
    scores = runs.set_index("model")["score"]
    keep = [at for at, name in enumerate(similarity.networks) if name in scores]
    if len(keep) < FEWEST:
        raise DataError(f"similarities: only {len(keep)} of the networks have scores; name them so")
    reached = scores[[similarity.networks[at] for at in keep]].to_numpy()
    return correlations(similarity.draws[:, 0, keep], reached[None])
