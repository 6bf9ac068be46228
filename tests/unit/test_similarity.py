import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import linregress, rankdata, spearmanr
from taskrsa.errors import RepresentationError
from taskrsa.rsa.similarity import (
    partial_similarity_matrix,
    similarity_between,
    similarity_matrix,
)


def some_rdms(m, p, seed, levels=None):
    rng = np.random.default_rng(seed)
    rdms = rng.uniform(0, 2, (m, p)) + rng.uniform(0, 2, p)
    return np.round(rdms * levels) if levels else rdms


def test_by_hand():
    # Ranks 1 2 3 and 1 3 2: 1 - 6 (0 + 1 + 1) / (3 (9 - 1)) = 1/2.
    found = similarity_matrix(np.array([[0.1, 0.2, 0.9], [0.0, 1.0, 0.5]]))
    np.testing.assert_allclose(found, [[1, 0.5], [0.5, 1]], atol=1e-15)


def test_by_hand_with_ties():
    # Mid-ranks 1.5 1.5 3 and 1 2 3: deviations (-.5 -.5 1), (-1 0 1): 1.5 / sqrt(1.5 * 2).
    found = similarity_matrix(np.array([[5.0, 5, 6], [1, 2, 3]]))
    np.testing.assert_allclose(found[0, 1], 1.5 / 3**0.5, atol=1e-15)


@pytest.mark.parametrize("levels", [None, 2])
def test_equals_scipy(levels):
    rdms = some_rdms(6, 190, 1, levels)
    expected = spearmanr(rdms.T).statistic
    np.testing.assert_allclose(similarity_matrix(rdms), expected, atol=1e-12)
    np.testing.assert_allclose(similarity_between(rdms[:2], rdms[2:]), expected[:2, 2:], atol=1e-12)


def test_nine_in_ten_tied_needs_mid_ranks():
    rng = np.random.default_rng(0)
    rdms = np.where(rng.uniform(size=(2, 4950)) < 0.9, 0.0, rng.uniform(size=4950))
    found = similarity_matrix(rdms)[0, 1]
    assert found == pytest.approx(spearmanr(*rdms).statistic, abs=1e-12)
    wrong = np.corrcoef(rdms.argsort(kind="stable").argsort())[0, 1]
    assert abs(wrong - found) > 0.1


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 2**32 - 1), levels=st.sampled_from([None, 3]))
def test_properties(seed, levels):
    rdms = some_rdms(4, 45, seed, levels)
    found = similarity_matrix(rdms)
    np.testing.assert_array_equal(found, found.T)
    np.testing.assert_array_equal(np.diag(found), 1)
    assert np.abs(found).max() <= 1
    # Ranks know only order; a relabelling of the images only moves pairs.
    np.testing.assert_allclose(similarity_matrix(np.exp(rdms)), found, atol=1e-12)
    np.testing.assert_allclose(
        similarity_matrix(rdms[:, np.random.default_rng(seed).permutation(45)]), found, atol=1e-12
    )


def test_partial_equals_regression_of_ranks():
    rdms = some_rdms(2, 300, 5, levels=4)
    control = some_rdms(1, 300, 6)[0] + rdms[0]
    ranks, by = [rankdata(row) for row in rdms], rankdata(control)
    rest = []
    for row in ranks:
        fit = linregress(by, row)
        rest.append(row - fit.slope * by - fit.intercept)
    expected = np.corrcoef(rest)[0, 1]
    found = partial_similarity_matrix(rdms, control[None])
    assert found[0, 1] == pytest.approx(expected, abs=1e-12)
    # The textbook formula for one control.
    ab, ac, bc = (spearmanr(x, y).statistic for x, y in
                  [(rdms[0], rdms[1]), (rdms[0], control), (rdms[1], control)])  # fmt: skip
    formula = (ab - ac * bc) / np.sqrt((1 - ac**2) * (1 - bc**2))
    assert found[0, 1] == pytest.approx(formula, abs=1e-12)


def test_partial_with_several_and_collinear_controls():
    rdms, controls = some_rdms(3, 200, 7), some_rdms(2, 200, 8)
    ranks = rankdata(rdms, axis=1)
    design = np.column_stack([np.ones(200), *rankdata(controls, axis=1)])
    rest = ranks.T - design @ np.linalg.lstsq(design, ranks.T, rcond=None)[0]
    expected = np.corrcoef(rest.T)
    np.testing.assert_allclose(partial_similarity_matrix(rdms, controls), expected, atol=1e-12)
    doubled = np.vstack([controls, controls[:1]])
    np.testing.assert_allclose(partial_similarity_matrix(rdms, doubled), expected, atol=1e-10)
    np.testing.assert_allclose(
        partial_similarity_matrix(rdms, np.empty((0, 200))), similarity_matrix(rdms), atol=1e-15
    )


