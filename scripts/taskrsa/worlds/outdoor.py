"""The simulated world outdoors: a labelled target set whose domain no source task has seen.

Ground under a sky, with 2-7 objects of eight classes. Four of them (chair, plant, ball, barrel)
are those of the simulated rooms; car, house, person and tree occur outdoors only. Of the objects'
materials 85 % are drawn as in rooms, the rest is more colourful than any in a room. Masks are as
those of Pascal VOC: one id a class, 0 for the background (ground and sky alike), and borders one
pixel wide of void around every object. Images have several sizes and shapes: `image_size` is the
shorter side, the longer one is up to half as long again.

Each image is a function of the seed and its id alone, in any order and any process. It is
ray-cast by the code that renders the rooms: the "room" is a box of 160 m whose floor is the ground
and whose other sides are the sky.
"""

from __future__ import annotations

import colorsys
import math
from dataclasses import dataclass

import numpy as np

from taskrsa.targets.pixels import VOID
from taskrsa.worlds.numbered import SPLITS, NumberedWorld
from taskrsa.worlds.render import AMBIENT, albedo, cast, lit, material_at, normals, pixel_rays
from taskrsa.worlds.scene import (
    BOX,
    BUILD,
    CHECKER,
    CLASS_LOOK,
    CYLINDER,
    ELLIPSOID,
    FIELD_OF_VIEW,
    N_SURFACES,
    PLAIN,
    STRIPES,
    WAVES,
    Footprint,
    MaterialList,
    Object,
    Primitives,
    Scene,
    camera_axes,
    placed,
)

INDOOR_CLASSES = ("chair", "plant", "ball", "barrel")
CLASSES = ("background", *INDOOR_CLASSES, "car", "house", "person", "tree")

_SUPERSAMPLING = 2  # rays per pixel and direction, for the colour only
_WORLD = 160.0  # metres
_GROUND = 4  # index of the floor among a room's surfaces
_SHARED = 0.85  # of the objects' materials
_HAZE = 60.0  # metres over which 1 - 1/e of a colour is lost to the sky's

# Expected number of each object class at a place, in the order of CLASSES, and the ground's hue.
_PLACES = (
    ((0.2, 0.3, 0.2, 0.6, 1.3, 0.9, 0.9, 0.3), 0.62, 0.06),  # street
    ((0.9, 1.0, 0.5, 0.4, 0.2, 0.6, 0.5, 0.6), 0.28, 0.30),  # garden
    ((0.2, 0.3, 1.0, 0.5, 0.5, 0.2, 0.9, 1.3), 0.13, 0.25),  # field
)
# Nearest and farthest distance from the camera in metres: small things must be near to be seen.
_DISTANCE = {
    "chair": (1.5, 4.0), "plant": (1.5, 4.5), "ball": (1.5, 4.0), "barrel": (1.7, 5.0),
    "car": (2.6, 8.0), "house": (4.0, 11.0), "person": (1.8, 5.5), "tree": (2.8, 10.0),
}  # fmt: skip
_LARGE_FIRST = ("house", "car", "tree", "person", "plant", "barrel", "chair", "ball")
_LOOK = {
    **{name: CLASS_LOOK[name] for name in INDOOR_CLASSES},
    "car": ((0.98, PLAIN), (0.60, PLAIN)),
    "house": ((0.08, CHECKER), (0.02, STRIPES)),
    "person": ((0.50, STRIPES), (0.06, PLAIN)),
    "tree": ((0.25, WAVES), (0.07, STRIPES)),
}
# Large things are seen from afar, where fine textures are grey: theirs are coarser than in rooms.
_COARSER = {"car": 0.5, "house": 0.3, "tree": 0.5}
_GROUND_COARSER = 0.4


# --- objects: own coordinates as in the rooms, x to the side, y towards the back, z up ---


