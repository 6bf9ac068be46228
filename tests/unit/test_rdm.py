import os
import resource
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import pdist, squareform
from scipy.stats import rankdata
from taskrsa.errors import DataError, RepresentationError
from taskrsa.rsa.rdm import (
    SINGLE_FROM,
    SINGLE_IMAGES,
    compute_rdm,
    condensed,
    mid_ranks,
    n_images_of,
    pair_at,
    pairs_among,
    square_form,
    standardise,
)
from taskrsa.rsa.spill import SpilledFeatures

seeds = st.integers(0, 2**32 - 1)


def reference(features, centre):
    features = np.asarray(features, dtype=np.float64)
    if centre:
        features = features - features.mean(axis=0)
    return condensed(1 - np.corrcoef(features))


def is_exact(found, expected):
    """Say whether an RDM was worked out in double precision: single never comes that close."""
    return np.abs(found - expected).max() < 1e-12


def relu_features(n, d, seed=0):
    """Return features as after a ReLU: a pattern common to all images, and many exact zeros."""
    rng = np.random.default_rng(seed)
    values = rng.standard_normal((n, d)) + rng.standard_normal(d)
    return np.maximum(values, 0).astype(np.float32)


def spilled(features, width=4096, batch=7):
    stored = SpilledFeatures(*features.shape, width=width)
    for start in range(0, len(features), batch):
        stored.append(features[start : start + batch])
    return stored


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
@pytest.mark.parametrize(("d", "error"), [(SINGLE_FROM + 1, 1.5e-7), (2048, 1e-7), (50_003, 3e-8)])
def test_wide_single_precision_features(d, error, centre):
    features = relu_features(SINGLE_IMAGES, d)
    expected = reference(features, centre)
    found = compute_rdm(features, centre=centre).dissimilarities
    np.testing.assert_allclose(found, expected, atol=error)
    assert not is_exact(found, expected)  # it took the quick way
    fewer = compute_rdm(features[1:], centre=centre).dissimilarities
    assert is_exact(fewer, reference(features[1:], centre))
    assert is_exact(compute_rdm(features.astype(float), centre=centre).dissimilarities, expected)


@pytest.mark.parametrize(("d", "error"), [(SINGLE_FROM + 1, 7e-7), (2048, 6e-7), (8192, 2e-7)])
def test_wide_features_that_vary_in_few_directions(d, error):
    """As features of networks do, which makes single precision worst; centred and not."""
    errors = []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        values = rng.standard_normal((SINGLE_IMAGES, d)) * 0.3 + rng.standard_normal(d)
        values += rng.standard_normal((SINGLE_IMAGES, 20)) @ rng.standard_normal((20, d))
        features = np.maximum(values, 0).astype(np.float32)
        for centre in (True, False):
            found = compute_rdm(features, centre=centre).dissimilarities
            errors.append(np.abs(found - reference(features, centre)).max())
    assert 1e-12 < max(errors) <= error


def test_half_precision_features_are_those_of_single():
    features = relu_features(SINGLE_IMAGES, 3000).astype(np.float16)
    found = compute_rdm(features).dissimilarities
    np.testing.assert_array_equal(found, compute_rdm(features.astype(np.float32)).dissimilarities)


@pytest.mark.parametrize("centre", [True, False])
def test_images_in_tight_clusters(centre):
    rng = np.random.default_rng(2)
    centres = rng.standard_normal((5, 9000))
    features = 0.3 * rng.standard_normal((80, 9000)) + centres[np.arange(80) % 5]
    features = np.maximum(features + rng.standard_normal(9000), 0).astype(np.float32)
    found = compute_rdm(features, centre=centre).dissimilarities
    np.testing.assert_allclose(found, reference(features, centre), atol=6e-7)


@pytest.mark.parametrize("dead", [0.0, 0.5, 0.9])
@pytest.mark.parametrize("offset", [0.0, 1.0, 30.0])
@pytest.mark.parametrize("centre", [True, False])
def test_dead_features_and_bright_images(dead, offset, centre):
    rng = np.random.default_rng(1)
    n, d = SINGLE_IMAGES, 20_000
    features = rng.standard_normal((n, d)) + rng.standard_normal(d)
    features = np.maximum(features + offset * rng.uniform(size=(n, 1)), 0)
    features[:, rng.uniform(size=d) < dead] = 0
    features = features.astype(np.float32)
    found = compute_rdm(features, centre=centre).dissimilarities
    np.testing.assert_allclose(found, reference(features, centre), atol=3e-7)


