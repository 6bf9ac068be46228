import itertools

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import pdist, squareform
from scipy.stats import ortho_group, spearmanr, zscore
from taskrsa.errors import ConfigError, RepresentationError
from taskrsa.rsa.alignment import additive_residuals, resampled_alignment
from taskrsa.rsa.comparison import compare, resampled
from taskrsa.rsa.inference import bootstrap_counts
from taskrsa.rsa.measures import MEASURES, measure, represent
from taskrsa.rsa.similarity import similarity_matrix

ALIGNED = [name for name, chosen in MEASURES.items() if chosen.compare == "alignment"]
Z_NORMALISED = ["pearson_z", "cosine_z", "laplacian_z"]


def relu_features(n, d, seed=0):
    """Return features as after a ReLU: a pattern common to all images, and many exact zeros."""
    rng = np.random.default_rng(seed)
    return np.maximum(rng.normal(size=(n, d)) + rng.normal(size=d), 0).astype(np.float32)


def some_matrices(m, n, seed, levels=None):
    """Return matrices with something in common; with `levels`, rounded so that many pairs tie."""
    rng = np.random.default_rng(seed)
    p = n * (n - 1) // 2
    matrices = rng.uniform(0, 2, (m, p)) + rng.uniform(0, 2, p)
    return np.round(matrices * levels) if levels else matrices


def naive_alignment(a, b, count):
    """Return the cosine of least-squares residuals over the pairs of literally repeated images."""
    drawn = np.repeat(np.arange(len(count)), count)
    pairs = [
        (s, t) for s, t in itertools.combinations(range(len(drawn)), 2) if drawn[s] != drawn[t]
    ]
    design = np.zeros((len(pairs), len(drawn)))
    for row, pair in zip(design, pairs, strict=True):
        row[list(pair)] = 1
    images = drawn[np.array(pairs)]
    left = []
    for matrix in (a, b):
        values = squareform(matrix)[images[:, 0], images[:, 1]]
        left.append(values - design @ np.linalg.lstsq(design, values)[0])
    return left[0] @ left[1] / np.linalg.norm(left[0]) / np.linalg.norm(left[1])


def u_centred(matrix):
    """Return Szekely & Rizzo's (2014) definition 2, an (n, n) matrix."""
    square = squareform(matrix)
    n = len(square)
    sums = square.sum(axis=0)
    result = square - sums[:, None] / (n - 2) - sums / (n - 2) + sums.sum() / (n - 1) / (n - 2)
    np.fill_diagonal(result, 0)
    return result


def test_the_measures_and_their_sources():
    assert set(MEASURES) >= {
        "rsa", "rsa_uncentred", "cka_linear", "pearson_z", "cosine_z", "laplacian_z"
    }  # fmt: skip
    for name, chosen in MEASURES.items():
        assert chosen.name == name
        assert chosen.label
        assert chosen.source[-4:].isdigit()
    assert len({chosen.label for chosen in MEASURES.values()}) == len(MEASURES)
    assert MEASURES["rsa"].compare == "spearman"


def test_correlations_and_linear_kernel_by_hand():
    # Means (1, 1, 1): rows (0, -1, 1), (1, 0, -1), (-1, 1, 0), each pair with r = -1/2.
    features = np.float32([[1, 0, 2], [2, 1, 0], [0, 2, 1]])
    np.testing.assert_allclose(represent("rsa", features), [1.5, 1.5, 1.5], atol=1e-15)
    # Deviations (-1, 0, 1), (1, 0, -1), (-1, 2, -1): r = -1, 0, 0.
    features = np.float32([[1, 2, 3], [9, 8, 7], [0, 3, 0]])
    np.testing.assert_allclose(represent("rsa_uncentred", features), [2, 1, 1], atol=1e-15)
    # Less the means (1, 1): (0, -1), (1, 0), (-1, 1).
    features = np.float32([[1, 0], [2, 1], [0, 2]])
    np.testing.assert_allclose(represent("cka_linear", features), [0, -1, -1], atol=1e-15)


def test_z_normalised_measures_by_hand():
    # z-normalised: (1, 1, 0, 1), (1, -1, 0, -1), (-1, 1, 0, -1), (-1, -1, 0, 1).
    features = np.float32([[5, 0.5, 7, 1], [5, -0.5, 7, 0], [1, 0.5, 7, 0], [1, -0.5, 7, 1]])
    np.testing.assert_allclose(represent("cosine_z", features), 4 / 3)
    np.testing.assert_allclose(represent("laplacian_z", features), np.exp(-4 / 3))
    # Sums 3, -1, -1, -1, so covariances -1 + 3/4 and -1 - 1/4, squares 3/4 and 11/4.
    first, other = 1 + 0.25 / np.sqrt(0.75 * 2.75), 1 + 1.25 / 2.75
    expected = [first, first, first, other, other, other]
    np.testing.assert_allclose(represent("pearson_z", features), expected)


