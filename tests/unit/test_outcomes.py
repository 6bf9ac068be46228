"""What fine-tuning reached beside the ranking, how well similarity predicts it, what it gains."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from scipy.stats import kendalltau, pearsonr, spearmanr
from taskrsa.analysis.advice import Similarity
from taskrsa.analysis.outcomes import (
    Reference,
    choice_gain,
    correlations,
    prediction_rows,
    score_rows,
)
from taskrsa.errors import DataError
from taskrsa.paper.published import FIGURE8, MIOU, TABLE2

NETWORKS = ("edge2d", "class_1000", "mine", "edge3d", "segmentsemantic", "denoise")
SCORES = [0.40, 0.60, 0.52, 0.62, 0.50, 0.35]
PASCAL = Reference(MIOU, {"Table 2": TABLE2, "Figure 8": FIGURE8})


def runs_of(scores, *, noise=0.0, n_seeds=2, random=(0.3, 0.2), metric="miou") -> pd.DataFrame:
    """Return runs: the models' scores, moved between seeds by +- noise, model by model."""
    named = dict(zip(NETWORKS, scores, strict=True))
    named |= dict(zip(("random", "random_small"), random, strict=False))
    rows = []
    for k, (model, value) in enumerate(named.items()):
        for seed in range(n_seeds):
            shift = noise * (seed - (n_seeds - 1) / 2) * (-1) ** k
            row = {"model": model, "seed": seed, "tap": "block4", "trained": "whole network"}
            row |= {"metric": metric, "score": value + shift, "chance_score": 0.1, "n_val": 40}
            row |= {"iou_sky": value + seed / 10, "iou_tv": np.nan if seed else value}
            rows.append(row)
    return pd.DataFrame(rows).sample(frac=1, random_state=0)


def plain_runs(rows) -> pd.DataFrame:
    """Return runs with the columns that tests do not look at filled in."""
    same = {"trained": "whole network", "metric": "miou", "chance_score": 0.1, "n_val": 9}
    return pd.DataFrame([row | same for row in rows])


@pytest.fixture(scope="module")
def ranked() -> pd.DataFrame:
    """The ranking of a bank, most similar first."""
    return pd.DataFrame(
        {
            "model": ["class_1000", "edge3d", "segmentsemantic", "mine", "edge2d", "denoise"],
            "label": ["object class", "occlusion edges", "segmentation", "my network", "", ""],
            "type": ["semantic", "3D", "semantic", "language", "2D", "2D"],
            "rs": [0.7, 0.69, 0.5, 0.4, 0.1, 0.0],
            "ci_low": [0.6, 0.6, 0.4, 0.3, 0.0, -0.1],
            "ci_high": [0.8, 0.8, 0.6, 0.5, 0.2, 0.1],
            "rank": range(1, 7),
            "tied": ["yes", "yes", "no", "no", "no", "no"],
        }
    )


@pytest.fixture(scope="module")
def compared() -> Similarity:
    rng = np.random.default_rng(0)
    shares = np.array([0.1, 0.7, 0.4, 0.69, 0.5, 0.0])
    values = shares + 0.02 * rng.normal(size=(3, 6))
    draws = values + 0.04 * rng.normal(size=(120, 1, 6))
    return Similarity(NETWORKS, values, draws)


# --- scores beside the ranking ---


