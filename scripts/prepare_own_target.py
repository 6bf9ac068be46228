"""Read a labelled folder of the user's own, check every file, and keep it as one small file.

Writes the set (HDF5) and a table: one row an image, with its split, label and hashes.
"""

from functools import partial

from taskrsa.entry import run
from taskrsa.io.files import write_table
from taskrsa.targets.labelled import find_examples, write_labelled
from tqdm import tqdm


def main(
    kind: str,
    path: str,
    size: int,
    val_share: float,
    seed: int,
    data: str,
    table: str,
    unknown: float | None = None,
) -> None:
    """`unknown` is the value that stands for no value in maps."""
    examples, classes = find_examples(kind, path, val_share, seed)
    progress = partial(tqdm, desc=kind, mininterval=5)
    rows = write_labelled(kind, examples, classes, size, data, unknown, progress)
    write_table(rows, table)


if __name__ == "__main__":
    run(main)