@pytest.mark.parametrize("d", [40, 5000])
def test_measures_equal_scipy(d):
    features = relu_features(12, d)
    features[:, [3, 7]] = 0
    exact = features.astype(np.float64)
    centred = exact - exact.mean(axis=0)
    normalised = np.zeros_like(exact)
    varying = np.ptp(exact, axis=0) > 0
    normalised[:, varying] = zscore(exact[:, varying])
    upper = np.triu_indices(12, 1)
    expected = {
        "rsa": pdist(centred, "correlation"),
        "rsa_uncentred": pdist(exact, "correlation"),
        "cka_linear": (centred @ centred.T)[upper],
        "pearson_z": pdist(normalised, "correlation"),
        "cosine_z": pdist(normalised, "cosine"),
        "laplacian_z": np.exp(-pdist(normalised, "cityblock") / varying.sum()),
    }
    before = features.copy()
    for name, values in expected.items():
        np.testing.assert_allclose(represent(name, features), values, rtol=1e-11, atol=1e-12)
    np.testing.assert_array_equal(features, before)


@pytest.mark.parametrize("name", list(MEASURES))
@pytest.mark.parametrize("dtype", [np.uint8, np.float16, np.float64])
def test_other_types_of_features(name, dtype):
    features = np.random.default_rng(2).integers(0, 200, (8, 30)).astype(dtype)
    expected = represent(name, features.astype(np.float32))
    np.testing.assert_allclose(represent(name, features), expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", Z_NORMALISED)
def test_z_normalisation_forgets_shift_and_scale_of_features_but_not_rotation(name):
    rng = np.random.default_rng(0)
    features = rng.normal(size=(10, 20))
    moved = features * 10.0 ** rng.uniform(-200, 200, 20)
    expected = represent(name, features)
    np.testing.assert_allclose(represent(name, moved), expected, rtol=1e-10)
    np.testing.assert_allclose(represent(name, 3 * features - 5), expected, rtol=1e-10)
    rotated = features @ ortho_group.rvs(20, random_state=0)
    assert np.abs(represent(name, rotated) - expected).max() > 0.01


def test_linear_cka_forgets_rotation_shift_and_scale_but_not_those_of_single_features():
    rng = np.random.default_rng(1)
    features = rng.normal(size=(15, 20))
    turned = 4 * features @ ortho_group.rvs(20, random_state=0) + rng.normal(size=20)
    stretched = features * rng.uniform(0.1, 3, 20)
    matrices = np.array([represent("cka_linear", f) for f in (features, turned, stretched)])
    found = compare("cka_linear", matrices)
    assert found[0, 1] == pytest.approx(1, abs=1e-12)
    assert found[0, 2] < 0.95


def test_linear_cka_is_the_ratio_of_unbiased_hsic():
    """Against the estimator of Song et al. (2012), equation 5, on kernels that are not centred."""
    features = [relu_features(20, 30, seed).astype(np.float64) for seed in (1, 2)]
    ones = np.ones(20)

    def hsic(first, second):
        a, b = (kernel - np.diag(np.diag(kernel)) for kernel in (first, second))
        n = len(a)
        product = np.trace(a @ b) + a.sum() * b.sum() / (n - 1) / (n - 2)
        return (product - 2 / (n - 2) * (ones @ a @ b @ ones)) / n / (n - 3)

    first, second = (f @ f.T for f in features)
    expected = hsic(first, second) / np.sqrt(hsic(first, first) * hsic(second, second))
    matrices = np.array([represent("cka_linear", f) for f in features])
    assert compare("cka_linear", matrices)[0, 1] == pytest.approx(expected, abs=1e-12)


def test_alignment_by_hand():
    # Four images: residuals are alike for the pairs 01 and 23, 02 and 13, 03 and 12, and sum to 0.
    # One in 01 leaves (1/3, -1/6, -1/6), one in 02 leaves (-1/6, 1/3, -1/6): cosine -1/2.
    matrices = np.eye(6)[[0, 1, 5]]
    expected = [[1, -0.5, 1], [-0.5, 1, -0.5], [1, -0.5, 1]]
    np.testing.assert_allclose(compare("cosine_z", matrices), expected, atol=1e-12)
    np.testing.assert_allclose(
        additive_residuals(matrices[:1])[0] * np.sqrt(1 / 3), [1/3, -1/6, -1/6, -1/6, -1/6, 1/3]
    )  # fmt: skip


def test_alignment_equals_explicit_double_centring():
    matrices = some_matrices(3, 17, 0)
    centred = [u_centred(row) for row in matrices]
    expected = np.array([[np.sum(a * b) for b in centred] for a in centred])
    expected /= np.sqrt(np.outer(expected.diagonal(), expected.diagonal()))
    found = compare("pearson_z", matrices)
    np.testing.assert_allclose(found, expected, atol=1e-12)
    np.testing.assert_array_equal(found.diagonal(), 1)
    np.testing.assert_array_equal(found, found.T)
    single = compare("pearson_z", matrices.astype(np.float32))
    np.testing.assert_allclose(single, expected, atol=1e-7)


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 2**32 - 1), size=st.floats(-3, 3), exponent=st.integers(-150, 150))
def test_alignment_forgets_what_single_images_add(seed, size, exponent):
    rng = np.random.default_rng(seed)
    matrices = some_matrices(2, 9, seed)
    first, second = np.triu_indices(9, 1)
    part = 10**size * rng.normal(size=9)
    moved = (matrices + part[first] + part[second]) * 2.0**exponent
    counts = bootstrap_counts(9, 3, seed)
    counts = counts[np.count_nonzero(counts, axis=1) >= 5]
    one_moved = np.vstack([moved[:1], matrices[1:]])
    for function in (compare, lambda name, rows: resampled(name, rows, counts)):
        np.testing.assert_allclose(
            function("laplacian_z", one_moved), function("laplacian_z", matrices), atol=1e-8
        )


