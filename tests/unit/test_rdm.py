import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import pdist, squareform
from scipy.stats import rankdata
from taskrsa.errors import RepresentationError
from taskrsa.rsa.rdm import (
    SINGLE_FROM,
    compute_rdm,
    condensed,
    gram_matrix,
    mid_ranks,
    n_images_of,
    pearson_rdm_from_gram,
    square_form,
    standardise,
)

seeds = st.integers(0, 2**32 - 1)


def reference(features, centre):
    features = np.asarray(features, dtype=np.float64)
    if centre:
        features = features - features.mean(axis=0)
    return condensed(1 - np.corrcoef(features))


def relu_features(n, d, seed=0):
    """Return features as after a ReLU: a pattern common to all images, and many exact zeros."""
    rng = np.random.default_rng(seed)
    values = rng.standard_normal((n, d)) + rng.standard_normal(d)
    return np.maximum(values, 0).astype(np.float32)


def test_by_hand():
    # Deviations (-1, 0, 1), (1, 0, -1), (-1, 2, -1): r = -1, 0, 0.
    features = np.array([[1.0, 2, 3], [9, 8, 7], [0, 3, 0]])
    result = compute_rdm(features, centre=False)
    np.testing.assert_allclose(result.dissimilarities, [2, 1, 1], atol=1e-15)
    np.testing.assert_allclose(result.square()[0], [0, 2, 1], atol=1e-15)


def test_by_hand_centred():
    # Means (1, 1, 1): rows (0, -1, 1), (1, 0, -1), (-1, 1, 0), each pair with r = -1/2.
    features = np.array([[1.0, 0, 2], [2, 1, 0], [0, 2, 1]])
    np.testing.assert_allclose(compute_rdm(features).dissimilarities, [1.5, 1.5, 1.5], atol=1e-15)


@pytest.mark.parametrize("centre", [True, False])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_narrow_features_equal_scipy(dtype, centre):
    features = relu_features(30, 700).astype(dtype)
    expected = reference(features, centre)
    found = compute_rdm(features, centre=centre).dissimilarities
    np.testing.assert_allclose(found, expected, atol=1e-14)
    if not centre:
        np.testing.assert_allclose(
            found, pdist(features.astype(np.float64), "correlation"), atol=1e-14
        )


@pytest.mark.parametrize("centre", [True, False])
@pytest.mark.parametrize("d", [SINGLE_FROM + 1, 50_003])
def test_wide_single_precision_features(d, centre):
    features = relu_features(25, d)
    found = compute_rdm(features, centre=centre).dissimilarities
    np.testing.assert_allclose(found, reference(features, centre), atol=3e-8)


@pytest.mark.parametrize("dead", [0.0, 0.5, 0.9])
@pytest.mark.parametrize("offset", [0.0, 1.0, 30.0])
def test_dead_features_and_bright_images(dead, offset):
    rng = np.random.default_rng(1)
    features = rng.standard_normal((12, 60_000)) + rng.standard_normal(60_000)
    features = np.maximum(features + offset * rng.uniform(size=(12, 1)), 0)
    features[:, rng.uniform(size=60_000) < dead] = 0
    features = features.astype(np.float32)
    found = compute_rdm(features).dissimilarities
    np.testing.assert_allclose(found, reference(features, True), atol=5e-7)


def test_widest_layer():
    features = relu_features(6, 524_288)
    np.testing.assert_allclose(
        compute_rdm(features).dissimilarities, reference(features, True), atol=3e-8
    )


@pytest.mark.parametrize("centre", [True, False])
@pytest.mark.parametrize("factor", [1e30, 3e37, 1e-30, 1e-38])
@pytest.mark.parametrize("d", [300, SINGLE_FROM + 5])
def test_near_overflow_and_underflow(factor, centre, d):
    features = relu_features(8, d) * np.float32(factor)
    assert np.isfinite(features).all()
    found = compute_rdm(features, centre=centre).dissimilarities
    np.testing.assert_allclose(found, reference(features, centre), atol=3e-8)


@pytest.mark.parametrize("centre", [True, False])
def test_means_far_larger_than_deviations(centre):
    rng = np.random.default_rng(3)
    features = rng.standard_normal((20, 20_000))
    features += 100 * rng.standard_normal(20_000) + 50 * rng.standard_normal((20, 1))
    features = features.astype(np.float32)
    found = compute_rdm(features, centre=centre).dissimilarities
    np.testing.assert_allclose(found, reference(features, centre), atol=1e-6)


