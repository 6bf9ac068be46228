"""Rooms, furniture, materials, light and camera of the simulated world, drawn from one generator.

World coordinates: x and y horizontal, z up, metres; the room is a cuboid on the floor z = 0 with
its vertical axis through the origin. A scene is the same at every image size.
"""

from __future__ import annotations

import colorsys
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

SURFACE_CLASSES = ("wall", "floor", "ceiling")
# Surfaces of the room: walls at -x, +x, -y, +y, then floor, ceiling.
N_SURFACES = 6
SURFACE_SEMANTIC = (1, 1, 1, 1, 2, 3)

BOX, CYLINDER, ELLIPSOID = range(3)
PLAIN, CHECKER, STRIPES, WAVES = range(4)

LUMINANCE = np.array([0.299, 0.587, 0.114])
MIN_CONTRAST = 0.15  # luminance between the two colours of a texture
FIELD_OF_VIEW = math.radians(70.0)

# Expected number of each object class, in the order of OBJECT_CLASSES, in each kind of room.
_EXPECTED = {
    "bedroom": (0.3, 0.4, 0.0, 1.0, 0.7, 0.4, 0.4, 0.1, 0.0, 0.3),
    "living room": (0.5, 0.3, 1.2, 0.0, 0.5, 0.3, 0.6, 0.1, 0.0, 0.9),
    "dining room": (1.0, 1.4, 0.1, 0.0, 0.4, 0.3, 0.4, 0.0, 0.0, 0.1),
    "office": (1.0, 1.0, 0.1, 0.0, 0.3, 0.8, 0.4, 0.0, 0.0, 0.5),
    "gym": (0.1, 0.3, 0.0, 0.0, 0.0, 0.3, 0.3, 1.5, 0.4, 0.3),
    "storage": (0.3, 0.3, 0.0, 0.0, 0.2, 1.2, 0.0, 0.2, 1.2, 0.1),
}
ROOMS = tuple(_EXPECTED)
# Shorter and longer side and height of the room, (low, high) in metres.
_ROOM_SIZE = {
    "bedroom": ((3.2, 4.2), (3.6, 5.0), (2.4, 2.8)),
    "living room": ((3.8, 5.0), (4.4, 6.0), (2.5, 3.0)),
    "dining room": ((3.2, 4.4), (3.8, 5.2), (2.4, 2.9)),
    "office": ((3.0, 4.2), (3.6, 5.0), (2.4, 2.8)),
    "gym": ((4.2, 5.4), (5.0, 6.6), (2.9, 3.8)),
    "storage": ((2.8, 4.0), (3.4, 4.8), (2.4, 3.0)),
}
_ROOM_HUE = {
    "bedroom": 0.86,
    "living room": 0.11,
    "dining room": 0.0,
    "office": 0.58,
    "gym": 0.30,
    "storage": 0.48,
}
# Typical hue and texture of the main and of the second material of each class.
CLASS_LOOK = {
    "table": ((0.08, STRIPES), (0.06, PLAIN)),
    "chair": ((0.00, PLAIN), (0.10, PLAIN)),
    "sofa": ((0.63, WAVES), (0.15, STRIPES)),
    "bed": ((0.92, CHECKER), (0.55, PLAIN)),
    "lamp": ((0.16, PLAIN), (0.60, PLAIN)),
    "shelf": ((0.45, PLAIN), (0.02, STRIPES)),
    "plant": ((0.33, WAVES), (0.04, PLAIN)),
    "ball": ((0.80, STRIPES), (0.80, STRIPES)),
    "barrel": ((0.72, STRIPES), (0.13, PLAIN)),
    "tv": ((0.53, PLAIN), (0.56, WAVES)),
}
OBJECT_CLASSES = tuple(CLASS_LOOK)
_AGAINST_WALL = {"sofa": 0.8, "bed": 0.9, "lamp": 0.7, "shelf": 0.9, "plant": 0.7, "tv": 0.85}
_MIN_OBJECTS, _MAX_OBJECTS = 3, 8


