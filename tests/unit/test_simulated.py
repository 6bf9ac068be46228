"""The simulated world: exact labels, conventions, statistics and errors."""

import hashlib
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from taskrsa.data.simulated import SimulatedWorld, open_source
from taskrsa.worlds.render import albedo, cast, normals, pixel_rays, shadowed
from taskrsa.worlds.scene import (
    BOX,
    CHECKER,
    CYLINDER,
    ELLIPSOID,
    LUMINANCE,
    PLAIN,
    STRIPES,
    Materials,
    Primitives,
    Scene,
    camera_axes,
    two_colours,
)

SCRIPTS = Path(__file__).parents[2] / "scripts"
ARRAYS = ("rgb", "depth", "normal", "semantic", "instances", "layout", "vanishing_points")
SOME = [f"train-{i:06d}" for i in range(8)] + ["val-000000", "val-000003"]


@pytest.fixture(scope="module")
def world():
    return SimulatedWorld()


@pytest.fixture(scope="module")
def many():
    """Two hundred small views of the default world."""
    source = SimulatedWorld(image_size=32)
    return source, [source.view(image_id) for image_id in source.ids("train")[:200]]


def rays_of(view):
    """(H, W, 3) camera rays with z = 1 through the pixel centres, from the intrinsics alone."""
    height, width = view.depth.shape
    x = (np.arange(width) + 0.5 - view.camera.cx) / view.camera.fx
    y = (np.arange(height) + 0.5 - view.camera.cy) / view.camera.fy
    return np.stack([*np.meshgrid(x, y), np.ones((height, width))], -1)


def points_of(view):
    """(H, W, 3) camera coordinates of what each pixel sees."""
    return rays_of(view) * view.depth[..., None]


def room_points(view):
    """(H, W, 3) points along right, down, forward from the room's centre, by the layout alone."""
    centre, _, (c, s, pitch) = np.split(view.layout.astype(float), 3)
    cp, sp = math.cos(pitch), math.sin(pitch)
    axes = np.array([[c, -sp * s, cp * s], [0, cp, sp], [-s, -sp * c, cp * c]])
    return (points_of(view) - centre) @ axes.T


def same(a, b):
    return all(np.array_equal(getattr(a, name), getattr(b, name)) for name in ARRAYS)


def hand_scene(kind=BOX, turn=0.0, half=(0.5, 0.5, 0.5), centre=(2.0, 0.0, 1.0)):
    """A room of 6 x 4 x 3 m with one solid, the eye at the origin's 1 m height looking along x."""
    solids = Primitives(
        kind=np.array([kind]),
        centre=np.array([centre], dtype=float),
        half=np.array([half], dtype=float),
        cosine=np.array([math.cos(turn)]),
        sine=np.array([math.sin(turn)]),
        owner=np.array([0]),
        material=np.array([0]),
    )
    grey = Materials(np.array([PLAIN]), np.eye(3)[None], np.zeros((1, 3)), np.full((1, 2, 3), 0.5))
    return Scene(
        room_class=0,
        size=np.array([6.0, 4.0, 3.0]),
        surface_material=np.zeros(6, dtype=int),
        object_class=np.array([0]),
        primitives=solids,
        materials=grey,
        light=np.array([2.0, 0.0, 2.5]),
        eye=np.array([0.0, 0.0, 1.0]),
        heading=0.0,
        pitch=0.0,
    )


# ---- worked by hand ------------------------------------------------------------------------------


def test_room_surfaces_by_hand():
    scene = hand_scene(centre=(-2.0, -1.0, 0.5))  # behind the eye and to the side
    rays = np.array([[1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, -1], [0, 0, 1], [1, 0.5, 0]]).T * 1.0
    reach, hit = cast(scene, scene.eye, rays)
    np.testing.assert_allclose(reach, [3, 2, 2, 1, 2, 3])
    assert hit.tolist() == [1, 3, 2, 4, 5, 1]
    expected = [[-1, 0, 0], [0, -1, 0], [0, 1, 0], [0, 0, 1], [0, 0, -1], [-1, 0, 0]]
    assert np.array_equal(normals(scene, scene.eye, rays, hit).T, expected)


