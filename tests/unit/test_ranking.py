import itertools

import numpy as np
import pandas as pd
import pytest
from scipy.spatial.distance import squareform
from scipy.stats import pearsonr, rankdata, spearmanr
from taskrsa.analysis.ranking import (
    PUBLISHED_MATRICES,
    PUBLISHED_RANKING,
    images_rows,
    models_rows,
    ranking_agreement,
    seeds_rows,
    small_vs_bank,
    task_agreement,
)
from taskrsa.errors import DataError, RepresentationError
from taskrsa.rsa.inference import bootstrap_counts, fdr_bh, noise_ceiling, permutation_p
from taskrsa.rsa.similarity import similarity_between, similarity_matrix

N = 36
SOURCES = ["a", "b", "c", "d", "e", "f"]
TASKS = ["b", "a", "d"]  # in an order of their own


def bank_and_small(n_seeds=3, seed=0, noise=1.5):
    """Return a bank of two groups, a-c and d-f, and small models near their own bank networks."""
    rng = np.random.default_rng(seed)
    p = N * (N - 1) // 2
    group = np.repeat(rng.uniform(size=(2, p)), 3, axis=0)
    bank = group + 0.6 * rng.uniform(size=(6, p))
    own = bank[[SOURCES.index(task) for task in TASKS]]
    small = own + noise * rng.uniform(size=(n_seeds, 3, p))
    return small.astype(np.float32), bank.astype(np.float32)


def mixtures(seed=0):
    """Return a bank of mixtures of three RDMs, and small models whose mixtures are a bit off.

    The rankings then differ for a reason, not by the noise of the images alone.
    """
    rng = np.random.default_rng(seed)
    p = N * (N - 1) // 2
    parts, shares = rng.uniform(size=(3, p)), rng.dirichlet(np.ones(3), size=6)
    off = shares[[1, 0, 3]] + 0.5 * rng.dirichlet(np.ones(3), size=3)
    bank = shares @ parts + 0.1 * rng.uniform(size=(6, p))
    return off @ parts + 0.1 * rng.uniform(size=(3, 3, p)), bank


COUNTS = bootstrap_counts(N, 150, seed=5)


@pytest.fixture(scope="module")
def compared():
    small, bank = bank_and_small()
    return small_vs_bank(small, bank, TASKS, SOURCES, N, COUNTS, 199, seed=1)


def test_agreement_by_hand():
    found = ranking_agreement([[4, 3, 2, 1], [1, 2, 3, 4]], [4, 2, 3, 1])
    np.testing.assert_allclose(found["spearman"], [0.8, -0.8])  # 1 - 6 * 2 / 60
    np.testing.assert_allclose(found["pearson"], [0.8, -0.8])


@pytest.mark.parametrize("levels", [3, 1000])
def test_agreement_equals_scipy(levels):
    rng = np.random.default_rng(levels)
    first = np.round(rng.uniform(size=(4, 3, 8)) * levels)
    second = np.round(rng.uniform(size=(3, 8)) * levels)
    found = ranking_agreement(first, second)
    for i, j in np.ndindex(4, 3):
        assert found["pearson"][i, j] == pytest.approx(pearsonr(first[i, j], second[j]).statistic)
        assert found["spearman"][i, j] == pytest.approx(spearmanr(first[i, j], second[j]).statistic)
    assert np.isnan(ranking_agreement(np.ones(4), np.arange(4))["spearman"])


def test_own_task_is_left_out_or_not():
    first = np.array([[9.0, 4, 3, 2, 1], [9.0, 4, 3, 2, 1]])
    second = np.array([[0.0, 4, 3, 2, 1], [0.0, 4, 3, 2, 1]])
    sources, tasks = list("abcde"), ["a", "new"]
    left_out = task_agreement(first, second, tasks, sources)["spearman"]
    included = task_agreement(first, second, tasks, sources, leave_out_own=False)["spearman"]
    assert left_out[0] == pytest.approx(1)
    assert left_out[1] == included[0] == included[1] == pytest.approx(0)  # 1 - 6 * 20 / 120
    with pytest.raises(RepresentationError, match="a: 2 networks to rank"):
        task_agreement(first[:, :3], second[:, :3], tasks, sources[:3])


