import itertools

import numpy as np
import pandas as pd
import pytest
from scipy.stats import kendalltau, pearsonr, rankdata, spearmanr
from taskrsa.analysis.outcomes import (
    PUBLISHED_MIOU,
    PUBLISHED_ORDER,
    PUBLISHED_TABLE2,
    choice_gain,
    correlations,
    figure8_rows,
    prediction_rows,
    table2,
    target_similarity,
)
from taskrsa.errors import DataError, RepresentationError
from taskrsa.rsa.inference import (
    bootstrap_counts,
    confidence_interval,
    fdr_bh,
    permutation_p,
    resampled_similarity,
)
from taskrsa.rsa.similarity import similarity_between
from taskrsa.tasks.dictionary import TASKS

N = 30
SOURCES = ["edge2d", "class_1000", "mine", "edge3d", "segmentsemantic", "denoise"]
MODELS = {"mine": ("my network", "language")}
COUNTS = bootstrap_counts(N, 120, seed=3)
PERMUTATIONS = 2500
# Each encoder's share of what the new task's RDM is made of; "denoise" has none of it.
SHARES = np.array([0.1, 0.8, 0.45, 0.77, 0.55, 0.0])


def rdms(n_seeds=3):
    """Return RDMs of the small models and of a bank that shares more or less with them."""
    rng = np.random.default_rng(0)
    p = N * (N - 1) // 2
    common = rng.normal(size=p)
    target = common + 0.5 * rng.normal(size=(n_seeds, p))
    shares = SHARES[:, None]
    return target, shares * common + np.sqrt(1 - shares**2) * rng.normal(size=(6, p))


def scores(miou, *, noise=0.0, n_seeds=2, random=(0.3, 0.2)):
    """Return runs: the models' mIoU, moved between seeds by +- noise, model by model."""
    named = dict(zip(SOURCES, miou, strict=True))
    named |= dict(zip(("random", "random_small"), random, strict=False))
    rows = []
    for k, (model, value) in enumerate(named.items()):
        for seed in range(n_seeds):
            shift = noise * (seed - (n_seeds - 1) / 2) * (-1) ** k
            row = {"model": model, "seed": seed, "miou": value + shift, "n_val": 40}
            row |= {"iou_sky": value + seed / 10, "iou_tv": np.nan if seed else value}
            rows.append(row)
    return pd.DataFrame(rows).sample(frac=1, random_state=0)


MIOU = [0.40, 0.60, 0.52, 0.62, 0.50, 0.35]


@pytest.fixture(scope="module")
def ranked():
    return figure8_rows(*rdms(), SOURCES, N, COUNTS, PERMUTATIONS, 1, models=MODELS)


@pytest.fixture(scope="module")
def compared():
    return target_similarity(*rdms(), SOURCES, COUNTS)


# --- Figure 8 ---


def test_figure8_is_the_mean_over_seeds_most_similar_first(ranked):
    target, bank = rdms()
    similarity = similarity_between(target, bank)
    table = ranked.set_index("model").loc[SOURCES]
    np.testing.assert_allclose(table["rs"], similarity.mean(axis=0))
    np.testing.assert_allclose(table["rs_sd"], similarity.std(axis=0, ddof=1))
    assert ranked["rs"].is_monotonic_decreasing
    assert list(ranked["rank"]) == [1, 2, 3, 4, 5, 6]
    assert ranked["model"].iloc[0] == "class_1000"
    assert (ranked["n_seeds"] == 3).all()


def test_figure8_intervals_are_of_the_mean_and_of_its_rank(ranked):
    target, bank = rdms()
    table = ranked.set_index("model").loc[SOURCES]
    means = resampled_similarity(target, COUNTS, others=bank).mean(axis=1)
    low, high = confidence_interval(means)
    np.testing.assert_allclose(table["ci_low"], low)
    np.testing.assert_allclose(table["ci_high"], high)
    ranks = np.array([rankdata(-row) for row in means])
    np.testing.assert_array_equal(table["rank_low"], np.floor(np.quantile(ranks, 0.025, axis=0)))
    np.testing.assert_array_equal(table["rank_high"], np.ceil(np.quantile(ranks, 0.975, axis=0)))
    assert (table["rank_low"] < table["rank_high"]).any()


