"""Make labelled sets of every kind from a folder of RGB-D images, for targets of a study.

Reads images.csv, camera.json, rgb/, depth/ and semantic/ (`taskrsa.data.rgbd`). Writes what
`taskrsa.targets.derived` lists to `folder`.
"""

from functools import partial

from taskrsa.data.rgbd import RgbdFolder
from taskrsa.entry import run
from taskrsa.targets.derived import drawn_splits, write_derived
from tqdm import tqdm


def main(
    source: str,
    folder: str,
    image_size: int = 96,
    n_train: int = 400,
    n_val: int = 300,
    n_objects: int = 8,
    depth_step_m: float = 0.04,
    classes: str = "nyu40",
    seed: int = 0,
) -> None:
    """Images of either split of the `source` are drawn; `n_objects` are the classes of the
    classification; `depth_step_m` and `classes` are as in the configuration of rgbd."""
    opened = RgbdFolder(source, image_size, depth_step_m, classes)
    splits = drawn_splits(opened, {"train": n_train, "val": n_val}, seed)
    write_derived(opened, splits, folder, n_objects, partial(tqdm, mininterval=5))


if __name__ == "__main__":
    run(main)
