"""Plain photographs in a folder, a list or a glob: stimuli without labels.

All of them are in split "train".
"""

from __future__ import annotations

import os
from collections import Counter
from functools import cached_property
from glob import glob, has_magic
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from taskrsa.data.images import BROKEN, check_image_size
from taskrsa.data.view import SourceInfo, View
from taskrsa.errors import ConfigError, DataError
from taskrsa.text import first_few, one_line

_SUFFIXES = (".jpg", ".jpeg", ".png")
_ORIENTATION = 0x0112  # of EXIF; from 5 on, rows are columns


def files(path: str | Path, pattern: str = "*", recursive: bool = True) -> list[str]:
    """Return the photographs that `path` stands for; options as of `Folder`.

    Those of a folder and of a glob are sorted, those of a list keep its order.

    Raises
    ------
    ConfigError
        If the pattern cannot be used.
    DataError
        If the folder is missing, the list cannot be read or names files that are missing or not
        JPEG or PNG, or no file matches.
    """
    root = Path(path)
    if root.is_file():
        return _listed(root)
    if not root.is_dir() and has_magic(str(path)):
        every = glob(str(path), recursive=True)  # noqa: PTH207  pathlib's wants a folder apart
        found = sorted(file for file in every if _is_photograph(file))
        if not found:
            raise DataError(f"{path}: no JPEG or PNG files match it; check the option path")
        return found
    if not root.is_dir():
        raise DataError(f"{path}: no such folder; set the option path to your photographs")
    try:
        found = sorted(
            str(file)
            for file in (root.rglob(pattern) if recursive else root.glob(pattern))
            if _is_photograph(file)
        )
    except (ValueError, NotImplementedError) as error:
        raise ConfigError(f"pattern: {pattern!r} cannot be used ({error}); try *.jpg") from None
    if not found:
        raise DataError(f"{path}: no JPEG or PNG files match {pattern!r}; check path and pattern")
    return found


def _is_photograph(file: str | Path) -> bool:
    return Path(file).suffix.lower() in _SUFFIXES and Path(file).is_file()


def _listed(path: Path) -> list[str]:
    """Return the files of a list, one a line, beside it unless they are absolute."""
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines()]
    except (OSError, UnicodeDecodeError):
        raise DataError(
            f"{path}: is not a list of photographs; give a folder, a glob, or a text file with one "
            "name a line"
        ) from None
    found = [str(path.parent / line) for line in lines if line and not line.startswith("#")]
    bad = [file for file in found if not _is_photograph(file)]
    if bad:
        raise DataError(
            f"{path}: {len(bad)} of {len(found)} files are missing or not JPEG or PNG: "
            f"{first_few(bad)}; correct the list"
        )
    if not found:
        raise DataError(f"{path}: lists no photographs; write one per line")
    double = [file for file, n in Counter(found).items() if n > 1]
    if double:
        raise DataError(f"{path}: lists twice: {first_few(double)}; keep each once")
    return found


def photograph_size(file: str | Path) -> tuple[int, int]:
    """Return height and width of a photograph, upright, without reading its pixels."""
    with Image.open(file) as image:
        turned = image.getexif().get(_ORIENTATION, 1) >= 5
        return (image.width, image.height) if turned else (image.height, image.width)


def square_photograph(file: str | Path, size: int) -> np.ndarray:
    """Return the centre square of a photograph at size x size, upright, (size, size, 3) uint8."""
    with Image.open(file) as image:
        if image.mode.startswith(("I", "F")):
            raise OSError("not 8 bits per channel")
        upright = ImageOps.exif_transpose(image).convert("RGB")
    side = min(upright.size)
    left, top = (upright.width - side) // 2, (upright.height - side) // 2
    box = (left, top, left + side, top + side)
    return np.asarray(upright.resize((size, size), Image.Resampling.BOX, box=box))


class Folder:
    """A `taskrsa.data.view.Source` over plain photographs of any size.

    An image's id is its path without the suffix, below the folder or, of a list or glob, below the
    folder that all files have in common. The centre square is taken and resized by the mean over
    each new pixel's area.

    Parameters
    ----------
    path : a folder; a glob such as "/data/*/*.jpg" (`**` for any depth); or a text file that lists
        photographs, one a line, absolute or from its own folder
    image_size : side of the views, pixels
    pattern : of a folder: glob for file names, such as "*.jpg"
    recursive : of a folder: look into subfolders

    Raises
    ------
    DataError
        If there are no photographs, or two files would get one id.
    """

    def __init__(
        self, path: str | Path, image_size: int = 256, pattern: str = "*", recursive: bool = True
    ) -> None:
        self.path = Path(path)
        self.size = check_image_size(image_size)
        self.info = SourceInfo()
        self._files: dict[str, Path] = {}
        found = [Path(name) for name in files(path, pattern, recursive)]
        root = self.path
        if not root.is_dir():
            found = [Path(os.path.normpath(Path.cwd() / file)) for file in found]
            root = Path(os.path.commonpath([file.parent for file in found]))
        for file in found:
            image_id = file.relative_to(root).with_suffix("").as_posix()
            other = self._files.setdefault(image_id, file)
            if other != file:
                raise DataError(
                    f"{other} and {file} would both be image {image_id}; rename or remove one"
                )

    @cached_property
    def _readable(self) -> list[str]:
        bad = []
        for file in self._files.values():
            try:
                square_photograph(file, 8)
            except BROKEN:
                bad.append(str(file))
        if bad:
            raise DataError(
                f"{len(bad)} of {len(self._files)} files cannot be read as 8-bit photographs: "
                f"{first_few(bad)}; replace or remove them"
            )
        return list(self._files)

    def ids(self, split: str) -> list[str]:
        """Return all ids for "train", in the order of `files`, and none for "val".

        Raises
        ------
        DataError
            If files are truncated or no photographs; one error names them all.
        """
        if split not in ("train", "val"):
            raise ConfigError(f"folder: no split {split!r}; all images are in train")
        return list(self._readable) if split == "train" else []

    def view(self, image_id: str) -> View:
        """Return one photograph; nothing else is known about it.

        Raises
        ------
        DataError
            If the id is unknown or the file cannot be read.
        """
        if image_id not in self._files:
            raise DataError(f"{self.path}: no image {image_id}; list the ids again")
        file = self._files[image_id]
        try:
            return View(image_id=image_id, rgb=square_photograph(file, self.size))
        except BROKEN as error:
            raise DataError(
                f"{file}: cannot be read ({one_line(error)}); replace or remove it"
            ) from None


open_source = Folder