def test_control_that_is_a_copy_is_named():
    rdms = some_rdms(3, 100, 9)
    with pytest.raises(RepresentationError, match="depth: the controls explain"):
        partial_similarity_matrix(rdms, rdms[1:2], names=["edges", "depth", "class"])


@pytest.mark.parametrize(("bad", "word"), [(np.nan, "nan"), (None, "same number")])
def test_rdm_that_cannot_be_ranked_is_named(bad, word):
    rdms = some_rdms(3, 10, 2)
    rdms[1, slice(None) if bad is None else 4] = 0.5 if bad is None else bad
    with pytest.raises(RepresentationError, match=f"depth: .*{word}"):
        similarity_matrix(rdms, names=["edges", "depth", "class"])
    with pytest.raises(RepresentationError, match=f"RDM 1: .*{word}"):
        similarity_matrix(rdms)


def test_different_numbers_of_pairs():
    with pytest.raises(RepresentationError, match="10 and 15 pairs"):
        similarity_between(some_rdms(2, 10, 0), some_rdms(2, 15, 0))


# --- rho-a ---


def orders(row):
    """Every order in which the equal values of a row can be put, as ranks."""
    ranks = rankdata(row)
    groups = [np.flatnonzero(ranks == value) for value in np.unique(ranks)]
    for choice in itertools.product(*map(itertools.permutations, groups)):
        order = np.concatenate([np.array(places) for places in choice])
        yield order.argsort() + 1.0


def test_rho_a_by_hand():
    # Mid-ranks 1.5 1.5 3 and 1 2 3: 1.5, divided by (27 - 3) / 12.
    rows = np.array([[5.0, 5, 6], [1, 2, 3]])
    found = similarity_matrix(rows, compare="rho_a")
    np.testing.assert_allclose(found, [[1, 0.75], [0.75, 1]], atol=1e-15)


@pytest.mark.parametrize("seed", range(4))
def test_rho_a_is_the_mean_over_all_orders_of_what_is_equal(seed):
    first, second = np.random.default_rng(seed).integers(0, 4, (2, 6)).astype(float)
    expected = np.mean([spearmanr(a, b).statistic for a in orders(first) for b in orders(second)])
    found = similarity_between(first[None], second[None], compare="rho_a")
    assert found[0, 0] == pytest.approx(expected, abs=1e-12)


def test_rho_a_is_spearman_without_ties_and_less_with():
    untied, tied = some_rdms(4, 190, 1), some_rdms(4, 190, 1, levels=2)
    np.testing.assert_allclose(
        similarity_matrix(untied, compare="rho_a"), similarity_matrix(untied), atol=1e-12
    )
    off = ~np.eye(4, dtype=bool)
    assert (similarity_matrix(tied, compare="rho_a") < similarity_matrix(tied) - 0.01)[off].all()


@pytest.mark.parametrize("levels", [None, 1, 3])
def test_rho_a_and_spearman_equal_rsatoolbox(levels):
    rsatoolbox = pytest.importorskip("rsatoolbox")
    rdms = some_rdms(5, 190, 7, levels)
    theirs = rsatoolbox.rdm.RDMs(rdms[:2]), rsatoolbox.rdm.RDMs(rdms[2:])
    for compare, method in (("rho_a", "rho-a"), ("spearman", "spearman")):
        expected = rsatoolbox.rdm.compare(*theirs, method=method)
        found = similarity_between(rdms[:2], rdms[2:], compare=compare)
        np.testing.assert_allclose(found, expected, atol=1e-12)


def test_spearman_prefers_the_rdm_with_ties_and_rho_a_the_right_one():
    """Nili et al. (2014), Figure 6: a categorical RDM beside the true one, with noise."""
    rng = np.random.default_rng(0)
    category = np.repeat([0.0, 1.0], 2000)
    truth = category + rng.uniform(0, 0.9, 4000)
    noisy = truth + rng.normal(0, 1.0, 4000)
    # Of the truth's order within the categories, half is lost: what is left is worth having.
    detailed = category + rng.uniform(0, 0.9, 4000) * 0.6 + (truth - category) * 0.15
    rows = np.stack([category, detailed])
    spearman = similarity_between(noisy[None], rows)[0]
    rho_a = similarity_between(noisy[None], rows, compare="rho_a")[0]
    assert spearman[0] > spearman[1]
    assert rho_a[0] < rho_a[1]
