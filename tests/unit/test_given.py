"""Similarities that were made elsewhere: read, ranked, and set beside scores."""

from __future__ import annotations

import given_rdms
import list_conditions
import numpy as np
import pandas as pd
import pytest
from taskrsa.analysis.advice import Similarity
from taskrsa.analysis.given import (
    given_prediction,
    given_ranking,
    published_runs,
    read_similarities,
    selection_row,
)
from taskrsa.data.pack import Pack
from taskrsa.errors import DataError
from taskrsa.rsa.rdm_file import read_rdms
from taskrsa.rsa.stacks import stack_rdms

NAMES = ["a", "b", "c", "d"]
STYLES = {name: (name.upper(), "2D") for name in NAMES}
# In the first draw c is before d, in the second d before c; their mean puts d first.
DRAWS = np.array([[0.1, 0.2, 0.5, 0.4], [0.2, 0.1, 0.4, 0.9]])
SCORES = {"a": 0.1, "b": 0.2, "c": 0.3, "d": 0.4}


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "similar.npz"
    np.savez(path, tasks=NAMES, own_z=DRAWS, own_none=DRAWS[:, ::-1], other=DRAWS + 1)
    return path


def similarity(draws=DRAWS, names=NAMES):
    return Similarity(tuple(names), draws.mean(axis=0)[None], draws[:, None])


def test_arrays_are_read_by_name_and_networks_put_in_order(file, capsys):
    found = read_similarities(file, ["own_z", "own_*"], ["d", "x", "b", "a"])
    assert list(found) == ["own_z", "own_none"]
    assert found["own_z"].networks == ("d", "b", "a")
    np.testing.assert_allclose(found["own_z"].draws[:, 0], DRAWS[:, [3, 1, 0]])
    np.testing.assert_allclose(found["own_none"].values[0], DRAWS[:, [0, 2, 3]].mean(axis=0))
    assert "lacks x, left out" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arrays", "pattern", "said"),
    [
        ({"tasks": NAMES, "z": DRAWS}, "y", "has no array y; there are tasks, z"),
        ({"z": DRAWS}, "z", "needs one array of text"),
        ({"tasks": NAMES, "z": DRAWS[:, :3]}, "z", r"z has shape \(2, 3\)"),
        ({"tasks": NAMES, "z": np.where(DRAWS > 0.8, np.nan, DRAWS)}, "z", "or nan"),
        ({"tasks": ["p", "q", "r", "a"], "z": DRAWS}, "z", "has 1 of the networks of the table"),
        ({"tasks": np.array(NAMES, dtype=object), "z": DRAWS}, "z", "cannot be read"),
    ],
)
def test_a_file_that_cannot_be_used_is_one_line(tmp_path, arrays, pattern, said):
    path = tmp_path / "wrong.npz"
    np.savez(path, **arrays)
    with pytest.raises(DataError, match=said):
        read_similarities(path, [pattern], NAMES)


def test_a_ranking_is_that_of_the_means_with_the_draws_as_interval():
    table = given_ranking(similarity(), STYLES, published=["b", "d"])
    assert table["model"].tolist()[:2] == ["d", "c"]
    first = table.iloc[0]
    assert (first["model"], first["label"], first["rank"]) == ("d", "D", 1)
    assert first["rs"] == pytest.approx(0.65)
    assert 0.4 < first["ci_low"] < first["ci_high"] < 0.9
    assert (first["rank_low"], first["rank_high"], first["rank_published"]) == (1, 2, 2)
    assert table.set_index("model").loc["c", "tied"] == "yes"
    assert table["q"].isna().all()


def test_the_prediction_is_the_mean_over_draws_and_not_of_their_mean():
    runs = published_runs(SCORES, "miou", 0.05, 10)
    row = given_prediction(similarity(), runs, 99, 0, None).iloc[0]
    # Spearman of a, b, c, d with their places: 0.8 in either draw.
    assert row["spearman"] == pytest.approx(0.8)
    assert (row["spearman_low"], row["spearman_high"]) == pytest.approx((0.8, 0.8))
    assert row["n_models"] == 4
    assert np.isnan(row["spearman_one_seed"])


def test_a_row_of_selection_has_the_choice_of_the_mean_and_the_draws_as_interval():
    scores = {"c": 0.3, "a": 0.5, "d": 0.4, "b": 0.2, "random": 0.1}
    runs = published_runs(scores, "miou", 0.05, 10)
    row = selection_row("voc2012", "own_z", "voc", similarity(), runs)
    assert (row["choice"], row["choice_rank"], row["n_sources"]) == ("d", 2, 4)
    places = pd.Series(scores)[NAMES].rank()
    by_draw = [places.corr(pd.Series(draw, NAMES).rank()) for draw in DRAWS]
    assert row["spearman"] == pytest.approx(np.mean(by_draw))
    assert min(by_draw) <= row["spearman_low"] < row["spearman_high"] <= max(by_draw)
    few = published_runs({"a": 0.5, "b": 0.2}, "miou", 0.05, 10)
    with pytest.raises(DataError, match="only 2 of the networks have scores"):
        selection_row("voc2012", "own_z", "voc", similarity(), few)


# --- RDMs without images ---


def test_conditions_of_rdm_files_are_the_stimuli(tmp_path):
    rng = np.random.default_rng(0)
    rdms = rng.uniform(size=(2, 45))
    np.savez(tmp_path / "named.npz", rdms=rdms, names=["v1", "it"])
    pack, table = tmp_path / "stimuli.h5", tmp_path / "stimuli.csv"
    list_conditions.main([str(tmp_path / "named.npz")], str(pack), str(table))
    listed = pd.read_csv(table, dtype=str)
    assert listed["image"].tolist() == [str(at) for at in range(10)]
    with Pack(pack) as stimuli:
        assert stimuli.ids == listed["image"].tolist()
        digest = stimuli.digest

    rows = [
        {"name": name, "type": "", "loader": "rdms", "layers": [["last", name]], "weights": "-"}
        for name in ("it", "v1")
    ]
    files = [str(tmp_path / f"{row['name']}.h5") for row in rows]
    given_rdms.main(rows, [str(tmp_path / "named.npz")] * 2, False, "error", str(pack), files)
    stacked = stack_rdms(files, "last")
    assert (stacked.models, stacked.stimuli_digest) == (("it", "v1"), digest)
    np.testing.assert_allclose(stacked.rdms, rdms[::-1], rtol=1e-6)
    assert read_rdms(files[0]).conditions == tuple(listed["image"])

    # Other images, though of the same number, make another list of stimuli.
    np.savez(tmp_path / "other.npz", rdms=rdms[::-1], names=["v1", "it"])
    list_conditions.main([str(tmp_path / "other.npz")], str(pack), str(table))
    with Pack(pack) as stimuli:
        assert stimuli.digest != digest
    np.savez(tmp_path / "fewer.npz", v1=rdms[0, :36])
    files = [str(tmp_path / f"{name}.npz") for name in ("named", "fewer")]
    with pytest.raises(DataError, match="fewer.npz: holds RDMs of 9 conditions"):
        list_conditions.main(files, str(pack), str(table))