# --- small models against the bank ---


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
    p = permutation_p(ranks, bank, N, 199, seed=1)
    np.testing.assert_array_equal(compared.rankings["p_small"], p.ravel())
    np.testing.assert_allclose(compared.rankings["q_small"], fdr_bh(p).ravel())


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
    table = small_vs_bank(*mixtures(), TASKS, SOURCES, N, COUNTS, 9, seed=0).agreement.iloc[:-1]
    assert table["pearson"].between(0.5, 0.999).all()
    for how in ("pearson", "spearman"):
        assert (table[f"{how}_low"] <= table[how] + 1e-9).all()
        assert (table[how] <= table[f"{how}_high"] + 1e-9).all()
    assert (table["pearson_low"] < table["pearson_high"]).all()


def test_interval_is_that_of_the_naive_resamples():
    small, bank = bank_and_small(n_seeds=1)
    counts = COUNTS[:12]
    found = small_vs_bank(small, bank, TASKS, SOURCES, N, counts, 9, seed=0)
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
    assert mean["pearson_low"] == pytest.approx(np.quantile(values, 0.025), abs=1e-5)
    assert mean["pearson_high"] == pytest.approx(np.quantile(values, 0.975), abs=1e-5)


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
        assert table.loc["mean", f"{how}_low"] <= statistic <= table.loc["mean", f"{how}_high"]
    one = similarity_matrix(small[2])[upper]
    assert table.loc["2", "pearson"] == pytest.approx(pearsonr(one, pairs["rs_bank"]).statistic)
    assert (table["n_tasks"] == [3, 3, 3, 3, 14]).all()


def test_mantel_p_needs_many_tasks_to_be_small():
    small, bank = bank_and_small()
    every = np.concatenate([small, small[:, [0]]], axis=1)  # "c" looks like "b"
    found = small_vs_bank(every, bank, ["b", "a", "d", "c"], SOURCES, N, COUNTS[:9], 999, seed=0)
    mean = found.matrix_agreement.iloc[0]
    # 24 orders of four tasks, 6 of which keep "d" apart: p cannot be below 1 / 24, nor above 1.
    assert 1 / 24 - 0.02 < mean["p"] < 0.4


def test_published_values(compared):
    row = compared.agreement.iloc[-1]
    assert (row["pearson"], row["spearman"], row["n_tasks"]) == (0.84, 0.85, 14)
    assert row[list(PUBLISHED_RANKING)].to_dict() == PUBLISHED_RANKING
    row = compared.matrix_agreement.iloc[-1]
    assert (row["pearson"], row["spearman"], row["n_tasks"]) == (0.85, 0.88, 14)
    assert row["seeds"] == PUBLISHED_MATRICES["seeds"] == "published"


def test_one_seed_has_no_ceiling_and_one_mean():
    small, bank = bank_and_small(n_seeds=1)
    found = small_vs_bank(small, bank, TASKS, SOURCES, N, COUNTS[:9], 9, seed=0)
    assert found.agreement[["ceiling_low", "ceiling_high"]].isna().all(axis=None)
    first = found.agreement.iloc[0]
    assert first["spearman"] == pytest.approx(first["spearman_one_seed"])
    mean, only = (found.matrix_agreement.iloc[i].drop("seeds") for i in (0, 1))
    pd.testing.assert_series_equal(mean, only, check_names=False)


def test_two_tasks_have_no_matrices_to_compare():
    small, bank = bank_and_small()
    found = small_vs_bank(small[:, :2], bank, TASKS[:2], SOURCES, N, COUNTS[:9], 9, seed=0)
    assert found.matrix_agreement.iloc[0][["pearson", "spearman_low", "p"]].isna().all()
    assert len(found.pairs) == 1