@dataclass(frozen=True)
class Primitives:
    """Convex solids of all objects: boxes, cylinders and ellipsoids turned about the vertical."""

    kind: np.ndarray  # (P,) BOX, CYLINDER or ELLIPSOID
    centre: np.ndarray  # (P, 3) metres
    half: np.ndarray  # (P, 3) half extents along the solid's own axes, metres
    cosine: np.ndarray  # (P,) of the turn about the vertical
    sine: np.ndarray  # (P,)
    owner: np.ndarray  # (P,) index of the object
    material: np.ndarray  # (P,) index of the material

    @classmethod
    def of(cls, rows: list[tuple]) -> Primitives:
        """Return the solids of rows as from `placed`."""
        table = np.array(rows, dtype=float)
        return cls(
            kind=table[:, 0].astype(int),
            centre=table[:, 1:4],
            half=table[:, 4:7],
            cosine=table[:, 7],
            sine=table[:, 8],
            owner=table[:, 9].astype(int),
            material=table[:, 10].astype(int),
        )


@dataclass(frozen=True)
class Materials:
    """Two-colour solid textures; the pattern is a function of the world position alone."""

    kind: np.ndarray  # (M,) PLAIN, CHECKER, STRIPES or WAVES
    frequency: np.ndarray  # (M, 3, 3) periods per metre along three directions (rows)
    phase: np.ndarray  # (M, 3) periods
    colours: np.ndarray  # (M, 2, 3) RGB in [0, 1]


@dataclass(frozen=True)
class Scene:
    """One room with its objects, its light and the camera that looks at it."""

    room_class: int  # index into ROOMS
    size: np.ndarray  # (3,) metres along x, y, z
    surface_material: np.ndarray  # (6,) index of the material of each surface
    object_class: np.ndarray  # (K,) index into OBJECT_CLASSES
    primitives: Primitives
    materials: Materials
    light: np.ndarray  # (3,) metres
    eye: np.ndarray  # (3,) metres
    heading: float  # radians, from the x axis towards the y axis
    pitch: float  # radians, positive when the camera looks down


def camera_axes(heading: float, pitch: float) -> np.ndarray:
    """Return the camera's right, down and forward axes in world coordinates, as rows (3, 3)."""
    cos_h, sin_h = math.cos(heading), math.sin(heading)
    cos_p, sin_p = math.cos(pitch), math.sin(pitch)
    return np.array(
        [
            [sin_h, -cos_h, 0.0],
            [-sin_p * cos_h, -sin_p * sin_h, -cos_p],
            [cos_p * cos_h, cos_p * sin_h, -sin_p],
        ]
    )


# --------------------------------------------------------------------------------------------------
# Objects: each function returns its solids and the half width and half depth of its footprint.
# Own coordinates: x to the side, y towards the back, z up from the floor.

_Solid = tuple[int, float, float, float, float, float, float, int]
Object = tuple[list[_Solid], float, float]


def _legs(half_x: float, half_y: float, height: float, thick: float, slot: int) -> list[_Solid]:
    return [
        (BOX, sx * (half_x - thick), sy * (half_y - thick), height / 2, thick, thick, height / 2,
         slot)
        for sx in (-1, 1)
        for sy in (-1, 1)
    ]  # fmt: skip


def _table(rng: np.random.Generator) -> Object:
    height = rng.uniform(0.68, 0.8)
    if rng.random() < 0.3:
        radius = rng.uniform(0.45, 0.7)
        return [
            (CYLINDER, 0, 0, height - 0.03, radius, radius, 0.03, 0),
            (CYLINDER, 0, 0, height / 2, 0.06, 0.06, height / 2 - 0.03, 1),
            (CYLINDER, 0, 0, 0.02, radius * 0.5, radius * 0.5, 0.02, 1),
        ], radius, radius  # fmt: skip
    x, y = rng.uniform(0.5, 0.85), rng.uniform(0.35, 0.5)
    top = (BOX, 0, 0, height - 0.03, x, y, 0.03, 0)
    return [top, *_legs(x, y, height - 0.06, 0.035, 1)], x, y


