"""Packs of views and files of labels: what goes in comes out, and what cannot be used is named."""

import h5py
import numpy as np
import pytest
from taskrsa.data.pack import Pack, label_attributes, read_labels, write_labels, write_pack
from taskrsa.data.view import Camera, SourceInfo, View
from taskrsa.errors import DataError
from taskrsa.tasks import colour
from taskrsa.tasks.dictionary import TASKS

SIZE = 16
INFO = SourceInfo(("wall", "chaise longue", "Stuhl für Gäste"), ("chaise longue",), ("den",))


def view(index: int, **parts) -> View:
    rng = np.random.default_rng(index)
    normal = rng.normal(size=(SIZE, SIZE, 3))
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True)
    everything = {
        "image_id": f"image-{index}",
        "rgb": rng.integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8),
        "camera": Camera(10.0 + index, 11.0, 8.0, 8.25),
        "depth": rng.uniform(1, 5, (SIZE, SIZE)).astype(np.float32),
        "normal": normal.astype(np.float32),
        "semantic": rng.integers(0, 4, (SIZE, SIZE)).astype(np.int16),
        "instances": rng.integers(0, 9, (SIZE, SIZE)).astype(np.int32),
        "scene_class": 0,
        "layout": rng.normal(size=9).astype(np.float32),
        "vanishing_points": rng.normal(size=9).astype(np.float32),
        "official": {
            "edge2d": rng.random((1, SIZE, SIZE)).astype(np.float16).astype(np.float32),
            "segment2d": rng.integers(0, 400, (SIZE, SIZE)).astype(np.int32),
            "class_1000": rng.random(5).astype(np.float32),
        },
    }
    return View(**(everything | parts))


def same(first: View, second: View) -> None:
    assert first.image_id == second.image_id
    assert first.camera == second.camera
    assert first.scene_class == second.scene_class
    for name in ("rgb", "depth", "semantic", "instances", "layout", "vanishing_points"):
        one, other = getattr(first, name), getattr(second, name)
        if one is None:
            assert other is None, name
        else:
            np.testing.assert_array_equal(one, other, err_msg=name)
            assert one.dtype == other.dtype
    if first.normal is not None:
        np.testing.assert_allclose(first.normal, second.normal, atol=3e-4)
        assert second.normal.dtype == np.float32
    assert first.official.keys() == second.official.keys()
    for task, values in first.official.items():
        np.testing.assert_array_equal(values, second.official[task])
        assert values.dtype == second.official[task].dtype


def test_views_come_back_in_order_one_by_one_and_all_together(tmp_path):
    views = [view(index) for index in range(70)]  # more than are read at once
    write_pack(tmp_path / "a.h5", iter(views), INFO, 70)
    with Pack(tmp_path / "a.h5") as pack:
        assert len(pack) == 70
        assert pack.ids == [one.image_id for one in views]
        assert pack.info == INFO
        for written, read in zip(views, pack, strict=True):
            same(written, read)
        np.testing.assert_array_equal(pack.rgb(), np.stack([one.rgb for one in views]))
        np.testing.assert_array_equal(pack.rgb(3), pack.rgb()[:3])


def test_photographs_alone(tmp_path):
    views = [View(f"{index}", view(index).rgb) for index in range(3)]
    write_pack(tmp_path / "a.h5", views, SourceInfo(), 3)
    with Pack(tmp_path / "a.h5") as pack:
        assert pack.info == SourceInfo()
        for written, read in zip(views, pack, strict=True):
            same(written, read)
        assert read.normal is None


def test_small_parts_may_be_missing_for_some_images(tmp_path):
    views = [
        view(0, layout=None, camera=None, scene_class=None),
        view(1),
        view(2, vanishing_points=None),
    ]
    write_pack(tmp_path / "a.h5", views, INFO, 3)
    with Pack(tmp_path / "a.h5") as pack:
        for written, read in zip(views, pack, strict=True):
            same(written, read)


def test_depth_in_steps_is_smoothed_once_and_marked(tmp_path):
    steps = np.round(np.linspace(2, 3, SIZE) / 0.1) * 0.1
    coarse = np.repeat(steps[None], SIZE, 0).astype(np.float32)
    flat = np.full((SIZE, SIZE, 3), 90, np.uint8)
    write_pack(tmp_path / "a.h5", [View("a", flat, None, coarse, depth_step=0.1)], SourceInfo(), 1)
    with Pack(tmp_path / "a.h5") as pack:
        assert pack.depth_smoothed
        (read,) = pack
        assert read.depth_step == 0
        assert np.abs(np.diff(read.depth, axis=1)).max() < 0.09 < np.diff(coarse, axis=1).max()
    write_pack(tmp_path / "b.h5", [view(0)], INFO, 1)
    with Pack(tmp_path / "b.h5") as pack:
        assert not pack.depth_smoothed


def test_the_same_views_give_the_same_bytes_and_the_digest_tells_others_apart(tmp_path):
    views = [view(index) for index in range(4)]
    for name, given in (("a", views), ("b", views), ("c", views[::-1]), ("d", views)):
        if name == "d":
            rgb = views[2].rgb.copy()
            rgb[0, 0, 0] ^= 1
            given = [*views[:2], view(2, rgb=rgb), views[3]]
        write_pack(tmp_path / f"{name}.h5", given, INFO, 4)
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()
    digests = []
    for name in "abcd":
        with Pack(tmp_path / f"{name}.h5") as pack:
            digests.append(pack.digest)
    assert digests[0] == digests[1]
    assert len(set(digests)) == 3
    assert len(digests[0]) == 64


