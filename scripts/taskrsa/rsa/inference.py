"""How sure a similarity is: bootstrap over images, randomisation of labels, and noise ceiling.

Resampling images, not pairs, is what makes the intervals valid: the pairs of one image depend on
each other (Nili et al. 2014; Dwivedi & Roig 2019, section 6.4, for the randomisation of condition
labels).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from taskrsa.errors import RepresentationError
from taskrsa.rsa.clustering import require_similarity
from taskrsa.rsa.rdm import mid_ranks, n_images_of, square_form, standardise
from taskrsa.rsa.similarity import RankCorrelation, ranked_rows, require_rdms, scaled_ranks

LEVEL = 0.95  # of intervals

_DIMENSIONS = 4  # in which trainings of one small model differ, as to similarities to a bank
_FEW = 4  # RDMs that are moved themselves when labels are permuted
_TOGETHER = 32  # permutations in one matrix product, and
_MOVED = 16_000_000  # numbers at most that they hold
_TOLERANCE = 1e-6  # two statistics this close are equal: rounding must not decide a p-value
_FEWEST_IMAGES = 3  # different images: two give one dissimilarity, and nothing to rank
_MOST_DRAWN = 46_340  # images of a resample, repeats and all: its square, the ranks, fit in int32
_STRIP = 16_384  # pairs multiplied at a time in single precision; strips are summed in double


@dataclass(frozen=True)
class _Sorted:
    """One RDM prepared for weighted mid-ranks."""

    order: np.ndarray  # (p,) pair at each place of the ascending order
    place: np.ndarray  # (p,) place of each pair
    tied: np.ndarray  # places that share their value with another
    first: np.ndarray  # for each of those, the first place with that value
    last: np.ndarray  # and the last


def bootstrap_similarity(
    rdms: np.ndarray,
    n_resamples: int,
    seed: int,
    *,
    groups: np.ndarray | None = None,
    compare: RankCorrelation = "spearman",
) -> np.ndarray:
    """Return similarities of (m, p) RDMs over images drawn with replacement: (R, m, m).

    They are what `resampled_similarity` gives for the counts of `bootstrap_counts`: the same seed
    gives the same resamples for every layer. nan, too, where a resample has too few different
    images, which happens with very few images only.
    """
    counts = bootstrap_counts(n_images_of(np.shape(rdms)[1]), n_resamples, seed, groups=groups)
    usable = np.count_nonzero(counts, axis=1) >= _FEWEST_IMAGES  # a chance draw is not a mistake
    result = np.full((n_resamples, len(rdms), len(rdms)), np.nan)
    drawn = resampled_similarity(rdms, counts[usable], compare=compare, groups=groups)
    result[usable] = drawn
    return result


def resampled_similarity(
    rdms: np.ndarray,
    counts: np.ndarray,
    *,
    others: np.ndarray | None = None,
    compare: RankCorrelation = "spearman",
    groups: np.ndarray | None = None,
) -> np.ndarray:
    """Return similarities of RDMs over images taken as often as `counts` says.

    Exactly the Spearman correlation (mid-ranks) of the RDMs of each resample, with the pairs of an
    image with itself left out. An image drawn c times and another drawn c' times make c c' equal
    pairs, so each RDM is sorted once and the ranks of a resample are cumulative sums of weights.
    For rho-a such copies of one pair count as it, not as ties: without other ties, it is
    Spearman's here, too.

    Parameters
    ----------
    rdms
        (m, p) condensed RDMs of n images.
    counts
        (R, n) whole numbers: how often each image is in each resample. Rows of 0 and 1 are subsets
        of the images.
    others
        (k, p) RDMs to compare with; by default `rdms` themselves.
    groups
        (n,) names of the groups that `counts` draws whole, where it does. Two images of a group
        drawn c times make c pairs, not c c': those of two copies of a scene are as good as pairs
        of an image with itself, and no two scenes of a larger set would be as alike.

    Returns
    -------
    (R, m, m) or (R, m, k) float64. nan where a resample leaves an RDM without two different
    dissimilarities.

    Raises
    ------
    RepresentationError
        If an RDM holds nan or the same number throughout, the numbers of images do not agree, or a
        resample has fewer than 3 different images or more than 46,340 in all.
    """
    rdms = require_rdms(rdms)
    n_images = n_images_of(rdms.shape[1])
    require_counts(counts, n_images, _FEWEST_IMAGES)
    left = [_sort(row) for row in rdms]
    right = None if others is None else [_sort(row) for row in require_rdms(others)]
    upper = np.triu_indices(n_images, 1)
    together = np.empty(0, dtype=np.intp)
    if groups is not None:
        together = np.flatnonzero(np.equal(*np.asarray(groups)[np.array(upper)]))
    a = np.empty((len(left), len(upper[0])), dtype=np.float32)
    b = a if right is None else np.empty((len(right), len(upper[0])), dtype=np.float32)
    result = np.empty((len(counts), len(a), len(b)))
    for draw, count in enumerate(counts.astype(np.int32)):
        weights = count[upper[0]] * count[upper[1]]
        weights[together] = count[upper[0][together]]
        root = np.sqrt(weights.astype(np.float32))
        _weighted_rank_rows(left, weights, root, out=a)
        if right is not None:
            _weighted_rank_rows(right, weights, root, out=b)
        size = _size_without_ties(weights) if compare == "rho_a" else None
        result[draw] = _correlations(a, b, size)
    return with_unit_diagonal(result) if right is None else result


def with_unit_diagonal(draws: np.ndarray) -> np.ndarray:
    """Put ones on the diagonals of (R, m, m) correlations, where these are not nan."""
    diagonals = np.einsum("rii->ri", draws)  # a view
    diagonals[~np.isnan(diagonals)] = 1.0
    return draws


def require_counts(counts: np.ndarray, n_images: int, fewest: int) -> None:
    """Refuse (R, n) numbers of times that images are taken if they cannot be used."""
    if counts.shape[1] != n_images:
        raise RepresentationError(
            f"the matrices are of {n_images} images, not {counts.shape[1]}; give one count for "
            f"each image"
        )
    present = np.count_nonzero(counts, axis=1)
    for row in np.flatnonzero(present < fewest)[:1]:
        raise RepresentationError(
            f"resample {row} has {present[row]} different images, and a similarity needs at least "
            f"{fewest}; take more images"
        )
    for row in np.flatnonzero(counts.sum(axis=1) > _MOST_DRAWN)[:1]:
        raise RepresentationError(
            f"resample {row} takes {counts[row].sum()} images, repeats and all; take at most "
            f"{_MOST_DRAWN}"
        )


def bootstrap_counts(
    n_images: int,
    n_resamples: int,
    seed: int | Sequence[int],
    *,
    groups: np.ndarray | None = None,
    size: int | None = None,
) -> np.ndarray:
    """Return how often each image is drawn in each resample: (n_resamples, n_images) int64.

    Parameters
    ----------
    groups
        (n_images,) whatever names the scene or clip that an image is of. Images of one group are
        not independent, so whole groups are drawn, as many as there are, with replacement (the
        cluster bootstrap; Davison & Hinkley 1997, section 3.8). By default each image is its own.
    size
        How many images are drawn, by default all (the m out of n bootstrap where fewer); of groups
        the same share is drawn, so that rows have this sum only on average.
    """
    units, of = (n_images, slice(None)) if groups is None else _numbered(groups)
    drawn = units if size is None else max(1, round(size * units / n_images))
    rng = np.random.default_rng(seed)
    return rng.multinomial(drawn, np.full(units, 1 / units), size=n_resamples)[:, of]


def _numbered(groups: np.ndarray) -> tuple[int, np.ndarray]:
    names, of = np.unique(groups, return_inverse=True)
    return len(names), of


def confidence_interval(resamples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the bounds of the 95 % percentile interval over the first axis, leaving nan out."""
    tail = (1 - LEVEL) / 2
    low, high = np.nanquantile(resamples, [tail, 1 - tail], axis=0)
    return low, high


