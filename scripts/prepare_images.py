"""Prepare one split of a source: read or render its views and store them in one HDF5 file.

Reads a source of images (`source`: its kind and options). Writes `pack`. For the stimuli a sample
is drawn with a seed, and `table` lists it with the hash of every image.
"""

from concurrent.futures import ProcessPoolExecutor

import numpy as np
from taskrsa.data.pack import write_pack, write_stimuli_table
from taskrsa.data.sources import choose, open_source
from taskrsa.entry import run
from tqdm import tqdm

_source = None


def _open(source: dict) -> None:
    global _source
    _source = open_source(**source)


def _view(image_id: str):
    return _source.view(image_id)


def main(
    source: dict,
    split: str,
    pack: str,
    n: int | None = None,
    seed: int = 0,
    table: str | None = None,
    workers: int = 1,
) -> None:
    _open(source)
    ids = choose(_source.ids(split), n, split, np.random.default_rng(seed) if table else None)
    with ProcessPoolExecutor(workers, initializer=_open, initargs=(source,)) as pool:
        # Each view depends on its id alone, so the number of workers changes nothing.
        views = tqdm(pool.map(_view, ids, chunksize=8), total=len(ids), desc=split, mininterval=5)
        write_pack(pack, views, _source.info, len(ids), distinct=table is not None)
    if table:
        write_stimuli_table(table, pack, source)


if __name__ == "__main__":
    run(main)