def test_figure8_tells_related_from_unrelated(ranked):
    target, bank = rdms()
    mean_ranks = np.mean([rankdata(rdm) for rdm in target], axis=0)[None]
    p = permutation_p(mean_ranks, bank, N, PERMUTATIONS, 1)[0]
    table = ranked.set_index("model").loc[SOURCES]
    np.testing.assert_array_equal(table["p"], p)
    np.testing.assert_allclose(table["q"], fdr_bh(p))
    assert table.loc["class_1000", "stars"] == "***"
    assert table.loc["denoise", "stars"] == ""
    for row in table.itertuples():
        assert len(row.stars) == (row.q < 0.05) + (row.q < 0.01) + (row.q < 0.001)


def test_figure8_names_models_as_figures_do(ranked):
    table = ranked.set_index("model")
    assert tuple(table.loc["mine", ["label", "type"]]) == ("my network", "language")
    assert tuple(table.loc["edge3d", ["label", "type"]]) == ("occlusion edges", "3D")
    plain = figure8_rows(*rdms(), SOURCES, N, COUNTS[:5], 9, 1).set_index("model")
    assert tuple(plain.loc["mine", ["label", "type"]]) == ("mine", "")


def test_one_small_model_has_no_deviation():
    target, bank = rdms(1)
    table = figure8_rows(target, bank, SOURCES, N, COUNTS[:20], 9, 1)
    assert table["rs_sd"].isna().all()
    assert table[["rs", "ci_low", "ci_high", "p"]].notna().all(axis=None)


def test_figure8_refuses():
    target, bank = rdms()
    with pytest.raises(DataError, match="for 5 encoders"):
        figure8_rows(target, bank, SOURCES[:5], N, COUNTS, 9, 1)
    with pytest.raises(DataError, match="RDMs of 30 images, not 31"):
        figure8_rows(target, bank, SOURCES, N + 1, COUNTS, 9, 1)
    target[1] = 0.5
    with pytest.raises(RepresentationError, match="small model, seed 1"):
        figure8_rows(target, bank, SOURCES, N, COUNTS, 9, 1)
    target[1, 0], bank[3] = 0.6, 0.5
    with pytest.raises(RepresentationError, match="edge3d"):
        figure8_rows(target, bank, SOURCES, N, COUNTS, 9, 1)


# --- Table 2 ---


def test_table2_stands_in_the_order_of_similarity_random_last(ranked):
    table = table2(scores(MIOU, noise=0.02), ranked, models=MODELS)
    assert list(table["model"]) == [*ranked["model"], "random", "random_small"]
    named = table.set_index("model")
    np.testing.assert_allclose(named.loc[SOURCES, "miou_mean"], MIOU)
    np.testing.assert_allclose(named["miou_sd"], 0.02 / np.sqrt(2))
    np.testing.assert_allclose(named.loc[SOURCES, "miou_rank"], [5, 2, 3, 1, 4, 6])
    both = named.loc[ranked["model"]]
    for ours, theirs in (("rs", "rs"), ("rs_low", "ci_low"), ("rs_high", "ci_high")):
        np.testing.assert_array_equal(both[ours], ranked[theirs])
    assert tuple(named.loc["mine", ["label", "type"]]) == ("my network", "language")
    assert (named["n_seeds"] == 2).all()
    assert (named["n_val"] == 40).all()
    assert named.loc["edge3d", "iou_sky"] == pytest.approx(0.67)
    assert named.loc["edge3d", "iou_tv"] == pytest.approx(0.62)  # nan in one seed
    for name, label in (("random", "bank encoder"), ("random_small", "small encoder")):
        assert named.loc[name, "label"] == f"random, {label}"
        assert named.loc[name, ["rs", "rs_low", "rs_high", "rank", "miou_rank"]].isna().all()
    assert named.loc["edge3d", "miou_published"] == 0.649696
    assert np.isnan(named.loc["mine", "miou_published"])


def test_table2_leaves_out_encoders_that_were_not_fine_tuned(ranked):
    some = scores(MIOU, n_seeds=1)
    some = some[~some["model"].isin(["edge3d", "random"])].drop(columns=["iou_sky", "iou_tv"])
    table = table2(some, ranked).set_index("model")
    assert set(table.index) == {*SOURCES, "random_small"} - {"edge3d"}
    assert table["miou_sd"].isna().all()
    np.testing.assert_array_equal(
        table["rank"].dropna(), ranked.set_index("model").drop("edge3d")["rank"]
    )


