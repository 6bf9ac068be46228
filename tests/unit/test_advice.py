"""Which network first, what it cannot be told from, and what fewer images would have said."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from taskrsa.analysis.advice import advice_by_images, advice_rows, verified_rows
from taskrsa.analysis.outcomes import target_similarity
from taskrsa.errors import DataError
from taskrsa.rsa.inference import bootstrap_counts, confidence_interval

N = 30


def rdms(mixes: list[float], seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return the RDM of a target (1, p) and those of networks that share so much with it."""
    rng = np.random.default_rng(seed)
    common = rng.normal(size=(N, 10))
    found = [
        1 - np.corrcoef(mix * common + (1 - mix) * rng.normal(size=(N, 10)))[np.triu_indices(N, 1)]
        for mix in (1.0, *mixes)
    ]
    return np.array(found[:1]), np.array(found[1:])


def advised(target, bank, seed=0):
    names = [f"net{at}" for at in range(len(bank))]
    counts = bootstrap_counts(N, 200, seed)
    return advice_rows(target, bank, names, N, counts, 99, seed).set_index("model")


def test_a_copy_of_the_target_is_told_from_noise():
    target, bank = rdms([0.0, 0.95, 0.0])
    rows = advised(target, bank)
    assert rows.index[0] == "net1"
    assert rows["tied"].to_dict() == {"net1": "yes", "net0": "no", "net2": "no"}
    assert rows.loc["net1", "behind"] == 0
    assert rows.loc["net0", "behind"] == pytest.approx(
        rows.loc["net1", "rs"] - rows.loc["net0", "rs"]
    )
    assert (rows["behind_low"] <= rows["behind"]).all()


def test_equal_networks_are_tied_whatever_the_order():
    target, bank = rdms([0.6, 0.0])
    rows = advised(target, bank[[0, 1, 0]])
    assert rows.loc[["net0", "net2"], "tied"].tolist() == ["yes", "yes"]
    assert rows.loc["net1", "tied"] == "no"


def test_networks_that_share_nothing_with_the_target_are_all_tied():
    target, bank = rdms([0.0, 0.0, 0.0], seed=3)
    assert (advised(target, bank)["tied"] == "yes").all()


def test_the_interval_holds_for_all_at_once():
    target, bank = rdms([0.7, 0.5, 0.4, 0.3, 0.2, 0.1])
    names = [f"net{at}" for at in range(len(bank))]
    counts = bootstrap_counts(N, 400, 0)
    rows = advice_rows(target, bank, names, N, counts, 99, 0).set_index("model").loc[names]
    similarity, draws = target_similarity(target, bank, names, counts)
    first = similarity.mean(0).argmax()
    drawn = draws.mean(1)[:, [first]] - draws.mean(1)
    low, high = confidence_interval(drawn)
    wider = (rows["behind_high"] - rows["behind_low"]).to_numpy()
    assert (np.delete(wider, first) > np.delete(high - low, first)).all()
    inside = (drawn >= rows["behind_low"].to_numpy()) & (drawn <= rows["behind_high"].to_numpy())
    # The estimate is not the middle of its resamples, so not exactly 95 %.
    assert 0.85 < inside.all(axis=1).mean() <= 1


def told_apart(mixes: list[float], data: range) -> np.ndarray:
    """Return for many sets of data (D, m) which networks are not tied with the first."""
    names = [f"net{at}" for at in range(len(mixes))]
    found = []
    for seed in data:
        counts = bootstrap_counts(N, 100, seed)
        rows = advice_rows(*rdms(mixes, seed), names, N, counts, 1, seed).set_index("model")
        found.append((rows.loc[names, "tied"] == "no").to_numpy())
    return np.array(found)


def test_equally_good_networks_are_rarely_told_apart_and_worse_ones_mostly():
    # 95 % for all at once: of 40 sets of data, two should tell any of the equals from the first.
    assert told_apart([0.5] * 5, range(40)).any(axis=1).sum() <= 5
    apart = told_apart([0.8, 0.8, 0.2, 0.2], range(20))
    assert apart[:, 2:].mean() > 0.9
    assert apart[:, :2].mean() < 0.1


def test_more_images_say_it_more_surely():
    target, bank = rdms([0.6, 0.4, 0.0])
    rows = advice_by_images(target, bank, ["a", "b", "c"], N, [5, 10, 30, 500], 300, 0)
    assert rows["n_images"].tolist() == [5, 10, 30]
    assert rows["same_first"].is_monotonic_increasing
    assert rows["same_first"].iloc[-1] > rows["same_first"].iloc[0] + 0.1
    assert rows["n_tied"].is_monotonic_decreasing
    assert (rows["in_tied"] >= rows["same_first"]).all()
    assert rows["spearman"].is_monotonic_increasing
    again = advice_by_images(target, bank, ["a", "b", "c"], N, [10], 300, 0)
    pd.testing.assert_series_equal(again.iloc[0], rows.iloc[1], check_names=False)


def test_sizes_that_cannot_be_drawn():
    target, bank = rdms([0.6, 0.0])
    for sizes in ([2, 10], [500], []):
        with pytest.raises(DataError, match=f"from 3 to the {N} there are"):
            advice_by_images(target, bank, ["a", "b"], N, sizes, 20, 0)


def test_two_networks_have_no_correlation_of_rankings():
    target, bank = rdms([0.9, 0.0])
    rows = advice_by_images(target, bank, ["a", "b"], N, [N], 50, 0)
    assert rows["spearman"].isna().all()
    assert rows["same_first"].iloc[0] > 0.9


# --- what fine-tuning reached ---


def runs(scores: dict[str, list[float]]) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {"model": m, "seed": s, "how": "whole network", "floor": 0.1, "miou": v, "n_val": 4}
            for m, values in scores.items()
            for s, v in enumerate(values)
        ]
    )


def test_scores_stand_beside_the_ranking():
    target, bank = rdms([0.0, 0.9, 0.5])
    ranking = advised(target, bank).reset_index()
    scores = runs({"small model": [0.2, 0.3], "net0": [0.4, 0.5], "net1": [0.3, 0.4]})
    table = verified_rows(ranking, scores, "miou")
    assert table["model"].tolist() == ["net1", "net0", "small model"]
    assert table["score"].tolist() == pytest.approx([0.35, 0.45, 0.25])
    assert table["score_rank"].tolist()[:2] == [2, 1]
    assert np.isnan(table["score_rank"].iloc[2])
    assert table["score_sd"].iloc[0] == pytest.approx(np.std([0.3, 0.4], ddof=1))
    assert (table["n_seeds"] == 2).all()
    with pytest.raises(DataError, match="miou is no number for"):
        verified_rows(ranking, runs({"net0": [np.nan]}), "miou")
