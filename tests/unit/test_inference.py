import itertools

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import squareform
from scipy.stats import pearsonr, rankdata, spearmanr
from taskrsa.analysis.ranking import ranking_agreement
from taskrsa.errors import RepresentationError
from taskrsa.rsa.inference import (
    agreement_interval,
    bootstrap_counts,
    bootstrap_similarity,
    confidence_interval,
    mantel_p,
    noise_ceiling,
    permutation_p,
    resampled_similarity,
    retrained,
    seed_means,
)
from taskrsa.rsa.similarity import similarity_between, similarity_matrix


def some_rdms(m, n, seed, levels=None):
    """Return RDMs with something in common; with `levels`, rounded so that many pairs tie."""
    rng = np.random.default_rng(seed)
    p = n * (n - 1) // 2
    rdms = (rng.uniform(0, 2, (m, p)) + rng.uniform(0, 2, p)).astype(np.float32)
    return np.round(rdms * levels) if levels else rdms


def naive_resample(rdm, drawn):
    """Return the RDM of the images drawn, repeats and all, less pairs of an image with itself."""
    square = squareform(rdm)
    return np.array([square[i, j] for i, j in itertools.combinations(drawn, 2) if i != j])


@pytest.mark.parametrize("levels", [None, 4, 1])
@pytest.mark.parametrize("n", [7, 25])
def test_bootstrap_equals_its_definition(n, levels):
    rdms = some_rdms(4, n, 11 * n, levels)
    found = bootstrap_similarity(rdms, 12, seed=3)
    for resample, count in zip(found, bootstrap_counts(n, 12, seed=3), strict=True):
        drawn = np.repeat(np.arange(n), count)
        expected = spearmanr(np.array([naive_resample(row, drawn) for row in rdms]).T).statistic
        np.testing.assert_allclose(resample, expected, atol=1e-6)


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 2**32 - 1), levels=st.sampled_from([None, 1, 3]))
def test_bootstrap_between_equals_its_definition(seed, levels):
    n = 10
    rdms, others = some_rdms(2, n, seed, levels), some_rdms(3, n, seed + 1)
    counts = bootstrap_counts(n, 2, seed)
    assume((np.count_nonzero(counts, axis=1) >= 3).all())
    found = resampled_similarity(rdms, counts, others=others)
    assert found.shape == (2, 2, 3)
    for resample, count in zip(found, counts, strict=True):
        drawn = np.repeat(np.arange(n), count)
        for a, b in itertools.product(range(2), range(3)):
            expected = spearmanr(naive_resample(rdms[a], drawn), naive_resample(others[b], drawn))
            assert resample[a, b] == pytest.approx(expected.statistic, abs=1e-6)


def naive_rho_a(rdms, count):
    """rho-a of two RDMs over images taken `count` times, copies of a pair in any order."""
    drawn = np.repeat(np.arange(len(count)), count)
    pairs = [(i, j) for i, j in itertools.combinations(drawn, 2) if i != j]
    ranks = [rankdata(naive_resample(row, drawn)) for row in rdms]
    copies = np.array([pairs.count(pair) for pair in set(pairs)])
    size = (len(pairs) ** 3 - (copies**3).sum()) / 12
    first, second = (row - row.mean() for row in ranks)
    return first @ second / size


@pytest.mark.parametrize("levels", [None, 4, 1])
def test_bootstrap_by_rho_a_equals_its_definition(levels):
    rdms, n = some_rdms(3, 12, 5, levels), 12
    counts = bootstrap_counts(n, 8, seed=3)
    found = bootstrap_similarity(rdms, 8, seed=3, compare="rho_a")
    between = resampled_similarity(rdms[:1], counts, others=rdms[1:], compare="rho_a")
    np.testing.assert_allclose(between[:, 0], found[:, 0, 1:], atol=1e-6)
    for resample, count in zip(found, counts, strict=True):
        np.testing.assert_array_equal(np.diag(resample), 1)
        for a, b in itertools.combinations(range(3), 2):
            assert resample[a, b] == pytest.approx(naive_rho_a(rdms[[a, b]], count), abs=1e-6)
    if levels is None:
        np.testing.assert_allclose(found, bootstrap_similarity(rdms, 8, seed=3), atol=1e-6)


