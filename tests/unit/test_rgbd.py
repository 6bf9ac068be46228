"""Folders of photographs with depth and classes."""

import json
import shutil

import numpy as np
import pytest
from image_files import data, photograph, refuses, save, truncate
from taskrsa.data import rgbd
from taskrsa.errors import ConfigError, DataError

CLASSES = ["wall", "chair", "lamp"]


@pytest.fixture
def export(tmp_path):
    """Four frames of 32 x 24 pixels with depth in millimetres and three classes."""
    root = tmp_path / "export"
    rows = ["id,split"]
    for index, split in enumerate(("train", "train", "test", "train")):
        save(root / "rgb" / f"f{index}.png", photograph(index, 24, 32))
        depth = np.full((24, 32), 2000 + index, np.uint16)
        depth[:12, :16] = 0
        save(root / "depth" / f"f{index}.png", depth)
        semantic = np.full((24, 32), 1 + index % 3, np.uint8)
        semantic[20:] = 0
        save(root / "semantic" / f"f{index}.png", semantic)
        rows.append(f"f{index},{split}")
    (root / "images.csv").write_text("\n".join(rows) + "\n")
    camera = {"fx": 40, "fy": 42, "cx": 16, "cy": 12, "width": 32, "height": 24}
    camera["depth_unit_m"] = 0.001
    (root / "camera.json").write_text(json.dumps(camera))
    return root


def test_an_rgbd_view(export):
    source = rgbd.open_source(export, image_size=8, classes=CLASSES, depth_step_m=0.04)
    assert source.ids("train") == ["f0", "f1", "f3"]
    assert source.ids("val") == ["f2"]  # the table has a test split only
    assert source.info.semantic_classes == ("wall", "chair", "lamp")
    assert source.info.object_classes == ("chair", "lamp")
    view = source.view("f1")
    assert view.rgb.shape == (8, 8, 3)
    assert (view.camera.fx, view.camera.fy) == (10, 14)
    assert (view.camera.cx, view.camera.cy) == (4, 4)
    assert np.isnan(view.depth[:4, :4]).all()
    np.testing.assert_allclose(view.depth[4:, :], 2.001, rtol=1e-6)
    assert view.depth_step == 0.04
    assert (view.semantic[:6] == 2).all()
    assert (view.semantic[7:] == 0).all()
    assert len(rgbd.files(export)) == 2 + 3 * 4
    assert rgbd.files(export) == sorted(rgbd.files(export))


def test_depth_and_classes_are_optional(export):
    shutil.rmtree(export / "depth")
    view = rgbd.open_source(export, image_size=8, depth_step_m=0.04).view("f0")
    assert view.depth is None
    assert view.depth_step == 0
    assert view.semantic is None
    assert len(rgbd.files(export)) == 2 + 2 * 4


def test_a_validation_split_is_taken_before_a_test_split(export):
    table = (export / "images.csv").read_text().replace("f3,train", "f3,val")
    (export / "images.csv").write_text(table)
    assert rgbd.open_source(export).ids("val") == ["f3"]


def test_classes_from_a_file_and_things_by_name(export, tmp_path):
    names = tmp_path / "classes.txt"
    names.write_text("wall\nchair\nlamp\n")
    source = rgbd.open_source(export, classes=str(names), things=["lamp"])
    assert source.info.semantic_classes == tuple(CLASSES)
    assert source.info.object_classes == ("lamp",)
    assert str(names) in rgbd.files(export, str(names))
    nyu = rgbd.open_source(export, classes="nyu40").info
    assert len(nyu.semantic_classes) == 39
    assert nyu.semantic_classes[0] == "wall"
    assert "chair" in nyu.object_classes
    assert not {"wall", "floor", "ceiling", "window", "otherstructure"} & set(nyu.object_classes)


def test_the_remainder_of_nyu40_is_void(export):
    save(export / "semantic" / "f0.png", np.full((24, 32), 40, np.uint8))
    assert (rgbd.open_source(export, 8, classes="nyu40").view("f0").semantic == 0).all()


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda root: (root / "rgb" / "f0.png").unlink(), r"rgb.f0\.jpg: file not found"),
        (lambda root: truncate(root / "rgb" / "f0.png"), r"rgb.f0\.png: cannot be read"),
        (lambda root: truncate(root / "depth" / "f0.png"), r"depth.f0\.png: cannot be read"),
        (lambda root: (root / "depth" / "f0.png").unlink(), r"depth.f0\.png: file not found"),
        (lambda root: (root / "semantic" / "f0.png").unlink(), r"semantic.f0\.png: file not found"),
        (
            lambda root: save(root / "rgb" / "f0.png", photograph(0, 20, 20)),
            r"f0\.png: is 20 x 20 pixels but camera\.json is 32 x 24",
        ),
        (
            lambda root: save(root / "depth" / "f0.png", np.ones((9, 9), np.uint16)),
            r"depth.f0\.png: is 9 x 9",
        ),
        (
            lambda root: save(root / "depth" / "f0.png", photograph(0, 24, 32)),
            r"depth.f0\.png: must have one channel",
        ),
        (
            lambda root: save(root / "semantic" / "f0.png", np.full((24, 32), 7, np.uint8)),
            r"f0\.png: holds class 7 but 3 classes",
        ),
        (lambda root: (root / "images.csv").unlink(), r"images\.csv: file not found"),
        (lambda root: (root / "images.csv").write_text("id\nf0\n"), "has no column split"),
        (lambda root: (root / "images.csv").write_text("id,split\n"), "lists no images"),
        (
            lambda root: (root / "images.csv").write_text("id,split\nf0,train\nf0,test\n"),
            "image f0 is listed twice",
        ),
        (
            lambda root: (root / "images.csv").write_text("id,split\nf0,training\n"),
            "image 'f0' has split 'training'",
        ),
        (lambda root: (root / "camera.json").unlink(), r"camera\.json: file not found"),
        (lambda root: (root / "camera.json").write_text("{"), r"camera\.json: is not JSON"),
        (
            lambda root: (root / "camera.json").write_text('{"fx": 1}'),
            r"camera\.json: has no entry 'fy'",
        ),
    ],
)
def test_damaged_exports(export, spoil, words):
    spoil(export)
    refuses(DataError, words, lambda: rgbd.open_source(export, 8, classes=CLASSES).view("f0"))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"depth_step_m": -1}, "depth_step_m is -1"),
        ({"classes": "none.txt"}, r"none\.txt cannot be read"),
        ({"classes": ["wall", "wall"]}, "a name is listed twice"),
        ({"classes": CLASSES, "things": ["table"]}, "'table' is none of the classes"),
    ],
)
def test_options_of_an_export_that_cannot_be_used(export, options, words):
    refuses(ConfigError, words, lambda: rgbd.open_source(export, **options))


def test_the_nyu_export():
    source = rgbd.open_source(data("nyuv2"), image_size=64, depth_step_m=0.04, classes="nyu40")
    assert len(source.ids("train")) == 1304
    assert len(source.ids("val")) == 145
    view = source.view(source.ids("val")[0])
    assert view.rgb.shape == (64, 64, 3)
    assert view.camera.fx == pytest.approx(296.4902 / 4, rel=1e-5)
    assert 0.5 < np.nanmedian(view.depth) < 10
    assert view.semantic.max() <= 39