def test_spearman_measures_equal_scipy():
    matrices = np.vstack([some_matrices(3, 12, 3, levels=3), some_matrices(2, 12, 4)])
    expected = spearmanr(matrices.T).statistic
    np.testing.assert_allclose(compare("rsa", matrices), expected, atol=1e-12)


@settings(deadline=None, max_examples=60)
@given(
    counts=st.lists(st.integers(0, 5), min_size=4, max_size=8),
    seed=st.integers(0, 2**32 - 1),
    levels=st.sampled_from([None, 1, 3]),
)
@example(counts=[6, 2, 1, 2, 1, 0], seed=0, levels=None)  # image 0 is half of those drawn
@example(counts=[9, 1, 1, 1, 2], seed=0, levels=None)  # and more than half
@example(counts=[1, 1, 1, 1, 0, 0], seed=0, levels=None)  # the fewest images
def test_resampled_alignment_equals_literal_repetition(counts, seed, levels):
    counts = np.array(counts)
    assume(np.count_nonzero(counts) >= 4)
    matrices = np.vstack(
        [some_matrices(2, len(counts), seed, levels), some_matrices(2, len(counts), seed + 1)]
    )
    present = np.flatnonzero(counts)
    for row in matrices:
        # As good as no residual: the cosine is that of rounding.
        left = u_centred(squareform(squareform(row)[np.ix_(present, present)]))
        assume(np.linalg.norm(left) > 1e-2)
        assume(np.linalg.norm(u_centred(row)) > 1e-2)
    found = resampled_alignment(matrices, counts[None])[0]
    expected = [[naive_alignment(a, b, counts) for b in matrices] for a in matrices]
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize("n", [10, 16])
def test_bootstrapped_alignment_equals_literal_repetition(n):
    matrices = some_matrices(3, n, n, levels=2)
    counts = bootstrap_counts(n, 70, seed=5)  # more than are worked on at a time
    found = resampled("cka_linear", matrices, counts)
    assert found.shape == (70, 3, 3)
    np.testing.assert_array_equal(found, found.transpose(0, 2, 1))
    np.testing.assert_array_equal(found[:, range(3), range(3)], 1)
    for draw in (0, 3, 64, 69):
        for a, b in itertools.combinations(range(3), 2):
            expected = naive_alignment(matrices[a], matrices[b], counts[draw])
            assert found[draw, a, b] == pytest.approx(expected, abs=1e-6)


def test_bootstrapped_alignment_of_paper_size():
    """Against the normal equations of 500 literally repeated rows with missing pairs."""
    matrices = some_matrices(2, 500, 7).astype(np.float32)
    count = bootstrap_counts(500, 1, seed=9)
    drawn = np.repeat(np.arange(500), count[0])
    present = (drawn[:, None] != drawn).astype(np.float64)
    left = []
    for row in matrices:
        square = squareform(row.astype(np.float64))[np.ix_(drawn, drawn)] * present
        parts = np.linalg.solve(np.diag(present.sum(axis=1)) + present, square.sum(axis=1))
        left.append((square - (parts[:, None] + parts) * present).ravel())
    expected = left[0] @ left[1] / np.linalg.norm(left[0]) / np.linalg.norm(left[1])
    found = resampled("pearson_z", matrices, count)[0, 0, 1]
    assert found == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("name", list(MEASURES))
