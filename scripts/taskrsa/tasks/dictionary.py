"""The task dictionary: one row per task of the paper (section 5.1; Zamir et al. 2018).

Rows stand in the order of the paper's figures. Types and colours are those of Fig. 4. The loss and
the input preprocessing are those of the public bank.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from taskrsa import extensions
from taskrsa.errors import ConfigError
from taskrsa.tasks.task import Task

# The losses that fit an output, for tasks that are added.
LOSSES_OF = {
    "image": ("l1", "l2"),
    "ids": ("cross_entropy",),
    "embedding": ("metric",),
    "vector": ("l1", "l2"),
    "class": ("soft_cross_entropy",),
}
INPUTS = ("rgb", "lightness", "masked", "noisy")
TYPE_COLOURS = {"2D": "#1f3fd1", "3D": "#149414", "geometric": "#d62020", "semantic": "#c512c5"}


@dataclass(frozen=True)
class BankTask(Task):
    """A task with its names: in the public bank, in figures, in the published affinities."""

    bank_name: str = ""  # name of the task in the public PyTorch bank
    label: str = ""  # name in figures
    type: str = ""  # "2D", "3D", "geometric" or "semantic"
    affinity_name: str | None = None  # None where no affinities were published
    small: bool = False  # one of the paper's 14 small models (section 5.2)

    @property
    def colour(self) -> str:
        return TYPE_COLOURS[self.type]


def _row(
    id: str, bank_name: str, label: str, type: str, output: str, loss: str, **more
) -> BankTask:
    return BankTask(
        id,
        output,
        loss,
        f"taskrsa.tasks.labels:{id}",
        bank_name=bank_name,
        label=label,
        type=type,
        **more,
    )


_ROWS = (
    _row(
        "autoencoder",
        "autoencoding",
        "autoencoding",
        "2D",
        "image",
        "l1",
        affinity_name="autoencoder",
        small=True,
    ),
    _row(
        "colorization",
        "colorization",
        "colorization",
        "2D",
        "ids",
        "cross_entropy",
        input="lightness",
        clip=False,
        quarter=True,
    ),
    _row(
        "denoise",
        "denoising",
        "denoising",
        "2D",
        "image",
        "l1",
        input="noisy",
        affinity_name="denoise",
        small=True,
    ),
    _row(
        "edge2d",
        "edge_texture",
        "2D edges",
        "2D",
        "image",
        "l1",
        affinity_name="edge2d",
        small=True,
    ),
    _row(
        "inpainting_whole",
        "inpainting",
        "inpainting",
        "2D",
        "image",
        "l1",
        input="masked",
        clip=False,
        small=True,
    ),
    _row(
        "keypoint2d",
        "keypoints2d",
        "2D keypoints",
        "2D",
        "image",
        "l1",
        affinity_name="keypoint2d",
        small=True,
    ),
    _row(
        "segment2d",
        "segment_unsup2d",
        "2D segmentation",
        "2D",
        "embedding",
        "metric",
        embedding=64,
        affinity_name="segment2d",
        small=True,
    ),
    _row(
        "curvature",
        "curvature",
        "curvature",
        "3D",
        "image",
        "l2",
        affinity_name="curvature",
        small=True,
    ),
    _row(
        "edge3d",
        "edge_occlusion",
        "occlusion edges",
        "3D",
        "image",
        "l1",
        affinity_name="edge3d",
        small=True,
    ),
    _row(
        "keypoint3d",
        "keypoints3d",
        "3D keypoints",
        "3D",
        "image",
        "l1",
        affinity_name="keypoint3d",
        small=True,
    ),
    _row(
        "reshade",
        "reshading",
        "reshading",
        "3D",
        "image",
        "l1",
        affinity_name="reshade",
        small=True,
    ),
    _row(
        "rgb2depth",
        "depth_zbuffer",
        "z-depth",
        "3D",
        "image",
        "l1",
        affinity_name="rgb2depth",
        small=True,
    ),
    _row(
        "rgb2mist",
        "depth_euclidean",
        "distance",
        "3D",
        "image",
        "l1",
        affinity_name="rgb2mist",
        small=True,
    ),
    _row(
        "rgb2sfnorm",
        "normal",
        "surface normals",
        "3D",
        "image",
        "l1",
        affinity_name="rgb2sfnorm",
        small=True,
    ),
    _row(
        "segment25d",
        "segment_unsup25d",
        "2.5D segmentation",
        "3D",
        "embedding",
        "metric",
        embedding=64,
        affinity_name="segment25d",
        small=True,
    ),
    _row(
        "room_layout",
        "room_layout",
        "room layout",
        "geometric",
        "vector",
        "l2",
        affinity_name="room_layout",
    ),
    _row(
        "vanishing_point",
        "vanishing_point",
        "vanishing point",
        "geometric",
        "vector",
        "l2",
        clip=False,
        affinity_name="vanishing_point_well_defined",
    ),
    _row(
        "class_1000",
        "class_object",
        "object class",
        "semantic",
        "class",
        "soft_cross_entropy",
        clip=False,
        affinity_name="class_1000",
    ),
    _row(
        "class_places",
        "class_scene",
        "scene class",
        "semantic",
        "class",
        "soft_cross_entropy",
        clip=False,
    ),
    _row(
        "segmentsemantic",
        "segment_semantic",
        "semantic segmentation",
        "semantic",
        "ids",
        "cross_entropy",
        clip=False,
        affinity_name="segmentsemantic_rb",
    ),
)

TASKS: dict[str, Task] = {row.id: row for row in _ROWS}


def task(
    id: str, *, label: str, type: str, output: str, loss: str, **more
) -> Callable[[Callable], Callable]:
    """Register the decorated function, from a view and its source's information to a label, as
    the task that predicts it.

    Parameters
    ----------
    id : of letters, digits and _, for it becomes part of the names of files; networks whose name
        starts with random are the untrained ones
    label, type : of figures; a new type gets a colour of its own
    output, loss, more : fields of `taskrsa.tasks.task.Task`

    Raises
    ------
    ConfigError
        If the id is taken or cannot be used, or the output, loss or input is unknown.
    """
    if not id.isidentifier():
        raise ConfigError(f"task {id!r}: an id has letters, digits and _ only; rename it")
    if id.startswith("random"):
        raise ConfigError(f"task {id}: names in random are for untrained networks; rename it")
    if id in TASKS:
        raise ConfigError(f"task {id}: registered twice; give the second another id")

    if more.get("input", "rgb") not in INPUTS:
        raise ConfigError(
            f"task {id}: no input {more['input']!r}; choose one of {', '.join(INPUTS)}"
        )
    if output not in LOSSES_OF:
        raise ConfigError(f"task {id}: no output {output!r}; choose one of {', '.join(LOSSES_OF)}")
    if loss not in LOSSES_OF[output]:
        raise ConfigError(
            f"task {id}: loss {loss!r} does not fit output {output!r}; choose "
            f"{' or '.join(LOSSES_OF[output])}"
        )
    if output == "embedding" and more.get("embedding", 0) < 1:
        raise ConfigError(f"task {id}: has no channels to embed in; set embedding, such as 64")

    def register(derive: Callable) -> Callable:
        where = f"{derive.__module__}:{derive.__qualname__}"
        TASKS[id] = BankTask(id, output, loss, where, label=label, type=type, **more)
        return derive

    return register


extensions.load()
