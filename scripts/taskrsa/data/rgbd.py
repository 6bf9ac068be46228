"""A folder of photographs with depth and semantic maps, such as an export of NYU Depth v2.

::

    images.csv            columns id and split, and group or scene where these are known
    rgb/<id>.jpg|png      8-bit photographs
    depth/<id>.png        16-bit levels, 0 unknown (optional)
    semantic/<id>.png     8-bit class ids, 0 void (optional)
    camera.json           fx fy cx cy width height depth_unit_m (metres per depth level)

Photographs and depth are resized to a square by the mean over each new pixel's area (depth over its
known part, at least half of it), class ids by the nearest pixel; the camera scales along. Split
"val" is the table's "val" or, where it has none, its "test". Images of one group, or of one scene
(kitchen_0029a and kitchen_0029b are one), are not independent: bootstraps draw them together.

Depth that is stored in coarse steps (`depth_step_m`; 0.04 for NYU Depth v2 as exported in 8 bits)
is handed on with `View.depth_step`: labels and packs smooth it before anything differentiates it.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from taskrsa.data.images import (
    check_size,
    read_levels,
    read_photograph,
    resize_depth,
    resize_nearest,
    resize_rgb,
)
from taskrsa.data.view import Camera, SourceInfo, View
from taskrsa.errors import ConfigError, DataError

NYU40 = (
    "wall", "floor", "cabinet", "bed", "chair", "sofa", "table", "door", "window", "bookshelf",
    "picture", "counter", "blinds", "desk", "shelves", "curtain", "dresser", "pillow", "mirror",
    "floor mat", "clothes", "ceiling", "books", "refrigerator", "television", "paper", "towel",
    "shower curtain", "box", "whiteboard", "person", "night stand", "toilet", "sink", "lamp",
    "bathtub", "bag", "otherstructure", "otherfurniture",
)  # fmt: skip
"""NYU40 ids 1-39. Id 40, "otherprop", is a remainder of many things and read as void."""

NYU40_STUFF = frozenset(
    {
        "wall", "floor", "ceiling", "door", "window", "blinds", "curtain", "shower curtain",
        "otherstructure", "otherfurniture",
    }
)  # fmt: skip
"""Classes that do not count as things: the shell of a room, curtains and blinds, the rest."""

_OTHERPROP = 40
_SUFFIXES = (".jpg", ".jpeg", ".png")
_CAMERA_KEYS = ("fx", "fy", "cx", "cy", "width", "height", "depth_unit_m")


def _table(path: Path) -> tuple[dict[str, str], dict[str, str]]:
    """Return the split and the group, "" for none, of every id, in the table's order."""
    table = path / "images.csv"
    try:
        with open(table, newline="") as stream:
            reader = csv.DictReader(stream)
            missing = {"id", "split"} - set(reader.fieldnames or ())
            if missing:
                raise DataError(f"{table}: has no column {min(missing)}; give columns id and split")
            rows = [(row["id"], row["split"], _group(row)) for row in reader]
    except OSError:
        raise DataError(f"{table}: file not found; list id and split of every image") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{table}: is not a CSV table ({error}); export it again") from None
    splits: dict[str, str] = {}
    for image_id, split, _ in rows:
        if image_id in splits:
            raise DataError(f"{table}: image {image_id} is listed twice; remove one row")
        if not image_id or split not in ("train", "val", "test"):
            raise DataError(
                f"{table}: image {image_id!r} has split {split!r}; give train, val or test"
            )
        splits[image_id] = split
    if not splits:
        raise DataError(f"{table}: lists no images; add rows")
    return splits, {image_id: group for image_id, _, group in rows}


def _group(row: dict) -> str:
    return row.get("group") or place_of(row.get("scene") or "")


def place_of(scene: str) -> str:
    """Return the name of a scene without the letter of its part (kitchen_0029a, kitchen_0029b)."""
    return re.sub(r"(?<=\d)[a-z]$", "", scene)


def _photograph(path: Path, image_id: str) -> Path:
    for suffix in _SUFFIXES:
        file = path / "rgb" / f"{image_id}{suffix}"
        if file.exists():
            return file
    raise DataError(
        f"{path / 'rgb' / image_id}.jpg: file not found; add it or take its row out of images.csv"
    )


def files(path: str | Path, classes: str | Sequence[str] | None = None) -> list[str]:
    """Return the files that this source reads, sorted; DataError if images.csv or a photograph is
    missing."""
    root = Path(path)
    found = [root / "images.csv", root / "camera.json"]
    for image_id in _table(root)[0]:
        found.append(_photograph(root, image_id))
        found += [
            root / part / f"{image_id}.png"
            for part in ("depth", "semantic")
            if (root / part).is_dir()
        ]
    if isinstance(classes, str) and classes != "nyu40":
        found.append(Path(classes))
    return sorted(map(str, found))