@pytest.mark.parametrize(
    ("kind", "turn", "half", "ray", "reach", "normal"),
    [
        (BOX, 0.0, (0.5, 0.5, 0.5), (1, 0, 0), 1.5, (-1, 0, 0)),
        # Turned by 45 degrees an edge points at the eye: sqrt(0.5) in front of the centre.
        (BOX, math.pi / 4, (0.5, 0.5, 0.5), (1, 1e-9, 0), 2 - math.sqrt(0.5), None),
        # A quarter turn swaps the half extents.
        (BOX, math.pi / 2, (0.3, 0.7, 0.5), (1, 0, 0), 1.3, (-1, 0, 0)),
        (CYLINDER, 0.3, (0.4, 0.4, 0.5), (1, 0, 0), 1.6, (-1, 0, 0)),
        # Over the rim onto the lid: from z = 1.0 to a lid at z = 0.8 met at x = 2.
        (CYLINDER, 0.3, (0.4, 0.4, 0.4), (1, 0, -0.1), 2.0, (0, 0, 1)),
        (ELLIPSOID, 0.0, (0.25, 0.5, 0.5), (1, 0, 0), 1.75, (-1, 0, 0)),
        # A sphere of radius 1/2 at 2 m met at y = 0.3: x = 2 - 0.4, normal (-0.8, 0.6, 0).
        (ELLIPSOID, 1.0, (0.5, 0.5, 0.5), (1.6, 0.3, 0), 1.0, (-0.8, 0.6, 0)),
    ],
)
def test_solids_by_hand(kind, turn, half, ray, reach, normal):
    centre = (2.0, 0.0, 0.4 if ray[2] else 1.0)
    scene = hand_scene(kind, turn, half, centre)
    rays = np.array(ray, dtype=float)[:, None]
    found, hit = cast(scene, scene.eye, rays)
    assert hit.tolist() == [6]
    np.testing.assert_allclose(found, [reach], atol=1e-6)
    if normal is not None:
        np.testing.assert_allclose(normals(scene, scene.eye, rays, hit)[:, 0], normal, atol=1e-9)


def test_rays_beside_a_solid_pass():
    scene = hand_scene(ELLIPSOID, 0.0, (0.5, 0.5, 0.5))
    # The sphere of radius 1/2 at 2 m is seen under asin(1/4): tan = 0.2582.
    rays = np.array([[1, 0.2581, 0], [1, 0.2583, 0], [-1, 0, 0]]).T
    assert (cast(scene, scene.eye, rays)[1] >= 6).tolist() == [True, False, False]


def test_shadow_by_hand():
    scene = hand_scene()  # box of 1 m around (2, 0, 1), light at (2, 0, 2.5)
    # Its top edges at z = 1.5, 0.5 m off the axis, throw a shadow 1.25 m wide each way.
    points = np.array([[2, 0, 0], [2, 1.24, 0], [2, 1.26, 0], [2, 0, 1.5], [-1, 0, 0]]).T
    assert shadowed(scene, points).tolist() == [True, True, False, False, False]
    # A hair below the lit face counts as dark: contact shadows reach the object.
    assert shadowed(scene, np.array([[2.0, 0.0, 1.49]]).T).tolist() == [True]


