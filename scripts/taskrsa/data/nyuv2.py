"""NYU Depth v2 (Silberman et al., ECCV 2012): its labelled frames as a folder of RGB-D images.

`nyu_depth_v2_labeled.mat` is HDF5 (MATLAB 7.3). MATLAB stores arrays by columns, so HDF5 has their
axes in reverse: images (N, 3, 640, 480) uint8; depths, in-painted, and rawDepths (N, 640, 480)
float32, metres; labels (N, 640, 480) uint16, 0 unlabelled, else a place from 1 in names; names and
scenes are cells of references to text. What is written is read by `taskrsa.data.rgbd`.

The frames are read a few at a time, so that memory does not grow with the file (2.8 GB).
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from PIL import Image
from pydantic import Field, model_validator

from taskrsa.data.images import load_mat, resize_depth, resize_nearest, resize_rgb
from taskrsa.data.rgbd import place_of
from taskrsa.data.view import Camera, SourceInfo, View
from taskrsa.errors import DataError
from taskrsa.io.files import atomic_folder, digest_of, sha256_of, write_table
from taskrsa.io.hdf5 import opened_hdf5
from taskrsa.recipes import Path as FilePath
from taskrsa.recipes import Section, Share
from taskrsa.text import one_line

if TYPE_CHECKING:
    import h5py

    from taskrsa.tasks.dictionary import Task

WIDTH, HEIGHT = 640, 480
# Of the colour camera, from the data set's toolbox. It counts pixels from 1, the calibration behind
# it from 0; taken as they are, with pixel centres at + 0.5, they lie between the two.
CAMERA = Camera(518.85790117450188, 519.46961112127485, 325.58244941119034, 253.73616633400465)
DEPTH_UNIT_M = 0.001  # metres of one level of the PNGs written here
REMAINDER = "otherprop"  # NYU40's class of what is left over; read as void (see `rgbd.NYU40`)
MAX_CLASSES = 255  # ids are stored in 8 bits, 0 is void

_DEPTHS = {"filled": "depths", "raw": "rawDepths"}
_BLOCK = 8  # frames read at once
_CACHE = 16 * 2**20  # bytes of unpacked chunks that HDF5 keeps, a data set
_FORMAT = "give nyu_depth_v2_labeled.mat as published"
_ABOUT = "about.json"  # marks a folder as written here, so that only such a one is replaced


class ConversionConfig(Section):
    """How NYU Depth v2's file is converted to a folder of RGB-D images."""

    splits: FilePath = Field(None, description="splits.mat; null to draw whole scenes.")
    val_share: Share = Field(0.1, description="Share of the frames where splits is null.")
    seed: int = Field(0, ge=0, le=2**31, description="Seed of that draw.")
    crop: int = Field(448, ge=16, le=480, description="Side of the centre square kept, pixels.")
    size: int = Field(256, ge=8, le=480, description="Side of the images written; at most crop.")
    depth: Literal["filled", "raw"] = Field("filled", description="In-painted depth or gaps.")
    classes: str | None = Field(
        "names", description="names, a file that maps names to classes, or null for none."
    )
    n_classes: int = Field(40, ge=1, le=255, description="Most frequent names kept.")

    @model_validator(mode="after")
    def _fits(self) -> ConversionConfig:
        if self.size > self.crop:
            raise ValueError(f"size is {self.size}; give from 8 pixels to crop, {self.crop}")
        return self

    def camera(self) -> Camera:
        """Return the intrinsics after crop and resize."""
        left, top = _corner(self.crop)
        cropped = Camera(CAMERA.fx, CAMERA.fy, CAMERA.cx - left, CAMERA.cy - top)
        return cropped.resized(self.size / self.crop, self.size / self.crop)


def _corner(crop: int) -> tuple[int, int]:
    """Return column and row of the upper left pixel of the square from the centre."""
    return (WIDTH - crop) // 2, (HEIGHT - crop) // 2


# --- the file ---


@contextmanager
def open_frames(path: str | Path) -> Iterator[h5py.File]:
    """Open the file; DataError if it is missing, truncated, or lacks a part that is needed."""
    import h5py

    if not Path(path).is_file():
        raise DataError(f"{path}: file not found; {_FORMAT}")
    try:
        file = opened_hdf5(path, rdcc_nbytes=_CACHE)
    except OSError as error:
        raise DataError(
            f"{path}: cannot be read as HDF5 ({one_line(error)}); it is another file or not whole: "
            "copy or download it again"
        ) from None
    with file:
        for name in ("images", "depths", "rawDepths", "labels", "names", "scenes"):
            if not isinstance(file.get(name), h5py.Dataset):
                raise DataError(f"{path}: has no data set {name}; {_FORMAT}")
        _check_shapes(path, file)
        yield file


