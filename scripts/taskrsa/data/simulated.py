"""The simulated world: furnished rooms, ray-cast with NumPy, with exact labels of every kind.

A source for trying the whole workflow without any download. The world is designed, so it shows
that the pipeline works; it says nothing about real photographs.

Each view is a function of the seed and the image id alone, in any order and any process. The
image size changes only where the scene is sampled: the scene and the camera stay the same.

Classes
    Semantic ids 1-3 are wall, floor, ceiling, then the ten object classes; 0 never occurs.
    Instances 1-4 are the walls, 5 the floor, 6 the ceiling, 7 and on the objects.

Room axes
    A cuboid has no front: turned by a quarter it is the same room. The room's *forward* axis is
    the horizontal one nearest to the viewing direction, *down* is vertical and *right* completes
    the right-handed frame; of the 24 ways to name the axes it is the one nearest to the camera's
    own. With yaw t (camera turned right of forward, -45 to 45 degrees) and pitch p (camera
    looking down), in camera coordinates:

    - right   = ( cos t, -sin p sin t, cos p sin t)
    - down    = ( 0,      cos p,       sin p)
    - forward = (-sin t, -sin p cos t, cos p cos t)

    They change steadily with the camera except where t jumps between 45 and -45 degrees, which
    no convention can avoid.

`View.layout`
    (9,): the room's centre in camera coordinates (3, metres), its size along right, down and
    forward (3, metres), and cos t, sin t, p in radians.

`View.vanishing_points`
    (9,): right, down, forward as above.
"""

from __future__ import annotations

import math

import numpy as np

from taskrsa.data.view import Camera, SourceInfo, View
from taskrsa.worlds.numbered import NumberedWorld
from taskrsa.worlds.render import cast, normals, pixel_rays, shade
from taskrsa.worlds.scene import (
    FIELD_OF_VIEW,
    N_SURFACES,
    OBJECT_CLASSES,
    ROOMS,
    SURFACE_CLASSES,
    SURFACE_SEMANTIC,
    Scene,
    camera_axes,
    draw_scene,
)

_SUPERSAMPLING = 2  # rays per pixel and direction, for the colour only


class SimulatedWorld(NumberedWorld):
    """A source of procedural rooms (see the module's text for classes and conventions).

    Parameters and errors are those of `NumberedWorld`; images are squares of `image_size` pixels.
    """

    def __init__(
        self, image_size: int = 64, n_train: int = 2048, n_val: int = 256, seed: int = 0
    ) -> None:
        super().__init__(image_size, n_train, n_val, seed)
        focal = self.image_size / 2 / math.tan(FIELD_OF_VIEW / 2)
        middle = self.image_size / 2
        self.camera = Camera(focal, focal, middle, middle)
        self.info = SourceInfo(
            semantic_classes=(*SURFACE_CLASSES, *OBJECT_CLASSES),
            object_classes=OBJECT_CLASSES,
            scene_classes=ROOMS,
        )
        self._centres = self._directions(1)
        self._samples = self._directions(_SUPERSAMPLING)

    def _directions(self, samples: int) -> np.ndarray:
        """Return rays (3, N) in camera coordinates with z = 1, so that their reach is the depth."""
        x, y = pixel_rays(self.image_size, samples)
        camera = self.camera
        return np.stack([(x - camera.cx) / camera.fx, (y - camera.cy) / camera.fy, np.ones(len(x))])

    def scene(self, image_id: str) -> Scene:
        """Return the room, objects, light and camera behind one view."""
        return draw_scene(self.generator(image_id))

    def view(self, image_id: str) -> View:
        """Return one view with all its labels, exact at the pixel centres.

        The colour is the mean of 2 x 2 rays a pixel. Normals face the camera: their product with
        the ray to the pixel is negative. Off the optical axis that allows z above 0, as on a
        ceiling seen by a camera that looks down.
        """
        scene = self.scene(image_id)
        size = self.image_size
        axes = camera_axes(scene.heading, scene.pitch)

        rays = _to_world(axes, self._samples)
        colour = shade(scene, scene.eye, rays, *cast(scene, scene.eye, rays))
        colour = colour.reshape(3, size, size, -1).mean(-1).transpose(1, 2, 0)

        rays = _to_world(axes, self._centres)
        depth, hit = cast(scene, scene.eye, rays)
        normal = normals(scene, scene.eye, rays, hit)
        normal = axes[:, :1] * normal[0] + axes[:, 1:2] * normal[1] + axes[:, 2:] * normal[2]

        owner = scene.primitives.owner
        instance = np.concatenate([np.arange(N_SURFACES), N_SURFACES + owner]) + 1
        first = len(SURFACE_CLASSES) + 1
        semantic = np.concatenate([SURFACE_SEMANTIC, first + scene.object_class[owner]])
        layout, vanishing = _room_geometry(scene, axes)
        return View(
            image_id=image_id,
            rgb=np.rint(colour * 255).astype(np.uint8),
            camera=self.camera,
            depth=depth.reshape(size, size).astype(np.float32),
            normal=np.ascontiguousarray(normal.T.reshape(size, size, 3), dtype=np.float32),
            semantic=semantic[hit].reshape(size, size).astype(np.int16),
            instances=instance[hit].reshape(size, size).astype(np.int32),
            scene_class=scene.room_class,
            layout=layout,
            vanishing_points=vanishing,
        )


def _to_world(axes: np.ndarray, rays: np.ndarray) -> np.ndarray:
    # Element by element: a matrix product may round differently with the number of threads.
    return axes[0][:, None] * rays[0] + axes[1][:, None] * rays[1] + axes[2][:, None] * rays[2]


def _room_geometry(scene: Scene, axes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the layout (9,) and the vanishing points (9,) as the module's text defines them."""
    quarter = round(scene.heading / (math.pi / 2))
    forward = quarter * math.pi / 2
    yaw = forward - scene.heading
    room = axes @ camera_axes(forward, 0.0).T  # columns: right, down, forward
    x, y, z = scene.size
    size = (y, z, x) if quarter % 2 == 0 else (x, z, y)
    centre = axes @ (np.array([0.0, 0.0, z / 2]) - scene.eye)
    layout = np.array([*centre, *size, math.cos(yaw), math.sin(yaw), scene.pitch])
    return layout.astype(np.float32), room.T.ravel().astype(np.float32)


open_source = SimulatedWorld
