"""Devkits in Pascal VOC's layout: found, listed, refused."""

from __future__ import annotations

import os

import numpy as np
import pytest
from labelled_files import write_devkit
from taskrsa.errors import DataError
from taskrsa.targets.devkit import (
    VOC_CLASSES,
    devkit_root,
    is_devkit,
    listed_images,
    read_devkit,
)

CLASSES = ("ground", "cat", "dog")


@pytest.fixture
def devkit(tmp_path):
    """Four images of two sizes: a, b to train on, c, d to score on."""
    shapes = {name: (6 + i, 9) for i, name in enumerate("abcd")}
    images = [(n, np.zeros((*s, 3), np.uint8), np.zeros(s, np.uint8)) for n, s in shapes.items()]
    lists = {"train": ["a", "b"], "val": ["c", "d"], "trainval": ["a", "b", "c", "d"]}
    return write_devkit(tmp_path / "kit", lists, images, CLASSES)


def list_file(devkit, name="train"):
    return devkit / "ImageSets/Segmentation" / f"{name}.txt"


def test_lists_give_images_masks_and_classes(devkit):
    layout = read_devkit(devkit)
    assert [(one.id, one.split) for one in layout.examples] == [
        ("a", "train"), ("b", "train"), ("c", "val"), ("d", "val"),
    ]  # fmt: skip
    assert layout.classes == CLASSES
    assert layout.examples[2].image == devkit / "JPEGImages/c.png"
    assert layout.examples[2].label == devkit / "SegmentationClass/c.png"
    assert not layout.upright
    files = layout.files()
    assert len(files) == len(set(files)) == 2 + 1 + 8
    assert {str(list_file(devkit)), str(devkit / "classes.txt")} <= set(files)
    # Lists may have other names, and share images with those that are not used.
    assert len(read_devkit(devkit, "train", "val").examples) == 4


@pytest.mark.parametrize("below", ["", "VOC2012", "VOCdevkit/VOC2012"])
def test_a_devkit_is_found_below_its_folder(devkit, tmp_path, below):
    above = tmp_path / "above"
    (above / below).parent.mkdir(parents=True, exist_ok=True)
    os.replace(devkit, above / below)
    assert devkit_root(above) == above / below
    assert is_devkit(above)
    assert not is_devkit(tmp_path)
    with pytest.raises(DataError, match="no folder ImageSets/Segmentation there"):
        devkit_root(tmp_path)


def test_without_a_file_of_classes_they_are_those_of_voc(devkit):
    (devkit / "classes.txt").unlink()
    assert read_devkit(devkit).classes == VOC_CLASSES
    assert len(VOC_CLASSES) == 21
    assert VOC_CLASSES.index("person") == 15


def test_images_to_submit_need_no_masks(devkit):
    (devkit / "SegmentationClass/c.png").unlink()
    assert list(listed_images(devkit, "val")) == ["c", "d"]
    with pytest.raises(DataError, match=r"val\.txt: 1 of 2 ids have no mask in .*: c; restore"):
        read_devkit(devkit)


def test_a_jpeg_goes_before_a_png(devkit):
    (devkit / "JPEGImages/a.jpg").write_bytes(b"any")
    assert listed_images(devkit, "train")["a"].name == "a.jpg"


def test_lists_that_cannot_be_used_are_refused(devkit):
    with pytest.raises(DataError, match=r"other\.txt: file not found"):
        listed_images(devkit, "other")
    for text, message in (
        ("\n \n", r"train\.txt: is empty"),
        ("a\nb\na\n", r"train\.txt: holds a twice"),
        ("a 1\n", r"train\.txt: 'a 1' is not an image id"),
        ("../a\n", r"'../a' is not an image id"),
    ):
        list_file(devkit).write_text(text)
        with pytest.raises(DataError, match=message):
            listed_images(devkit, "train")
    list_file(devkit).write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="is not UTF-8"):
        listed_images(devkit, "train")


def test_windows_line_ends_are_understood(devkit):
    list_file(devkit).write_bytes(b"\xef\xbb\xbfa\r\nb\r\n")
    assert list(listed_images(devkit, "train")) == ["a", "b"]


def test_ids_without_files_are_named_together(devkit):
    list_file(devkit).write_text("".join(f"{name}\n" for name in "apqrstuv"))
    message = r"train\.txt: 7 of 8 ids have no image .*: p, q, r, s, t and 2 more; restore"
    with pytest.raises(DataError, match=message):
        read_devkit(devkit)


def test_an_image_to_train_on_cannot_be_scored(devkit):
    list_file(devkit).write_text("a\nc\n")
    with pytest.raises(DataError, match=r"train\.txt: 1 ids are in val\.txt as well: c"):
        read_devkit(devkit)


@pytest.mark.parametrize(
    ("text", "message"),
    [("x\ny\nx\n", "holds x twice"), ("x\n", "has 1 classes"), ("\n", "is empty")],
)
def test_classes_that_cannot_be_used_are_refused(devkit, text, message):
    (devkit / "classes.txt").write_text(text)
    with pytest.raises(DataError, match=rf"classes\.txt: {message}"):
        read_devkit(devkit)
