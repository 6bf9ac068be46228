import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import pearsonr, rankdata, spearmanr
from taskrsa.analysis.affinity import affinity_matrix, read_affinity_pickle
from taskrsa.analysis.selection import (
    COLUMNS,
    Transfer,
    baseline_rows,
    choice_ranks,
    choices,
    column_correlations,
    count_distribution,
    count_interval,
    matrices_of,
    random_order,
    selection_rows,
    table1,
    top_n,
    with_published,
)
from taskrsa.errors import DataError, RepresentationError
from taskrsa.rsa.inference import agreement_interval, bootstrap_similarity
from taskrsa.rsa.similarity import similarity_matrix
from taskrsa.tasks.dictionary import TASKS

# Five networks, three targets; "new" is not a source. By hand, own network left out:
#   a: similarity of b c d e = 4 3 2 1, transfer 10 8 6 4: correlation 1, choice b is the best.
#   b: similarity of a c d e = 1 2 3 4, transfer 4 3 2 1: correlation -1, choice e is the worst.
#   new: all five; similarity 5 4 3 2 1, transfer 4 5 3 2 1: rs = 1 - 6 * 2 / 120 = 0.9, choice a
#   is second.
SOURCES = ["a", "b", "c", "d", "e"]
TARGETS = ["a", "b", "new"]
SIMILARITY = np.array([[9, 1, 5], [4, 9, 4], [3, 2, 3], [2, 3, 2], [1, 4, 1]], dtype=float)
AFFINITY = np.array([[99, 4, 4], [10, 99, 5], [8, 3, 3], [6, 2, 2], [4, 1, 1]], dtype=float)


def frame(values, rows=SOURCES, columns=TARGETS):
    return pd.DataFrame(values, index=list(rows), columns=list(columns))


def without_own(matrix, target):
    return matrix[[i for i, source in enumerate(SOURCES) if source != target]]


def test_correlations_by_hand():
    found = column_correlations(Transfer(SIMILARITY, AFFINITY, SOURCES, TARGETS))
    np.testing.assert_allclose(found["spearman"], [1, -1, 0.9])
    np.testing.assert_allclose(found["pearson"], [1, -1, 0.9])


def test_choices_by_hand():
    ranks = choice_ranks(Transfer(SIMILARITY, AFFINITY, SOURCES, TARGETS))
    np.testing.assert_array_equal(ranks, [1, 4, 2])
    assert choices(Transfer(SIMILARITY, AFFINITY, SOURCES, TARGETS)) == ["b", "e", "a"]
    assert {n: int(count) for n, count in top_n(ranks).items()} == {1: 1, 3: 2, 5: 3}


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 2**32 - 1), levels=st.sampled_from([2, 4, 1000]))
def test_correlations_and_ranks_equal_their_definition(seed, levels):
    rng = np.random.default_rng(seed)
    similarity = np.round(rng.uniform(size=(2, 3, 5, 3)) * levels)
    affinity = np.round(rng.uniform(size=(5, 3)) * levels) + np.arange(5)[:, None] * 1e-3
    found = column_correlations(Transfer(similarity, affinity, SOURCES, TARGETS))
    ranks = choice_ranks(Transfer(similarity, affinity, SOURCES, TARGETS))
    for i, j, t in np.ndindex(2, 3, 3):
        ours = without_own(similarity[i, j, :, t], TARGETS[t])
        theirs = without_own(affinity[:, t], TARGETS[t])
        if np.ptp(ours) == 0:
            assert np.isnan(found["pearson"][i, j, t])
            assert np.isnan(found["spearman"][i, j, t])
        else:
            assert found["pearson"][i, j, t] == pytest.approx(pearsonr(ours, theirs).statistic)
            assert found["spearman"][i, j, t] == pytest.approx(spearmanr(ours, theirs).statistic)
        tied = ours == ours.max()
        assert ranks[i, j, t] == rankdata(-theirs, method="min")[tied].max()


def test_own_network_changes_nothing():
    other, transfer = SIMILARITY.copy(), AFFINITY.copy()
    other[0, 0] = other[1, 1] = -100
    transfer[0, 0] = transfer[1, 1] = np.nan
    for function in (column_correlations, choice_ranks):
        first = function(Transfer(SIMILARITY, AFFINITY, SOURCES, TARGETS))
        second = function(Transfer(other, transfer, SOURCES, TARGETS))
        np.testing.assert_equal(first, second)


