"""Prepare the data of the new task: render or merge a devkit, check every file, list the images.

Reads `source`. Of kind "outdoor" with the world's options, the simulated devkit is rendered into
`folder`. Of kind "voc" with `path`, optionally `train` and `val` (names of lists), the devkit stays
where it is; with `sbd`, the merged training set is made in `folder`. Writes `table`: one row for
each image with the hash of its mask.
"""

from concurrent.futures import ProcessPoolExecutor

from taskrsa.entry import run
from taskrsa.errors import ConfigError
from taskrsa.io.files import write_table
from taskrsa.targets.devkit import check_set, open_splits, set_rows, write_devkit
from taskrsa.targets.sbd import merge_devkit
from taskrsa.worlds.outdoor import open_world
from tqdm import tqdm

_VOC_OPTIONS = ("path", "train", "val", "sbd")
_world = None


def _open(options: dict) -> None:
    global _world
    _world = open_world(**options)


def _labelled(image_id: str):
    return _world.labelled(image_id)


def _render(options: dict, folder: str, workers: int) -> None:
    _open(options)
    lists = _world.lists()
    ids = [image_id for split in lists.values() for image_id in split]
    with ProcessPoolExecutor(workers, initializer=_open, initargs=(options,)) as pool:
        # Each image depends on its id alone, so the number of workers changes nothing.
        images = pool.map(_labelled, ids, chunksize=8)
        images = tqdm(images, total=len(ids), desc="outdoor", mininterval=5)
        write_devkit(folder, lists, images, _world.classes, {"kind": "outdoor", **options})


def main(source: dict, table: str, folder: str | None = None, workers: int = 1) -> None:
    options = dict(source)
    kind = options.pop("kind", None)
    lists = {}
    if kind not in ("outdoor", "voc"):
        raise ConfigError(f"kind: there is no target data {kind!r}; give outdoor or voc")
    if folder is None and (kind == "outdoor" or options.get("sbd")):
        raise ConfigError("folder: name the folder to make the devkit in")
    if kind == "outdoor":
        _render(options, folder, workers)
    else:
        for name in options:
            if name not in _VOC_OPTIONS:
                raise ConfigError(f"{name}: voc has no such option; it has {_VOC_OPTIONS}")
        if "path" not in options:
            raise ConfigError("path: set it to the unpacked devkit of Pascal VOC 2012")
        lists = {role: options.get(role) or role for role in ("train", "val")}
        if options.get("sbd"):
            merge_devkit(options["path"], options["sbd"], folder, **lists)
            lists = {}
        else:
            folder = options["path"]
    rows = []
    for role, split in open_splits(folder, **lists).items():
        rows += set_rows(role, split, check_set(split))
    write_table(rows, table)


if __name__ == "__main__":
    run(main)
