"""The labels of the 20 tasks, derived from what a view knows (Zamir et al. 2018, supplement).

One function per task, `function(view, info) -> Label`, at the view's resolution. A label that the
source publishes itself (`View.official`) wins over a derived one. The constants were fitted to a
published Taskonomy view, so that derived and published labels have one unit:

============  =====================================================================================
edge2d        Sobel magnitude of luminance smoothed by 3 px (of 512), as the contrast (0-1) of the
              straight edge that would give it; follows edge_texture with r = 0.997
keypoint2d    SURF-like: largest determinant of the Hessian over scales of 2-16 px (of 512)
edge3d        Sobel magnitude of sqrt(z / 128 m): this alone gives edge_occlusion with r = 0.997 and
              slope 1.000; here less what a plane seen at a slant of 76 degrees would give
keypoint3d    NARF-like: how much the normals differ within 0.2 m of surface
reshade       2 n.l / (distance in metres), a lamp at the camera, clipped at 1
curvature     4 grey levels per 1/m around 127, larger magnitude first, standardised as in the bank
rgb2depth     log(1 + v) / log(2^16) with v the z-depth in 1/512 m; rgb2mist: of the distance
rgb2sfnorm    unit normals facing the camera: x right, y down, z forward (the published PNG is
              127.5 + 127.5 n with these signs; normals that point away have all three flipped)
room_layout   centre (3), size along right, down, forward (3), cos and sin of yaw, pitch; lengths
              standardised with the bank's means and deviations, angles divided by the latter
============  =====================================================================================
"""

from __future__ import annotations

import functools
import math
import pkgutil
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from taskrsa import extensions
from taskrsa.data.images import resize_majority, resize_mean
from taskrsa.data.view import SourceInfo, View
from taskrsa.errors import ConfigError, TaskrsaError
from taskrsa.tasks import geometry
from taskrsa.tasks.colour import ab_index

if TYPE_CHECKING:
    from taskrsa.data.pack import Pack
    from taskrsa.tasks.task import Task

REFERENCE_SIZE = 512  # pixels of the published labels; scales in pixels are given for it
DEPTH_UNIT = 512  # published depth levels per metre
DEPTH_LOG = math.log(2**16)
DEPTH_FULL = 128.0  # metres of a full published depth level

EDGE2D_SIGMA = 3.0
KEYPOINT2D_SIGMAS = (2.0, 4.0, 8.0, 12.0, 16.0)
KEYPOINT2D_GAIN = 40.0  # determinant of the Hessian, scale-normalised, to label
SMALLEST_SIGMA = 0.7  # pixels; narrower kernels have no meaning on the grid
EDGE3D_GAIN = 6.0
KEYPOINT3D_WINDOW = 0.2  # metres
KEYPOINT3D_RANGE = (0.05, 0.6)  # root of the normals' spread that becomes 0 and 1
RESHADE_GAIN = 2.0  # metres
CURVATURE_LEVELS = 4.0  # grey levels per 1/m
CURVATURE_MEAN = np.array([123.572, 120.1], np.float32)
CURVATURE_DEVIATION = np.array([31.922, 21.658], np.float32)
SEGMENT2D_SCALE = 150.0  # Felzenszwalb scale for a side of 64 pixels
SEGMENT25D_SCALE = 300.0
SEGMENT25D_WEIGHTS = (0.1, 0.5, 0.7)  # of colour, log distance of planes and normals
NEAREST_PLANE = 0.1  # metres; grazing surfaces come arbitrarily near
LAYOUT_MEAN = np.array([0.00607, -0.01027, 3.13591, 4.08280, 2.77139, 5.62288, 0, 0, 0], np.float32)
LAYOUT_DEVIATION = np.array(
    [0.86695, 0.68792, 2.08051, 2.70350, 1.22692, 3.99178, 0.41838, 0.41838, 0.19627], np.float32
)


class LabelUnavailable(TaskrsaError):
    """A source does not know what a task's label is made of."""


@dataclass(frozen=True)
class Label:
    """One task's label of one view.

    target: "image" (C, H, W) float32; "ids" and "embedding" (H, W) whole numbers; "vector" (K,)
    float32; "class" (K,) float32 shares that sum to 1. valid: (H, W) bool for maps, bool otherwise.
    What stands at invalid places is 0.
    """

    target: np.ndarray
    valid: np.ndarray | bool


