"""Derive the labels of one task for every prepared split.

Reads the packs of views. Writes the label maps, scaled to the size of the task's output.
"""

from taskrsa.data.pack import Pack, write_labels
from taskrsa.entry import run
from taskrsa.tasks.labels import derive_labels
from taskrsa.tasks.task import Task


def main(task: dict, size: int, splits: list[str], packs: list[str], labels: str) -> None:
    definition = Task(**task)
    derived = {}
    for split, path in zip(splits, packs, strict=True):
        with Pack(path) as pack:
            info = pack.info
            derived[split] = derive_labels(definition, pack, size)
    write_labels(labels, definition, derived, info)


if __name__ == "__main__":
    run(main)
