"""Ray casting of a simulated scene: exact hits of convex solids, solid textures, one point light.

Rays of one call share their origin (the eye, or the light for shadows), so every solid is moved
into its own unit space once and tested only against the rays inside its bounding cone.
"""

from __future__ import annotations

import numpy as np

from taskrsa.worlds.scene import (
    BOX,
    CHECKER,
    CYLINDER,
    N_SURFACES,
    PLAIN,
    STRIPES,
    Materials,
    Primitives,
    Scene,
)

AMBIENT = 0.6
_DIFFUSE = 0.75
_FALLOFF = 0.04  # per square metre
_TINY = 1e-12
# The light is stopped only by what lies this share of the way before the point.
_SHADOW_REACH = 1 - 1e-4


def pixel_rays(size: int, samples: int = 1) -> np.ndarray:
    """Return offsets (2, N) in pixels from the top left corner; `samples` squared per pixel.

    Rays are ordered by row, column and then sample, so that `reshape(size, size, samples**2)`
    gathers the samples of a pixel.
    """
    sub = (np.arange(samples) + 0.5) / samples
    y, x, sub_y, sub_x = np.meshgrid(np.arange(size), np.arange(size), sub, sub, indexing="ij")
    return np.stack([(x + sub_x).ravel(), (y + sub_y).ravel()])


def _candidates(origin: np.ndarray, rays: np.ndarray, solids: Primitives) -> np.ndarray:
    """Return (P, N) bool: whether each ray meets the bounding cone of each solid."""
    towards = solids.centre - origin
    distance = np.sqrt((towards**2).sum(1))
    # The circumscribed sphere of a cylinder or box, the largest half axis of an ellipsoid.
    radius = np.where(
        solids.kind == BOX,
        np.sqrt((solids.half**2).sum(1)),
        np.where(
            solids.kind == CYLINDER,
            np.hypot(solids.half[:, :2].max(1), solids.half[:, 2]),
            solids.half.max(1),
        ),
    )
    ratio = np.minimum(radius / distance, 1.0)
    # Single precision is enough with this margin; inside the sphere every ray may hit.
    cosine = np.where(ratio < 1, np.sqrt(1 - ratio**2) - 1e-4, -2.0).astype(np.float32)
    unit = (towards / distance[:, None]).astype(np.float32)
    single = rays.astype(np.float32)
    length = np.sqrt((single * single).sum(0))
    return unit @ single >= cosine[:, None] * length


def _local(solids: Primitives, p: int, vectors: np.ndarray) -> tuple[np.ndarray, ...]:
    """Turn vectors (3, n) into the unit space of solid `p`."""
    c, s = solids.cosine[p], solids.sine[p]
    hx, hy, hz = solids.half[p]
    x, y, z = vectors
    return x * (c / hx) + y * (s / hx), y * (c / hy) - x * (s / hy), z / hz