def test_bounding_cones_lose_no_hit(monkeypatch):
    """Testing every ray against every solid gives the same hits and shadows."""
    source = SimulatedWorld(image_size=48)

    def render():
        views = [source.view(image_id) for image_id in source.ids("val")[:12]]
        return [(view.instances, view.depth, view.rgb) for view in views]

    fast = render()
    monkeypatch.setattr(
        "taskrsa.worlds.render._candidates",
        lambda origin, rays, solids: np.ones((len(solids.kind), rays.shape[1]), dtype=bool),
    )
    for one, other in zip(fast, render(), strict=True):
        assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def test_textures_by_hand():
    colours = np.array([[[0.0] * 3, [1.0] * 3]] * 3)
    materials = Materials(
        np.array([PLAIN, CHECKER, STRIPES]), np.stack([np.eye(3)] * 3), np.zeros((3, 3)), colours
    )
    points = np.array([[0.2, 0.2, 0.2], [0.7, 0.2, 0.2], [0.7, 0.7, 0.2], [1.2, 0.2, 0.2]]).T
    found = [albedo(materials, np.full(4, m), points)[0].tolist() for m in range(3)]
    # A period of 1 m: cells and bands of half a metre.
    assert found == [[0, 0, 0, 0], [0, 1, 0, 0], [1, 0, 0, 1]]


def test_pixel_rays_gather_the_samples_of_a_pixel():
    x, y = pixel_rays(3, 2).reshape(2, 3, 3, 4)
    np.testing.assert_allclose(x.mean(-1)[0], [0.5, 1.5, 2.5])
    np.testing.assert_allclose(y.mean(-1)[:, 0], [0.5, 1.5, 2.5])
    assert pixel_rays(2).T.tolist() == [[0.5, 0.5], [1.5, 0.5], [0.5, 1.5], [1.5, 1.5]]


def test_wall_pixel_by_hand(world):
    """Depth of wall pixels from the scene's numbers, without the renderer."""
    checked = 0
    for image_id in SOME:
        view, scene = world.view(image_id), world.scene(image_id)
        axes = camera_axes(scene.heading, scene.pitch)
        for row, column in np.argwhere(view.instances == 2)[::97]:  # the wall at +x
            ray = np.array(
                [
                    (column + 0.5 - view.camera.cx) / view.camera.fx,
                    (row + 0.5 - view.camera.cy) / view.camera.fy,
                    1.0,
                ]
            )
            depth = (scene.size[0] / 2 - scene.eye[0]) / (ray @ axes)[0]
            assert view.depth[row, column] == pytest.approx(depth, rel=1e-6)
            np.testing.assert_allclose(view.normal[row, column], axes @ [-1, 0, 0], atol=1e-6)
            checked += 1
    assert checked > 20


# ---- determinism ---------------------------------------------------------------------------------


def test_order_and_counts_do_not_matter(world):
    forward = {i: world.view(i) for i in SOME}
    other = SimulatedWorld(n_train=99, n_val=7)
    assert all(same(other.view(i), forward[i]) for i in reversed(SOME))


def test_another_process_gives_the_same_bytes(world):
    code = (
        "import hashlib; from taskrsa.data.simulated import SimulatedWorld as W; v = W().view"
        "('val-000003'); print(hashlib.sha256(b''.join(getattr(v, n).tobytes() for n in "
        f"{ARRAYS!r})).hexdigest())"
    )
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=SCRIPTS
    )
    view = world.view("val-000003")
    own = hashlib.sha256(b"".join(getattr(view, name).tobytes() for name in ARRAYS))
    assert found.stdout.strip() == own.hexdigest()


def test_seed_split_and_index_make_different_views(world):
    views = [world.view("train-000001"), world.view("train-000002"), world.view("val-000001")]
    views.append(SimulatedWorld(seed=1).view("train-000001"))
    digests = {view.rgb.tobytes() for view in views}
    assert len(digests) == 4


@pytest.mark.parametrize("image_id", SOME[:4])
def test_image_size_changes_sampling_only(world, image_id):
    """With three times the pixels, every third pixel centre is the same ray."""
    small, large = world.view(image_id), SimulatedWorld(image_size=192).view(image_id)
    middle = (slice(1, None, 3), slice(1, None, 3))
    # A ray along an edge may fall either way by rounding.
    agree = small.instances == large.instances[middle]
    assert agree.mean() > 0.999
    near = np.isclose(small.depth, large.depth[middle], rtol=1e-5)
    assert (near | ~agree).mean() > 0.999
    assert np.array_equal(small.layout, large.layout)
    assert np.array_equal(small.vanishing_points, large.vanishing_points)
    blocks = large.rgb.reshape(64, 3, 64, 3, 3).mean((1, 3))
    assert abs(blocks.mean() - small.rgb.mean()) < 2