def _check_shapes(path: str | Path, file: h5py.File) -> None:
    n = file["images"].shape[0]
    expected = {
        "images": ("u", (n, 3, WIDTH, HEIGHT)),
        "depths": ("f", (n, WIDTH, HEIGHT)),
        "rawDepths": ("f", (n, WIDTH, HEIGHT)),
        "labels": ("u", (n, WIDTH, HEIGHT)),
    }
    for name, (kind, shape) in expected.items():
        part = file[name]
        if not n or part.shape != shape or part.dtype.kind != kind:
            raise DataError(
                f"{path}: {name} is {part.dtype} {part.shape}, not {kind} of the shape {shape}; "
                f"{_FORMAT}"
            )
    if file["images"].dtype != np.uint8:
        raise DataError(f"{path}: images is {file['images'].dtype}, not uint8; {_FORMAT}")
    if file["scenes"].size != n:
        raise DataError(f"{path}: names {file['scenes'].size} scenes of {n} frames; {_FORMAT}")


def _texts(path: str | Path, file: h5py.File, name: str) -> list[str]:
    """Return the texts of a cell array: references to columns of UTF-16 units."""
    import h5py

    cell = file[name]
    if h5py.check_ref_dtype(cell.dtype) is not h5py.Reference:
        raise DataError(f"{path}: {name} is not a cell array of texts; {_FORMAT}")
    found = []
    try:
        for reference in cell[()].ravel():
            text = file[reference]
            # An empty text is stored as its own two dimensions.
            units = [] if text.attrs.get("MATLAB_empty") else text[()].ravel()
            found.append(np.asarray(units, "<u2").tobytes().decode("utf-16-le"))
    except (ValueError, TypeError, OSError, RuntimeError, KeyError) as error:
        raise DataError(f"{path}: {name} cannot be read ({one_line(error)}); {_FORMAT}") from None
    return found


def _squares(
    path: str | Path, file: h5py.File, crop: int, *names: str
) -> Iterator[tuple[int, list[np.ndarray]]]:
    """Yield the number of each frame from 0 and the centre square of its parts, rows first.

    Photographs are (crop, crop, 3), maps (crop, crop).
    """
    left, top = _corner(crop)
    columns, rows = slice(left, left + crop), slice(top, top + crop)
    n = len(file["images"])
    for start in range(0, n, _BLOCK):
        block = slice(start, min(start + _BLOCK, n))
        try:
            # The transposition undoes MATLAB's order of axes.
            parts = [file[name][block, ..., columns, rows].T for name in names]
        except (OSError, RuntimeError) as error:
            raise DataError(
                f"{path}: frames {start + 1} to {block.stop} cannot be read ({one_line(error)}); "
                "copy or download it again"
            ) from None
        for at in range(block.stop - start):
            yield start + at, [part[..., at] for part in parts]


# --- split ---


def official_split(path: str | Path, n: int) -> dict[int, str]:
    """Return "train" or "test" of every one of the `n` frames, from 0, that splits.mat lists."""
    content = _variables(path, ("trainNdxs", "testNdxs"), "splits.mat of the data set")
    found: dict[int, str] = {}
    for name, split in (("trainNdxs", "train"), ("testNdxs", "test")):
        numbers = content[name].ravel()
        if not numbers.size or numbers.dtype.kind not in "iuf":
            raise DataError(f"{path}: {name} lists no frames; give splits.mat of the data set")
        for number in numbers.tolist():
            if number != int(number) or not 1 <= number <= n:
                raise DataError(
                    f"{path}: {name} lists frame {number:g} of {n}; give the splits of this file"
                )
            if int(number) - 1 in found:
                raise DataError(f"{path}: lists frame {number:g} twice; correct it")
            found[int(number) - 1] = split
    return dict(sorted(found.items()))


def split_scenes(scenes: Sequence[str], val_share: float, seed: int) -> dict[int, str]:
    """Return "train" or "val" of every frame: whole scenes are drawn for validation.

    Parts of a scene (kitchen_0029a, kitchen_0029b) count as one. Scenes are drawn until they hold
    the share of the frames or just more; one scene at least is left to train on. DataError if
    there is only one.
    """
    places = [place_of(scene) for scene in scenes]
    order = sorted(set(places))
    if len(order) < 2:
        raise DataError(
            f"all frames are of one scene, {order[0]!r}, which cannot be split; give splits"
        )
    np.random.default_rng(seed).shuffle(order)
    chosen: set[str] = set()
    for place in order[:-1]:
        if sum(p in chosen for p in places) >= val_share * len(places):
            break
        chosen.add(place)
    return {frame: "val" if place in chosen else "train" for frame, place in enumerate(places)}


# --- classes ---


