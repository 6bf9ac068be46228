"""Taskonomy's files (Zamir et al. 2018): `point_<p>_view_<v>_domain_<domain>.png` and JSON.

Files may lie in one folder, in one per domain, in one per building, or both ways nested; folders
named after domains are skipped, what is left names the building. An image id is
`<building>/point_<p>_view_<v>`, without the building where files lie flat.

Splits: with `val_buildings` (and `train_buildings`, all others by default), whole buildings.
Without, the share `val_fraction` of the points, by a hash of their names: views of one point show
the same place and stay together. Views of other points of the building may still show it too; only
splits by building are free of that. `val_images` takes a number of images in the same way, as the
paper's 2,090 of the 12,138 of building hanson: points in the order of the hash, the last of which
is divided where the number falls inside it.

Published domains become labels (`View.official`) in the units of `taskrsa.tasks.labels`; nan marks
invalid values of maps, -1 invalid ids. Published normals point in x right, y down, z forward, as a
View's do. World coordinates have z up; the ranges of the room's cuboid are published with the
names of the world's x and y exchanged (checked against depth). Layout and vanishing points follow
the axes of the simulated world: right, down, forward; forward is the horizontal axis of the room
nearest to the viewing direction.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from taskrsa.data.images import (
    check_size,
    read_image,
    read_levels,
    read_photograph,
    resize_depth,
    resize_majority,
    resize_mean,
    resize_normal,
    resize_rgb,
)
from taskrsa.data.view import Camera, SourceInfo, View
from taskrsa.errors import ConfigError, DataError
from taskrsa.tasks import labels

log = logging.getLogger(__name__)

NO_DEPTH = 65535
CLASSES = (
    "background", "bottle", "chair", "couch", "potted plant", "bed", "dining table", "toilet",
    "tv", "microwave", "oven", "toaster", "sink", "refrigerator", "book", "clock", "vase",
)  # fmt: skip

_NAME = re.compile(r"point_(\w+?)_view_(\w+?)_domain_(\w+)\.(png|json|npy)")
_ALIASES = {
    "semantic": "segment_semantic",
    "segmentsemantic": "segment_semantic",
    "fixatedpose": "point_info",
    "curvature": "principal_curvature",
    "class_places": "class_scene",
}
_DOMAINS = (
    "rgb", "depth_zbuffer", "depth_euclidean", "normal", "principal_curvature", "reshading",
    "edge_texture", "edge_occlusion", "keypoints2d", "keypoints3d", "segment_semantic",
    "segment_unsup2d", "segment_unsup25d", "point_info", "class_object", "class_scene",
)  # fmt: skip
_LEVELS = {  # domain: task, whether it needs a known depth
    "edge_texture": ("edge2d", False),
    "keypoints2d": ("keypoint2d", False),
    "edge_occlusion": ("edge3d", True),
    "keypoints3d": ("keypoint3d", True),
}
_IDS = {"segment_unsup2d": "segment2d", "segment_unsup25d": "segment25d"}
_CLASSES = {"class_object": "class_1000", "class_scene": "class_places"}


def _index(path: str | Path) -> dict[str, dict[str, Path]]:
    """Return the file of every image id and domain."""
    root = Path(path)
    if not root.is_dir():
        raise DataError(f"{path}: no such folder; set the option path to Taskonomy's files")
    skipped = {*_DOMAINS, *_ALIASES, "points", "taskonomy"}
    found: dict[str, dict[str, Path]] = {}
    for folder, folders, names in os.walk(root):
        folders.sort()
        building = "_".join(
            part for part in Path(folder).relative_to(root).parts if part not in skipped
        )
        for name in sorted(names):
            match = _NAME.fullmatch(name)
            if not match:
                continue
            point, view, domain, _ = match.groups()
            domain = _ALIASES.get(domain, domain)
            if domain not in _DOMAINS:
                continue
            image_id = f"{building}/point_{point}_view_{view}".lstrip("/")
            file = Path(folder, name)
            other = found.setdefault(image_id, {}).setdefault(domain, file)
            if other != file:
                raise DataError(
                    f"{file} and {other} are both {domain} of image {image_id}; remove one"
                )
    return found


def files(path: str | Path) -> list[str]:
    """Return the files under `path` that this source reads, sorted."""
    return sorted(str(file) for domains in _index(path).values() for file in domains.values())


def _matrix(euler: Sequence[float]) -> np.ndarray:
    """Return the rotation about the fixed axes x, then y, then z."""
    (sx, sy, sz), (cx, cy, cz) = np.sin(euler), np.cos(euler)
    about_x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_z = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    return about_z @ about_y @ about_x


def room_in_camera(info: dict) -> tuple[np.ndarray, np.ndarray]:
    """Return layout (9,) and vanishing points (9,) of a point_info record, as a View holds them
    (see `taskrsa.data.simulated`); KeyError, TypeError or ValueError if an entry cannot be used."""
    # Blender's camera looks along -z with y up; a view's looks along z with y down.
    to_camera = np.diag([1.0, -1.0, -1.0]) @ _matrix(info["camera_rotation_final"]).T
    ranges = np.array([info["bounding_box_ranges"][name] for name in "yxz"], float)
    centre = to_camera @ (ranges.mean(1) - np.array(info["camera_location"], float))
    extent = ranges[:, 1] - ranges[:, 0]

    axis = int(np.argmax(np.abs(to_camera[2, :2])))
    forward = to_camera[:, axis] * np.sign(to_camera[2, axis])
    down = -to_camera[:, 2]
    right = np.cross(down, forward)
    pitch = math.atan2(down[2], down[1])
    yaw = math.atan2(-forward[0], right[0])
    size = extent[1 - axis], extent[2], extent[axis]
    layout = np.array([*centre, *size, math.cos(yaw), math.sin(yaw), pitch], np.float32)
    return layout, np.concatenate([right, down, forward]).astype(np.float32)


def _hash(image_id: str) -> int:
    """Return 64 bits that depend on the point of an image alone."""
    return int.from_bytes(hashlib.sha256(_point(image_id).encode()).digest()[:8], "big")


def _point(image_id: str) -> str:
    """Return the building and point of an image: views of one point show the same place."""
    return image_id.rpartition("_view_")[0]


class _Domains:
    """The published maps of one image, which must have the size of its photograph."""

    def __init__(self, files: dict[str, Path], height: int, width: int) -> None:
        self.files, self.shape = files, (height, width)

    def read(self, domain: str, reader: Callable = read_levels) -> np.ndarray:
        values = reader(self.files[domain])
        check_size(self.files[domain], values, *self.shape, self.files["rgb"].name)
        return values

    def rgb_map(self, domain: str) -> np.ndarray:
        pixels = self.read(domain, read_image)
        if pixels.ndim != 3 or pixels.dtype != np.uint8:
            raise DataError(f"{self.files[domain]}: must be an 8-bit RGB image; download it again")
        return pixels[..., :3]


class Taskonomy:
    """A `taskrsa.data.view.Source` over a folder of Taskonomy's files.

    Parameters
    ----------
    path : folder
    image_size : side of the views, pixels; published images are 512
    train_buildings, val_buildings : names of building folders
    val_fraction : share of the points to validate on, where no `val_buildings` are given
    val_images : number of images to validate on, instead of a share
    domains : which domains to read beside rgb; None for all. An empty list suffices for stimuli.

    Raises
    ------
    ConfigError
        If an option cannot be used.
    DataError
        If the folder is missing, holds no photographs or two files for one domain of an image.
    """

    def __init__(
        self,
        path: str | Path,
        image_size: int = 256,
        train_buildings: Sequence[str] | None = None,
        val_buildings: Sequence[str] | None = None,
        val_fraction: float = 0.1,
        val_images: int | None = None,
        domains: Sequence[str] | None = None,
    ) -> None:
        self.path = Path(path)
        self.size = image_size
        if not 0 <= val_fraction < 1:
            raise ConfigError(f"val_fraction is {val_fraction!r}; give a share from 0 to below 1")
        for domain in domains or ():
            if domain not in _DOMAINS:
                raise ConfigError(f"domains: no domain {domain!r}; choose of {', '.join(_DOMAINS)}")
        wanted = set(_DOMAINS if domains is None else domains) | {"rgb"}
        self._files = {
            image_id: {domain: file for domain, file in found.items() if domain in wanted}
            for image_id, found in _index(path).items()
            if "rgb" in found
        }
        if not self._files:
            raise DataError(f"{path}: no files point_*_view_*_domain_rgb.png; check the folder")
        self.info = SourceInfo(semantic_classes=CLASSES, object_classes=CLASSES[1:])
        self._split = self._splits(train_buildings, val_buildings, val_fraction, val_images)
        self._told: set[str] = set()

    def _splits(
        self,
        train: Sequence[str] | None,
        val: Sequence[str] | None,
        fraction: float,
        n_val: int | None,
    ) -> dict[str, str | None]:
        buildings = {image_id.rpartition("/")[0] for image_id in self._files}
        for option, names in (("train_buildings", train), ("val_buildings", val)):
            for name in names or ():
                if name not in buildings:
                    raise ConfigError(
                        f"{option}: no building {name!r} under {self.path}; there are: "
                        f"{', '.join(sorted(filter(None, buildings))) or 'files without building'}"
                    )
        both = set(train or ()) & set(val or ())
        if both:
            raise ConfigError(f"building {min(both)} is in train_buildings and val_buildings")

        used = [i for i in self._files if train is None or i.rpartition("/")[0] in train]
        if n_val is not None and (val or not 0 < n_val < len(used)):
            reason = "val_buildings are given" if val else f"there are {len(used)} images"
            raise ConfigError(f"val_images is {n_val}, but {reason}; leave one of them out")
        chosen = set(sorted(used, key=lambda i: (_hash(i), i))[: n_val or 0])

        def split(image_id: str) -> str | None:
            building = image_id.rpartition("/")[0]
            if val and building in val:
                return "val"
            if train is not None and building not in train:
                return None
            if val:
                return "train"
            if n_val is not None:
                return "val" if image_id in chosen else "train"
            return "val" if _hash(image_id) < fraction * 2**64 else "train"

        return {image_id: split(image_id) for image_id in sorted(self._files)}

    def ids(self, split: str) -> list[str]:
        """Return the image ids of "train" or "val", sorted."""
        return [image_id for image_id, name in self._split.items() if name == split]

    def view(self, image_id: str) -> View:
        """Return one view with every published domain that is there; errors as of `Source`."""
        found = self._files[image_id]
        full = read_photograph(found["rgb"])
        domains = _Domains(found, *full.shape[:2])
        parts, official = {}, {}
        if "point_info" in found:
            parts |= self._record(found["point_info"], *full.shape[:2])
        known = self._add_depth(domains, parts, official)
        self._add_surface(domains, known, parts, official)
        for domain, (task, in_space) in _LEVELS.items():
            if domain in found:
                values = labels.from_level(task, domains.read(domain)).astype(np.float32)
                valid = known if in_space else np.ones_like(known)
                official[task] = self._map(values[None], valid)
        for domain, task in _IDS.items():
            if domain in found:
                ids, _ = resize_majority(domains.read(domain), np.ones_like(known), self.size)
                official[task] = ids
        for domain, task in _CLASSES.items():
            if domain in found:
                official[task] = self._shares(found[domain])
        if "segment_semantic" in found:
            pixels = domains.read("segment_semantic", read_image)
            semantic = self._semantic(found["segment_semantic"], pixels)
            if semantic is not None:
                parts["semantic"] = semantic
        return View(
            image_id=image_id,
            rgb=resize_rgb(full, self.size),
            official=official,
            group=_point(image_id),
            **parts,
        )

    def _add_depth(self, domains: _Domains, parts: dict, official: dict) -> np.ndarray:
        """Add what depth and distance give; return where depth is known, (H, W) bool."""
        known = np.ones(domains.shape, bool)
        if "depth_zbuffer" in domains.files:
            depth, known = self._metres(domains.read("depth_zbuffer"))
            parts["depth"] = resize_depth(depth, self.size)
            official["rgb2depth"] = self._map(labels.log_depth(depth)[None], known)
        if "depth_euclidean" in domains.files:
            metres, measured = self._metres(domains.read("depth_euclidean"))
            official["rgb2mist"] = self._map(labels.log_depth(metres)[None], measured)
        return known

    def _add_surface(
        self, domains: _Domains, known: np.ndarray, parts: dict, official: dict
    ) -> None:
        """Add what normals, curvature and reshading give."""
        if "normal" in domains.files:
            pixels = domains.rgb_map("normal")
            # Where nothing was hit the published normal is grey.
            void = (pixels == 128).all(-1) | (pixels == 127).all(-1)
            vectors = np.where(void[..., None], np.nan, pixels.astype(np.float32) / 127.5 - 1)
            vectors /= np.linalg.norm(vectors, axis=-1, keepdims=True)
            parts["normal"] = resize_normal(vectors, self.size)
        if "principal_curvature" in domains.files:
            pixels = domains.rgb_map("principal_curvature")
            both = np.moveaxis(pixels[..., :2].astype(np.float32), -1, 0)
            hit = known & (both > 0).any(0)
            official["curvature"] = self._map(labels.curvature_from_level(both), hit)
        if "reshading" in domains.files:
            pixels = domains.read("reshading", read_image)
            grey = pixels[..., 0] if pixels.ndim == 3 else pixels
            official["reshade"] = self._map(grey[None].astype(np.float32) / 255, known)

    def _map(self, values: np.ndarray, valid: np.ndarray) -> np.ndarray:
        """Return a published map (C, H, W) at the working size; nan where invalid."""
        values, known = resize_mean(values, valid, self.size)
        return np.where(known, values, np.nan).astype(np.float32)

    @staticmethod
    def _metres(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        known = (values > 0) & (values != NO_DEPTH)
        return np.where(known, values / labels.DEPTH_UNIT, np.nan).astype(np.float32), known

    @staticmethod
    def _shares(file: Path) -> np.ndarray:
        """Return a published distribution over classes, (K,); logits are turned into shares."""
        try:
            values = np.load(file, allow_pickle=False).astype(np.float64).ravel()
        except (OSError, ValueError, EOFError) as error:
            raise DataError(f"{file}: cannot be read ({error}); download it again") from None
        if values.min() < 0 or not math.isclose(values.sum(), 1, abs_tol=0.01):
            values = np.exp(values - values.max())
        return (values / values.sum()).astype(np.float32)

    def _semantic(self, file: Path, pixels: np.ndarray) -> np.ndarray | None:
        if pixels.ndim == 3:
            if "semantic" not in self._told:
                self._told.add("semantic")
                log.warning(
                    "%s: is colour coded, which cannot be turned into the 17 classes; semantic "
                    "labels are left out (segment_semantic holds ids)",
                    file,
                )
            return None
        if pixels.max() > len(CLASSES):
            raise DataError(
                f"{file}: holds class {pixels.max()}, above {len(CLASSES)}; download it again"
            )
        ids, _ = resize_majority(pixels.astype(np.int16), pixels > 0, self.size)
        return ids

    def _record(self, file: Path, height: int, width: int) -> dict[str, object]:
        try:
            info = json.loads(file.read_text())
        except (OSError, ValueError) as error:
            raise DataError(f"{file}: is not valid JSON ({error}); download it again") from None
        try:
            focal = width / 2 / math.tan(info["field_of_view_rads"] / 2)
            camera = Camera(focal, focal, width / 2, height / 2)
            parts = {"camera": camera.resized(self.size / width, self.size / height)}
            if info.get("bounding_box_ranges") is not None:
                layout, vanishing = room_in_camera(info)
                parts |= {"layout": layout, "vanishing_points": vanishing}
        except KeyError as error:
            raise DataError(f"{file}: has no entry {error}; download it again") from None
        except (TypeError, ValueError, IndexError, ZeroDivisionError) as error:
            raise DataError(f"{file}: has an unusable entry ({error}); download it again") from None
        return parts


open_source = Taskonomy