def test_counts_of_0_and_1_are_subsets_of_the_images(name):
    matrices = np.vstack([some_matrices(2, 12, 1), some_matrices(3, 12, 2)])
    subset = np.array([0, 1, 4, 6, 7, 11])
    counts = np.zeros((1, 12), dtype=int)
    counts[0, subset] = 1

    def of_subset(rows):
        return np.array([squareform(squareform(row)[np.ix_(subset, subset)]) for row in rows])

    np.testing.assert_allclose(
        resampled(name, matrices, counts)[0], compare(name, of_subset(matrices)), atol=1e-6
    )
    np.testing.assert_allclose(
        resampled(name, matrices, np.ones((1, 12), dtype=int))[0],
        compare(name, matrices),
        atol=1e-6,
    )


def test_a_new_measure_is_one_function():
    try:

        @measure("euclidean", label="Euclidean", compare="alignment", source="Gower 1966")
        def _euclidean(features):
            return pdist(features.astype(np.float64))

        features = relu_features(9, 30)
        rows = np.array([represent("euclidean", f) for f in (features, features[:, :20])])
        np.testing.assert_allclose(rows[0], pdist(features.astype(np.float64)))
        assert compare("euclidean", rows)[0, 1] > 0.5
        counts = bootstrap_counts(9, 4, seed=2)
        assert resampled("euclidean", rows, counts).shape == (4, 2, 2)
        with pytest.raises(ConfigError, match="euclidean: registered twice"):
            measure("euclidean", label="", compare="alignment", source="")
    finally:
        MEASURES.pop("euclidean", None)


def test_a_measure_may_be_compared_by_rho_a():
    try:
        measure("coarse", label="", compare="rho_a", source="")(lambda f: np.round(pdist(f)))
        rows = np.array([represent("coarse", relu_features(12, 9, seed=s)) for s in (0, 1)])
        expected = similarity_matrix(rows, compare="rho_a")
        np.testing.assert_array_equal(compare("coarse", rows), expected)
        assert 0 < abs(expected[0, 1]) < abs(similarity_matrix(rows)[0, 1])
        once = np.ones((1, 12), dtype=int)
        np.testing.assert_allclose(resampled("coarse", rows, once)[0], expected, atol=1e-6)
    finally:
        MEASURES.pop("coarse", None)


def test_a_measure_of_the_wrong_shape_or_comparison_is_refused():
    with pytest.raises(ConfigError, match="no comparison 'kendall'; choose one of spearman"):
        measure("kendall", label="", compare="kendall", source="")
    try:
        measure("square", label="", compare="alignment", source="")(lambda f: f @ f.T)
        with pytest.raises(RepresentationError, match="square returned values of shape"):
            represent("square", relu_features(5, 9))
    finally:
        MEASURES.pop("square", None)


@pytest.mark.parametrize("name", list(MEASURES))
def test_bad_features_are_named(name):
    ids = [f"room-{i}" for i in range(6)]
    good = relu_features(6, 30)

    def refused(features, match):
        with pytest.raises(RepresentationError, match=match) as error:
            represent(name, features, where="edge2d, compressed", conditions=ids)
        assert str(error.value).startswith("edge2d, compressed: ")
        assert "\n" not in str(error.value)

    bad = good.copy()
    bad[4, 2] = np.nan
    refused(bad, "NaN features for image room-4")
    bad[4, 2] = np.inf
    refused(bad, "infinite features for image room-4")
    refused(np.repeat(good[:1], 6, axis=0), "identical for all 6 images")
    refused(good[0], "shape")


@pytest.mark.parametrize("name", ["pearson_z", "cosine_z", "rsa"])
def test_the_image_in_the_middle_of_the_others_is_named(name):
    # Image 2 is the mean of all images: no direction is left once that is subtracted.
    features = np.random.default_rng(0).integers(-9, 9, (5, 40)).astype(np.float32)
    features[2] = 1.0
    features[4] = 5 * features[2] - features[:4].sum(axis=0)
    with pytest.raises(RepresentationError, match=f"{name} is not defined for image 2: "):
        represent(name, features)
    assert np.isfinite(represent("laplacian_z", features)).all()