def _slab(o: np.ndarray | float, d: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Entry and exit of rays into -1 <= coordinate <= 1."""
    inverse = 1.0 / np.where(d == 0, _TINY, d)
    middle, half = -o * inverse, np.abs(inverse)
    return middle - half, middle + half


def _quadric(a: np.ndarray, b: np.ndarray, c: np.ndarray | float) -> tuple[np.ndarray, np.ndarray]:
    """Entry and exit where a t^2 + 2 b t + c <= 0; entry after exit where never."""
    square = b * b - a * c
    root = np.sqrt(np.maximum(square, 0.0))
    a = np.maximum(a, _TINY)
    entry = np.where(square > 0, (-b - root) / a, np.inf)
    return entry, np.where(square > 0, (root - b) / a, -np.inf)


def _parts(kind: int, o: tuple, d: tuple) -> list[tuple[np.ndarray, np.ndarray]]:
    """Entry and exit of rays into the convex sets whose intersection is the unit solid."""
    if kind == BOX:
        return [_slab(o[i], d[i]) for i in range(3)]
    n = 2 if kind == CYLINDER else 3  # dimensions in which it is round
    side = _quadric(_dot(d[:n], d[:n]), _dot(o[:n], d[:n]), _dot(o[:n], o[:n]) - 1)
    return [side, _slab(o[2], d[2])] if kind == CYLINDER else [side]


def _dot(first: tuple, second: tuple) -> np.ndarray:
    return sum(a * b for a, b in zip(first, second, strict=True))


def _entry(kind: int, o: tuple, d: tuple) -> np.ndarray:
    """Return where rays enter the unit solid, in multiples of their direction; inf if never."""
    parts = _parts(kind, o, d)
    enter, leave = parts[0]
    for other_enter, other_leave in parts[1:]:
        enter = np.maximum(enter, other_enter)
        leave = np.minimum(leave, other_leave)
    return np.where((enter < leave) & (enter > 0), enter, np.inf)


def cast(scene: Scene, origin: np.ndarray, rays: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the nearest hit of each ray from an origin inside the room.

    Parameters
    ----------
    origin : (3,) metres, outside all objects
    rays : (3, N) directions of any length

    Returns
    -------
    reach : (N,) multiples of the direction
    hit : (N,) index: 0-5 the room's surfaces, then 6 + the solid's index
    """
    half = scene.size / 2
    offset = origin - np.array([0.0, 0.0, half[2]])
    reach = np.full(rays.shape[1], np.inf)
    hit = np.zeros(rays.shape[1], dtype=np.int64)
    for axis in range(3):
        d = rays[axis]
        positive = d > 0
        t = (np.where(positive, half[axis], -half[axis]) - offset[axis]) / np.where(
            d == 0, _TINY, d
        )
        nearer = (t < reach) & (d != 0)
        reach = np.where(nearer, t, reach)
        hit = np.where(nearer, 2 * axis + positive, hit)
    solids = scene.primitives
    mask = _candidates(origin, rays, solids)
    for p in range(len(solids.kind)):
        index = np.flatnonzero(mask[p])
        if not index.size:
            continue
        o = _local(solids, p, origin - solids.centre[p])
        t = _entry(solids.kind[p], o, _local(solids, p, rays[:, index]))
        nearer = t < reach[index]
        index = index[nearer]
        reach[index] = t[nearer]
        hit[index] = N_SURFACES + p
    return reach, hit


def shadowed(scene: Scene, points: np.ndarray) -> np.ndarray:
    """Return (N,) bool: whether an object stands between the light and each point (3, N)."""
    solids = scene.primitives
    rays = points - scene.light[:, None]
    mask = _candidates(scene.light, rays, solids)
    dark = np.zeros(points.shape[1], dtype=bool)
    for p in range(len(solids.kind)):
        index = np.flatnonzero(mask[p] & ~dark)
        if not index.size:
            continue
        o = _local(solids, p, scene.light - solids.centre[p])
        t = _entry(solids.kind[p], o, _local(solids, p, rays[:, index]))
        dark[index] = t < _SHADOW_REACH
    return dark


def normals(scene: Scene, origin: np.ndarray, rays: np.ndarray, hit: np.ndarray) -> np.ndarray:
    """Return outward unit normals (3, N) in world coordinates at the hits of `cast`."""
    inward = np.zeros((N_SURFACES, 3))
    for surface in range(N_SURFACES):
        inward[surface, surface // 2] = 1 - 2 * (surface % 2)
    normal = inward.T[:, np.minimum(hit, N_SURFACES - 1)]
    solids = scene.primitives
    for p in np.unique(hit[hit >= N_SURFACES]) - N_SURFACES:
        index = np.flatnonzero(hit == N_SURFACES + p)
        o = _local(solids, p, origin - solids.centre[p])
        d = _local(solids, p, rays[:, index])
        kind = solids.kind[p]
        entries = np.stack([entry for entry, _ in _parts(kind, o, d)])
        t = entries.max(0)
        # Gradient in unit space; of a part entered last, which is the face that is seen.
        if kind == BOX:
            last = entries.argmax(0)
            unit = np.stack([np.where(last == i, -np.sign(d[i]), 0.0) for i in range(3)])
        else:
            unit = np.stack([o[i] + t * d[i] for i in range(3)])
            if kind == CYLINDER:
                cap = entries[1] > entries[0]
                unit[:2, cap] = 0
                unit[2] = np.where(cap, -np.sign(d[2]), 0.0)
        gradient = unit / solids.half[p][:, None]
        gradient /= np.sqrt((gradient**2).sum(0))
        c, s = solids.cosine[p], solids.sine[p]
        normal[0, index] = c * gradient[0] - s * gradient[1]
        normal[1, index] = s * gradient[0] + c * gradient[1]
        normal[2, index] = gradient[2]
    return normal


def albedo(materials: Materials, material: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Return the surface colour (3, N) in [0, 1] of `material` (N,) at world points (3, N)."""
    x, y, z = points.astype(np.float32)
    frequency = materials.frequency.reshape(-1, 9).T.astype(np.float32)
    phase = materials.phase.T.astype(np.float32)
    kind = materials.kind[material]
    share = np.zeros(len(material), dtype=np.float32)
    for value in range(PLAIN + 1, 4):
        index = np.flatnonzero(kind == value)
        if not index.size:
            continue
        own = material[index]
        px, py, pz = x[index], y[index], z[index]
        periods = [
            frequency[3 * row][own] * px
            + frequency[3 * row + 1][own] * py
            + frequency[3 * row + 2][own] * pz
            + phase[row][own]
            for row in range(1 if value == STRIPES else 3)
        ]
        if value == CHECKER:  # a period is two cells
            cells = sum(np.floor(2 * u) for u in periods)
            share[index] = cells - 2 * np.floor(cells / 2)
        elif value == STRIPES:
            share[index] = (periods[0] - np.floor(periods[0])) < 0.5
        else:
            wave = sum(np.sin(np.float32(2 * np.pi) * u) for u in periods)
            share[index] = np.clip(0.5 + 0.35 * wave, 0, 1)
    colours = materials.colours.astype(np.float32)
    return np.stack(
        [
            colours[:, 0, i][material] + share * (colours[:, 1, i] - colours[:, 0, i])[material]
            for i in range(3)
        ]
    )


def lit(
    scene: Scene, points: np.ndarray, normal: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return which of the points (3, N) with normals (3, N) the light reaches, and of each of
    these the cosine of its angle and its squared distance in square metres."""
    to_light = scene.light[:, None] - points
    square = (to_light * to_light).sum(0)
    facing = (normal * to_light).sum(0) / np.sqrt(square)
    seen = np.flatnonzero(facing > 0)
    seen = seen[~shadowed(scene, points[:, seen])]
    return seen, facing[seen], square[seen]


def material_at(scene: Scene, hit: np.ndarray) -> np.ndarray:
    """Return the index of the material (N,) at the hits of `cast`."""
    return np.concatenate([scene.surface_material, scene.primitives.material])[hit]


def shade(
    scene: Scene, origin: np.ndarray, rays: np.ndarray, reach: np.ndarray, hit: np.ndarray
) -> np.ndarray:
    """Return the colour (3, N) in [0, 1] seen along each ray: ambient, and the light if seen."""
    points = origin[:, None] + reach * rays
    seen, facing, square = lit(scene, points, normals(scene, origin, rays, hit))
    brightness = np.full(len(reach), AMBIENT)
    brightness[seen] += _DIFFUSE * facing / (1 + _FALLOFF * square)
    colour = albedo(scene.materials, material_at(scene, hit), points)
    return np.minimum(colour * brightness, 1.0)
