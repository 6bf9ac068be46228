import itertools

import numpy as np
import pandas as pd
import pytest
from made_rdms import SOURCES, TASKS, N, bank_and_small, mixtures, small_models, stack
from scipy.spatial.distance import squareform
from scipy.stats import false_discovery_control, pearsonr, rankdata, spearmanr
from taskrsa.analysis.ranking import task_agreement
from taskrsa.analysis.small_models import small_vs_bank
from taskrsa.errors import RepresentationError
from taskrsa.rsa.inference import (
    agreement_interval,
    bootstrap_counts,
    noise_ceiling,
    permutation_p,
)
from taskrsa.rsa.similarity import similarity_between, similarity_matrix

COUNTS = bootstrap_counts(N, 150, seed=5)


def compare(small, bank, counts, permutations, seed, tasks=TASKS):
    """Compare small models (S, T, p) with a bank (m, p)."""
    stacks = small_models(small, tasks), stack(SOURCES, bank)
    return small_vs_bank(*stacks, tasks, counts, permutations, seed)


@pytest.fixture(scope="module")
def compared():
    return compare(*bank_and_small(), COUNTS, 199, seed=1)


def test_rankings_are_means_over_seeds(compared):
    small, bank = bank_and_small()
    table = compared.rankings.set_index(["model", "other"])
    assert len(table) == 18
    per_seed = np.array([similarity_between(one, bank) for one in small])
    whole = pd.DataFrame(similarity_matrix(bank), index=SOURCES, columns=SOURCES)
    for t, task in enumerate(TASKS):
        np.testing.assert_allclose(table.loc[task, "rs_small"], per_seed[:, t].mean(axis=0))
        np.testing.assert_allclose(table.loc[task, "rs_bank"], whole.loc[task])
        own = table.loc[(task, task)]
        assert own["rs_bank"] == own["bank_low"] == own["bank_high"] == 1
    for which in ("small", "bank"):
        assert (table[f"{which}_low"] <= table[f"rs_{which}"]).all()
        assert (table[f"rs_{which}"] <= table[f"{which}_high"]).all()
    assert (table["small_high"] - table["small_low"] > 0.01).all()


def test_p_is_of_the_mean_rank_rdm(compared):
    small, bank = bank_and_small()
    ranks = np.mean([[rankdata(rdm) for rdm in one] for one in small], axis=0)
    p = permutation_p(ranks, bank, 199, seed=1)
    np.testing.assert_array_equal(compared.rankings["p_small"], p.ravel())
    np.testing.assert_allclose(compared.rankings["q_small"], false_discovery_control(p.ravel()))


def test_both_rankings_stand_beside_untrained_encoders():
    small, bank = bank_and_small()
    rng = np.random.default_rng(9)
    random = stack(["random_00", "random_01"], rng.normal(size=(2, bank.shape[1])))
    stacks = small_models(small, TASKS), stack(SOURCES, bank)
    table = small_vs_bank(*stacks, TASKS, COUNTS[:60], 99, 1, random).rankings
    plain = small_vs_bank(*stacks, TASKS, COUNTS[:60], 99, 1).rankings
    same = [column for column in plain if "untrained" not in column]
    pd.testing.assert_frame_equal(table[same], plain[same])
    assert (plain["n_untrained_small"] == 0).all()
    assert plain["q_untrained_small"].isna().all()
    by_task = np.array([similarity_between(one, random.rdms) for one in small]).mean(axis=(0, 2))
    of_bank = similarity_between(bank, random.rdms).mean(axis=1)
    for t, task in enumerate(TASKS):
        rows = table[table["model"] == task]
        np.testing.assert_allclose(rows["untrained_mean_small"], by_task[t])
        np.testing.assert_allclose(rows["untrained_mean_bank"], of_bank[SOURCES.index(task)])
    p = table["p_untrained_small"]
    np.testing.assert_allclose(table["q_untrained_small"], false_discovery_control(p))
    assert (table["n_untrained_bank"] == 2).all()


