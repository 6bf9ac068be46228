"""Small files in the formats in which data sets are published, for tests of what converts them."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
from PIL import Image
from scipy.io import savemat
from scipy.sparse import csc_matrix

# --- NYU Depth v2, written as MATLAB 7.3 does ---

NAMES = ["book", "bottle", "wall", "otherprop thing", "chair", "", "table"]
SCENES = ["office_0001a", "office_0001b", "kitchen_0002", "kitchen_0002", "study_0003", "den_0004"]
ROWS, COLUMNS = np.mgrid[:480, :640]


def photograph(frame: int) -> np.ndarray:
    """Red grows with the row, green with the column, blue with the frame."""
    red, green = ROWS // 2, COLUMNS // 3
    return np.stack([red, green, np.full_like(red, 20 * frame)], -1).astype(np.uint8)


def metres(frame: int) -> np.ndarray:
    """Depth grows to the right, and twice as fast downwards."""
    return (1 + frame + COLUMNS * 0.001 + ROWS * 0.002).astype(np.float32)


def label_map(frame: int) -> np.ndarray:
    """Walls (3) above, a table (7) below on the left, chairs (5) on the right in even frames."""
    ids = np.full((480, 640), 3, np.uint16)
    ids[240:, :340] = 7
    ids[240:, 340:] = 5 if frame % 2 == 0 else 1
    ids[:100] = 0
    return ids


def texts(file: h5py.File, name: str, values: list[str]) -> None:
    """Write a cell array of texts: references to columns of UTF-16 units in the group #refs#."""
    group = file.require_group("#refs#")
    cell = file.create_dataset(name, (1, len(values)), h5py.ref_dtype)
    cell.attrs["MATLAB_class"] = np.bytes_("cell")
    for at, value in enumerate(values):
        if value:
            units = np.frombuffer(value.encode("utf-16-le"), np.uint16)[:, None]
            text = group.create_dataset(f"{name}{at}", data=units)
        else:
            text = group.create_dataset(f"{name}{at}", data=np.zeros(2, np.uint64))
            text.attrs["MATLAB_empty"] = np.uint8(1)
        text.attrs["MATLAB_class"] = np.bytes_("char")
        cell[0, at] = text.ref


def write_mat(path: Path, n: int = 6, scenes: list[str] | None = None) -> Path:
    maps = [photograph, metres, label_map]
    images, depths, ids = (np.stack([part(i) for i in range(n)], -1) for part in maps)
    raw = depths.copy()
    raw[:200] = 0  # the sensor saw nothing
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, values in {
            "images": images,
            "depths": depths,
            "rawDepths": raw,
            "labels": ids,
        }.items():
            chunks = (1, *values.T.shape[1:])
            data = file.create_dataset(name, data=values.T, chunks=chunks, compression=1)
            data.attrs["MATLAB_class"] = np.bytes_(data.dtype.name.replace("float32", "single"))
        texts(file, "names", NAMES)
        texts(file, "scenes", scenes or SCENES[:n])
    with open(path, "r+b") as stream:
        stream.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(124) + b"\0\2IM")
    return path


# --- SBD, written as its authors' MATLAB did ---


def write_cls(path: Path, ids: np.ndarray) -> None:
    """Write one of cls/<id>.mat: a struct with a cell of sparse boundaries, one a class."""
    boundaries = np.empty((20, 1), dtype=object)
    for at in range(20):
        inside = ids == at + 1
        boundaries[at, 0] = csc_matrix(inside ^ np.roll(inside, 1, 0))
    present = np.unique(ids[ids > 0])[:, None].astype(np.float64)
    struct = {"Boundaries": boundaries, "Segmentation": ids, "CategoriesPresent": present}
    savemat(path, {"GTcls": struct}, do_compression=True)


def write_both(folder: Path) -> tuple[Path, Path, dict[str, np.ndarray]]:
    """Write a devkit (train a; val b) and an SBD with c, d and e, of different sizes.

    Returns both folders and the ids of every image.
    """
    rng = np.random.default_rng(0)
    kit, extra = folder / "VOC2012", folder / "dataset"
    for part in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation"):
        (kit / part).mkdir(parents=True)
    for part in ("cls", "img"):
        (extra / part).mkdir(parents=True)
    truth = {}
    for at, name in enumerate("abcde"):
        shape = (20 + at, 30 - at)
        truth[name] = rng.integers(0, 21, shape).astype(np.uint8)
        photo = Image.fromarray(rng.integers(0, 256, (*shape, 3)).astype(np.uint8))
        if name in "ab":
            photo.save(kit / f"JPEGImages/{name}.jpg")
            Image.fromarray(truth[name]).save(kit / f"SegmentationClass/{name}.png")
        else:
            photo.save(extra / f"img/{name}.jpg")
            write_cls(extra / f"cls/{name}.mat", truth[name])
    (kit / "ImageSets/Segmentation/train.txt").write_text("a\n")
    (kit / "ImageSets/Segmentation/val.txt").write_text("b\n")
    (extra / "train.txt").write_text("c\nd\n")
    (extra / "val.txt").write_text("e\n")
    return kit, extra, truth
