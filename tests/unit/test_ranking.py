import numpy as np
import pytest
from scipy.stats import pearsonr, spearmanr
from taskrsa.analysis.ranking import ranking_agreement, task_agreement
from taskrsa.errors import RepresentationError


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
