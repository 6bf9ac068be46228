"""Copy the small tables, trees and pictures of a run to where git keeps them.

Pictures are reduced to a third of their size (100 dots an inch) and 64 colours.
A file whose name is taken, as that of a second target is, has its folder's name before it.
"""

import shutil
from pathlib import Path

from PIL import Image
from taskrsa.entry import run


def main(tables: list[str], pictures: list[str], folder: str) -> None:
    kept = Path(folder)
    kept.mkdir(parents=True, exist_ok=True)
    taken = set()
    for path in map(Path, [*tables, *pictures]):
        name = f"{path.parent.name}_{path.name}" if path.name in taken else path.name
        taken.add(name)
        if path.suffix == ".png":
            reduce_picture(path, kept / name)
        else:
            shutil.copyfile(path, kept / name)


def reduce_picture(path: Path, reduced: Path) -> None:
    """Write a picture at a third of its size and in 64 colours."""
    with Image.open(path) as picture:
        small = picture.convert("RGB").reduce(3)
        # The few points of a rare colour keep it.
        of_all = Image.Quantize.MAXCOVERAGE
        small.quantize(64, of_all, dither=Image.Dither.NONE).save(reduced, optimize=True)


if __name__ == "__main__":
    run(main)