def test_related_are_told_from_unrelated(compared):
    table = compared.rankings
    same_group = (table["model"] < "d") == (table["other"] < "d")
    assert (table["q_small"][same_group] < 0.05).all()
    assert (table["q_small"][~same_group] > 0.05).all()


def test_agreement_of_every_task(compared):
    table = compared.agreement
    assert list(table["task"]) == ["b", "b", "a", "a", "d", "d", "mean", "mean", "published"]
    assert list(table["own_task"][:8]) == ["left out", "included"] * 4
    assert (table["n_models"][:8] == [5, 6] * 4).all()
    small, bank = bank_and_small()
    mean_of_seeds = compared.rankings.pivot(index="model", columns="other", values="rs_small")
    whole = pd.DataFrame(similarity_matrix(bank), index=SOURCES, columns=SOURCES)
    rows = table.set_index(["task", "own_task"])
    for t, task in enumerate(TASKS):
        for own_task, drop in (("left out", [task]), ("included", [])):
            row = rows.loc[(task, own_task)]
            ours = mean_of_seeds.loc[task].drop(drop)
            theirs = whole.loc[task].drop(drop)
            assert row["spearman"] == pytest.approx(spearmanr(ours, theirs).statistic)
            assert row["pearson"] == pytest.approx(pearsonr(ours, theirs).statistic)
            singles = [
                spearmanr(pd.Series(one, SOURCES).drop(drop), theirs).statistic
                for one in (similarity_between(seed[[t]], bank)[0] for seed in small)
            ]
            assert row["spearman_one_seed"] == pytest.approx(np.mean(singles))
        assert row["rs_own"] == pytest.approx(mean_of_seeds.loc[task, task])
        assert (row["ceiling_low"], row["ceiling_high"]) == pytest.approx(
            noise_ceiling(small[:, t])
        )


def test_mean_over_tasks(compared):
    table = compared.agreement
    for own_task in ("left out", "included"):
        rows = table[table["own_task"] == own_task].set_index("task")
        for column in ("pearson", "spearman", "pearson_one_seed", "rs_own", "ceiling_low"):
            assert rows.loc["mean", column] == pytest.approx(rows.loc[TASKS, column].mean())
        assert rows.loc["mean", "n_tasks"] == 3


def test_intervals_hold_the_estimate():
    table = compare(*mixtures(), COUNTS, 9, seed=0).agreement.iloc[:-1]
    assert table["pearson"].between(0.5, 0.999).all()
    for how in ("pearson", "spearman"):
        assert (table[f"{how}_low"] <= table[how] + 1e-9).all()
        assert (table[how] <= table[f"{how}_high"] + 1e-9).all()
    assert (table["pearson_low"] < table["pearson_high"]).all()


def test_interval_is_that_of_the_naive_resamples():
    small, bank = bank_and_small(n_seeds=1)
    counts = COUNTS[:12]
    found = compare(small, bank, counts, 9, seed=0)
    values = []
    for count in counts:
        drawn = np.repeat(np.arange(N), count)
        i, j = np.triu_indices(N, 1)
        i, j = drawn[i], drawn[j]
        ours, bank_drawn = (
            np.array([squareform(rdm)[i, j][i != j] for rdm in rdms]) for rdms in (small[0], bank)
        )
        rankings = similarity_between(ours, bank_drawn), similarity_matrix(bank_drawn)[[1, 0, 3]]
        values.append(task_agreement(*rankings, TASKS, SOURCES)["pearson"].mean())
    mean = found.agreement[found.agreement["task"] == "mean"].iloc[0]
    low, high = agreement_interval(np.r_[mean["pearson"], values])
    assert mean["pearson_low"] == pytest.approx(low, abs=1e-5)
    assert mean["pearson_high"] == pytest.approx(high, abs=1e-5)