def test_rho_a_of_all_images_once_is_that_of_the_rdms():
    rdms = some_rdms(3, 12, 5, 1)
    found = resampled_similarity(rdms, np.ones((1, 12), dtype=int), compare="rho_a")[0]
    np.testing.assert_allclose(found, similarity_matrix(rdms, compare="rho_a"), atol=1e-6)


def test_rho_a_of_a_resample_of_one_dissimilarity_is_nan():
    rdm = np.array([[1.0, 1, 2, 1, 2, 2]])  # images 0 to 3; 0 to 2 make 1, 1, 1
    counts = np.array([[1, 1, 1, 0]])
    assert np.isnan(resampled_similarity(rdm, counts, others=rdm + 1, compare="rho_a")).all()


def test_bootstrap_of_paper_size_equals_its_definition():
    rdms = some_rdms(2, 500, 5, levels=1000)
    found = bootstrap_similarity(rdms, 1, seed=8)[0, 0, 1]
    drawn = np.repeat(np.arange(500), bootstrap_counts(500, 1, seed=8)[0])
    i, j = np.triu_indices(500, 1)
    i, j = drawn[i], drawn[j]
    a, b = (squareform(row)[i, j][i != j] for row in rdms)
    assert found == pytest.approx(spearmanr(a, b).statistic, abs=1e-6)


@settings(deadline=None, max_examples=25)
@given(
    counts=st.lists(st.integers(0, 4), min_size=6, max_size=6),
    seed=st.integers(0, 2**32 - 1),
    levels=st.sampled_from([None, 2]),
)
def test_resampling_by_any_counts_equals_its_definition(counts, seed, levels):
    counts = np.array([counts])
    assume(np.count_nonzero(counts) >= 3)
    rdms = some_rdms(2, 6, seed, levels)
    assume(all(len(set(naive_resample(row, np.flatnonzero(counts)))) > 1 for row in rdms))
    drawn = np.repeat(np.arange(6), counts[0])
    expected = spearmanr(*(naive_resample(row, drawn) for row in rdms)).statistic
    found = resampled_similarity(rdms, counts)[0]
    np.testing.assert_allclose(found, [[1, expected], [expected, 1]], atol=1e-6)


def test_counts_of_0_and_1_are_subsets_of_the_images():
    rdms, others = some_rdms(3, 30, 1, levels=5), some_rdms(2, 30, 2)
    chosen = np.random.default_rng(0).uniform(size=(4, 30)) < 0.4
    found = resampled_similarity(rdms, chosen, others=others)
    assert found.shape == (4, 3, 2)
    for subset, similarity in zip(chosen, found, strict=True):
        a, b = (
            np.array([squareform(squareform(row)[np.ix_(subset, subset)]) for row in rows])
            for rows in (rdms, others)
        )
        np.testing.assert_allclose(similarity, similarity_between(a, b), atol=1e-6)


def test_bootstrap_resamples_by_its_counts():
    rdms = some_rdms(3, 12, 6)
    expected = resampled_similarity(rdms, bootstrap_counts(12, 5, seed=4))
    np.testing.assert_array_equal(bootstrap_similarity(rdms, 5, seed=4), expected)


def test_counts_that_cannot_be_used():
    rdms = some_rdms(2, 6, 0)
    with pytest.raises(RepresentationError, match="resample 1 has 2 different images.* least 3"):
        resampled_similarity(rdms, np.array([[1, 1, 1, 0, 0, 0], [4, 2, 0, 0, 0, 0]]))
    with pytest.raises(RepresentationError, match="of 6 images, not 5"):
        resampled_similarity(rdms, np.ones((1, 5), dtype=int))
    with pytest.raises(RepresentationError, match="resample 0 takes 60000 images"):
        resampled_similarity(rdms, np.full((1, 6), 10_000))


def test_counts_draw_as_many_images_as_there_are():
    counts = bootstrap_counts(40, 500, seed=1)
    np.testing.assert_array_equal(counts.sum(axis=1), 40)
    assert (counts == 0).mean() == pytest.approx((1 - 1 / 40) ** 40, abs=0.01)
    np.testing.assert_array_equal(counts, bootstrap_counts(40, 500, seed=1))
    assert (counts != bootstrap_counts(40, 500, seed=2)).any()