# ---- labels --------------------------------------------------------------------------------------


def test_types_and_shapes(world):
    view = world.view("train-000000")
    assert (view.rgb.dtype, view.rgb.shape) == (np.uint8, (64, 64, 3))
    assert (view.depth.dtype, view.depth.shape) == (np.float32, (64, 64))
    assert (view.normal.dtype, view.normal.shape) == (np.float32, (64, 64, 3))
    assert (view.semantic.dtype, view.instances.dtype) == (np.int16, np.int32)
    assert (view.layout.dtype, view.layout.shape) == (np.float32, (9,))
    assert (view.vanishing_points.dtype, view.vanishing_points.shape) == (np.float32, (9,))
    assert view.depth_step == 0
    assert view.official == {}
    assert world.ids("val")[:2] == ["val-000000", "val-000001"]
    assert len(world.ids("train")) == 2048


def test_normals_are_unit_and_face_the_camera(many):
    for view in many[1]:
        normal = view.normal.astype(float)
        np.testing.assert_allclose(np.linalg.norm(normal, axis=-1), 1, atol=1e-6)
        assert ((normal * rays_of(view)).sum(-1) < 1e-6).all()


def test_depth_and_normals_agree(world):
    """Differences of back-projected depth span the surface that the normal is normal to."""
    for image_id in SOME:
        view = world.view(image_id)
        points = points_of(view)
        right = points[1:-1, 2:] - points[1:-1, :-2]
        down = points[2:, 1:-1] - points[:-2, 1:-1]
        estimate = np.cross(down, right)
        estimate /= np.linalg.norm(estimate, axis=-1, keepdims=True)
        normal = view.normal[1:-1, 1:-1]
        # Planar interiors: all five pixels on one instance with one normal.
        planar = np.ones(normal.shape[:2], dtype=bool)
        for rows, columns in ((0, 1), (2, 1), (1, 0), (1, 2)):
            window = (slice(rows, 62 + rows), slice(columns, 62 + columns))
            planar &= view.instances[window] == view.instances[1:-1, 1:-1]
            planar &= (view.normal[window] == normal).all(-1)
        planar &= view.instances[1:-1, 1:-1] <= 6  # an object may have two parallel faces
        assert planar.mean() > 0.1
        assert np.abs((estimate * normal).sum(-1)[planar]).min() > 0.9999


def test_layout_is_the_cuboid_that_is_seen(many):
    for view in many[1]:
        half = view.layout[3:6] / 2
        points = room_points(view)
        assert (np.abs(points) <= half + 1e-4).all()
        floor, ceiling = view.semantic == 2, view.semantic == 3
        np.testing.assert_allclose(points[floor][:, 1], half[1], atol=1e-4)
        np.testing.assert_allclose(points[ceiling][:, 1], -half[1], atol=1e-4)
        wall = points[view.semantic == 1]
        gap = np.minimum(*(np.abs(np.abs(wall[:, i]) - half[i]) for i in (0, 2)))
        assert gap.max(initial=0) < 1e-4


def test_vanishing_points_are_the_room_axes_nearest_to_the_camera(many):
    for view in many[1]:
        axes = view.vanishing_points.reshape(3, 3).astype(float)
        np.testing.assert_allclose(axes @ axes.T, np.eye(3), atol=1e-6)
        assert np.linalg.det(axes) == pytest.approx(1, abs=1e-5)
        # Of the horizontal axes, forward is the one nearest to the viewing direction.
        assert axes[2, 2] >= abs(axes[0, 2]) - 1e-6
        assert axes[0, 0] > 0
        assert axes[1, 1] > 0
        cosines = np.abs(view.normal[view.semantic <= 3] @ axes.T)
        np.testing.assert_allclose(np.sort(cosines, axis=1), [[0, 0, 1]] * len(cosines), atol=1e-5)
        np.testing.assert_allclose(cosines.argmax(1) == 1, view.semantic[view.semantic <= 3] != 1)


