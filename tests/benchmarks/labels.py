"""Correlate derived labels with those that Taskonomy publishes, on its one published view.

    TASKRSA_DATA=... .venv/bin/python tests/benchmarks/labels.py --out labels.csv

The constants of the derivation were chosen on this view. A row for each label and channel; at each
size in pixels one column for labels from depth and the published normals, as of Taskonomy, and one
from depth alone, as of sources that have no normals. Published labels are reduced to that size.
"""

from __future__ import annotations

import argparse
import csv
import os
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))

from taskrsa.data import taskonomy
from taskrsa.data.view import SourceInfo, View
from taskrsa.tasks import labels
from taskrsa.tasks.dictionary import TASKS

SIZES = (512, 256, 128, 64)
CHANNELS = {
    **dict.fromkeys(("edge2d", "keypoint2d", "edge3d", "keypoint3d", "reshade"), ("",)),
    "curvature": (", larger", ", smaller"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, required=True, help="CSV to write")
    options = parser.parse_args()
    folder = Path(os.environ["TASKRSA_DATA"], "taskonomy_view")
    views = {size: published_view(folder, size) for size in SIZES}
    rows = [
        {"label": TASKS[task].label + channel}
        | {
            f"{column}_{size}": f"{correlation(view, task, at, column == 'normals'):.3f}"
            for size, view in views.items()
            for column in ("normals", "depth")
        }
        for task, channels in CHANNELS.items()
        for at, channel in enumerate(channels)
    ]
    with options.out.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def published_view(folder: Path, size: int) -> View:
    """Return the published view, read at a side in pixels."""
    source = taskonomy.open_source(path=folder, image_size=size, val_fraction=0.0)
    return source.view(source.ids("train")[0])


def correlation(view: View, task: str, channel: int, has_normals: bool) -> float:
    """Return Pearson's correlation of a label's channel, derived, with the published one."""
    known = replace(view, official={}, normal=view.normal if has_normals else None)
    label = getattr(labels, task)
    theirs, ours = label(view, SourceInfo()), label(known, SourceInfo())
    both = theirs.valid & ours.valid
    return float(np.corrcoef(theirs.target[channel][both], ours.target[channel][both])[0, 1])


if __name__ == "__main__":
    main()
