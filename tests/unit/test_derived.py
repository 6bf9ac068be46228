"""Labelled sets that are derived from views: every kind is read back as a target."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
from taskrsa.data.view import Camera, SourceInfo, View
from taskrsa.errors import DataError
from taskrsa.targets.config import TargetData
from taskrsa.targets.derived import drawn_splits, n_classes, write_derived
from taskrsa.targets.prepare import read_layout, write_target
from taskrsa.targets.sets import open_sets

SIZE = 16
INFO = SourceInfo(
    semantic_classes=("wall", "bed", "chair", "lamp"), object_classes=("bed", "chair", "lamp")
)


@dataclass
class Rooms:
    """Rooms with one object: a bed in every second, a chair in most others, a lamp in the last;
    every third has a lamp as well."""

    n: int = 12
    info: SourceInfo = INFO

    def ids(self, split: str) -> list[str]:
        ids = [f"{at:02d}" for at in range(self.n)]
        return ids[:3] if split == "val" else ids[3:]

    def view(self, image_id: str) -> View:
        at = int(image_id)
        semantic = np.ones((SIZE, SIZE), np.int16)
        semantic[4:12, 4:12] = 4 if at == self.n - 1 else 2 + at % 2
        semantic[13:15, :4] = 4 if at % 3 == 0 else 1
        semantic[0] = 0
        depth = np.full((SIZE, SIZE), 1.0 + at, np.float32)
        depth[:, :8] += 1
        depth[-1] = np.nan
        rgb = np.full((SIZE, SIZE, 3), 10 * at, np.uint8)
        rgb[:, 8:] += 40
        camera = Camera(16.0, 16.0, 8.0, 8.0)
        return View(image_id=image_id, rgb=rgb, camera=camera, depth=depth, semantic=semantic)


@pytest.fixture
def folder(tmp_path):
    rooms = Rooms()
    write_derived(rooms, drawn_splits(rooms, {"train": 7, "val": 4}, seed=0), tmp_path, n_objects=2)
    return tmp_path


def prepared(folder, kind, name, tmp_path):
    target = TargetData(kind=kind, path=str(folder / name), image_size=SIZE)
    data = tmp_path / f"{name}.h5"
    rows = pd.DataFrame(write_target(target, read_layout(target, seed=0), data))
    return data, rows


def test_splits_are_drawn_of_all_images():
    rooms = Rooms()
    splits = drawn_splits(rooms, {"train": 7, "val": 4}, seed=0)
    assert sorted(splits.values()) == ["train"] * 7 + ["val"] * 4
    assert splits == drawn_splits(rooms, {"train": 7, "val": 4}, seed=0)
    assert splits != drawn_splits(rooms, {"train": 7, "val": 4}, seed=1)
    with pytest.raises(DataError, match="13 images are asked for, and there are 12"):
        drawn_splits(rooms, {"train": 9, "val": 4}, seed=0)


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("regression", "depth"),
        ("regression", "edges"),
        ("regression", "texture"),
        ("segmentation", "classes"),
        ("values", "distance.csv"),
        ("values", "clutter.csv"),
    ],
)
def test_sets_are_targets(folder, tmp_path, kind, name):
    _, rows = prepared(folder, kind, name, tmp_path)
    assert rows["split"].value_counts().to_dict() == {"train": 7, "val": 4}


def test_distance_is_the_median(folder):
    rows = pd.read_csv(folder / "distance.csv")
    for row in rows.itertuples():
        at = int(row.image[-6:-4])
        assert row.distance == pytest.approx(1.5 + at, abs=0.51)


def test_clutter_counts_the_classes_that_are_seen(folder):
    rows = pd.read_csv(folder / "clutter.csv")
    found = {int(row.image[-6:-4]): row.clutter for row in rows.itertuples()}
    assert found == {at: 3 if at % 3 == 0 else 2 for at in found}


def test_a_class_of_a_few_pixels_is_not_clutter():
    view = Rooms().view("01")
    view.semantic[2, 2] = 2
    assert n_classes(view, INFO) == 2
    view.semantic[2, 2:6] = 2
    assert n_classes(view, INFO) == 3


def test_depth_is_unknown_where_it_was_not_measured(folder):
    values = np.load(next((folder / "depth").rglob("*.npy")))
    assert values.shape == (SIZE, SIZE)
    assert np.isnan(values[-1]).all()
    assert (values[:-1, :8] > values[:-1, 8:]).all()


def test_the_most_frequent_dominant_objects(folder):
    rows = pd.read_csv(folder / "objects.csv")
    found = {int(row.image[-6:-4]): row.label for row in rows.itertuples()}
    assert found == {at: ("bed", "chair")[at % 2] for at in found}
    assert 11 not in found


def test_classes_have_names(folder, tmp_path):
    data, _ = prepared(folder, "segmentation", "classes", tmp_path)
    assert tuple(open_sets(data)["train"].classes) == INFO.semantic_classes