def test_an_image_equally_far_from_the_mean_in_all_features_is_named():
    # Each feature takes the same five values, so they have one mean, 0, and one deviation.
    rng = np.random.default_rng(0)
    others = rng.permuted(np.repeat([[-1.5, 0.5, -3.5, 2.5]], 30, axis=0), axis=1).T
    features = np.vstack([np.full(30, 2.0), others])
    with pytest.raises(RepresentationError, match="pearson_z is not defined for image 0: "):
        represent("pearson_z", features)
    assert np.isfinite(represent("cosine_z", features)).all()
    # With a dead feature, which counts as 0, image 0 is no longer constant.
    features[:, 4] = 9
    assert np.isfinite(represent("pearson_z", features)).all()


def test_features_that_vary_by_rounding_only():
    rng = np.random.default_rng(0)
    features = np.float32(1) + np.float32(2**-23) * rng.integers(0, 2, (6, 30)).astype(np.float32)
    with pytest.raises(RepresentationError, match="net, b1: .*identical to rounding for all 6"):
        represent("cosine_z", features, where="net, b1")
    good = relu_features(6, 30)
    both = np.hstack([good, features])
    np.testing.assert_allclose(
        represent("laplacian_z", both), represent("laplacian_z", good), rtol=1e-12
    )


def test_overflow_is_reported():
    features = np.random.default_rng(0).normal(size=(5, 30))
    features[3] *= 1e200
    with pytest.raises(RepresentationError, match="cka_linear .*of the order of 1"):
        represent("cka_linear", features)
    assert np.isfinite(represent("pearson_z", features)).all()


def test_what_cannot_be_compared():
    matrices = some_matrices(2, 8, 0)
    with pytest.raises(ConfigError, match="measure 'cka' is unknown; choose one of rsa, "):
        compare("cka", matrices)
    part = np.random.default_rng(0).normal(size=8)
    first, second = np.triu_indices(8, 1)
    for dtype in (np.float32, np.float64):
        additive = np.vstack([matrices, part[first] + part[second]]).astype(dtype)
        with pytest.raises(RepresentationError, match="depth: its matrix is a sum of one number"):
            compare("cka_linear", additive, names=["edges", "normals", "depth"])
    with pytest.raises(RepresentationError, match="matrix 1: .* sum of one number"):
        compare("cka_linear", np.vstack([matrices[0], np.zeros(28)]))
    with pytest.raises(RepresentationError, match="matrix 0: its matrix holds nan"):
        compare("cka_linear", np.full((1, 28), np.nan))
    with pytest.raises(RepresentationError, match="at least 4 images"):
        compare("cka_linear", some_matrices(2, 3, 0))


def test_what_cannot_be_resampled():
    matrices = some_matrices(2, 8, 0)
    with pytest.raises(RepresentationError, match="resample 1 has 3 different images.* at least 4"):
        resampled("cka_linear", matrices, np.array([[1] * 8, [3, 3, 2] + [0] * 5]))
    with pytest.raises(RepresentationError, match="of 8 images, not 7"):
        resampled("cka_linear", matrices, np.ones((1, 7), dtype=int))
    # Among images 0 to 3 the matrix is additive: nothing is left there.
    part = np.arange(8.0)
    matrix = some_matrices(1, 8, 1)[0]
    first, second = np.triu_indices(8, 1)
    among = second < 4
    matrix[among] = (part[first] + part[second])[among]
    counts = np.array([[1, 2, 1, 3, 0, 0, 0, 0], [1] * 8])
    found = resampled("cka_linear", np.vstack([matrices[:1], matrix]), counts)
    assert np.isnan(found[0, [0, 1, 1], [1, 0, 1]]).all()
    assert np.isfinite(found[1]).all()


def test_the_file_of_matrices_holds_every_measure_and_drops_constant_images(tmp_path):
    from taskrsa.rsa.measures import make_measures
    from taskrsa.rsa.rdm_file import Origin, read_rdms

    values = np.random.default_rng(0).normal(size=(9, 20)).astype(np.float32)
    values[4] = 3.0
    images = [f"image{number}" for number in range(9)]
    origin = Origin("edges", "edge2d", images, "digest", centre=True)
    path = tmp_path / "edges.h5"
    with pytest.raises(RepresentationError, match=r"edges, compressed: .* image4"):
        make_measures(path, values, origin, "error")
    assert not path.exists()
    make_measures(path, values, origin, "drop")
    found = read_rdms(path)
    assert found.layers == tuple(MEASURES)
    assert found.dropped == ((4,),) * len(MEASURES)
    kept = np.delete(values, 4, axis=0)
    for row, name in zip(found.dissimilarities, MEASURES, strict=True):
        expected = represent(name, kept).astype(np.float32)
        np.testing.assert_array_equal(row[np.isfinite(row)], expected)