def _variables(path: str | Path, names: Sequence[str], what: str) -> dict[str, np.ndarray]:
    content = load_mat(path, names, f"give {what}")
    for name in names:
        if name not in content:
            raise DataError(f"{path}: has no variable {name}; give {what}")
    return content


def _cell(path: str | Path, values: np.ndarray) -> list[str]:
    texts = [np.asarray(value).ravel() for value in values.ravel()]
    if any(text.size > 1 or text.dtype.kind != "U" for text in texts):
        raise DataError(f"{path}: holds a cell array that is not all text; {_MAPPING}")
    return [str(text[0]) if text.size else "" for text in texts]


_MAPPING = "give a CSV with columns name and class, or classMapping40.mat"


def read_mapping(path: str | Path) -> tuple[dict[str, str], list[str]]:
    """Return the class of every name, "" for void, and the classes in the order of their ids.

    The classes of a CSV are in the order in which they first appear. "otherprop" is void.
    """
    if Path(path).suffix == ".mat":
        pairs, classes = _mapping_of_mat(path)
    else:
        pairs = _mapping_of_csv(path)
        classes = list(dict.fromkeys(name for _, name in pairs))
    mapping: dict[str, str] = {}
    for name, class_name in pairs:
        if name in mapping:
            raise DataError(f"{path}: names {name!r} twice; remove one")
        mapping[name] = "" if class_name == REMAINDER else class_name
    classes = [name for name in classes if name not in ("", REMAINDER)]
    if not 1 <= len(classes) <= MAX_CLASSES:
        raise DataError(f"{path}: has {len(classes)} classes; give from 1 to {MAX_CLASSES}")
    return mapping, classes


def _mapping_of_mat(path: str | Path) -> tuple[list[tuple[str, str]], list[str]]:
    """Read classMapping40.mat: allClassName (K,), className (40,), mapClass (K,) from 1."""
    content = _variables(path, ("allClassName", "className", "mapClass"), "classMapping40.mat")
    names, classes = _cell(path, content["allClassName"]), _cell(path, content["className"])
    places = content["mapClass"].ravel()
    if len(names) != len(places) or places.dtype.kind not in "iuf":
        raise DataError(f"{path}: maps {len(places)} of {len(names)} names; {_MAPPING}")
    wrong = [place for place in places.tolist() if place not in range(len(classes) + 1)]
    if wrong:
        raise DataError(f"{path}: maps to class {wrong[0]} of {len(classes)}; {_MAPPING}")
    table = ["", *classes]
    return [(n, table[int(p)]) for n, p in zip(names, places, strict=True)], classes


def _mapping_of_csv(path: str | Path) -> list[tuple[str, str]]:
    try:
        with open(path, newline="", encoding="utf-8-sig") as stream:
            reader = csv.DictReader(stream)
            if not {"name", "class"} <= set(reader.fieldnames or ()):
                raise DataError(f"{path}: lacks column name or class; {_MAPPING}")
            return [
                ((row["name"] or "").strip(), (row["class"] or "").strip())
                for row in reader
                if any(row.values())
            ]
    except OSError:
        raise DataError(f"{path}: cannot be read; {_MAPPING}") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: is not a CSV table ({error}); {_MAPPING}") from None


def _frequent(
    path: str | Path,
    file: h5py.File,
    names: Sequence[str],
    frames: set[int],
    options: ConversionConfig,
) -> list[str]:
    """Return the names that cover most pixels of `frames`, the most frequent first."""
    counts = np.zeros(len(names) + 1, np.int64)
    for frame, (ids,) in _squares(path, file, options.crop, "labels"):
        if frame in frames:
            _check_labels(path, frame, ids, len(names))
            counts += np.bincount(ids.ravel(), minlength=len(counts))
    order = np.argsort(-counts[1:], kind="stable")
    return [names[i] for i in order[: options.n_classes] if counts[1 + i]]


def _check_labels(path: str | Path, frame: int, ids: np.ndarray, n_names: int) -> None:
    if ids.max() > n_names:
        raise DataError(
            f"{path}: frame {frame + 1} holds label {ids.max()} of {n_names} names; copy or "
            "download it again"
        )


def _class_table(
    path: str | Path, file: h5py.File, splits: Mapping[int, str], options: ConversionConfig
) -> tuple[np.ndarray, list[str]]:
    """Return the class id (uint8) of every label from 0, and the names of classes 1, 2, ..."""
    names = _texts(path, file, "names")
    if options.classes == "names":
        training = {frame for frame, split in splits.items() if split == "train"}
        classes = _frequent(path, file, names, training, options)
        if not classes:
            raise DataError(f"{path}: no pixel of the training frames has a name; {_FORMAT}")
        mapping = {name: name for name in classes}
    else:
        mapping, classes = read_mapping(options.classes)
        strange = sorted(set(mapping) - set(names))
        if strange:
            raise DataError(
                f"{options.classes}: maps {strange[0]!r}, which is none of the names in {path}; "
                "correct or remove it"
            )
    ids = {"": 0} | {name: at for at, name in enumerate(classes, 1)}
    return np.array([0] + [ids[mapping.get(name, "")] for name in names], np.uint8), classes


