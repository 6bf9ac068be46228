import numpy as np
import pandas as pd
import pytest
from made_rdms import SOURCES, TASKS, N, bank_and_small, small_models, stack
from scipy.spatial.distance import squareform
from scipy.stats import pearsonr, spearmanr
from taskrsa.analysis.robustness import images_rows, models_rows, seeds_rows
from taskrsa.errors import DataError, RepresentationError
from taskrsa.rsa.similarity import similarity_between


def rows_by_images(small, bank, sizes, n_subsets, seed):
    """Return the rows for the small models of the first seed."""
    stacks = small_models(small[:1]), stack(SOURCES, bank)
    return images_rows(*stacks, TASKS, sizes, n_subsets, seed)


@pytest.fixture(scope="module")
def by_images():
    small, bank = bank_and_small()
    sizes = [N, 6, 18, 400]
    return pd.DataFrame(rows_by_images(small, bank, sizes, 8, 2))


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
    rows = pd.DataFrame(rows_by_images(small, bank, [10], 1, 7))
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
    alone = pd.DataFrame(rows_by_images(small, bank, [6], 8, 2))
    pd.testing.assert_frame_equal(alone, by_images[by_images["value"] == 6].reset_index(drop=True))
    other = pd.DataFrame(rows_by_images(small, bank, [6], 8, 3))
    assert (alone["pearson"] != other["pearson"]).any()


def test_images_refuse():
    small, bank = bank_and_small()
    with pytest.raises(DataError, match="subsets of 2 images"):
        rows_by_images(small, bank, [2], 1, 0)
    bank[4] = squareform(np.where(np.add.outer(np.arange(N), np.arange(N)) == 1, 1.0, 0.0))
    with pytest.raises(RepresentationError, match="5 of 36 images: e: .* same number throughout"):
        rows_by_images(small, bank, [5], 20, 0)


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