def _car(rng: np.random.Generator) -> Object:
    x, y, wheel = rng.uniform(1.1, 1.5), rng.uniform(0.52, 0.65), rng.uniform(0.24, 0.3)
    body, cabin = rng.uniform(0.4, 0.5), rng.uniform(0.36, 0.48)
    shift = rng.uniform(-0.2, 0.2) * x
    wheels = [
        (ELLIPSOID, sx * 0.62 * x, sy * y, wheel, wheel, 0.1, wheel, 1)
        for sx in (-1, 1)
        for sy in (-1, 1)
    ]
    return [
        (BOX, 0, 0, wheel * 0.8 + body / 2, x, y, body / 2, 0),
        (BOX, shift, 0, wheel * 0.8 + body + cabin / 2, 0.55 * x, 0.9 * y, cabin / 2, 1),
        *wheels,
    ], x, y + 0.1  # fmt: skip


def _house(rng: np.random.Generator) -> Object:
    x, y, wall = rng.uniform(1.4, 2.2), rng.uniform(1.2, 1.7), rng.uniform(1.7, 2.4)
    steps, roof = 5, rng.uniform(0.8, 1.3)
    solids = [
        (BOX, 0, 0, wall / 2, x, y, wall / 2, 0),
        (BOX, rng.uniform(-0.6, 0.6) * x, -y, 0.55, 0.28, 0.03, 0.55, 1),
    ]
    for i in range(steps):  # a gable of slabs
        share = 1.08 - i / steps
        z = wall + (i + 0.5) * roof / steps
        solids.append((BOX, 0, 0, z, 1.06 * x, share * y, roof / steps / 2, 1))
    return solids, 1.06 * x, 1.08 * y


def _person(rng: np.random.Generator) -> Object:
    tall, wide = rng.uniform(1.5, 1.85), rng.uniform(0.17, 0.23)
    leg, head = 0.46 * tall, 0.085 * tall
    torso = tall - leg - 2 * head
    stride = rng.uniform(0, 0.14)
    return [
        *((CYLINDER, s * 0.5 * wide, s * stride, leg / 2, 0.075, 0.075, leg / 2, 1)
          for s in (-1, 1)),
        *((BOX, s * (wide + 0.05), -s * stride, leg + 0.5 * torso, 0.05, 0.06, 0.48 * torso, 0)
          for s in (-1, 1)),
        (BOX, 0, 0, leg + torso / 2, wide, 0.12, torso / 2, 0),
        (ELLIPSOID, 0, 0, tall - head, 0.75 * head, 0.8 * head, head, 1),
    ], wide + 0.1, 0.22  # fmt: skip


def _tree(rng: np.random.Generator) -> Object:
    trunk, thick, crown = rng.uniform(0.9, 1.5), rng.uniform(0.1, 0.17), rng.uniform(0.75, 1.1)
    n, step = 3, rng.uniform(0.55, 0.75)
    solids = [(CYLINDER, 0, 0, trunk / 2 + 0.1, thick, thick, trunk / 2 + 0.1, 1)]
    for i in range(n):  # tiers, each narrower than the one below
        wide = crown * (1 - 0.27 * i)
        solids.append((ELLIPSOID, 0, 0, trunk + 0.4 + i * step, wide, wide, 0.55, 0))
    return solids, crown, crown


_OBJECTS = {
    **{name: BUILD[name] for name in INDOOR_CLASSES},
    "car": _car, "house": _house, "person": _person, "tree": _tree,
}  # fmt: skip


# --- scenes ---


@dataclass(frozen=True)
class OutdoorScene:
    """What one image shows: the solids and camera as of a room, and what only outdoors has."""

    room: Scene  # object_class holds ids of CLASSES; light is the sun
    sky: np.ndarray  # (2, 3) colour at the horizon and above, in [0, 1]
    sun: float  # brightness that the sun adds to what faces it
    ratio: float  # longer side of the image over the shorter
    portrait: bool


def _draw_names(rng: np.random.Generator, expected: tuple[float, ...]) -> list[str]:
    """Draw the classes of the objects, large ones first: what is placed late may find no room."""
    share = np.array(expected) / sum(expected)
    counts = np.floor(np.array(expected) + rng.random(len(expected))).astype(int)
    names = [name for name, n in zip(CLASSES[1:], counts, strict=True) for _ in range(n)]
    while len(names) < 3:
        names.append(CLASSES[1:][rng.choice(len(share), p=share)])
    names = [names[i] for i in rng.permutation(len(names))[:7]]
    return sorted(names, key=_LARGE_FIRST.index)


