"""Make labelled sets of every kind from images with depth and classes, for the targets of a study.

Writes what `taskrsa.targets.derived` lists beside the tables `objects` and `values`.
"""

from functools import partial
from pathlib import Path

from taskrsa.data.sources import open_source
from taskrsa.entry import run
from taskrsa.targets.derived import drawn_splits, write_derived
from tqdm import tqdm

SIZES = {"train": 400, "val": 300}
N_OBJECTS = 8  # classes of the classification


def main(source: dict, seed: int, objects: str, values: list[str]) -> None:
    """`source` are the options of a source of images, whose own splits are not kept."""
    opened = open_source(**source)
    splits = drawn_splits(opened, SIZES, seed)
    write_derived(opened, splits, Path(objects).parent, N_OBJECTS, partial(tqdm, mininterval=5))


if __name__ == "__main__":
    run(main)