LabelFunction = Callable[[View, SourceInfo], Label]


def curvature_from_level(level: np.ndarray) -> np.ndarray:
    """Standardise principal_curvature grey levels (2, ...) as the bank does."""
    shape = (2,) + (1,) * (level.ndim - 1)
    return (level - CURVATURE_MEAN.reshape(shape)) / CURVATURE_DEVIATION.reshape(shape)


def log_depth(metres: np.ndarray) -> np.ndarray:
    """Return log(1 + v) / log(2^16) with v in 1/512 m; nan stays nan."""
    return np.log1p(metres * DEPTH_UNIT) / DEPTH_LOG


_PARTS = {  # what may be missing of a view or its source
    "depth": "depth",
    "camera": "camera",
    "layout": "room layout",
    "vanishing_points": "vanishing points",
    "semantic": "semantic classes",
    "object_classes": "objects",
    "scene_class": "scene class",
    "scene_classes": "scenes",
}


def _need(task: str, view: View, info: SourceInfo, *needed: str) -> None:
    known = vars(view) | {name: names or None for name, names in vars(info).items()}
    missing = [_PARTS[name] for name in needed if known[name] is None]
    if missing:
        raise LabelUnavailable(f"{task}: the source gives no {' and no '.join(missing)}")


def _image(values: np.ndarray) -> Label:
    """Make a label of (C, H, W) values; a pixel with a nan in any channel is invalid."""
    valid = np.isfinite(values).all(0)
    return Label(np.where(valid, values, 0).astype(np.float32), valid)


def _derived_from(*needed: str) -> Callable[[LabelFunction], LabelFunction]:
    """Derive a task's label from parts of a view, its depth one that can be differentiated; the
    source's own label, where it has one, wins."""

    def decorate(function: LabelFunction) -> LabelFunction:
        task = function.__name__

        @functools.wraps(function)
        def label(view: View, info: SourceInfo) -> Label:
            published = view.official.get(task)
            if published is None:
                _need(task, view, info, *needed)
                return function(geometry.fine_depth(view) if "depth" in needed else view, info)
            if published.ndim == 3:
                return _image(published)
            if published.ndim == 2:
                return Label(np.maximum(published, 0), published >= 0)
            return Label(published.astype(np.float32), bool(np.isfinite(published).all()))

        return label

    return decorate


# ------------------------------------------------------------------------------------ 2D tasks


@_derived_from("rgb")
def autoencoder(view: View, info: SourceInfo) -> Label:
    """The photograph itself in [-1, 1], (3, H, W)."""
    scaled = view.rgb.astype(np.float32) * (2 / 255) - 1
    return Label(np.ascontiguousarray(np.moveaxis(scaled, -1, 0)), np.ones(scaled.shape[:2], bool))


@_derived_from("rgb")
def denoise(view: View, info: SourceInfo) -> Label:
    """The photograph without noise in [-1, 1], (3, H, W)."""
    return autoencoder(view, info)


@_derived_from("rgb")
def inpainting_whole(view: View, info: SourceInfo) -> Label:
    """The whole photograph in [-1, 1], (3, H, W)."""
    return autoencoder(view, info)


@_derived_from("rgb")
def colorization(view: View, info: SourceInfo) -> Label:
    """Index of each pixel's CIELAB ab bin, (H, W); bins as in `taskrsa.tasks.colour`."""
    return Label(ab_index(view.rgb), np.ones(view.rgb.shape[:2], bool))


def _sigma(reference: float, height: int) -> float:
    return max(reference * height / REFERENCE_SIZE, SMALLEST_SIGMA)


def _edge2d_gain(sigma: float) -> float:
    # A step of height A, smoothed by sigma, has a slope of A / (sigma sqrt(2 pi)); the difference
    # of neighbours widens sigma^2 by 1/3, and SciPy's Sobel sums eight differences.
    return math.sqrt((sigma**2 + 1 / 3) * 2 * math.pi) / 8


def _sobel(values: np.ndarray) -> np.ndarray:
    return np.hypot(ndimage.sobel(values, 0), ndimage.sobel(values, 1))


_LEVEL_GAINS = {  # from published levels to labels
    "edge2d": _edge2d_gain(EDGE2D_SIGMA),
    "keypoint2d": 65.0,
    "edge3d": EDGE3D_GAIN,
    "keypoint3d": 3.0,
}