def _place(
    rng: np.random.Generator, name: str, half: tuple[float, float], view: float, taken: list
) -> Footprint | None:
    """Return a free place in the camera's view (half angle `view`), or None."""
    for _ in range(25):
        near, far = _DISTANCE[name]
        away = near + max(half) + rng.random() ** 1.5 * (far - near)
        angle = rng.uniform(-0.8, 0.8) * view
        spot = Footprint(
            away * math.cos(angle), away * math.sin(angle), *half, rng.uniform(0, 2 * math.pi)
        )
        if not any(spot.overlaps(other, 0.05) for other in taken):
            return spot
    return None


def _materials(materials: MaterialList, name: str, turn: float) -> list[int]:
    """Add the materials of an object, most of them such as rooms have."""
    how = {"turn": turn, "scale": _COARSER.get(name, 1.0)}
    return [
        materials.add_typical(hue, kind, **how)
        if materials.rng.random() < _SHARED
        else materials.add(None, None, 1.0, **how)
        for hue, kind in _LOOK[name]
    ]


def _draw_sun(rng: np.random.Generator) -> np.ndarray:
    """Return where the sun stands, (3,) metres."""
    azimuth, elevation = rng.uniform(0, 2 * math.pi), rng.uniform(0.5, 1.2)
    across, up = math.cos(elevation), math.sin(elevation)
    return 50.0 * np.array([math.cos(azimuth) * across, math.sin(azimuth) * across, up])


def _draw_sky(rng: np.random.Generator) -> np.ndarray:
    """Return the sky's colours at the horizon and overhead, (2, 3)."""
    blue = colorsys.hsv_to_rgb(rng.normal(0.58, 0.03), rng.uniform(0.05, 0.6), rng.uniform(0.6, 1))
    pale = np.array(blue) + rng.uniform(0.4, 0.8) * (1 - np.array(blue))
    return np.stack([pale, np.array(blue)])


def draw_scene(rng: np.random.Generator) -> OutdoorScene:
    """Draw a place with its objects, sun, sky and camera, and the shape of its image.

    The camera stands at x = y = 0 and looks along x.
    """
    ratio, portrait = rng.uniform(1.0, 1.5), bool(rng.random() < 0.25)
    view = math.atan(math.tan(FIELD_OF_VIEW / 2) / (ratio if portrait else 1.0))
    expected, ground_hue, ground_colour = _PLACES[rng.integers(0, len(_PLACES))]

    materials = MaterialList(rng)
    hue = ground_hue if rng.random() < 0.7 else None
    turn = rng.uniform(0, math.pi / 2)
    how = {"horizontal": True, "turn": turn, "scale": _GROUND_COARSER}
    ground = materials.add(hue, None, ground_colour, **how)

    taken: list[Footprint] = []
    classes: list[int] = []
    rows: list[tuple] = []
    for name in _draw_names(rng, expected):
        solids, *half = _OBJECTS[name](rng)
        spot = _place(rng, name, tuple(half), view, taken)
        if spot is None:
            continue
        rows += placed(solids, spot, len(classes), _materials(materials, name, spot.turn))
        taken.append(spot)
        classes.append(CLASSES.index(name))

    room = Scene(
        room_class=0,
        size=np.full(3, _WORLD),
        surface_material=np.full(N_SURFACES, ground),
        object_class=np.array(classes),
        primitives=Primitives.of(rows),
        materials=materials.done(),
        light=_draw_sun(rng),
        eye=np.array([0.0, 0.0, rng.uniform(1.3, 1.9)]),
        heading=0.0,
        pitch=rng.uniform(0.0, 0.25),
    )
    sky = _draw_sky(rng)
    return OutdoorScene(room, sky, rng.uniform(0.05, 0.45), ratio, portrait)


# --- pictures ---


def _sky(scene: OutdoorScene, up: np.ndarray) -> np.ndarray:
    """Return the sky's colour (3, N) in directions whose sine of elevation is `up` (N,)."""
    share = np.sqrt(np.clip(up, 0, 1))
    return scene.sky[0][:, None] + share * (scene.sky[1] - scene.sky[0])[:, None]


