"""The sources that read files: what they yield, and what they say about files they cannot use."""

import json
import logging
import math
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from taskrsa.data import folder, rgbd, taskonomy
from taskrsa.data.sources import open_source
from taskrsa.errors import ConfigError, DataError, TaskrsaError


def photograph(seed: int, height: int = 32, width: int = 32) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def save(path: Path, pixels: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


def truncate(path: Path) -> Path:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return path


def refuses(error: type[TaskrsaError], words: str, call) -> None:
    with pytest.raises(error, match=words) as caught:
        call()
    assert "\n" not in str(caught.value)


def data(name: str) -> Path:
    root = os.environ.get("TASKRSA_DATA")
    if not root or not Path(root, name).is_dir():
        pytest.skip(f"TASKRSA_DATA does not name a folder that holds {name}")
    return Path(root, name)


# -------------------------------------------------------------------------------- opening by kind


def test_sources_open_by_kind(tmp_path):
    save(tmp_path / "a.png", photograph(0))
    source = open_source("folder", path=tmp_path, image_size=16)
    assert source.ids("train") == ["a"]
    assert open_source("simulated", n_train=3, n_val=1).ids("val")


@pytest.mark.parametrize(
    ("kind", "options", "words"),
    [
        ("pictures", {}, "no source 'pictures'"),
        ("../folder", {}, "no source '../folder'"),
        ("view", {}, "no source 'view'"),
        ("folder", {}, "path: source folder needs"),
        ("folder", {"path": ".", "size": 3}, "size: source folder has no such option"),
        ("folder", {"path": ".", "image_size": "big"}, "image_size is 'big'"),
        ("folder", {"path": ".", "image_size": 0}, "image_size is 0"),
    ],
)
def test_what_cannot_be_opened(kind, options, words):
    refuses(ConfigError, words, lambda: open_source(kind, **options))


# -------------------------------------------------------------------------- photographs in a folder


def test_photographs_are_cropped_to_the_centre_and_resized(tmp_path):
    pixels = np.zeros((40, 100, 3), np.uint8)
    pixels[:, 30:70] = 200
    save(tmp_path / "wide.png", pixels)
    save(tmp_path / "deep" / "tall.png", np.ascontiguousarray(pixels.transpose(1, 0, 2)))
    save(tmp_path / "deep" / "grey.jpg", np.full((20, 20), 90, np.uint8))
    (tmp_path / "notes.txt").write_text("no photograph")
    source = folder.open_source(tmp_path, image_size=16)
    assert source.ids("train") == ["deep/grey", "deep/tall", "wide"]
    assert source.ids("val") == []
    for image_id, level in (("wide", 200), ("deep/tall", 200), ("deep/grey", 90)):
        view = source.view(image_id)
        assert view.rgb.shape == (16, 16, 3)
        assert view.rgb.dtype == np.uint8
        assert (view.rgb == level).all()
        assert view.depth is None
    assert folder.open_source(tmp_path, recursive=False).ids("train") == ["wide"]
    assert folder.open_source(tmp_path, pattern="*.jpg").ids("train") == ["deep/grey"]
    assert folder.files(tmp_path, "*.jpg") == [str(tmp_path / "deep" / "grey.jpg")]


def test_resizing_is_the_mean_over_the_area(tmp_path):
    pixels = photograph(1, 64, 64)
    save(tmp_path / "a.png", pixels)
    view = folder.open_source(tmp_path, image_size=16).view("a")
    expected = pixels.reshape(16, 4, 16, 4, 3).mean((1, 3))
    assert np.abs(view.rgb - expected).max() <= 1


def test_a_turned_photograph_is_put_upright(tmp_path):
    pixels = np.zeros((20, 20, 3), np.uint8)
    pixels[:10] = 255
    image = Image.fromarray(pixels)
    exif = image.getexif()
    exif[274] = 6  # turned by a quarter
    image.save(tmp_path / "a.png", exif=exif)
    rgb = folder.open_source(tmp_path, image_size=8).view("a").rgb
    assert (rgb[:, 5:] == 255).all()
    assert (rgb[:, :3] == 0).all()


def test_all_unreadable_photographs_are_named_together(tmp_path):
    save(tmp_path / "good.png", photograph(0))
    truncate(save(tmp_path / "cut.jpg", photograph(1, 200, 200)))
    (tmp_path / "text.png").write_text("no photograph")
    save(tmp_path / "deep16.png", np.full((20, 20), 9000, np.uint16))
    source = folder.open_source(tmp_path)
    refuses(
        DataError, r"3 of 4 files.*cut\.jpg.*deep16\.png.*text\.png", lambda: source.ids("train")
    )
    refuses(DataError, r"text\.png: cannot be read", lambda: source.view("text"))


def test_two_photographs_for_one_id_are_both_named(tmp_path):
    save(tmp_path / "a.jpg", photograph(0))
    save(tmp_path / "a.png", photograph(1))
    refuses(DataError, r"a\.jpg and .*a\.png would both be", lambda: folder.open_source(tmp_path))


def test_a_list_names_photographs_in_its_order(tmp_path):
    save(tmp_path / "set" / "b.png", photograph(0))
    save(tmp_path / "set" / "deep" / "a.jpg", photograph(1))
    other = save(tmp_path / "other" / "c.jpg", photograph(2))
    listed = tmp_path / "set" / "list.txt"
    listed.write_text("# mine\n\ndeep/a.jpg\nb.png\n")
    source = folder.open_source(listed, image_size=16)
    assert source.ids("train") == ["deep/a", "b"]
    whole = folder.open_source(tmp_path / "set", image_size=16)
    for image_id in source.ids("train"):
        assert (source.view(image_id).rgb == whole.view(image_id).rgb).all()
    listed.write_text(f"{other}\n../set/b.png\n")
    assert folder.open_source(listed).ids("train") == ["other/c", "set/b"]


def test_a_glob_names_photographs(tmp_path, monkeypatch):
    for name in ("x/1/b.png", "x/1/a.png", "x/2/c.jpg", "x/2/notes.txt", "y/d.png"):
        save(tmp_path / name, photograph(0)) if "txt" not in name else (tmp_path / name).touch()
    assert folder.open_source(tmp_path / "x" / "*" / "*").ids("train") == ["1/a", "1/b", "2/c"]
    assert folder.open_source(f"{tmp_path}/**/*.png").ids("train") == ["x/1/a", "x/1/b", "y/d"]
    monkeypatch.chdir(tmp_path)
    assert folder.open_source("x/1/*.png").ids("train") == ["a", "b"]
    (tmp_path / "x[1]").mkdir()
    save(tmp_path / "x[1]" / "e.png", photograph(0))
    assert folder.open_source("x[1]").ids("train") == ["e"]
    refuses(DataError, "no JPEG or PNG files match it", lambda: folder.open_source("z/*.jpg"))


def test_what_is_wrong_with_a_list_is_named_together(tmp_path):
    save(tmp_path / "a.png", photograph(0))
    (tmp_path / "b.tif").touch()
    listed = tmp_path / "list.txt"
    listed.write_text("a.png\nb.tif\nnone.png\n")
    refuses(DataError, r"2 of 3 files are.*b\.tif, .*none\.png;", lambda: folder.files(listed))
    listed.write_text("a.png\na.png\n")
    refuses(DataError, r"names twice: .*a\.png", lambda: folder.files(listed))
    listed.write_text("# nothing\n")
    refuses(DataError, "names no photograph", lambda: folder.files(listed))
    refuses(DataError, "is not a list of photographs", lambda: folder.files(tmp_path / "a.png"))


def test_folders_without_photographs(tmp_path):
    refuses(DataError, "no such folder", lambda: folder.open_source(tmp_path / "none"))
    refuses(DataError, "no JPEG or PNG files", lambda: folder.open_source(tmp_path))
    save(tmp_path / "a.png", photograph(0))
    source = folder.open_source(tmp_path)
    refuses(DataError, "no image b", lambda: source.view("b"))
    refuses(ConfigError, "no split 'test'", lambda: source.ids("test"))


# ---------------------------------------------------------------------- photographs with depth


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
        (
            lambda root: (root / "images.csv").write_text("id,split\nf9,train\n"),
            "lists no image f0",
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
        ({"classes": ["wall", "wall"]}, "a name stands twice"),
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


# ------------------------------------------------------------------------------------- Taskonomy


def record(**changes) -> dict:
    """A camera at (1, 2, 1.5), level, looking along world y, in a room of 6 x 8 x 3 metres."""
    return {
        "field_of_view_rads": math.pi / 2,
        "camera_location": [1.0, 2.0, 1.5],
        "camera_rotation_final": [math.pi / 2, 0.0, 0.0],
        # Published with the names of the world's x and y exchanged.
        "bounding_box_ranges": {"x": [0.0, 8.0], "y": [-2.0, 4.0], "z": [0.0, 3.0]},
    } | changes


def building(root: Path, points: int = 1, views: int = 1, prefix: str = "") -> Path:
    for point in range(points):
        for number in range(views):
            stem = f"{prefix}point_{point}_view_{number}_domain_"
            save(root / f"{stem}rgb.png", photograph(point, 32, 32))
            depth = np.full((32, 32), 1024, np.uint16)
            depth[:8] = 65535
            save(root / f"{stem}depth_zbuffer.png", depth)
            normal = np.full((32, 32, 3), (128, 127, 0), np.uint8)
            normal[:8] = 128
            save(root / f"{stem}normal.png", normal)
            save(root / f"{stem}edge_texture.png", np.full((32, 32), 1000 * point, np.uint16))
            save(root / f"{stem}edge_occlusion.png", np.full((32, 32), 500, np.uint16))
            save(root / f"{stem}segment_semantic.png", np.full((32, 32), 4, np.uint8))
            save(root / f"{stem}segment_unsup2d.png", np.full((32, 32), 300, np.uint16))
            curvature = np.full((32, 32, 3), (127, 127, 0), np.uint8)
            curvature[0] = 0
            save(root / f"{stem}principal_curvature.png", curvature)
            (root / f"{stem}point_info.json").write_text(json.dumps(record()))
    return root


def test_a_taskonomy_view(tmp_path):
    source = taskonomy.open_source(building(tmp_path), image_size=16, val_fraction=0.0)
    assert source.ids("train") == ["point_0_view_0"]
    assert len(source.info.semantic_classes) == 17
    assert len(source.info.object_classes) == 16
    view = source.view("point_0_view_0")
    assert (view.camera.fx, view.camera.cx) == (pytest.approx(8), 8)
    assert np.isnan(view.depth[:4]).all()
    assert (view.depth[4:] == 2).all()
    assert np.isnan(view.normal[:4]).all()
    np.testing.assert_allclose(view.normal[4:, :, 2], -1, atol=1e-4)
    assert (view.semantic == 4).all()
    assert set(view.official) == {"rgb2depth", "edge2d", "edge3d", "curvature", "segment2d"}
    assert view.official["rgb2depth"][0, 8, 8] == pytest.approx(
        math.log(1 + 1024) / math.log(2**16), rel=1e-5
    )
    assert np.isnan(view.official["edge3d"][0, 0, 0])
    assert np.isfinite(view.official["edge2d"]).all()
    assert (view.official["segment2d"] == 300).all()
    standard = [(127 - 123.572) / 31.922, (127 - 120.1) / 21.658]
    np.testing.assert_allclose(view.official["curvature"][:, 8, 8], standard, rtol=1e-5)


def test_the_room_in_camera_coordinates():
    layout, vanishing = taskonomy.room_in_camera(record())
    # Camera looks along world y: right is x, down is -z, forward is y.
    np.testing.assert_allclose(layout[:3], [0, 0, 2], atol=1e-6)
    np.testing.assert_allclose(layout[3:6], [6, 3, 8], atol=1e-6)
    np.testing.assert_allclose(layout[6:], [1, 0, 0], atol=1e-6)
    np.testing.assert_allclose(vanishing, np.eye(3).ravel(), atol=1e-6)

    turn, dip = 0.3, 0.2  # turned right of y, looking down
    pose = [math.pi / 2 - dip, 0.0, -turn]
    layout, vanishing = taskonomy.room_in_camera(record(camera_rotation_final=pose))
    np.testing.assert_allclose(layout[3:6], [6, 3, 8], atol=1e-6)
    np.testing.assert_allclose(layout[6:], [math.cos(turn), math.sin(turn), dip], atol=1e-6)
    right, down, forward = vanishing.reshape(3, 3)
    t, p = turn, dip
    np.testing.assert_allclose(
        right, [math.cos(t), -math.sin(p) * math.sin(t), math.cos(p) * math.sin(t)], atol=1e-6
    )
    np.testing.assert_allclose(down, [0, math.cos(p), math.sin(p)], atol=1e-6)
    np.testing.assert_allclose(
        forward, [-math.sin(t), -math.sin(p) * math.cos(t), math.cos(p) * math.cos(t)], atol=1e-6
    )

    sideways, _ = taskonomy.room_in_camera(
        record(camera_rotation_final=[math.pi / 2, 0.0, -math.pi / 2])  # along world x
    )
    np.testing.assert_allclose(sideways[:6], [-2, 0, 0, 8, 3, 6], atol=1e-6)


def test_files_may_lie_in_folders_of_domains_and_buildings(tmp_path):
    for name in ("ada", "bob"):
        building(tmp_path / name, points=2)
    flat = sorted((tmp_path / "ada").iterdir())
    for file in flat:  # ada: a folder for each domain
        domain = file.stem.partition("_domain_")[2]
        target = tmp_path / "ada" / domain / file.name
        target.parent.mkdir(exist_ok=True)
        file.rename(target)
    source = taskonomy.open_source(tmp_path, val_buildings=["bob"], image_size=16)
    assert source.ids("train") == ["ada/point_0_view_0", "ada/point_1_view_0"]
    assert source.ids("val") == ["bob/point_0_view_0", "bob/point_1_view_0"]
    assert source.view("ada/point_1_view_0").depth is not None
    assert len(taskonomy.files(tmp_path)) == 4 * 9
    only = taskonomy.open_source(tmp_path, train_buildings=["ada"], val_fraction=0.0)
    assert only.ids("train") == source.ids("train")
    stimuli = taskonomy.open_source(tmp_path, domains=[], image_size=16).view("ada/point_0_view_0")
    assert stimuli.depth is None
    assert stimuli.official == {}


def test_views_of_one_point_stay_in_one_split(tmp_path):
    for point in range(200):
        for number in range(2):
            save(tmp_path / f"point_{point}_view_{number}_domain_rgb.png", photograph(0, 8, 8))
    source = taskonomy.open_source(tmp_path, val_fraction=0.25)
    train, val = source.ids("train"), source.ids("val")
    points = [{image_id.partition("_view_")[0] for image_id in ids} for ids in (train, val)]
    assert not points[0] & points[1]
    assert len(train) + len(val) == 400
    assert 30 < len(points[1]) < 70
    assert source.ids("val") == taskonomy.open_source(tmp_path, val_fraction=0.25).ids("val")


def test_hanson_splits_into_the_papers_numbers(tmp_path):
    folder = tmp_path / "hanson"
    folder.mkdir()
    for number in range(12_138):  # nothing but names is read to split
        (folder / f"point_{number // 7}_view_{number % 7}_domain_rgb.png").touch()
    source = taskonomy.open_source(tmp_path, train_buildings=["hanson"], val_images=2_090)
    train, val = source.ids("train"), source.ids("val")
    assert (len(train), len(val)) == (10_048, 2_090)
    points = [{image_id.partition("_view_")[0] for image_id in ids} for ids in (train, val)]
    assert len(points[0] & points[1]) <= 1  # the point in which the number falls
    for options, words in (
        ({"val_images": 12_138}, "val_images is 12138, but there are 12138 images"),
        ({"val_images": 5, "val_buildings": ["hanson"]}, "val_images is 5, but val_buildings"),
    ):
        with pytest.raises(ConfigError, match=words):
            taskonomy.open_source(tmp_path, **options)


def test_colour_coded_classes_are_left_out_and_the_log_says_so(tmp_path, caplog):
    building(tmp_path, points=2)
    for point in range(2):
        stem = f"point_{point}_view_0_domain_"
        (tmp_path / f"{stem}segment_semantic.png").unlink()
        save(tmp_path / f"{stem}semantic.png", photograph(0, 32, 32))
    source = taskonomy.open_source(tmp_path, val_fraction=0.0)
    with caplog.at_level(logging.WARNING):
        assert all(source.view(image_id).semantic is None for image_id in source.ids("train"))
    assert len(caplog.records) == 1
    assert "colour coded" in caplog.text


STEM = "point_0_view_0_domain_"


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda root: truncate(root / f"{STEM}rgb.png"), r"rgb\.png: cannot be read"),
        (lambda root: truncate(root / f"{STEM}normal.png"), r"normal\.png: cannot be read"),
        (
            lambda root: save(root / f"{STEM}normal.png", np.zeros((8, 8, 3), np.uint8)),
            r"normal\.png: is 8 x 8 pixels but point_0_view_0_domain_rgb\.png is 32 x 32",
        ),
        (
            lambda root: save(root / f"{STEM}normal.png", np.zeros((32, 32), np.uint8)),
            r"normal\.png: must be an 8-bit RGB",
        ),
        (
            lambda root: save(
                root / f"{STEM}segment_semantic.png", np.full((32, 32), 18, np.uint8)
            ),
            "holds class 18, above 17",
        ),
        (
            lambda root: (root / f"{STEM}point_info.json").write_text("{"),
            r"point_info\.json: is not valid JSON",
        ),
        (
            lambda root: (root / f"{STEM}point_info.json").write_text("{}"),
            r"point_info\.json: has no entry 'field_of_view_rads'",
        ),
        (
            lambda root: (root / f"{STEM}point_info.json").write_text(
                json.dumps(record(camera_location="here"))
            ),
            r"point_info\.json: has an unusable entry",
        ),
        (
            lambda root: shutil.copy(
                root / f"{STEM}normal.png", building(root / "normal") / f"{STEM}normal.png"
            ),
            "are both .* of image point_0_view_0",
        ),
    ],
)
def test_damaged_taskonomy_files(tmp_path, spoil, words):
    spoil(building(tmp_path))
    refuses(
        DataError,
        words,
        lambda: taskonomy.open_source(tmp_path, 16, val_fraction=0.0).view("point_0_view_0"),
    )