def test_same_seed_same_tables(compared):
    again = small_vs_bank(*bank_and_small(), TASKS, SOURCES, N, COUNTS, 199, seed=1)
    for name in ("rankings", "agreement", "pairs", "matrix_agreement"):
        pd.testing.assert_frame_equal(getattr(compared, name), getattr(again, name))
    other = small_vs_bank(*bank_and_small(), TASKS, SOURCES, N, COUNTS[::2], 199, seed=1)
    assert (other.rankings["small_low"] != compared.rankings["small_low"]).any()


def test_small_vs_bank_refuses():
    small, bank = bank_and_small()
    rest = (N, COUNTS[:9], 9, 0)
    with pytest.raises(DataError, match="x: the bank has no network"):
        small_vs_bank(small, bank, ["x", "a", "d"], SOURCES, *rest)
    with pytest.raises(DataError, match="for 2 tasks and 6 networks"):
        small_vs_bank(small, bank, TASKS[:2], SOURCES, *rest)
    with pytest.raises(DataError, match="not of 35 images"):
        small_vs_bank(small, bank, TASKS, SOURCES, 35, *rest[1:])
    small[1, 2, 4] = np.nan
    with pytest.raises(RepresentationError, match="small d, seed 1: its RDM holds nan"):
        small_vs_bank(small, bank, TASKS, SOURCES, *rest)


# --- robustness ---


@pytest.fixture(scope="module")
def by_images():
    small, bank = bank_and_small()
    sizes = [N, 6, 18, 400]
    return pd.DataFrame(images_rows(small[0], bank, N, sizes, 8, 2, TASKS, SOURCES))


def test_subsets_of_images(by_images):
    assert list(by_images.columns) == [
        *("factor", "value", "task", "draw", "reference", "spearman", "pearson")
    ]
    assert set(by_images["value"]) == {6, 18, N}  # 400 are more than there are
    draws = by_images[by_images["task"] == "mean"]
    tasks = by_images[by_images["task"] != "mean"]
    numbers = draws.groupby(["reference", "value"]).size().to_dict()
    assert numbers == {
        ("all images", 6): 8,
        ("all images", 18): 8,
        ("all images", N): 1,
        ("disjoint images", 6): 8,
        ("disjoint images", 18): 8,
    }
    assert tasks["draw"].isna().all()
    keys = ["reference", "value"]
    pd.testing.assert_frame_equal(
        draws.groupby(keys)[["spearman", "pearson"]].mean(),
        tasks.groupby(keys)[["spearman", "pearson"]].mean(),
    )
    means = draws.groupby(["reference", "value"])["pearson"].mean()
    assert means["all images", N] == pytest.approx(1)
    assert means["all images", 6] < means["all images", 18] < 1
    # Subsets share images with all of them, so they agree more with these than with one another.
    assert means["disjoint images", 18] < means["all images", 18]


def test_subset_rankings_equal_their_definition():
    small, bank = bank_and_small()
    rows = pd.DataFrame(images_rows(small[0], bank, N, [10], 1, 7, TASKS, SOURCES))
    order = np.random.default_rng([7, 10]).permutation(N)
    halves = []
    for images in (order[:10], order[10:20], np.arange(N)):
        part = [
            np.array([squareform(squareform(rdm)[np.ix_(images, images)]) for rdm in rdms])
            for rdms in (small[0], bank)
        ]
        halves.append(similarity_between(*part))
    for reference, other in (("disjoint images", halves[1]), ("all images", halves[2])):
        for t, task in enumerate(TASKS):
            keep = [i for i, source in enumerate(SOURCES) if source != task]
            row = rows[(rows["reference"] == reference) & (rows["task"] == task)].iloc[0]
            expected = spearmanr(halves[0][t, keep], other[t, keep]).statistic
            assert row["spearman"] == pytest.approx(expected)


