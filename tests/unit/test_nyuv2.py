"""NYU Depth v2 becomes a folder of RGB-D images."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image
from published import SCENES, metres, write_mat
from scipy.io import savemat
from taskrsa.data import nyuv2, rgbd, sources
from taskrsa.data.images import read_levels
from taskrsa.data.nyuv2 import ConversionConfig, convert
from taskrsa.errors import ConfigError, DataError
from taskrsa.plan.config import RgbdConfig, parse_section
from taskrsa.tasks.dictionary import TASKS


@pytest.fixture(scope="module")
def mat(tmp_path_factory) -> Path:
    return write_mat(tmp_path_factory.mktemp("nyuv2") / "nyu_depth_v2_labeled.mat")


@pytest.fixture(scope="module")
def converted(mat, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("converted") / "nyuv2"
    convert(mat, folder, ConversionConfig(val_share=0.3, n_classes=3))
    return folder


def rows(folder: Path) -> list[dict]:
    with open(folder / "images.csv", newline="") as stream:
        return list(csv.DictReader(stream))


def test_photographs_depth_and_labels_stand_upright(converted):
    """What was a row of 640 x 480 is a row of the square, at its own place and frame."""
    for frame in (0, 5):
        name = f"{frame:04d}.png"
        rgb = np.asarray(Image.open(converted / "rgb" / name)).astype(int)
        levels = read_levels(converted / "depth" / name)
        ids = read_levels(converted / "semantic" / name)
        assert rgb.shape == (256, 256, 3)
        assert levels.shape == ids.shape == (256, 256)
        with Image.open(converted / "depth" / name) as image:
            assert image.mode.startswith("I;16")
        # The square from column 96 and row 16 on, 1.75 of its pixels a new one; their centres.
        centre = (np.arange(256) + 0.5) * 1.75 - 0.5
        rows_, columns = centre + 16, centre + 96
        np.testing.assert_allclose(rgb[:, 7, 0], rows_ / 2, atol=1)
        np.testing.assert_allclose(rgb[7, :, 1], columns / 3, atol=1)
        np.testing.assert_array_equal(rgb[..., 2], 20 * frame)
        expected = 1000 * (1 + frame) + columns + 2 * rows_[:, None]
        np.testing.assert_allclose(levels, expected, atol=0.51)
        # Most frequent of the training frames: wall, table, then chair or book.
        wall, table, third = 1, 2, 3
        assert (ids[:47] == 0).all()  # unlabelled above row 100, which is new row 48
        assert (ids[50:127] == wall).all()
        assert (ids[130:, :127] == table).all()
        assert np.isin(ids[130:, 142:], (third, 0)).all()


def test_classes_are_the_most_frequent_names_of_the_training_frames(mat, tmp_path):
    for train, test, third in ([[1], [3]], [[2], [4]], "chair"), ([[2], [4]], [[1], [3]], "book"):
        savemat(tmp_path / "splits.mat", {"trainNdxs": train, "testNdxs": test})
        options = ConversionConfig(splits=str(tmp_path / "splits.mat"), n_classes=3, size=32)
        convert(mat, tmp_path / third, options)
        names = (tmp_path / third / "classes.txt").read_text().split()
        assert names == ["wall", "table", third]
    convert(mat, tmp_path / "one", ConversionConfig(n_classes=1))
    assert (tmp_path / "one/classes.txt").read_text() == "wall\n"
    assert set(np.unique(read_levels(tmp_path / "one/semantic/0000.png"))) == {0, 1}
    convert(mat, tmp_path / "all", ConversionConfig())
    # Names that no pixel has are not classes.
    assert sorted((tmp_path / "all/classes.txt").read_text().split()) == [
        "book", "chair", "table", "wall",
    ]  # fmt: skip


def test_the_folder_is_read_by_the_source(converted):
    source = rgbd.open_source(converted, image_size=64, classes=str(converted / "classes.txt"))
    assert sorted(source.ids("train") + source.ids("val")) == [f"{i:04d}" for i in range(6)]
    view = source.view("0002")
    assert view.depth.dtype == np.float32
    assert 3.1 < np.nanmin(view.depth) < np.nanmax(view.depth) < 4.6
    assert source.info.object_classes == source.info.semantic_classes[1:]  # all but the wall
    assert source.camera.fx == pytest.approx(518.857901 * 64 / 448)
    assert view.camera.cx == pytest.approx((325.582445 - 96) * 64 / 448)
    assert view.camera.cy == pytest.approx((253.736166 - 16) * 64 / 448)


def test_the_camera_is_that_of_another_export_of_the_same_crop(converted, real_data):
    ours = json.loads((converted / "camera.json").read_text())
    theirs = json.loads((real_data / "nyuv2/camera.json").read_text())
    assert ours == pytest.approx(theirs)


def test_scenes_are_whole_in_one_split(converted, mat, tmp_path):
    found = rows(converted)
    assert [row["scene"] for row in found] == SCENES
    assert [row["frame"] for row in found] == list("123456")
    splits = [row["split"] for row in found]
    assert splits[0] == splits[1]  # office_0001a and b
    assert splits[2] == splits[3]
    assert splits.count("val") in (2, 3)
    scenes = [f"room_{i // 5:04d}" for i in range(1000)]
    drawn = nyuv2.split_scenes(scenes, 0.1, seed=3)
    chosen = {scenes[i] for i, split in drawn.items() if split == "val"}
    assert len(drawn) == 1000
    assert list(drawn.values()).count("val") == 100
    assert all((drawn[i] == "val") == (scenes[i] in chosen) for i in drawn)
    assert drawn == nyuv2.split_scenes(scenes, 0.1, seed=3)
    assert drawn != nyuv2.split_scenes(scenes, 0.1, seed=4)
    # However large the share, something is left to train on.
    assert "train" in nyuv2.split_scenes(["a_1", "b_2", "b_2"], 0.99, 0).values()
    with pytest.raises(DataError, match="all frames are of one scene, 'a_1'"):
        nyuv2.split_scenes(["a_1a", "a_1b"], 0.5, 0)


def test_the_official_split_is_kept(mat, tmp_path):
    file = tmp_path / "splits.mat"
    savemat(file, {"trainNdxs": [[2], [6], [3]], "testNdxs": [[1], [4]]})
    convert(mat, tmp_path / "out", ConversionConfig(splits=str(file), size=32, classes=None))
    found = {row["id"]: row["split"] for row in rows(tmp_path / "out")}
    assert found == {
        "0000": "test", "0001": "train", "0002": "train", "0003": "test", "0005": "train",
    }  # fmt: skip
    assert not (tmp_path / "out/rgb/0004.png").exists()
    source = rgbd.open_source(tmp_path / "out")
    assert (source.ids("train"), source.ids("val")) == (["0001", "0002", "0005"], ["0000", "0003"])
    for content, message in (
        ({"trainNdxs": [[1]], "testNdxs": [[7]]}, "testNdxs lists frame 7 of 6"),
        ({"trainNdxs": [[1]], "testNdxs": [[1]]}, "lists frame 1 twice"),
        ({"trainNdxs": [[0]], "testNdxs": [[1]]}, "trainNdxs lists frame 0 of 6"),
        ({"trainNdxs": [[1]]}, "has no variable testNdxs"),
        ({"trainNdxs": np.zeros((0, 1)), "testNdxs": [[1]]}, "trainNdxs lists no frames"),
    ):
        savemat(file, content)
        with pytest.raises(DataError, match=message):
            nyuv2.official_split(file, 6)
    with pytest.raises(DataError, match="is a MATLAB file of version 7.3"):
        nyuv2.official_split(mat, 6)


def test_unknown_depth_is_kept_unknown_with_raw(mat, tmp_path):
    convert(mat, tmp_path / "out", ConversionConfig(depth="raw", classes=None, crop=480, size=480))
    levels = read_levels(tmp_path / "out/depth/0001.png")
    assert (levels[:200] == 0).all()
    expected = 1000 * metres(1)[200:, 80:560]
    np.testing.assert_allclose(levels[200:], expected, atol=0.51)  # nothing is resampled
    assert np.isnan(rgbd.open_source(tmp_path / "out", 480).view("0001").depth[:200]).all()
    assert not (tmp_path / "out/classes.txt").exists()


# The table of the toolbox has 894 names; its spelling of the refrigerator is kept.
CLASSES40 = ["wall", "chair", "refridgerator", "otherprop"]
MAPPED = {"book": 4, "bottle": 3, "wall": 1, "otherprop thing": 4, "chair": 2, "": 4, "table": 2}


def write_mapping(folder: Path, kind: str) -> str:
    if kind == "csv":
        lines = ["name,class", "wall,wall", "chair,chair", "bottle,refridgerator", "table,chair"]
        (folder / "classes.csv").write_text("\n".join([*lines, "book,otherprop", ""]))
        return str(folder / "classes.csv")
    content = {
        "allClassName": np.array([list(MAPPED)], dtype=object),
        "className": np.array([CLASSES40], dtype=object),
        "mapClass": np.array([list(MAPPED.values())], np.uint8),
    }
    savemat(folder / "classMapping40.mat", content)
    return str(folder / "classMapping40.mat")


@pytest.mark.parametrize("kind", ["csv", "mat"])
def test_names_are_mapped_to_classes(mat, tmp_path, kind):
    options = ConversionConfig(classes=write_mapping(tmp_path, kind))
    convert(mat, tmp_path / "out", options)
    names = (tmp_path / "out/classes.txt").read_text().splitlines()
    order = ["wall", "chair", "refridgerator"]  # "otherprop" is void
    assert names == order
    even = read_levels(tmp_path / "out/semantic/0000.png")
    odd = read_levels(tmp_path / "out/semantic/0001.png")
    assert (even[50:127] == 1).all()
    assert (even[130:] == 2).all()  # tables and chairs
    assert (odd[130:, :127] == 2).all()
    assert (odd[130:, 142:] == 0).all()  # books are otherprop


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name,label\nwall,wall\n", "lacks column name or class"),
        ("name,class\nwall,a\nwall,b\n", "names 'wall' twice"),
        ("name,class\nwall,\n", "has 0 classes"),
        ("name,class\nwalls,wall\n", "maps 'walls', which is none of the names"),
        ("name,class\n" + "".join(f"n{i},c{i}\n" for i in range(256)), "has 256 classes"),
        ("\xff", "is not a CSV table|lacks column"),
    ],
)
def test_a_mapping_of_no_use_is_refused(mat, tmp_path, text, message):
    (tmp_path / "m.csv").write_text(text, encoding="latin-1")
    with pytest.raises(DataError, match=message) as error:
        convert(mat, tmp_path / "out", ConversionConfig(classes=str(tmp_path / "m.csv")))
    assert "\n" not in str(error.value)
    assert not (tmp_path / "out").exists()


def test_a_damaged_class_mapping_is_refused(tmp_path):
    file = tmp_path / "classMapping40.mat"
    good = {"allClassName": np.array([["a", "b"]], dtype=object), "mapClass": [[1, 2]]}
    good["className"] = np.array([["x", "y"]], dtype=object)
    for change, message in (
        ({"mapClass": [[1, 3]]}, "maps to class 3 of 2"),
        ({"mapClass": [[1]]}, "maps 1 of 2 names"),
        ({"className": np.array([[1.5, 2.5]], dtype=object)}, "that is not all text"),
    ):
        savemat(file, good | change)
        with pytest.raises(DataError, match=message):
            nyuv2.read_mapping(file)
    with pytest.raises(DataError, match="cannot be read; give a CSV"):
        nyuv2.read_mapping(tmp_path / "none.csv")


def change(path: Path, what: str) -> None:
    """Break a file in one way."""
    if what == "truncated":
        os.truncate(path, path.stat().st_size // 2)
        return
    if what == "chunk":
        with h5py.File(path) as file:
            info = file["depths"].id.get_chunk_info(3)
        with open(path, "r+b") as stream:
            stream.seek(info.byte_offset + 512)  # the user block goes before
            stream.write(bytes(info.size))
        return
    if what == "text":
        path.write_text("<html>not found</html>")
        return
    with h5py.File(path, "r+") as file:
        if what == "missing":
            del file["rawDepths"]
        elif what == "upright":
            values = file["images"][()].swapaxes(2, 3)
            del file["images"]
            file["images"] = values
        elif what == "fewer":
            values = file["labels"][1:]
            del file["labels"]
            file["labels"] = values
        elif what == "millimetres":
            file["depths"][2] = file["depths"][2] * 1000
        elif what == "names":
            del file["names"]
            file["names"] = np.zeros((1, 7))
        elif what == "scenes":
            del file["scenes"]
            file["scenes"] = file["names"][:, :1]
        elif what == "label":
            file["labels"][4, 300, 200] = 9


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("truncated", "cannot be read as HDF5 .*truncated.*; it is another file or not whole"),
        ("text", "cannot be read as HDF5"),
        ("chunk", "frames 1 to 6 cannot be read"),
        ("missing", "has no data set rawDepths"),
        ("upright", r"images is uint8 \(6, 3, 480, 640\), not u of the shape \(6, 3, 640, 480\)"),
        ("fewer", r"labels is uint16 \(5, 640, 480\)"),
        ("millimetres", "frame 3: is .* m deep"),
        ("names", "names is not a cell array of texts"),
        ("scenes", "names 1 scenes of 6 frames"),
        ("label", "frame 5 holds label 9 of 7 names"),
    ],
)
def test_a_damaged_file_is_refused_in_one_line_and_nothing_is_left(mat, tmp_path, what, message):
    path = tmp_path / "bad.mat"
    shutil.copy(mat, path)
    change(path, what)
    with pytest.raises(DataError, match=message) as error:
        convert(path, tmp_path / "out", ConversionConfig())
    assert "\n" not in str(error.value)
    assert str(path) in str(error.value)
    assert [entry.name for entry in tmp_path.iterdir()] == ["bad.mat"]


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(DataError, match=r"none\.mat: file not found"):
        convert(tmp_path / "none.mat", tmp_path / "out", ConversionConfig())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"crop": 500}, "convert.crop: 500 should be less than or equal to 480"),
        ({"crop": 100}, "convert: size is 256; give from 8 pixels to crop, 100"),
        ({"depth": "best"}, "convert.depth: 'best' should be 'filled' or 'raw'"),
        ({"val_share": 1}, "convert.val_share: 1 should be less than 1"),
        ({"n_classes": 256}, "convert.n_classes: 256 should be less than or equal to 255"),
        ({"colour": 1}, "convert.colour: unknown key"),
    ],
)
def test_options_of_no_use_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        parse_section(RgbdConfig, {"convert": options}, "rgbd")


def test_only_a_folder_written_here_is_replaced(mat, tmp_path):
    folder = tmp_path / "out"
    folder.mkdir()
    convert(mat, folder, ConversionConfig(size=32, classes=None))
    before = (folder / "images.csv").read_text()
    convert(mat, folder, ConversionConfig(size=16, n_classes=2))
    assert Image.open(folder / "rgb/0000.png").size == (16, 16)
    # The table tells that the pictures are others, though the frames are the same.
    assert (folder / "images.csv").read_text() != before
    assert [entry.name for entry in tmp_path.iterdir()] == ["out"]
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/rgb").write_text("my own")
    with pytest.raises(DataError, match="holds other files"):
        convert(mat, tmp_path / "mine", ConversionConfig(size=16))
    assert (tmp_path / "mine/rgb").read_text() == "my own"


@pytest.mark.parametrize("classes", [True, False])
def test_the_tasks_are_known_before_the_conversion(converted, classes):
    expected = nyuv2.unavailable_tasks(list(TASKS.values()), classes)
    names = str(converted / "classes.txt") if classes else None
    options = {"kind": "rgbd", "path": str(converted), "image_size": 32, "classes": names}
    assert sources.unavailable_tasks(options, list(TASKS.values())) == expected
    left_out = {"class_places", "room_layout", "vanishing_point"}
    assert set(expected) == left_out | ({"class_1000", "segmentsemantic"} if not classes else set())


def test_memory_does_not_grow_with_the_file(tmp_path):
    """48 frames hold 44 MB of photographs, 59 of depth and 30 of labels; a block of 8 is 14 MB."""

    def peak(n: int) -> float:
        path = write_mat(tmp_path / f"{n}.mat", n, [f"room_{i:04d}" for i in range(n)])
        code = (
            "import resource; from taskrsa.data.nyuv2 import ConversionConfig, convert;"
            f"convert({str(path)!r}, {str(tmp_path / f'out{n}')!r}, ConversionConfig(size=32));"
            "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)"
        )
        environment = os.environ | {"PYTHONPATH": str(Path(nyuv2.__file__).parents[2])}
        done = subprocess.run(
            [sys.executable, "-c", code],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        return float(done.stdout)

    assert peak(48) < peak(8) + 40