def test_a_target_that_is_no_source_keeps_every_source():
    other = SIMILARITY.copy()
    other[0, 2] = -100
    assert choices(Transfer(other, AFFINITY, SOURCES, TARGETS))[2] == "b"
    assert choice_ranks(Transfer(other, AFFINITY, SOURCES, TARGETS))[2] == 1


def test_ties():
    similarity, affinity = SIMILARITY[:, [2]].copy(), AFFINITY[:, [2]].copy()
    similarity[:, 0] = [7, 7, 1, 7, 1]  # of the tied a, b, d the worst by transfer is d
    assert choice_ranks(Transfer(similarity, affinity, SOURCES, ["new"])) == [4]
    assert choices(Transfer(similarity, affinity, SOURCES, ["new"])) == ["d"]
    affinity[:, 0] = [2, 5, 5, 2, 1]  # a and d share place 3; b and c share place 1
    assert choice_ranks(Transfer(similarity, affinity, SOURCES, ["new"])) == [3]
    assert choices(Transfer(similarity, affinity, SOURCES, ["new"])) == ["a"]
    similarity[:, 0] = [1, 2, 3, 1, 1]
    assert choice_ranks(Transfer(similarity, affinity, SOURCES, ["new"])) == [1]


def test_an_undefined_draw_is_nan():
    similarity = np.stack([SIMILARITY, np.full_like(SIMILARITY, np.nan)])
    ranks = choice_ranks(Transfer(similarity, AFFINITY, SOURCES, TARGETS))
    np.testing.assert_array_equal(np.isnan(ranks), [[False] * 3, [True] * 3])
    np.testing.assert_array_equal(top_n(ranks)[3], [2, np.nan])
    found = column_correlations(Transfer(similarity, AFFINITY, SOURCES, TARGETS))
    assert np.isnan(found["pearson"][1]).all()


# --- chance ---


@pytest.mark.parametrize("ties", [False, True])
def test_random_order_equals_all_orders(ties):
    # Target x has 4 sources besides its own, target new has 5: 24 x 120 pairs of orders.
    sources, targets = ["x", *"abcd"], ["x", "new"]
    affinity = np.array([[0, 1], [1, 7], [2, 5], [2 if ties else 3, 7 if ties else 6], [9, 2]])
    affinity = affinity.astype(float)
    per_target = []
    for t, k in enumerate([4, 5]):
        orders = np.array(list(itertools.permutations(range(k))), dtype=float)
        similarity = np.full((len(orders), 5, 2), 0.0)
        similarity[:, 5 - k :, t] = orders
        similarity[:, :, 1 - t] = np.arange(5)
        found = column_correlations(Transfer(similarity, affinity, sources, targets))
        ranks = choice_ranks(Transfer(similarity, affinity, sources, targets))[:, t]
        for how in ("pearson", "spearman"):
            assert found[how][:, t].mean() == pytest.approx(0, abs=1e-12)
            assert found[how][:, t].var() == pytest.approx(1 / (k - 1))
        per_target.append((found["spearman"][:, t], ranks))
    expected = random_order(Transfer(affinity, affinity, sources, targets))
    (rs_x, ranks_x), (rs_new, ranks_new) = per_target
    deviation = np.add.outer(rs_x, rs_new).std() / 2
    for how in ("pearson", "spearman"):
        assert expected[how] == 0
        assert expected[f"{how}_high"] == pytest.approx(1.959964 * deviation)
        assert expected[f"{how}_low"] == -expected[f"{how}_high"]
    for n in (1, 3, 5):
        counts = np.add.outer((ranks_x <= n).astype(int), (ranks_new <= n).astype(int))
        assert expected[f"top{n}"] == pytest.approx(counts.mean())
        low, high = np.quantile(counts, [0.025, 0.975], method="inverted_cdf")
        assert (expected[f"top{n}_low"], expected[f"top{n}_high"]) == (low, high)
    if not ties:
        assert expected["top1"] == pytest.approx(1 / 4 + 1 / 5)
        assert expected["top3"] == pytest.approx(3 / 4 + 3 / 5)
        assert expected["top5"] == pytest.approx(2)