def test_bootstrap_interval_covers_the_estimate():
    rdms = some_rdms(3, 60, 2)
    low, high = confidence_interval(bootstrap_similarity(rdms, 300, seed=0))
    estimate = similarity_matrix(rdms)
    off = ~np.eye(3, dtype=bool)
    assert ((low < estimate) & (estimate < high))[off].all()
    np.testing.assert_array_equal(low[~off], 1)
    np.testing.assert_allclose(low, low.T, atol=1e-7)


def test_resample_of_one_image_is_nan():
    found = bootstrap_similarity(np.array([[0.1, 0.2, 0.3], [0.3, 0.1, 0.2]]), 400, seed=0)
    counts = bootstrap_counts(3, 400, seed=0)
    undefined = (counts > 0).sum(axis=1) < 3  # one or two different images: no two distances
    assert undefined.any()
    np.testing.assert_array_equal(np.isnan(found[:, 0, 1]), undefined)
    np.testing.assert_array_equal(np.isnan(found[:, 0, 0]), undefined)


def test_confidence_interval_by_hand():
    low, high = confidence_interval(np.arange(201.0)[:, None])
    np.testing.assert_allclose([low[0], high[0]], [5, 195])


@pytest.mark.parametrize("m", [1, 2, 6])
def test_permutation_p_equals_its_definition(m):
    n = 9
    rdms, others = some_rdms(m, n, 1, levels=3), some_rdms(3, n, 4)
    rng = np.random.default_rng(6)
    observed = similarity_between(rdms, others)
    reached = np.zeros((m, 3))
    for _ in range(50):
        shuffled = rng.permutation(n)
        moved = [squareform(squareform(row)[np.ix_(shuffled, shuffled)]) for row in others]
        reached += similarity_between(rdms, np.array(moved)) >= observed - 1e-6
    np.testing.assert_allclose(permutation_p(rdms, others, 50, seed=6), (1 + reached) / 51)


def test_permutation_p_tells_related_from_unrelated():
    rng = np.random.default_rng(0)
    p = 435
    base = rng.uniform(size=p)
    rdms = np.array([base, base + 0.5 * rng.uniform(size=p), rng.uniform(size=p)])
    p_values = permutation_p(rdms, None, 199, seed=1)
    np.testing.assert_array_equal(p_values, p_values.T)
    assert p_values[0, 1] == 1 / 200
    assert p_values[0, 2] > 0.05
    assert p_values[0, 0] == 1 / 200


def test_permutation_p_is_uniform_without_a_relation():
    rng = np.random.default_rng(4)
    rdms, others = rng.uniform(size=(30, 66)), rng.uniform(size=(30, 66))
    p_values = permutation_p(rdms, others, 99, seed=1).ravel()
    assert p_values.mean() == pytest.approx(0.5, abs=0.05)
    assert (p_values <= 0.05).mean() == pytest.approx(0.05, abs=0.03)


def test_permutations_that_tie_with_the_observed_count():
    # Three images: 6 relabellings, each similarity reached by the identity at least.
    rdm = np.array([[0.1, 0.2, 0.3]])
    p = permutation_p(rdm, rdm, 3000, seed=0)[0, 0]
    assert p == pytest.approx(1 / 6, abs=0.03)


@pytest.mark.parametrize(("method", "reference"), [("pearson", pearsonr), ("spearman", spearmanr)])
def test_mantel(method, reference):
    rng = np.random.default_rng(2)
    m = 8
    first = squareform(rng.uniform(size=28))
    second = first + squareform(rng.uniform(0, 0.3, size=28))
    lower = np.tril_indices(m, -1)
    statistic, p = mantel_p(first, second, 499, seed=0, method=method)
    assert statistic == pytest.approx(reference(first[lower], second[lower]).statistic)
    assert p == 1 / 500
    other = squareform(rng.uniform(size=28))
    statistic, p = mantel_p(first, other, 499, seed=0, method=method)
    shuffles = np.random.default_rng(0)
    reached = 0
    for _ in range(499):
        order = shuffles.permutation(m)
        moved = other[np.ix_(order, order)][lower]
        reached += reference(first[lower], moved).statistic >= statistic - 1e-9
    assert p == pytest.approx((1 + reached) / 500)