def agreement_interval(values: np.ndarray, limit: float = 1.0) -> tuple[float, float]:
    """Return the bounds of a 95 % interval of how far similarities agree with something else.

    Similarities from a sample of images are noisy, and noise lowers their correlation with anything
    else: resamples lie below the estimate as the estimate lies below the truth, and a percentile
    interval below both. So the resamples are moved up by their own bias, which centres them on the
    estimate, and by up to as much again for the estimate's; the interval holds all of these. Its
    coverage, and that of others, is measured by tests/benchmarks/coverage.py.

    Parameters
    ----------
    values
        (1 + R,) the estimate, then its resamples, some of which may be nan.
    limit
        The largest absolute value that there is.
    """
    low, high = confidence_interval(values[1:])
    estimate = values[0]
    bias = np.nanmedian(values[1:]) - estimate
    # Rounding must not leave the estimate outside.
    ends = (
        np.min([low - bias, low - 2 * bias, estimate]),
        np.max([high - bias, high - 2 * bias, estimate]),
    )
    return tuple(np.clip(ends, -limit, limit))


def with_interval(name: str, values: np.ndarray) -> dict[str, float]:
    """Return a statistic as the columns `name`, `name`_low and `name`_high of a table.

    `values` (1 + R,) are the estimate, then its resamples; the bounds, of a percentile interval,
    are nan where there are none.
    """
    low, high = confidence_interval(values[1:]) if len(values) > 1 else (np.nan, np.nan)
    return {name: float(values[0]), f"{name}_low": float(low), f"{name}_high": float(high)}