def test_count_distribution_equals_enumeration():
    chances = [0.1, 0.5, 0.9, 0.3]
    expected = np.zeros(5)
    for outcome in itertools.product([0, 1], repeat=4):
        expected[sum(outcome)] += np.prod(
            [p if hit else 1 - p for p, hit in zip(chances, outcome, strict=True)]
        )
    np.testing.assert_allclose(count_distribution(np.array(chances)), expected)


def test_count_interval_by_hand():
    assert count_interval(np.array([0.01, 0.5, 0.465, 0.025])) == (1, 2)
    assert count_interval(np.array([1.0])) == (0, 0)
    assert count_interval(np.array([0.025, 0.95, 0.025])) == (0, 1)  # quantiles just reached


# --- tables ---


def rdms_of(strength, n=40, seed=0):
    """Return RDMs of the five networks and a sixth, "new": neighbours in the list are alike."""
    rng = np.random.default_rng(seed)
    place = np.linspace(0, 1, 6)[:, None]
    p = n * (n - 1) // 2
    first, second, noise = rng.uniform(size=p), rng.uniform(size=p), rng.uniform(size=(6, p))
    return (strength * (place * first + (1 - place) * second) + noise).astype(np.float32)


def method(strength, seed=0, resamples=200):
    names = [*SOURCES, "new"]
    rdms = rdms_of(strength, seed=seed)
    estimate = pd.DataFrame(similarity_matrix(rdms), index=names, columns=names)
    return estimate, bootstrap_similarity(rdms, resamples, seed=3)


def distance_affinity():
    place = np.arange(6.0)
    values = -np.abs(place[:, None] - place + 0.1)
    return frame(values[:5], SOURCES, [*SOURCES, "new"])


def test_rows_by_hand():
    rows = selection_rows("measured", "toy", "Toy", frame(SIMILARITY), None, frame(AFFINITY))
    assert [row["target"] for row in rows] == [*TARGETS, "mean"]
    assert all(tuple(row) == COLUMNS for row in rows)
    table = pd.DataFrame(rows).set_index("target")
    assert list(table["choice"][:3]) == ["b", "e", "a"]
    assert list(table["choice_rank"][:3]) == [1, 4, 2]
    assert list(table["n_sources"][:3]) == [4, 4, 5]
    assert table.loc["mean", "spearman"] == pytest.approx(0.3)
    assert list(table.loc["mean", ["top1", "top3", "top5", "n_targets"]]) == [1, 2, 3, 3]
    assert table.loc[TARGETS, ["top1", "n_targets", "spearman_less_rsa"]].isna().all(axis=None)
    assert table.loc["mean", ["choice", "choice_rank", "n_sources"]].isna().all()
    assert table.filter(regex="_(low|high)$").isna().all(axis=None)  # nothing was resampled


def test_intervals_are_those_of_the_draws():
    similarity, draws = method(2)
    affinity = distance_affinity()
    rows = selection_rows("measured", "rsa", "RSA", similarity, draws, affinity)
    targets = list(affinity.columns)
    by_draw = column_correlations(Transfer(draws[:, :5], affinity.to_numpy(), SOURCES, targets))
    tops = top_n(choice_ranks(Transfer(draws[:, :5], affinity.to_numpy(), SOURCES, targets)))
    mean = rows[-1]
    for how in ("pearson", "spearman"):
        ends = agreement_interval(np.r_[mean[how], by_draw[how].mean(axis=1)])
        assert (mean[f"{how}_low"], mean[f"{how}_high"]) == pytest.approx(ends)
        for t in range(6):
            low, _ = agreement_interval(np.r_[rows[t][how], by_draw[how][:, t]])
            assert rows[t][f"{how}_low"] == pytest.approx(low)
            assert rows[t][f"{how}_low"] <= rows[t][how] + 1e-9
            assert rows[t][how] <= rows[t][f"{how}_high"] + 1e-9
    for n in (1, 3, 5):
        assert mean[f"top{n}_low"] == np.quantile(tops[n], 0.025)
        assert mean[f"top{n}_low"] <= mean[f"top{n}"] <= mean[f"top{n}_high"]
    assert np.isnan(mean["spearman_less_rsa"])
    again = selection_rows("measured", "rsa", "RSA", similarity, draws, affinity)
    pd.testing.assert_frame_equal(pd.DataFrame(rows), pd.DataFrame(again))