def test_mantel_refuses():
    with pytest.raises(RepresentationError, match="3 and 4 tasks"):
        mantel_p(np.eye(3), np.eye(4), 10, 0)
    with pytest.raises(RepresentationError, match="constant off its diagonal"):
        mantel_p(np.eye(4), np.eye(4), 10, 0)


def test_noise_ceiling_by_hand():
    # Ranks 1 2 3 and 1 3 2; mean 1 2.5 2.5: r = 1.5 / sqrt(2 * 1.5). Left out: r = 1/2.
    lower, upper = noise_ceiling(np.array([[0.1, 0.2, 0.3], [0.0, 0.9, 0.5]]))
    assert upper == pytest.approx(1.5 / 3**0.5)
    assert lower == pytest.approx(0.5)


def test_noise_ceiling_equals_its_definition():
    rdms = some_rdms(4, 12, 3)
    ranks = rankdata(rdms, axis=1)
    upper = np.mean([spearmanr(row, ranks.mean(axis=0)).statistic for row in rdms])
    lower = np.mean(
        [spearmanr(rdms[i], np.delete(ranks, i, 0).mean(axis=0)).statistic for i in range(4)]
    )
    np.testing.assert_allclose(noise_ceiling(rdms), (lower, upper))
    assert lower < upper


def test_noise_ceiling_by_rho_a():
    # Ranks 1 2 3 and 1 3 2, mean 1 2.5 2.5: 1.5 / 2, where (27 - 3) / 12 = 2. Left out: 1/2.
    lower, upper = noise_ceiling(np.array([[0.1, 0.2, 0.3], [0.0, 0.9, 0.5]]), "rho_a")
    assert (lower, upper) == (pytest.approx(0.5), pytest.approx(0.75))


@pytest.mark.parametrize("levels", [None, 2])
@pytest.mark.parametrize(("compare", "method"), [("spearman", "spearman"), ("rho_a", "rho-a")])
def test_noise_ceiling_equals_rsatoolbox(compare, method, levels):
    inference = pytest.importorskip("rsatoolbox.inference")
    import rsatoolbox

    rdms = some_rdms(4, 12, 3, levels)
    expected = inference.boot_noise_ceiling(rsatoolbox.rdm.RDMs(rdms), method=method)
    np.testing.assert_allclose(noise_ceiling(rdms, compare), np.ravel(expected), atol=1e-9)


def test_rdms_that_cannot_be_ranked():
    unknown = np.full((1, 66), np.nan)
    with pytest.raises(RepresentationError, match="RDM 0: its RDM holds nan"):
        permutation_p(unknown, None, 2, 0)
    with pytest.raises(RepresentationError, match="RDM 0: its RDM holds nan"):
        bootstrap_similarity(unknown, 2, 0)


# --- groups of images ---


def test_images_of_one_group_are_drawn_together():
    groups = np.array([2, 0, 0, 1, 2, 2, 1, 3])
    counts = bootstrap_counts(8, 400, seed=1, groups=groups)
    for group in range(4):
        of_group = counts[:, groups == group]
        assert (of_group == of_group[:, :1]).all()
    drawn = counts[:, [1, 3, 0, 7]]  # one image of each group
    assert (drawn.sum(axis=1) == 4).all()
    assert drawn.var() == pytest.approx(3 / 4, rel=0.1)


def test_images_that_are_groups_of_their_own_are_drawn_as_without_groups():
    plain = bootstrap_counts(30, 9, seed=2)
    np.testing.assert_array_equal(bootstrap_counts(30, 9, seed=2, groups=np.arange(30)), plain)
    fewer = bootstrap_counts(30, 9, seed=2, groups=np.repeat(np.arange(10), 3), size=15)
    assert (fewer.sum(axis=1) == 15).all()
    assert (bootstrap_counts(30, 9, seed=2, size=15).sum(axis=1) == 15).all()


