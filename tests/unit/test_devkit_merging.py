"""The Semantic Boundaries Dataset, merged into VOC's training set."""

from __future__ import annotations

import os

import numpy as np
import pytest
from published import write_both
from taskrsa.errors import DataError
from taskrsa.targets.config import TargetData
from taskrsa.targets.devkit import merge_lists, read_merged
from taskrsa.targets.prepare import files_of, read_layout, write_target
from taskrsa.targets.sets import open_sets


def names(start, stop):
    return [f"2008_{i:06d}" for i in range(start, stop)]


def test_the_merged_list_has_the_published_number_of_images():
    # 1,111 of VOC's val and 1,126 of its train are in SBD, which has 11,355 in all.
    voc_train, voc_val = names(0, 1464), names(1464, 2913)
    in_sbd = names(0, 1126) + names(1464, 2575) + names(3000, 12118)
    order = np.random.default_rng(0).permutation(in_sbd).tolist()
    sbd_train, sbd_val = order[:8498], order[8498:]
    assert (len(voc_train), len(voc_val), len(sbd_val)) == (1464, 1449, 2857)
    merged = merge_lists(voc_train, voc_val, sbd_train, sbd_val)
    assert len(merged) == len(set(merged)) == 10582
    assert not set(merged) & set(voc_val)
    assert set(voc_train) <= set(merged)
    assert merged == sorted(merged)


def test_val_is_taken_out_even_if_it_is_in_voc_train():
    assert merge_lists(["b", "a"], ["c", "d"], ["c", "e"], ["b", "f"]) == ["a", "b", "e", "f"]


@pytest.fixture
def both(tmp_path):
    """A devkit (train a; val b) and an SBD with c, d and e, of different sizes."""
    return write_both(tmp_path)


def target(kit, extra) -> TargetData:
    return TargetData(kind="segmentation", path=str(kit), sbd=str(extra))


def test_masks_are_those_of_both_sets(both, tmp_path):
    kit, extra, truth = both
    layout = read_layout(target(kit, extra), 0)
    write_target(target(kit, extra), layout, tmp_path / "data.h5")
    sets = open_sets(tmp_path / "data.h5")
    train = sets["train"]
    assert train.ids == ("a", "c", "d", "e")
    assert sets["val"].ids == ("b",)
    for i, name in enumerate(train.ids):
        np.testing.assert_array_equal(train.label(i), truth[name])
        assert train.image(i).shape[:2] == truth[name].shape
    files = files_of(target(kit, extra))
    assert len(files) == len(set(files))
    assert any(file.endswith("cls/e.mat") for file in files)
    # VOC's own mask, which has void, goes before.
    assert not any(file.endswith(("cls/a.mat", "cls/b.mat")) for file in files)


def test_every_damaged_file_is_named_at_once(both, tmp_path):
    kit, extra, _ = both
    for name in "ce":
        os.truncate(extra / f"cls/{name}.mat", 300)
    layout = read_layout(target(kit, extra), 0)
    with pytest.raises(DataError, match="2 problems in 5 labelled images") as error:
        write_target(target(kit, extra), layout, tmp_path / "data.h5")
    assert f"{extra}/cls/c.mat, {extra}/cls/e.mat: is not a MATLAB file" in str(error.value)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "data.h5").exists()


def test_what_is_lacking_is_named(both, tmp_path):
    kit, extra, _ = both
    (extra / "cls/e.mat").rename(tmp_path / "e.mat")
    with pytest.raises(DataError, match="1 of 5 ids have no mask: e; unpack both archives again"):
        read_merged(kit, extra)
    (tmp_path / "e.mat").rename(extra / "cls/e.mat")
    # SBD's masks have no void: what is scored has VOC's.
    mask = next(kit.rglob("SegmentationClass/b.png"))
    mask.unlink()
    with pytest.raises(DataError, match="have no mask: b"):
        read_merged(kit, extra)
    with pytest.raises(DataError, match="no folder cls there"):
        read_merged(kit, kit)