def test_scores_say_what_is_wrong(ranked):
    good = scores(MIOU)

    def refused(match, table):
        with pytest.raises(DataError, match=match):
            table2(table, ranked)

    edge = (good["model"] == "edge3d") & (good["seed"] == 1)
    refused("edge3d: no run of seed 1, which other models have", good[~edge])
    refused("edge3d, seed 1: scored twice", pd.concat([good, good[edge]]))
    refused("edge3d, seed 1: mIoU 62", good.assign(miou=good["miou"].where(~edge, 62.0)))
    refused("edge3d, seed 1: mIoU nan", good.assign(miou=good["miou"].where(~edge)))
    refused("edge3d, seed 1: scored on 39 images", good.assign(n_val=40 - edge.astype(int)))
    refused("other: fine-tuned, but not among", good.replace({"model": {"edge3d": "other"}}))
    for column in ("model", "seed", "miou", "n_val"):
        refused(f"no column {column}", good.drop(columns=column))
    refused("no rows", good.iloc[:0])
    refused("scores of 0 encoders", good[good["model"].str.startswith("random")])
    with pytest.raises(DataError, match="rankings: no column rank;"):
        table2(good, ranked.drop(columns="rank"))


# --- Does the ranking predict the scores? ---


def test_correlations_equal_scipy():
    rng = np.random.default_rng(2)
    first = rng.integers(0, 5, size=(4, 1, 9)).astype(float)  # with ties
    second = rng.integers(0, 9, size=(3, 9)).astype(float)
    found = correlations(first, second)
    for i, j in np.ndindex(4, 3):
        a, b = first[i, 0], second[j]
        assert found["kendall"][i, j] == pytest.approx(kendalltau(a, b).statistic)
        assert found["spearman"][i, j] == pytest.approx(spearmanr(a, b).statistic)
        assert found["pearson"][i, j] == pytest.approx(pearsonr(a, b).statistic)
    assert np.isnan(correlations(np.ones(4), np.arange(4.0))["kendall"])
    assert np.isnan(correlations([1, 2, np.nan, 4], np.arange(4.0))["kendall"])
    # 1 2 3 4 against 1 3 2 4: one of six pairs turned round.
    assert correlations([1, 2, 3, 4], [1, 3, 2, 4])["kendall"] == pytest.approx(4 / 6)


def test_prediction_is_of_the_means_over_seeds(compared):
    runs = scores(MIOU, noise=0.1)
    row = prediction_rows(*compared, SOURCES, runs, 99, 1).iloc[0]
    similarity = compared[0]
    rs = similarity.mean(axis=0)
    assert row["ranking"] == "small model"
    assert row["spearman"] == pytest.approx(spearmanr(rs, MIOU).statistic)
    assert row["kendall"] == pytest.approx(kendalltau(rs, MIOU).statistic)
    assert row["pearson"] == pytest.approx(pearsonr(rs, MIOU).statistic)
    assert tuple(row[["n_models", "n_seeds_small", "n_seeds"]]) == (6, 3, 2)
    wide = runs.pivot(index="model", columns="seed", values="miou").loc[SOURCES].to_numpy()
    singles = [
        pearsonr(one, wide[:, t]).statistic for one, t in itertools.product(similarity, (0, 1))
    ]
    assert row["pearson_one_seed"] == pytest.approx(np.mean(singles), abs=1e-9)
    assert row["seeds_agree"] == pytest.approx(spearmanr(wide[:, 0], wide[:, 1]).statistic)


def test_prediction_does_not_depend_on_the_order_of_rows_and_leaves_random_out(compared):
    runs = scores(MIOU, noise=0.1)
    first = prediction_rows(*compared, SOURCES, runs, 99, 1)
    second = prediction_rows(*compared, SOURCES, runs.sort_values("miou"), 99, 1)
    pd.testing.assert_frame_equal(first, second)
    without = runs[~runs["model"].str.startswith("random")]
    pd.testing.assert_frame_equal(first, prediction_rows(*compared, SOURCES, without, 99, 1))


def test_encoders_without_scores_are_left_out_of_the_prediction(compared):
    runs = scores(MIOU)
    some = runs[~runs["model"].isin(["mine", "edge2d"])]
    keep = [1, 3, 4, 5]
    row = prediction_rows(*compared, SOURCES, some, 99, 1).iloc[0]
    rs = compared[0].mean(axis=0)
    assert row["n_models"] == 4
    assert row["pearson"] == pytest.approx(pearsonr(rs[keep], np.array(MIOU)[keep]).statistic)