def test_widest_layer():
    features = relu_features(6, 524_288)
    np.testing.assert_allclose(
        compute_rdm(features).dissimilarities, reference(features, True), atol=1e-13
    )


@pytest.mark.parametrize("centre", [True, False])
@pytest.mark.parametrize("factor", [1e30, 3e37, 1e-30, 1e-38])
@pytest.mark.parametrize(("n", "d"), [(8, 300), (SINGLE_IMAGES, SINGLE_FROM + 5)])
def test_near_overflow_and_underflow(factor, centre, n, d):
    features = relu_features(n, d) * np.float32(factor)
    assert np.isfinite(features).all()
    found = compute_rdm(features, centre=centre).dissimilarities
    np.testing.assert_allclose(found, reference(features, centre), atol=1e-13)


@pytest.mark.parametrize("centre", [True, False])
@pytest.mark.parametrize("size", [1e-6, 1e-18])
def test_one_faint_image_among_others(centre, size):
    features = relu_features(SINGLE_IMAGES, 3000)
    features[5] *= np.float32(size)
    found = compute_rdm(features, centre=centre).dissimilarities
    np.testing.assert_allclose(found, reference(features, centre), atol=2e-7)


@pytest.mark.parametrize("centre", [True, False])
@pytest.mark.parametrize("n", [20, SINGLE_IMAGES])
def test_means_far_larger_than_deviations(n, centre):
    rng = np.random.default_rng(3)
    features = rng.standard_normal((n, 20_000))
    features += 100 * rng.standard_normal(20_000) + 50 * rng.standard_normal((n, 1))
    features = features.astype(np.float32)
    found = compute_rdm(features, centre=centre).dissimilarities
    np.testing.assert_allclose(found, reference(features, centre), atol=1e-12)


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


