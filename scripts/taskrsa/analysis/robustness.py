"""How robust rankings by small models are: to the images, the model's width, stage and seed.

Supplement S3 (claim C11). A ranking of a bank's m networks, the task's own left out, is compared
with another one, the reference. Columns of all rows: factor, value, task, draw, reference,
spearman, pearson. Task "mean" with a draw: the mean over tasks in that draw. A task without a draw:
the mean over its draws.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence

import numpy as np

from taskrsa.analysis.ranking import FEWEST, task_agreement
from taskrsa.analysis.tables import CORRELATIONS
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

    For each size, the value of the factor "images", `n_subsets` random subsets of the images. The
    ranking from a subset by the small model of each task is compared with that from all images,
    which contain the subset, and, while two such subsets fit, with that from as many other images:
    reference "all images" and "disjoint images". All images as a subset give 1 by definition; sizes
    beyond them are left out.

    Raises
    ------
    DataError
        If a size is below 3.
    RepresentationError
        If an RDM is the same number throughout within a subset.
    """
    n_images = bank.n_images
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
    for size in sorted({int(size) for size in sizes if size <= n_images}):
        if size < FEWEST:
            raise DataError(f"subsets of {size} images; a ranking needs at least {FEWEST}")
        rng = np.random.default_rng([seed, size])  # a size's subsets do not depend on the others
        draws = {"all images": [], "disjoint images": []}
        for _ in range(n_subsets if size < n_images else 1):  # all images: one subset only
            order = rng.permutation(n_images)
            ours = ranking(np.sort(order[:size]))
            draws["all images"].append(task_agreement(ours, whole, tasks, bank.models))
            if 2 * size <= n_images:
                others = ranking(np.sort(order[size : 2 * size]))
                draws["disjoint images"].append(task_agreement(ours, others, tasks, bank.models))
        for reference, found in draws.items():
            rows += _means(["images", size, reference], found, tasks)
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

    Parameters
    ----------
    factor, values
        "width", "stage", ...: what varies, and V values of it.
    rankings
        (V, T, m) similarity of the small models to the bank's m networks at each value.
    bank
        (T, m) similarity of the bank's own network of each task to the bank: reference "bank".
    default
        One of the values: the small model at it is the reference "default small model".
    """
    references = {"bank": bank}
    if default is not None:
        references["default small model"] = rankings[list(values).index(default)]
    rows = []
    for value, ranking in zip(values, rankings, strict=True):
        for reference, other in references.items():
            draws = [task_agreement(ranking, other, tasks, sources)]
            rows += _means([factor, value, reference], draws, tasks)
    return rows


def seeds_rows(
    rankings: np.ndarray, bank: np.ndarray, tasks: Sequence[str], sources: Sequence[str]
) -> list[dict]:
    """Return how far small models of S seeds rank alike, and each like the bank (C11).

    `rankings` (S, T, m) and `bank` are as for `models_rows`. Reference "another seed": one draw for
    every pair of seeds, value "0-1" and so on; reference "bank": one draw for every seed, value
    "0". For each draw each task and the mean over tasks; and for each task the mean over draws
    (value "all"). With one seed there is no other to compare with.
    """
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
        for draw, (value, found) in enumerate(draws.items()):
            rows += _by_task(["seed", value, reference], draw, found, tasks)
            rows.append(_mean_of_draw(["seed", value, reference], draw, found))
        if draws:
            rows += _over_draws(["seed", "all", reference], list(draws.values()), tasks)
    return rows


def _means(names: list, draws: list[dict], tasks: Sequence[str]) -> list[dict]:
    """Return the mean over tasks of each draw, and the mean over draws of each task."""
    rows = [_mean_of_draw(names, draw, found) for draw, found in enumerate(draws)]
    return rows + _over_draws(names, draws, tasks) if draws else []


def _mean_of_draw(names: list, draw: int, found: dict) -> dict:
    return _row(names, "mean", draw, {how: found[how].mean() for how in CORRELATIONS})


def _over_draws(names: list, draws: list[dict], tasks: Sequence[str]) -> list[dict]:
    mean = {how: np.mean([found[how] for found in draws], axis=0) for how in CORRELATIONS}
    return _by_task(names, np.nan, mean, tasks)


def _by_task(names: list, draw: float, found: dict, tasks: Sequence[str]) -> list[dict]:
    return [
        _row(names, task, draw, {how: found[how][t] for how in CORRELATIONS})
        for t, task in enumerate(tasks)
    ]


def _row(names: list, task: str, draw: float, found: dict) -> dict:
    factor, value, reference = names
    row = {"factor": factor, "value": value, "task": task, "draw": draw, "reference": reference}
    return row | {how: float(found[how]) for how in ("spearman", "pearson")}