def test_intervals_widen_with_every_source_of_noise(compared):
    similarity, draws = compared
    still = np.broadcast_to(similarity.mean(axis=0), similarity.shape)
    frozen = np.broadcast_to(still, draws.shape)

    def width(*args):
        row = prediction_rows(args[0], args[1], SOURCES, scores(MIOU, noise=args[2]), 9, 1).iloc[0]
        return row["pearson_high"] - row["pearson_low"]

    assert width(still, frozen, 0.0) == pytest.approx(0)
    assert width(still, frozen, 0.1) > 0.01  # runs of the fine-tuning
    assert width(similarity, draws, 0.0) > 0.01  # images
    apart = still + 0.1 * np.array([[1], [0], [-1]]) * np.array([1, -1, 1, -1, 1, -1])
    assert width(apart, np.broadcast_to(apart, draws.shape), 0.0) > 0.01  # small models


@pytest.mark.parametrize("n_seeds", [2, 3, 5])
def test_resampled_runs_vary_as_new_seeds_would(n_seeds):
    # The mean mIoU of k encoders of T runs each has the standard error sd / sqrt(k T).
    rng, k, sd = np.random.default_rng(1), 40, 0.02
    names = [f"encoder {i}" for i in range(k)]
    similarity = np.arange(k, dtype=float)[None]
    draws = np.tile(similarity, (400, 1, 1))
    squares = []
    for trial in range(8):
        runs = pd.DataFrame(
            {"model": name, "seed": seed, "miou": 0.5 + sd * rng.normal()}
            for name in names
            for seed in range(n_seeds)
        )
        mean = choice_gain(similarity, draws, names, runs, trial).set_index("statistic").loc["mean"]
        squares.append((mean["high"] - mean["low"]) ** 2)
    expected = 2 * 1.96 * sd / np.sqrt(k * n_seeds)
    # n drawn of n seeds would give .71, .82 and .89 of it.
    assert np.sqrt(np.mean(squares)) == pytest.approx(expected, rel=0.08)


def test_p_of_the_prediction_counts_permutations():
    similarity = np.arange(4.0)[None]
    draws = np.tile(similarity, (10, 1, 1))
    runs = pd.DataFrame(
        {"model": list("abcd"), "seed": 0, "miou": [0.1, 0.2, 0.3, 0.4], "n_val": 9}
    )
    row = prediction_rows(similarity, draws, list("abcd"), runs, 4000, 1).iloc[0]
    for how in ("spearman", "kendall", "pearson"):
        assert row[how] == pytest.approx(1)
        assert row[f"{how}_p"] == pytest.approx(1 / 24, abs=0.01)  # one order of 24
    backwards = prediction_rows(-similarity, -draws, list("abcd"), runs, 400, 1).iloc[0]
    assert backwards["spearman_p"] == 1  # one-sided
    assert np.isnan(row["seeds_agree"])


def test_published_rows_follow_from_published_numbers(compared):
    rows = prediction_rows(*compared, SOURCES, scores(MIOU), 4000, 1).set_index("ranking")
    six = rows.loc["published, Table 2"]
    # Places by mIoU of the six of Table 2, in its order: 3 1 2 4 5 6.
    assert six["spearman"] == pytest.approx(1 - 6 * (4 + 1 + 1) / 210)
    assert six["kendall"] == pytest.approx((13 - 2) / 15)  # two of 15 pairs turned round
    assert six["n_models"] == 6
    assert six["spearman_p"] == pytest.approx(0.029, abs=0.01)
    seventeen = rows.loc["published, Figure 8"]
    known = [name for name in PUBLISHED_ORDER if name in PUBLISHED_MIOU]
    expected = spearmanr(range(17, 0, -1), [PUBLISHED_MIOU[name] for name in known]).statistic
    assert seventeen["spearman"] == pytest.approx(expected)
    assert seventeen["n_models"] == len(known) == 17
    assert rows.loc[[six.name, seventeen.name], ["pearson", "spearman_low"]].isna().all(axis=None)


def test_published_names_are_tasks():
    assert sorted(PUBLISHED_ORDER) == sorted(TASKS)
    assert set(PUBLISHED_MIOU) - {"random", "random_small"} <= set(TASKS)
    assert sum(name not in PUBLISHED_MIOU for name in TASKS) == 3
    # Table 2 stands in the order of Figure 8.
    assert [name for name in PUBLISHED_ORDER if name in PUBLISHED_TABLE2] == list(PUBLISHED_TABLE2)
    rounded = [0.6492, 0.6529, 0.6496, 0.6487, 0.5901, 0.5891]  # the authors cut off, not rounded
    for name, value in zip(PUBLISHED_TABLE2, rounded, strict=True):
        assert PUBLISHED_MIOU[name] == pytest.approx(value, abs=1e-4)