def _chair(rng: np.random.Generator) -> Object:
    x, y = rng.uniform(0.21, 0.26), rng.uniform(0.21, 0.26)
    seat, top = rng.uniform(0.42, 0.48), rng.uniform(0.85, 1.05)
    return [
        (BOX, 0, 0, seat - 0.03, x, y, 0.03, 0),
        (BOX, 0, y - 0.025, (seat + top) / 2, x, 0.025, (top - seat) / 2, 0),
        *_legs(x, y, seat - 0.06, 0.025, 1),
    ], x, y  # fmt: skip


def _sofa(rng: np.random.Generator) -> Object:
    x, y = rng.uniform(0.75, 1.05), rng.uniform(0.4, 0.46)
    seat, back, arm = rng.uniform(0.38, 0.45), rng.uniform(0.75, 0.9), rng.uniform(0.55, 0.65)
    solids = [
        (BOX, 0, 0, seat / 2, x, y, seat / 2, 0),
        (BOX, 0, y - 0.11, (seat + back) / 2, x, 0.11, (back - seat) / 2, 0),
        (BOX, -(x - 0.1), -0.11, (seat + arm) / 2, 0.1, y - 0.11, (arm - seat) / 2, 0),
        (BOX, x - 0.1, -0.11, (seat + arm) / 2, 0.1, y - 0.11, (arm - seat) / 2, 0),
    ]
    cushions = [
        (ELLIPSOID, side * (x - 0.4), y - 0.3, seat + 0.15, 0.2, 0.1, 0.17, 1) for side in (-1, 1)
    ]
    return solids + cushions[: rng.integers(0, 3)], x, y


def _bed(rng: np.random.Generator) -> Object:
    x, y = rng.uniform(0.5, 0.85), rng.uniform(0.98, 1.08)
    frame, top, head = rng.uniform(0.22, 0.3), rng.uniform(0.45, 0.58), rng.uniform(0.85, 1.15)
    solids = [
        (BOX, 0, 0, frame / 2, x, y, frame / 2, 1),
        (BOX, 0, -0.03, (frame + top) / 2, x - 0.02, y - 0.05, (top - frame) / 2, 0),
        (BOX, 0, y - 0.03, head / 2, x, 0.03, head / 2, 1),
    ]
    offsets = (-x / 2, x / 2) if x > 0.65 else (0.0,)
    for offset in offsets:
        solids.append((ELLIPSOID, offset, y - 0.3, top + 0.05, 0.28, 0.18, 0.09, 1))
    return solids, x, y


def _lamp(rng: np.random.Generator) -> Object:
    height, radius = rng.uniform(1.35, 1.75), rng.uniform(0.2, 0.3)
    shade = (CYLINDER, ELLIPSOID)[rng.integers(0, 2)]
    return [
        (CYLINDER, 0, 0, 0.02, 0.16, 0.16, 0.02, 1),
        (CYLINDER, 0, 0, height / 2, 0.025, 0.025, height / 2, 1),
        (shade, 0, 0, height, radius, radius, rng.uniform(0.15, 0.22), 0),
    ], radius, radius  # fmt: skip


def _shelf(rng: np.random.Generator) -> Object:
    x, y, height = rng.uniform(0.4, 0.65), rng.uniform(0.15, 0.2), rng.uniform(1.3, 2.0)
    n = int(rng.integers(3, 5))
    solids = [
        (BOX, -(x - 0.02), 0, height / 2, 0.02, y, height / 2, 0),
        (BOX, x - 0.02, 0, height / 2, 0.02, y, height / 2, 0),
        (BOX, 0, y - 0.01, height / 2, x - 0.04, 0.01, height / 2, 0),
    ]
    step = (height - 0.08) / n
    for i in range(n + 1):
        z = 0.04 + i * step
        solids.append((BOX, 0, -0.01, z, x - 0.04, y - 0.01, 0.02, 0))
        if i < n and rng.random() < 0.75:  # a row of books
            wide = rng.uniform(0.25, 0.9) * (x - 0.06)
            tall = rng.uniform(0.5, 0.85) * (step - 0.04) / 2
            side = rng.uniform(-1, 1) * (x - 0.05 - wide)
            solids.append((BOX, side, 0.02, z + 0.02 + tall, wide, y * 0.7, tall, 1))
    return solids, x, y