def test_equals_rsatoolbox():
    rsatoolbox = pytest.importorskip("rsatoolbox")
    features = relu_features(20, 400).astype(np.float64)
    for centre in (True, False):
        data = features - features.mean(axis=0) if centre else features
        expected = rsatoolbox.rdm.calc_rdm(rsatoolbox.data.Dataset(data), method="correlation")
        found = compute_rdm(features, centre=centre).dissimilarities
        np.testing.assert_allclose(found, expected.dissimilarities[0], atol=1e-12)


def test_features_are_left_alone_and_any_layout_works():
    features = relu_features(10, 20_000)
    before = features.copy()
    expected = compute_rdm(features).dissimilarities
    np.testing.assert_array_equal(features, before)
    turned = compute_rdm(np.asfortranarray(features)).dissimilarities
    np.testing.assert_allclose(turned, expected, atol=1e-9)


def test_blocks_make_no_difference():
    features = relu_features(12, 1000).astype(np.float64)
    one = gram_matrix(features)
    many = gram_matrix(features, block=7)
    np.testing.assert_allclose(many.matrix, one.matrix, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("centre", [True, False])
def test_gram_holds_covariances(centre):
    features = relu_features(9, 200).astype(np.float64)
    gram = gram_matrix(features, centre=centre)
    data = features - features.mean(axis=0) if centre else features
    found = gram.matrix / np.outer(gram.scale, gram.scale) / gram.n_features
    np.testing.assert_allclose(found, np.cov(data, bias=True), atol=1e-12)
    np.testing.assert_array_equal(
        pearson_rdm_from_gram(gram), compute_rdm(features, centre=centre).dissimilarities
    )


@pytest.mark.parametrize("centre", [True, False])
@pytest.mark.parametrize("d", [5, 1031, SINGLE_FROM + 3])
def test_duplicates_are_exactly_zero(d, centre):
    features = relu_features(17, d)
    features[[3, 11, 16]] = features[0]
    features[8] = features[7]
    square = compute_rdm(features, centre=centre).square()
    for i, j in [(0, 3), (0, 11), (3, 11), (11, 16), (7, 8)]:
        assert square[i, j] == 0.0
    assert np.count_nonzero(square == 0) == 17 + 2 * 7


@pytest.mark.parametrize("value", [0.0, 0.1, -7.3e20])
@pytest.mark.parametrize("centre", [True, False])
def test_constant_image_is_an_error_that_names_it(value, centre):
    features = relu_features(6, 3001)
    features[4] = value
    with pytest.raises(RepresentationError, match=r"net, block1: .*image img4,.*'drop'") as error:
        compute_rdm(
            features, centre=centre, name="net, block1", conditions=[f"img{i}" for i in range(6)]
        )
    assert "\n" not in str(error.value)


def test_constant_to_rounding_counts_as_constant():
    features = relu_features(6, 3001)
    features[2] = np.float32(0.1)
    features[2, ::2] = np.nextafter(np.float32(0.1), np.float32(1))
    with pytest.raises(RepresentationError, match="image 2,"):
        compute_rdm(features, centre=False)


def test_a_faint_pattern_is_no_constant():
    features = relu_features(6, 3001).astype(np.float64)
    features[2] = 1 + 1e-9 * features[2]
    found = compute_rdm(features, centre=False).dissimilarities
    np.testing.assert_allclose(found, reference(features, False), atol=1e-6)


@pytest.mark.parametrize("centre", [True, False])
def test_dropped_image_leaves_the_rdm_of_the_others(centre):
    features = relu_features(7, 500)
    features[[1, 5]] = 0.1
    result = compute_rdm(features, centre=centre, constant="drop")
    np.testing.assert_array_equal(result.dropped, [1, 5])
    kept = np.setdiff1d(np.arange(7), [1, 5])
    square = result.square()
    assert np.isnan(squareform(square, checks=False)).sum() == 21 - 10
    np.testing.assert_allclose(
        condensed(square[np.ix_(kept, kept)]),
        compute_rdm(features[kept], centre=centre).dissimilarities,
        atol=1e-14,
    )


def test_image_that_equals_the_mean_is_constant_after_centring():
    features = np.array([[1.0, 2, 4], [3, 2, 0], [2, 2, 2.0], [2, 1, 1], [2, 3, 3]])
    features[2] = features[[0, 1, 3, 4]].mean(axis=0)  # (2, 2, 2): constant before, too
    with pytest.raises(RepresentationError, match="image 2,"):
        compute_rdm(features)
    features[:, 0] += 5  # now only after
    compute_rdm(features, centre=False)
    with pytest.raises(RepresentationError, match="once the mean .* is removed for image 2,"):
        compute_rdm(features)
    np.testing.assert_array_equal(compute_rdm(features, constant="drop").dropped, [2])


@pytest.mark.parametrize("centre", [True, False])
@pytest.mark.parametrize("policy", ["error", "drop"])
def test_identical_features_for_all_images(centre, policy):
    features = np.tile(relu_features(1, 600), (5, 1))
    with pytest.raises(RepresentationError, match="net: the features are identical for all 5"):
        compute_rdm(features, centre=centre, name="net", constant=policy)


def test_identical_to_rounding():
    features = np.tile(relu_features(1, 600) + 1, (5, 1))
    features *= 1 + np.float32(1.2e-7) * np.random.default_rng(0).integers(-1, 2, features.shape)
    with pytest.raises(RepresentationError, match="identical to rounding for all 5 images"):
        compute_rdm(features.astype(np.float32))


@pytest.mark.parametrize(("value", "word"), [(np.nan, "NaN"), (np.inf, "infinite")])
@pytest.mark.parametrize("policy", ["error", "drop"])
def test_not_finite_names_network_layer_and_images(value, word, policy):
    features = relu_features(9, 40)
    features[1:8, 7] = value
    with pytest.raises(
        RepresentationError, match=rf"net, conv: {word} features for images b, c, .* and 2 more"
    ):
        compute_rdm(features, name="net, conv", conditions=list("abcdefghi"), constant=policy)


@pytest.mark.parametrize(
    ("features", "message"),
    [
        (np.ones((3, 4, 5)), "flatten"),
        (np.ones((1, 4)), "at least 2"),
        (np.ones((3, 4), dtype=complex), "convert"),
        (np.eye(3), "2 image ids"),
    ],
)
def test_unusable_input(features, message):
    with pytest.raises(RepresentationError, match=message):
        compute_rdm(features, conditions=["a", "b"])


def test_too_few_images_left():
    features = np.zeros((3, 5))
    features[1] = [1, 2, 3, 4, 5]
    with pytest.raises(RepresentationError, match="1 of 3 images"):
        compute_rdm(features, constant="drop")


@settings(deadline=None, max_examples=40)
@given(seed=seeds, n=st.integers(3, 9), d=st.integers(4, 60), centre=st.booleans())
def test_invariances(seed, n, d, centre):
    rng = np.random.default_rng(seed)
    features = rng.standard_normal((n, d))
    rdm = compute_rdm(features, centre=centre).square()
    assert (rdm >= 0).all() and (rdm <= 2).all()  # noqa: PT018
    np.testing.assert_array_equal(rdm, rdm.T)
    np.testing.assert_array_equal(np.diag(rdm), 0)
    shuffled = compute_rdm(features[:, rng.permutation(d)], centre=centre).square()
    np.testing.assert_allclose(shuffled, rdm, atol=1e-10)
    order = rng.permutation(n)
    moved = compute_rdm(features[order], centre=centre).square()
    np.testing.assert_allclose(moved, rdm[np.ix_(order, order)], atol=1e-10)
    # Centring over images mixes rows: scale all of them alike, shift each as it likes.
    scale = 10 ** (rng.uniform(-6, 6) if centre else rng.uniform(-6, 6, (n, 1)))
    changed = compute_rdm(scale * (features + rng.standard_normal((n, 1))), centre=centre).square()
    np.testing.assert_allclose(changed, rdm, atol=1e-10)


def test_condensed_order_is_scipys():
    square = np.array([[0.0, 1, 2, 3], [1, 0, 4, 5], [2, 4, 0, 6], [3, 5, 6, 0]])
    np.testing.assert_array_equal(condensed(square), squareform(square))
    np.testing.assert_array_equal(square_form(np.arange(1.0, 7)), square)


def test_n_images_of():
    assert n_images_of(124_750) == 500
    with pytest.raises(RepresentationError, match="7 dissimilarities"):
        n_images_of(7)


def test_mid_ranks_share_ties():
    np.testing.assert_array_equal(mid_ranks(np.array([3.0, 1, 3, 2, 3])), [4, 1, 4, 2, 4])


def test_standardise():
    np.testing.assert_allclose(
        standardise(np.array([[1.0, 2, 3]])), [[-(0.5**0.5), 0, 0.5**0.5]], atol=1e-15
    )
    assert np.isnan(standardise(np.full(7, 0.1))).all()
    assert rankdata([1, 1]).tolist() == mid_ranks(np.array([1, 1])).tolist()