@pytest.mark.parametrize("centre", [True, False])
def test_blocks_make_no_difference(centre, monkeypatch):
    features = relu_features(12, 1000).astype(np.float64)
    one = compute_rdm(features, centre=centre).dissimilarities
    monkeypatch.setattr("taskrsa.rsa.rdm.BLOCK", 7)
    many = compute_rdm(features, centre=centre).dissimilarities
    np.testing.assert_allclose(many, one, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("centre", [True, False])
@pytest.mark.parametrize(
    ("n", "d"), [(17, 5), (17, 1031), (SINGLE_IMAGES, SINGLE_FROM + 3), (SINGLE_IMAGES, 40_000)]
)
def test_duplicates_are_exactly_zero(n, d, centre):
    features = relu_features(n, d)
    features[[3, 11, 16]] = features[0]
    features[8] = features[7]
    features[9] = features[7]  # nearly the same, and not
    features[9, d // 2] += 0.01
    square = compute_rdm(features, centre=centre).square()
    for i, j in [(0, 3), (0, 11), (3, 11), (11, 16), (7, 8)]:
        assert square[i, j] == 0.0
    assert np.count_nonzero(square == 0) == n + 2 * 7


@pytest.mark.parametrize("store", [np.asarray, spilled])
@pytest.mark.parametrize("centre", [True, False])
def test_images_that_nearly_agree_are_not_zero_on_any_processor(centre, store):
    # Products in single precision are off by 1e-7: which of these are 0 depends on the processor.
    changes = np.float32(10) ** -np.arange(1, 6)
    features = relu_features(SINGLE_IMAGES, 40_000)
    features[1:6] = features[0]
    features[1:6, 20_000] += changes
    found = compute_rdm(store(features), centre=centre).square()
    exact = squareform(reference(features, centre))
    np.testing.assert_allclose(found, exact, atol=1e-7)
    assert np.count_nonzero(found == 0) == len(features)
    same = compute_rdm(store(np.vstack([features, features[:1]])), centre=centre).square()
    assert np.count_nonzero(same == 0) == len(features) + 3


@pytest.mark.parametrize("value", [0.0, 0.1, -7.3e20])
@pytest.mark.parametrize("centre", [True, False])
@pytest.mark.parametrize("n", [6, SINGLE_IMAGES])
def test_constant_image_is_an_error_that_names_it(n, value, centre):
    features = relu_features(n, 3001)
    features[4] = value
    line = r"net, block1: .*image img4,.*set rsa.constant_images to drop"
    with pytest.raises(RepresentationError, match=line) as error:
        compute_rdm(
            features, centre=centre, name="net, block1", conditions=[f"img{i}" for i in range(n)]
        )
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("n", [6, SINGLE_IMAGES])
def test_constant_to_rounding_counts_as_constant(n):
    features = relu_features(n, 3001)
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
@pytest.mark.parametrize(("n", "d", "error"), [(7, 500, 1e-14), (70, 9000, 2e-7)])
def test_dropped_image_leaves_the_rdm_of_the_others(n, d, error, centre):
    features = relu_features(n, d)
    features[[1, 5]] = 0.1
    result = compute_rdm(features, centre=centre, constant="drop")
    np.testing.assert_array_equal(result.dropped, [1, 5])
    kept = np.setdiff1d(np.arange(n), [1, 5])
    square = result.square()
    assert np.isnan(squareform(square, checks=False)).sum() == (n - 1) + (n - 2)
    expected = reference(features[kept], centre)
    np.testing.assert_allclose(condensed(square[np.ix_(kept, kept)]), expected, atol=error)
    assert is_exact(condensed(square[np.ix_(kept, kept)]), expected) == (n == 7)


@pytest.mark.parametrize("policy", ["error", "drop"])
def test_wide_image_that_equals_the_mean_is_constant_after_centring(policy):
    features = np.round(relu_features(SINGLE_IMAGES + 1, 3000) * 8)  # integers: the mean is exact
    others = np.arange(SINGLE_IMAGES + 1) != 4
    features[others] -= features[others].sum(axis=0) // SINGLE_IMAGES  # then make the sum even
    features[0] -= features[others].sum(axis=0) % SINGLE_IMAGES
    features[4] = 0
    features += np.arange(3000) % 7  # the mean of all, and image 4
    if policy == "error":
        with pytest.raises(RepresentationError, match="once the mean .* is removed for image 4,"):
            compute_rdm(features)
        return
    result = compute_rdm(features, constant="drop")
    np.testing.assert_array_equal(result.dropped, [4])


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
@pytest.mark.parametrize(("n", "d"), [(5, 600), (SINGLE_IMAGES, 3000)])
def test_identical_features_for_all_images(n, d, centre, policy):
    features = np.tile(relu_features(1, d), (n, 1))
    with pytest.raises(RepresentationError, match=f"net: the features are identical for all {n}"):
        compute_rdm(features, centre=centre, name="net", constant=policy)


@pytest.mark.parametrize(("n", "d"), [(5, 600), (SINGLE_IMAGES, 3000)])
def test_identical_to_rounding(n, d):
    features = np.tile(relu_features(1, d) + 1, (n, 1))
    features *= 1 + np.float32(1.2e-7) * np.random.default_rng(0).integers(-1, 2, features.shape)
    with pytest.raises(RepresentationError, match=f"identical to rounding for all {n} images"):
        compute_rdm(features.astype(np.float32))


@pytest.mark.parametrize(("value", "word"), [(np.nan, "NaN"), (np.inf, "infinite")])
@pytest.mark.parametrize("policy", ["error", "drop"])
@pytest.mark.parametrize("wide", [False, True])
def test_not_finite_names_network_layer_and_images(value, word, policy, wide):
    features = relu_features(*((SINGLE_IMAGES, 5000) if wide else (9, 40)))
    features[1:8, 7] = value
    ids = [*"abcdefghi", *map(str, range(9, len(features)))]
    with pytest.raises(
        RepresentationError, match=rf"net, conv: {word} features for images b, c, .* and 2 more"
    ):
        compute_rdm(features, name="net, conv", conditions=ids, constant=policy)


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


@pytest.mark.parametrize("n", [7, 3000])
@pytest.mark.parametrize("kind", [np.float32, np.float64, np.int16])
@pytest.mark.parametrize("levels", [1, 4, 200, 30_000])
def test_mid_ranks_are_scipy_s(n, kind, levels):
    values = np.random.default_rng(levels).integers(0, levels, (2, 3, n)).astype(kind)
    np.testing.assert_array_equal(mid_ranks(values), rankdata(values, axis=-1))
    if kind is not np.int16:
        values[0, 1, 2] = np.nan
        found = mid_ranks(values)
        np.testing.assert_array_equal(found, rankdata(values, axis=-1))
        assert np.isnan(found[0, 1]).all()


def test_mid_ranks_share_ties():
    np.testing.assert_array_equal(mid_ranks(np.array([3.0, 1, 3, 2, 3])), [4, 1, 4, 2, 4])


def test_standardise():
    np.testing.assert_allclose(
        standardise(np.array([[1.0, 2, 3]])), [[-(0.5**0.5), 0, 0.5**0.5]], atol=1e-15
    )
    assert np.isnan(standardise(np.full(7, 0.1))).all()
    assert rankdata([1, 1]).tolist() == mid_ranks(np.array([1, 1])).tolist()


def test_pairs():
    n = 6
    kept = np.array([True, False, True, True, False, True])
    first, second = np.triu_indices(n, 1)
    np.testing.assert_array_equal(pairs_among(kept), kept[first] & kept[second])
    places = [pair_at(place, n) for place in range(15)]
    assert places == list(zip(first.tolist(), second.tolist(), strict=True))


@pytest.mark.parametrize("d", [3, 100, 1000, 1001])
def test_spilled_features_come_back(d):
    features = relu_features(23, d)
    stored = spilled(features, width=100)
    np.testing.assert_array_equal(np.asarray(stored), features)
    np.testing.assert_array_equal(stored[:, 50:950], features[:, 50:950])
    np.testing.assert_array_equal(stored[:, : d - 1], features[:, : d - 1])
    np.testing.assert_array_equal(stored[-1], features[-1])
    np.testing.assert_array_equal(stored[[4, 2]], features[[4, 2]])
    assert (stored.shape, len(stored), stored.dtype) == (features.shape, 23, np.float32)
    with pytest.raises(IndexError, match="blocks of columns"):
        stored[:, ::2]
    with pytest.raises(ValueError, match="do not fit"):
        stored.append(features[:1])


@pytest.mark.parametrize("centre", [True, False])
@pytest.mark.parametrize("offset", [0, 50])
def test_spilled_features_have_the_same_rdm(centre, offset):
    features = relu_features(SINGLE_IMAGES, 9000)
    features += offset * np.random.default_rng(0).uniform(size=(len(features), 1)).astype("f4")
    features[9] = features[3]
    features[5] = 0.1
    stored = compute_rdm(spilled(features), centre=centre, constant="drop")
    expected = compute_rdm(features, centre=centre, constant="drop")
    np.testing.assert_array_equal(stored.dissimilarities, expected.dissimilarities)
    np.testing.assert_array_equal(stored.dropped, [5])
    assert stored.square()[3, 9] == 0
    features[8, 8] = np.nan
    with pytest.raises(RepresentationError, match="NaN features for image 8;"):
        compute_rdm(spilled(features), centre=centre)


CHILD = """
import os, sys, numpy as np
from taskrsa.rsa.spill import SpilledFeatures
stored = SpilledFeatures(100, 100_000)
stored.append(np.ones((50, 100_000), np.float32))
print(len(os.listdir(os.environ["TMPDIR"])), os.fstat(stored._file.fileno()).st_size, flush=True)
sys.stdin.read()
"""


def test_nothing_is_left_of_spilled_features_after_a_kill(tmp_path):
    environment = os.environ | {"TMPDIR": str(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path)}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", CHILD], env=environment, **pipes) as child:
        assert child.stdout.readline().split() == ["0", "40000000"]
        child.kill()
    assert list(tmp_path.iterdir()) == []


def test_no_room_for_spilled_features_is_one_line():
    def full() -> str:
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, hard))
        try:
            with pytest.raises(DataError, match="no room for 40 MB of features .* TMPDIR") as error:
                SpilledFeatures(100, 100_000)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        return str(error.value)

    assert "\n" not in full()