def _plant(rng: np.random.Generator) -> Object:
    pot, high = rng.uniform(0.16, 0.24), rng.uniform(0.25, 0.38)
    solids = [(CYLINDER, 0.0, 0.0, high / 2, pot, pot, high / 2, 1)]
    crown, base = rng.uniform(0.28, 0.42), high + rng.uniform(0.05, 0.3)
    solids.append((CYLINDER, 0, 0, (high + base + crown) / 2, 0.03, 0.03, (base + crown) / 2, 1))
    for i in range(int(rng.integers(2, 5))):
        angle, away = rng.uniform(0, 2 * math.pi), rng.uniform(0, 0.25) * crown
        size = crown * rng.uniform(0.55, 0.75)
        z = base + crown * (0.8 + 0.5 * i)
        solids.append((ELLIPSOID, away * math.cos(angle), away * math.sin(angle), z,
                       size, size, size * rng.uniform(0.7, 1.3), 0))  # fmt: skip
    return solids, crown, crown


def _ball(rng: np.random.Generator) -> Object:
    radius = rng.uniform(0.2, 0.45)
    return [(ELLIPSOID, 0, 0, radius, radius, radius, radius, 0)], radius, radius


def _barrel(rng: np.random.Generator) -> Object:
    radius, height = rng.uniform(0.26, 0.38), rng.uniform(0.7, 1.05)
    wide = radius + 0.02
    hoops = [(CYLINDER, 0, 0, height * z, wide, wide, 0.035, 1) for z in (0.1, 0.5, 0.9)]
    return [(CYLINDER, 0, 0, height / 2, radius, radius, height / 2, 0), *hoops], wide, wide


def _tv(rng: np.random.Generator) -> Object:
    x, tall, stand = rng.uniform(0.45, 0.7), rng.uniform(0.27, 0.4), rng.uniform(0.4, 0.6)
    z = stand + 0.1 + tall
    return [
        (BOX, 0, 0, stand / 2, x * 0.9, 0.2, stand / 2, 0),
        (CYLINDER, 0, 0, stand + 0.05, 0.05, 0.05, 0.05, 0),
        (BOX, 0, 0, z, x, 0.035, tall, 0),
        (BOX, 0, -0.036, z, x - 0.05, 0.005, tall - 0.05, 1),
    ], x, 0.2  # fmt: skip


BUILD: dict[str, Callable[[np.random.Generator], Object]] = {
    "table": _table, "chair": _chair, "sofa": _sofa, "bed": _bed, "lamp": _lamp,
    "shelf": _shelf, "plant": _plant, "ball": _ball, "barrel": _barrel, "tv": _tv,
}  # fmt: skip


# --------------------------------------------------------------------------------------------------
# Materials


def two_colours(rng: np.random.Generator, hue: float, saturation: float) -> np.ndarray:
    """Return two colours (2, 3) in [0, 1] whose luminances differ by MIN_CONTRAST or more."""
    gap = rng.uniform(MIN_CONTRAST, 0.5)
    dark = rng.uniform(0.12, 0.88 - gap)
    levels = [dark, dark + gap]
    if rng.random() < 0.5:
        levels.reverse()
    second_hue = hue + (rng.normal(0, 0.03) if rng.random() < 0.7 else rng.uniform(-0.2, 0.2))
    colours = []
    for level, h in zip(levels, (hue, second_hue), strict=True):
        chroma = np.array(colorsys.hsv_to_rgb(h % 1.0, 1.0, 1.0))
        chroma -= chroma @ LUMINANCE  # no luminance of its own: the level is kept exactly
        room = np.where(chroma > 0, (1 - level) / chroma, -level / chroma).min()
        colours.append(level + min(saturation, 0.98 * room) * chroma)
    return np.array(colours)