def test_scores_stand_in_the_order_of_similarity_unranked_models_last(ranked):
    runs = runs_of(SCORES, noise=0.02)
    small = {"model": "small", "trained": "whole network", "metric": "miou", "chance_score": 0.1}
    small = pd.DataFrame([small | {"seed": s, "score": 0.2 + s / 10, "n_val": 40} for s in (7, 8)])
    table = score_rows(pd.concat([runs, small]), ranked, PASCAL)
    assert list(table["model"]) == [*ranked["model"], "random", "random_small", "small"]
    named = table.set_index("model")
    np.testing.assert_allclose(named.loc[list(NETWORKS), "score"], SCORES)
    np.testing.assert_allclose(named.loc[list(NETWORKS), "score_sd"], 0.02 / np.sqrt(2))
    np.testing.assert_allclose(named.loc[list(NETWORKS), "score_rank"], [5, 2, 3, 1, 4, 6])
    both = named.loc[ranked["model"]]
    for ours, theirs in (("rs", "rs"), ("rs_low", "ci_low"), ("rs_high", "ci_high")):
        np.testing.assert_array_equal(both[ours], ranked[theirs])
    assert list(both["tied"]) == list(ranked["tied"])
    assert tuple(named.loc["mine", ["label", "type"]]) == ("my network", "language")
    for column, value in (("n_seeds", 2), ("n_val", 40), ("metric", "miou"), ("chance_score", 0.1)):
        assert (named[column] == value).all()
    assert named.loc["edge3d", "iou_sky"] == pytest.approx(0.67)
    assert named.loc["edge3d", "iou_tv"] == pytest.approx(0.62)  # nan in one seed
    for name, label, kind in (
        ("random", "random, bank encoder", "random"),
        ("random_small", "random, small encoder", "random"),
        ("small", "small model", ""),
    ):
        assert tuple(named.loc[name, ["label", "type"]]) == (label, kind)
        assert named.loc[name, ["rs", "rs_low", "rs_high", "rank", "score_rank"]].isna().all()
    assert named.loc["small", "score"] == pytest.approx(0.95)
    assert named.loc["edge3d", "score_published"] == 0.649696
    assert np.isnan(named.loc["mine", "score_published"])
    assert "score_published" not in score_rows(runs, ranked)


def test_the_scores_of_heads_at_their_start_are_means_too(ranked):
    runs = runs_of(SCORES)
    assert "start_score" not in score_rows(runs, ranked)
    is_probed = ~runs["model"].str.startswith("random")
    runs["start_score"] = (runs["score"] - 0.1 * runs["seed"]).where(is_probed)
    table = score_rows(runs, ranked).set_index("model")["start_score"]
    assert table["mine"] == pytest.approx(0.52 - 0.05)
    assert table[["random", "random_small"]].isna().all()


def test_networks_that_were_not_fine_tuned_are_left_out(ranked):
    some = runs_of(SCORES, n_seeds=1)
    some = some[~some["model"].isin(["edge3d", "random"])].drop(columns=["iou_sky", "iou_tv"])
    table = score_rows(some, ranked).set_index("model")
    assert set(table.index) == {*NETWORKS, "random_small"} - {"edge3d"}
    assert table["score_sd"].isna().all()
    np.testing.assert_array_equal(
        table["rank"].dropna(), ranked.set_index("model").drop("edge3d")["rank"]
    )


def test_runs_say_what_is_wrong(ranked):
    good = runs_of(SCORES)

    def refused(match, table):
        with pytest.raises(DataError, match=match):
            score_rows(table, ranked)

    edge = (good["model"] == "edge3d") & (good["seed"] == 1)
    refused("edge3d: no run of seed 1, which other models have", good[~edge])
    refused("edge3d, seed 1: score 62", good.assign(score=good["score"].where(~edge, 62.0)))
    refused("edge3d, seed 1: score nan", good.assign(score=good["score"].where(~edge)))
    refused("edge3d, seed 1: score -0.1", good.assign(score=good["score"].where(~edge, -0.1)))
    refused("none is of a ranked network", good[good["model"].str.startswith("random")])


def test_an_error_may_grow(ranked):
    runs = runs_of([-0.4, *SCORES[1:]], metric="error_removed")
    assert score_rows(runs, ranked).set_index("model").loc["edge2d", "score"] == -0.4


# --- does the ranking predict the scores? ---


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
    runs = runs_of(SCORES, noise=0.1)
    row = prediction_rows(compared, runs, 99, 1).iloc[0]
    rs = compared.values.mean(axis=0)
    assert row["ranking"] == "small model"
    assert row["spearman"] == pytest.approx(spearmanr(rs, SCORES).statistic)
    assert row["kendall"] == pytest.approx(kendalltau(rs, SCORES).statistic)
    assert row["pearson"] == pytest.approx(pearsonr(rs, SCORES).statistic)
    assert tuple(row[["n_models", "n_seeds_small", "n_seeds"]]) == (6, 3, 2)
    wide = runs.pivot(index="model", columns="seed", values="score").loc[list(NETWORKS)].to_numpy()
    singles = [
        pearsonr(one, wide[:, t]).statistic for one, t in itertools.product(compared.values, (0, 1))
    ]
    assert row["pearson_one_seed"] == pytest.approx(np.mean(singles), abs=1e-9)
    assert row["seeds_agree"] == pytest.approx(spearmanr(wide[:, 0], wide[:, 1]).statistic)


