"""HDF5 files of one split's views at the working size, and of one task's labels.

One chunk holds one image, lightly compressed, so that any image can be read alone. The bytes
depend on the content alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import astuple
from pathlib import Path
from typing import TYPE_CHECKING

import h5py
import numpy as np

from taskrsa.data.view import Camera, SourceInfo, View
from taskrsa.errors import DataError
from taskrsa.io.files import digest_of, write_table
from taskrsa.io.hdf5 import opened_hdf5, written_hdf5
from taskrsa.tasks.colour import ab_bins
from taskrsa.text import first_few, one_line

if TYPE_CHECKING:
    from taskrsa.tasks.task import Task

FORMAT = 1
# Half precision is finer than any source's normals and published 8-bit labels.
_MAPS = {"rgb": "u1", "depth": "f4", "normal": "f2", "semantic": "i2", "instances": "i4"}
_IN_MEMORY = _MAPS | {"normal": "f4"}
_SMALL = {"layout": (9, "f4"), "vanishing_points": (9, "f4"), "camera": (4, "f8")}
_INFO = ("semantic_classes", "object_classes", "scene_classes")
_BLOCK = 64  # images read at once while iterating


def _create(
    parent: h5py.Group, name: str, count: int, shape: tuple[int, ...], dtype: object
) -> h5py.Dataset:
    """Create a dataset of `count` items with one chunk each."""
    if not shape or 0 in shape:
        return parent.create_dataset(name, (count, *shape), dtype)
    return parent.create_dataset(
        name, (count, *shape), dtype, chunks=(1, *shape), compression="gzip", compression_opts=1
    )


def _strings(values: Iterable[str]) -> np.ndarray:
    encoded = [value.encode() for value in values]
    return np.array(encoded, dtype=f"S{max(map(len, encoded), default=1) or 1}")


def _parts(view: View) -> dict[str, np.ndarray]:
    """Return the maps and published labels of a view by their place in the file."""
    parts = {name: getattr(view, name) for name in _MAPS if getattr(view, name) is not None}
    return parts | {f"official/{task}": values for task, values in view.official.items()}


class _PackWriter:
    """The file of one split while it is filled, view by view."""

    def __init__(self, path: str | Path, file: h5py.File, n: int) -> None:
        self.path, self.n = path, n
        self._file = file
        self._digests: dict[str, str] = {}  # of the photographs, by image id
        self._sets: dict[str, h5py.Dataset] = {}
        self._small = {
            name: np.full((n, width), np.nan, kind) for name, (width, kind) in _SMALL.items()
        }
        self._scenes = np.full(n, -1, np.int32)
        self._groups: list[str] = []

    def add(self, view: View) -> None:
        if view.image_id in self._digests:
            raise DataError(
                f"{self.path}: image {view.image_id} appears twice; rename or remove one"
            )
        index = len(self._digests)
        parts = _parts(view)
        if not index:
            for name, values in parts.items():
                dtype = _MAPS.get(name) or ("f2" if values.ndim == 3 else values.dtype)
                self._sets[name] = _create(self._file, name, self.n, values.shape, dtype)
        self._require_alike(view.image_id, parts)
        for name, values in parts.items():
            self._sets[name][index] = values
        for name, values in self._small.items():
            part = getattr(view, name)
            if part is not None:
                values[index] = astuple(part) if name == "camera" else part
        if view.scene_class is not None:
            self._scenes[index] = view.scene_class
        self._groups.append(view.group)
        content = np.ascontiguousarray(view.rgb).tobytes()
        self._digests[view.image_id] = hashlib.sha256(content).hexdigest()

    def _require_alike(self, image_id: str, parts: dict[str, np.ndarray]) -> None:
        """Refuse a view that differs from the first one in which maps it has, or in their sizes."""
        for name in self._sets.keys() ^ parts.keys():
            holder, other = next(iter(self._digests)), image_id
            if name in parts:
                holder, other = other, holder
            raise DataError(
                f"{self.path}: image {other} has no {name}, which image {holder} has; complete it "
                "or take it out of the split"
            )
        for name, values in parts.items():
            if values.shape != self._sets[name].shape[1:]:
                raise DataError(
                    f"{self.path}: {name} of image {image_id} has shape {values.shape}, others "
                    f"{self._sets[name].shape[1:]}; bring all to one size"
                )

    def refuse_copies(self) -> None:
        """Refuse images of the same pixels, but for those of one colour, which have no RDM."""
        first: dict[str, str] = {}
        copies = []
        for row, (image_id, content) in enumerate(self._digests.items()):
            other = first.setdefault(content, image_id)
            if other != image_id and np.ptp(self._sets["rgb"][row], axis=(0, 1)).any():
                copies.append(f"{image_id} is {other}")
        if copies:
            raise DataError(
                f"{len(copies)} of {len(self._digests)} stimuli show the same as another one: "
                f"{first_few(copies)}; keep one of each (a folder.path that is a text file lists "
                "the images to take)"
            )

    def finish(self, info: SourceInfo, smoothed: bool) -> None:
        file = self._file
        file["ids"] = _strings(self._digests)
        for name, values in self._small.items():
            if np.isfinite(values).any():
                file[name] = values
        if (self._scenes >= 0).any():
            file["scene_class"] = self._scenes
        if any(self._groups):
            file["groups"] = _strings(self._groups)
        for name in _INFO:
            file.attrs[name] = _strings(getattr(info, name))
        file.attrs["depth_smoothed"] = smoothed
        file.attrs["digest"] = digest_of(
            f"{image_id} {content}" for image_id, content in self._digests.items()
        )
        file.attrs["taskrsa_pack"] = FORMAT


def write_pack(
    path: str | Path, views: Iterable[View], info: SourceInfo, n: int, distinct: bool = False
) -> None:
    """Write the `n` views to one file, one at a time; if `distinct`, none may show what another
    does, which every network would find the same.

    Coarsely stepped depth is smoothed (`taskrsa.tasks.geometry.smooth_depth`) before it is stored,
    once for all labels; attribute `depth_smoothed` says so, and the views read back have
    `depth_step` 0.

    Raises
    ------
    DataError
        If an id occurs twice, or a view differs from the first one in size or in which maps it has,
        or two are the same and should not be.
    """
    # Half a second of SciPy, which those who only read packs are spared.
    from taskrsa.tasks import geometry

    with written_hdf5(path, track_order=True) as file:
        writer = _PackWriter(path, file, n)
        smoothed = False
        for raw in views:
            view = geometry.fine_depth(raw)
            smoothed |= view is not raw
            writer.add(view)
        if distinct:
            writer.refuse_copies()
        writer.finish(info, smoothed)


def write_names(path: str | Path, names: Sequence[str], digests: Sequence[str]) -> None:
    """Write a pack of images that are not at hand: names, and hashes that stand for theirs."""
    with written_hdf5(path, track_order=True) as file:
        file["ids"] = _strings(names)
        for name in _INFO:
            file.attrs[name] = _strings(getattr(SourceInfo(), name))
        file.attrs["depth_smoothed"] = False
        file.attrs["digest"] = digest_of([*digests, *names])
        file.attrs["taskrsa_pack"] = FORMAT


def _open(path: str | Path, attribute: str, what: str) -> h5py.File:
    if not Path(path).is_file():
        raise DataError(f"{path}: file not found; make it again")
    try:
        file = opened_hdf5(path)
    except OSError as error:
        raise DataError(
            f"{path}: is damaged or not HDF5 ({one_line(error)}); make it again"
        ) from None
    if attribute not in file.attrs:
        file.close()
        raise DataError(f"{path}: is not a {what} of this program; make it again")
    return file


class Pack:
    """The views of one split, read from a file that `write_pack` made. A context manager.

    digest: SHA-256 over ids and photographs, in order.
    groups: the scene or clip of every view, "" where it has none; empty where nothing is known.

    Raises
    ------
    DataError
        If the file is missing, damaged or no pack.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._file = _open(path, "taskrsa_pack", "pack of views")
        self.ids: list[str] = [value.decode() for value in self._file["ids"][()]]
        stored = self._file["groups"][()] if "groups" in self._file else ()
        self.groups: tuple[str, ...] = tuple(value.decode() for value in stored)
        names = {name: tuple(value.decode() for value in self._file.attrs[name]) for name in _INFO}
        self.info = SourceInfo(**names)
        self.digest: str = self._file.attrs["digest"]
        self.depth_smoothed = bool(self._file.attrs["depth_smoothed"])
        self._maps = [name for name in _MAPS if name in self._file]
        self._official = sorted(self._file.get("official", ()))
        self._small = {
            name: self._file[name][()] for name in (*_SMALL, "scene_class") if name in self._file
        }

    def __enter__(self) -> Pack:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def __len__(self) -> int:
        return len(self.ids)

    def _read(self, name: str, rows: slice) -> np.ndarray:
        try:
            return self._file[name][rows]
        except OSError as error:
            raise DataError(
                f"{self.path}: {name} is damaged ({one_line(error)}); make it again"
            ) from None

    def __iter__(self) -> Iterator[View]:
        for start in range(0, len(self), _BLOCK):
            yield from self._views(start, min(start + _BLOCK, len(self)))

    def _views(self, start: int, stop: int) -> Iterator[View]:
        rows = slice(start, stop)
        maps = {
            name: self._read(name, rows).astype(_IN_MEMORY[name], copy=False) for name in self._maps
        }
        official = {task: self._read(f"official/{task}", rows) for task in self._official}
        for index in range(start, stop):
            parts: dict = {name: values[index - start] for name, values in maps.items()}
            for name, values in self._small.items():
                row = values[index]
                if name == "scene_class":
                    parts[name] = int(row) if row >= 0 else None
                elif np.isfinite(row).all():
                    parts[name] = Camera(*row.tolist()) if name == "camera" else row
            published = {
                task: values[index - start].astype(np.float32)
                if values.dtype == np.float16
                else values[index - start]
                for task, values in official.items()
            }
            yield View(image_id=self.ids[index], official=published, **parts)

    def rgb(self, n: int | None = None) -> np.ndarray:
        """Return the first `n` photographs, by default all, (N, H, W, 3) uint8."""
        return self._read("rgb", slice(n))

    @property
    def photographs(self) -> Photographs:
        """All photographs, read as they are asked for while the pack is open."""
        return Photographs(self)


