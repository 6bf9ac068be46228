"""Images of one scene or clip: from the source to the resamples, the tables and the page."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from labelled_files import photo
from made_rdms import IMAGES, write
from report_runs import bank
from scipy.stats import spearmanr
from taskrsa.analysis.tables import with_groups
from taskrsa.analysis.taxonomy import similarity_table
from taskrsa.data import rgbd, taskonomy
from taskrsa.data.folder import Folder
from taskrsa.data.pack import Pack, write_pack, write_stimuli_table
from taskrsa.data.view import SourceInfo
from taskrsa.errors import DataError
from taskrsa.io.files import read_table, write_table
from taskrsa.report.answer import bank_answer, target_answer
from taskrsa.rsa.inference import resampled_similarity
from taskrsa.rsa.stacks import load_stacks, stack_rdms

GROUPS = ["kitchen", "kitchen", "hall", "", "hall", "kitchen", "", "hall"]


@pytest.fixture
def photographs(tmp_path) -> Path:
    for at, name in enumerate(("clip1/a", "clip1/b", "clip2/a", "clip2/b")):
        photo(tmp_path / f"photos/{name}.png", at)
    return tmp_path / "photos"


def groups_of(source: Folder) -> list[str]:
    return [source.view(image_id).group for image_id in source.ids("train")]


# --- sources ---


def test_photographs_of_one_folder_are_a_group(photographs):
    assert groups_of(Folder(photographs, 8)) == ["", "", "", ""]
    assert groups_of(Folder(photographs, 8, groups="folders")) == [
        *("clip1", "clip1", "clip2", "clip2"),
    ]


def test_groups_of_photographs_from_a_table(photographs, tmp_path):
    table = tmp_path / "groups.csv"
    rows = ["image,group", "clip1/a,x", "clip1/b.png,y", "clip2/a,x", "clip2/b,", "other,z"]
    table.write_text("\n".join(rows) + "\n")
    assert groups_of(Folder(photographs, 8, groups=str(table))) == ["x", "y", "x", ""]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "file not found"),
        ("image,clip\nclip1/a,x\n", "has no column group"),
        ("image,group\nclip1/a,x\n", "lists no group of 3 of 4 images: clip1/b"),
    ],
)
def test_groups_that_cannot_be_used(photographs, tmp_path, content, words):
    table = tmp_path / "groups.csv"
    if content is not None:
        table.write_text(content)
    with pytest.raises(DataError, match=words) as error:
        Folder(photographs, 8, groups=str(table))
    assert str(table) in str(error.value)


def test_parts_of_a_scene_are_one_place():
    assert rgbd.place_of("kitchen_0029a") == rgbd.place_of("kitchen_0029b") == "kitchen_0029"
    assert rgbd.place_of("cafe") == "cafe"
    assert taskonomy._point("hanson/point_3_view_7") == "hanson/point_3"


@pytest.mark.parametrize(("column", "group"), [("scene", "kitchen_0029"), ("group", "b")])
def test_the_table_of_an_rgbd_folder_may_name_groups(tmp_path, column, group):
    names = {"scene": "kitchen_0029b", "group": "b"}
    (tmp_path / "images.csv").write_text(f"id,split,{column}\n0,train,{names[column]}\n")
    assert rgbd._table(tmp_path) == ({"0": "train"}, {"0": group})


# --- files ---


def test_groups_go_with_the_stimuli(photographs, tmp_path):
    listed, tables = [], {}
    for name, groups in (("plain", None), ("grouped", "folders")):
        source = Folder(photographs, 8, groups=groups)
        views = [source.view(image_id) for image_id in source.ids("train")]
        write_pack(tmp_path / f"{name}.h5", views, SourceInfo(), len(views))
        write_stimuli_table(tmp_path / f"{name}.csv", tmp_path / f"{name}.h5", {"kind": "folder"})
        with Pack(tmp_path / f"{name}.h5") as pack:
            listed.append(pack.groups)
        tables[name] = list(csv.DictReader((tmp_path / f"{name}.csv").open()))
    assert listed == [(), ("clip1", "clip1", "clip2", "clip2")]
    assert list(tables["plain"][0]) == ["image", "path", "sha256"]
    assert [row["group"] for row in tables["grouped"]] == list(listed[1])


def test_rdms_keep_the_groups_of_the_images_that_are_kept(tmp_path):
    write(tmp_path / "a.h5", "a", groups=GROUPS)
    write(tmp_path / "b.h5", "b", 1, dead=[0], groups=GROUPS)
    one, other = load_stacks([tmp_path / "a.h5"], [tmp_path / "b.h5"], "compressed")
    # kitchen, hall, alone, hall, kitchen, alone, hall: the first image was dropped
    for stack in (one, other):
        assert (stack.n_images, stack.n_groups) == (7, 4)
        same = stack.groups[:, None] == stack.groups
        np.testing.assert_array_equal(same[0], [1, 0, 0, 0, 1, 0, 0])
        np.testing.assert_array_equal(same[1], [0, 1, 0, 1, 0, 0, 1])
        counts = stack.counts(50, 3)
        assert (counts[:, 1] == counts[:, 3]).all()
        assert (counts[:, 2] != counts[:, 5]).any()  # images without a group are not one
    np.testing.assert_array_equal(one.counts(50, 3), other.counts(50, 3))


def test_without_shared_groups_files_and_resamples_are_as_before(tmp_path):
    plain, own = (
        write(tmp_path / f"{name}.h5", "edges", groups=groups)
        for name, groups in (("plain", [""] * 8), ("own", list("abcdefgh")))
    )
    assert stack_rdms([own], "block1").groups is None
    before = write(tmp_path / "before.h5", "edges")
    assert plain.read_bytes() == before.read_bytes()
    stacks = [stack_rdms([path], "block1") for path in (plain, own)]
    np.testing.assert_array_equal(stacks[0].counts(9, 1), stacks[1].counts(9, 1))
    assert [stack.n_groups for stack in stacks] == [None, None]


def test_intervals_of_similarities_draw_the_groups(tmp_path):
    paths = [write(tmp_path / f"{at}.h5", f"m{at}", at, groups=GROUPS) for at in range(3)]
    stack = stack_rdms(paths, "compressed")
    assert (len(IMAGES), stack.n_groups) == (8, 4)
    drawn = similarity_table(stack, "compressed", 60, 9, 0)
    single = similarity_table(replace(stack, groups=None), "compressed", 60, 9, 0)
    np.testing.assert_array_equal(drawn["rs"], single["rs"])
    assert (drawn["ci_low"] != single["ci_low"]).all()


# --- tables and page ---


def test_tables_say_how_many_groups_were_drawn(tmp_path):
    rows = [{"rs": 0.5, "rs_low": 0.4, "n": 3}, {"rs": 0.6, "n": 4}]
    assert with_groups(rows, None) is rows
    table = with_groups(rows, 67)
    write_table(table, tmp_path / "t.csv")
    assert (tmp_path / "t.csv").read_text().splitlines()[1:] == ["0.5,0.4,3,67", "0.6,,4,"]
    assert read_table(tmp_path / "t.csv")["n_groups"].iloc[0] == 67
    assert with_groups(pd.DataFrame({"n_tied": [1, 2]}), 5)["n_groups"].tolist() == [5, 5]


def test_the_page_says_that_groups_were_drawn():
    given = bank()
    similarity = given.tables["similarity"].assign(n_images=200)
    grouped = replace(given, tables={"similarity": similarity.assign(n_groups=67)})
    words = "The 200 stimuli show 67 scenes or clips; intervals resample these, not single images."
    for found in (target_answer(grouped, "mine"), bank_answer(grouped)):
        assert words in found.said
    assert words not in bank_answer(given).said


@pytest.mark.parametrize(
    ("seeds", "words"),
    [
        (1, "training it again may change the order"),
        (3, "Intervals of RSA allow for training its 3 small models again."),
    ],
)
def test_the_page_says_what_training_again_may_change(seeds, words):
    given = bank()
    ranking = given.targets["mine"]["ranking"].assign(n_seeds=seeds)
    tables = {**given.targets["mine"], "ranking": ranking}
    found = target_answer(replace(given, targets={"mine": tables}), "mine")
    assert words in " ".join(found.said)


def test_pairs_of_a_scene_count_as_often_as_it_is_drawn():
    rng = np.random.default_rng(0)
    rdms = rng.uniform(size=(2, 15)).astype(np.float32)
    groups, counts = np.array([0, 0, 1, 1, 2, 3]), np.array([[2, 2, 1, 1, 0, 1]])
    a, b = np.triu_indices(6, 1)
    weights = counts[0][a] * counts[0][b]
    weights[groups[a] == groups[b]] = counts[0][a][groups[a] == groups[b]]
    expected = spearmanr(*np.repeat(rdms, weights, axis=1)).statistic
    found = resampled_similarity(rdms, counts, groups=groups)[0, 0, 1]
    assert found == pytest.approx(expected, abs=1e-6)
    assert found != pytest.approx(resampled_similarity(rdms, counts)[0, 0, 1], abs=1e-4)