def with_agreement(name: str, values: np.ndarray, limit: float = 1.0) -> dict[str, float]:
    """Return what `with_interval` does, with the bounds of `agreement_interval`."""
    ends = agreement_interval(values, limit) if len(values) > 1 else (np.nan, np.nan)
    return {name: float(values[0])} | {
        f"{name}_{end}": float(value) for end, value in zip(("low", "high"), ends, strict=True)
    }


def retrained(draws: np.ndarray, seed: int | Sequence[int]) -> np.ndarray:
    """Return resamples of the mean similarity over trainings, of images and of trainings.

    Two or three seeds say little of how far trainings differ: drawing them with replacement gives
    a handful of values, and the deviation of two is off by chance as often as not. So what the
    seeds at hand differ by is shared by the networks, as the variances of genes are by moderated t
    tests (Smyth 2004): half of the variance of a deviation is along those seen, half is the mean
    over the networks, independent for each; the level that all share varies by what it was seen to
    and that mean; and all are multiples of a t variable. Deviations of trainings have about four
    dimensions (tests/benchmarks/coverage.py), so each seed after the first counts as four degrees
    of freedom. Deviations are those of a mean over as many seeds.

    Parameters
    ----------
    draws
        (R, S, m) similarities of small models of S seeds to m networks, over resamples of images.

    Returns
    -------
    (R, m); with one seed its draws as they are, over images alone.
    """
    n, n_seeds, m = draws.shape
    if n_seeds == 1 or not n:
        return draws.mean(axis=1)
    rng = np.random.default_rng(seed)
    values = np.nanmean(draws, axis=0)
    deviations = values - values.mean(axis=0)
    level = deviations.mean(axis=1, keepdims=True)
    between = deviations - level  # what networks differ in
    free = n_seeds - 1
    spread = np.sqrt((between**2).sum() / free / max(m - 1, 1))
    of_level = np.sqrt((level**2).sum() / free + spread**2)
    noise = rng.normal(size=(n, n_seeds)) @ between / np.sqrt(free)
    noise = np.sqrt(0.5) * (noise + spread * rng.normal(size=(n, m)))
    noise += of_level * rng.normal(size=(n, 1))
    degrees = free * min(_DIMENSIONS, m)
    heavy = np.sqrt(degrees / rng.chisquare(degrees, size=(n, 1)))
    return np.clip(draws.mean(axis=1) + noise * heavy / np.sqrt(n_seeds), -1.0, 1.0)


def seed_means(found: np.ndarray, seed: int) -> np.ndarray:
    """Return means over seeds (1 + R, T, m) of (1 + R, S, T, m): of the estimate, which comes
    first, and `retrained` for each of the T tasks."""
    draws = [retrained(found[1:, :, t], [seed, t]) for t in range(found.shape[2])]
    return np.concatenate([found[:1].mean(axis=1), np.stack(draws, axis=1)])


def permutation_p(
    rdms: np.ndarray, others: np.ndarray | None, n_permutations: int, seed: int
) -> np.ndarray:
    """Return p-values of "the two RDMs are related": randomisation of the condition labels.

    The images of the second RDM are permuted; its ranks do not change. One-sided:
    p = (1 + number of permutations with at least the observed similarity) / (1 + n_permutations).
    It is the same for Spearman's correlation and for rho-a, which differ by a factor.

    Parameters
    ----------
    rdms
        (m, p) condensed RDMs.
    others
        (k, p) RDMs of the same images; None compares `rdms` with themselves.

    Returns
    -------
    (m, k) float64, or (m, m): symmetric.

    Raises
    ------
    RepresentationError
        If an RDM holds nan or the same number throughout.
    """
    a = ranked_rows(rdms)
    b = a if others is None else ranked_rows(others)
    n_images = n_images_of(a.shape[1])
    a = a.astype(np.float32)
    by_pair = np.ascontiguousarray(b.T, dtype=np.float32)  # the k ranks of a pair move together
    n_pairs = len(by_pair)
    observed = _product_of_moved(a, by_pair, np.arange(n_pairs))
    upper = np.triu_indices(n_images, 1)
    upper_flat = np.ravel_multi_index(upper, (n_images, n_images))
    if others is not None and len(a) <= _FEW:
        reached = _reached_by_few(a, by_pair, observed, upper_flat, n_permutations, seed)
        return (1 + reached) / (1 + n_permutations)
    pair_of = np.zeros((n_images, n_images), dtype=np.intp)
    pair_of[upper] = pair_of.T[upper] = np.arange(n_pairs)
    reached = np.zeros(observed.shape, dtype=np.int64)
    rng = np.random.default_rng(seed)
    for _ in range(n_permutations):
        shuffled = rng.permutation(n_images)
        moved = pair_of.take(shuffled, axis=0).take(shuffled, axis=1).take(upper_flat)
        reached += _product_of_moved(a, by_pair, moved) >= observed - _TOLERANCE
    p = (1 + reached) / (1 + n_permutations)
    return np.triu(p) + np.triu(p, 1).T if others is None else p