class Photographs:
    """(n, H, W, 3) uint8 photographs of a pack; a slice of them reads that many."""

    def __init__(self, pack: Pack) -> None:
        self._pack = pack
        self.shape = pack._file["rgb"].shape

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: slice) -> np.ndarray:
        return self._pack._read("rgb", rows)


def write_stimuli_table(table: str | Path, pack: str | Path, source: dict) -> None:
    """Write image, path and sha256 of every stimulus, and its group where groups are known; the
    hash is of its pixels as networks see them, so that it shows whether two runs used the same
    images."""
    with Pack(pack) as stimuli:
        rows = [
            {
                "image": image_id,
                "path": f"{source.get('path') or source['kind']}/{image_id}",
                "sha256": hashlib.sha256(np.ascontiguousarray(rgb).tobytes()).hexdigest(),
            }
            for image_id, rgb in zip(stimuli.ids, stimuli.rgb(), strict=True)
        ]
        for row, group in zip(rows, stimuli.groups, strict=False):
            row["group"] = group
    write_table(rows, table)


def _stored(task: Task, targets: np.ndarray) -> np.ndarray:
    if task.output == "image":
        return targets.astype(np.float16, copy=False)
    if task.output in ("ids", "embedding"):
        largest = int(targets.max(initial=0))
        kinds = (np.uint8, np.int16, np.int32)
        return targets.astype(next(kind for kind in kinds if largest <= np.iinfo(kind).max))
    return targets.astype(np.float32, copy=False)


