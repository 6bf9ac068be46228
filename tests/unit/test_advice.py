"""Which network first, what is indistinguishable from it, and what fewer images would have said."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import false_discovery_control, rankdata
from taskrsa.analysis.advice import rank_by_images, rank_networks, target_similarity
from taskrsa.errors import DataError, RepresentationError
from taskrsa.rsa.inference import (
    bootstrap_counts,
    confidence_interval,
    permutation_p,
    resampled_similarity,
    retrained,
)
from taskrsa.rsa.similarity import similarity_between
from taskrsa.rsa.stacks import RDMStack

N = 30
NETWORKS = ("edge2d", "class_1000", "mine", "edge3d", "segmentsemantic", "denoise")
STYLES = {"mine": ("my network", "language"), "edge3d": ("occlusion edges", "3D")}
COUNTS = bootstrap_counts(N, 120, seed=3)
PERMUTATIONS = 2500
# Each network's share of what the target's RDM is made of; "denoise" has none of it.
SHARES = np.array([0.1, 0.8, 0.45, 0.77, 0.55, 0.0])


def stacks(n_seeds: int = 3) -> tuple[RDMStack, RDMStack]:
    """Return RDMs of the small models and of a bank that shares more or less with them."""
    rng = np.random.default_rng(0)
    p = N * (N - 1) // 2
    common = rng.normal(size=p)
    target = common + 0.5 * rng.normal(size=(n_seeds, p))
    shares = SHARES[:, None]
    bank = shares * common + np.sqrt(1 - shares**2) * rng.normal(size=(6, p))
    seeds = tuple(f"small model, seed {seed}" for seed in range(n_seeds))
    return RDMStack(seeds, target), RDMStack(NETWORKS, bank)


@pytest.fixture(scope="module")
def ranked() -> pd.DataFrame:
    return rank_networks(*stacks(), COUNTS, PERMUTATIONS, 1, styles=STYLES)


# --- the ranking ---


def test_the_ranking_is_the_mean_over_seeds_most_similar_first(ranked):
    target, bank = stacks()
    similarity = similarity_between(target.rdms, bank.rdms)
    table = ranked.set_index("model").loc[list(NETWORKS)]
    np.testing.assert_allclose(table["rs"], similarity.mean(axis=0))
    np.testing.assert_allclose(table["rs_sd"], similarity.std(axis=0, ddof=1))
    assert ranked["rs"].is_monotonic_decreasing
    assert list(ranked["rank"]) == [1, 2, 3, 4, 5, 6]
    assert ranked["model"].iloc[0] == "class_1000"
    assert (ranked["n_seeds"] == 3).all()


def test_intervals_are_of_the_mean_and_of_its_rank(ranked):
    target, bank = stacks()
    table = ranked.set_index("model").loc[list(NETWORKS)]
    means = retrained(resampled_similarity(target.rdms, COUNTS, others=bank.rdms), [1, 0])
    low, high = confidence_interval(means)
    np.testing.assert_allclose(table["ci_low"], low)
    np.testing.assert_allclose(table["ci_high"], high)
    ranks = np.array([rankdata(-row) for row in means])
    np.testing.assert_array_equal(table["rank_low"], np.floor(np.quantile(ranks, 0.025, axis=0)))
    np.testing.assert_array_equal(table["rank_high"], np.ceil(np.quantile(ranks, 0.975, axis=0)))
    assert (table["rank_low"] < table["rank_high"]).any()


def test_related_networks_are_distinguished_from_unrelated_ones(ranked):
    target, bank = stacks()
    mean_ranks = np.mean([rankdata(rdm) for rdm in target.rdms], axis=0)[None]
    p = permutation_p(mean_ranks, bank.rdms, PERMUTATIONS, 1)[0]
    table = ranked.set_index("model").loc[list(NETWORKS)]
    np.testing.assert_array_equal(table["p"], p)
    np.testing.assert_allclose(table["q"], false_discovery_control(p))
    assert table.loc["class_1000", "stars"] == "***"
    assert table.loc["denoise", "stars"] == ""
    for row in table.itertuples():
        assert len(row.stars) == (row.q < 0.05) + (row.q < 0.01) + (row.q < 0.001)


def test_networks_have_the_labels_and_types_given(ranked):
    table = ranked.set_index("model")
    assert tuple(table.loc["mine", ["label", "type"]]) == ("my network", "language")
    assert tuple(table.loc["edge3d", ["label", "type"]]) == ("occlusion edges", "3D")
    assert tuple(table.loc["edge2d", ["label", "type"]]) == ("edge2d", "")


def test_the_published_order_stands_beside_where_there_is_one(ranked):
    assert "rank_published" not in ranked
    published = ("edge3d", "absent", "class_1000")
    table = rank_networks(*stacks(), COUNTS[:9], 9, 1, published=published).set_index("model")
    assert table.loc[["edge3d", "class_1000"], "rank_published"].tolist() == [1, 3]
    assert table["rank_published"].isna().sum() == 4


def test_one_small_model_has_no_deviation():
    table = rank_networks(*stacks(1), COUNTS[:20], 9, 1)
    assert table["rs_sd"].isna().all()
    assert table[["rs", "ci_low", "ci_high", "p"]].notna().all(axis=None)


def test_what_cannot_be_ranked_is_named():
    target, bank = stacks()
    target.rdms[1] = 0.5
    with pytest.raises(RepresentationError, match="small model, seed 1"):
        rank_networks(target, bank, COUNTS, 9, 1)
    target.rdms[1, 0], bank.rdms[3] = 0.6, 0.5
    with pytest.raises(RepresentationError, match="edge3d"):
        rank_networks(target, bank, COUNTS, 9, 1)


def test_similarities_and_their_resamples_are_of_the_same_networks():
    similarity = target_similarity(*stacks(), COUNTS)
    assert similarity.networks == NETWORKS
    assert (similarity.values.shape, similarity.draws.shape) == ((3, 6), (120, 3, 6))


# --- what is tied with the first ---


def sharing(mixes: list[float], seed: int = 0) -> tuple[RDMStack, RDMStack]:
    """Return the RDM of a target and those of networks that share as much with it as said."""
    rng = np.random.default_rng(seed)
    common = rng.normal(size=(N, 10))
    found = [
        1 - np.corrcoef(mix * common + (1 - mix) * rng.normal(size=(N, 10)))[np.triu_indices(N, 1)]
        for mix in (1.0, *mixes)
    ]
    names = tuple(f"net{at}" for at in range(len(mixes)))
    return RDMStack(("target",), np.array(found[:1])), RDMStack(names, np.array(found[1:]))


def advised(target: RDMStack, bank: RDMStack, seed: int = 0) -> pd.DataFrame:
    return rank_networks(target, bank, bootstrap_counts(N, 200, seed), 99, seed).set_index("model")


def test_a_copy_of_the_target_stands_out_from_noise():
    target, bank = sharing([0.0, 0.95, 0.0])
    rows = advised(target, bank)
    assert rows.index[0] == "net1"
    assert rows["tied"].to_dict() == {"net1": "yes", "net0": "no", "net2": "no"}
    assert rows.loc["net1", "behind"] == 0
    assert rows.loc["net0", "behind"] == pytest.approx(
        rows.loc["net1", "rs"] - rows.loc["net0", "rs"]
    )
    assert (rows["behind_low"] <= rows["behind"]).all()


def test_equal_networks_are_tied_whatever_the_order():
    target, bank = sharing([0.6, 0.0])
    first, second = bank.rdms
    same = RDMStack(("net0", "net1", "net2"), np.array([first, second, first]))
    rows = advised(target, same)
    assert rows.loc[["net0", "net2"], "tied"].tolist() == ["yes", "yes"]
    assert rows.loc["net1", "tied"] == "no"


def test_networks_that_share_nothing_with_the_target_are_all_tied():
    target, bank = sharing([0.0, 0.0, 0.0], seed=3)
    assert (advised(target, bank)["tied"] == "yes").all()


def test_the_interval_holds_for_all_at_once():
    target, bank = sharing([0.7, 0.5, 0.4, 0.3, 0.2, 0.1])
    counts = bootstrap_counts(N, 400, 0)
    rows = rank_networks(target, bank, counts, 99, 0).set_index("model").loc[list(bank.models)]
    similarity = target_similarity(target, bank, counts)
    first = similarity.values.mean(0).argmax()
    drawn = similarity.draws.mean(1)[:, [first]] - similarity.draws.mean(1)
    low, high = confidence_interval(drawn)
    wider = (rows["behind_high"] - rows["behind_low"]).to_numpy()
    assert (np.delete(wider, first) > np.delete(high - low, first)).all()
    inside = (drawn >= rows["behind_low"].to_numpy()) & (drawn <= rows["behind_high"].to_numpy())
    # The estimate is not the middle of its resamples, so not exactly 95 %.
    assert 0.85 < inside.all(axis=1).mean() <= 1


def distinguished(mixes: list[float], data: range) -> np.ndarray:
    """Return for many sets of data (D, m) which networks are not tied with the first."""
    found = []
    for seed in data:
        target, bank = sharing(mixes, seed)
        counts = bootstrap_counts(N, 100, seed)
        rows = rank_networks(target, bank, counts, 1, seed).set_index("model")
        found.append((rows.loc[list(bank.models), "tied"] == "no").to_numpy())
    return np.array(found)


def test_equally_good_networks_are_rarely_distinguished_and_worse_ones_mostly():
    # 95 % for all at once: of 40 sets of data, two should distinguish any equal from the first.
    assert distinguished([0.5] * 5, range(40)).any(axis=1).sum() <= 5
    apart = distinguished([0.8, 0.8, 0.2, 0.2], range(20))
    assert apart[:, 2:].mean() > 0.9
    assert apart[:, :2].mean() < 0.1


# --- fewer images ---


def test_more_images_are_more_certain():
    target, bank = sharing([0.6, 0.4, 0.0])
    rows = rank_by_images(target, bank, [5, 10, 30, 500], 300, 0)
    assert rows["n_images"].tolist() == [5, 10, 30]
    assert rows["same_first"].is_monotonic_increasing
    assert rows["same_first"].iloc[-1] > rows["same_first"].iloc[0] + 0.1
    assert rows["n_tied"].is_monotonic_decreasing
    assert (rows["in_tied"] >= rows["same_first"]).all()
    assert rows["spearman"].is_monotonic_increasing
    again = rank_by_images(target, bank, [10], 300, 0)
    pd.testing.assert_series_equal(again.iloc[0], rows.iloc[1], check_names=False)


def test_sizes_that_cannot_be_drawn():
    target, bank = sharing([0.6, 0.0])
    for sizes in ([2, 10], [500], []):
        with pytest.raises(DataError, match=f"from 3 to the {N} there are"):
            rank_by_images(target, bank, sizes, 20, 0)


def test_two_networks_have_no_correlation_of_rankings():
    target, bank = sharing([0.9, 0.0])
    rows = rank_by_images(target, bank, [N], 50, 0)
    assert rows["spearman"].isna().all()
    assert rows["same_first"].iloc[0] > 0.9