def test_prediction_does_not_depend_on_the_order_of_rows_and_leaves_random_out(compared):
    runs = runs_of(SCORES, noise=0.1)
    first = prediction_rows(compared, runs, 99, 1)
    second = prediction_rows(compared, runs.sort_values("score"), 99, 1)
    pd.testing.assert_frame_equal(first, second)
    without = runs[~runs["model"].str.startswith("random")]
    pd.testing.assert_frame_equal(first, prediction_rows(compared, without, 99, 1))


def test_networks_without_runs_are_left_out_of_the_prediction(compared):
    runs = runs_of(SCORES)
    some = runs[~runs["model"].isin(["mine", "edge2d"])]
    keep = [1, 3, 4, 5]
    row = prediction_rows(compared, some, 99, 1).iloc[0]
    rs = compared.values.mean(axis=0)
    assert row["n_models"] == 4
    assert row["pearson"] == pytest.approx(pearsonr(rs[keep], np.array(SCORES)[keep]).statistic)


def test_intervals_widen_with_every_source_of_noise(compared):
    similarity, draws = compared.values, compared.draws
    still = np.broadcast_to(similarity.mean(axis=0), similarity.shape)
    frozen = np.broadcast_to(still, draws.shape)

    def width(values, draws, noise):
        similarity = Similarity(NETWORKS, values, draws)
        row = prediction_rows(similarity, runs_of(SCORES, noise=noise), 9, 1).iloc[0]
        return row["pearson_high"] - row["pearson_low"]

    assert width(still, frozen, 0.0) == pytest.approx(0)
    assert width(still, frozen, 0.1) > 0.01  # runs of the fine-tuning
    assert width(similarity, draws, 0.0) > 0.01  # images
    apart = still + 0.1 * np.array([[1], [0], [-1]]) * np.array([1, -1, 1, -1, 1, -1])
    assert width(apart, np.broadcast_to(apart, draws.shape), 0.0) > 0.01  # small models


@pytest.mark.parametrize("n_seeds", [2, 3, 5])
def test_resampled_runs_vary_as_new_seeds_would(n_seeds):
    # The mean score of k networks of T runs each has the standard error sd / sqrt(k T).
    rng, k, sd = np.random.default_rng(1), 40, 0.02
    names = tuple(f"network {i}" for i in range(k))
    values = np.arange(k, dtype=float)[None]
    similarity = Similarity(names, values, np.tile(values, (400, 1, 1)))
    squares = []
    for trial in range(8):
        runs = plain_runs(
            {"model": name, "seed": seed, "score": 0.5 + sd * rng.normal()}
            for name in names
            for seed in range(n_seeds)
        )
        mean = choice_gain(similarity, runs, trial).set_index("statistic").loc["mean"]
        squares.append((mean["high"] - mean["low"]) ** 2)
    expected = 2 * 1.96 * sd / np.sqrt(k * n_seeds)
    # n drawn of n seeds would give .71, .82 and .89 of it.
    assert np.sqrt(np.mean(squares)) == pytest.approx(expected, rel=0.08)


def test_p_of_the_prediction_counts_permutations():
    values = np.arange(4.0)[None]
    draws = np.tile(values, (10, 1, 1))
    runs = plain_runs(
        {"model": name, "seed": 0, "score": at / 10} for at, name in enumerate("abcd")
    )
    row = prediction_rows(Similarity(tuple("abcd"), values, draws), runs, 4000, 1).iloc[0]
    for method in ("spearman", "kendall", "pearson"):
        assert row[method] == pytest.approx(1)
        assert row[f"{method}_p"] == pytest.approx(1 / 24, abs=0.01)  # one order of 24
    backwards = Similarity(tuple("abcd"), -values, -draws)
    backwards = prediction_rows(backwards, runs, 400, 1).iloc[0]
    assert backwards["spearman_p"] == 1  # one-sided
    assert np.isnan(row["seeds_agree"])