@pytest.mark.parametrize(
    ("views", "n", "message"),
    [
        ([view(0), view(0)], 2, "image image-0 appears twice"),
        ([view(0), view(1, depth=None)], 2, "image image-1 has no depth, which image image-0 has"),
        ([view(0, depth=None), view(1)], 2, "image image-0 has no depth, which image image-1 has"),
        ([view(0), view(1, official={})], 2, "image image-1 has no official/"),
        (
            [view(0), view(1, depth=np.ones((8, 8), np.float32))],
            2,
            r"depth of image image-1 has shape \(8, 8\)",
        ),
    ],
)
def test_views_that_do_not_go_together(tmp_path, views, n, message):
    with pytest.raises(DataError, match=message) as error:
        write_pack(tmp_path / "a.h5", views, INFO, n)
    assert "\n" not in str(error.value)
    assert list(tmp_path.iterdir()) == []


def test_files_that_are_no_packs(tmp_path):
    with pytest.raises(DataError, match=r"none\.h5: file not found"):
        Pack(tmp_path / "none.h5")
    (tmp_path / "text.h5").write_text("no HDF5")
    with pytest.raises(DataError, match=r"text\.h5: is damaged"):
        Pack(tmp_path / "text.h5")
    write_pack(tmp_path / "a.h5", [view(index) for index in range(8)], INFO, 8)
    whole = (tmp_path / "a.h5").read_bytes()
    (tmp_path / "cut.h5").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"cut\.h5: is damaged"):
        Pack(tmp_path / "cut.h5")
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["x"] = 1
    with pytest.raises(DataError, match=r"other\.h5: is not a pack"):
        Pack(tmp_path / "other.h5")
    with pytest.raises(DataError, match=r"a\.h5: is not a file of labels"):
        read_labels(tmp_path / "a.h5", "train")


# ----------------------------------------------------------------------------------------- labels


def labels_of(task: str, n: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(n)
    valid = rng.random((n, 8, 8)) < 0.9
    if task == "curvature":
        return rng.normal(size=(n, 2, 8, 8)).astype(np.float16), valid
    if task == "colorization":
        return rng.integers(0, colour.n_bins(), (n, 8, 8)).astype(np.int32), valid
    if task == "segmentsemantic":
        return rng.integers(0, 2, (n, 8, 8)).astype(np.int32), valid
    if task == "segment2d":
        return rng.integers(0, 40, (n, 8, 8)).astype(np.int32), valid
    return rng.normal(size=(n, 9)).astype(np.float32), rng.random(n) < 0.9


@pytest.mark.parametrize(
    ("task", "dtype", "n_outputs"),
    [
        ("curvature", np.float16, 2),
        ("colorization", np.int16, colour.n_bins()),
        ("segmentsemantic", np.uint8, 3),
        ("segment2d", np.uint8, 64),
        ("room_layout", np.float32, 9),
    ],
)
def test_labels_come_back(tmp_path, task, dtype, n_outputs):
    splits = {"train": labels_of(task, 5), "val": labels_of(task, 3)}
    path = tmp_path / "labels.h5"
    write_labels(path, TASKS[task], splits, INFO)
    for split, (targets, valid) in splits.items():
        read, known = read_labels(path, split)
        np.testing.assert_array_equal(read, targets)
        np.testing.assert_array_equal(known, valid)
        few, known_few = read_labels(path, split, 2)
        np.testing.assert_array_equal(few, targets[:2])
        np.testing.assert_array_equal(known_few, valid[:2])
        assert read.dtype == dtype
        assert known.dtype == bool
    about = label_attributes(path)
    assert (about["task"], about["output"]) == (task, TASKS[task].output)
    assert about["n_outputs"] == n_outputs
    assert ("ab_bins" in about) == (task == "colorization")
    if task == "colorization":
        np.testing.assert_array_equal(about["ab_bins"], colour.ab_bins())
    first = path.read_bytes()
    write_labels(path, TASKS[task], splits, INFO)
    assert path.read_bytes() == first


def test_labels_that_cannot_be_read_or_written(tmp_path):
    path = tmp_path / "labels.h5"
    targets, valid = labels_of("curvature", 4)
    with pytest.raises(DataError, match="differ in shape"):
        write_labels(path, TASKS["curvature"], {"train": (targets, valid[:3])})
    with pytest.raises(DataError, match="differ in shape"):
        write_labels(
            path,
            TASKS["curvature"],
            {"train": (targets, valid), "val": (targets[..., :4], valid[..., :4])},
        )
    assert not path.exists()
    write_labels(path, TASKS["curvature"], {"train": (targets, valid)})
    with pytest.raises(DataError, match="holds no split 'val'"):
        read_labels(path, "val")
    with pytest.raises(DataError, match="file not found"):
        read_labels(tmp_path / "none.h5", "train")


def test_stimuli_that_show_the_same_are_named_and_nothing_is_written(tmp_path):
    flat = np.full((SIZE, SIZE, 3), 7, np.uint8)
    views = [view(0), view(1), view(2, rgb=view(0).rgb), view(3, rgb=flat), view(4, rgb=flat)]
    with pytest.raises(DataError) as caught:
        write_pack(tmp_path / "stimuli.h5", views, INFO, len(views), distinct=True)
    line = "1 of 5 stimuli show the same as another one: image-2 is image-0; keep one of each"
    assert str(caught.value).startswith(line)
    assert not list(tmp_path.iterdir())
    # Images of one colour are the business of rsa.constant_images.
    del views[2]
    write_pack(tmp_path / "stimuli.h5", views, INFO, len(views), distinct=True)
    write_pack(tmp_path / "train.h5", [view(0), view(1, rgb=view(0).rgb)], INFO, 2)