def test_matrices_of_small_models_and_bank(compared):
    small, bank = bank_and_small()
    pairs = compared.pairs
    expected = [TASKS[i] + TASKS[j] for i, j in itertools.combinations(range(3), 2)]
    assert list(pairs["model_a"] + pairs["model_b"]) == expected
    within = np.mean([similarity_matrix(one) for one in small], axis=0)
    upper = np.triu_indices(3, 1)
    np.testing.assert_allclose(pairs["rs_small"], within[upper])
    np.testing.assert_allclose(pairs["rs_bank"], similarity_matrix(bank[[1, 0, 3]])[upper])
    table = compared.matrix_agreement.set_index("seeds")
    assert list(table.index) == ["mean", "0", "1", "2", "published"]
    for how, reference in (("pearson", pearsonr), ("spearman", spearmanr)):
        statistic = reference(pairs["rs_small"], pairs["rs_bank"]).statistic
        assert table.loc["mean", how] == pytest.approx(statistic)
        low, value, high = table.loc["mean", [f"{how}_low", how, f"{how}_high"]]
        assert low <= value <= high
    one = similarity_matrix(small[2])[upper]
    assert table.loc["2", "pearson"] == pytest.approx(pearsonr(one, pairs["rs_bank"]).statistic)
    assert (table["n_tasks"] == [3, 3, 3, 3, 14]).all()


def test_mantel_p_needs_many_tasks_to_be_small():
    small, bank = bank_and_small()
    every = np.concatenate([small, small[:, [0]]], axis=1)  # "c" looks like "b"
    found = compare(every, bank, COUNTS[:9], 999, seed=0, tasks=["b", "a", "d", "c"])
    mean = found.matrix_agreement.iloc[0]
    # 24 orders of four tasks, 6 of which keep "d" apart: p cannot be below 1 / 24, nor above 1.
    assert 1 / 24 - 0.02 < mean["p"] < 0.4


def test_published_values(compared):
    row = compared.agreement.iloc[-1]
    assert (row["pearson"], row["spearman"], row["n_tasks"]) == (0.84, 0.85, 14)
    assert (row["task"], row["own_task"]) == ("published", "not stated")
    row = compared.matrix_agreement.iloc[-1]
    assert (row["pearson"], row["spearman"], row["n_tasks"]) == (0.85, 0.88, 14)
    assert row["seeds"] == "published"


def test_one_seed_has_no_ceiling_and_one_mean():
    small, bank = bank_and_small(n_seeds=1)
    found = compare(small, bank, COUNTS[:9], 9, seed=0)
    assert found.agreement[["ceiling_low", "ceiling_high"]].isna().all(axis=None)
    first = found.agreement.iloc[0]
    assert first["spearman"] == pytest.approx(first["spearman_one_seed"])
    mean, only = (found.matrix_agreement.iloc[i].drop("seeds") for i in (0, 1))
    pd.testing.assert_series_equal(mean, only, check_names=False)


def test_two_tasks_have_no_matrices_to_compare():
    small, bank = bank_and_small()
    found = compare(small[:, :2], bank, COUNTS[:9], 9, seed=0, tasks=TASKS[:2])
    assert found.matrix_agreement.iloc[0][["pearson", "spearman_low", "p"]].isna().all()
    assert len(found.pairs) == 1


def test_same_seed_same_tables(compared):
    again = compare(*bank_and_small(), COUNTS, 199, seed=1)
    for name in ("rankings", "agreement", "pairs", "matrix_agreement"):
        pd.testing.assert_frame_equal(getattr(compared, name), getattr(again, name))
    other = compare(*bank_and_small(), COUNTS[::2], 199, seed=1)
    assert (other.rankings["small_low"] != compared.rankings["small_low"]).any()


def test_an_rdm_that_cannot_be_ranked_is_named():
    small, bank = bank_and_small()
    small[1, 2, 4] = np.nan
    with pytest.raises(RepresentationError, match="small d, seed 1: its RDM holds nan"):
        compare(small, bank, COUNTS[:9], 9, 0)
