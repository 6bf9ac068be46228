"""Folders of labelled photographs: one folder a class, or pairs of images and masks or maps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from labelled_files import grey, photo
from taskrsa.errors import DataError
from taskrsa.targets.folder import read_folder


def splits(layout) -> dict[str, list[str]]:
    return {
        role: [one.id for one in layout.examples if one.split == role] for role in ("train", "val")
    }


# --- one folder a class ---


@pytest.fixture
def classes(tmp_path) -> Path:
    for at in range(8):
        photo(tmp_path / f"set/cat/{at}.png", at)
        photo(tmp_path / f"set/dog/{at}.jpg", 10 + at)
    return tmp_path / "set"


def test_one_folder_a_class(classes):
    layout = read_folder("classification", classes, 0.25, 0)
    assert layout.classes == ("cat", "dog")
    # A quarter of every class.
    val = [one.label for one in layout.examples if one.split == "val"]
    assert sorted(val) == ["cat", "cat", "dog", "dog"]
    assert layout.upright
    other, same = (read_folder("classification", classes, 0.25, seed) for seed in (1, 0))
    assert splits(other) != splits(layout) == splits(same)


def test_train_and_val_folders_are_the_split(classes, tmp_path):
    classes.rename(tmp_path / "train")
    photo(tmp_path / "val/dog/9.png", 30)
    layout = read_folder("classification", tmp_path, 0.25, 0)
    assert splits(layout)["val"] == ["val/dog/9"]
    assert len(splits(layout)["train"]) == 16
    photo(tmp_path / "val/cow/9.png", 31)
    with pytest.raises(DataError, match="classes cow are in val but not in train"):
        read_folder("classification", tmp_path, 0.25, 0)


def test_folders_of_classes_that_cannot_be_used(classes, tmp_path):
    photo(classes / "cat/0.jpg", 40)
    with pytest.raises(DataError, match=r"several images are named cat/0"):
        read_folder("classification", classes, 0.25, 0)
    (classes / "cat/0.jpg").unlink()
    photo(classes / "cow/0.jpg", 41)
    with pytest.raises(DataError, match="class cow has 1 images; at least one to train on"):
        read_folder("classification", classes, 0.25, 0)
    photo(tmp_path / "single/cat/0.png")
    with pytest.raises(DataError, match="1 folders of classes; put the photographs of each class"):
        read_folder("classification", tmp_path / "single", 0.25, 0)


def test_splits_of_other_names_are_no_classes(classes, tmp_path):
    (tmp_path / "mine").mkdir()
    classes.rename(tmp_path / "mine/Train")
    with pytest.raises(DataError, match="its folders Train are splits, not classes"):
        read_folder("classification", tmp_path / "mine", 0.25, 0)
    photo(tmp_path / "mine/test/dog/9.png", 30)
    with pytest.raises(DataError, match="its folders Train, test are splits, not classes; rename"):
        read_folder("classification", tmp_path / "mine", 0.25, 0)


def test_classes_may_be_named_as_splits(tmp_path):
    for at in range(4):
        photo(tmp_path / f"set/train/{at}.png", at)
        photo(tmp_path / f"set/test/{at}.png", 10 + at)
    assert read_folder("classification", tmp_path / "set", 0.25, 0).classes == ("test", "train")


def test_a_class_without_photographs_is_named(classes):
    (classes / "cow").mkdir()
    (classes / "cow/notes.txt").touch()
    with pytest.raises(DataError, match="cow: holds no photographs; add some, or remove the fo"):
        read_folder("classification", classes, 0.25, 0)


def test_what_macos_leaves_in_archives_is_no_class(classes):
    found = read_folder("classification", classes, 0.25, 0)
    for name in ("__MACOSX/cat/._0.png", "cat/._0.png", ".git/0.png"):
        (classes / name).parent.mkdir(parents=True, exist_ok=True)
        (classes / name).write_bytes(b"no image")
    assert read_folder("classification", classes, 0.25, 0) == found


# --- images and masks, images and maps ---


@pytest.fixture
def masks(tmp_path) -> Path:
    for at in range(6):
        photo(tmp_path / f"set/images/{at}.png", at)
        grey(tmp_path / f"set/masks/{at}.png", np.full((18, 24), at % 3, np.uint8))
    return tmp_path / "set"


def test_classes_are_named_by_a_file_or_not(masks):
    layout = read_folder("segmentation", masks, 0.25, 0)
    assert layout.classes == ()
    assert {role: len(ids) for role, ids in splits(layout).items()} == {"train": 4, "val": 2}
    (masks / "classes.txt").write_text("sky\nroad\ncar\ntree\n")
    layout = read_folder("segmentation", masks, 0.25, 0)
    assert layout.classes == ("sky", "road", "car", "tree")
    assert str(masks / "classes.txt") in layout.files()


@pytest.mark.parametrize("at", ["", "train"])
def test_masks_in_train_and_val_folders(masks, at):
    masks.rename(masks.parent / "train")
    root = masks.parent / "both"
    root.mkdir()
    (masks.parent / "train").rename(root / "train")
    photo(root / "val/images/deep/x.png", 9)
    grey(root / "val/masks/deep/x.png", np.ones((18, 24), np.uint8))
    # For both at once, or beside those it is of.
    (root / at / "classes.txt").write_text("sky\nroad\ncar\n")
    layout = read_folder("segmentation", root, 0.25, 0)
    assert splits(layout) == {"train": [f"train/{n}" for n in range(6)], "val": ["val/deep/x"]}
    assert layout.classes == ("sky", "road", "car")
    assert str(root / at / "classes.txt") in layout.files()


def test_hidden_masks_are_no_labels(masks):
    found = read_folder("segmentation", masks, 0.25, 0)
    for name in ("images", "masks"):
        (masks / name / "._0.png").write_bytes(b"no image")
    assert read_folder("segmentation", masks, 0.25, 0) == found


def test_every_image_has_its_label(masks):
    (masks / "masks/5.png").unlink()
    with pytest.raises(DataError, match=r"1 files have no partner: images/5; every image"):
        read_folder("segmentation", masks, 0.25, 0)
    photo(masks / "images/4.jpg")
    with pytest.raises(DataError, match="4.png: another image is named 4; rename one"):
        read_folder("segmentation", masks, 0.25, 0)


def test_a_map_is_a_picture_or_an_array(masks):
    (masks / "masks").rename(masks / "maps")
    (masks / "maps/3.png").unlink()
    np.save(masks / "maps/3.npy", np.ones((18, 24)))
    layout = read_folder("regression", masks, 0.25, 0)
    assert layout.classes == ("value",)
    assert {one.id: one.label.name for one in layout.examples}["3"] == "3.npy"
    grey(masks / "maps/3.png", np.ones((18, 24), np.uint8))
    with pytest.raises(DataError, match=r"3.png: 3.npy is of the same image"):
        read_folder("regression", masks, 0.25, 0)


def test_what_is_not_there(tmp_path):
    with pytest.raises(DataError, match="no such folder of labelled images; correct the target's"):
        read_folder("segmentation", tmp_path / "none", 0.2, 0)
    with pytest.raises(DataError, match="no such CSV file; correct"):
        read_folder("values", tmp_path / "ages.csv", 0.2, 0)
    with pytest.raises(DataError, match="run derive_targets with the same config"):
        read_folder("values", tmp_path / "results/mine/derived/ages.csv", 0.2, 0)
    # A folder of the user's own may have that name.
    with pytest.raises(DataError, match="no such CSV file; correct"):
        read_folder("values", tmp_path / "derived/ages.csv", 0.2, 0)
    with pytest.raises(DataError, match="images: no such folder; segmentation needs images and"):
        read_folder("segmentation", tmp_path, 0.2, 0)
    (tmp_path / "images").mkdir()
    with pytest.raises(DataError, match="maps: no such folder; regression needs images and maps"):
        read_folder("regression", tmp_path, 0.2, 0)
