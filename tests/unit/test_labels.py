"""Labels: scenes worked by hand, resampling, and a published Taskonomy view."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from taskrsa.data import images, taskonomy
from taskrsa.data.pack import Pack, write_pack
from taskrsa.data.view import Camera, SourceInfo, View
from taskrsa.errors import ConfigError
from taskrsa.tasks import colour, geometry, labels
from taskrsa.tasks.dictionary import TASKS

REFERENCE = "results/reference/benchmarks/labels.csv"
SIZE = 64
CAMERA = Camera(60.0, 60.0, 32.0, 32.0)
INFO = SourceInfo()
GREY = np.full((SIZE, SIZE, 3), 128, np.uint8)


def rays() -> np.ndarray:
    x, y = geometry.ray_slopes(CAMERA, SIZE, SIZE)
    return np.stack(np.broadcast_arrays(x, y, np.ones((1, 1))), -1).astype(np.float64)


def plane(normal: tuple[float, float, float], offset: float, **parts) -> View:
    """A view of the plane n.P = offset, n a unit vector facing the camera (offset < 0)."""
    depth = (offset / (rays() @ np.array(normal))).astype(np.float32)
    assert (depth > 0).all()
    return View("plane", parts.pop("rgb", GREY), CAMERA, depth, **parts)


def sphere(radius: float, distance: float) -> tuple[View, np.ndarray]:
    """A view of a sphere on the optical axis, and its true normals (nan beside it)."""
    ray = rays()
    centre = np.array([0, 0, distance])
    a, b = (ray**2).sum(-1), ray @ centre
    root = b**2 - a * (distance**2 - radius**2)
    depth = np.where(root > 0, (b - np.sqrt(np.maximum(root, 0))) / a, np.nan)
    normal = (ray * depth[..., None] - centre) / radius
    return View("sphere", GREY, CAMERA, depth.astype(np.float32)), normal.astype(np.float32)


SLANTED = tuple(np.array([0.48, -0.36, -0.8]))


@pytest.mark.parametrize("normal", [(0.0, 0.0, -1.0), (0.6, 0.0, -0.8), SLANTED])
def test_a_plane_has_its_normal_everywhere_up_to_the_border(normal):
    target = labels.rgb2sfnorm(plane(normal, -2.0), INFO)
    assert target.valid.all()
    expected = np.array(normal, np.float32)[:, None, None]
    np.testing.assert_allclose(target.target, np.broadcast_to(expected, (3, SIZE, SIZE)), atol=2e-3)


def test_a_plane_has_no_curvature_no_keypoints_and_no_jump():
    view = plane(SLANTED, -2.0)
    zero = labels.curvature_from_level(np.full((2, 1, 1), 127.0, np.float32))
    found = labels.curvature(view, INFO)
    np.testing.assert_allclose(found.target, np.broadcast_to(zero, found.target.shape), atol=0.02)
    assert labels.keypoint3d(view, INFO).target.max() < 0.01
    # The slope of sqrt(depth) of a slanted plane is smooth; facing the camera it is none.
    slope = labels.edge3d(view, INFO).target[0]
    assert np.abs(np.diff(slope[2:-2, 2:-2])).max() < 0.01
    assert labels.edge3d(plane((0.0, 0.0, -1.0), -2.0), INFO).target.max() == 0


def test_a_sphere_is_curved_by_one_over_its_radius_towards_the_camera():
    view, normal = sphere(0.5, 2.0)
    first, second = geometry.principal_curvatures(view.depth, normal, CAMERA)
    centre = (slice(26, 38), slice(26, 38))
    np.testing.assert_allclose(first[centre], 2.0, rtol=0.03)
    np.testing.assert_allclose(second[centre], 2.0, rtol=0.03)
    bowl, _ = geometry.principal_curvatures(view.depth, normal * [-1, -1, 1], CAMERA)
    assert (bowl[centre] < 0).all()


def test_a_cylinder_is_curved_in_one_direction_only():
    radius, distance = 0.5, 2.0
    ray = rays()
    a, b = ray[..., 0] ** 2 + 1, distance
    root = b**2 - a * (distance**2 - radius**2)
    depth = np.where(root > 0, (b - np.sqrt(np.maximum(root, 0))) / a, np.nan)
    normal = (ray * depth[..., None] - [0, 0, distance]) / radius
    normal[..., 1] = 0
    first, second = geometry.principal_curvatures(depth, normal, CAMERA)
    centre = (slice(None), slice(28, 36))
    np.testing.assert_allclose(first[centre], 1 / radius, rtol=0.03)
    np.testing.assert_allclose(second[centre], 0, atol=0.03)


def test_normals_of_a_sphere_from_its_depth():
    view, normal = sphere(0.5, 2.0)
    found = geometry.normals_from_depth(view.depth, CAMERA)
    angle = np.degrees(np.arccos(np.clip((found * normal).sum(-1), -1, 1)))
    assert np.nanmedian(angle) < 2
    assert np.isnan(found[0, 0]).all()


def test_normals_stay_clean_beside_an_occlusion():
    view = plane((0.0, 0.0, -1.0), -4.0)
    depth = view.depth.copy()
    depth[:, 32:] = 2.0
    normal = geometry.normals_from_depth(depth, CAMERA)
    np.testing.assert_allclose(normal[..., 2], -1, atol=1e-5)


def test_a_jump_in_depth_is_an_edge_where_it_is_and_as_high_as_its_step():
    depth = np.full((SIZE, SIZE), 4.0, np.float32)
    depth[:, 32:] = 2.5
    target = labels.edge3d(View("step", GREY, CAMERA, depth), INFO).target[0]
    assert (target[:, :31] == 0).all()
    assert (target[:, 33:] == 0).all()
    step = (np.sqrt(4.0) - np.sqrt(2.5)) / np.sqrt(128.0)
    np.testing.assert_allclose(target[:, 31:33], 6 * 4 * step, rtol=1e-5)


def test_unknown_depth_is_invalid_and_spoils_nothing_else():
    view = plane((0.0, 0.0, -1.0), -2.0)
    depth = view.depth.copy()
    depth[10:20, 10:20] = np.nan
    view = replace(view, depth=depth)
    hole = np.isnan(depth)
    for task in ("rgb2depth", "rgb2mist", "rgb2sfnorm", "reshade", "edge3d", "keypoint3d"):
        label = getattr(labels, task)(view, INFO)
        np.testing.assert_array_equal(label.valid, ~hole, err_msg=task)
        assert np.isfinite(label.target).all()
        assert (label.target[:, hole] == 0).all()
    assert labels.edge3d(view, INFO).target.max() == 0
    curvature = labels.curvature(view, INFO)
    assert not curvature.valid[hole].any()
    assert curvature.valid.mean() > 0.95
    assert not labels.segment25d(view, INFO).valid[hole].any()


def test_depth_and_distance_in_the_banks_unit():
    view = plane((0.0, 0.0, -1.0), -3.0)
    assert labels.rgb2depth(view, INFO).target[0, 5, 5] == pytest.approx(
        np.log(1 + 3 * 512) / np.log(2**16), rel=1e-5
    )
    slope = (0.5 - 32) / 60
    away = 3 * np.sqrt(1 + 2 * slope**2)
    assert labels.rgb2mist(view, INFO).target[0, 0, 0] == pytest.approx(
        np.log(1 + away * 512) / np.log(2**16), rel=1e-5
    )


def test_reshading_falls_with_distance_and_with_the_angle():
    wall = labels.reshade(plane((0.0, 0.0, -1.0), -4.0), INFO).target[0]
    cosine = 1 / np.sqrt(1 + 2 * (0.5 / 60) ** 2)
    assert wall[32, 32] == pytest.approx(2 * cosine / (4 / cosine), rel=1e-4)
    assert wall[0, 0] < wall[32, 32]
    assert labels.reshade(plane((0.0, 0.0, -1.0), -1.0), INFO).target.max() == 1


def test_a_step_in_brightness_gives_its_contrast():
    rgb = np.zeros((512, 512, 3), np.uint8)
    rgb[:, 256:] = 102  # a contrast of 0.4
    target = labels.edge2d(View("step", rgb), INFO).target[0]
    assert target[256].max() == pytest.approx(0.4, rel=0.03)
    assert abs(int(target[256].argmax()) - 255.5) <= 0.5
    assert target[:, :200].max() < 1e-6
    small = labels.edge2d(View("step", np.ascontiguousarray(rgb[::8, ::8])), INFO).target[0]
    assert small[32].max() == pytest.approx(0.4, rel=0.15)


def test_a_blob_is_a_2d_keypoint_and_an_edge_is_not():
    rgb = np.zeros((SIZE, SIZE, 3), np.uint8)
    rgb[:, 40:] = 60
    rows, columns = np.mgrid[:SIZE, :SIZE]
    rgb[(rows - 30) ** 2 + (columns - 15) ** 2 < 9] = 60
    target = labels.keypoint2d(View("blob", rgb), INFO).target[0]
    assert np.unravel_index(target.argmax(), target.shape) == (30, 15)
    assert target[30, 38:42].max() < 0.05 * target.max()


def test_a_constant_image_has_no_texture_and_one_segment():
    view = View("flat", GREY)
    assert labels.edge2d(view, INFO).target.max() < 1e-6
    assert labels.keypoint2d(view, INFO).target.max() < 1e-6
    assert len(np.unique(labels.segment2d(view, INFO).target)) == 1


def test_segments_follow_colour_in_2d_and_the_surface_in_25d():
    rgb = np.full((SIZE, SIZE, 3), 60, np.uint8)
    rgb[:32] = 200
    depth = np.full((SIZE, SIZE), 4.0, np.float32)
    depth[:, 32:] = 1.5
    by_colour = labels.segment2d(View("a", rgb, CAMERA, depth), INFO).target
    assert len(np.unique(by_colour)) == 2
    assert by_colour[0, 0] == by_colour[0, -1] != by_colour[-1, 0]
    by_surface = labels.segment25d(View("a", GREY, CAMERA, depth), INFO).target
    assert len(np.unique(by_surface)) == 2
    assert by_surface[0, 0] == by_surface[-1, 0] != by_surface[0, -1]


def test_photograph_targets_are_clean_and_scaled():
    rgb = GREY.copy()
    rgb[0, 0], rgb[0, 1] = 0, 255
    for task in ("autoencoder", "denoise", "inpainting_whole"):
        target = getattr(labels, task)(View("a", rgb), INFO).target
        assert target.shape == (3, SIZE, SIZE)
        assert (target[:, 0, 0] == -1).all()
        assert (target[:, 0, 1] == 1).all()


def test_colour_bins():
    bins = colour.ab_bins()
    assert colour.n_bins() == len(bins) == 260
    assert [0, 0] in bins.tolist()
    rng = np.random.default_rng(0)
    rgb = rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)
    from skimage.color import rgb2lab

    ab = rgb2lab(rgb)[..., 1:]
    chosen = bins[colour.ab_index(rgb)]
    exact = ((ab[:, :, None] - bins) ** 2).sum(-1).min(-1)
    # The grid's rounding is the nearest bin except for the few colours whose own cell has none.
    assert (((ab - chosen) ** 2).sum(-1) <= exact + 1e-3).mean() > 0.99
    grey = colour.ab_index(np.full((1, 1, 3), 77, np.uint8))[0, 0]
    assert bins[grey].tolist() == [0, 0]


def test_semantic_labels():
    info = SourceInfo(("wall", "chair", "bed"), ("chair", "bed"), ("den", "hall"))
    semantic = np.zeros((SIZE, SIZE), np.int16)
    semantic[:16], semantic[16:32], semantic[32:36] = 1, 2, 3
    view = View("a", GREY, semantic=semantic, scene_class=1)
    segments = labels.segmentsemantic(view, info)
    assert segments.target[0, 0] == 0
    assert segments.target[16, 0] == 1
    np.testing.assert_array_equal(segments.valid, semantic > 0)
    objects = labels.class_1000(view, info)
    assert objects.valid
    np.testing.assert_allclose(objects.target, [0.8, 0.2])
    np.testing.assert_array_equal(labels.class_places(view, info).target, [0, 1])
    bare = labels.class_1000(replace(view, semantic=np.ones_like(semantic)), info)
    assert not bare.valid
    assert (bare.target == 0).all()


def test_geometry_vectors():
    layout = labels.LAYOUT_MEAN + labels.LAYOUT_DEVIATION
    vanishing = np.eye(3, dtype=np.float32).ravel()
    view = View("a", GREY, layout=layout, vanishing_points=vanishing)
    np.testing.assert_allclose(labels.room_layout(view, INFO).target, np.ones(9), rtol=1e-5)
    np.testing.assert_array_equal(labels.vanishing_point(view, INFO).target, vanishing)


def test_published_labels_win_and_their_nan_is_invalid():
    published = np.full((1, SIZE, SIZE), 0.25, np.float32)
    published[0, 3, 4] = np.nan
    segments = np.zeros((SIZE, SIZE), np.int32)
    segments[0, 0] = -1
    view = View(
        "a",
        GREY,
        official={"edge2d": published, "segment2d": segments, "class_1000": np.array([0.5, 0.5])},
    )
    edges = labels.edge2d(view, INFO)
    assert edges.target[0, 0, 0] == 0.25
    assert not edges.valid[3, 4]
    assert edges.target[0, 3, 4] == 0
    assert not labels.segment2d(view, INFO).valid[0, 0]
    assert labels.class_1000(view, INFO).valid


def test_what_a_source_does_not_know_is_named():
    photograph = View("a", GREY)
    able, reasons = labels.available_tasks(TASKS.values(), photograph, INFO)
    assert able == [
        "autoencoder", "colorization", "denoise", "edge2d", "inpainting_whole", "keypoint2d",
        "segment2d",
    ]  # fmt: skip
    assert len(able) + len(reasons) == 20
    assert reasons["room_layout"] == "room_layout: the source gives no room layout"
    assert reasons["curvature"] == "curvature: the source gives no depth and no camera"
    with pytest.raises(labels.LabelUnavailable, match="no vanishing points"):
        labels.vanishing_point(photograph, INFO)


def test_an_added_task_needs_a_function_that_exists():
    task = replace(TASKS["edge2d"], derive="taskrsa.tasks.labels:nothing")
    with pytest.raises(ConfigError, match=r"taskrsa\.tasks\.labels:nothing"):
        labels.derive_label(task, View("a", GREY), INFO, 32)


# ------------------------------------------------------------------------- smoothing, resampling


def test_smoothing_removes_the_steps_of_coarse_depth():
    view = plane((0.3, 0.0, -np.sqrt(1 - 0.09)), -2.0)
    coarse = replace(view, depth=np.round(view.depth / 0.04) * np.float32(0.04), depth_step=0.04)
    true = labels.rgb2sfnorm(view, INFO).target

    def error(one: View) -> float:
        found = labels.rgb2sfnorm(one, INFO).target
        return float(np.degrees(np.arccos(np.clip((found * true).sum(0), -1, 1))).mean())

    assert error(coarse) < 4 < 10 < error(replace(coarse, depth_step=0.0))
    smooth = geometry.fine_depth(coarse)
    assert smooth.depth_step == 0
    assert geometry.fine_depth(smooth) is smooth
    assert np.abs(smooth.depth - view.depth).max() < 0.03


def test_smoothing_keeps_a_jump_where_the_photograph_has_one_and_holes():
    depth = np.full((SIZE, SIZE), 4.0, np.float32)
    depth[:, 32:] = 2.0
    depth[5, 5] = np.nan
    rgb = np.full((SIZE, SIZE, 3), 40, np.uint8)
    rgb[:, 32:] = 220
    smooth = geometry.smooth_depth(depth, rgb)
    assert np.isnan(smooth[5, 5])
    assert np.isfinite(smooth).sum() == smooth.size - 1
    assert (smooth[10:, 31] > 3.7).all()
    assert (smooth[10:, 32] < 2.2).all()


def test_resampled_values_are_means_of_the_valid_part():
    view = View("a", GREY, official={"edge2d": np.zeros((1, SIZE, SIZE), np.float32)})
    values = view.official["edge2d"]
    values[0, 0, :2] = 1, 3
    values[0, 1, :2] = 2, np.nan
    values[0, :2, 2:4] = np.nan
    values[0, 0, 2] = 5
    label = labels.derive_label(TASKS["edge2d"], view, INFO, 32)
    assert label.target[0, 0, 0] == pytest.approx(2)
    assert label.valid[0, 0]
    assert not label.valid[0, 1]
    assert label.target[0, 0, 1] == 0


def test_resampled_normals_have_unit_length():
    normal = np.zeros((SIZE, SIZE, 3), np.float32)
    normal[..., 2] = -1
    normal[:, ::2] = -1, 0, 0
    label = labels.derive_label(TASKS["rgb2sfnorm"], View("a", GREY, normal=normal), INFO, 32)
    half = -np.sqrt(0.5)
    np.testing.assert_allclose(label.target[:, 4, 4], [half, 0, half], atol=1e-6)


@settings(max_examples=40, deadline=None)
@given(st.integers(3, 20), st.integers(3, 20), st.integers(2, 24), st.integers(0, 2**32 - 1))
def test_resizing_agrees_with_a_count_of_fine_subpixels(height, width, size, seed):
    rng = np.random.default_rng(seed)
    values = rng.random((1, height, width)).astype(np.float32)
    ids = rng.integers(0, 4, (height, width))
    valid = rng.random((height, width)) < 0.8

    def fine(array: np.ndarray) -> np.ndarray:
        """Cut each pixel into size x size, so that new pixels hold whole numbers of parts."""
        whole = np.repeat(np.repeat(array, size, 0), size, 1)
        return (
            whole.reshape(size, height, size, width).transpose(0, 2, 1, 3).reshape(size, size, -1)
        )

    parts, known = fine(values[0]), fine(valid)
    share = known.mean(-1)
    mean, mean_valid = images.resize_mean(values, valid, size)
    clear = np.abs(share - 0.5) > 1e-4
    np.testing.assert_array_equal(mean_valid[clear], share[clear] > 0.5)
    expected = (parts * known).sum(-1) / np.maximum(known.sum(-1), 1)
    np.testing.assert_allclose(mean[0][mean_valid], expected[mean_valid], atol=1e-4)

    counts = np.stack([((fine(ids) == name) & known).sum(-1) for name in range(4)], -1)
    chosen, ids_valid = images.resize_majority(ids, valid, size)
    np.testing.assert_array_equal(ids_valid[clear], share[clear] > 0.5)
    best = np.take_along_axis(counts, chosen[..., None].astype(int), -1)[..., 0]
    assert (best[ids_valid] >= counts.max(-1)[ids_valid] - 1e-3 * height * width).all()


# ---------------------------------------------------------------------------- over a whole pack


def test_labels_of_a_pack(tmp_path):
    views = [
        replace(plane((0.0, 0.0, -1.0), -2.0 - index), image_id=f"{index}") for index in range(3)
    ]
    views[0] = replace(views[0], layout=labels.LAYOUT_MEAN)
    write_pack(tmp_path / "views.h5", views, INFO, 3)
    with Pack(tmp_path / "views.h5") as pack:
        targets, valid = labels.derive_labels(TASKS["rgb2depth"], pack, 32)
        assert targets.shape == (3, 1, 32, 32)
        assert targets.dtype == np.float16
        assert valid.all()
        assert (np.diff(targets[:, 0, 0, 0]) > 0).all()
        vectors, has = labels.derive_labels(TASKS["room_layout"], pack, 32)
        assert has.tolist() == [True, False, False]
        assert (vectors == 0).all()
        with pytest.raises(labels.LabelUnavailable, match=r"no semantic classes .*image 0"):
            labels.derive_labels(TASKS["segmentsemantic"], pack, 32)
        with pytest.raises(labels.LabelUnavailable, match="no vanishing points"):
            labels.derive_labels(TASKS["vanishing_point"], pack, 32)


# --------------------------------------------------------------------- a published view, if there


def published_view(size):
    root = os.environ.get("TASKRSA_DATA")
    if not root or not Path(root, "taskonomy_view").is_dir():
        pytest.skip("TASKRSA_DATA does not name a folder with a published Taskonomy view")
    source = taskonomy.open_source(
        path=Path(root, "taskonomy_view"), image_size=size, val_fraction=0.0
    )
    return source.view(source.ids("train")[0])


@pytest.fixture(scope="module")
def published():
    return published_view(512)


def agreement(view, task, channel, **known):
    """The correlation of a published label with the one derived from what else is known."""
    theirs = getattr(labels, task)(view, INFO)
    ours = getattr(labels, task)(replace(view, official={}, **known), INFO)
    both = theirs.valid & ours.valid
    assert both.mean() > 0.85
    return np.corrcoef(theirs.target[channel][both], ours.target[channel][both])[0, 1]


@pytest.mark.parametrize(
    ("task", "channel", "least"),
    [
        ("edge2d", 0, 0.99),
        ("keypoint2d", 0, 0.64),
        ("edge3d", 0, 0.96),
        ("keypoint3d", 0, 0.60),
        ("reshade", 0, 0.96),
        ("curvature", 0, 0.73),
        ("curvature", 1, 0.40),
        ("rgb2depth", 0, 0.9999),
        ("rgb2mist", 0, 0.9999),
    ],
)
def test_derived_labels_follow_published_ones(published, task, channel, least):
    assert agreement(published, task, channel) >= least


@pytest.mark.parametrize("size", [512, 64])
def test_the_page_says_how_derived_labels_follow_published_ones(size):
    """From depth alone curvature follows less, and at few pixels edges do."""
    view, table = published_view(size), Path(__file__).parents[2] / REFERENCE
    rows = pd.read_csv(table, index_col="label")
    cells = [("edge2d", 0, ""), ("keypoint3d", 0, "")]
    cells += [("curvature", 0, ", larger"), ("curvature", 1, ", smaller")]
    for task, channel, words in cells:
        row = rows.loc[TASKS[task].label + words]
        assert agreement(view, task, channel) == pytest.approx(row[f"normals_{size}"], abs=0.005)
        from_depth = agreement(view, task, channel, normal=None)
        assert from_depth == pytest.approx(row[f"depth_{size}"], abs=0.005)


def test_distance_from_depth_agrees_with_the_published_one(published):
    unlog = np.expm1(published.official["rgb2mist"][0] * np.log(2**16)) / 512
    ours = geometry.distance(published.depth, published.camera)
    assert np.nanmedian(np.abs(ours - unlog) / unlog) < 1e-3


def test_normals_from_depth_agree_with_the_published_ones(published):
    ours = geometry.normals_from_depth(published.depth, published.camera)
    cosine = (ours * published.normal).sum(-1)
    assert np.nanmedian(np.degrees(np.arccos(np.clip(cosine, -1, 1)))) < 3


def test_occlusion_edges_are_the_gradient_of_the_root_of_depth(published):
    """The published levels themselves, away from holes: no constant is fitted."""
    known = np.isfinite(published.depth)
    root = np.sqrt(np.where(known, published.depth, 0) / 128)
    from scipy import ndimage

    near = ndimage.binary_dilation(~known, iterations=3)
    sobel = np.hypot(ndimage.sobel(root, 0), ndimage.sobel(root, 1))
    theirs = published.official["edge3d"][0] / labels.EDGE3D_GAIN
    use = ~near & (sobel > 0.01) & (theirs < 0.99 / labels.EDGE3D_GAIN)
    assert np.median(theirs[use] / sobel[use]) == pytest.approx(1, abs=0.01)
