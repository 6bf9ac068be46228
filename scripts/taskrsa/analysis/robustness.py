"""How robust rankings by small models are: to the images, the model's width, stage and seed.

Supplement S3 (claim C11). Columns of all rows: factor, value, task, draw, reference, spearman,
pearson. Task "mean" with a draw: the mean over tasks in that draw. A task without a draw: the mean
over its draws.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence

import numpy as np

from taskrsa.analysis.ranking import CORRELATIONS, FEWEST, task_agreement
from taskrsa.errors import DataError, RepresentationError
from taskrsa.rsa.rdm import condensed, square_form
from taskrsa.rsa.similarity import similarity_between
from taskrsa.rsa.stacks import RDMStack


def images_rows(
    small: RDMStack,
    bank: RDMStack,
    tasks: Sequence[str],
    sizes: Iterable[int],
    n_subsets: int,
    seed: int,
) -> list[dict]:
    """Return how far a ranking from a few images agrees with that from all, or from others (C11).

    For each size, `n_subsets` random subsets of the images. The ranking from a subset (own task
    left out) is compared with that from all images, which contain the subset, and, while two
    such subsets fit, with that from as many other images: reference "all images" and "disjoint
    images". All images as a subset give 1 by definition; sizes beyond them are left out.

    Parameters
    ----------
    small
        One small model for each of `tasks`.
    bank
        The bank's networks over the same images.
    sizes
        Numbers of images in a subset, each at least 3.

    Returns
    -------
    Rows with factor "images", value (the size), task, draw, reference, spearman, pearson: for
    each draw the mean over tasks, for each task the mean over draws (draw blank).

    Raises
    ------
    DataError
        If there is not one small model for each task, the images differ, or a size is below 3.
    RepresentationError
        If an RDM is the same number throughout within a subset.
    """
    n_images = bank.n_images
    if len(small) != len(tasks) or small.n_images != n_images:
        raise DataError(
            f"{len(small)} RDMs of {small.n_images} images for {len(tasks)} tasks and a bank of "
            f"{n_images} images; give one RDM for each task, over the same images"
        )

    squares = [square_form(rdm) for rdm in (*small.rdms, *bank.rdms)]

    def ranking(images: np.ndarray) -> np.ndarray:
        part = np.array([condensed(square[np.ix_(images, images)]) for square in squares])
        ours, theirs = part[: len(small)], part[len(small) :]
        try:
            return similarity_between(ours, theirs, names=tasks, other_names=bank.models)
        except RepresentationError as error:
            raise RepresentationError(f"{len(images)} of {n_images} images: {error}") from None

    whole = ranking(np.arange(n_images))
    rows = []
    for size in sorted({int(size) for size in sizes}):
        if size < FEWEST:
            raise DataError(f"subsets of {size} images; a ranking needs at least {FEWEST}")
        if size > n_images:
            continue
        rng = np.random.default_rng([seed, size])  # a size's subsets do not depend on the others
        found = {"all images": []}
        if 2 * size <= n_images:
            found["disjoint images"] = []
        for _ in range(n_subsets if size < n_images else 1):  # all images: one subset only
            order = rng.permutation(n_images)
            ours = ranking(np.sort(order[:size]))
            found["all images"].append(task_agreement(ours, whole, tasks, bank.models))
            if "disjoint images" in found:
                others = ranking(np.sort(order[size : 2 * size]))
                found["disjoint images"].append(task_agreement(ours, others, tasks, bank.models))
        for reference, draws in found.items():
            rows += _robustness_rows("images", size, reference, draws, tasks)
    return rows


def models_rows(
    factor: str,
    values: Sequence,
    rankings: np.ndarray,
    bank: np.ndarray,
    tasks: Sequence[str],
    sources: Sequence[str],
    *,
    default: object = None,
) -> list[dict]:
    """Return how far small models of other widths, or other training stages, rank alike (C11).

    The ranking at each value (own task left out) is compared with that of the bank's network of
    the task (reference "bank") and, with a `default`, with that of the small model at that value
    (reference "default small model"; 1 at the value itself).

    Parameters
    ----------
    factor
        "width", "stage", ...: what varies.
    values
        V values of it.
    rankings
        (V, T, m) similarity of the small models to the bank's m networks at each value.
    bank
        (T, m) similarity of the bank's own network of each task to the bank.

    Returns
    -------
    Rows with factor, value, task, draw, reference, spearman, pearson: for each task (draw blank)
    and the mean over tasks (draw 0, the only one).

    Raises
    ------
    DataError
        If shapes and names do not agree, or `default` is not one of the values.
    """
    rankings, bank, values = np.asarray(rankings), np.asarray(bank), list(values)
    _require_rankings(factor, rankings, bank, len(values), tasks, sources)
    references = {"bank": bank}
    if default is not None:
        if default not in values:
            raise DataError(
                f"{factor} {default} of the default small model is not among "
                f"{', '.join(map(str, values))}; add it"
            )
        references["default small model"] = rankings[values.index(default)]
    rows = []
    for value, ranking in zip(values, rankings, strict=True):
        for reference, other in references.items():
            draws = [task_agreement(ranking, other, tasks, sources)]
            rows += _robustness_rows(factor, value, reference, draws, tasks)
    return rows


def seeds_rows(
    rankings: np.ndarray, bank: np.ndarray, tasks: Sequence[str], sources: Sequence[str]
) -> list[dict]:
    """Return how far small models of different seeds rank alike, and each like the bank (C11).

    Parameters
    ----------
    rankings
        (S, T, m) similarity of the small models of S seeds to the bank's m networks.
    bank
        (T, m) similarity of the bank's own network of each task to the bank.

    Returns
    -------
    Rows with factor "seed", value, task, draw, reference, spearman, pearson. Reference "another
    seed": one draw for every pair of seeds, value "0-1", ...; reference "bank": one draw for every
    seed, value "0", .... For each draw each task and the mean over tasks; and for each task
    the mean over draws (value "all", draw blank). With one seed there is no other to compare with.

    Raises
    ------
    DataError
        If shapes and names do not agree.
    """
    rankings, bank = np.asarray(rankings), np.asarray(bank)
    _require_rankings("seed", rankings, bank, len(rankings), tasks, sources)
    compared = {
        "another seed": {
            f"{a}-{b}": task_agreement(rankings[a], rankings[b], tasks, sources)
            for a, b in itertools.combinations(range(len(rankings)), 2)
        },
        "bank": {
            str(s): task_agreement(ranking, bank, tasks, sources)
            for s, ranking in enumerate(rankings)
        },
    }
    rows = []
    for reference, draws in compared.items():
        if not draws:
            continue
        for draw, (value, found) in enumerate(draws.items()):
            for t, task in enumerate(tasks):
                one = {name: found[name][t] for name in CORRELATIONS}
                rows.append(_robustness_row("seed", value, task, draw, reference, one))
            mean = {name: found[name].mean() for name in CORRELATIONS}
            rows.append(_robustness_row("seed", value, "mean", draw, reference, mean))
        rows += _over_draws("seed", "all", reference, list(draws.values()), tasks)
    return rows


def _robustness_rows(
    factor: str, value: object, reference: str, draws: list[dict], tasks: Sequence[str]
) -> list[dict]:
    """Return the mean over tasks of each draw, and the mean over draws of each task."""
    rows = []
    for draw, found in enumerate(draws):
        mean = {name: found[name].mean() for name in CORRELATIONS}
        rows.append(_robustness_row(factor, value, "mean", draw, reference, mean))
    return rows + _over_draws(factor, value, reference, draws, tasks)


def _over_draws(
    factor: str, value: object, reference: str, draws: list[dict], tasks: Sequence[str]
) -> list[dict]:
    mean = {name: np.mean([found[name] for found in draws], axis=0) for name in CORRELATIONS}
    rows = []
    for t, task in enumerate(tasks):
        one = {name: mean[name][t] for name in CORRELATIONS}
        rows.append(_robustness_row(factor, value, task, np.nan, reference, one))
    return rows


def _robustness_row(
    factor: str, value: object, task: str, draw: float, reference: str, found: dict
) -> dict:
    return {
        "factor": factor,
        "value": value,
        "task": task,
        "draw": draw,
        "reference": reference,
        "spearman": float(found["spearman"]),
        "pearson": float(found["pearson"]),
    }


def _require_rankings(
    factor: str,
    rankings: np.ndarray,
    bank: np.ndarray,
    n_values: int,
    tasks: Sequence[str],
    sources: Sequence[str],
) -> None:
    one = (len(tasks), len(sources))
    if rankings.shape != (n_values, *one) or bank.shape != one:
        raise DataError(
            f"robustness to {factor}: rankings of shape {rankings.shape} and {bank.shape} for "
            f"{n_values} values, {len(tasks)} tasks and {len(sources)} networks; give one number "
            f"for each"
        )