def _names(classes: str | Sequence[str] | None) -> tuple[str, ...]:
    if classes is None:
        return ()
    if not isinstance(classes, str):
        return tuple(classes)
    if classes == "nyu40":
        return NYU40
    try:
        lines = Path(classes).read_text().splitlines()
    except (OSError, UnicodeDecodeError):
        raise ConfigError(
            f"classes: {classes} cannot be read; give nyu40, a list of names or a text file of them"
        ) from None
    return tuple(line.strip() for line in lines if line.strip())


class RgbdFolder:
    """A `taskrsa.data.view.Source` over a folder of photographs with depth and classes.

    Parameters
    ----------
    path : folder, laid out as the module's text says
    image_size : side of the views, pixels
    depth_step_m : metres between stored depth levels; 0 if fine enough to differentiate
    classes : names of semantic ids 1, 2, ...: "nyu40", a list, or a text file with one a line;
        None leaves semantic maps unread
    things : the classes that count as objects; by default all that are not part of the room's
        shell (`NYU40_STUFF`)

    Raises
    ------
    ConfigError
        If an option cannot be used.
    DataError
        If images.csv or camera.json is missing or wrong.
    """

    def __init__(
        self,
        path: str | Path,
        image_size: int = 64,
        depth_step_m: float = 0.0,
        classes: str | Sequence[str] | None = None,
        things: Sequence[str] | None = None,
    ) -> None:
        self.path = Path(path)
        self.size = image_size
        if not 0 <= depth_step_m < 10:
            raise ConfigError(
                f"depth_step_m is {depth_step_m!r}; give metres, 0 where depth is fine"
            )
        self.depth_step = float(depth_step_m)
        self._otherprop_is_void = classes == "nyu40"
        names = _names(classes)
        if len(set(names)) < len(names):
            raise ConfigError("classes: a name is listed twice; give each class its own name")
        for name in things or ():
            if name not in names:
                raise ConfigError(f"things: {name!r} is none of the classes; correct the name")
        if things is None:
            things = [name for name in names if name not in NYU40_STUFF]
        self.info = SourceInfo(
            semantic_classes=names, object_classes=tuple(name for name in names if name in things)
        )
        self._splits, self._groups = _table(self.path)
        self._read_camera()
        self._has_depth = (self.path / "depth").is_dir()
        self._has_semantic = bool(names) and (self.path / "semantic").is_dir()

    def _read_camera(self) -> None:
        file = self.path / "camera.json"
        try:
            camera = json.loads(file.read_text())
            values = {key: float(camera[key]) for key in _CAMERA_KEYS}
        except FileNotFoundError:
            raise DataError(f"{file}: file not found; give {' '.join(_CAMERA_KEYS)}") from None
        except KeyError as error:
            raise DataError(f"{file}: has no entry {error}; add it") from None
        except (OSError, ValueError, TypeError) as error:
            raise DataError(f"{file}: is not JSON with numbers ({error}); correct it") from None
        for key in ("fx", "fy", "width", "height", "depth_unit_m"):
            if not values[key] > 0:
                raise DataError(f"{file}: {key} is {values[key]}; give a positive number")
        self._width, self._height = int(values["width"]), int(values["height"])
        self._unit = values["depth_unit_m"]
        native = Camera(values["fx"], values["fy"], values["cx"], values["cy"])
        self.camera = native.resized(self.size / self._width, self.size / self._height)

    def ids(self, split: str) -> list[str]:
        """Return the image ids of "train" or "val" in the order of images.csv."""
        if split == "val" and "val" not in self._splits.values():
            split = "test"
        return [image_id for image_id, name in self._splits.items() if name == split]

    def view(self, image_id: str) -> View:
        """Return one view; errors as of `Source`, or if a map holds a class without a name."""
        file = _photograph(self.path, image_id)
        rgb = read_photograph(file)
        check_size(file, rgb, self._height, self._width, "camera.json")
        depth = semantic = None
        if self._has_depth:
            levels = self._levels("depth", image_id)
            metres = np.where(levels > 0, levels * self._unit, np.nan).astype(np.float32)
            depth = resize_depth(metres, self.size)
        if self._has_semantic:
            semantic = self._semantic(image_id)
        return View(
            image_id=image_id,
            rgb=resize_rgb(rgb, self.size),
            camera=self.camera,
            depth=depth,
            depth_step=self.depth_step if depth is not None else 0.0,
            semantic=semantic,
            group=self._groups[image_id],
        )

    def _levels(self, part: str, image_id: str) -> np.ndarray:
        file = self.path / part / f"{image_id}.png"
        values = read_levels(file)
        check_size(file, values, self._height, self._width, "camera.json")
        return values

    def _semantic(self, image_id: str) -> np.ndarray:
        ids = self._levels("semantic", image_id)
        if self._otherprop_is_void:
            ids = np.where(ids == _OTHERPROP, 0, ids)
        if ids.max() > len(self.info.semantic_classes):
            raise DataError(
                f"{self.path / 'semantic' / image_id}.png: holds class {ids.max()} but "
                f"{len(self.info.semantic_classes)} classes are named; add its name to classes"
            )
        return resize_nearest(ids, self.size).astype(np.int16)


open_source = RgbdFolder
