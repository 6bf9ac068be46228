"""What every source of images yields: one `View` per image."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np


@dataclass(frozen=True)
class Camera:
    """Pinhole intrinsics in pixels of the view they belong to."""

    fx: float
    fy: float
    cx: float
    cy: float

    def resized(self, scale_x: float, scale_y: float) -> Camera:
        """Return the intrinsics after the image is resized (pixel centres at integer + 0.5)."""
        return Camera(self.fx * scale_x, self.fy * scale_y, self.cx * scale_x, self.cy * scale_y)


@dataclass(frozen=True)
class View:
    """One photograph with whatever its source knows about it.

    Camera coordinates: x right, y down, z forward. Everything but `image_id` and `rgb` may be
    None: labels that need a missing part are left out for that source, never invented.
    """

    image_id: str
    rgb: np.ndarray  # (H, W, 3) uint8
    camera: Camera | None = None
    depth: np.ndarray | None = None  # (H, W) float32, metres along z; nan where unknown
    depth_step: float = 0.0  # metres between depth levels; 0 when fine enough to differentiate
    normal: np.ndarray | None = None  # (H, W, 3) float32 unit vectors; normal . ray < 0
    semantic: np.ndarray | None = None  # (H, W) int16 class ids; 0 is uncertain and masked
    instances: np.ndarray | None = None  # (H, W) int32 ids of surfaces and objects
    scene_class: int | None = None  # index into SourceInfo.scene_classes
    layout: np.ndarray | None = None  # (9,) float32 room cuboid: centre, size, rotation
    vanishing_points: np.ndarray | None = None  # (9,) float32: three unit vectors
    official: dict[str, np.ndarray] = field(default_factory=dict)
    """Labels the source publishes itself, by task id, in the units of `taskrsa.tasks.labels`."""
    group: str = ""
    """The scene or clip that it shows, where known: images of one group are not independent."""


@dataclass(frozen=True)
class SourceInfo:
    """What is common to all views of a source."""

    semantic_classes: tuple[str, ...] = ()  # name of id 1, 2, ...; id 0 is uncertain
    object_classes: tuple[str, ...] = ()  # the subset that counts as things, for class_1000
    scene_classes: tuple[str, ...] = ()


class Source(Protocol):
    """A collection of views with named splits."""

    info: SourceInfo

    def ids(self, split: str) -> list[str]:
        """Return the image ids of `split` ("train" or "val") in a fixed order."""

    def view(self, image_id: str) -> View:
        """Return one view at the working size; DataError if a file is missing, truncated, or of
        another size than its image."""