def test_published_rows_follow_from_published_numbers(compared):
    rows = prediction_rows(compared, runs_of(SCORES), 4000, 1, PASCAL).set_index("ranking")
    six = rows.loc["published, Table 2"]
    # Places by mIoU of the six of Table 2, in its order: 3 1 2 4 5 6.
    assert six["spearman"] == pytest.approx(1 - 6 * (4 + 1 + 1) / 210)
    assert six["kendall"] == pytest.approx((13 - 2) / 15)  # two of 15 pairs turned round
    assert six["n_models"] == 6
    assert six["spearman_p"] == pytest.approx(0.029, abs=0.01)
    seventeen = rows.loc["published, Figure 8"]
    known = [name for name in FIGURE8 if name in MIOU]
    expected = spearmanr(range(17, 0, -1), [MIOU[name] for name in known]).statistic
    assert seventeen["spearman"] == pytest.approx(expected)
    assert seventeen["n_models"] == len(known) == 17
    assert rows.loc[[six.name, seventeen.name], ["pearson", "spearman_low"]].isna().all(axis=None)


def test_a_correlation_that_is_undefined_is_blank(compared):
    runs = runs_of(SCORES)
    flat = Similarity(NETWORKS, np.full((1, 6), 0.2), np.full((9, 1, 6), 0.2))
    for similarity, table, n_models in (
        (compared, runs[runs["model"].isin(["mine", "edge3d"])], 2),
        (compared, runs_of([0.5] * 6), 6),
        (flat, runs, 6),
    ):
        row = prediction_rows(similarity, table, 9, 1).iloc[0]
        assert row["n_models"] == n_models
        assert row.drop(["ranking", "n_models", "n_seeds_small", "n_seeds"]).isna().all()


def test_without_a_reference_nothing_published_is_shown(compared):
    assert list(prediction_rows(compared, runs_of(SCORES), 9, 1)["ranking"]) == ["small model"]
    assert "published" not in choice_gain(compared, runs_of(SCORES), 1)


# --- what choosing gains ---


def test_gain_by_hand(compared):
    runs = runs_of(SCORES)
    gain = choice_gain(compared, runs, 1, same_task="segmentsemantic").set_index("statistic")
    # Most similar is class_1000, .60; best is edge3d, .62.
    wanted = {
        "choice": ("class_1000", 0.60),
        "best": ("edge3d", 0.62),
        "worst": ("denoise", 0.35),
        "mean": ("", np.mean(SCORES)),
        "same_task": ("segmentsemantic", 0.50),
        "random": ("random", 0.3),
        "random_small": ("random_small", 0.2),
        "regret": ("", 0.02),
        "gain_over_mean": ("", 0.60 - np.mean(SCORES)),
        "gain_over_same_task": ("", 0.10),
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
    gain = choice_gain(
        compared, runs_of(SCORES), 1, same_task="segmentsemantic", reference=PASCAL
    ).set_index("statistic")["published"]
    assert gain["choice"] == 0.649290
    assert gain["best"] == 0.656534
    assert gain["regret"] == pytest.approx(0.656534 - 0.649290)
    assert gain["same_task"] == 0.648764
    assert gain["choice_rank"] == 4
    assert gain["gain_over_random"] == pytest.approx(0.649290 - 0.6083)


def test_gain_without_the_same_task_or_random_leaves_their_rows_out(compared):
    runs = runs_of(SCORES, random=())
    gain = choice_gain(compared, runs, 1)
    found = ["choice", "best", "worst", "mean", "regret", "gain_over_mean", "choice_rank"]
    assert list(gain["statistic"]) == found
    other = choice_gain(compared, runs, 1, same_task="mine", reference=PASCAL)
    other = other.set_index("statistic")
    assert other.loc["same_task", "value"] == pytest.approx(0.52)
    assert np.isnan(other.loc["same_task", "published"])


def test_ties_for_the_first_place_earn_nothing():
    values = np.array([[0.5, 0.5, 0.5, 0.1, 0.1, 0.1]])
    similarity = Similarity(NETWORKS, values, np.tile(values, (20, 1, 1)))
    gain = choice_gain(similarity, runs_of(SCORES), 1).set_index("statistic")
    assert tuple(gain.loc["choice", ["model", "value"]]) == ("edge2d", pytest.approx(0.40))
    assert gain.loc["choice_rank", "value"] == 5
