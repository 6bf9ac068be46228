"""Depth, rays and normals of a view. Camera coordinates: x right, y down, z forward."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy import ndimage

from taskrsa.data.view import Camera, View

LUMINANCE = np.array([0.299, 0.587, 0.114], np.float32)
GUIDE_EPS = 0.1**2  # variance of luminance below which the guided filter averages
GUIDE_PASSES = 2  # one leaves steps of 4 cm visible in normals and curvature
EDGE_JUMP = 0.02  # neighbouring steps of inverse depth that differ by more straddle an edge


def luminance(rgb: np.ndarray) -> np.ndarray:
    """Return luminance in [0, 1], (H, W) float32, of an (H, W, 3) uint8 photograph."""
    return rgb.astype(np.float32) @ (LUMINANCE / 255)


def ray_slopes(camera: Camera, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Return x / z, (1, W), and y / z, (H, 1), of the rays through the pixel centres."""
    x = (np.arange(width, dtype=np.float32) + 0.5 - camera.cx) / camera.fx
    y = (np.arange(height, dtype=np.float32) + 0.5 - camera.cy) / camera.fy
    return x[None, :], y[:, None]


def distance(depth: np.ndarray, camera: Camera) -> np.ndarray:
    """Return the distance from the camera, metres, for depth along z, metres: (H, W)."""
    x, y = ray_slopes(camera, *depth.shape)
    return depth * np.sqrt(1 + x**2 + y**2)


def _box(values: np.ndarray, radius: int) -> np.ndarray:
    return ndimage.uniform_filter(values, 2 * radius + 1, mode="constant")


def smooth_depth(depth: np.ndarray, rgb: np.ndarray) -> np.ndarray:
    """Remove the steps of a coarsely stored depth map, (H, W) metres, nan where unknown.

    A guided filter (He, Sun & Tang 2010) of log depth over the known pixels, guided by the
    luminance of `rgb`, (H, W, 3) uint8. Returns (H, W) float32 metres; nan where `depth` is.
    """
    radius = max(2, round(depth.shape[0] / 32))
    known = np.isfinite(depth) & (depth > 0)
    margin = GUIDE_PASSES * 2 * radius
    # Point reflection at the border continues a slant; windows cut off there would bend it.
    filled = np.log(fill_nearest(np.where(known, depth, 1), known)).astype(np.float32)
    values = np.pad(filled, margin, "reflect", reflect_type="odd")
    guide = np.pad(luminance(rgb), margin, "reflect")
    weight = np.pad(known.astype(np.float32), margin, "reflect")
    count = np.maximum(_box(weight, radius), 1e-6)
    mean_guide = _box(guide * weight, radius) / count
    variance = _box(guide * guide * weight, radius) / count - mean_guide**2
    for _ in range(GUIDE_PASSES):
        mean_value = _box(values * weight, radius) / count
        covariance = _box(guide * values * weight, radius) / count - mean_guide * mean_value
        slope = covariance / (np.maximum(variance, 0) + GUIDE_EPS)
        offset = mean_value - slope * mean_guide
        values = (_box(slope * weight, radius) * guide + _box(offset * weight, radius)) / count
    inner = values[margin:-margin, margin:-margin]
    return np.where(known, np.exp(inner), np.nan).astype(np.float32)


def fine_depth(view: View) -> View:
    """Return the view with a depth that can be differentiated: smoothed, once, if its steps are
    coarse."""
    if view.depth is None or not view.depth_step:
        return view
    return replace(view, depth=smooth_depth(view.depth, view.rgb), depth_step=0.0)


def _slope(inverse: np.ndarray, axis: int) -> np.ndarray:
    """Return the derivative per pixel; at an edge, or beside unknown pixels, the flatter side's."""
    step = np.diff(inverse, axis=axis)
    shape = list(inverse.shape)
    shape[axis] = 1
    gap = np.full(shape, np.nan, inverse.dtype)
    ahead = np.concatenate([step, gap], axis)
    behind = np.concatenate([gap, step], axis)
    flatter = np.where(np.abs(ahead) < np.abs(behind), ahead, behind)
    flatter = np.where(np.isnan(ahead), behind, np.where(np.isnan(behind), ahead, flatter))
    straddles = np.abs(ahead - behind) > EDGE_JUMP * inverse
    central = (ahead + behind) / 2
    return np.where(straddles | np.isnan(central), flatter, central)