def test_instances_and_classes_agree(many):
    for view in many[1]:
        assert view.semantic.min() >= 1
        assert view.semantic.max() <= 13
        surface = np.array([0, 1, 1, 1, 1, 2, 3])
        known = view.instances <= 6
        assert np.array_equal(surface[view.instances[known]], view.semantic[known])
        for instance in np.unique(view.instances[~known]):
            classes = np.unique(view.semantic[view.instances == instance])
            assert len(classes) == 1
            assert classes[0] >= 4


# ---- statistics ----------------------------------------------------------------------------------


def test_every_class_and_room_appears(many):
    source, views = many
    seen = set(np.concatenate([np.unique(view.semantic) for view in views]).tolist())
    assert seen == set(range(1, len(source.info.semantic_classes) + 1))
    assert {view.scene_class for view in views} == set(range(len(source.info.scene_classes)))
    assert source.info.semantic_classes[3:] == source.info.object_classes


def test_objects_are_visible(many):
    share = np.array([(view.semantic > 3).mean() for view in many[1]])
    assert (share == 0).mean() < 0.03
    assert 0.15 < share.mean() < 0.4
    assert np.median([view.depth.min() for view in many[1]]) > 0.7  # not too near anything


def test_rooms_have_their_objects(many):
    """A bedroom shows beds more often than other rooms do, a gym balls, a storage barrels."""
    source, views = many
    rooms = np.array([view.scene_class for view in views])
    for room, name in (("bedroom", "bed"), ("gym", "ball"), ("living room", "sofa")):
        own = rooms == source.info.scene_classes.index(room)
        shown = np.array(
            [source.info.semantic_classes.index(name) + 1 in view.semantic for view in views]
        )
        assert shown[own].mean() > 0.4 > 3 * shown[~own].mean()


def test_textures_have_contrast_inside_surfaces(many):
    """Luminance steps between neighbours inside one flat surface: texture, not geometry."""
    steps = []
    for view in many[1]:
        luminance = view.rgb @ LUMINANCE / 255
        step = np.abs(np.diff(luminance, axis=1))
        for instance in range(1, 7):
            inside = view.instances == instance
            pairs = inside[:, 1:] & inside[:, :-1]
            if pairs.sum() > 100:
                steps.append(step[pairs].mean())
    steps = np.array(steps)
    assert (steps > 0.02).mean() > 0.6
    assert (steps < 0.01).mean() > 0.05  # some surfaces are plain


@pytest.mark.parametrize("hue", np.linspace(0, 1, 13))
def test_two_colours_are_in_gamut_and_apart(hue):
    rng = np.random.default_rng(0)
    for saturation in (0.0, 0.2, 1.0):
        for _ in range(20):
            colours = two_colours(rng, hue, saturation)
            assert colours.min() >= 0
            assert colours.max() <= 1
            assert abs(np.diff(colours @ LUMINANCE)[0]) >= 0.15 - 1e-9


def test_camera_is_in_the_room_and_looks_about():
    world = SimulatedWorld(image_size=8)
    scenes = [world.scene(image_id) for image_id in world.ids("train")[:150]]
    for scene in scenes:
        assert (np.abs(scene.eye[:2]) < scene.size[:2] / 2).all()
        assert 1.1 < scene.eye[2] < 1.8
        assert (np.abs(scene.light[:2]) < scene.size[:2] / 2).all()
        assert scene.light[2] < scene.size[2]
        assert len(scene.object_class) <= 8
    assert np.std([scene.pitch for scene in scenes]) > 0.1
    quarter = np.array([scene.heading for scene in scenes]) // (math.pi / 2) % 4
    assert (np.bincount(quarter.astype(int), minlength=4) > 15).all()


def test_factory(world):
    source = open_source(image_size=np.int64(64), seed=0)
    assert same(source.view("val-000001"), world.view("val-000001"))