def write_labels(
    path: str | Path,
    task: Task,
    splits: Mapping[str, tuple[np.ndarray, np.ndarray]],
    info: SourceInfo | None = None,
) -> None:
    """Write one task's labels of several splits: {split: (targets, valid)}.

    Images are stored in half precision, ids in 8, 16 or 32 bits, vectors and classes in
    single precision. Attributes: `task`, `output`, `n_outputs` (the channels a network needs),
    for colorization also `ab_bins` (their centres).

    Raises
    ------
    DataError
        If targets and validity differ in number, or splits in shape.
    """
    shapes = {targets.shape[1:] for targets, _ in splits.values()}
    if len(shapes) != 1 or any(len(targets) != len(valid) for targets, valid in splits.values()):
        raise DataError(f"{path}: the splits' labels differ in shape; derive them again")
    with written_hdf5(path, track_order=True) as file:
        outputs = 0
        for split, (targets, valid) in splits.items():
            stored = _stored(task, targets)
            group = file.create_group(split)
            for name, values in (("targets", stored), ("valid", np.asarray(valid, bool))):
                _create(group, name, len(values), values.shape[1:], values.dtype)[...] = values
            if len(targets):
                outputs = max(outputs, task.n_outputs(info or SourceInfo(), targets))
        file.attrs["task"] = task.id
        file.attrs["output"] = task.output
        file.attrs["n_outputs"] = outputs
        if task.id == "colorization":
            file.attrs["ab_bins"] = ab_bins()
        file.attrs["taskrsa_labels"] = FORMAT


def read_labels(
    path: str | Path, split: str, n: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return targets and validity of a split's first `n` views, by default of all, as
    `write_labels` stored them; DataError if the file is missing or damaged, or lacks the split."""
    with _open(path, "taskrsa_labels", "file of labels") as file:
        if split not in file:
            raise DataError(f"{path}: holds no split {split!r}; derive the labels again")
        try:
            return file[split]["targets"][:n], file[split]["valid"][:n]
        except OSError as error:
            raise DataError(
                f"{path}: is damaged ({one_line(error)}); derive the labels again"
            ) from None


def label_attributes(path: str | Path) -> dict[str, object]:
    """Return the attributes of a file of labels: task, output, n_outputs and so on; DataError if
    it is missing or damaged."""
    with _open(path, "taskrsa_labels", "file of labels") as file:
        return {
            name: value.item() if isinstance(value, np.generic) else value
            for name, value in file.attrs.items()
            if name != "taskrsa_labels"
        }