def _shade(scene: OutdoorScene, rays: np.ndarray, pixel: float) -> np.ndarray:
    """Return the colour (3, N) in [0, 1] along rays from the eye; `pixel` is its angle, radians."""
    room = scene.room
    reach, hit = cast(room, room.eye, rays)
    length = np.sqrt((rays * rays).sum(0))
    colour = _sky(scene, rays[2] / length)
    # The sides and the ceiling of the box are the sky, which is neither lit nor shaded.
    solid = np.flatnonzero((hit >= N_SURFACES) | (hit == _GROUND))
    rays, hit, length, reach = rays[:, solid], hit[solid], length[solid], reach[solid]
    points = room.eye[:, None] + reach * rays
    normal = normals(room, room.eye, rays, hit)
    distance = reach * length

    material = material_at(room, hit)
    own = albedo(room.materials, material, points)
    # What repeats within a pixel is seen as its mean: else far textures turn into noise.
    facing = np.abs((normal * rays).sum(0)) / length
    width = distance * pixel / np.maximum(facing, 1e-3)
    rate = np.sqrt((room.materials.frequency**2).sum(2)).max(1)[material]
    mean = room.materials.colours.mean(1).T[:, material]
    own = mean + (own - mean) / (1 + (2 * rate * width) ** 2)

    sunny, towards, _ = lit(room, points, normal)
    brightness = np.full(len(hit), AMBIENT)
    brightness[sunny] += scene.sun * towards
    haze = 1 - np.exp(-distance / _HAZE)
    seen = np.minimum(own * brightness, 1.0)
    colour[:, solid] = seen + haze * (scene.sky[0][:, None] - seen)
    return colour


def _void_borders(classes: np.ndarray, objects: np.ndarray) -> np.ndarray:
    """Return `classes` (H, W) with void wherever the pixel to the right or below is of another
    object, so that borders are one pixel wide."""
    border = np.zeros(objects.shape, dtype=bool)
    border[:, :-1] |= objects[:, 1:] != objects[:, :-1]
    border[:-1] |= objects[1:] != objects[:-1]
    return np.where(border, VOID, classes).astype(np.uint8)


def render(scene: OutdoorScene, image_size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return a scene's image (H, W, 3) uint8 and mask (H, W) uint8 of ids of CLASSES and 255.

    The shorter side has `image_size` pixels. The longer side spans the field of view of the rooms.
    The mask is exact at the pixel centres, the colour the mean of 2 x 2 rays a pixel.
    """
    room = scene.room
    long = round(image_size * scene.ratio)
    height, width = (long, image_size) if scene.portrait else (image_size, long)
    focal = long / 2 / math.tan(FIELD_OF_VIEW / 2)
    axes = camera_axes(room.heading, room.pitch)

    def directions(samples: int) -> np.ndarray:
        x, y = pixel_rays(long, samples)
        inside = (x < width) & (y < height)
        x, y = (x[inside] - width / 2) / focal, (y[inside] - height / 2) / focal
        # Element by element: a matrix product may round differently with the number of threads.
        return axes[0][:, None] * x + axes[1][:, None] * y + axes[2][:, None]

    colour = _shade(scene, directions(_SUPERSAMPLING), 1 / focal)
    colour = colour.reshape(3, height, width, -1).mean(-1).transpose(1, 2, 0)
    _, hit = cast(room, room.eye, directions(1))
    # Ground and sky are one object, the background.
    owner = np.concatenate([np.zeros(N_SURFACES, dtype=int), room.primitives.owner + 1])
    objects = owner[hit].reshape(height, width)
    classes = np.concatenate([[0], room.object_class])[objects]
    return np.rint(colour * 255).astype(np.uint8), _void_borders(classes, objects)


class OutdoorWorld(NumberedWorld):
    """The images of one world; `image_size` is the shorter side."""

    classes = CLASSES
    name = "outdoor world"
    separator = "_"
    stream = (1,)

    def lists(self) -> dict[str, list[str]]:
        """Return the ids by split."""
        return {split: self.ids(split) for split in SPLITS}

    def scene(self, image_id: str) -> OutdoorScene:
        """Return what an image shows; DataError if there is no such image."""
        return draw_scene(self.generator(image_id))

    def labelled(self, image_id: str) -> tuple[str, np.ndarray, np.ndarray]:
        """Return an id with its image (H, W, 3) and mask (H, W)."""
        return image_id, *render(self.scene(image_id), self.image_size)
