"""Taskonomy's files, as published and out of its archives."""

import json
import logging
import math
import shutil
import tarfile
from pathlib import Path

import numpy as np
import pytest
from image_files import data, photograph, refuses, save, truncate
from PIL import Image
from taskrsa.data import taskonomy
from taskrsa.errors import ConfigError, DataError
from taskrsa.io import archive
from taskrsa.tasks import labels


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


# --- Taskonomy's archives, one a building and domain ---

VIEWS = [(202, 5), (202, 6), (31, 0)]
INFO = {
    "field_of_view_rads": 1.0,
    "camera_location": [1.0, 2.0, 1.5],
    "camera_rotation_final": [1.5, 0.0, 0.3],
    "bounding_box_ranges": {"x": [0.0, 8.0], "y": [-2.0, 4.0], "z": [0.0, 3.0]},
}


def made_view(folder: Path) -> Path:
    """Write one view of 64 x 64 pixels with the domains of the real one."""
    rng = np.random.default_rng(0)
    domains = {
        "rgb": rng.integers(0, 256, (64, 64, 3)).astype(np.uint8),
        "depth_zbuffer": rng.integers(400, 4000, (64, 64)).astype(np.uint16),
        "depth_euclidean": rng.integers(400, 4000, (64, 64)).astype(np.uint16),
        "normal": rng.integers(1, 255, (64, 64, 3)).astype(np.uint8),
        "principal_curvature": rng.integers(1, 255, (64, 64, 3)).astype(np.uint8),
        "reshading": rng.integers(0, 256, (64, 64)).astype(np.uint8),
        "edge_texture": rng.integers(0, 9000, (64, 64)).astype(np.uint16),
        "edge_occlusion": rng.integers(0, 9000, (64, 64)).astype(np.uint16),
        "keypoints2d": rng.integers(0, 9000, (64, 64)).astype(np.uint16),
        "keypoints3d": rng.integers(0, 9000, (64, 64)).astype(np.uint16),
    }
    domains["depth_zbuffer"][:5] = domains["depth_euclidean"][:5] = 65535
    folder.mkdir()
    for domain, values in domains.items():
        Image.fromarray(values).save(folder / f"point_202_view_5_domain_{domain}.png")
    (folder / "point_202_view_5_domain_point_info.json").write_text(json.dumps(INFO))
    return folder


@pytest.fixture(params=["made", "real"])
def packed(request, tmp_path):
    """Return a folder of archives <building>_<domain>.tar and the pixels that went into them."""
    if request.param == "real":
        view = request.getfixturevalue("real_data") / "taskonomy_view"
    else:
        view = made_view(tmp_path / "view")
    extra = tmp_path / "extra"
    extra.mkdir()
    stem = "point_202_view_5_domain_"
    width = Image.open(view / f"{stem}rgb.png").width
    ids = np.arange(width * width).reshape(width, width) // 7
    for domain, modulus in (
        ("segment_semantic", 18),
        ("segment_unsup2d", 40),
        ("segment_unsup25d", 50),
    ):
        Image.fromarray((ids % modulus).astype(np.uint8)).save(extra / f"{stem}{domain}.png")
    np.save(extra / f"{stem}class_object.npy", np.linspace(-3, 5, 1000).astype(np.float32))
    np.save(extra / f"{stem}class_scene.npy", np.full(365, 1 / 365, np.float32))
    content, target = {}, tmp_path / "archives"
    target.mkdir()
    for file in sorted([*view.iterdir(), *extra.iterdir()]):
        domain = file.stem.partition("_domain_")[2]
        if domain == "semantic":  # colours for the eye; the published archives hold ids
            continue
        content[domain] = file
        # Published archives have a folder named after the domain. Camera records are named after
        # the pose that they hold, scenes after the data set; a domain may also lie at the top.
        inside = {"point_info": "fixatedpose", "class_scene": "class_places"}.get(domain, domain)
        top = {"edge_texture": "", "reshading": "./"}.get(domain, f"{domain}/")
        for building, views in (("hanson", VIEWS), ("merom", VIEWS[:1])):
            with tarfile.open(target / f"{building}_{domain}.tar", "w") as tar:
                for point, number in views:
                    name = f"point_{point}_view_{number}_domain_{inside}{file.suffix}"
                    tar.add(file, f"{top}{name}")
    return target, content


