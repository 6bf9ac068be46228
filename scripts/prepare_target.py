"""Prepare a target: read its labelled images, check every file, and keep them for training.

Writes `data`, which holds the two splits whatever the kind of the labels, and `table`: one row for
each image, with its split, label and hashes. The simulated world outdoors is rendered.
"""

from concurrent.futures import ProcessPoolExecutor
from functools import partial

from taskrsa.entry import run
from taskrsa.io.files import write_table
from taskrsa.targets.config import OutdoorConfig, TargetData
from taskrsa.targets.examples import Example, Layout
from taskrsa.targets.pixels import as_png
from taskrsa.targets.prepare import read_layout, write_target
from taskrsa.worlds.outdoor import OutdoorWorld
from tqdm import tqdm


def _world(options: OutdoorConfig) -> OutdoorWorld:
    return OutdoorWorld(**options.model_dump())


def _rendered(options: OutdoorConfig, image_id: str) -> tuple[bytes, bytes]:
    _, rgb, mask = _world(options).labelled(image_id)
    return as_png(rgb, mask)


def _outdoor(options: OutdoorConfig, workers: int) -> Layout:
    world = _world(options)
    ids = [(image_id, role) for role, names in world.lists().items() for image_id in names]
    with ProcessPoolExecutor(workers) as pool:
        # Each image depends on its id alone, so the number of workers changes nothing.
        images = pool.map(partial(_rendered, options), [name for name, _ in ids], chunksize=8)
        images = tqdm(images, total=len(ids), desc="outdoor", mininterval=5)
        examples = [
            Example(name, role, *pixels) for (name, role), pixels in zip(ids, images, strict=True)
        ]
    return Layout(examples, tuple(world.classes), upright=False)


def main(target: dict, seed: int, data: str, table: str, workers: int = 1) -> None:
    """`target` is a section as `taskrsa.targets.config.TargetData`; `seed` draws the images to
    score on, where the data has no split; `workers` render."""
    what = TargetData(**target)
    if what.source == "outdoor":
        layout = _outdoor(what.outdoor, workers)
    else:
        layout = read_layout(what, seed)
    rows = write_target(what, layout, data, partial(tqdm, desc=what.kind, mininterval=5))
    write_table(rows, table)


if __name__ == "__main__":
    run(main)