def test_subsets_do_not_depend_on_the_other_sizes(by_images):
    small, bank = bank_and_small()
    alone = pd.DataFrame(images_rows(small[0], bank, N, [6], 8, 2, TASKS, SOURCES))
    pd.testing.assert_frame_equal(alone, by_images[by_images["value"] == 6].reset_index(drop=True))
    other = pd.DataFrame(images_rows(small[0], bank, N, [6], 8, 3, TASKS, SOURCES))
    assert (alone["pearson"] != other["pearson"]).any()


def test_images_refuse():
    small, bank = bank_and_small()
    with pytest.raises(DataError, match="subsets of 2 images"):
        images_rows(small[0], bank, N, [2], 1, 0, TASKS, SOURCES)
    bank[4] = squareform(np.where(np.add.outer(np.arange(N), np.arange(N)) == 1, 1.0, 0.0))
    with pytest.raises(RepresentationError, match="5 of 36 images: e: .* same number throughout"):
        images_rows(small[0], bank, N, [5], 20, 0, TASKS, SOURCES)


def rankings(n, seed=0):
    rng = np.random.default_rng(seed)
    return rng.uniform(size=(n, 3, 6)), rng.uniform(size=(3, 6))


def test_models():
    values, bank = rankings(3)
    rows = models_rows("width", [4, 8, 16], values, bank, TASKS, SOURCES, default=8)
    table = pd.DataFrame(rows).set_index(["value", "reference", "task"])
    assert len(table) == 3 * 2 * 4
    keep = [0, 2, 3, 4, 5]  # all but b
    row = table.loc[(16, "bank", "b")]
    expected = spearmanr(values[2, 0, keep], bank[0, keep]).statistic
    assert row["spearman"] == pytest.approx(expected)
    row = table.loc[(4, "default small model", "b")]
    assert row["pearson"] == pytest.approx(pearsonr(values[0, 0, keep], values[1, 0, keep])[0])
    means = table.xs("mean", level="task")
    assert means.loc[(8, "default small model"), "spearman"] == pytest.approx(1)
    for key in means.index:
        assert means.loc[key, "pearson"] == pytest.approx(
            table.loc[key].loc[TASKS, "pearson"].mean()
        )
    assert (means["draw"] == 0).all()
    assert set(table["factor"]) == {"width"}
    without = pd.DataFrame(models_rows("stage", [4, 8, 16], values, bank, TASKS, SOURCES))
    assert set(without["reference"]) == {"bank"}


def test_seeds():
    values, bank = rankings(3)
    table = pd.DataFrame(seeds_rows(values, bank, TASKS, SOURCES))
    draws = table[table["draw"].notna()].set_index(["reference", "value", "task"])
    assert len(draws) == (3 + 3) * 4
    keep = [0, 1, 2, 4, 5]  # all but d
    expected = spearmanr(values[0, 2, keep], values[2, 2, keep]).statistic
    assert draws.loc[("another seed", "0-2", "d"), "spearman"] == pytest.approx(expected)
    expected = spearmanr(values[1, 2, keep], bank[2, keep]).statistic
    assert draws.loc[("bank", "1", "d"), "spearman"] == pytest.approx(expected)
    summary = table[table["draw"].isna()].set_index(["reference", "task"])
    assert len(summary) == 2 * 3
    for (reference, task), row in summary.iterrows():
        ours = draws.xs((reference, task), level=("reference", "task"))
        assert row["pearson"] == pytest.approx(ours["pearson"].mean())
    alone = pd.DataFrame(seeds_rows(values[:1], bank, TASKS, SOURCES))
    assert set(alone["reference"]) == {"bank"}


def test_models_refuse():
    values, bank = rankings(3)
    with pytest.raises(DataError, match="width 5 of the default small model is not among 4, 8"):
        models_rows("width", [4, 8, 16], values, bank, TASKS, SOURCES, default=5)
    with pytest.raises(DataError, match="robustness to stage: .* for 2 values"):
        models_rows("stage", [10, 50], values, bank, TASKS, SOURCES)
    with pytest.raises(DataError, match="robustness to seed"):
        seeds_rows(values[:, :2], bank, TASKS, SOURCES)