@pytest.mark.parametrize("flatten", [False, True])
def test_unpacked_archives_are_found_with_all_domains_and_values(packed, tmp_path, flatten):
    archives, content = packed
    root = tmp_path / "results/downloads/taskonomy"
    for file in archives.iterdir():
        building, _, domain = file.stem.partition("_")
        wanted = [f"*point_*_view_*_domain_*{content[domain].suffix}"]
        listed = archive.unpack(file, root / building / domain, wanted, flatten=flatten)
        assert len(listed) == (3 if building == "hanson" else 1)
    (root / "hanson/rgb.csv").write_text("member,size\n")  # a manifest is not an image
    assert len(taskonomy.files(root)) == 4 * len(content)

    width = Image.open(content["rgb"]).width
    source = taskonomy.open_source(root, image_size=width, train_buildings=["hanson"])
    ids = source.ids("train") + source.ids("val")
    assert sorted(ids) == [
        f"hanson/point_{p}_view_{v}"
        for p, v in sorted([(31, 0), *VIEWS[:2]], key=lambda v: str(v[0]))
    ]
    view = source.view("hanson/point_202_view_5")

    def stored(domain: str) -> np.ndarray:
        return np.asarray(Image.open(content[domain]))

    z, known = stored("depth_zbuffer").astype(np.float64), stored("depth_zbuffer") != 65535
    known &= z > 0
    np.testing.assert_array_equal(view.rgb, stored("rgb")[..., :3])
    np.testing.assert_array_equal(np.isfinite(view.depth), known)
    np.testing.assert_allclose(view.depth[known], z[known] / 512, rtol=1e-6)

    def label(task: str, domain: str) -> np.ndarray:
        return labels.from_level(task, stored(domain).astype(np.int32))

    official = {
        "edge2d": (label("edge2d", "edge_texture"), None),
        "keypoint2d": (label("keypoint2d", "keypoints2d"), None),
        "edge3d": (label("edge3d", "edge_occlusion"), known),
        "keypoint3d": (label("keypoint3d", "keypoints3d"), known),
        "rgb2depth": (np.log1p(z) / np.log(2**16), known),
    }
    for task, (expected, where) in official.items():
        where = np.ones_like(known) if where is None else where
        got = view.official[task][0]
        np.testing.assert_array_equal(np.isfinite(got), where, err_msg=task)
        np.testing.assert_allclose(got[where], expected[where], rtol=1e-4, atol=1e-6, err_msg=task)
    metres_ = stored("depth_euclidean").astype(np.float64)
    measured = (metres_ > 0) & (metres_ != 65535)
    got = view.official["rgb2mist"][0]
    np.testing.assert_array_equal(np.isfinite(got), measured)
    np.testing.assert_allclose(
        got[measured], np.log1p(metres_[measured]) / np.log(2**16), rtol=1e-4
    )
    grey = stored("reshading").reshape(*known.shape, -1)[..., 0]
    np.testing.assert_allclose(view.official["reshade"][0][known], grey[known] / 255, rtol=1e-5)
    curved = np.moveaxis(stored("principal_curvature")[..., :2].astype(np.float32), -1, 0)
    hit = known & (curved > 0).any(0)
    expected = labels.curvature_from_level(curved)[:, hit]
    np.testing.assert_allclose(view.official["curvature"][:, hit], expected, rtol=1e-5)
    for domain, task in (("segment_unsup2d", "segment2d"), ("segment_unsup25d", "segment25d")):
        np.testing.assert_array_equal(view.official[task], stored(domain))
    np.testing.assert_array_equal(view.semantic, stored("segment_semantic"))
    # Published numbers for the classes are logits: their softmax adds up to one.
    logits = np.load(content["class_object"]).astype(np.float64)
    softmax = np.exp(logits) / np.exp(logits).sum()
    np.testing.assert_allclose(view.official["class_1000"], softmax, rtol=1e-5)
    np.testing.assert_allclose(view.official["class_places"], np.load(content["class_scene"]))
    assert view.normal is not None
    assert view.layout.shape == view.vanishing_points.shape == (9,)
    focal = (
        width / 2 / np.tan(json.loads(content["point_info"].read_text())["field_of_view_rads"] / 2)
    )
    assert view.camera.fx == pytest.approx(focal)


def test_an_archive_of_another_building_in_its_place_is_seen(packed, tmp_path):
    """The same view unpacked into two buildings is two images, twice into one is an error."""
    archives, _ = packed
    root = tmp_path / "taskonomy"
    for building in ("hanson", "merom"):
        archive.unpack(archives / "merom_rgb.tar", root / building / "rgb")
    source = taskonomy.open_source(root, val_fraction=0)
    assert source.ids("train") == ["hanson/point_202_view_5", "merom/point_202_view_5"]
    archive.unpack(archives / "merom_rgb.tar", root / "hanson/rgb/rgb2/taskonomy")
    archive.unpack(archives / "merom_rgb.tar", root / "hanson/taskonomy")
    with pytest.raises(DataError, match="are both rgb of image hanson/point_202_view_5"):
        taskonomy.open_source(root)