class MaterialList:
    """Collects materials; `add` returns the index of the new one."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        self.rows: list[tuple] = []  # in the order of the fields of `Materials`

    def add(
        self,
        hue: float | None,
        kind: int | None,
        saturation: float,
        horizontal: bool = False,
        turn: float = 0.0,
        scale: float = 1.0,
    ) -> int:
        """Draw a material; `hue` and `kind` of None are drawn from the whole range.

        `turn` is about the vertical, in radians; `scale` is of the frequency.
        """
        rng = self.rng
        hue = rng.random() if hue is None else hue + rng.normal(0, 0.02)
        if kind is None:
            kind = PLAIN if rng.random() < 0.12 else int(rng.integers(CHECKER, WAVES + 1))
        rate = math.exp(rng.uniform(math.log(1.5), math.log(9.0)))
        if kind == WAVES:
            rows = rng.normal(size=(3, 3))
            if horizontal:
                rows[:, 2] = 0
            rows /= np.linalg.norm(rows, axis=1, keepdims=True)
            rows *= rng.uniform(0.6, 1.4, size=(3, 1))
        elif kind == STRIPES:
            choices = ((1, 0, 0), (0, 1, 0)) if horizontal else ((0, 0, 1), (1, 1, 0), (1, 1, 1))
            rows = np.zeros((3, 3))
            rows[0] = choices[rng.integers(0, len(choices))]
        else:
            rows = np.eye(3)
        c, s = math.cos(turn), math.sin(turn)
        rows = rows @ np.array([[c, s, 0], [-s, c, 0], [0, 0, 1.0]])
        phase = rng.random(3)
        colours = two_colours(rng, hue, saturation * rng.uniform(0.6, 1.4))
        self.rows.append((kind, rate * rows * scale, phase, colours))
        return len(self.rows) - 1

    def add_typical(self, hue: float, kind: int, turn: float, scale: float = 1.0) -> int:
        """Draw a material that has the hue and pattern typical of an object most of the time."""
        typical_kind = kind if self.rng.random() < 0.6 else None
        typical_hue = hue if self.rng.random() < 0.7 else None
        return self.add(typical_hue, typical_kind, 0.5, turn=turn, scale=scale)

    def done(self) -> Materials:
        return Materials(*map(np.array, zip(*self.rows, strict=True)))


def _room_materials(materials: MaterialList, room: str) -> np.ndarray:
    rng = materials.rng

    def hue() -> float | None:
        return _ROOM_HUE[room] if rng.random() < 0.4 else None

    wall = materials.add(hue(), None, 0.18)
    surfaces = [wall] * 4
    if rng.random() < 0.35:  # one wall of another material
        surfaces[rng.integers(0, 4)] = materials.add(hue(), None, 0.18)
    turn = rng.uniform(0, math.pi / 2) if rng.random() < 0.3 else 0.0
    surfaces.append(materials.add(hue(), None, 0.18, horizontal=True, turn=turn))
    kind = None if rng.random() < 0.5 else PLAIN
    surfaces.append(materials.add(None, kind, 0.08, horizontal=True))
    return np.array(surfaces)


# --------------------------------------------------------------------------------------------------
# Placement


@dataclass(frozen=True)
class Footprint:
    x: float
    y: float
    half_x: float
    half_y: float
    turn: float

    def distance(self, x: float, y: float) -> float:
        """Return the distance in metres of a point on the floor, 0 inside."""
        c, s = math.cos(self.turn), math.sin(self.turn)
        dx, dy = x - self.x, y - self.y
        return math.hypot(
            max(abs(c * dx + s * dy) - self.half_x, 0.0),
            max(abs(-s * dx + c * dy) - self.half_y, 0.0),
        )

    def extent(self, ux: float, uy: float) -> float:
        """Return the half extent along a unit direction."""
        c, s = math.cos(self.turn), math.sin(self.turn)
        return self.half_x * abs(c * ux + s * uy) + self.half_y * abs(-s * ux + c * uy)

    def overlaps(self, other: Footprint, gap: float) -> bool:
        """Whether two rectangles come closer than `gap` metres (separating axes)."""
        dx, dy = other.x - self.x, other.y - self.y
        for turn in (self.turn, other.turn):
            for ux, uy in (
                (math.cos(turn), math.sin(turn)),
                (-math.sin(turn), math.cos(turn)),
            ):
                reach = self.extent(ux, uy) + other.extent(ux, uy)
                if abs(dx * ux + dy * uy) > reach + gap:
                    return False
        return True

    def inside(self, size_x: float, size_y: float) -> bool:
        return (
            abs(self.x) + self.extent(1, 0) <= size_x / 2
            and abs(self.y) + self.extent(0, 1) <= size_y / 2
        )


def _draw_classes(rng: np.random.Generator, room: str) -> list[str]:
    expected = np.array(_EXPECTED[room])
    # Stochastic rounding: the mean is exact and the typical object is nearly always there.
    counts = np.floor(expected + rng.random(len(expected))).astype(int)
    names = [name for name, n in zip(OBJECT_CLASSES, counts, strict=True) for _ in range(n)]
    if rng.random() < 0.25:  # a stray object of any class
        names.append(OBJECT_CLASSES[rng.integers(0, len(OBJECT_CLASSES))])
    while len(names) < _MIN_OBJECTS:
        names.append(OBJECT_CLASSES[rng.choice(len(expected), p=expected / expected.sum())])
    # Large furniture first: what is placed late may find no room.
    order = ("bed", "sofa", "table", "shelf", "tv", "barrel", "chair", "plant", "ball", "lamp")
    return sorted(names, key=order.index)[:_MAX_OBJECTS]


def _propose(
    rng: np.random.Generator,
    name: str,
    half: tuple[float, float],
    size: np.ndarray,
    tables: list[Footprint],
) -> Footprint:
    half_x, half_y = half
    if name == "chair" and tables and rng.random() < 0.7:
        table = tables[rng.integers(0, len(tables))]
        side = int(rng.integers(0, 4))
        # The chair's back (its +y) points away from the table.
        turn = table.turn + side * math.pi / 2 + rng.normal(0, 0.15)
        out = table.turn + side * math.pi / 2 + math.pi / 2
        reach = (table.half_y if side % 2 == 0 else table.half_x) + half_y + rng.uniform(0.02, 0.2)
        along = rng.uniform(-0.3, 0.3)
        return Footprint(
            table.x + reach * math.cos(out) - along * math.sin(out),
            table.y + reach * math.sin(out) + along * math.cos(out),
            half_x, half_y, turn,
        )  # fmt: skip
    if rng.random() < _AGAINST_WALL.get(name, 0.0):
        side = int(rng.integers(0, 4))
        turn = side * math.pi / 2
        normal = turn + math.pi / 2  # the back faces the wall in this direction
        across, along = (size[1], size[0]) if side % 2 == 0 else (size[0], size[1])
        reach = across / 2 - half_y - rng.uniform(0.01, 0.12)
        slide = rng.uniform(-1, 1) * max(along / 2 - half_x - 0.02, 0.0)
        x = reach * math.cos(normal) - slide * math.sin(normal)
        y = reach * math.sin(normal) + slide * math.cos(normal)
        return Footprint(x, y, half_x, half_y, turn)
    turn = rng.uniform(0, 2 * math.pi)
    if rng.random() < 0.5:
        turn = round(turn / (math.pi / 2)) * math.pi / 2 + rng.normal(0, 0.08)
    x = rng.uniform(-0.5, 0.5) * (size[0] - 0.6)
    y = rng.uniform(-0.5, 0.5) * (size[1] - 0.6)
    return Footprint(x, y, half_x, half_y, turn)


def _place_camera(
    rng: np.random.Generator, size: np.ndarray, footprints: list[Footprint]
) -> tuple[np.ndarray, float, float]:
    """Return eye, heading and pitch: of a few places free of objects, the one that shows most."""
    best, best_score = None, -math.inf
    for attempt in range(60):
        if attempt >= 12 and best is not None:
            break
        x = rng.uniform(-0.5, 0.5) * (size[0] - 0.5)
        y = rng.uniform(-0.5, 0.5) * (size[1] - 0.5)
        target = footprints[rng.integers(0, len(footprints))]
        heading = math.atan2(target.y - y, target.x - x) + rng.normal(0, 0.2)
        z, tilt = rng.uniform(1.15, 1.7), rng.normal(0, 0.14)
        # On later attempts a crowded room must do with less free space.
        if min(f.distance(x, y) for f in footprints) < (0.45 if attempt < 40 else 0.2):
            continue
        score = 0.0
        for f in footprints:
            away = math.hypot(f.x - x, f.y - y)
            angle = math.remainder(math.atan2(f.y - y, f.x - x) - heading, 2 * math.pi)
            if abs(angle) < 0.6 * FIELD_OF_VIEW:
                near = f.distance(x, y)
                score += min(0.5, max(f.half_x, f.half_y) / away) if near > 0.8 else -0.3
        if score > best_score:
            aim = math.atan2(z - 0.5, max(math.hypot(target.x - x, target.y - y), 1.0))
            pitch = min(max(0.55 * aim + tilt, -0.3), 0.65)
            best, best_score = (np.array([x, y, z]), heading, pitch), score
    if best is None:  # the freest corner, looking at the middle
        corners = [
            (sx * (size[0] / 2 - 0.2), sy * (size[1] / 2 - 0.2)) for sx in (-1, 1) for sy in (-1, 1)
        ]
        x, y = max(corners, key=lambda c: min(f.distance(*c) for f in footprints))
        best = (np.array([x, y, 1.7]), math.atan2(-y, -x), 0.25)
    return best


def placed(solids: list[_Solid], spot: Footprint, owner: int, materials: list[int]) -> list[tuple]:
    """Return an object's solids in the world, one row each, for `Primitives.of`."""
    c, s = math.cos(spot.turn), math.sin(spot.turn)
    rows = []
    for kind, x, y, z, hx, hy, hz, slot in solids:
        wx, wy = spot.x + c * x - s * y, spot.y + s * x + c * y
        rows.append((kind, wx, wy, z, hx, hy, hz, c, s, owner, materials[slot]))
    return rows


