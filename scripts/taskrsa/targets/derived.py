"""Labelled sets made of views that have depth and classes: what a target of every kind looks like.

::

    images/<split>/<id>.png
    depth/<split>/          regression: log depth
    edges/<split>/          regression: occlusion edges, of depth
    texture/<split>/        regression: edges of the photograph
    classes/<split>/        segmentation: semantic classes, with classes.txt
    objects.csv             classification: the dominant object, of the most frequent ones
    distance.csv            values: median distance from the camera, metres
    clutter.csv             values: classes with at least a hundredth of the labelled pixels

Labels are those of the tasks of the same names (`taskrsa.tasks.labels`). Folders of maps share the
images by links.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from taskrsa.data.view import Source, SourceInfo, View
from taskrsa.errors import DataError
from taskrsa.io.files import write_table
from taskrsa.targets.pixels import VOID
from taskrsa.tasks.dictionary import TASKS
from taskrsa.tasks.labels import Label, derive_label

# Sets of maps, and the tasks of their labels.
MAPS = {"depth": "rgb2depth", "edges": "edge3d", "texture": "edge2d"}
VALUES = ("distance", "clutter")  # tables of a number an image
SEEN = 0.01  # share of the labelled pixels from which on a class counts
_CLASSES, _OBJECT = "segmentsemantic", "class_1000"


def drawn_splits(source: Source, sizes: dict[str, int], seed: int) -> dict[str, str]:
    """Return the split of each image that is drawn of a source, whatever its own split is;
    DataError if it has fewer than are asked for."""
    ids = sorted({*source.ids("train"), *source.ids("val")})
    if len(ids) < sum(sizes.values()):
        raise DataError(f"{sum(sizes.values())} images are asked for, and there are {len(ids)}")
    order = np.random.default_rng(seed).permutation(len(ids))
    names = [split for split, size in sizes.items() for _ in range(size)]
    return {ids[place]: split for place, split in zip(order, names, strict=False)}


def write_derived(
    source: Source,
    splits: dict[str, str],
    folder: str | Path,
    n_objects: int,
    progress: Callable = iter,
) -> None:
    """Write the sets that the module's text lists, for images of a source.

    Parameters
    ----------
    splits : "train" or "val" by image
    n_objects : classes of objects.csv; images whose dominant object is another are left out
    progress : wraps the ids
    """
    root, rows = Path(folder), []
    _make_folders(root, {*splits.values()}, source.info.semantic_classes)
    for image_id in progress(sorted(splits)):
        split, view = splits[image_id], source.view(image_id)
        file = root / "images" / split / f"{image_id}.png"
        Image.fromarray(view.rgb).save(file)
        for name, task in MAPS.items():
            np.save(root / name / split / "maps" / f"{image_id}.npy", _map(task, view, source.info))
        _save_classes(view, source.info, root / "classes" / split / "masks" / f"{image_id}.png")
        rows.append(
            {
                "image": file.relative_to(root).as_posix(),
                "split": split,
                "object": _dominant(view, source.info),
                "distance": float(np.nanmedian(view.depth)),
                "clutter": n_classes(view, source.info),
            }
        )
    table = pd.DataFrame(rows)
    for name in VALUES:
        write_table(table[["image", "split", name]], root / f"{name}.csv")
    write_table(_objects(table, n_objects), root / "objects.csv")


def _make_folders(root: Path, splits: set[str], classes: Sequence[str]) -> None:
    for split in sorted(splits):
        (root / "images" / split).mkdir(parents=True, exist_ok=True)
        for name, labels in (*((name, "maps") for name in MAPS), ("classes", "masks")):
            (root / name / split / labels).mkdir(parents=True, exist_ok=True)
            link = root / name / split / "images"
            if not link.is_symlink():
                link.symlink_to(Path("../..") / "images" / split, target_is_directory=True)
    (root / "classes" / "classes.txt").write_text("\n".join(classes) + "\n", encoding="utf-8")


def _label(task: str, view: View, info: SourceInfo) -> Label:
    return derive_label(TASKS[task], view, info, view.rgb.shape[0])


def _map(task: str, view: View, info: SourceInfo) -> np.ndarray:
    """Return a map (H, W) float32, nan where it is not known."""
    label = _label(task, view, info)
    return np.where(label.valid, label.target[0], np.nan).astype(np.float32)


def _save_classes(view: View, info: SourceInfo, path: Path) -> None:
    label = _label(_CLASSES, view, info)
    Image.fromarray(np.where(label.valid, label.target, VOID).astype(np.uint8)).save(path)


def _dominant(view: View, info: SourceInfo) -> str:
    """Return the object that is seen most of, "" where there is none."""
    label = _label(_OBJECT, view, info)
    return info.object_classes[int(label.target.argmax())] if label.valid else ""


def n_classes(view: View, info: SourceInfo) -> int:
    """Return how many classes have at least `SEEN` of the labelled pixels."""
    label = _label(_CLASSES, view, info)
    shares = np.unique_counts(label.target[label.valid]).counts / max(1, label.valid.sum())
    return int((shares >= SEEN).sum())


def _objects(rows: pd.DataFrame, n: int) -> pd.DataFrame:
    """Return the images whose dominant object is one of the n that most images have."""
    counts = Counter(name for name in rows["object"] if name)
    # Of equally frequent ones the first by name, whatever the order of the images.
    kept = sorted(counts, key=lambda name: (-counts[name], name))[:n]
    chosen = rows[rows["object"].isin(kept)].rename(columns={"object": "label"})
    return chosen[["image", "label", "split"]]
