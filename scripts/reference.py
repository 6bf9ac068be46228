"""Copy the small tables, trees and pictures of a run to where git keeps them.

Pictures are reduced to a third of their size (100 dots an inch) and 64 colours.
A table whose name is taken has its folder's name before it.
"""

import shutil
from pathlib import Path

from PIL import Image
from taskrsa.entry import run


def main(tables: list[str], pictures: list[str], folder: str) -> None:
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    taken = set()
    for path in map(Path, tables):
        name = f"{path.parent.name}_{path.name}" if path.name in taken else path.name
        taken.add(name)
        shutil.copyfile(path, target / name)
    for path in map(Path, pictures):
        with Image.open(path) as picture:
            small = picture.convert("RGB").reduce(3)
            small.quantize(64, dither=Image.Dither.NONE).save(target / path.name, optimize=True)


if __name__ == "__main__":
    run(main)