def normals_from_depth(depth: np.ndarray, camera: Camera) -> np.ndarray:
    """Return unit normals facing the camera, (H, W, 3) float32, nan where unknown.

    On a plane, inverse depth is linear in the pixel's coordinates, so that its differences give
    the plane's normal exactly.
    """
    x, y = ray_slopes(camera, *depth.shape)
    with np.errstate(divide="ignore", invalid="ignore"):
        inverse = 1 / np.where(depth > 0, depth, np.nan)
        along_x = _slope(inverse, 1) * camera.fx
        along_y = _slope(inverse, 0) * camera.fy
        # (along_x, along_y, rest) points away: its product with a visible point is 1.
        away = np.stack([along_x, along_y, inverse - x * along_x - y * along_y], -1)
        return (-away / np.linalg.norm(away, axis=-1, keepdims=True)).astype(np.float32)


def fill_nearest(values: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Return `values` (H, W, ...) with each unknown pixel replaced by the nearest known one."""
    if known.all() or not known.any():
        return values
    rows, columns = ndimage.distance_transform_edt(
        ~known, return_distances=False, return_indices=True
    )
    return values[rows, columns]


def principal_curvatures(
    depth: np.ndarray, normal: np.ndarray, camera: Camera
) -> tuple[np.ndarray, np.ndarray]:
    """Return the principal curvatures, 1/metre, each (H, W) float32, nan where unknown.

    Eigenvalues of the shape operator, the larger in magnitude first: the change of the normal per
    metre along the surface, whose tangents are those of the plane through each pixel. Positive
    where the surface bulges towards the camera.
    """
    x, y = ray_slopes(camera, *depth.shape)
    ray = np.stack(np.broadcast_arrays(x, y, np.float32(1)), -1)
    with np.errstate(divide="ignore", invalid="ignore"):
        facing = (normal * ray).sum(-1)
        # Grazing surfaces: keep the tangents finite.
        facing = np.minimum(facing, -0.05)
        slope_x = -depth * normal[..., 0] / (camera.fx * facing)
        slope_y = -depth * normal[..., 1] / (camera.fy * facing)
    tangent_x = ray * slope_x[..., None]
    tangent_y = ray * slope_y[..., None]
    tangent_x[..., 0] += depth / camera.fx
    tangent_y[..., 1] += depth / camera.fy
    turn_y, turn_x = np.gradient(normal, axis=(0, 1))

    def dot(first: np.ndarray, second: np.ndarray) -> np.ndarray:
        return np.einsum("hwk,hwk->hw", first, second)

    e, f, g = dot(tangent_x, tangent_x), dot(tangent_x, tangent_y), dot(tangent_y, tangent_y)
    second_e, second_g = dot(turn_x, tangent_x), dot(turn_y, tangent_y)
    second_f = (dot(turn_x, tangent_y) + dot(turn_y, tangent_x)) / 2
    area = e * g - f * f
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = (second_e * g - 2 * second_f * f + second_g * e) / (2 * area)
        gauss = (second_e * second_g - second_f**2) / area
        spread = np.sqrt(np.maximum(mean**2 - gauss, 0))
    sign = np.where(mean < 0, -1, 1)
    first, second = mean + sign * spread, mean - sign * spread
    return first.astype(np.float32), second.astype(np.float32)


def window_mean(values: np.ndarray, half: np.ndarray) -> np.ndarray:
    """Return the mean of `values` (C, H, W) in each pixel's square window, cut at the border, of
    half-width `half` (H, W) whole pixels."""
    height, width = values.shape[1:]
    sums = np.zeros((len(values), height + 1, width + 1))
    sums[:, 1:, 1:] = values.cumsum(1, dtype=np.float64).cumsum(2)
    rows, columns = np.arange(height)[:, None], np.arange(width)[None, :]
    top, bottom = np.maximum(rows - half, 0), np.minimum(rows + half + 1, height)
    left, right = np.maximum(columns - half, 0), np.minimum(columns + half + 1, width)
    flat = sums.reshape(len(values), -1)
    stride = width + 1

    def at(row: np.ndarray, column: np.ndarray) -> np.ndarray:
        return flat.take(row * stride + column, axis=1)

    total = at(bottom, right) - at(top, right) - at(bottom, left) + at(top, left)
    return total / ((bottom - top) * (right - left))
