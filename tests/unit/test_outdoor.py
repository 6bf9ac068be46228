"""The simulated world outdoors: reproducible, of several sizes, labelled in the manner of VOC."""

from dataclasses import replace

import numpy as np
import pytest
from taskrsa.targets.pixels import VOID
from taskrsa.worlds.outdoor import (
    CLASSES,
    INDOOR_CLASSES,
    OutdoorWorld,
    _void_borders,
    render,
)
from taskrsa.worlds.scene import ELLIPSOID, OBJECT_CLASSES, Primitives

N = 60


@pytest.fixture(scope="module")
def images():
    world = OutdoorWorld(image_size=32, n_train=N)
    return [world.labelled(image_id)[1:] for image_id in world.lists()["train"]]


def test_four_of_the_eight_classes_are_of_the_rooms():
    assert len(CLASSES) == 9
    assert CLASSES[0] == "background"
    assert set(CLASSES) & set(OBJECT_CLASSES) == set(INDOOR_CLASSES)
    assert len(INDOOR_CLASSES) == 4


def test_an_image_depends_on_seed_and_id_alone():
    one = OutdoorWorld(32, n_train=4, n_val=2, seed=3)
    other = OutdoorWorld(32, n_train=400, n_val=20, seed=3)
    other.labelled("val_000001")  # in another order
    for name in ("train_000003", "val_000001"):
        for a, b in zip(one.labelled(name)[1:], other.labelled(name)[1:], strict=True):
            np.testing.assert_array_equal(a, b)
    pictures = [one.labelled(name)[1] for name in ("train_000001", "val_000001")]
    pictures.append(OutdoorWorld(32, seed=4).labelled("train_000001")[1])
    digests = {(p.shape, p.tobytes()) for p in pictures}
    assert len(digests) == 3


def test_sizes_differ_and_the_shorter_side_is_as_asked(images):
    shapes = {rgb.shape[:2] for rgb, _ in images}
    assert {min(shape) for shape in shapes} == {32}
    assert max(max(shape) for shape in shapes) <= 48
    assert len(shapes) > 10
    portrait = np.mean([h > w for h, w in (rgb.shape[:2] for rgb, _ in images)])
    assert 0.05 < portrait < 0.5
    for rgb, mask in images:
        assert (rgb.dtype, mask.dtype, rgb.shape) == (np.uint8, np.uint8, (*mask.shape, 3))


def test_a_scene_is_the_same_at_every_size():
    world = OutdoorWorld(n_train=8)
    for portrait in (False, True):
        scene = replace(world.scene("train_000003"), ratio=1.25, portrait=portrait)
        small, large = render(scene, 32)[1], render(scene, 96)[1]
        assert small.shape == ((40, 32) if portrait else (32, 40))
        # The centre of a pixel of the small mask is that of the middle of 3 x 3 of the large one.
        same = large[1::3, 1::3]
        known = (small != VOID) & (same != VOID)
        assert (small[known] > 0).sum() > 30
        np.testing.assert_array_equal(small[known], same[known])


@pytest.mark.parametrize(("portrait", "shape"), [(False, (32, 48)), (True, (48, 32))])
def test_what_is_straight_ahead_is_in_the_middle(portrait, shape):
    scene = OutdoorWorld(n_train=1).scene("train_000000")
    eye = scene.room.eye
    ball = Primitives(
        kind=np.array([ELLIPSOID]),
        centre=eye[None] + (5.0, 0.0, 0.0),  # the camera looks along x
        half=np.ones((1, 3)),
        cosine=np.ones(1),
        sine=np.zeros(1),
        owner=np.zeros(1, int),
        material=np.zeros(1, int),
    )
    room = replace(scene.room, primitives=ball, object_class=np.array([3]), pitch=0.0)
    _, mask = render(replace(scene, room=room, ratio=1.5, portrait=portrait), 32)
    assert mask.shape == shape
    rows, columns = np.nonzero((mask == 3) | (mask == VOID))
    # Borders lie above and to the left of what they surround, half a pixel off the middle.
    assert abs(rows.mean() + 0.5 - shape[0] / 2) < 0.6
    assert abs(columns.mean() + 0.5 - shape[1] / 2) < 0.6
    # A sphere of 1 m at 5 m is seen asin(1 / 5) to each side; the longer side spans 70 degrees.
    radius = np.tan(np.arcsin(1 / 5)) * 24 / np.tan(np.radians(35))
    assert columns.max() - columns.min() == pytest.approx(2 * radius, abs=1.5)


def test_every_class_is_seen_often_and_no_image_is_empty(images):
    seen = np.array([np.bincount(mask.ravel(), minlength=256) for _, mask in images])
    assert set(np.flatnonzero(seen.sum(0))) == {*range(9), VOID}
    often = (seen[:, 1:9] > 0).mean(0)
    assert often.min() > 0.2
    assert (seen[:, 1:9].sum(1) > 0).all()
    background = seen[:, 0].sum() / seen.sum()
    assert 0.5 < background < 0.85


def test_borders_are_one_pixel_of_void():
    objects = np.zeros((5, 6), int)
    objects[1:4, 2:4] = 1
    objects[1:4, 4:] = 2
    classes = np.array([0, 7, 7])[objects]  # two objects of one class are kept apart
    expected = np.array(
        [
            [0, 0, 255, 255, 255, 255],
            [0, 255, 7, 255, 7, 7],
            [0, 255, 7, 255, 7, 7],
            [0, 255, 255, 255, 255, 255],
            [0, 0, 0, 0, 0, 0],
        ]
    )
    np.testing.assert_array_equal(_void_borders(classes, objects), expected)


def test_different_classes_never_touch(images):
    for _, mask in images:
        for a, b in ((mask[:, 1:], mask[:, :-1]), (mask[1:], mask[:-1])):
            known = (a != VOID) & (b != VOID)
            np.testing.assert_array_equal(a[known], b[known])


def test_mask_and_image_show_the_same_object():
    # Painted in one colour, an object must be where its mask says.
    world = OutdoorWorld(32, n_train=1)
    scene = world.scene("train_000000")
    before, mask = render(scene, 32)
    scene.room.materials.colours[:] = (0.0, 1.0, 0.0)
    scene.room.materials.colours[scene.room.surface_material[0]] = (1.0, 0.0, 0.0)
    after, same = render(scene, 32)
    np.testing.assert_array_equal(mask, same)
    objects = (mask > 0) & (mask != VOID)
    red, green = after[..., 0].astype(int), after[..., 1].astype(int)
    assert objects.sum() > 30
    assert (green > red)[objects].mean() > 0.95
    below = (mask == 0) & (np.arange(len(mask))[:, None] > 0.75 * len(mask))
    assert (red > green)[below].mean() > 0.95
    assert (before != after).any()