def test_difference_is_paired_over_the_same_targets():
    rsa, weak = method(2), method(0.5, seed=1)
    affinity = distance_affinity()
    some = ["b", "d", "new"]  # the weaker method has fewer targets, and in another order
    positions = [5, 3, 1]
    similarity, draws = weak[0].iloc[:, positions], weak[1][:, :, positions]
    rows = selection_rows("measured", "weak", "W", similarity, draws, affinity, reference=rsa)
    assert [row["target"] for row in rows] == [*some, "mean"]
    targets = affinity[some].to_numpy()
    ours, theirs = (
        column_correlations(Transfer(draws[:, :5][:, :, [1, 3, 5]], targets, SOURCES, some))
        for draws in (weak[1], rsa[1])
    )
    less = ours["spearman"].mean(axis=1) - theirs["spearman"].mean(axis=1)
    mean = rows[-1]
    assert mean["n_targets"] == 3
    ends = agreement_interval(np.r_[mean["spearman_less_rsa"], less], limit=2)
    assert mean["spearman_less_rsa_low"] == pytest.approx(ends[0])
    assert mean["spearman_less_rsa_high"] == pytest.approx(ends[1])
    alone = selection_rows("measured", "rsa", "R", rsa[0][some], rsa[1][..., [1, 3, 5]], affinity)
    assert mean["spearman_less_rsa"] == pytest.approx(mean["spearman"] - alone[-1]["spearman"])
    itself = selection_rows("measured", "rsa", "R", *rsa, affinity, reference=rsa)[-1]
    assert itself["spearman_less_rsa_low"] == itself["spearman_less_rsa_high"] == 0


def test_order_of_names_does_not_matter():
    similarity, draws = method(2)
    affinity = distance_affinity()
    order = [4, 0, 5, 2, 1, 3]
    shuffled = similarity.iloc[order, order], draws[:, order][:, :, order]
    first = selection_rows("measured", "rsa", "R", similarity, draws, affinity)
    second = selection_rows("measured", "rsa", "R", *shuffled, affinity)
    pd.testing.assert_frame_equal(pd.DataFrame(first), pd.DataFrame(second))


def test_baselines():
    rsa = method(2)
    affinity = distance_affinity()
    quality = pd.Series({"e": 5.0, "d": 4.0, "c": 3.0, "b": 2.0, "a": 1.0})
    rows = pd.DataFrame(baseline_rows("measured", affinity, quality, reference=rsa))
    random = rows[rows["method"] == "random"].iloc[0]
    assert random["target"] == "mean"
    assert random["top1"] == pytest.approx(5 / 4 + 1 / 5)
    assert random["spearman"] == 0
    assert random["top1_low"] == 0
    by_quality = rows[rows["method"] == "quality"].set_index("target")
    assert list(by_quality["choice"][:6]) == ["e", "e", "e", "e", "d", "e"]
    assert by_quality.loc["new", "spearman"] == pytest.approx(1)  # e is nearest to new
    assert by_quality.loc["a", "spearman"] == pytest.approx(-1)
    assert by_quality.filter(regex="^(pearson|spearman|top.)_(low|high)$").isna().all(axis=None)
    mean = by_quality.loc["mean"]
    assert mean["spearman_less_rsa_low"] < mean["spearman_less_rsa_high"]  # rsa varies
    rows = baseline_rows("measured", affinity)
    assert [row["method"] for row in rows] == ["random"]


def test_published_values_and_table1():
    similarity, draws = method(2)
    affinity = distance_affinity()
    rows = selection_rows("measured", "rsa", "RSA", similarity, draws, affinity)
    rows += baseline_rows("measured", affinity)
    selection = with_published(rows)
    assert tuple(selection.columns) == COLUMNS
    published = selection.iloc[-1]
    assert published["method"] == "published"
    assert (published["pearson"], published["spearman"]) == (0.70, 0.76)
    table = table1(selection)
    assert list(table["method"]) == ["rsa", "random", "published"]
    assert list(table.iloc[-1][["top1", "top3", "top5", "n"]]) == [7, 14, 16, 17]
    mean = rows[-2]
    for n in (1, 3, 5):
        for end in ("", "_low", "_high"):
            assert table.iloc[0][f"top{n}{end}"] == mean[f"top{n}{end}"]
    pd.testing.assert_frame_equal(table, table1(pd.DataFrame(rows)))