def test_taskonomy_options_that_cannot_be_used(tmp_path):
    building(tmp_path / "ada")
    for options, words in (
        ({"val_fraction": 1.0}, "val_fraction is 1.0"),
        ({"val_buildings": ["eve"]}, r"val_buildings: no building 'eve' .*there are: ada"),
        ({"val_buildings": ["ada"], "train_buildings": ["ada"]}, "building ada is in"),
        ({"domains": ["depth"]}, "no domain 'depth'"),
    ):
        refuses(
            ConfigError, words, lambda options=options: taskonomy.open_source(tmp_path, **options)
        )
    refuses(DataError, "no such folder", lambda: taskonomy.open_source(tmp_path / "none"))
    (tmp_path / "empty").mkdir()
    refuses(DataError, "no files point_", lambda: taskonomy.open_source(tmp_path / "empty"))


def test_the_room_of_the_published_view_holds_what_is_seen():
    """The published cuboid, moved into the camera, contains the points that depth gives."""
    source = taskonomy.open_source(data("taskonomy_view"), image_size=256, val_fraction=0.0)
    view = source.view(source.ids("train")[0])
    assert view.semantic is None  # colour coded in this sample
    columns, rows = np.meshgrid(np.arange(256) + 0.5, np.arange(256) + 0.5)
    x = (columns - view.camera.cx) / view.camera.fx
    y = (rows - view.camera.cy) / view.camera.fy
    points = np.stack([x, y, np.ones_like(x)], -1) * view.depth[..., None]
    points = points[np.isfinite(view.depth)]
    axes = view.vanishing_points.reshape(3, 3)
    np.testing.assert_allclose(axes @ axes.T, np.eye(3), atol=1e-6)
    inside = np.abs((points - view.layout[:3]) @ axes.T) <= view.layout[3:6] / 2 + 0.05
    assert inside.all(-1).mean() > 0.97
    # Floor and ceiling are where the cuboid ends.
    height = (points - view.layout[:3]) @ axes[1]
    assert np.percentile(height, 99) == pytest.approx(view.layout[4] / 2, abs=0.05)
    assert np.percentile(height, 1) == pytest.approx(-view.layout[4] / 2, abs=0.05)


def test_the_published_vanishing_points_are_ours_up_to_order_and_sign():
    folder_path = data("taskonomy_view")
    source = taskonomy.open_source(folder_path, image_size=64, val_fraction=0.0)
    axes = source.view(source.ids("train")[0]).vanishing_points.reshape(3, 3)
    info = json.loads(next(folder_path.glob("*.json")).read_text())
    theirs = np.array([info["vanishing_points_gaussian_sphere"][name] for name in "xyz"])
    product = np.abs(axes @ np.diag([1, -1, -1]) @ theirs.T)
    np.testing.assert_allclose(product.max(1), 1, atol=1e-6)
    assert sorted(product.argmax(1)) == [0, 1, 2]
