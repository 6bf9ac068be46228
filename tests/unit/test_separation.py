import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_rdms import stack_of
from scipy.stats import spearmanr
from taskrsa.analysis.separation import (
    adjusted_rand_index,
    separable,
    separation_rows,
    type_separation,
)
from taskrsa.errors import RepresentationError
from taskrsa.rsa.clustering import LINKAGES, cut

TYPES = ["2D", "2D", "3D", "3D"]
BLOCKS = np.array([[1, 0.9, 0.1, 0.2], [0.9, 1, 0.2, 0.1], [0.1, 0.2, 1, 0.7], [0.2, 0.1, 0.7, 1]])

partitions = st.integers(2, 12).flatmap(
    lambda n: st.tuples(*[st.lists(st.integers(0, 3), min_size=n, max_size=n)] * 2)
)


def blocks(sizes, within=0.6, between=0.2, noise=0.1, seed=0):
    labels = np.repeat(np.arange(len(sizes)), sizes)
    values = np.where(labels[:, None] == labels, within, between)
    values += np.random.default_rng(seed).uniform(-noise, noise, values.shape)
    values = (values + values.T) / 2
    np.fill_diagonal(values, 1)
    return values, labels


def test_by_hand():
    found = type_separation(BLOCKS, TYPES, 2000, seed=0)
    assert found["within"] == pytest.approx(0.8)
    assert found["between"] == pytest.approx(0.15)
    assert found["difference"] == pytest.approx(0.65)
    # Of the 3 ways to pair four tasks one reaches the observed difference.
    assert found["p"] == pytest.approx(1 / 3, abs=0.04)


def test_p_follows_the_convention():
    values, labels = blocks([6, 5, 4])
    found = type_separation(values, labels, 199, seed=1)
    assert found["p"] == 1 / 200
    assert found == type_separation(values, labels, 199, seed=1)


def test_p_is_uniform_when_types_mean_nothing():
    rng = np.random.default_rng(3)
    found = []
    for seed in range(150):
        values, labels = blocks([4, 4, 3], within=0.5, between=0.5, seed=seed)
        found.append(type_separation(values, rng.permutation(labels), 99, seed)["p"])
    assert np.mean(found) == pytest.approx(0.5, abs=0.08)
    assert np.mean(np.array(found) <= 0.05) < 0.12


def test_diagonal_is_not_used():
    changed = BLOCKS.copy()
    np.fill_diagonal(changed, 77)
    assert type_separation(changed, TYPES, 50, 0) == type_separation(BLOCKS, TYPES, 50, 0)


@pytest.mark.parametrize("types", [["2D"] * 4, ["a", "b", "c", "d"]])
def test_types_that_leave_nothing_to_compare(types):
    with pytest.raises(RepresentationError, match="at least two types"):
        type_separation(BLOCKS, types, 10, 0)


@pytest.mark.parametrize("linkage", LINKAGES.values())
def test_adjusted_rand_of_clear_blocks(linkage):
    values, labels = blocks([4, 3, 5])
    types = np.array(["2D", "3D", "semantic"])[labels]
    tree = linkage(values)
    assert adjusted_rand_index(types, cut(tree, 3)) == 1
    assert adjusted_rand_index(types, cut(tree, 2)) < 1


def test_index_by_hand():
    # Table (2 0; 1 1): together 1, rows 1 + 1, columns 3 + 0, expected 2 x 3 / 6 = 1: (1 - 1)/1.5.
    assert adjusted_rand_index([0, 0, 1, 1], [0, 0, 0, 1]) == 0
    # Table (2 0 0; 0 1 1): together 1, rows 2, columns 1, expected 1/3: (2/3) / (7/6).
    assert adjusted_rand_index(list("aabb"), [5, 5, 6, 7]) == pytest.approx(4 / 7)
    assert adjusted_rand_index([0, 0, 0], [1, 1, 1]) == 1
    assert adjusted_rand_index([0, 1, 2], [2, 1, 0]) == 1


@given(partitions)
def test_index_equals_counting_pairs(pair):
    a, b = pair
    pairs = list(itertools.combinations(range(len(a)), 2))
    same_a = np.array([a[i] == a[j] for i, j in pairs])
    same_b = np.array([b[i] == b[j] for i, j in pairs])
    expected = same_a.sum() * same_b.sum() / len(pairs)
    largest = (same_a.sum() + same_b.sum()) / 2
    index = adjusted_rand_index(a, b)
    if largest == expected:
        assert index == 1
    else:
        assert index == pytest.approx(((same_a & same_b).sum() - expected) / (largest - expected))
    assert index == adjusted_rand_index(b, a)
    assert adjusted_rand_index(a, a) == 1


def test_separation_finds_planted_types_and_partials_the_pixels_out():
    rng = np.random.default_rng(2)
    pixels, two, three = (rng.normal(size=(12, 200)) for _ in range(3))
    kinds = {"a": two, "b": two, "c": two, "d": three, "e": three, "f": three}
    features = {
        model: np.hstack([2 * pixels, kind + 0.2 * rng.normal(size=(12, 200))])
        for model, kind in kinds.items()
    }
    trained = stack_of("abcdef", features=features)
    control = stack_of("p", features={"p": pixels})
    random = stack_of("rs", seed=5)
    types = {model: "2D" if model in "abc" else "3D" for model in kinds}
    rows = separation_rows("compressed", trained, types, 2, 999, 0, pixels=control, random=random)
    by_control = {row["control"]: row for row in rows}
    assert list(by_control) == ["none", "pixels", "random", "pixels+random"]
    plain, partial = by_control["none"], by_control["pixels"]
    # Of 20 ways to split six tasks in halves, two are the planted one.
    assert plain["p"] == pytest.approx(0.1, abs=0.03)
    assert plain["ari_average"] == partial["ari_average"] == 1
    assert plain["between"] > 0.5  # what the pixels make alike
    assert abs(partial["between"]) < 0.25
    assert partial["difference"] > plain["difference"]
    expected = spearmanr(random.rdms[0], random.rdms[1]).statistic
    assert plain["random_mean"] == pytest.approx(expected, abs=1e-6)
    without = separation_rows("compressed", trained, types, 2, 99, 0, pixels=control)
    assert [row["control"] for row in without] == ["none", "pixels"]
    assert np.isnan(without[0]["random_mean"])


@pytest.mark.parametrize(
    ("types", "expected"),
    [(["2D", "3D", "3D"], True), (["2D"] * 3, False), (["a", "b", "c"], False), (["a"], False)],
)
def test_types_can_be_compared_where_there_are_pairs_of_both_kinds(types, expected):
    assert separable(types) == expected
    values = np.full((len(types), len(types)), 0.5)
    if len(types) > 1 and not expected:
        with pytest.raises(RepresentationError, match="give the networks at least two types, one"):
            type_separation(values, types, 9, seed=0)
    elif expected:  # a type of one network has no pair within
        assert type_separation(values, types, 9, seed=0)["difference"] == pytest.approx(0)