def test_public_affinities(real_data):
    path = real_data / "taskonomy" / "all_affinities.pkl"
    digest = "6b2d42a7281fe4eac2f5f32499f12c3da63292d4a5d8f04bf1b8b97d9687260c"
    tasks = [task.id for task in TASKS.values() if task.affinity_name]
    affinity = affinity_matrix(read_affinity_pickle(path, digest), tasks)
    random = baseline_rows("published", affinity)[0]
    assert random["n_targets"] == 17
    assert random["top5"] == pytest.approx(17 * 5 / 16)
    assert random["top5_high"] < 16  # the published count is beyond chance
    assert random["spearman_high"] == pytest.approx(1.96 / (15 * 17) ** 0.5, rel=1e-3)
    perfect = selection_rows("published", "oracle", "O", affinity, None, affinity)[-1]
    assert (perfect["spearman"], perfect["top1"]) == (pytest.approx(1), 17)


# --- refusals ---


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda s, a: (s, a.assign(b=1.0)), RepresentationError, "transfers to b alike"),
        (lambda s, a: (s.assign(b=1.0), a), RepresentationError, "toy: its similarities to b"),
        (lambda s, a: (s.add_prefix("x "), a), DataError, "toy: none of its targets"),
        (
            lambda s, a: (s, a.loc[["a", "b", "c"]]),
            RepresentationError,
            "a: 2 networks to rank",
        ),
    ],
)
def test_refusals_name_method_and_task(change, error, message):
    similarity, affinity = change(frame(SIMILARITY), frame(AFFINITY))
    with pytest.raises(error, match=message):
        selection_rows("measured", "toy", "Toy", similarity, None, affinity)


# --- matrices made elsewhere ---


def test_matrices_of_a_table_are_named_by_what_differs():
    pairs = [("x", "y"), ("x", "z"), ("z", "y")]
    table = pd.DataFrame(
        [
            {"stimuli": s, "how": h, "kind": "cka", "task_a": a, "task_b": b, "similarity": at + n}
            for n, (s, h) in enumerate([("own", "None"), ("own", "z"), ("other", "z")])
            for at, (a, b) in enumerate(pairs)
        ]
    )
    found = matrices_of(table, {"stimuli": "own"})
    assert list(found) == ["None", "z"]
    assert found["z"].loc["y", "z"] == found["z"].loc["z", "y"] == 3
    assert found["z"].loc["x", "x"] == 1
    assert list(matrices_of(table, {})) == ["own_None", "own_z", "other_z"]
    assert list(matrices_of(table, {"stimuli": "other"})) == ["given"]
    with pytest.raises(DataError, match="has no row of stimuli nyuv2"):
        matrices_of(table, {"stimuli": "nyuv2"})
    with pytest.raises(DataError, match="has no column place"):
        matrices_of(table, {"place": "own"})
    with pytest.raises(DataError, match="similarity matrix z has no value for"):
        matrices_of(table.drop(index=3), {"stimuli": "own"})


def test_a_target_s_own_network_counts_among_the_sources_in_a_column_of_its_own():
    names = ["x", "y", "z", "w"]
    similarity = pd.DataFrame(
        np.array([[9, 3, 2, 1], [3, 9, 1, 2], [2, 1, 9, 3], [1, 2, 3, 9]]), names, names
    )
    # Of the others, transfer is the opposite of similarity; a network transfers best to itself.
    affinity = pd.DataFrame(np.where(np.eye(4) > 0, 9, 4 - similarity), names, names)
    mean = selection_rows("measured", "toy", "Toy", similarity, None, affinity)[-1]
    assert mean["spearman"] == pytest.approx(-1)
    assert mean["spearman_with_own"] == pytest.approx(0.2)
    assert np.isnan(mean["spearman_published"])
    known = selection_rows("win rates", "cosine_znorm", "C", similarity, None, affinity)[-1]
    assert known["spearman_published"] == 0.838