@pytest.mark.parametrize(("n_groups", "least"), [(None, 0.2), (25, 0.85)])
def test_drawing_groups_restores_coverage(n_groups, least):
    # A mean of 25 groups of four equal numbers varies twice as much as one of 100.
    rng, held = np.random.default_rng(0), []
    for at in range(200):
        values = np.repeat(rng.normal(size=25), 4)
        groups = None if n_groups is None else np.repeat(np.arange(25), 4)
        counts = bootstrap_counts(100, 200, at, groups=groups)
        low, high = confidence_interval(counts @ values / counts.sum(axis=1))
        held.append(low <= 0 <= high)
    assert np.mean(held) > least
    assert (np.mean(held) > 0.85) == (n_groups is not None)


# --- intervals of agreements ---


def test_interval_of_an_agreement_by_hand():
    draws = np.linspace(0.4, 0.6, 201)  # the median .1 below the estimate
    low, high = agreement_interval(np.r_[0.6, draws])
    assert (low, high) == pytest.approx((0.405 + 0.1, 0.595 + 0.2))
    assert agreement_interval(np.r_[0.95, draws + 0.2])[1] == 1
    assert agreement_interval(np.r_[0.95, draws + 0.2], limit=2)[1] > 1
    unbiased = agreement_interval(np.r_[0.5, draws])
    assert unbiased == pytest.approx(tuple(np.quantile(draws, [0.025, 0.975])))


def test_noise_that_lowers_a_correlation_leaves_the_truth_inside():
    # Similarities of 15 networks are seen with noise; the truth is their correlation without.
    rng, held, plain = np.random.default_rng(0), [], []
    for _ in range(150):
        truth = rng.normal(size=15)
        scores = truth + 0.4 * rng.normal(size=15)
        seen = truth + 0.4 * rng.normal(size=15)
        drawn = seen + 0.4 * rng.normal(size=(200, 15))
        values = ranking_agreement(np.vstack([seen, drawn]), scores)["pearson"]
        true = np.corrcoef(truth, scores)[0, 1]
        for found, (low, high) in (
            (held, agreement_interval(values)),
            (plain, confidence_interval(values[1:])),
        ):
            found.append(low <= true <= high)
    assert np.mean(held) > 0.9
    assert np.mean(plain) < np.mean(held) - 0.05


# --- trainings ---


def test_trainings_are_drawn_around_the_mean_over_seeds():
    rng = np.random.default_rng(0)
    images = 0.01 * rng.normal(size=(4000, 1, 6))
    seeds = 0.3 + np.array([[0.02], [-0.02]]) + 0.05 * rng.normal(size=(2, 6))
    drawn = retrained(images + seeds, 1)
    np.testing.assert_allclose(np.median(drawn, axis=0), seeds.mean(axis=0), atol=0.01)
    deviation = np.abs(seeds[0] - seeds[1]) / 2  # of the mean of two
    spread = np.diff(np.quantile(drawn, [0.16, 0.84], axis=0), axis=0)[0] / 2
    assert (spread > 0.5 * np.mean(deviation)).all()  # also where two seeds happen to agree
    assert np.abs(drawn).max() <= 1
    np.testing.assert_array_equal(drawn, retrained(images + seeds, 1))
    assert (drawn != retrained(images + seeds, 2)).any()


def test_one_training_varies_with_its_images_alone():
    draws = np.random.default_rng(0).normal(size=(9, 1, 4)) / 9
    np.testing.assert_array_equal(retrained(draws, 3), draws[:, 0])


def test_intervals_hold_what_more_trainings_have():
    rng, held = np.random.default_rng(4), []
    for at in range(200):
        truth = rng.uniform(0.2, 0.6, size=8)
        # Trainings differ in three directions and in their level.
        directions = rng.normal(size=(3, 8))
        seeds = 0.02 * (rng.normal(size=(2, 3)) @ directions + rng.normal(size=(2, 1)))
        drawn = retrained(truth + seeds + 0.005 * rng.normal(size=(400, 1, 8)), at)
        low, high = confidence_interval(drawn)
        held.append(((low <= truth) & (truth <= high)).mean())
    assert np.mean(held) > 0.92


def test_means_over_seeds_begin_with_the_estimate():
    found = np.random.default_rng(0).uniform(-0.5, 0.5, size=(11, 2, 3, 5))
    means = seed_means(found, 7)
    assert means.shape == (11, 3, 5)
    np.testing.assert_allclose(means[0], found[0].mean(axis=0))
    np.testing.assert_array_equal(means[1:, 1], retrained(found[1:, :, 1], [7, 1]))