# --- conversion ---


def unavailable_tasks(tasks: Sequence[Task], classes: bool) -> dict[str, str]:
    """Return, for each task that converted frames cannot label, the reason.

    Judged by a made-up view with the parts that they have: nothing need be downloaded yet.
    """
    from taskrsa.tasks.labels import available_tasks

    ramp = np.tile(np.linspace(1, 2, 32, dtype=np.float32), (32, 1))
    ids = np.where(ramp < 1.5, 1, 2).astype(np.int16) if classes else None
    names = ("wall", "table") if classes else ()
    view = View(
        image_id="0000",
        rgb=np.repeat((ramp * 100).astype(np.uint8)[..., None], 3, axis=2),
        camera=ConversionConfig(size=32).camera(),
        depth=ramp,
        semantic=ids,
    )
    info = SourceInfo(semantic_classes=names, object_classes=names[1:])
    return available_tasks(tasks, view, info)[1]


def convert(path: str | Path, folder: str | Path, options: ConversionConfig) -> None:
    """Write the frames as a folder that `taskrsa.data.rgbd` reads, whole or not at all.

    Ids are the frames' numbers from 0, in four digits. Besides what is read, images.csv has the
    columns scene, frame (its number in MATLAB) and sha256 (one digest of the image's files, so that
    the table changes with any of them), and about.json the options.

    Parameters
    ----------
    path : nyu_depth_v2_labeled.mat
    folder : replaced only if empty or written by this function

    Raises
    ------
    DataError
        If a file is missing, damaged or of another shape, or `folder` holds other files.
    """
    from tqdm import tqdm

    with open_frames(path) as file, atomic_folder(folder, _ABOUT) as root:
        n = len(file["images"])
        scenes = _texts(path, file, "scenes")
        splits = (
            official_split(options.splits, n)
            if options.splits
            else split_scenes(scenes, options.val_share, options.seed)
        )
        parts = ["images", _DEPTHS[options.depth]]
        if options.classes is not None:
            parts.append("labels")
            to_class, classes = _class_table(path, file, splits, options)
            (root / "classes.txt").write_text("".join(f"{name}\n" for name in classes))
            (root / "semantic").mkdir()
        (root / "rgb").mkdir()
        (root / "depth").mkdir()
        rows = []
        squares = tqdm(_squares(path, file, options.crop, *parts), total=n, mininterval=5)
        for frame, (rgb, metres, *ids) in squares:
            if frame not in splits:
                continue
            name = f"{frame:04d}.png"
            rgb = resize_rgb(np.ascontiguousarray(rgb), options.size)
            Image.fromarray(rgb).save(root / "rgb" / name)
            levels = depth_levels(f"{path}: frame {frame + 1}", metres, options.size)
            Image.fromarray(levels).save(root / "depth" / name)
            if ids:
                _check_labels(path, frame, ids[0], len(to_class) - 1)
                semantic = resize_nearest(to_class[ids[0]], options.size)
                Image.fromarray(semantic).save(root / "semantic" / name)
            written = [root / part / name for part in ("rgb", "depth", "semantic")[: len(parts)]]
            row = {"id": f"{frame:04d}", "split": splits[frame], "scene": scenes[frame]}
            row |= {"frame": frame + 1, "sha256": digest_of(map(sha256_of, written))}
            rows.append(row)
        camera = {"width": options.size, "height": options.size, **asdict(options.camera())}
        camera["depth_unit_m"] = DEPTH_UNIT_M
        for file, content in (("camera.json", camera), (_ABOUT, options.model_dump())):
            (root / file).write_text(json.dumps(content, indent=1) + "\n")
        write_table(rows, root / "images.csv")


def depth_levels(where: str, metres: np.ndarray, size: int) -> np.ndarray:
    """Return depth (H, W) float metres at size x size as uint16 millimetres, 0 where unknown;
    DataError if one is more than 16 bits hold, and so not in metres."""
    known = np.isfinite(metres) & (metres > 0)
    small = resize_depth(np.where(known, metres, np.nan).astype(np.float32), size)
    levels = np.nan_to_num(np.round(small / DEPTH_UNIT_M))
    if levels.max() > np.iinfo(np.uint16).max:
        raise DataError(f"{where}: is {small[levels.argmax() // size].max():g} m deep; {_FORMAT}")
    return levels.astype(np.uint16)