def from_level(task: str, level: np.ndarray) -> np.ndarray:
    """Turn the 16-bit levels that Taskonomy publishes of edges and keypoints into label units."""
    value = level / 65535
    if task in ("edge2d", "edge3d"):
        value = value * (4 * math.sqrt(2))  # of SciPy's Sobel magnitude
    return np.minimum(value * _LEVEL_GAINS[task], 1)


@_derived_from("rgb")
def edge2d(view: View, info: SourceInfo) -> Label:
    """Texture edges, (1, H, W): the contrast of the edge through each pixel, in [0, 1]."""
    sigma = _sigma(EDGE2D_SIGMA, len(view.rgb))
    smooth = ndimage.gaussian_filter(geometry.luminance(view.rgb), sigma)
    return _image(np.minimum(_sobel(smooth) * _edge2d_gain(sigma), 1)[None])


@_derived_from("rgb")
def keypoint2d(view: View, info: SourceInfo) -> Label:
    """Blobs of all sizes, (1, H, W): the largest determinant of the Hessian, in [0, 1]."""
    grey = geometry.luminance(view.rgb)
    best = np.zeros_like(grey)
    for sigma in sorted({_sigma(sigma, len(grey)) for sigma in KEYPOINT2D_SIGMAS}):
        smooth = np.pad(ndimage.gaussian_filter(grey, sigma), 1, "symmetric")
        rows, columns = np.diff(smooth, 2, axis=0)[:, 1:-1], np.diff(smooth, 2, axis=1)[1:-1]
        mixed = smooth[2:, 2:] - smooth[2:, :-2] - smooth[:-2, 2:] + smooth[:-2, :-2]
        best = np.maximum(best, sigma**4 * (rows * columns - (mixed / 4) ** 2))
    return _image(np.minimum(best * KEYPOINT2D_GAIN, 1)[None])


