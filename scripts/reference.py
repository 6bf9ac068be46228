"""Copy the small tables, trees and pictures of a run to where git keeps them.

Pictures are reduced to half their size and 256 colours: enough for a screen.
"""

import shutil
from pathlib import Path

from PIL import Image
from taskrsa.entry import run


def main(tables: list[str], pictures: list[str], folder: str) -> None:
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    for path in map(Path, tables):
        shutil.copyfile(path, target / path.name)
    for path in map(Path, pictures):
        with Image.open(path) as picture:
            small = picture.convert("RGB").reduce(2)
            small.quantize(256, dither=Image.Dither.NONE).save(target / path.name, optimize=True)


if __name__ == "__main__":
    run(main)