def test_prediction_refuses(compared):
    similarity, draws = compared
    runs = scores(MIOU)
    with pytest.raises(DataError, match=r"similarities of shape \(3, 6\) for 5 encoders"):
        prediction_rows(similarity, draws, SOURCES[:5], runs[runs["model"] != "denoise"], 9, 1)
    with pytest.raises(DataError, match="resamples of shape"):
        prediction_rows(similarity, draws[:, :2], SOURCES, runs, 9, 1)
    with pytest.raises(DataError, match="scores of 2 encoders of the bank; fine-tune at least 3"):
        prediction_rows(
            similarity, draws, SOURCES, runs[runs["model"].isin(["mine", "edge3d"])], 9, 1
        )
    with pytest.raises(RepresentationError, match="the mIoU of all 6 encoders is the same"):
        prediction_rows(similarity, draws, SOURCES, scores([0.5] * 6), 9, 1)
    with pytest.raises(RepresentationError, match="the similarity of all 6 encoders is the same"):
        prediction_rows(np.full((1, 6), 0.2), np.full((9, 1, 6), 0.2), SOURCES, runs, 9, 1)
    with pytest.raises(DataError, match="0 permutations"):
        prediction_rows(similarity, draws, SOURCES, runs, 0, 1)


# --- What choosing gains ---


def test_gain_by_hand(compared):
    gain = choice_gain(*compared, SOURCES, scores(MIOU), 1).set_index("statistic")
    # Most similar is class_1000, .60; best is edge3d, .62.
    wanted = {
        "choice": ("class_1000", 0.60),
        "best": ("edge3d", 0.62),
        "worst": ("denoise", 0.35),
        "mean": ("", np.mean(MIOU)),
        "own": ("segmentsemantic", 0.50),
        "random": ("random", 0.3),
        "random_small": ("random_small", 0.2),
        "regret": ("", 0.02),
        "gain_over_mean": ("", 0.60 - np.mean(MIOU)),
        "gain_over_own": ("", 0.10),
        "gain_over_random": ("", 0.30),
        "choice_rank": ("class_1000", 2),
    }
    assert list(gain.index) == list(wanted)
    for name, (model, value) in wanted.items():
        assert gain.loc[name, "model"] == model
        assert gain.loc[name, "value"] == pytest.approx(value), name
    # In some resamples edge3d is first, whose regret is 0 and rank 1.
    assert gain.loc["regret", "low"] == pytest.approx(0)
    assert tuple(gain.loc["choice_rank", ["low", "high"]]) == (1, 2)
    assert tuple(gain.loc["best", ["low", "high"]]) == pytest.approx((0.62, 0.62))


def test_gain_published_is_that_of_figure_8(compared):
    gain = choice_gain(*compared, SOURCES, scores(MIOU), 1).set_index("statistic")["published"]
    assert gain["choice"] == 0.649290
    assert gain["best"] == 0.656534
    assert gain["regret"] == pytest.approx(0.656534 - 0.649290)
    assert gain["own"] == 0.648764
    assert gain["choice_rank"] == 4
    assert gain["gain_over_random"] == pytest.approx(0.649290 - 0.6083)


def test_gain_without_own_task_or_random_leaves_their_rows_out(compared):
    runs = scores(MIOU, random=())
    gain = choice_gain(*compared, SOURCES, runs, 1, own=None)
    found = ["choice", "best", "worst", "mean", "regret", "gain_over_mean", "choice_rank"]
    assert list(gain["statistic"]) == found
    other = choice_gain(*compared, SOURCES, runs, 1, own="mine").set_index("statistic")
    assert other.loc["own", "value"] == pytest.approx(0.52)
    assert np.isnan(other.loc["own", "published"])


def test_ties_for_the_first_place_earn_nothing():
    similarity = np.array([[0.5, 0.5, 0.5, 0.1, 0.1, 0.1]])
    draws = np.tile(similarity, (20, 1, 1))
    gain = choice_gain(similarity, draws, SOURCES, scores(MIOU), 1).set_index("statistic")
    assert tuple(gain.loc["choice", ["model", "value"]]) == ("edge2d", pytest.approx(0.40))
    assert gain.loc["choice_rank", "value"] == 5