def _segments(features: np.ndarray, scale: float) -> np.ndarray:
    from skimage.segmentation import felzenszwalb

    pixels = features.shape[0] * features.shape[1]
    side = math.sqrt(pixels)
    with warnings.catch_warnings():
        # More than three channels are meant.
        warnings.simplefilter("ignore", RuntimeWarning)
        return felzenszwalb(
            features.astype(np.float64),
            scale=scale * math.sqrt(side / 64),
            sigma=0.8 * side / 256,
            min_size=max(4, pixels // 128),
            channel_axis=-1,
        ).astype(np.int32)


@_derived_from("rgb")
def segment2d(view: View, info: SourceInfo) -> Label:
    """Segments of the photograph (Felzenszwalb & Huttenlocher 2004), ids (H, W)."""
    segments = _segments(view.rgb.astype(np.float32) / 255, SEGMENT2D_SCALE)
    return Label(segments, np.ones(segments.shape, bool))


# ------------------------------------------------------------------------------------ 3D tasks


def _normal(view: View) -> np.ndarray:
    """Return the view's normals, or those of its depth, (H, W, 3); nan where unknown."""
    if view.normal is not None:
        return view.normal
    view = geometry.fine_depth(view)
    return geometry.normals_from_depth(view.depth, view.camera)


@_derived_from("depth", "camera")
def segment25d(view: View, info: SourceInfo) -> Label:
    """Segments of colour, depth and normals together, ids (H, W)."""
    normal = _normal(view)
    known = np.isfinite(view.depth) & (view.depth > 0) & np.isfinite(normal).all(-1)
    x, y = geometry.ray_slopes(view.camera, *view.depth.shape)
    # Depth as the distance of each pixel's plane from the camera: one value on a slanted plane,
    # which depth itself would cut into bands.
    offset = -view.depth * (normal[..., 0] * x + normal[..., 1] * y + normal[..., 2])
    offset = np.log(np.where(known, np.maximum(offset, NEAREST_PLANE), 1))[..., None]
    parts = (view.rgb / 255, offset, np.where(known[..., None], normal, 0))
    features = np.concatenate(
        [weight * part for weight, part in zip(SEGMENT25D_WEIGHTS, parts, strict=True)], -1
    )
    segments = _segments(geometry.fill_nearest(features, known), SEGMENT25D_SCALE)
    return Label(np.where(known, segments, 0), known)


@_derived_from("depth")
def rgb2depth(view: View, info: SourceInfo) -> Label:
    """Depth along z, (1, H, W): log(1 + v) / log(2^16), v in 1/512 m."""
    return _image(log_depth(view.depth)[None])


@_derived_from("depth", "camera")
def rgb2mist(view: View, info: SourceInfo) -> Label:
    """Distance from the camera, (1, H, W), in the unit of `rgb2depth`."""
    return _image(log_depth(geometry.distance(view.depth, view.camera))[None])


@_derived_from()
def rgb2sfnorm(view: View, info: SourceInfo) -> Label:
    """Unit normals facing the camera, (3, H, W)."""
    if view.normal is None:
        _need("rgb2sfnorm", view, info, "depth", "camera")
    return _image(np.moveaxis(_normal(view), -1, 0))


@_derived_from("depth", "camera")
def reshade(view: View, info: SourceInfo) -> Label:
    """Shading by a lamp at the camera, (1, H, W) in [0, 1]: 2 n.l / distance in metres."""
    normal = _normal(view)
    x, y = geometry.ray_slopes(view.camera, *view.depth.shape)
    length = np.sqrt(1 + x**2 + y**2)
    towards = -(normal[..., 0] * x + normal[..., 1] * y + normal[..., 2]) / length
    return _image(np.clip(RESHADE_GAIN * towards / (view.depth * length), 0, 1)[None])


@_derived_from("depth", "camera")
def curvature(view: View, info: SourceInfo) -> Label:
    """Principal curvatures, (2, H, W), larger magnitude first, standardised as the bank does."""
    both = geometry.principal_curvatures(view.depth, _normal(view), view.camera)
    levels = np.clip(127 + CURVATURE_LEVELS * np.stack(both), 0, 254)
    return _image(curvature_from_level(levels))


@_derived_from("depth", "camera")
def edge3d(view: View, info: SourceInfo) -> Label:
    """Occlusion edges, (1, H, W) in [0, 1]: the slope of sqrt(depth), as Taskonomy publishes it.

    At small sizes slanted surfaces weigh more than in the published 512 pixels: the slope of a
    plane grows as pixels do, a jump's does not.
    """
    known = np.isfinite(view.depth) & (view.depth > 0)
    root = np.sqrt(geometry.fill_nearest(np.where(known, view.depth, 0), known) / DEPTH_FULL)
    edges = np.minimum(EDGE3D_GAIN * _sobel(root), 1)
    return _image(np.where(known, edges, np.nan)[None])


@_derived_from("depth", "camera")
def keypoint3d(view: View, info: SourceInfo) -> Label:
    """Places where the surface turns, (1, H, W) in [0, 1]."""
    normal = _normal(view)
    known = np.isfinite(normal).all(-1) & np.isfinite(view.depth) & (view.depth > 0)
    depth = np.where(known, view.depth, np.inf)
    pixels = KEYPOINT3D_WINDOW * view.camera.fx / depth
    half = np.clip(np.rint((pixels - 1) / 2), 1, max(1, len(depth) // 12)).astype(int)
    parts = np.concatenate([np.where(known, np.moveaxis(normal, -1, 0), 0), known[None]])
    mean = geometry.window_mean(parts, half)
    length = np.sqrt((mean[:3] ** 2).sum(0)) / np.maximum(mean[3], 1e-6)
    low, high = KEYPOINT3D_RANGE
    spread = np.sqrt(np.maximum(1 - length, 0))
    response = np.clip((spread - low) / (high - low), 0, 1)
    return _image(np.where(known, response, np.nan)[None])


# ---------------------------------------------------------------- geometric and semantic tasks


@_derived_from("layout")
def room_layout(view: View, info: SourceInfo) -> Label:
    """The room's cuboid, (9,): `View.layout`, standardised."""
    return Label(((view.layout - LAYOUT_MEAN) / LAYOUT_DEVIATION).astype(np.float32), True)


@_derived_from("vanishing_points")
def vanishing_point(view: View, info: SourceInfo) -> Label:
    """Three unit vectors, (9,): the room's right, down and forward in camera coordinates."""
    return Label(view.vanishing_points.astype(np.float32), True)


@_derived_from("semantic", "object_classes")
def class_1000(view: View, info: SourceInfo) -> Label:
    """Share of each object class in the visible objects' area, (K,); the largest is dominant.

    Invalid where no object is seen.
    """
    ids = [info.semantic_classes.index(name) + 1 for name in info.object_classes]
    counts = np.bincount(view.semantic.ravel(), minlength=len(info.semantic_classes) + 1)[ids]
    total = counts.sum()
    return Label((counts / max(total, 1)).astype(np.float32), bool(total))


@_derived_from("scene_class", "scene_classes")
def class_places(view: View, info: SourceInfo) -> Label:
    """The scene's class, (K,), one-hot."""
    one_hot = np.zeros(len(info.scene_classes), np.float32)
    one_hot[view.scene_class] = 1
    return Label(one_hot, True)


@_derived_from("semantic")
def segmentsemantic(view: View, info: SourceInfo) -> Label:
    """Class index of every pixel, (H, W): id - 1; id 0 is uncertain and invalid."""
    return Label(np.maximum(view.semantic - 1, 0).astype(np.int16), view.semantic > 0)


# --------------------------------------------------------------------------- over whole sources


def _function(task: Task) -> LabelFunction:
    # It may be a file outside the package, which only this makes importable.
    extensions.load()
    try:
        return pkgutil.resolve_name(task.derive)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(
            f"{task.id}: label function {task.derive!r} cannot be found ({error}); "
            "write it as module:function"
        ) from None


def derive_label(task: Task, view: View, info: SourceInfo, size: int) -> Label:
    """Return one task's label of one view; maps are resampled to size x size.

    Values are averaged over the valid part of each new pixel (normals to unit length again), ids
    chosen by majority; a new pixel is valid if at least half of its area is.

    Raises
    ------
    LabelUnavailable, ConfigError
        If the view lacks what the label is made of, or the label function cannot be found.
    """
    label = _function(task)(view, info)
    if not task.dense or label.target.shape[-2:] == (size, size):
        return label
    if task.output == "image":
        values, valid = resize_mean(label.target, label.valid, size)
        if task.id == "rgb2sfnorm":
            length = np.linalg.norm(values, axis=0)
            valid &= length > 1e-3
            values = np.where(valid, values / np.maximum(length, 1e-3), 0).astype(np.float32)
        return Label(values, valid)
    return Label(*resize_majority(label.target, label.valid, size))


def available_tasks(
    tasks: Iterable[Task], view: View, info: SourceInfo
) -> tuple[list[str], dict[str, str]]:
    """Return the ids of the tasks that a view can label, and why it cannot label each other one."""
    able, reasons = [], {}
    for task in tasks:
        try:
            _function(task)(view, info)
        except LabelUnavailable as error:
            reasons[task.id] = str(error)
        else:
            able.append(task.id)
    return able, reasons


def derive_labels(task: Task, pack: Pack, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Derive one task's labels of all views of a pack, one view at a time.

    Returns
    -------
    targets : (N, C, size, size) float16, (N, size, size) int32 or (N, K) float32
    valid : (N, size, size) or (N,) bool. Where a single view lacks its vector or class, it is
        invalid; a map must be there for every view.

    Raises
    ------
    LabelUnavailable
        If a view lacks the map, or every view the vector or class.
    """
    from tqdm import tqdm

    kinds = {"image": np.float16, "ids": np.int32, "embedding": np.int32}
    targets = valid = refusal = None
    for index, view in enumerate(tqdm(pack, desc=f"{task.id} labels", mininterval=5)):
        try:
            label = derive_label(task, view, pack.info, size)
        except LabelUnavailable as error:
            if task.dense:
                raise LabelUnavailable(f"{error} (image {view.image_id})") from None
            refusal = error
            continue
        if targets is None:
            kind = kinds.get(task.output, np.float32)
            targets = np.zeros((len(pack), *label.target.shape), kind)
            valid = np.zeros((len(pack), *np.shape(label.valid)), bool)
        if label.target.shape != targets.shape[1:]:
            raise LabelUnavailable(
                f"{task.id}: image {view.image_id} has a label of shape {label.target.shape}, "
                f"others of {targets.shape[1:]}"
            )
        targets[index], valid[index] = label.target, label.valid
    if targets is None:
        raise refusal or LabelUnavailable(f"{task.id}: the pack holds no views")
    return targets, valid