def draw_scene(rng: np.random.Generator) -> Scene:
    """Draw a room with 3 to 8 objects (fewer only where they find no room), light and camera."""
    room_class = int(rng.integers(0, len(ROOMS)))
    room = ROOMS[room_class]
    size = np.array([rng.uniform(*limits) for limits in _ROOM_SIZE[room]])
    if rng.random() < 0.5:
        size[[0, 1]] = size[[1, 0]]
    materials = MaterialList(rng)
    surfaces = _room_materials(materials, room)

    footprints: list[Footprint] = []
    tables: list[Footprint] = []
    classes: list[int] = []
    rows: list[tuple] = []
    for name in _draw_classes(rng, room):
        solids, *half = BUILD[name](rng)
        for _ in range(25):
            spot = _propose(rng, name, tuple(half), size, tables)
            if spot.inside(size[0], size[1]) and not any(
                spot.overlaps(other, 0.02) for other in footprints
            ):
                break
        else:
            continue
        footprints.append(spot)
        if name == "table":
            tables.append(spot)
        slots = [materials.add_typical(hue, kind, spot.turn) for hue, kind in CLASS_LOOK[name]]
        rows += placed(solids, spot, len(classes), slots)
        classes.append(OBJECT_CLASSES.index(name))

    x, y = rng.uniform(-0.35, 0.35) * size[0], rng.uniform(-0.35, 0.35) * size[1]
    light = np.array([x, y, size[2] - rng.uniform(0.12, 0.3)])
    eye, heading, pitch = _place_camera(rng, size, footprints)
    return Scene(
        room_class, size, surfaces, np.array(classes), Primitives.of(rows), materials.done(),
        light, eye, heading, pitch,
    )  # fmt: skip