def _reached_by_few(
    a: np.ndarray,
    by_pair: np.ndarray,
    observed: np.ndarray,
    upper_flat: np.ndarray,
    n_permutations: int,
    seed: int,
) -> np.ndarray:
    """Return how many permutations reach the observed similarity, (m, k), for few rows `a`.

    To permute the images of one side is to permute those of the other the other way round. A few
    RDMs are moved faster than many, and then many permutations share one matrix product.
    """
    squares = np.array([square_form(row) for row in a])
    reached = np.zeros(observed.shape, dtype=np.int64)
    rng = np.random.default_rng(seed)
    together = min(_TOGETHER, max(1, _MOVED // a.size))
    for start in range(0, n_permutations, together):
        rows = min(together, n_permutations - start)
        moved = np.empty((rows, *a.shape), dtype=np.float32)
        for place in range(rows):
            back = np.argsort(rng.permutation(squares.shape[1]))
            for square, row in zip(squares, moved[place], strict=True):
                square.take(back, axis=0).take(back, axis=1).take(upper_flat, out=row)
        found = _product_of_moved(moved.reshape(-1, a.shape[1]), by_pair, None)
        reached += (found.reshape(rows, *observed.shape) >= observed - _TOLERANCE).sum(axis=0)
    return reached


def mantel_p(
    first: np.ndarray,
    second: np.ndarray,
    n_permutations: int,
    seed: int,
    *,
    method: Literal["pearson", "spearman"] = "spearman",
) -> tuple[float, float]:
    """Return the correlation of two similarity matrices off the diagonal, and its p-value (Mantel).

    The tasks of the second (m, m) matrix are permuted, rows and columns together; one-sided, with
    p as in `permutation_p`. Errors are those of `lower_triangles`.
    """
    a, b = lower_triangles(first, second)
    m = len(np.asarray(first))
    lower = np.tril_indices(m, -1)
    if method == "spearman":
        a, b = mid_ranks(a), mid_ranks(b)
    a, b = standardise(a), standardise(b)
    square = np.zeros((m, m))
    square[lower] = square.T[lower] = b
    observed = float(a @ b)
    rng = np.random.default_rng(seed)
    reached = 0
    for _ in range(n_permutations):
        shuffled = rng.permutation(m)
        reached += a @ square[shuffled[lower[0]], shuffled[lower[1]]] >= observed - _TOLERANCE
    return float(np.clip(observed, -1.0, 1.0)), float((1 + reached) / (1 + n_permutations))


def lower_triangles(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the entries below the diagonals of two similarity matrices as two vectors.

    Raises
    ------
    RepresentationError
        If the matrices are not square, symmetric, finite, of one size, with at least 3 tasks, or
        constant off the diagonal.
    """
    first, second = require_similarity(first), require_similarity(second)
    if first.shape != second.shape or len(first) < 3:
        raise RepresentationError(
            f"similarity matrices of {len(first)} and {len(second)} tasks; compare matrices over "
            f"the same tasks, at least 3"
        )
    lower = np.tril_indices(len(first), -1)
    a, b = first[lower], second[lower]
    for name, values in (("first", a), ("second", b)):
        if np.isnan(standardise(values)).any():
            raise RepresentationError(
                f"the {name} similarity matrix is constant off its diagonal, so no correlation is "
                f"defined; check what it was made from"
            )
    return a, b


def noise_ceiling(rdms: np.ndarray, compare: RankCorrelation = "spearman") -> tuple[float, float]:
    """Return the bounds of the best similarity that a model can reach (Nili et al. 2014).

    Of (s, p) condensed RDMs of one thing from s >= 2 seeds or subjects: the mean correlation of
    each with the mean rank RDM of the others (lower bound), and of all (upper bound).
    """
    ranks = mid_ranks(rdms)
    rows = scaled_ranks(ranks, compare)
    total = ranks.sum(axis=0)
    upper = (rows @ scaled_ranks(mid_ranks(total), compare)).mean()
    rest = scaled_ranks(mid_ranks(total[None, :] - ranks), compare)
    lower = np.einsum("sp,sp->s", rows, rest).mean()
    return float(lower), float(upper)


def _sort(rdm: np.ndarray) -> _Sorted:
    order = np.argsort(rdm, kind="stable")
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    values = rdm[order]
    starts = np.flatnonzero(np.r_[True, values[1:] != values[:-1]])
    sizes = np.diff(np.r_[starts, len(values)])
    shared = sizes > 1
    first = np.repeat(starts[shared], sizes[shared])
    last = np.repeat((starts + sizes - 1)[shared], sizes[shared])
    within = np.repeat(np.cumsum(sizes[shared]) - sizes[shared], sizes[shared])
    tied = first + np.arange(len(first)) - within
    return _Sorted(order, place, tied, first, last)


def _weighted_rank_rows(
    prepared: list[_Sorted], weights: np.ndarray, root: np.ndarray, *, out: np.ndarray
) -> None:
    """Write to `out` (m, p) the weighted mid-ranks, less their mean, times the root of the weights.

    The products of such rows are weighted covariances. Rank = weight of all lower pairs + half the
    weight of the equal ones; the constant 1/2 that makes it a rank from 1 cancels. Ranks are
    doubled to stay whole numbers: summing int32 is exact, and eight times as fast as float32.
    """
    total = weights.sum()  # twice the weighted mean of the mid-ranks, ties or not
    doubled = np.empty_like(weights)
    for row, rdm in zip(out, prepared, strict=True):
        sorted_weights = weights.take(rdm.order, mode="clip")
        reached = np.cumsum(sorted_weights, dtype=np.int32)
        np.add(reached, reached, out=doubled)
        doubled -= sorted_weights
        if len(rdm.tied):
            before = reached.take(rdm.first) - sorted_weights.take(rdm.first)
            doubled[rdm.tied] = reached.take(rdm.last) + before
        doubled -= total
        np.multiply(doubled.astype(np.float32).take(rdm.place, mode="clip"), root, out=row)


def _size_without_ties(weights: np.ndarray) -> float:
    """Return the sum of squares of a row of `_weighted_rank_rows` whose RDM has no ties."""
    weights = weights.astype(np.float64)
    return float((weights.sum() ** 3 - (weights**3).sum()) / 3)


def _correlations(a: np.ndarray, b: np.ndarray, size: float | None = None) -> np.ndarray:
    """Return the correlations of rows (m, p) and (k, p) that have weighted mean 0.

    `size` is the square of the norm that rows count as having, by default their own; nan for rows
    that are 0 throughout.
    """
    covariance = _product(a, b)
    norm_a = np.sqrt(np.diag(covariance) if a is b else _squares(a))
    norm_b = norm_a if a is b else np.sqrt(_squares(b))
    if size is not None:
        norm_a, norm_b = (np.where(norm > 0, size**0.5, 0.0) for norm in (norm_a, norm_b))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.clip(covariance / norm_a[:, None] / norm_b[None, :], -1.0, 1.0)


def _product(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    total = np.zeros((len(a), len(b)))
    for start in range(0, a.shape[1], _STRIP):
        strip = slice(start, start + _STRIP)
        total += a[:, strip] @ b[:, strip].T
    return total


def _squares(a: np.ndarray) -> np.ndarray:
    total = np.zeros(len(a))
    for start in range(0, a.shape[1], _STRIP):
        total += np.square(a[:, start : start + _STRIP]).sum(axis=1)
    return total


def _product_of_moved(a: np.ndarray, by_pair: np.ndarray, moved: np.ndarray | None) -> np.ndarray:
    """Return a (m, p) times by_pair (p, k), its rows in the order `moved`, None for as they are."""
    total = np.zeros((len(a), by_pair.shape[1]))
    for start in range(0, len(by_pair), _STRIP):
        strip = slice(start, start + _STRIP)
        rows = by_pair[strip] if moved is None else by_pair.take(moved[strip], axis=0)
        total += a[:, strip] @ rows
    return total
